"""Tables of how well a model of the drawn world sees and how well it can be steered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

import mllm_probe as mp
from mllm_probe.concepts.drawn import PAIRS
from mllm_probe.studies.recommendation import STORED
from training.evaluation.accuracy import problems, recognition, scenes, table
from training.evaluation.answerer import Answerer
from training.evaluation.steerability import recommended, tables_of
from training.scenes.card import RESULTS, refresh_card

PARTS = RECOGNITION, STEERABILITY = "recognition", "steerability"


def recognition_tables(folder: Path, count: int) -> list[str]:
    """Markdown tables, of `count` images each: new scenes, combinations never seen in training, problems."""
    answer = Answerer(folder)
    return [
        table("New scenes", recognition(answer, scenes(count, "seen"))),
        table("New scenes with combinations never seen in training", recognition(answer, scenes(count, "unseen"))),
        table("Problems that need a procedure", problems(answer, max(1, count // 4))),
    ]


def evaluate_scenes(
    folder: Path, count: int, parts: Sequence[str] = PARTS, *, save: bool = False
) -> dict[str, list[str]]:
    """Print and return Markdown tables by part; `save` keeps them and the best settings in the model's folder."""
    torch.set_num_threads(1)  # models this small lose more than they gain by sharing a step between threads
    tables, best = {}, None
    if RECOGNITION in parts:
        tables[RECOGNITION] = recognition_tables(folder, count)
    if STEERABILITY in parts:
        best = recommended(folder, mp.concepts.scenes(pairs=PAIRS))
        tables[STEERABILITY] = tables_of(best)
    print("", *(text for part in tables.values() for text in part), sep="\n\n", flush=True)
    if save:
        known = json.loads((folder / RESULTS).read_text()) if (folder / RESULTS).exists() else {}
        (folder / RESULTS).write_text(json.dumps(known | tables, indent=1) + "\n")
        if best is not None:
            best.save(folder / STORED)
        refresh_card(folder)
    return tables
