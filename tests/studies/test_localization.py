"""The localization study on planted truth, and what it says where there is nothing to study."""

import re

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.localization_study import MEASURES, STATISTICS, _contrasts, localization, summary_of
from mllm_probe.studies.multiverse import LOCALIZATION, asked

BLOCK, LAYERS = 4, 6


@pytest.fixture(scope="module")
def planted():
    return mp.studies.truth.plant(layers=LAYERS, block=BLOCK, kinds=("local", "distributed", "decoy"), pairs=16)


@pytest.fixture(scope="module")
def study(planted):
    return localization(planted.model, planted.library, progress=False)


def test_one_block_and_equal_shares_are_told_apart_by_interchange(study):
    found = study.sel(measure="interchange, insert")
    assert found.effective_layers.sel(concept="local") == pytest.approx(1, abs=0.1)
    assert found.effective_layers.sel(concept="distributed") >= 0.85 * LAYERS
    assert found.peak_layer.sel(concept="local") == found.peak_layer.sel(concept="decoy") == BLOCK
    np.testing.assert_allclose(found.read_out.sum("layer"), 1)
    assert found.last_block.sel(concept="local") == pytest.approx(0, abs=0.02)


def test_onset_is_not_the_number_of_blocks_that_read(study):
    onset = study.onset.sel(measure="interchange, insert")
    assert onset.sel(concept="local") == pytest.approx(BLOCK, abs=0.2), "one block reads it"
    assert onset.sel(concept="distributed") == pytest.approx(0.75 * LAYERS, abs=0.8)


def test_a_decoy_is_readable_everywhere_and_stored_from_its_block_on(study):
    decoy = study.sel(concept="decoy")
    assert (decoy.probe >= 0.9).all()
    assert (decoy.stored.isel(layer=slice(0, BLOCK)) < 0.1).all() and (decoy.stored[BLOCK:] > 0.9).all()
    r2 = decoy.r2.sel(profiles="stored, probe")
    assert np.isnan(r2) or abs(r2) < 0.3, "a probe that is as good at every layer tells nothing of where"
    assert decoy.r2.sel(profiles="steerable, stored") > 0.99


def test_what_was_run_already_is_taken(planted, study):
    _, others = planted.library.split()
    grid = mp.patch(
        planted.model, others, groups=("changed", "image", "last_prompt"), controls=("identity",), progress=False
    )
    grid["logprob"] = grid["logprob"] * np.nan
    lost = localization(planted.model, planted.library, grids={"interchange": grid}, progress=False)
    xr.testing.assert_allclose(
        lost.read_out.sel(measure="steering, vector"), study.read_out.sel(measure="steering, vector")
    )
    assert np.isnan(lost.read_out.sel(measure="interchange, insert")).all()
    with pytest.raises(ValueError, match="grids: expected one of"):
        localization(planted.model, planted.library, grids={"patch": grid})


def test_with_few_concepts_the_summary_concludes_nothing(study):
    assert "Fewer than 8 concepts of planted: nothing can be concluded" in study.attrs["summary"]
    assert study.attrs["n_concepts"] == 3 and study.sizes["contrast"] == 0
    assert list(study.measure.values) == list(MEASURES)


def made_up(values):
    """A study of two categories whose effective layers are given by measure [measure, concept]."""
    count = values.shape[1] // 2
    names = [f"c{i}" for i in range(2 * count)]
    data = dict.fromkeys(STATISTICS, (("measure", "concept"), values))
    data["n"] = (("measure", "concept"), np.where(np.isfinite(values), 8, 0))
    data["changed_tokens"] = ("concept", np.random.default_rng(0).uniform(10, 20, 2 * count))
    beside = ("effective_tokens", "told_named", "plain_named", "told_logprob", "own", "related")
    data |= dict.fromkeys(beside, ("concept", np.full(2 * count, np.nan)))
    categories = ["entity"] * count + ["abstract"] * count
    coords = {"measure": list(MEASURES), "concept": names, "category": ("concept", categories), "layer": range(LAYERS)}
    ways = asked(LOCALIZATION, lambda **way: float(values[:, count:].mean() - values[:, :count].mean()))
    result = xr.Dataset(data, coords, {"n_concepts": 2 * count, "headline_p": 0.001, **ways.attrs})
    return result.merge(_contrasts(result, 0)).merge(ways).assign_attrs(result.attrs)


def without(values, measures, concepts, n=0):
    """A study that lacks the numbers of some measures and concepts, of which ``n`` images count."""
    values = values.copy()
    values[np.ix_(measures, concepts)] = np.nan
    found = made_up(values)
    found["n"].values[np.ix_(measures, concepts)] = n
    return found


def test_a_contrast_that_is_not_known_says_why_and_claims_no_agreement():
    values = np.random.default_rng(1).normal(3, 0.3, (4, 16))
    values[:, 8:] += 2
    said = summary_of(without(values, [0, 1], range(16)))
    assert not re.search(r"\bnan\b", said) and "measures agree" not in said
    assert (
        "abstract - entity: not known, 0 of 8 abstract concepts and 0 of 8 entity concepts have a number of blocks by "
        "interchange, insert, and 2 of each are needed. The others: positive in 2 and negative in 0 of 2 measures; "
        "nothing is concluded."
    ) in said
    assert (
        "entity (8): not known by interchange, insert: 8 of 8 concepts have fewer than 6 pairs whose images change the "
        "answer."
    ) in said
    one_left = summary_of(without(values, [0], range(7), n=8))
    assert "8 of 8 abstract concepts and 1 of 8 entity concepts have a number of blocks" in one_left
    assert "(over concepts of the 1 that are known" in one_left and "measures agree" not in one_left
    disagree = summary_of(without(values, [0], range(8), n=8))
    assert "8 of 8 concepts have halves of the images that do not agree on a profile" in disagree


def test_one_measure_agrees_with_no_other():
    values = np.random.default_rng(1).normal(3, 0.3, (4, 16))
    values[:, 8:] += 2
    said = summary_of(without(values, [1, 2, 3], range(16)))
    assert "no other measure is known, so that nothing is concluded" in said and "measures agree" not in said


def test_a_contrast_beside_the_changed_tokens_needs_more_concepts():
    values = np.random.default_rng(1).normal(3, 0.3, (4, 4))
    values[:, 2:] += 2
    few = made_up(values).assign(changed_tokens=("concept", [1.0, 1.0, 2.0, 2.0]))
    few = few.drop_dims("contrast").merge(_contrasts(few.drop_dims("contrast"), 0)).assign_attrs(few.attrs)
    said = summary_of(few)
    assert "beside the number of changed image tokens not known; positive in" in said
    assert not re.search(r"\bnan\b", said)


def test_a_difference_is_concluded_only_where_the_measures_agree():
    rng = np.random.default_rng(1)
    values = rng.normal(3, 0.3, (4, 16))
    values[:, 8:] += 2
    agreed = summary_of(made_up(values))
    assert "abstract - entity: +2.1 blocks" in agreed or "abstract - entity: +2.0 blocks" in agreed
    assert "positive in 4 and negative in 0 of 4 measures: the measures agree." in agreed
    assert "positive in 128 of 128, negative in 0" in agreed and "the headline holds" in agreed
    values[2:, 8:] -= 4
    assert "positive in 2 and negative in 2 of 4 measures: the measures disagree" in summary_of(made_up(values))
