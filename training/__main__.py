"""Train, evaluate and record the bundled models: `python -m training train NAME`, and so `evaluate` and `record`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from cyclopts import App, Parameter

from mllm_probe.cli.commands_common import DONE, INCOMPLETE, WRONG_INPUT
from training.model_evaluation import evaluate_listed
from training.model_training import train_listed
from training.record_labs import record_listed

app = App(
    name="python -m training",
    help="Train, evaluate and record the models that come with the package.",
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
)
app.command(train_listed, name="train")
app.command(evaluate_listed, name="evaluate")
app.command(record_listed, name="record")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 2 wrong input, 3 paused (the same command resumes)."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        result = app(arguments, result_action="return_value")
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    return INCOMPLETE if result is False else DONE


if __name__ == "__main__":
    sys.exit(main())
