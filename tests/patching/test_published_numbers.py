"""Signs and orders of the measurements with plain hooks on the bundled model (a small form of them)."""

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe import schema

CONCEPTS = ["cat", "neon", "fear", "symmetry"]
PAIRS = 6


@pytest.fixture(scope="module")
def grid():
    model = mp.load("scenes-8l")
    library = mp.concepts.scenes(concepts=CONCEPTS, pairs=PAIRS, seed=3)
    return mp.patch(
        model, library, layers=["input", 0, 2, 4, 6, 7], groups=("changed", "image", "text", "last_prompt", "all"),
        progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def share(grid):
    return mp.recovered(grid).recovered


def test_every_pair_has_a_gap(grid):
    assert (mp.recovered(grid).n == PAIRS).all()


def test_all_positions_bring_everything_and_the_identity_nothing(share):
    np.testing.assert_allclose(share.sel(group="all", control="pair"), 1, atol=1e-3)
    assert (share.sel(control="identity") == 0).all()


def test_the_image_holds_the_concept_until_the_last_token_takes_it(share):
    image, last = (share.sel(group=group, control="pair", direction="insert") for group in ("image", "last_prompt"))
    assert (image.sel(layer=[schema.INPUT, 0]) > 0.8).all() and (abs(image.sel(layer=7)) < 0.05).all()
    assert (abs(last.sel(layer=[schema.INPUT, 0])) < 0.15).all()
    np.testing.assert_allclose(last.sel(layer=7), 1, atol=0.05)
    assert (image.diff("layer") < 0.1).all() and (last.diff("layer") > -0.1).all()
    assert (image.sel(concept="neon", layer=4) < 0.2) and (image.sel(concept="fear", layer=4) > 0.5)
    assert (last.sel(concept="neon", layer=4) > 0.8) and (last.sel(concept="fear", layer=4) < 0.6)


def test_the_question_carries_nothing(share):
    assert float(abs(share.sel(group="text", control="pair")).max()) < 0.05


def test_the_changed_patches_of_an_entity_hold_all_of_it(grid, share):
    size = grid.group_size.sel(group="changed").mean("sample")
    assert float(size.sel(concept="cat")) < 25 < 50 < float(size.sel(concept="neon"))
    early = share.sel(group="changed", direction="insert", control="pair", layer=schema.INPUT)
    assert (early > 0.75).all() and float(early.sel(concept="cat")) > 0.9


def test_controls_tell_content_from_place(share):
    inserted = share.sel(direction="insert")
    assert float(abs(inserted.sel(control="unrelated")).max()) < 0.35
    other = inserted.sel(control="other_positive", layer=schema.INPUT)
    assert (other.sel(group="image") > 0.7).all()
    assert float(other.sel(group="changed", concept="cat")) < 0.8, "the right content at the wrong place"


def test_removing_gives_the_same_order(share):
    both = [share.sel(group="image", control="pair", direction=name) for name in schema.DIRECTIONS]
    assert float(abs(both[0] - both[1]).max()) < 0.4
