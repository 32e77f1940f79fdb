import numpy as np
import pytest
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations import lazy
from mllm_probe.plots import vector_geometry
from mllm_probe.plots.geometry import cosines

NAMES = ["cat", "neon", "awe"]


@pytest.fixture
def vectors():
    return measured_vectors()


def measured_vectors():
    """Directions of three concepts at two scopes and four layers, with shuffled ones, from random numbers."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(3, 2, 4, 16, generator=generator)
    shuffled = torch.randn(3, 2, 8, 4, 16, generator=generator)
    dims = (schema.CONCEPT, schema.SCOPE, schema.LAYER)
    quality = np.broadcast_to(np.array([0.2, 0.6, 0.9, 0.8]), (3, 2, 4)).copy()
    return xr.Dataset(
        {
            "vector": lazy((*dims, schema.HIDDEN), vector),
            "shuffled": lazy((schema.CONCEPT, schema.SCOPE, schema.DRAW, schema.LAYER, schema.HIDDEN), shuffled),
            "split_half_cosine": (dims, quality),
            "probe_accuracy": (dims, 0.5 + quality / 2),
        },
        coords=schema.layer_coordinates(range(4), 4)
        | {
            schema.CONCEPT: NAMES,
            schema.CATEGORY: (schema.CONCEPT, ["entity", "visual_style", "emotion"]),
            schema.SCOPE: ["last_prompt", "image"],
        },
        attrs={"model": "scenes-8l", "prompt": "what do you see ?"},
    )


def renderers(layout):
    left, right = layout.children
    figures = [left.children[1], *right.children]
    return {one.name: one for figure in figures for one in figure.renderers}, left.children[0], figures


def test_the_map_shows_cosines_of_the_chosen_layer_and_scope(vectors):
    found, menu, figures = renderers(vector_geometry(vectors, scope="image", layer=1))
    own = vectors["vector"].sel(scope="image", layer=1).values
    own = own / np.linalg.norm(own, axis=1, keepdims=True)
    cells = found["cosines"].data_source.data
    assert np.allclose(np.reshape(cells["cosine"], (3, 3)), own @ own.T, atol=1e-6)
    assert list(cells["x"][:3]) == NAMES and list(cells["y"][:3]) == ["cat"] * 3
    assert menu.value == "1" and menu.options == ["0", "1", "2", "3"]
    assert any("scope image" in getattr(title, "text", "") for title in figures[0].above)


def test_by_default_the_most_reliable_layer_is_shown(vectors):
    assert renderers(vector_geometry(vectors))[1].value == "2"


def test_reliability_stands_beside_its_controls(vectors):
    found, _, (_, reliability, probe) = renderers(vector_geometry(vectors))
    shuffled = found["band shuffled"].data_source.data
    own = vectors["vector"].sel(scope="last_prompt").values[:, None]
    control = vectors["shuffled"].sel(scope="last_prompt").values
    cosine = (own * control).sum(-1) / np.linalg.norm(own, axis=-1) / np.linalg.norm(control, axis=-1)
    assert np.allclose(shuffled["mean"], cosine.mean((0, 1)), atol=1e-6)
    assert np.all(np.array(shuffled["low"]) < shuffled["mean"]) and np.all(
        np.array(shuffled["high"]) > shuffled["mean"]
    )
    lines = [one for one in reliability.renderers if one.name == "cat"]
    assert np.allclose(lines[0].data_source.data["y"], [0.2, 0.6, 0.9, 0.8])
    assert found["chance"] in probe.renderers and set(found["chance"].data_source.data["y"]) == {0.5}


def test_cosines_work_where_layers_are_separate_tensors():
    parts = [torch.randn(3, 16) for _ in range(2)]
    array = xr.DataArray(lazy((schema.CONCEPT, schema.LAYER, schema.HIDDEN), parts))
    assert np.allclose(cosines(array)[1], torch.cosine_similarity(parts[1][:, None], parts[1], -1).numpy(), atol=1e-6)


def test_missing_controls_scope_and_layer_raise(vectors):
    with pytest.raises(ValueError, match="not drawn without their control: expected variable 'shuffled'"):
        vector_geometry(vectors.drop_vars("shuffled"))
    with pytest.raises(ValueError, match="scope 'text' is not in the vectors; they have last_prompt, image"):
        vector_geometry(vectors, scope="text")
    with pytest.raises(ValueError, match="layer 7 is not in the vectors; they have layers 0, 1, 2, 3"):
        vector_geometry(vectors, layer=7)
    with pytest.raises(ValueError, match="the vectors lacks variable 'split_half_cosine'|lacks variable"):
        vector_geometry(vectors.drop_vars("split_half_cosine"))
