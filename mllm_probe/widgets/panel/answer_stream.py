"""Answers as they stream: read word by word, and summed up when they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mllm_probe.generation.streaming import Stream
from mllm_probe.steering.receipts import Receipt

ROWS = ("baseline", "steered", "random")


@dataclass(frozen=True)
class Answered:
    """Finished answers.

    `texts`: by name of the row; unsteered alone where there is nothing to steer with.
    `tokens`: token ids of each row.
    `receipt`: first the edits of the steered row, then every row.
    `rate`: tokens per second of each row.
    """

    texts: dict[str, str]
    tokens: list[list[int]]
    receipt: list[str]
    rate: float


def read(
    running: Stream, rows: int, tell: Callable[[int, int, str], None], cancelled: threading.Event
) -> Answered | None:
    """Read a stream of the first ``rows`` of `ROWS` to its end and close it; None when it was cancelled first."""
    texts, start, steps = dict.fromkeys(ROWS[:rows], ""), time.perf_counter(), 0
    try:
        for row, step, text in running:
            if cancelled.is_set():
                return None
            texts[ROWS[row]], steps = text, max(steps, step + 1)
            tell(row, step, text)
    finally:
        running.close()
    if cancelled.is_set():
        return None
    return Answered(texts, running.tokens, _lines(running.receipt), steps / max(time.perf_counter() - start, 1e-9))


def _lines(receipt: Receipt) -> list[str]:
    """Lines of the receipt; none of an unsteered answer alone."""
    rows = [str(row) for row in receipt]
    return [rows[1], *(f"{name}: {row}" for name, row in zip(ROWS, rows, strict=True))] if len(rows) > 1 else []
