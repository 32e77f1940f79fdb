"""Where an effect peaks among the layers and over how many it spreads, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mllm_probe.studies.clear_cells import spread_over_layers

NAN = np.nan
LAYERS = [2, 5, 9, 11]


def effect(*profiles, **variables):
    """An effect (concept, layer, strength) with one profile for each concept, at one strength."""
    dims = ("concept", "layer", "strength")
    data = {"difference": (dims, np.array(profiles, float)[..., None], {"units": "nats"}), **variables}
    layers = LAYERS[: len(profiles[0])]
    coords = {"concept": [f"c{i}" for i in range(len(profiles))], "layer": layers, "strength": [1.0]}
    depths = [(layer + 1) / 12 for layer in layers]
    return xr.Dataset(data, coords).assign_coords(relative_depth=("layer", depths))


@pytest.mark.parametrize(
    ("profile", "peak", "ratio"),
    [
        ((0, 2, 2, 0), 5, 2),
        ((1, 1, 1, 1), 2, 4),
        ((0, 0, 3, 0), 9, 1),
        ((1, 2, 0, 0), 5, 9 / 5),
        ((-1, -3, NAN, 0), 5, 16 / 10),
        ((0.1, -3, 0.2, -1), 5, 16 / 10),
        ((2, NAN, NAN, -2), 2, 1),
        ((0, 0, np.inf, 4), 11, 1),
        ((0, NAN, 0, 0), NAN, NAN),
        ((NAN, NAN, NAN, NAN), NAN, NAN),
    ],
)
def test_peak_and_participation_ratio(profile, peak, ratio):
    spread = spread_over_layers(effect(profile)).isel(concept=0, strength=0)
    assert spread["peak_layer"].item() == pytest.approx(peak, nan_ok=True)
    assert spread["participation_ratio"].item() == pytest.approx(ratio, nan_ok=True)


def test_every_concept_and_strength_has_its_own_and_the_mean_leaves_out_what_was_not_run():
    spread = spread_over_layers(effect((0, 2, 2, 0), (4, NAN, 0, NAN)).transpose("strength", "layer", "concept"))
    assert spread["peak_layer"].sel(strength=1.0, concept=["c0", "c1"]).values.tolist() == [5, 2]
    np.testing.assert_array_equal(spread["mean_over_concepts"].sel(strength=1.0), [2, 2, 1, 0])
    assert spread["mean_over_concepts"]["relative_depth"].values.tolist() == [0.25, 0.5, 10 / 12, 1.0]
    assert [spread[name].attrs.get("units") for name in spread] == [None, "layers", "nats"]
    empty = spread_over_layers(effect((0, NAN), (4, NAN)))["mean_over_concepts"].isel(strength=0)
    np.testing.assert_array_equal(empty, [2, NAN])


def test_an_effect_at_one_strength_and_from_another_control():
    dims = ("concept", "layer", "strength", "control")
    both = np.array([[[[0, 1]], [[2, 1]]]], float)
    data = effect((0, 2), difference_from=(dims, both)).assign_coords(control=["random", "shuffled"])
    one = data.isel(strength=0)
    assert spread_over_layers(one)["participation_ratio"].values.tolist() == [1]
    assert spread_over_layers(one, "shuffled")["participation_ratio"].values.tolist() == [2]
    with pytest.raises(ValueError, match="no control 'on_manifold'; it has random, shuffled"):
        spread_over_layers(one, "on_manifold")


def test_without_layers_nothing_peaks():
    spread = spread_over_layers(effect((0, 2, 2, 0)).isel(layer=[]))
    assert np.isnan(spread["peak_layer"]).all() and np.isnan(spread["participation_ratio"]).all()


def test_what_is_no_effect_is_refused():
    with pytest.raises(ValueError, match="lacks variable 'difference'"):
        spread_over_layers(effect((0, 2)).rename(difference="logprob"))
