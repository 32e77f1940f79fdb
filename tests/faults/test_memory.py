"""Running out of memory: smaller batches, and the same numbers; of a store, to rounding, which its markers tell."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

import mllm_probe as mp
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.sweeps import store_status
from tests.conftest import noise_picture
from tests.hooks import active_hooks
from tests.patching.plain_interchange import pairs_of
from tests.sweeps.helpers import random_vectors

IMAGES = [noise_picture(seed, (32, 32)) for seed in range(6)]
FLOATS = ("logprob", "kl", "perplexity", "logprob_unsteered")
SEEDS = (0, 1)


def swept(model: Any, **changed: Any) -> Any:
    vectors = random_vectors(model, words={"cat": ["cat"], "dog": ["dog"]})
    given = {"layers": [0, 2], "strengths": (-1, 0, 1), "metrics": ("logprob", "kl", "perplexity"),
             "controls": ("random",), "draws": 4, "max_new_tokens": 3} | changed  # fmt: skip
    return mp.sweep(model, vectors, IMAGES[:3], progress=False, **given).load()


CALLS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "sweep": (swept, FLOATS),
    "sweep of image tokens": (lambda model: swept(model, tokens="image", metrics=("logprob",)), FLOATS[:1]),
    "patch": (
        lambda model: mp.patch(model, {"cat": pairs_of(IMAGES[:3], IMAGES[3:])}, layers=[0, 2], progress=False),
        ("logprob",),
    ),
    "capture": (lambda model: mp.capture(model, IMAGES, tokens="all"), ("activation",)),
    "concept_vectors": (
        lambda model: mp.concept_vectors(model, {"cat": pairs_of(IMAGES[:3], IMAGES[3:])}, shuffled_draws=0),
        ("vector", "residual_norm"),
    ),
}


class LittleMemory:
    """Raises at calls ``at`` of the text model with more than two rows, and wherever there are more than ``most``.

    Two rows, a patched one and its own baseline, always fit.
    """

    def __init__(self, model: Any, at: Collection[int] = (), most: int | None = None) -> None:
        self.model, self.at, self.most = model, at, most
        self.count = self.raised = 0

    def before(self, module: Any, arguments: Any, named: Any) -> None:
        # Positions may have one line for all rows, so that other tensors do not tell how many there are.
        rows = named["inputs_embeds"].shape[0]
        if rows > 2:
            self.count += 1
            if self.count in self.at or (self.most is not None and rows > self.most):
                self.raised += 1
                raise torch.OutOfMemoryError(f"injected: {rows} rows")

    @contextmanager
    def injected(self) -> Iterator[None]:
        handle = self.model.layout.backbone.register_forward_pre_hook(self.before, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def assert_same(ours: Any, whole: Any, names: tuple[str, ...]) -> None:
    for name in names:
        np.testing.assert_allclose(ours[name].values, whole[name].values, rtol=1e-4, atol=1e-4, err_msg=name)
    for name in {"tokens", "text", "eligible", "edited"} & set(whole.data_vars):
        assert ours[name].equals(whole[name]), name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CALLS)
def test_smaller_batches_give_the_same_numbers(tiny: Any, name: str, seed: int) -> None:
    call, variables = CALLS[name]
    call(tiny)  # its ways are known
    counted = LittleMemory(tiny)
    with counted.injected():
        whole = call(tiny)
    numbers = range(1, counted.count + 1)
    memory = LittleMemory(tiny, random.Random(seed).sample(numbers, min(3, len(numbers))))
    with memory.injected():
        ours = call(tiny)
    assert memory.raised and active_hooks(tiny) == 0
    assert_same(ours, whole, variables)
    if name.startswith("sweep"):
        assert "ran out of memory" in ours.attrs["halved"] and "halved" not in whole.attrs


def test_answers_whose_perplexity_is_read_run_in_smaller_batches_too(tiny: Any) -> None:
    """Six rows are the most that ever fit; answers are read sixteen at a time where there is room."""
    whole = swept(tiny, metrics=("logprob", "perplexity"))
    memory = LittleMemory(tiny, most=6)
    with memory.injected():
        ours = swept(tiny, metrics=("logprob", "perplexity"))
    assert memory.raised > 4 and active_hooks(tiny) == 0
    assert_same(ours, whole, ("logprob", "perplexity", "logprob_unsteered"))
    assert "ran out of memory" in ours.attrs["halved"] and ours.attrs["chunk_rows"] <= 6


def test_a_store_agrees_to_rounding_and_its_markers_tell(tiny: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"metrics": ("logprob", "kl", "perplexity")}
    swept(tiny, **given)  # its ways are known
    counted = LittleMemory(tiny)
    with counted.injected():
        whole = swept(tiny, store=tmp_path / "whole.zarr", **given)
    memory = LittleMemory(tiny, {2, counted.count // 2, counted.count - 1})
    with memory.injected():
        swept(tiny, store=tmp_path / "ours.zarr", **given)
    ours = swept(tiny, store=tmp_path / "ours.zarr", **given)  # read, not run
    assert memory.raised and not store_status(tmp_path / "ours.zarr", check=True).damaged
    assert_same(ours, whole, FLOATS)
    stores = [UnitStore.open(tmp_path / name) for name in ("whole.zarr", "ours.zarr")]
    markers = [store.marker(unit) for store in stores for unit in store.units]
    assert len({marker["halved"] for marker in markers}) > 1


def test_a_captures_store_agrees_too(tiny: Any, tmp_path: Path) -> None:
    whole = mp.capture(tiny, IMAGES, tokens="all", store=tmp_path / "whole.zarr", batch_size=3)
    memory = LittleMemory(tiny, {1})
    with memory.injected(), pytest.raises(torch.OutOfMemoryError):  # a number that was asked for is kept to
        mp.capture(tiny, IMAGES, tokens="all", store=tmp_path / "ours.zarr", batch_size=3)
    ours = mp.capture(tiny, IMAGES, tokens="all", store=tmp_path / "ours.zarr", batch_size=3)
    np.testing.assert_array_equal(ours.activation.values, whole.activation.values)


def test_where_not_even_one_row_fits_the_error_says_what_to_do(tiny: Any) -> None:
    def full(module: Any, arguments: Any) -> None:
        if module is tiny.layout.blocks[1]:
            raise torch.OutOfMemoryError("injected")

    swept(tiny)  # its ways are known
    handle = register_module_forward_pre_hook(full)
    try:
        for metrics in (("logprob",), ("logprob", "kl")):
            with pytest.raises((MemoryError, torch.OutOfMemoryError)):
                swept(tiny, metrics=metrics)
    finally:
        handle.remove()
    assert active_hooks(tiny) == 0 and tiny.lock._depth == 0
    assert np.isfinite(swept(tiny).logprob.sel(control="concept", draw=0)).all()
