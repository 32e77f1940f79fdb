"""Evaluate bundled models: `python -m mllm_probe.apps.evaluate --models scenes-8l`."""

import argparse
import json
from pathlib import Path

import torch

import mllm_probe as mp
from mllm_probe.apps.evaluation.accuracy import problems, recognition, scenes, table
from mllm_probe.apps.evaluation.answerer import Answerer
from mllm_probe.apps.evaluation.steerability import recommended, tables_of
from mllm_probe.apps.training.card import RESULTS, refresh_card
from mllm_probe.concepts.bundled_worlds import PAIRS
from mllm_probe.models.bundled import bundled_folder, bundled_names
from mllm_probe.studies.recommendation import STORED

RECOGNITION, STEERABILITY = "recognition", "steerability"


def recognition_tables(folder: Path, count: int) -> list[str]:
    """Return the tables of recognition and problems of the model in a folder.

    Parameters
    ----------
    folder : Path
    count : int
        Images for each table.

    Returns
    -------
    list of str
        Markdown: new scenes, combinations never seen, problems.
    """
    answer = Answerer(folder)
    return [
        table("New scenes", recognition(answer, scenes(count, "seen"))),
        table("New scenes with combinations never seen in training", recognition(answer, scenes(count, "unseen"))),
        table("Problems that need a procedure", problems(answer, max(1, count // 4))),
    ]


def main(argv: list[str] | None = None) -> dict[str, dict[str, list[str]]]:
    """Print the tables of every model asked for, and keep them in its card with `--save`.

    Parameters
    ----------
    argv : list of str or None
        The command line by default.

    Returns
    -------
    dict of str to dict of str to list of str
        Markdown, by model and part.
    """
    parser = argparse.ArgumentParser(prog="python -m mllm_probe.apps.evaluate", description=__doc__)
    parser.add_argument("--models", nargs="*", help="bundled names or folders (default: all bundled)")
    parser.add_argument("--pictures", type=int, default=1000, help="images for each table")
    parser.add_argument("--only", choices=(RECOGNITION, STEERABILITY), help="one part of the tables; default: both")
    parser.add_argument("--save", action="store_true", help="keep tables and recommended settings with the model")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)  # models this small lose more than they gain by sharing a step between threads
    printed: dict[str, dict[str, list[str]]] = {}
    for name in options.models or bundled_names():
        folder = bundled_folder(name) or Path(name)
        print(f"## {name}", flush=True)
        tables = printed.setdefault(name, {})
        if options.only != STEERABILITY:
            tables[RECOGNITION] = recognition_tables(folder, options.pictures)
        if options.only != RECOGNITION:
            found = recommended(folder, mp.concepts.scenes(pairs=PAIRS))
            tables[STEERABILITY] = tables_of(found)
        print("", *(text for part in tables.values() for text in part), sep="\n\n", flush=True)
        if options.save:
            known = json.loads((folder / RESULTS).read_text()) if (folder / RESULTS).exists() else {}
            (folder / RESULTS).write_text(json.dumps(known | tables, indent=1) + "\n")
            if STEERABILITY in tables:
                found.save(folder / STORED)
            refresh_card(folder)
    return printed


if __name__ == "__main__":
    main()
