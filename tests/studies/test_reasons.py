"""Why cells do not pass: the first reason that applies, and the control that it is about."""

import numpy as np
import pytest
import xarray as xr

from mllm_probe.plots import palette
from mllm_probe.studies.clear_cells import REASONS, reasons
from mllm_probe.studies.effect import effect, summarised
from tests.studies.test_effect import IMAGES, grid


def reason(found, against="random", **cell):
    """The reason of a cell, and the control that it is about."""
    one = reasons(found, against).sel({"concept": "cat", "layer": 2, "strength": 1, **cell})
    by = float(one.reached_by)
    return REASONS[int(one.reason)], None if np.isnan(by) else str(found.control.values[int(by)])


def torn():
    """Images that disagree, far outside of the draws."""
    data = grid(concept=0.0, spread=0.001, noise=0.001)
    data.logprob[0, 0, 1, 0, 0, :] += np.where(np.arange(IMAGES) % 2, 5.0, -4.0)
    return data


def not_in_grid():
    found = effect(grid())
    return found.assign(q=found.q * 0 + 0.056, clear_in_grid=found.clear_in_grid & False)


def open_draws():
    """One more draw may reach as far by p, although the limits of those that were run lie near."""
    found = effect(grid())
    clear = found.clear & (found.control != "random")
    none = found.clear_in_grid & False
    return found.assign(clear=clear, clear_of_controls=none, clear_in_grid=none, p=found.p.where(clear, 0.08))


CASES = {
    "passes": (lambda: effect(grid()), None),
    "not_tested": (lambda: effect(grid(metric="kl"), "kl"), None),
    "few_images": (lambda: effect(grid().isel(sample=slice(0, 5))), None),
    "against_intention": (lambda: effect(grid(concept=-2.0)), None),
    "interval_includes_0": (lambda: effect(torn()), None),
    "control_reaches": (lambda: effect(grid(shuffled=2.0)), "shuffled"),
    "control_may_reach": (open_draws, "random"),
    "not_in_grid": (not_in_grid, None),
    "not_clear": (lambda: effect(grid(shuffled=2.0)).drop_vars("clear"), None),
    "clear_alone": (lambda: summarised(grid(), "logprob", "single"), None),
    "reached_alone": (lambda: summarised(grid(shuffled=2.0), "logprob", "single"), "shuffled"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_reason_is_found_and_names_its_control(name):
    made, control = CASES[name]
    assert reason(made()) == (name, control)


def test_a_dose_that_does_nothing_equals_its_controls_and_what_was_not_run_has_no_reason():
    found = effect(grid())
    assert reason(found, strength=0) == ("equals_controls", None)
    data = grid()
    data["logprob"] = data.logprob.where(data.layer != 3)
    assert np.isnan(reasons(effect(data)).reason.sel(layer=3)).all()


def test_of_two_controls_that_reach_as_far_the_nearer_one_is_named():
    for shuffled, nearer in ((1.7, "shuffled"), (1.3, "random")):
        found = effect(grid(random=1.5, shuffled=shuffled))
        p = found.p.sel(concept="cat", layer=2, strength=1)
        assert (p > 0.05).all() and str(p.idxmax("control").values) == nearer
        assert reason(found) == ("control_reaches", nearer)
    random = effect(grid(concept=0.9, spread=1.0, noise=0.01, seed=1))
    assert reason(random)[0] == "control_reaches"


def test_the_interval_is_that_of_the_control_that_is_shown():
    found = effect(grid(shuffled=2.0))
    assert reason(found, "random") == ("control_reaches", "shuffled")
    assert reason(found, "shuffled")[0] in ("interval_includes_0", "against_intention")


def test_a_dose_that_takes_away_is_meant_to_lower_the_score():
    found = effect(grid(concept=-2.0).assign_coords(strength=[0.0, -1.0]))
    assert reason(found, strength=-1) == ("passes", None)


def test_medians_and_metrics_without_direction_are_not_tested_however_few_images_there_are():
    few = grid(metric="kl").isel(sample=slice(0, 5))
    assert reason(effect(few, "kl"))[0] == "not_tested"
    assert reason(effect(grid(), average="median"))[0] == "not_tested"


def test_a_reason_is_a_pass_exactly_where_the_effect_passes_and_a_control_fails_exactly_where_it_is_named():
    grids = [
        grid(concept, shuffled=shuffled, spread=spread, seed=seed).assign_coords(concept=[f"{seed}"])
        for seed, (concept, shuffled, spread) in enumerate(
            (c, s, w) for c in (-1, 0.2, 0.5, 1, 2) for s in (0, 1) for w in (0.1, 0.3, 1)
        )
    ]
    found = effect(xr.concat(grids, "concept"))
    told = reasons(found)
    np.testing.assert_array_equal(told.reason == REASONS.index("passes"), found.clear_in_grid)
    named = told.reached_by.notnull()
    assert 0 < int(named.sum()) < named.size
    kinds = told.reached_by.fillna(0).astype(int)
    assert not found.clear.isel(control=kinds).where(named).fillna(False).any()
    reached = told.reason == REASONS.index("control_reaches")
    limit = xr.where(found.difference > 0, found.control_high, -found.control_low).isel(control=kinds)
    assert (limit >= found["mean"] * np.sign(found.difference)).where(reached, True).all()
    assert {REASONS[int(place)] for place in np.unique(told.reason)} >= {
        "passes",
        "against_intention",
        "control_reaches",
    }


def test_every_reason_has_its_words():
    assert tuple(palette.REASONS) == REASONS
    named = {name for name, words in palette.REASONS.items() if "{control}" in words}
    assert named == {"control_reaches", "control_may_reach", "reached_alone"}
