"""Figures of the studies: their lines are the study's numbers, with what they are compared with."""

import numpy as np
import pytest
import xarray as xr

from mllm_probe.plots import study

CATEGORIES = ["entity"] * 3 + ["abstract"] * 3
NAMES = [f"c{i}" for i in range(6)]
FACTS = {"model": "scenes-8l", "prompt": "What do you see?", "n_concepts": 6}


def dataset(data, coords, **attrs):
    with_categories = {"concept": NAMES, "category": ("concept", CATEGORIES), **coords}
    return xr.Dataset(data, with_categories, {**FACTS, **attrs})


def localization():
    values = np.random.default_rng(0).uniform(0, 1, (2, 6, 4))
    values[0, 5] = np.nan
    coords = {"measure": ["interchange, insert", "steering, vector"], "layer": np.arange(4)}
    return dataset({"read_out": (("measure", "concept", "layer"), values)}, coords, study="localization")


def reverse():
    g = np.random.default_rng(1)
    dims = ("scope", "edit_kind", "concept", "layer", "read_layer")
    change = -g.uniform(1, 2, (2, 1, 6, 2, 4))
    coords = {
        "scope": ["image", "last_prompt+generated"], "edit_kind": ["-1 residual norm"], "layer": [1, 2],
        "read_layer": np.arange(4),
    }  # fmt: skip
    data = {"change": (dims, change), "change_random": (dims, np.full(change.shape, 2.0))}
    return dataset(data, coords, study="reverse_steering", surge_above=1.2)


def reliability():
    share = np.linspace(0, 0.5, 12).reshape(6, 2)
    data = dict.fromkeys(("steerability", "anti_steerable", "anti_low", "anti_high"), (("concept", "layer"), share))
    data["anti_random"] = (("concept", "layer"), np.full((6, 2), 0.48))
    return dataset(data, {"layer": [0, 1]}, study="reliability", headline_layer=1)


def scaling():
    values = np.arange(12.0).reshape(2, 6)
    data = dict.fromkeys(("matched", "effective_layers", "best_random"), (("rung", "concept"), values))
    data["blocks"] = ("rung", [4, 8])
    coords = {"rung": ["a", "b"], "statistic": ["matched", "effective_layers"]}
    return dataset(data, coords, study="scaling")


def data(figure, name):
    (renderer,) = [one for one in figure.renderers if one.name == name]
    return renderer.data_source.data


def texts(figure):
    return " ".join(one.text for one in reversed(figure.above) if hasattr(one, "text"))


def test_lines_of_localization_are_means_over_the_concepts_that_have_a_profile():
    of = localization()
    figure = study(of)
    mean = of.read_out.sel(measure="interchange, insert").isel(concept=[3, 4]).mean("concept")
    np.testing.assert_allclose(data(figure, "mean abstract")["y"], mean)
    assert data(figure, "mean abstract")["label"][0] == "abstract (2)"
    other = study(of, measure="steering, vector")
    np.testing.assert_allclose(
        data(other, "mean entity")["y"], of.read_out.isel(measure=1, concept=slice(0, 3)).mean("concept")
    )
    assert "6 concepts" in texts(figure)


def test_reverse_steering_is_seen_against_random_directions_from_the_edited_block_on():
    of = reverse()
    drawn = data(study(of), "mean edited: block 2")
    assert drawn["x"].tolist() == [2, 3]
    expected = abs(of.change.sel(scope="last_prompt+generated").isel(edit_kind=0, layer=1)) / 2
    np.testing.assert_allclose(drawn["y"], expected.mean("concept").values[2:])
    assert "1.2" in texts(study(of, scope="image"))


def test_reliability_has_a_point_for_each_concept_and_the_share_of_random_directions():
    figure = study(reliability())
    assert data(figure, "points entity")["label"] == ["c0", "c1", "c2"]
    np.testing.assert_allclose(data(figure, "points entity")["y"], reliability().anti_steerable[:3, 1])
    assert "random directions (48%)" in texts(figure)


def test_scaling_shows_its_control_and_on_how_many_models_it_rests():
    figure = study(scaling())
    np.testing.assert_allclose(data(figure, "mean entity")["y"], [1, 7])
    assert [one for one in figure.renderers if one.name == "random"] and "rests on 2 models" in texts(figure)
    assert not [one for one in study(scaling(), statistic="effective_layers").renderers if one.name == "random"]


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(TypeError, match="expected the dataset of one of mp.studies"):
        study("localization")
    with pytest.raises(ValueError, match="expected a study"):
        study(xr.Dataset())
    with pytest.raises(ValueError, match="nothing to draw: Nothing to study"):
        study(xr.Dataset(attrs={"study": "scaling", "summary": "Nothing to study"}))
    with pytest.raises(ValueError, match="statistic: expected one of"):
        study(scaling(), statistic="luck")
    with pytest.raises(ValueError, match="chosen: expected one of measure"):
        study(localization(), scope="image")
