"""Answers in still pictures: cut as the front-end cuts them, with marks below their words."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mllm_probe.widgets.pictures import drawing as fonts
from mllm_probe.widgets.pictures.drawing import Box, Line, Text
from mllm_probe.widgets.pictures.static_picture import picture_of_panel, pieces

CASES = json.loads((Path(__file__).parents[1] / "marking.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["answer"]))
def test_an_answer_is_cut_as_the_front_end_cuts_it(case):
    found = pieces(case["answer"], case["baseline"], case["spans"])
    assert [list(piece) for piece in found] == case["pieces"]
    assert "".join(piece.text for piece in found) == case["answer"]


def panel(answers):
    traits = {"concept": "cat", "window": [3, 3], "strength": 1.0, "strength_unit": "residual", "second": ""}
    rest = {"prompt": "what do you see ?", "scope": "image", "picture": 0, "pictures": [], "answers": answers}
    return picture_of_panel(SimpleNamespace(**traits, **rest))


def test_changed_words_are_tinted_and_mentions_underlined_on_every_line():
    start = "a long plain picture that shows many things beside one another on the very old wall "
    answer = start + "with a black cat, no dog"
    place = len(start)
    spans = [[place + 7, place + 16, 0], [place + 18, place + 24, 1]]
    drawing = panel({"baseline": start, "steered": answer, "spans": {"steered": spans}})
    lines = [shape for shape in drawing.shapes if isinstance(shape, Text) and shape.size == 13 and not shape.bold]
    (line,) = [shape for shape in lines if shape.text.endswith("with a black cat, no dog")]

    def ends(word):
        first = line.text.index(word, line.text.index("with a black"))
        left = line.x + fonts.width(line.text[:first], 13)
        return pytest.approx((left, left + fonts.width(word, 13)), abs=1.5)

    marks = [shape for shape in drawing.shapes if isinstance(shape, Line) and shape.points[0][1] == line.y + 8]
    found = [((one.points[0][0], one.points[1][0]), one.dash) for one in marks]
    wanted = {"black": None, "cat": None, "no": (2.0, 2.0), "dog": (2.0, 2.0)}
    assert found == [(ends(word), dash) for word, dash in wanted.items()]
    tints = [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.opacity == 0.16]
    assert {box.y for box in tints} == {line.y - 9}
    words = ("with", "a", "black", "cat,", "no", "dog")
    assert [(box.x + 2, box.x + box.width - 2) for box in tints] == [ends(word) for word in words]


def test_without_an_answer_nothing_is_marked():
    drawing = panel({})
    assert sum(isinstance(shape, Text) and shape.text == "not answered yet" for shape in drawing.shapes) == 3
    assert not [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.fill]
