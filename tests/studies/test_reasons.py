"""Why cells pass or do not: the first reason that applies, with its numbers."""

import numpy as np
import pytest
import xarray as xr

from mllm_probe.studies.effect import effect, summarised
from tests.studies.test_effect import IMAGES, grid, library_grid


def reason(found, **cell):
    """The reason of a cell."""
    return str(found.reason.sel({"concept": "cat", "layer": 2, "strength": 1, **cell}).values)


def torn():
    """Images that disagree, far outside of the draws."""
    data = grid(concept=0.0, spread=0.001, noise=0.001)
    data.logprob[0, 0, 1, 0, 0, :] += np.where(np.arange(IMAGES) % 2, 5.0, -4.0)
    return data


def beside_others():
    """A cell that is clear, among many that are not."""
    cells = [grid(concept, noise=0.1, seed=seed) for seed, concept in enumerate([1.6, *[0.0] * 40])]
    names = ["cat", *(f"c{number}" for number in range(40))]
    return xr.concat([cell.assign_coords(concept=[name]) for cell, name in zip(cells, names, strict=True)], "concept")


CASES = {
    "passes": lambda: effect(grid()),
    "not tested": lambda: effect(grid(metric="kl"), "kl"),
    "5 of 6 images": lambda: effect(grid().isel(sample=slice(0, 5))),
    "needs 4 draws": lambda: effect(grid().isel(draw=slice(0, 3))),
    "needs 8 draws": lambda: effect(grid().isel(draw=slice(0, 4)).assign_attrs(antithetic=["random"])),
    "against the intended sign": lambda: effect(grid(concept=-2.0)),
    "interval includes 0": lambda: effect(torn()),
    "beyond every control, on one image": lambda: summarised(grid(), "logprob", "single"),
    "a control reaches as far, on one image": lambda: summarised(grid(shuffled=2.0), "logprob", "single"),
}


@pytest.mark.parametrize("words", CASES)
def test_the_first_reason_that_applies_is_given(words):
    assert reason(CASES[words]()) == words


def test_a_control_that_reaches_as_far_is_named_with_where_its_next_draw_would_fall():
    found = effect(grid(shuffled=2.0))
    cell = found.sel(concept="cat", layer=2, strength=1)
    before = float(cell["mean"] - cell.value)
    numbers = [float(cell[f"control_{name}"].sel(control="shuffled")) - before for name in ("mean", "low", "high")]
    assert reason(found) == "shuffled reaches as far: {:+.2f} [{:+.2f}, {:+.2f}]".format(*numbers)


def test_a_cell_that_is_clear_alone_says_at_which_rate_it_would_pass():
    found = effect(beside_others())
    q = float(found.q.sel(concept="cat", layer=2, strength=1))
    assert found.clear_of_controls.sel(concept="cat", layer=2, strength=1) and q > 0.05
    assert reason(found).startswith("clear, not in the grid (q .") and "needs" not in reason(found)


def test_strength_0_and_medians_are_not_tested_and_what_was_not_run_has_no_reason():
    assert reason(effect(grid()), strength=0) == "not tested"
    assert reason(effect(grid(), average="median")) == "not tested"
    assert reason(effect(grid(metric="kl").isel(sample=slice(0, 5)), "kl")) == "not tested"
    data = grid()
    data["logprob"] = data.logprob.where(data.layer != 3)
    assert reason(effect(data), layer=3) == ""


def test_of_two_controls_that_reach_as_far_the_nearer_one_is_named():
    for shuffled, nearer in ((1.7, "shuffled"), (1.3, "random")):
        found = effect(grid(random=1.5, shuffled=shuffled))
        p = found.p.sel(concept="cat", layer=2, strength=1)
        assert (p > 0.05).all() and str(p.idxmax("control").values) == nearer
        assert reason(found).startswith(f"{nearer} reaches as far")


def test_a_dose_that_takes_away_is_meant_to_lower_the_score():
    found = effect(grid(concept=-2.0).assign_coords(strength=[0.0, -1.0]))
    assert reason(found, strength=-1) == "passes"


def test_a_reason_is_a_pass_exactly_where_the_effect_passes():
    grids = [
        grid(concept, shuffled=shuffled, spread=spread, seed=seed).assign_coords(concept=[f"{seed}"])
        for seed, (concept, shuffled, spread) in enumerate(
            (c, s, w) for c in (-1, 0.2, 0.5, 1, 2) for s in (0, 1) for w in (0.1, 0.3, 1)
        )
    ]
    found = effect(xr.concat(grids, "concept"))
    np.testing.assert_array_equal(found.reason == "passes", found.clear_in_grid)
    first = {str(words).split(":")[0] for words in np.unique(found.reason)}
    assert first >= {"passes", "against the intended sign", "random reaches as far", "shuffled reaches as far"}


def test_the_reason_stands_in_the_effect_of_a_library_too():
    assert reason(effect(library_grid())) == "passes"
