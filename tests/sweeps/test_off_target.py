"""What every row does to every concept: equal to plain scores, in every way of running, and through a store."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Limits
from tests.conftest import noise_picture
from tests.sweeps.helpers import random_vectors

SETTINGS = {"layers": [0, 2], "strengths": (-1, 0, 1), "draws": 4, "progress": False}


@pytest.fixture(scope="module")
def vectors(tiny):
    return random_vectors(tiny, ("cat", "tree", "red"))


@pytest.fixture(scope="module")
def pictures():
    return [noise_picture(seed) for seed in range(3)]


@pytest.fixture(scope="module", params=[("last_prompt", "generated"), "image"], ids=str)
def grid(request, tiny, vectors, pictures):
    metrics = ("logprob", "off_target")
    return sweeps.sweep(tiny, vectors, pictures, tokens=request.param, metrics=metrics, **SETTINGS)


def test_the_diagonal_is_the_concepts_own_score(grid):
    own = grid.logprob.sel(control="concept").isel(draw=0).transpose("layer", "strength", "sample", "concept")
    scored = grid.off_target.transpose("layer", "strength", "sample", "concept", "scored_concept").values
    np.testing.assert_allclose(np.diagonal(scored, axis1=-2, axis2=-1), own.values, rtol=1e-5, atol=1e-5)


def test_random_rows_and_the_unsteered_run_are_those_of_the_metric(grid):
    random = grid.logprob.sel(control="random").rename(concept="scored_concept")
    xr.testing.assert_allclose(
        grid.off_target_random.drop_vars("scored_concept"),
        random.transpose(*grid.off_target_random.dims).drop_vars(["scored_concept", "control", "category", "words"]),
    )
    np.testing.assert_allclose(grid.off_target_unsteered.values, grid.logprob_unsteered.values.T, rtol=1e-6)
    np.testing.assert_allclose(
        grid.off_target.sel(strength=0).values,
        np.broadcast_to(grid.off_target_unsteered.values, (3, 2, 3, 3)),
    )


def test_its_effect_counts_images_that_are_eligible_for_the_steered_concept(grid):
    eligible = xr.zeros_like(grid.eligible)
    eligible.loc[{"concept": "tree"}] = True
    found = mp.effect(grid.assign(eligible=eligible), "off_target").sel(layer=2, strength=1)
    assert (found.n.sel(concept="tree") == 3).all() and (found.n.sel(concept="cat") == 0).all()


def test_its_effect_on_the_own_concept_is_the_effect(grid):
    grid = grid.drop_vars("eligible")
    whole = mp.effect(grid, "off_target").sel(layer=2, strength=1)
    own = mp.effect(grid).sel(layer=2, strength=1)
    for name in ("difference", "low", "high", "value"):
        np.testing.assert_allclose(np.diag(whole[name].values), own[name].values, rtol=1e-4, atol=1e-5, err_msg=name)
    one = mp.effect(grid).sel(concept="red", layer=2, strength=1)
    others = grid.off_target.sel(concept="cat", layer=2, strength=1, scored_concept="red")
    random = grid.logprob.sel(concept="red", control="random", layer=2, strength=1).mean("draw")
    expected = float((others - random).mean())
    assert float(whole.difference.sel(concept="cat", scored_concept="red")) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(float(one.difference), abs=1e-3)
    assert whole.difference.attrs["units"] == "nats" and whole.sizes["scored_concept"] == 3
    assert {"control_mean", "control_low", "clear"} <= set(whole) and list(whole.control) == ["random"]


def test_its_effect_follows_split_and_average_and_leaves_out_rows_that_were_not_edited(grid):
    grid = grid.drop_vars("eligible")
    halves = grid.assign_coords(split=("sample", ["fit", "held_out", "fit"]))
    found = mp.effect(halves, "off_target", split="fit", average="median").sel(layer=2, strength=1)
    pictures = grid.isel(sample=[0, 2]).sel(layer=2, strength=1)
    paired = pictures.off_target - pictures.off_target_random.mean("draw")
    np.testing.assert_allclose(found.difference, paired.median("sample").transpose(*found.difference.dims), atol=1e-5)
    edited = grid.edited.copy()
    edited.loc[{"concept": "cat", "layer": 2, "strength": 1, "control": "concept"}] = 0
    found = mp.effect(grid.assign(edited=edited), "off_target")
    assert (found.n.sel(concept="cat", layer=2, strength=1) == 0).all()
    assert (found.n.sel(concept="tree", layer=2, strength=1) == 3).all()


def test_its_effect_needs_random_directions(grid):
    with pytest.raises(ValueError, match=r"without random directions.*controls=\('random', …\)"):
        mp.effect(grid.drop_vars("off_target_random"), "off_target")
    with pytest.raises(ValueError, match="no metric 'kl'; it has logprob, off_target"):
        mp.effect(grid, "kl")


def test_it_costs_no_forward(tiny, vectors, pictures):
    plans = [
        sweeps.plan(tiny, vectors, pictures, metrics=m, **SETTINGS) for m in (("logprob",), ("logprob", "off_target"))
    ]
    assert plans[0].forwards == plans[1].forwards


def test_a_stopped_store_is_completed_to_the_same_dataset(tmp_path, tiny, vectors, pictures, monkeypatch):
    given = {**SETTINGS, "metrics": ("off_target",), "controls": ("random",)}
    whole = sweeps.sweep(tiny, vectors, pictures, **given)
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=5, packed_rows=1, unit_seconds=(0, 0)))
    grids = sweeps.sweep_iter(tiny, vectors, pictures, store=tmp_path / "s", **given)
    for _ in range(8):
        next(grids)
    grids.close()
    assert 0 < sweeps.read_progress(tmp_path / "s").done < sweeps.read_progress(tmp_path / "s").total
    found = sweeps.sweep(tiny, vectors, pictures, store=tmp_path / "s", **given)
    for name in ("off_target", "off_target_random", "off_target_unsteered"):
        assert np.isfinite(found[name].values).all()
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(xr.open_zarr(tmp_path / "s")[name], found[name])


def test_without_random_directions_of_their_own_it_is_refused(tiny, vectors, pictures):
    with pytest.raises(ValueError, match="those of unit 'residual' and operation 'add'; got unit 'vector'"):
        sweeps.sweep(tiny, vectors, pictures, metrics=("off_target",), unit="vector", progress=False)
