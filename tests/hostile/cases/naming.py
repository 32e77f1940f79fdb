"""Words, negations and answers that what counts as naming is asked about."""

from __future__ import annotations

from typing import Any

from mllm_probe.metrics.text import named, spans
from tests.hostile.tries import Try

AREA = "naming"
ANSWERS = {
    "20,000 cats": "cat " * 20_000, "one word of a million letters": "c" * 1_000_000,
    "a million spaces": "not" + " " * 1_000_000 + "cat", "nothing but negations": "not no n't " * 20_000 + "cat",
    "a NUL": "a\0cat", "5,000 denied cats": "not a cat, " * 5_000,
    "a list without end": "no " + "dogs, " * 100_000 + "cat or bird", "brackets": "(" * 100_000 + "cat" + ")" * 100_000,
}  # fmt: skip
COUNTS = {"20,000 cats": 20_000, "5,000 denied cats": 5_000, "one word of a million letters": 0}
WORDS: dict[str, tuple[Any, int]] = {
    "a pattern": (["(c|a|t)+", ".*", "[", "\\"], 0), "a pattern that is there": (["a+b"], 1),
    "2,000 words": ([f"word{i}" for i in range(2_000)] + ["cat"], 1), "the same word twice": (["cat", "CAT", "cat"], 1),
}  # fmt: skip


def _right(count: int) -> Any:
    return lambda found: len(found) == count


TRIES = [
    *(Try(AREA, f"answer: {name}", lambda s, a=answer: spans(a, ["cat"]), "result", right=_right(COUNTS.get(name, 1)))
      for name, answer in ANSWERS.items()),
    *(Try(AREA, f"words: {name}", lambda s, w=words: spans("a cat, a+b", w), "result", right=_right(count))
      for name, (words, count) in WORDS.items()),
    Try(AREA, "words: one text", lambda s: named("a cat", "cat"), "error", "is a list of words, not one text"),
]  # fmt: skip
