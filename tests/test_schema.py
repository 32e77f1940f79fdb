"""Every dataset of the package has the dimensions that the schema defines, and no others."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe import schema


@pytest.fixture(scope="module")
def vectors(tiny, pictures) -> xr.Dataset:
    g = np.random.default_rng(1)
    return mp.vectors_from(
        tiny, {"a": g.normal(size=tiny.hidden_size).astype(np.float32)}, images=pictures[:2], words={"a": ["a"]}
    )


def test_datasets_have_only_defined_dimensions(tiny, pictures, vectors):
    grid = mp.sweep(
        tiny,
        vectors,
        pictures[:2],
        strengths=(1.0,),
        draws=4,
        metrics=("logprob",),
        record=("projection",),
        progress=False,
    )
    out = mp.generate(tiny, pictures[0], steering=mp.Steering(vectors.sel(concept="a"), layers=[0]), max_new_tokens=2)
    datasets = {
        "capture": mp.capture(tiny, pictures[:2], tokens="all"),
        "vectors": vectors,
        "grid": grid,
        "effect": mp.effect(grid, "logprob"),
        "receipt": out.receipt.to_dataset(),
    }
    for name, dataset in datasets.items():
        assert set(dataset.dims) <= set(schema.DIMENSIONS), name


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"the grid lacks variable .named., dimension .layer.; it has variables"):
        schema.require(xr.Dataset({"a": ("step", [1.0])}), "named", dims=("layer",), what="the grid")


def test_vectors_of_another_model_are_refused_by_both_names(tiny, vectors):
    other = vectors.assign_attrs(model="another", weights="0000")
    with pytest.raises(ValueError, match=f"another .weights 0000.*{tiny.fingerprint}"):
        schema.require_same_model(other, tiny)
