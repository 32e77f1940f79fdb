"""The localization study on planted truth, and what it says where there is nothing to study."""

import re

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.localization_study import MEASURES, STATISTICS, _contrasts, localization, words_of
from mllm_probe.studies.multiverse import LOCALIZATION, Labels, asked, details_of

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
    assert dict(details_of(study))["fewer than 8 concepts"] == "planted: nothing can be concluded about them"
    summary = study.attrs["summary"].splitlines()
    assert len(summary) == 3 and summary[2].startswith("Nothing is concluded: it cannot be computed in any of 8 ways")
    assert summary[1].startswith("planted (3): read out by "), "without a contrast, what is known of the categories"
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
    headline = np.where(np.isfinite(values).any(0), np.nanmean(np.where(np.isfinite(values), values, 0), 0), np.nan)
    ways = asked(LOCALIZATION, lambda **way: headline, Labels(np.array(categories) == "abstract"))
    result = xr.Dataset(data, coords, {"n_concepts": 2 * count, **ways.attrs})
    return result.merge(_contrasts(result, 0)).merge(ways).assign_attrs(result.attrs)


def said(study):
    """All that a study says, its table as lines."""
    words = words_of(study)
    return "\n".join([words["summary"], *(": ".join(row) for row in details_of(xr.Dataset(attrs=words)))])


def without(values, measures, concepts, n=0):
    """A study that lacks the numbers of some measures and concepts, of which ``n`` images count."""
    values = values.copy()
    values[np.ix_(measures, concepts)] = np.nan
    found = made_up(values)
    found["n"].values[np.ix_(measures, concepts)] = n
    return found


def test_a_contrast_that_is_not_known_says_why():
    values = np.random.default_rng(1).normal(3, 0.3, (4, 16))
    values[:, 8:] += 2
    text = said(without(values, [0, 1], range(16)))
    assert not re.search(r"\bnan\b", text)
    assert (
        "abstract - entity, interchange, insert: not known: 0 of 8 abstract concepts and 0 of 8 entity concepts have a "
        "number of blocks, and 2 of each are needed"
    ) in text
    assert (
        "entity (8): not known by interchange, insert: 8 of 8 concepts have fewer than 6 pairs whose images change the "
        "answer"
    ) in text
    one_left = said(without(values, [0], range(7), n=8))
    assert "8 of 8 abstract concepts and 1 of 8 entity concepts have a number of blocks" in one_left
    assert re.search(r"entity \(8\): read out by 3\.\d blocks, of 1 of 8 concepts \(interchange, insert\)", one_left)
    disagree = said(without(values, [0], range(8), n=8))
    assert "8 of 8 concepts have halves of the images that do not agree on a profile" in disagree


def test_a_contrast_beside_the_changed_tokens_needs_more_concepts():
    values = np.random.default_rng(1).normal(3, 0.3, (4, 4))
    values[:, 2:] += 2
    few = made_up(values).assign(changed_tokens=("concept", [1.0, 1.0, 2.0, 2.0]))
    few = few.drop_dims("contrast").merge(_contrasts(few.drop_dims("contrast"), 0)).assign_attrs(few.attrs)
    text = said(few)
    assert "beside the number of changed image tokens not known" in text
    assert not re.search(r"\bnan\b", text)


def test_the_ways_conclude_and_the_measures_are_a_table():
    values = np.random.default_rng(1).normal(3, 0.3, (4, 16))
    values[:, 8:] += 2
    asked_of, found, concluded = words_of(made_up(values))["summary"].splitlines()
    assert asked_of.startswith("Asked of 16 concepts") and concluded.startswith("Concluded")
    assert "positive in 8 of 8 ways, negative in 0; headline +1." in found and "p < .001 for all ways together" in found
    text = said(made_up(values))
    assert len(re.findall(r"abstract - entity, (interchange|steering)", text)) == 4
    assert "steering, residual: +" in text and text.count("no vote: the dose grows with the stream") == 1
    assert "agree" not in text, "measures are shown, and have no vote beside the ways"
    same = np.random.default_rng(2).normal(3, 0.3, (4, 16))
    assert "Nothing is concluded: the ways together do not differ from chance" in said(made_up(same))


def test_numbers_of_blocks_and_tokens_lie_where_such_numbers_lie(study):
    known = study.effective_layers.values[np.isfinite(study.effective_layers.values)]
    assert (known >= 1).all() and (known <= LAYERS).all()
    tokens = study.effective_tokens.values[np.isfinite(study.effective_tokens.values)]
    assert (tokens >= 1).all()
    made = made_up(np.full((4, 6), 3.0)).assign(effective_tokens=("concept", [17.0, 17.5, 18.0, 4.0, np.nan, np.nan]))
    text = said(made)
    assert (
        "entity, carried by: 17.5 [16.3, 18.7] image tokens, each exchanged by itself; a pair's images differ in"
        in text
    )
    assert "abstract, carried by: 4.0 image tokens, each exchanged by itself, of 1 of 3 concepts" in text
