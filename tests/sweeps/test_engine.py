"""What the engine shares, in which order it works, and how it gives way."""

import threading

import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe.sweeps as sweeps
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Limits
from mllm_probe.sweeps.scoring import Scorer
from tests.hooks import active_hooks
from tests.sweeps.helpers import encoded_pictures, forwards, random_vectors, same
from tests.zoo import tiny_llava

FAST = {"metrics": ("logprob",), "progress": False, "draws": 4}
ALL = {"progress": False, "draws": 4, "max_new_tokens": 3}


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_every_picture_is_encoded_once(tiny, pictures, tokens):
    vectors = random_vectors(tiny)
    sweeps.sweep(tiny, vectors, pictures[:1], tokens=tokens, strengths=(1,), **FAST)
    with encoded_pictures(tiny) as seen:
        grid = sweeps.sweep(tiny, vectors, pictures[:3], tokens=tokens, layers=[0, 2], strengths=(0, 1), **ALL)
    assert seen == [1] * 3
    assert grid.attrs["progress"] == 1.0 and active_hooks(tiny) == 0


def test_pictures_are_encoded_once_and_run_apart_where_they_cannot_all_be_kept(tiny, pictures, monkeypatch):
    vectors, settings = random_vectors(tiny), FAST | {"layers": [0], "strengths": (1,)}
    whole = sweeps.sweep(tiny, vectors, pictures[:3], **settings)
    monkeypatch.setattr(runner, "DEFAULT", Limits(prompt_share=1e-12))
    with encoded_pictures(tiny) as seen:
        apart = sweeps.sweep(tiny, vectors, pictures[:3], **settings)
    assert seen == [1] * 3 and apart.attrs["images_together"] == 1 < whole.attrs["images_together"]
    same(whole, apart)


def test_strength_zero_is_the_baseline(tiny, pictures):
    grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], layers=[0, 2], strengths=(0, 1), **ALL)
    zero = grid.sel(strength=0)
    for name in ("logprob", "named", "repetition"):
        there, expected = xr.broadcast(zero[name].sel(control="random"), grid[f"{name}_unsteered"])
        np.testing.assert_array_equal(there, expected.transpose(*there.dims))
    assert (zero.kl.sel(control="concept", draw=0) == 0).all()
    assert (zero.perplexity.sel(control="concept", draw=0) == 1).all() and (zero.edited == 0).all()
    assert (zero.tokens.sel(control="concept", draw=0) == grid.tokens_unsteered).all()


def test_a_tiny_dose_runs_and_gives_the_baseline(tiny, pictures):
    grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], strengths=(0, 1e-7), **ALL)
    own = grid.sel(control="concept", draw=0)
    np.testing.assert_allclose(own.logprob.sel(strength=0), own.logprob.sel(strength=1e-7), atol=1e-5)
    np.testing.assert_array_equal(own.tokens.sel(strength=0), own.tokens.sel(strength=1e-7))
    assert (own.edited.sel(strength=1e-7) > 0).all()


def test_random_directions_are_the_same_for_every_concept_and_scored_against_each(tiny, pictures):
    grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], strengths=(1,), **ALL).sel(control="random")
    assert (grid.tokens.sel(concept="cat") == grid.tokens.sel(concept="dog")).all()
    assert (grid.logprob.sel(concept="cat") != grid.logprob.sel(concept="dog")).all()
    assert (grid.logprob.sel(draw=0) != grid.logprob.sel(draw=1)).any()


def test_the_size_of_chunks_changes_nothing(tiny, pictures, monkeypatch):
    vectors = random_vectors(tiny, words={"cat": ["cat", "red star"], "dog": ["dog"]})
    settings = ALL | {"layers": [0, 2], "strengths": (0, 1)}
    whole = sweeps.sweep(tiny, vectors, pictures[:2], **settings)
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=7))
    small = sweeps.sweep(tiny, vectors, pictures[:2], **settings)
    assert small.attrs["chunk_rows"] == 7 < whole.attrs["chunk_rows"]
    same(whole, small)


def test_not_even_one_row_fits(tiny, pictures, monkeypatch):
    vectors = random_vectors(tiny)
    sweeps.sweep(tiny, vectors, pictures[:1], strengths=(1,), **FAST)

    def never(*arguments):
        raise torch.OutOfMemoryError("too much")

    monkeypatch.setattr(Scorer, "run", never)
    with pytest.raises(MemoryError, match=r"one row of this sweep does not fit.*fewer new tokens"):
        sweeps.sweep(tiny, vectors, pictures[:1], **FAST)


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_chunks_are_planned_within_the_free_memory(tiny, pictures, monkeypatch, tokens):
    vectors = random_vectors(tiny)
    whole = sweeps.sweep(tiny, vectors, pictures[:2], tokens=tokens, **FAST)
    free = 40 * whole.attrs["bytes_per_row"]
    monkeypatch.setattr(runner, "free_bytes", lambda device: free)
    tight = sweeps.sweep(tiny, vectors, pictures[:2], tokens=tokens, **FAST)
    rows = tight.attrs["chunk_rows"]
    assert 1 < rows < whole.attrs["chunk_rows"] and tight.attrs["chunks"] > whole.attrs["chunks"]
    assert tight.attrs["bytes_per_image"] + rows * tight.attrs["bytes_per_row"] <= free
    same(whole, tight)


def test_a_row_that_does_not_fit_on_the_cpu_is_not_begun(pictures, monkeypatch):
    model = tiny_llava()
    monkeypatch.setattr(runner, "free_bytes", lambda device: 1000)
    with pytest.raises(MemoryError, match="one row of this sweep does not fit on cpu"):
        sweeps.sweep(model, random_vectors(model), pictures[:2], **FAST)


def test_the_map_is_coarse_first_and_grows_to_the_sweep(tiny, pictures):
    vectors = random_vectors(tiny)
    grids = list(sweeps.sweep_iter(tiny, vectors, pictures[:2], strengths=(-1, 0, 1), **FAST))
    first = grids[0]
    assert first.attrs["images_together"] == 2
    own = first.logprob.sel(control="concept", draw=0)
    assert np.isfinite(own.sel(strength=1)).all() and np.isnan(own.sel(strength=-1)).all()
    assert np.isfinite(own.sel(strength=0)).all()
    shares = [grid.attrs["progress"] for grid in grids]
    assert shares == sorted(shares) and shares[-1] == 1
    own = grids[0].logprob.sel(control="concept", draw=0)
    assert np.isnan(own.sel(strength=-1)).all(), "a yielded grid must not change later"
    same(grids[-1], sweeps.sweep(tiny, vectors, pictures[:2], strengths=(-1, 0, 1), **FAST))


def test_closing_the_iterator_stops_and_leaves_the_model_free(tiny, pictures):
    grids = sweeps.sweep_iter(tiny, random_vectors(tiny), pictures, **FAST)
    next(grids)
    grids.close()
    assert active_hooks(tiny) == 0 and not list(grids)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(tiny.lock.held().__enter__()))
    thread.start()
    thread.join(timeout=10)
    assert taken == [None]
    tiny.lock.__init__()


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_a_chunk_in_flight_is_left_before_its_next_step(tiny, pictures, tokens):
    settings = {"draws": 4, "metrics": ("named", "kl"), "max_new_tokens": 6, "progress": False, "tokens": tokens}
    grids = sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:2], **settings)
    last, calls, closed = next(grids), [], []

    def close_in_another_thread(arguments, named):
        calls.append(len(calls))
        if len(calls) == 3:
            thread = threading.Thread(target=lambda: closed.append(grids.close()))
            thread.start()
            thread.join(timeout=10)

    with before_backbone(tiny, close_in_another_thread):
        assert not list(grids)
    assert closed == [None] and len(calls) == 3, "no forward may follow"
    assert active_hooks(tiny) == 0 and last.attrs["progress"] > 0
    assert sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], **settings).attrs["progress"] == 1


def test_an_interactive_job_goes_before_the_next_chunk(tiny, pictures):
    grids = sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:3], **FAST)
    next(grids)
    order, waiting = [], threading.Event()

    def interactive():
        waiting.set()
        with tiny.lock.held(interactive=True):
            order.append("panel")

    with tiny.lock.held():
        thread = threading.Thread(target=interactive)
        thread.start()
        waiting.wait()
        while not tiny.lock._interactive_waiting:
            waiting.wait(0.01)
    next(grids)
    order.append("chunk")
    thread.join(timeout=10)
    assert order == ["panel", "chunk"]


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_logit_metrics_never_decode(tiny, pictures, tokens):
    vectors = random_vectors(tiny)
    settings = FAST | {"metrics": ("logprob", "logit"), "answer_prefix": "", "tokens": tokens, "layers": [1]}
    sweeps.sweep(tiny, vectors, pictures[:1], strengths=(0, 1), **settings)
    with forwards(tiny) as calls:
        grid = sweeps.sweep(tiny, vectors, pictures[:1], strengths=(0, 1), **settings)
    steps = 7  # of the unsteered answer, which says whether the image is eligible
    assert len(calls) <= 3 + steps, "one call for the prompt, one for the unsteered row and one for all steered ones"
    assert "text" not in grid and np.isfinite(grid.logit.sel(control="concept", draw=0)).all()


def test_prompts_of_different_length_and_several_pictures(tiny, pictures):
    vectors = random_vectors(tiny)
    prompts = ["what do you see?", "describe the picture in one word, not two"]
    both = sweeps.sweep(tiny, vectors, [pictures[0], pictures[:2]], prompts, strengths=(1,), **FAST)
    for index, (images, prompt) in enumerate(zip([pictures[:1], [pictures[:2]]], prompts, strict=True)):
        alone = sweeps.sweep(tiny, vectors, images, prompt, strengths=(1,), **FAST)
        np.testing.assert_allclose(both.logprob.isel(sample=index), alone.logprob.isel(sample=0), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")
def test_the_grid_can_be_stored(tiny, pictures, tmp_path):
    grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], strengths=(0, 1), **ALL)
    grid.to_zarr(tmp_path / "grid.zarr", consolidated=False)
    back = xr.open_zarr(tmp_path / "grid.zarr", consolidated=False)
    xr.testing.assert_equal(back.logprob.load(), grid.logprob)
    assert (back.text.values == grid.text.values).all()
    assert back.attrs["path"].startswith("shared prefix") and back.attrs["scope"] == "last_prompt+generated"
