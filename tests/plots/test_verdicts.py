"""What figures say beside effects: captions of whole grids, and marks of what was answered."""

import numpy as np
import pytest

from mllm_probe.plots.effects import grid_caption, mark_box, marks_of
from mllm_probe.plots.palette import MARKS
from tests.widgets import fakes


@pytest.fixture
def effect():
    return fakes.effect(answers=True)


def test_a_caption_is_over_the_whole_grid_and_says_what_is_unfinished(effect):
    cells = effect["q"].size
    passing = int(effect["clear_in_grid"].sum())
    assert grid_caption(effect).startswith(f"whole grid: {passing} of {cells} cells pass (expected false: at most ")
    assert "not tested" not in grid_caption(effect)
    effect["n"][0, 0, 0], effect["q"][0, 0, 0], effect["low"][0, 0, 0] = 5, np.nan, np.nan
    few = "; unfinished: 1 with fewer than 6 images"
    assert grid_caption(effect).endswith(few)
    drawn = effect.assign(n_draws=effect["n"].expand_dims(control=["random"]) * 0 + 3)
    assert grid_caption(drawn).endswith(f"{few} and {cells - 1} with too few draws of the controls")


def test_a_caption_says_why_nothing_is_tested(effect):
    none = effect.assign(q=effect["q"] * np.nan, clear_in_grid=effect["clear_in_grid"] & False)
    assert grid_caption(none) == "no test against controls: this metric has no direction"
    assert grid_caption(none.assign(n=effect["n"] * 0 + 4)) == "no verdict: 4 of 6 images"
    assert grid_caption(none.assign_attrs(average="median")) == "medians have no test against controls"
    assert grid_caption(none.assign_attrs(average="single")).startswith("one image is not tested")


def test_nothing_is_said_of_what_was_not_run_or_has_no_q(effect):
    assert grid_caption(effect.assign(n=effect["n"] * 0)) == ""
    assert grid_caption(effect.drop_vars("q")) == ""


def test_a_cell_is_marked_as_broken_from_half_of_its_answers_on(effect):
    effect["broken"][:, :, :] = np.array([0.0, 0.49, 0.5, 1.0, np.nan])
    marks = marks_of(effect)
    assert list(marks) == list(MARKS)
    assert marks["broken"][0, 0].values.tolist() == [False, False, True, True, False]
    assert marks["never_named"].values[:, 0].all() and not marks["never_named"].values[:, 1:].any()
    assert marks_of(effect.drop_vars(["broken", "never_named"])) == {}


def test_a_mark_stands_inside_its_cell():
    for width in (4, 6, 9, 40):
        x, y, side = mark_box(width, 13)
        assert x >= 0 and x + side <= width and y > 0 and y + side <= 13 and side >= 3
