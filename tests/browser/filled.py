"""Fill a store from a process of its own, a chunk at a time; the browser tests watch it."""

import sys
import time

import mllm_probe as mp
from mllm_probe.sweeps import runner
from mllm_probe.widgets.base.choices import images_from


def main(store: str, pause: float) -> None:
    """Run a small sweep of the bundled model into ``store``."""
    runner.DEFAULT = runner.Limits(rows=24)
    model = mp.load("scenes-8l")
    library = mp.concepts.scenes(concepts=["cat", "tree"], pairs=4)
    vectors = mp.concept_vectors(model, library, probe_accuracy=False, shuffled_draws=2)
    pictures = images_from(library)[:4]
    settings = {"metrics": ("logprob",), "strengths": (-1, 1), "draws": 4, "controls": ("random",), "progress": False}
    for _ in mp.sweep_iter(model, vectors, pictures, store=store, **settings):
        time.sleep(pause)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
