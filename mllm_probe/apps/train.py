"""Train a bundled model: `python -m mllm_probe.apps.train --model scenes-8l`."""

import argparse
import logging
import sys
from pathlib import Path

from mllm_probe.apps.training.architecture import DEPTHS
from mllm_probe.apps.training.card import write_card
from mllm_probe.apps.training.decoder import DecoderPlan
from mllm_probe.apps.training.run import TrainingPlan, train
from mllm_probe.apps.training.tower import TowerPlan
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.models.user_cache import cache_root

PICTURES, HELD, TOWER_STEPS, DECODER_STEPS = 150_000, 1_000, 3_200, 5_000


def default_work() -> Path:
    """Return the folder in the user's cache for pictures and checkpoints."""
    return cache_root() / "training"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mllm_probe.apps.train", description=__doc__)
    parser.add_argument("--model", choices=list(DEPTHS), default="scenes-8l")
    parser.add_argument("--out", type=Path, help="folder for the model (default: a folder of its name here)")
    parser.add_argument("--work", type=Path, default=default_work(), help="folder for pictures and checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="without CUDA: processes of one thread each")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--held", type=int, default=HELD, help="pictures to report on")
    parser.add_argument("--tower-steps", type=int, default=TOWER_STEPS)
    parser.add_argument(
        "--tower", help="take the vision tower of this trained model (a bundled name or a folder) as it is"
    )
    parser.add_argument("--steps", type=int, default=DECODER_STEPS, help="steps of the whole model")
    parser.add_argument("--save-every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--compile", action="store_true", help="compile the decoder; on the CPU this needs g++")
    return parser.parse_args(argv)


def _plan(options: argparse.Namespace) -> TrainingPlan:
    tower: TowerPlan | Path = TowerPlan(steps=options.tower_steps, seed=options.seed, save_every=options.save_every)
    if options.tower:
        tower = bundled_folder(options.tower) or Path(options.tower)
        if not (tower / "config.json").is_file():
            raise FileNotFoundError(f"--tower takes a bundled name or a model's folder, and there is none at {tower}")
    blocks = DEPTHS[options.model]
    decoder = DecoderPlan(
        blocks, steps=options.steps, seed=options.seed, save_every=options.save_every, compiled=options.compile
    )
    return TrainingPlan(options.model, options.pictures, options.held, options.seed, tower, decoder, options.processes)


def main(argv: list[str] | None = None) -> None:
    """Train, and write the model's folder with its card.

    Parameters
    ----------
    argv : list of str or None
        The command line by default. Started again with the same arguments, a stopped training resumes.
    """
    options = _arguments(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    plan = _plan(options)
    out = options.out or Path(options.model)
    write_card(out, plan, train(plan, options.work, out))


if __name__ == "__main__":
    main()
