"""The scaling study: effects that are not chosen on the images they are reported on, and trends over a ladder."""

import re

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies import baselines
from mllm_probe.studies.multiverse import conclusion, details_of
from mllm_probe.studies.scaling_study import (
    GRIDS,
    STATISTICS,
    best_held_out,
    few_models,
    scaling,
    scaling_grids,
    words_of,
)


def made_grid(own, random=None, samples=24):
    """A sweep's grid (one concept) whose scores are given [layer, strength, sample]."""
    layers, strengths = own.shape[:2]
    random = np.zeros((layers, strengths, 4, samples)) if random is None else random
    scores = np.full((1, layers, strengths, 2, 4, samples), np.nan)
    scores[0, :, :, 0, 0], scores[0, :, :, 1] = own, random
    coords = {
        "concept": ["cat"], "layer": np.arange(layers), "strength": np.linspace(0.5, 2, strengths),
        "control": ["concept", "random"], "draw": np.arange(4), "sample": [f"s{i}" for i in range(samples)],
    }  # fmt: skip
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    attrs = {"scale": "difference", "direction": 1, "units": "nats"}
    data = {"logprob": (dims, scores, attrs), "logprob_unsteered": (("concept", "sample"), np.zeros((1, samples)))}
    return xr.Dataset(data, coords, {"operation": "add", "metrics": ["logprob"]})


def test_the_best_of_many_cells_of_noise_is_nothing_on_other_images():
    g = np.random.default_rng(0)
    found = [best_held_out(made_grid(g.standard_normal((16, 3, 24)))).best.item() for _ in range(60)]
    naive = np.mean([g.standard_normal((48, 24)).mean(1).max() for _ in range(60)])
    assert abs(np.mean(found)) < 0.08 and naive > 0.4


def test_the_best_cell_is_found_and_its_control_is_that_of_the_same_cell():
    own = np.random.default_rng(1).normal(0, 0.1, (6, 3, 24))
    own[4, 1] += 3
    random = np.zeros((6, 3, 4, 24))
    random[4, 1], random[5, 2] = 0.7, 9
    found = best_held_out(made_grid(own, random)).sel(concept="cat")
    assert found.best == pytest.approx(3, abs=0.1) and found.best_random == pytest.approx(0.7)
    assert found.best_layer == 4 and found.best_strength == pytest.approx(1.25)


def ladder():
    """Two models of the drawn world, the deeper one first, and a library of two categories."""
    names = ["cat", "house", "symmetry", "chaos"]
    library = mp.concepts.scenes(concepts=names, pairs=8)
    return [mp.load("scenes-8l", device="cpu"), mp.load("scenes-4l", device="cpu")], library


@pytest.fixture(scope="module")
def grids():
    """What the study runs of each of them."""
    models, library = ladder()
    return {one.name: scaling_grids(one, library, progress=False) for one in models}


@pytest.fixture(scope="module")
def study(grids):
    """The study, on grids that were run model by model."""
    return without_multiverse(grids)


def without_multiverse(grids):
    """The study without its multiverse, whose many runs are tested in test_multiverse_runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "GRIDS", ())
        return scaling(*ladder(), grids=grids, progress=False)


def test_models_stand_in_the_order_of_their_depth(study):
    assert list(study.rung.values) == ["scenes-4l", "scenes-8l"] and list(study.blocks.values) == [4, 8]
    assert (study.parameters > 1e6).all() and list(study.statistic.values) == list(STATISTICS)
    assert (study.best > study.best_random + 0.2).all(), "all are steered on images that did not choose the cell"
    assert (study.best >= study.matched - 0.2).all() and ((study.best_depth > 0) & (study.best_depth <= 1)).all()
    assert (study.gap >= 0.5).all() and study.best.attrs["units"] == "of the gap"


def test_grids_that_were_run_model_by_model_are_those_that_the_study_runs(study, grids):
    assert all(list(found) == list(GRIDS) for found in grids.values())
    xr.testing.assert_identical(without_multiverse({"scenes-8l": grids["scenes-8l"]}), study)


def test_the_summary_concludes_nothing_from_two_models_and_two_concepts(study):
    asked, found, open_ = study.attrs["summary"].splitlines()
    assert asked.startswith("Asked of 4 concepts in 2 models of 4 to 8 blocks") and "not known in any" in found
    assert open_.startswith("Nothing is concluded: ")
    assert dict(details_of(study))["fewer than 8 concepts"].startswith("entity, abstract")
    assert study.attrs["model"] == ["scenes-4l", "scenes-8l"]


def test_trends_are_per_doubling_and_steady_only_if_every_step_has_one_sign(study):
    for trend in ("entity", "abstract"):
        here = study.sel(trend=trend, statistic="matched")
        means = study.matched.values[:, (study.category == trend).values].mean(1)
        assert here.slope == pytest.approx(means[1] - means[0], rel=1e-6) and here.monotone == np.sign(here.slope)
    rows = [text for name, text in details_of(study) if name.endswith("per doubling")]
    rising = [text for text in rows if "rises" in text or "falls" in text]
    assert len(rows) == 8 and rising, "two depths: a coin toss"
    assert all("as one random ladder in 2 does" in text for text in rising)
    turned = words_of(study.assign(monotone=study.monotone * 0))["details"]
    assert turned.count("no steady trend") == 8
    unknown = words_of(study.assign(slope=study.slope.where(study.statistic != "natural")))["details"]
    assert "entity, per doubling\tnot known" in unknown and not re.search(r"\bnan\b", unknown)


def test_a_ladder_of_few_models_or_depths_is_no_trend_whatever_its_ways_say(study):
    assert few_models([4, 8]) == (
        "a trend needs 5 models or more, and this ladder has 2, and between two depths whether something rises is a "
        "coin toss"
    )
    assert few_models([4, 8, 16, 4]) == "a trend needs 5 models or more, and this ladder has 4"
    assert "3 depths or more, and this ladder has 2" in few_models([4, 4, 8, 8, 8])
    assert few_models([2, 4, 8, 16, 32]) == ""
    certain = study.assign(verdict=study.verdict * 0 + 1).fillna({"verdict": 1.0})
    certain = certain.assign_attrs(study.attrs | {"curve_p": 0.001, "n_units": 8, "lacking": few_models([4, 8])})
    assert "a coin toss" in conclusion(certain) and "Nothing is concluded" in conclusion(certain)


def test_a_ladder_of_one_model_is_refused():
    one = mp.load("scenes-4l", device="cpu")
    with pytest.raises(ValueError, match="two models or more"):
        scaling([one])
    with pytest.raises(ValueError, match="a name of its own"):
        scaling([one, one])
    with pytest.raises(TypeError, match="expected a list of models"):
        scaling(one)


def test_a_multiverse_without_runs_is_not_known(study):
    assert np.isnan(study.verdict).all() and study.sizes["specification"] == 16
    assert "cannot be computed in any of 16 ways" in study.attrs["summary"]


def test_two_seeds_of_one_depth_are_one_step_of_a_trend():
    from mllm_probe.studies.scaling_study import _trends

    values = {name: (("rung", "concept"), np.array([[1.0], [3.0], [2.5], [4.0]])) for name in STATISTICS}
    made = xr.Dataset(
        {**values, "blocks": ("rung", [4, 4, 8, 16])},
        {"rung": list("abcd"), "concept": ["cat"], "category": ("concept", ["entity"])},
    )
    trends = _trends(made).sel(trend="entity")
    assert (trends.monotone == 1).all(), "2, 2.5, 4: the two of four blocks are averaged"
    np.testing.assert_allclose(trends.slope, np.polyfit([2, 2, 3, 4], [1, 3, 2.5, 4], 1)[0])
    made["best"][3] = [2.0]
    assert _trends(made).monotone.sel(trend="entity", statistic="best") == 0
