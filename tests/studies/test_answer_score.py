"""Scores of steered answers, on a grid made by hand."""

import numpy as np
import pytest
import xarray as xr

from mllm_probe.studies.cell_scores import answer_score, broken_answers
from mllm_probe.studies.effect import effect

IMAGES = 12
DIMS = ("concept", "layer", "strength", "control", "draw", "sample")


def grid(**own):
    """One cell; the concept names itself in all answers but one, controls in few."""
    shape = (1, 1, 1, 2, 4, IMAGES)
    values = {"named": 0.0, "kept": 0.8, "perplexity": 1.0, "repetition": 0.1}
    data = {name: np.full(shape, value) for name, value in values.items()}
    data["named"][0, 0, 0, 0, 0] = np.append(np.ones(IMAGES - 1), 0)
    data["named"][0, 0, 0, 1, 0, :3] = 1
    for name, changed in own.items():
        data[name][0, 0, 0, 0, 0] = changed
    unsteered = {"named": 0.0, "kept": 0.8, "perplexity": 1.0, "repetition": 0.1}
    variables = {name: (DIMS, values) for name, values in data.items()}
    variables |= {f"{n}_unsteered": (("concept", "sample"), np.full((1, IMAGES), v)) for n, v in unsteered.items()}
    coords = {"concept": ["cat"], "layer": [1], "strength": [1.0], "control": ["concept", "random"]}
    return xr.Dataset(variables, coords, {"operation": "add", "antithetic": ["random"]})


def score(data, takes_away=False):
    values, _ = answer_score(data, np.array([takes_away]))
    return values.values[0, 0, 0, 0, 0]


def test_a_score_is_success_times_what_is_kept_of_what_the_unsteered_answer_keeps():
    np.testing.assert_allclose(score(grid()), np.append(np.ones(11), 0))
    np.testing.assert_allclose(score(grid(kept=0.4)), np.append(np.full(11, 0.5), 0))
    np.testing.assert_allclose(score(grid(kept=1.0)), np.append(np.ones(11), 0))
    np.testing.assert_allclose(score(grid(), takes_away=True), np.append(np.zeros(11), 1))


@pytest.mark.parametrize("changed", [{"perplexity": 10.5}, {"repetition": 0.45}, {"perplexity": np.nan}])
def test_a_broken_answer_scores_nothing(changed):
    data = grid(**changed)
    assert broken_answers(data).values[0, 0, 0, 0, 0].all() and not broken_answers(grid()).any()
    assert (score(data) == 0).all()


def test_images_whose_unsteered_answer_keeps_nothing_do_not_count():
    data = grid()
    data["kept_unsteered"][0, :4] = 0
    assert np.isnan(score(data)[:4]).all() and np.isfinite(score(data)[4:]).all()
    unlabelled = data.assign(kept_unsteered=data.kept_unsteered * np.nan)
    values, _ = answer_score(unlabelled, np.array([False]))
    assert values.attrs["content"] == "not checked" and np.isfinite(values.values[0, 0, 0, 0, 0]).all()


def test_the_effect_of_a_score_stays_within_its_bounds_and_says_what_never_named():
    found = effect(grid(), "score").squeeze()
    assert -1 <= float(found.low) < float(found.difference) < float(found.high) <= 1
    assert found.attrs["interval"] == "95 % t over images and draws" and not found.never_named and found.broken == 0
    assert effect(grid(named=0.0), "score").never_named.all()
