"""Abstract minus entity in every way: on made-up effects of known answer, and on a bundled model."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies import baselines, scaling_study
from mllm_probe.studies.baselines import GRIDS, contrast_in_every_way, contrasted, halves_of
from mllm_probe.studies.multiverse import LOCALIZATION, SCALING, Multiverse

WAYS = Multiverse("abstract minus entity", "blocks", {"half": ("first", "second"), "scale": (1.0, -1.0)},
                  {"half": "first", "scale": 1.0})  # fmt: skip
CATEGORIES = ["entity"] * 8 + ["abstract"] * 8


def numbers(scale, half):
    values = np.r_[np.arange(8) / 10, 3 + np.arange(8) / 10] * scale
    return xr.DataArray(
        values, {"concept": list("abcdefghijklmnop"), "category": ("concept", CATEGORIES)}, ("concept",)
    )


def test_the_difference_of_the_categories_is_the_verdict_and_p_is_by_permutation():
    found = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, numbers, 0)
    np.testing.assert_allclose(found.verdict, [3, -3, 3, -3])
    assert found.attrs["headline_p"] < 0.001
    same = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, lambda **way: numbers(0.0, "first"), 0)
    assert same.attrs["headline_p"] == 1


def test_without_grids_or_concepts_nothing_is_known():
    assert np.isnan(contrast_in_every_way(WAYS, {}, numbers, 0).verdict).all()
    one = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, lambda **way: numbers(1.0, "first")[:9], 0)
    assert np.isnan(one.verdict).all() and np.isnan(one.attrs["headline_p"])


def test_eight_concepts_of_each_category_are_contrasted():
    names = [f"c{i}" for i in range(22)]
    run = SimpleNamespace(concepts=names, categories=["entity"] * 10 + ["abstract"] * 9 + ["emotion"] * 3)
    assert contrasted(run) == [*names[10:18], *names[:8]]
    run = SimpleNamespace(concepts=names[:11], categories=["entity"] * 10 + ["abstract"])
    assert contrasted(run) == []


def test_the_fixed_ways_need_the_grids_that_are_run():
    for multiverse in (LOCALIZATION, SCALING):
        needed = {f"every way, {way['scope']}, {way['unit']}" for way in multiverse.ways()}
        assert needed == set(GRIDS) and len(multiverse.ways()) == 128


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=["cat", "house", "symmetry", "chaos"], pairs=16)


@pytest.fixture(scope="module")
def grids(library):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "GRIDS", ("every way, last_prompt+generated, residual",))
        return mp.studies.multiverse_grids(mp.load("scenes-4l"), library, progress=False)


def test_halves_are_different_images_and_controls_are_taken_off(grids):
    cell = {"scope": "last_prompt+generated", "unit": "residual", "metric": "score", "strength": 1.0}
    first, second = (halves_of(grids)(half, control="random", **cell) for half in ("first", "second"))
    assert (
        not set(first.sample.values) & set(second.sample.values)
        and abs(first.sizes["sample"] - second.sizes["sample"]) <= 1
    )
    assert 0 < np.nanmax(abs(first.values)) <= 1
    (grid,) = grids.values()
    every = mp.effect(grid, "logprob").sel(strength=2.0)
    halves = [halves_of(grids)(h, control="on_manifold", **cell | {"metric": "logprob", "strength": 2.0})
              for h in ("first", "second")]  # fmt: skip
    joined = xr.concat(halves, "sample").mean("sample")
    expected = every.difference_from.sel(control="on_manifold")
    xr.testing.assert_allclose(joined.reset_coords(drop=True), expected.reset_coords(drop=True), atol=1e-5)


def test_growth_over_a_ladder_is_the_slope_per_doubling(grids, monkeypatch):
    (name, grid), = grids.items()  # fmt: skip
    small = Multiverse(
        "growth", "nats", {"strength": (1.0,), "scope": ("last_prompt+generated",), "metric": ("logprob",),
                           "unit": ("residual",), "layers": ("mean", "best"), "control": ("random",),
                           "half": ("first", "second")},
        {"strength": 1.0, "scope": "last_prompt+generated", "metric": "logprob", "unit": "residual", "layers": "best",
         "control": "random", "half": "first"},
    )  # fmt: skip
    abstract = grid["category"] == "abstract"
    controls = grid["control"] != "concept"
    larger = grid.assign(logprob=grid["logprob"] + xr.where(abstract & ~controls, 2.0, 0.0))
    several = iter([{name: grid}, {name: larger}])
    monkeypatch.setattr(scaling_study, "SCALING", small)
    monkeypatch.setattr(scaling_study, "every_way", lambda run: next(several))
    runs = [SimpleNamespace(model=SimpleNamespace(layers=range(blocks))) for blocks in (4, 16)]
    found = scaling_study._in_every_way(runs, 0)
    np.testing.assert_allclose(found.verdict, 1.0, atol=1e-5)  # 2 nats over two doublings
