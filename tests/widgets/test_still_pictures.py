"""Still pictures of the map and of answers: what stands where, and where answers are marked."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mllm_probe.widgets import LayerConceptHeatmap
from mllm_probe.widgets.pictures import drawing as fonts
from mllm_probe.widgets.pictures.drawing import Box, Line, Text
from mllm_probe.widgets.pictures.static_picture import picture_of_panel, pieces
from tests.widgets import fakes


def texts(categories):
    effect = fakes.effect().isel(concept=slice(len(categories)))
    heatmap = LayerConceptHeatmap(effect.assign_coords(category=("concept", categories)))
    drawing = heatmap.drawing()
    return drawing, {shape.text: shape for shape in drawing.shapes if isinstance(shape, Text)}


def test_categories_are_written_out_above_a_single_row_and_turned_beside_several():
    drawing, found = texts(["entity", "visual_style", "emotion"])
    wanted = ["entity", "visual style", "emotion"]
    assert [found[name].turned for name in wanted] == [False] * 3
    heights = [found[name].y for name in wanted]
    assert heights == sorted(heights) and heights[-1] < drawing.height - 60
    assert not any("…" in text for text in found)
    assert texts(["mood"] * 3)[1]["mood"].turned, "one that fits stands beside its rows"


def test_the_lab_is_drawn_in_full_and_as_wide_as_its_answers():
    grid = fakes.effect().assign_attrs(
        model="a-model-with-a-long-name", scope="last_prompt+generated+image", operation="add", unit="residual"
    )
    heatmap = LayerConceptHeatmap(grid)
    drawing = heatmap.drawing()
    written = " ".join(shape.text for shape in drawing.shapes if isinstance(shape, Text))
    right = max(shape.x + shape.width for shape in drawing.shapes if isinstance(shape, Box))
    assert "a-model-with-a-long-name · last_prompt + generated + image · add" in written and "…" not in written
    assert drawing.width == 640 and 560 < right <= 640 and "spread" not in written


def test_unfinished_cells_have_a_mark_and_are_not_faded():
    effect = fakes.effect()
    for name in ("low", "high"):
        effect[name] = effect[name].where(effect["layer"] > 2)
    heatmap = LayerConceptHeatmap(effect)
    shapes = heatmap.drawing().shapes
    marks = [shape for shape in shapes if isinstance(shape, Line) and shape.stroke == "ink"]
    assert len(marks) == 3 * effect.sizes["concept"], "one in each cell of three layers"
    cells = [shape for shape in shapes if isinstance(shape, Box) and shape.fill and shape.height > 9]
    tested = effect.sel(strength=heatmap.strength, layer=slice(3, None))
    assert sum(shape.opacity < 1 for shape in cells) == int((~tested["clear_in_grid"]).sum())


def test_marks_and_the_caption_are_on_the_still_image(tmp_path):
    effect = fakes.effect(answers=True)
    count = effect.sizes["concept"]

    def lines(strength):
        heatmap = LayerConceptHeatmap(effect, strength=strength)
        drawing, note, caption = heatmap.drawing(), heatmap.note, heatmap.caption
        heatmap.to_png(tmp_path / "map.png")
        below = " ".join(shape.text for shape in drawing.shapes if isinstance(shape, Text) and shape.fill == "faint")
        assert all(text in below for text in (note, caption, "whole grid: ", "hollow:\N{NO-BREAK SPACE}at least half"))
        drawn = [shape for shape in drawing.shapes if isinstance(shape, (Line, Box))]
        return [[line for line in drawn if line.stroke == stroke] for stroke in ("ink", "paper", "warn")]

    ink, paper, hollow = lines(1.0)
    assert not hollow
    assert len(ink) == len(paper) == count, "a dash in the first column, on paper"
    assert all(one.points[0][1] == one.points[1][1] for one in ink) and paper[0].weight > ink[0].weight
    ink, _, hollow = lines(2.0)
    assert len(hollow) == count * effect.sizes["layer"] and not ink, "every cell is hollow, also where none is named"
    assert all(one.fill is None for one in hollow)
    plain = LayerConceptHeatmap(fakes.effect())
    assert plain.marks == b"" and "hollow" not in plain.note and "faded: does not pass" in plain.note
    assert not [shape for shape in plain.drawing().shapes if isinstance(shape, Line) and shape.stroke == "ink"]


@pytest.mark.parametrize("dim", ["concept", "layer", "strength"])
def test_a_map_without_cells_is_drawn(dim):
    heatmap = LayerConceptHeatmap(fakes.effect().isel({dim: []}))
    assert heatmap.drawing().shapes


CASES = json.loads((Path(__file__).parents[1] / "marking.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["answer"]))
def test_an_answer_is_cut_as_the_front_end_cuts_it(case):
    found = pieces(case["answer"], case["baseline"], case["spans"])
    assert [list(piece) for piece in found] == case["pieces"]
    assert "".join(piece.text for piece in found) == case["answer"]


def panel_picture(answers):
    traits = {"concept": "cat", "window": [3, 3], "strength": 1.0, "strength_unit": "residual", "second": ""}
    rest = {"prompt": "what do you see ?", "scope": "image", "picture": 0, "pictures": [], "answers": answers}
    return picture_of_panel(SimpleNamespace(**traits, **rest))


def test_changed_words_are_tinted_and_mentions_underlined_on_every_line():
    start = "a long plain picture that shows many things beside one another on the very old wall "
    answer = start + "with a black cat, no dog"
    place = len(start)
    spans = [[place + 7, place + 16, 0], [place + 18, place + 24, 1]]
    drawing = panel_picture({"baseline": start, "steered": answer, "spans": {"steered": spans}})
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
    nothing = [shape for shape in panel_picture({}).shapes if isinstance(shape, Box) and shape.fill]
    assert nothing == [], "without an answer nothing is marked"
