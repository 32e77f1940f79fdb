"""Off-target effects at one cell, and the effect on one picture, on grids made by hand."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.clear_cells import has_off_target, off_target_at
from mllm_probe.studies.effect import summarised

CONCEPTS, IMAGES, DRAWS = ["cat", "dog"], 6, 4


def grid(seed=0):
    rng = np.random.default_rng(seed)
    steered, random = rng.normal(-5, 1, (2, 2, 2, IMAGES, 2)), rng.normal(-5, 1, (2, 2, DRAWS, IMAGES, 2))
    own = np.full((2, 2, 2, 2, DRAWS, IMAGES), np.nan)
    own[..., 1, :, :] = rng.normal(-5, 1, (2, 2, 2, DRAWS, IMAGES))
    own[..., 0, 0, :] = -1.0
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    return xr.Dataset(
        {
            "logprob": (dims, own, {"units": "nats"}),
            "logprob_unsteered": (("concept", "sample"), np.full((2, IMAGES), -5.0)),
            "off_target": (("concept", "layer", "strength", "sample", "scored_concept"), steered),
            "off_target_random": (("layer", "strength", "draw", "sample", "scored_concept"), random),
            "off_target_unsteered": (("sample", "scored_concept"), np.full((IMAGES, 2), -6.0)),
        },
        {
            "concept": CONCEPTS,
            "scored_concept": CONCEPTS,
            "layer": [2, 5],
            "strength": [1.0, 2.0],
            "control": ["concept", "random"],
            "sample": [f"{i:016x}" for i in range(IMAGES)],
        },
    )


def test_an_off_target_effect_at_a_cell_is_that_of_the_whole_grid():
    data = grid()
    cell = off_target_at(data, 5, 2.0)
    assert cell["difference"].sizes == {"concept": 2, "scored_concept": 2}
    whole = mp.effect(data, "off_target").sel(layer=5, strength=2.0)
    xr.testing.assert_allclose(cell["difference"], whole["difference"])
    assert off_target_at(data, 3, 2.0) is None and off_target_at(data, 5, 0.5) is None
    assert has_off_target(data) and not has_off_target(data.drop_vars("off_target_random"))


def test_one_picture_is_clear_where_its_score_is_beyond_its_draws():
    data = grid()
    one = summarised(data, "logprob", "single", sample=3)
    draws = data["logprob"].sel(control="random").isel(sample=3)
    np.testing.assert_allclose(one["mean"], -1.0)
    np.testing.assert_allclose(one["difference"], -1.0 - draws.mean("draw"))
    assert one.attrs["interval"] == "none" and one["clear_of_controls"].any()
    assert bool((one["clear_of_controls"] == (one["control_high"].sel(control="random") < -1)).all())
    with pytest.raises(ValueError, match="there is no image 6; the grid has 6, counted from 0"):
        summarised(data, "logprob", "single", sample=6)
