"""Answers that a careful reader has judged, and how many of them the rule of `named` judges alike.

    python -m tests.metrics.answers        # the score of each part and kind, and the answers that are judged otherwise

`answers.csv` has one answer and one concept a row. `named` is what a reader would say: does the answer say that the
concept is there? `note` marks rows that readers may judge differently. The part `first` was written before the rule;
`held out` was written after the rule had been fitted to `first`, and scored before anything was changed for it.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mllm_probe.metrics.text import named


class Row(NamedTuple):
    part: str
    kind: str
    answer: str
    words: tuple[str, ...]
    named: bool
    note: str

    @property
    def wrong(self) -> bool:
        return named(self.answer, self.words) != self.named


def read() -> list[Row]:
    file = Path(__file__).with_name("answers.csv")
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            Row(r["part"], r["kind"], r["answer"], tuple(r["words"].split(";")), {"yes": True, "no": False}[r["named"]],
                r["note"])
            for r in csv.DictReader(lines)
        ]  # fmt: skip


def shares(rows: list[Row], by: str) -> dict[str, tuple[int, int]]:
    """Number of rows judged as the reader does and number of rows, by part or kind."""
    total = Counter(getattr(row, by) for row in rows)
    wrong = Counter(getattr(row, by) for row in rows if row.wrong)
    return {key: (total[key] - wrong[key], total[key]) for key in total}


def listing(rows: list[Row]) -> str:
    """The rows that are judged otherwise, one a line."""
    return "\n".join(
        f"{row.part} | {row.kind} | {row.answer!r} | {', '.join(row.words)} | "
        f"named {not row.named}, a reader says {row.named} {f'({row.note})' * bool(row.note)}"
        for row in rows
        if row.wrong
    )


if __name__ == "__main__":
    table = read()
    for by in ("part", "kind"):
        for key, (right, count) in shares(table, by).items():
            print(f"{key:24} {right:4} of {count:4}  {right / count:6.1%}")
        print()
    print(listing(table))
