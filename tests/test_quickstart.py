"""What the quick start says of its answers is what the model answers."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import mllm_probe as mp

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def quickstart() -> dict[str, Any]:
    """Names that the quick start has made when it has steered once, and what its last answers print as `printed`."""
    cells = json.loads((ROOT / "tutorials" / "00_quickstart.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names: dict[str, Any] = {"display": lambda *shown: None}
    for cell in ("cell-05", "cell-03", "cell-10", "cell-14"):
        exec(sources[cell], names)
    with redirect_stdout(io.StringIO()) as printed:
        names["once"] = names["out"].text
        exec(sources["cell-25"], names)
    return names | {"printed": printed.getvalue().splitlines()}


def answers(names: dict[str, Any], images: list[Any], strength: float, layer: int, tokens: Any) -> list[str]:
    """Answers about images, steered with *cat*."""
    steering = mp.Steering(names["vectors"].sel(concept="cat"), layers=[layer], strength=strength, tokens=tokens)
    return list(mp.generate(names["model"], images, steering=[steering] * len(images)).text)


def words(answer: str) -> list[str]:
    """Words of an answer, repeated ones too."""
    return answer.replace(",", "").split()


def test_the_quick_start_steers_to_an_answer_that_names_the_concept_and_keeps_the_image(quickstart) -> None:
    unsteered, steered, random = map(words, quickstart["once"])
    assert sorted(steered) == sorted(["cat", *unsteered]) and sorted(random) == sorted(unsteered)


def test_the_tokens_and_not_the_layer_lose_the_sentence(quickstart) -> None:
    unsteered = sorted(words(quickstart["once"][0]))
    lines = quickstart["printed"]
    alone, again = ([line.split(": ")[1] for line in lines if ": " in line][part] for part in (slice(5), slice(5, 10)))
    for answer in alone[1:]:  # from layer 3 on
        assert sorted(words(answer)) == sorted(["cat", *unsteered])
    assert all(sorted(words(answer)) != sorted(["cat", *unsteered]) for answer in again[1:])
    assert set(words(again[-1])) == {"cat"} and len(words(again[-1])) > 1
    assert [words(answer)[0] for answer in alone] == [words(answer)[0] for answer in again]


def test_the_things_to_try_happen_on_every_image_of_the_panel(quickstart) -> None:
    held_out = quickstart["held_out"]["cat"]
    without, with_cat = held_out.negative[:4], held_out.positive[:4]

    def named(images: list[Any], *setting: Any) -> set[bool]:
        return {"cat" in words(answer) for answer in answers(quickstart, images, *setting)}

    assert named(without, 2, 0, "image") == {True} and named(without, 2, 5, "image") == {False}
    assert named(without, 2, 0, "last_prompt") == {False} and named(without, 2, 5, "last_prompt") == {True}
    assert named(with_cat, -2, 0, "image") == {False}
    for image in (*without, *with_cat):
        assert set(words(*answers(quickstart, [image], 2, 7, ("last_prompt", "generated")))) == {"cat"}
        described = words(*answers(quickstart, [image], 2, 7, "last_prompt"))
        assert len(described) == len(set(described)) and "cat" in described
