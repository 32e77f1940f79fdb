"""Prompts of the language rows of the evaluation, fixed before any training."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

_FOLDER = "training.emoji.language_prompts"


@dataclass(frozen=True)
class AskedFact:
    """A short factual question and the answers that are right, each a word or a few."""

    prompt: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Closed:
    """A question about a thing with few possible answers."""

    prompt: str
    options: tuple[str, ...]


def _rows(name: str) -> list[dict[str, str]]:
    with (resources.files(_FOLDER) / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def facts() -> tuple[AskedFact, ...]:
    """Return the factual questions."""
    return tuple(AskedFact(row["prompt"], tuple(row["answers"].split("|"))) for row in _rows("evaluation_facts.tsv"))


@cache
def open_prompts() -> tuple[str, ...]:
    """Return the prompts of the free answers whose distribution is compared."""
    return tuple((resources.files(_FOLDER) / "evaluation_open.txt").read_text(encoding="utf-8").splitlines())


@cache
def closed_questions() -> tuple[Closed, ...]:
    """Return the questions about what an image shows."""
    return tuple(Closed(row["prompt"], tuple(row["options"].split("|"))) for row in _rows("evaluation_closed.tsv"))


def every_prompt() -> Sequence[str]:
    """Return all prompts of the language rows."""
    return [*(fact.prompt for fact in facts()), *open_prompts(), *(closed.prompt for closed in closed_questions())]
