"""Figures as Python describes them, on the same cases as the front-end: numbers, labels, limits, curves and recipes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mllm_probe.plots.effects import axis_limits, mark_box, mark_weights
from mllm_probe.plots.palette import CATEGORY_COLOURS, DARK, LIGHT, MARKS, control_colour, control_label
from mllm_probe.schema import CATEGORIES
from mllm_probe.widgets.base import numbers
from mllm_probe.widgets.base.choices import map_recipe
from mllm_probe.widgets.heatmap.map_cells import NUMBERS
from mllm_probe.widgets.pictures.static_picture import dose_curves

CASES = json.loads((Path(__file__).parent / "figure_cases.json").read_text(encoding="utf-8"))


def number(value):
    return float("nan") if value is None else value


def packed(values):
    return np.array([number(value) for value in values], np.float32).tobytes()


@pytest.mark.parametrize(
    "name", ["digits_for", "fewest", "plain", "signed", "dose", "q_value", "strength_unit", "words", "nice_ceiling"]
)
def test_numbers_read_alike(name):
    for *given, wanted in CASES[name]:
        got = getattr(numbers, name)(*map(number, given))
        assert got == (wanted if isinstance(wanted, str) else pytest.approx(wanted)), given


def test_a_number_of_any_size_has_as_few_digits():
    cases = CASES["fewest_at_every_power"]
    for power in range(cases["from"], cases["to"] + 1):
        for figures, decimals in cases["decimals"]:
            assert numbers.fewest(float(f"{figures}e{power}")) == max(0, decimals - power), (figures, power)


def test_scales_and_axes_end_alike():
    for values, unit, wanted in CASES["scale_limit"]:
        assert numbers.scale_limit(np.array([number(v) for v in values], np.float32), unit) == pytest.approx(wanted)
    for values, wanted in CASES["axis_limits"]:
        assert axis_limits(values) == pytest.approx(tuple(wanted))


def test_marks_stand_alike():
    for size, wanted in CASES["mark_box"]:
        assert mark_box(*size) == pytest.approx(tuple(wanted)), size
    for side, wanted in CASES["mark_weights"]:
        assert mark_weights(side) == pytest.approx(tuple(wanted)), side
    labels = {mark["label"] for mark in MARKS.values()}
    assert {text for texts in CASES["curve"]["said"] for text in texts[2:]} == labels


def test_controls_have_one_name_and_colours_for_both_themes():
    for kind, wanted in CASES["control_label"]:
        assert control_label(kind) == wanted
    assert control_colour("made_up") == control_colour("random") != control_colour("shuffled")
    assert LIGHT.keys() == DARK.keys() and set(CATEGORY_COLOURS) == set(CATEGORIES)


def test_a_curve_is_described_alike():
    case = CASES["curve"]
    cells = case["cells"] | {name: packed(case["cells"][name]) for name in NUMBERS}
    curves = dose_curves(numbers.MapNumbers.of(cells), "cat", 3)
    (one,) = curves.series
    for name in ("x", "value", "low", "high", "n", "clear"):
        np.testing.assert_array_equal(getattr(one, name), case[name], err_msg=name)
    for band, wanted in zip(curves.bands, case["bands"], strict=True):
        assert band.control == wanted["control"]
        for name in ("mean", "low", "high"):
            np.testing.assert_allclose(getattr(band, name), wanted[name], err_msg=f"{band.control} {name}")
    assert (curves.x_limits, curves.y_limits) == (tuple(case["x_limits"]), tuple(case["y_limits"]))


def test_the_recipe_is_the_one_that_the_front_end_fills_in():
    case = CASES["recipe"]
    assert map_recipe(case["provenance"], "residual") == case["pieces"]
    compile(case["code"], "recipe", "exec")


def test_nothing_from_data_leaves_its_place_in_a_recipe():
    provenance = {"model": "a\nimport os", "prompt": "x\ue000concept\ue000"}
    provenance |= {"average": "single", "sample": 4, "against": "shuffled"}
    pieces = map_recipe(provenance, "vector")
    assert pieces[1::2] == ["concept", "sites", "strength", "concept", "layers", "strength"]
    filled = "".join(["'cat'", "2", "1.0"][i // 2 % 3] if i % 2 else piece for i, piece in enumerate(pieces))
    compile(filled, "recipe", "exec")
    assert "\nimport os" not in filled and "# model: a import os" in filled
    assert "mp.effect(grid.isel(sample=[4]), 'logprob')" in filled and ".sel(control='shuffled')" in filled
