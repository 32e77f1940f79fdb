"""The overlay's causal map: shares of single patches of a patched pair, and the way back to projections."""

from __future__ import annotations

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.vectors import concept_vectors
from mllm_probe.widgets import PatchOverlay
from mllm_probe.widgets.inside import patch_overlay as module
from mllm_probe.widgets.inside.patch_overlay import causal_map
from tests.patching.test_patch import square_pairs

SOON = 60


@pytest.fixture(scope="module")
def library():
    return {"cat": square_pairs(2)}


@pytest.fixture(scope="module")
def grid(tiny, library):
    found = mp.patch(tiny, library, layers=["input", 1, 3], groups=("image", "patches"), controls=(), progress=False)
    return found.assign_attrs(minimum_gap=1e-6)


@pytest.fixture
def overlay(tiny, library):
    vectors = concept_vectors(tiny, library, probe_accuracy=False)
    made = PatchOverlay(tiny, vectors, images=library["cat"].negative[1], concept="cat")
    assert made.wait(SOON), made.message
    return made


def values_of(overlay):
    return np.frombuffer(overlay.values, "<f4").reshape(len(overlay.layers), overlay.rows, overlay.columns)


def test_it_shows_the_share_of_every_patch(overlay, grid, library, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "capture", None)
    overlay.show_causal(grid, library["cat"].positive[0], "cat", direction="remove")
    assert overlay.wait(SOON) and overlay.status == "idle", overlay.message
    assert overlay.layers == [schema.INPUT, 1, 3] and overlay.unit == "of the difference"
    own = grid.sel(concept="cat", direction="remove", sample=0, control="pair")
    gap = float(own.logprob_source) - float(own.logprob_base.mean())
    for row, column in ((0, 0), (1, 2), (3, 1)):
        cell = own.sel(group=schema.patch_name(row, column))
        np.testing.assert_allclose(
            values_of(overlay)[:, row, column], (cell.logprob - cell.logprob_base) / gap, atol=1e-3
        )
    assert "this patch alone brings all of the difference (remove)" in overlay.meaning
    assert overlay.shown["concept"] == "cat" and overlay.picture.startswith(b"\x89PNG")
    overlay.layer = schema.INPUT
    overlay.to_svg(tmp_path / "map.svg")
    assert "layer input" in (tmp_path / "map.svg").read_text()


def test_another_image_brings_the_projection_back(overlay, grid, library):
    before = values_of(overlay).copy()
    overlay.show_causal(grid, library["cat"].positive[0])
    assert overlay.wait(SOON), overlay.message
    overlay.layer = schema.INPUT
    overlay.images = library["cat"].negative[1]
    assert overlay.wait(SOON) and overlay.status == "idle", overlay.message
    assert overlay.layers == [0, 1, 2, 3] and overlay.layer == 0 and overlay.unit == "× mean difference"
    np.testing.assert_allclose(values_of(overlay), before, atol=1e-5)


def test_without_vectors_the_map_goes_with_its_image(tiny, grid, library):
    overlay = PatchOverlay(tiny, images=library["cat"].negative[0])
    overlay.show_causal(grid, library["cat"].negative[0], "cat")
    assert overlay.wait(SOON) and overlay.concepts == ["cat"] and overlay.values, overlay.message
    overlay.images = library["cat"].negative[1]
    assert overlay.wait(SOON) and overlay.status == "idle" and not overlay.values, overlay.message
    assert overlay.layers == [0, 1, 2, 3]


def test_what_is_no_map_is_refused(overlay, tiny_mrope, grid, library, pictures):
    image = library["cat"].positive[0]
    with pytest.raises(ValueError, match="holds no single patches: run mp.patch"):
        overlay.show_causal(grid.sel(group=["image"]), image)
    with pytest.raises(ValueError, match="the image is none of pair 1 of 'cat'"):
        overlay.show_causal(grid, image, "cat", 1)
    with pytest.raises(ValueError, match="sample 7 is not in the grid of mp.patch; it has 0, 1"):
        overlay.show_causal(grid, image, "cat", 7)
    with pytest.raises(ValueError, match="concept 'dog' is not in the grid of mp.patch; it has cat"):
        overlay.show_causal(grid, image, "dog")
    with pytest.raises(ValueError, match=r"differ by .*, less than 99 \('minimum_gap'\)"):
        overlay.show_causal(grid.assign_attrs(minimum_gap=99), image)
    with pytest.raises(ValueError, match="the grid of mp.patch were made with|the grid of mp.patch was|made with"):
        overlay.show_causal(grid.assign_attrs(weights="other"), image)
    with pytest.raises(ValueError, match="lacks variable 'logit'"):
        causal_map(grid, "cat", 0, "insert", "logit")
