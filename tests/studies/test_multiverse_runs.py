"""Abstract minus entity in every way: on made-up effects of known answer, and on a bundled model."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies import baselines, scaling_study
from mllm_probe.studies.baselines import GRIDS, contrast_in_every_way, contrasted, halves_of
from mllm_probe.studies.multiverse import HALVES, LOCALIZATION, SCALING, Multiverse

WAYS = Multiverse("abstract minus entity", "blocks", {"layers": ("best", "mean"), "scale": (1.0, -1.0)},
                  {"layers": "best", "scale": 1.0}, {"half": ("all", "first")})  # fmt: skip
CATEGORIES = ["entity"] * 8 + ["abstract"] * 8


def numbers(scale, **way):
    values = np.r_[np.arange(8) / 10, 3 + np.arange(8) / 10] * scale
    return xr.DataArray(
        values, {"concept": list("abcdefghijklmnop"), "category": ("concept", CATEGORIES)}, ("concept",)
    )


def test_the_difference_of_the_categories_is_the_verdict_and_p_is_by_permutation():
    found = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, numbers, 0)
    np.testing.assert_allclose(found.verdict, [3, -3, 3, -3])
    assert found.attrs["headline_p"] < 0.001 and found.attrs["n_units"] == 8
    assert found.attrs["curve_p"] == 1, "half of the ways say the opposite"
    one_sign = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, lambda **way: numbers(1.0), 0)
    assert one_sign.attrs["curve_p"] < 0.001 and one_sign.again.shape == (1, 4)
    same = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, lambda **way: numbers(0.0), 0)
    assert same.attrs["headline_p"] == same.attrs["curve_p"] == 1
    styled = numbers(1.0).assign_coords(category=("concept", ["visual_style", *CATEGORIES[1:]]))
    other = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, lambda **way: styled, 0, "it is a try")
    assert other.attrs["n_units"] == 7 and other.attrs["lacking"] == "it is a try"


def test_without_grids_or_concepts_nothing_is_known():
    assert np.isnan(contrast_in_every_way(WAYS, {}, numbers, 0).verdict).all()
    one = contrast_in_every_way(WAYS, {"some": xr.Dataset()}, lambda **way: numbers(1.0)[:9], 0)
    assert np.isnan(one.verdict).all() and np.isnan(one.attrs["headline_p"])


def test_eight_concepts_of_each_category_are_contrasted():
    names = [f"c{i}" for i in range(22)]
    run = SimpleNamespace(concepts=names, categories=["entity"] * 10 + ["abstract"] * 9 + ["emotion"] * 3)
    assert contrasted(run) == [*names[10:18], *names[:8]]
    run = SimpleNamespace(concepts=names[:11], categories=["entity"] * 10 + ["abstract"])
    assert contrasted(run) == []


def test_the_fixed_ways_need_the_grids_that_are_run():
    """Localization reads profiles in unit vector alone, scaling compares equal doses alone; neither has an onset."""
    needed = {f"every way, {way['scope']}, vector" for way in LOCALIZATION.ways()}
    needed |= {f"every way, {way['scope']}, residual" for way in SCALING.ways()}
    assert needed == set(GRIDS) and (len(LOCALIZATION.ways()), len(SCALING.ways())) == (8, 16)


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
    first, second = (halves_of(grids, 0)(half, control="random", **cell) for half in ("first", "second"))
    assert (
        not set(first.sample.values) & set(second.sample.values)
        and abs(first.sizes["sample"] - second.sizes["sample"]) <= 1
    )
    assert 0 < np.nanmax(abs(first.values)) <= 1
    (grid,) = grids.values()
    every = mp.effect(grid, "logprob").sel(strength=2.0)
    cell |= {"metric": "logprob", "strength": 2.0, "control": "on_manifold"}
    halves = [halves_of(grids, 0)(half, **cell) for half in ("first", "second")]
    joined = xr.concat(halves, "sample").mean("sample").reset_coords(drop=True)
    expected = every.difference_from.sel(control="on_manifold")
    xr.testing.assert_allclose(joined, expected.reset_coords(drop=True), atol=1e-5)
    xr.testing.assert_allclose(halves_of(grids, 0)("all", **cell).mean("sample").reset_coords(drop=True), joined)
    gaps = xr.DataArray([4.0, 0.3, 2.0, 1.0, 9.0], {"concept": [*grid.concept.values.tolist(), "other"]}, ("concept",))
    shares = halves_of(grids, 0, gaps)("all", **cell).mean("sample").transpose("concept", "layer").values
    in_nats = joined.transpose("concept", "layer").values
    np.testing.assert_allclose(shares[[0, 2, 3]], in_nats[[0, 2, 3]] / np.array([[4], [2], [1]]), atol=1e-6)
    assert np.isnan(shares[1]).all(), "a gap under half a nat is no unit"
    score = halves_of(grids, 0, gaps)("all", **cell | {"metric": "score"})
    xr.testing.assert_equal(score, halves_of(grids, 0)("all", **cell | {"metric": "score"}))


def test_growth_over_a_ladder_is_the_slope_per_doubling_in_shares_of_each_models_gap(grids, monkeypatch):
    """A deeper model whose every effect is twice as large, as are its gaps, steers no better."""
    (name, grid), = grids.items()  # fmt: skip
    small = Multiverse(
        "growth", "nats", {"strength": (1.0,), "scope": ("last_prompt+generated",), "metric": ("logprob",),
                           "layers": ("mean", "best")},
        {"strength": 1.0, "scope": "last_prompt+generated", "metric": "logprob", "layers": "best"},
        {"control": ("random",), "half": HALVES},
    )  # fmt: skip
    abstract = grid["category"] == "abstract"
    controls = grid["control"] != "concept"
    larger = grid.assign(logprob=grid["logprob"] + xr.where(abstract & ~controls, 2.0, 0.0))
    monkeypatch.setattr(scaling_study, "SCALING", small)

    def growth(deeper, its_gap):
        several = iter([{name: grid}, {name: deeper}])
        monkeypatch.setattr(scaling_study, "every_way", lambda run, units: next(several))
        names = grid.concept.values
        seen = [
            xr.Dataset({"gap": ("concept", np.full(len(names), gap))}, {"concept": names}) for gap in (2.0, its_gap)
        ]
        runs = [
            SimpleNamespace(model=SimpleNamespace(layers=range(blocks)), subject=SimpleNamespace(seen=one))
            for blocks, one in zip((4, 16), seen, strict=True)
        ]
        return scaling_study._in_every_way(runs, 0)

    np.testing.assert_allclose(growth(larger, 2.0).verdict, 0.5, atol=1e-5)  # 2 nats of a gap of 2 over two doublings
    surer = grid.assign({one: 2 * grid[one] for one in ("logprob", "logprob_unsteered")})
    np.testing.assert_allclose(growth(surer, 4.0).verdict, 0.0, atol=1e-5)
    assert (abs(growth(surer, 2.0).verdict) > 1e-3).all(), "in nats it would have grown"
