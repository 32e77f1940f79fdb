"""The study of reliability: slopes of single images, on planted truth and where half of the images are turned round."""

import re

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import mllm_probe as mp
from mllm_probe.studies.multiverse import details_of, in_half
from mllm_probe.studies.reliability_study import (
    PREDICTORS,
    STRENGTHS,
    _foretelling,
    _foretold,
    rank_correlation,
    reliability,
    slope_over_doses,
)


@pytest.fixture(scope="module")
def planted():
    return mp.studies.truth.plant(layers=6, block=3, kinds=("local", "distributed"), pairs=16)


@pytest.fixture(scope="module")
def study(planted):
    return reliability(planted.model, planted.library, progress=False)


def sweep(planted):
    fit, others = planted.library.split()
    vectors = mp.concept_vectors(planted.model, fit, tokens=("last_prompt",), probe_accuracy=False)
    return mp.sweep(
        planted.model, vectors, mp.concepts.neutral_images(others, 12), strengths=STRENGTHS, tokens=("last_prompt",),
        metrics=("logprob",), controls=("random",), draws=8, progress=False,
    )  # fmt: skip


def test_slopes_are_those_of_a_line_through_the_unsteered_score():
    doses = xr.DataArray([-1.0, -0.5, 0.5, 1.0], dims="strength")
    scores = (3 * doses + 2).assign_coords(strength=doses.values)
    assert slope_over_doses(scores, xr.DataArray(2.0)) == pytest.approx(3)
    bent = scores.copy(data=[1.0, 0.0, 2.5, 7.0])
    expected = np.polyfit([-1, -0.5, 0.5, 1, 0], [1, 0, 2.5, 7, 4.0], 1)[0]
    assert slope_over_doses(bent, xr.DataArray(4.0)) == pytest.approx(expected)
    assert np.isnan(slope_over_doses(bent.where(bent.strength > -1), xr.DataArray(4.0)))


def test_rank_correlation_is_spearmans_and_its_interval_covers():
    g = np.random.default_rng(0)
    one, other = g.standard_normal(30), g.standard_normal(30)
    rho, low, high = rank_correlation(np.append(one, np.nan), np.append(other, 1.0))
    assert rho == pytest.approx(stats.spearmanr(one, other).statistic) and low < rho < high
    inside = 0
    for _ in range(400):
        pair = g.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 24)
        _, low, high = rank_correlation(*pair.T)
        inside += low <= 6 / np.pi * np.arcsin(0.3) <= high  # ρ of a normal pair with r = .6
    assert 0.92 <= inside / 400 <= 0.98
    assert np.isnan(rank_correlation(np.ones(9), np.arange(9.0))).all()


def test_no_image_of_a_planted_model_is_steered_the_wrong_way(study):
    here = study.sel(layer=study.attrs["headline_layer"])
    assert (here.anti_steerable == 0).all() and (here.steerability > 1).all()
    assert (here.anti_high < 0.35).all() and (here.anti_low == 0).all()
    assert 0.3 <= float(here.anti_random.mean()) <= 0.7, "opposite directions in pairs"


def test_images_that_are_turned_round_are_counted(planted, study):
    grid = sweep(planted)
    change = grid.logprob - grid.logprob_unsteered
    side = xr.DataArray(np.where(np.arange(grid.sizes["sample"]) % 2, 1.0, -1.0), dims="sample")
    turned = grid.assign(logprob=(grid.logprob_unsteered + side * change).transpose(*grid.logprob.dims))
    found = reliability(planted.model, planted.library, grids={"doses": turned}, progress=False)
    layer = study.attrs["headline_layer"]
    np.testing.assert_allclose(abs(found.slope.sel(layer=layer)), abs(study.slope.sel(layer=layer)), rtol=1e-4)
    share = found.anti_steerable.sel(layer=layer)
    np.testing.assert_allclose(share, 0.5, atol=0.1)
    assert "on more than one in ten for 2 concepts" in found.attrs["summary"]


def test_what_is_known_before_is_of_images_that_did_not_make_the_vector(planted, study):
    fit, others = planted.library.split()
    vectors = mp.concept_vectors(planted.model, fit, tokens=("last_prompt",), probe_accuracy=False)
    unit = vectors.vector.sel(concept="local", scope="last_prompt", layer=5).values.astype(np.float64)
    length = np.linalg.norm(unit)
    sides = [
        mp.capture(planted.model, side, layers=[5], tokens="last_prompt").activation.values.reshape(len(side), -1)
        for side in (others["local"].positive, others["local"].negative)
    ]
    along = [side @ unit / length for side in sides]
    d = (along[0].mean() - along[1].mean()) / np.sqrt((along[0].var(ddof=1) + along[1].var(ddof=1)) / 2)
    here = study.sel(concept="local", layer=5)
    assert here.separation == pytest.approx(d, rel=1e-3)
    difference = sides[0] - sides[1]
    difference /= np.linalg.norm(difference, axis=1, keepdims=True)
    above = np.triu_indices(len(difference), 1)
    assert here.pair_cosine == pytest.approx((difference @ difference.T)[above].mean(), abs=1e-4)
    assert list(study.predictor.values) == list(PREDICTORS) and np.isnan(study.foretells).all(), "two concepts"
    assert dict(details_of(study))["norm"].startswith("not known, fewer than 4 concepts have it")
    assert not re.search(r"\bnan\b", study.attrs["summary"] + study.attrs["details"])
    assert len(study.attrs["summary"].splitlines()) == 3 and "Nothing is concluded" in study.attrs["summary"]


def test_transfer_to_other_styles_correlates_mean_slopes_over_concepts():
    names, styles = ["cat", "house", "tree", "bird", "car"], ["neon", "sketch"]
    library = mp.concepts.scenes(concepts=[*names, *styles], pairs=24)
    study = reliability(mp.load("scenes-4l", device="cpu"), library, progress=False)
    assert study["style"].values.tolist() == styles
    labels = {picture.id: picture.labels for picture in library.pictures}
    shown = [labels[str(one)] for one in study.sample.values]
    slopes = study.slope.sel(layer=study.attrs["headline_layer"], concept=names).transpose("concept", "sample").values
    inside, outside = (np.array([style in one for one in shown]) for style in styles)
    expected = stats.spearmanr(np.nanmean(slopes[:, inside], 1), np.nanmean(slopes[:, outside], 1)).statistic
    assert float(study.style_transfer.sel(style="neon")) == pytest.approx(expected)
    assert "with those on images in other styles" in study.attrs["details"]
    settings, last = study.setting.to_pandas(), study.layer.values[-1]
    (way,) = np.flatnonzero((settings["predictor"] == "norm") & (settings["depth"] == "1.0"))
    slopes = study.slope.sel(layer=last).transpose("concept", "sample").values
    second = in_half(slopes.shape[1], "second", 0)
    for value, some in (
        (study.verdict[way], slopes),
        (study.again.sel(replication="half second")[way], slopes[:, second]),
    ):
        expected = stats.spearmanr(study.norm.sel(layer=last), np.nanmean(some, 1)).statistic
        assert float(value) == pytest.approx(expected)
    assert "of 16 ways" in study.attrs["summary"]


def test_four_predictors_of_nothing_foretell_something_in_one_study_of_twenty(monkeypatch):
    """Each by its own interval, one of the four did in more than one of ten."""
    from mllm_probe.studies import reliability_study

    monkeypatch.setattr(reliability_study, "PERMUTATIONS", 199)
    g, tries = np.random.default_rng(5), 300
    by_interval = by_largest = 0
    for seed in range(tries):
        columns = {name: ("concept", g.standard_normal(16)) for name in (*PREDICTORS, "steerability", "anti_steerable")}
        found = _foretold(xr.Dataset(columns), seed)
        by_interval += bool(((found.rho_low > 0) | (found.rho_high < 0)).any())
        by_largest += bool((found.foretells_p <= 0.05).any())
    low, high = stats.binom.interval(0.999, tries, 0.05)
    assert low <= by_largest <= high < by_interval
    one = g.standard_normal(16)
    columns = {name: ("concept", g.standard_normal(16)) for name in (*PREDICTORS, "anti_steerable")}
    found = _foretold(xr.Dataset(columns | {"norm": ("concept", -one), "steerability": ("concept", one)}), 0)
    said = _foretelling(found.sel(predictor="norm"))
    assert said.startswith("foretells the opposite of steerability") and "p .005 as one of 4" in said
    assert _foretelling(found.sel(predictor="separation")).startswith("does not foretell")


def test_without_styles_their_transfer_is_not_known(study):
    assert study.sizes["style"] == 0 and dict(details_of(study))["other styles"].startswith("not known")
