"""Train the emoji model's vision tower: `python -m mllm_probe.apps.emoji.train_vision`, with its options.

Started again with the same arguments, a stopped training resumes; Ctrl-C, SIGTERM or a file named
PAUSE beside its checkpoint pauses it after the step.
"""

import argparse
import logging
import sys
from pathlib import Path

import torch

from mllm_probe.apps.emoji.vision_training import VisionPlan, train_vision, word_vectors
from mllm_probe.apps.training.parallel import Team
from mllm_probe.apps.training.pausing import Pause


def main(argv: list[str] | None = None) -> None:
    """Train.

    Parameters
    ----------
    argv : list of str or None
        The command line by default.
    """
    parser = argparse.ArgumentParser(prog="python -m mllm_probe.apps.emoji.train_vision", description=__doc__)
    parser.add_argument("--decoder", type=Path, required=True, help="safetensors file with the decoder's embeddings")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the decoder's tokenizer")
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write and resume from")
    parser.add_argument("--steps", type=int, default=VisionPlan.steps, help="of 64 pictures")
    parser.add_argument("--seed", type=int, default=VisionPlan.seed)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    pause = Pause(options.checkpoint.parent).on_signals()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plan = VisionPlan(steps=options.steps, seed=options.seed)
    words = word_vectors(options.decoder, options.tokenizer)
    train_vision(Team(0, 1, device), plan, words, options.checkpoint, pause)


if __name__ == "__main__":
    main()
