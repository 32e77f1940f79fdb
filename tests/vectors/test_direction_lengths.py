"""Lengths of vectors of any size, doses that a type can hold, and single concepts as a set of one."""

import numpy as np
import pytest
import torch
import xarray as xr

from mllm_probe.activations.device_array import DeviceIndexed, lazy, split_dimension
from mllm_probe.steering import Steering
from mllm_probe.steering.tables import longest, require_doses
from mllm_probe.vectors import vectors_from
from mllm_probe.vectors.directions import directions_of, with_concepts
from tests.sweeps.helpers import random_vectors


@pytest.mark.parametrize("factor", [1e-30, 1e-20, 1.0, 1e15, 1e25, 3e37])
def test_lengths_neither_overflow_nor_vanish(tiny, factor):
    made = random_vectors(tiny)
    expected = np.linalg.norm(made["vector"].values.astype(np.float64) * factor, axis=-1)
    scaled = made.assign(vector=made["vector"].copy(data=(made["vector"].values * factor).astype(np.float32)))
    directions = directions_of(scaled.sel(concept="cat"))
    for layer in tiny.layers:
        assert directions.length("image", layer) == pytest.approx(expected[0, 1, layer], rel=1e-5)


@pytest.mark.parametrize("unit", ["vector", "raw"])
def test_doses_beyond_the_type_of_the_model_are_refused(tiny, unit):
    vectors = vectors_from(tiny, {"a": np.ones(tiny.hidden_size)}).sel(concept="a")
    length = tiny.hidden_size**0.5
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        most = longest(dtype) / length
        require_doses(Steering(vectors, "all", 0.99 * most, unit=unit), dtype)
        with pytest.raises(ValueError, match=rf"a dose of .*layer 0.* a model in {dtype} can hold: use a smaller"):
            require_doses(Steering(vectors, "all", -1.01 * most, unit=unit), dtype)
    assert longest(torch.float16) == 65504 and longest(torch.bfloat16) == pytest.approx(1.8447e19, rel=1e-3)


def test_residual_doses_of_a_model_in_half_precision(tiny):
    vectors = random_vectors(tiny, norm=3.0).sel(concept="cat")
    require_doses(Steering(vectors, [0], 2e4), torch.float16)
    with pytest.raises(ValueError, match=r"strength 30000 in unit 'residual', layer 0"):
        require_doses(Steering(vectors, [0], 3e4), torch.float16)


@pytest.mark.parametrize("split", [False, True])
def test_a_selected_concept_is_a_set_of_one_again(tiny, split):
    made = random_vectors(tiny)
    if split:  # as of a model whose blocks are on several devices
        whole = torch.from_numpy(made["vector"].values)
        made["vector"] = lazy(made["vector"].dims, list(whole.unbind(2)))
    one, expected = with_concepts(made.sel(concept="cat")), made.sel(concept=["cat"])
    assert isinstance(one["vector"].variable._data, DeviceIndexed)
    assert (split_dimension(one["vector"]) == "layer") is split
    for name in expected.variables:
        if "concept" in expected[name].dims:
            xr.testing.assert_equal(one[name].variable.load(), expected[name].variable.load())
    assert one.attrs == made.attrs and one.concept.values.tolist() == ["cat"]
    assert with_concepts(made) is made


def test_a_concept_without_a_name_and_one_with_half_its_dimensions(tiny):
    made = random_vectors(tiny).sel(concept="dog")
    assert with_concepts(made.drop_vars(["concept", "category"])).concept.values.tolist() == ["vector"]
    half = with_concepts(made.expand_dims("concept"))
    assert half.category.dims == half.words.dims == ("concept",)
    assert half.words.values.tolist() == ['["dog"]']
