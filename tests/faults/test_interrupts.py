"""Ctrl-C at any step: no hook is left on the model, nothing stays exchanged or locked, and the next answer is right."""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.modules.module import register_module_forward_pre_hook

import mllm_probe as mp
from mllm_probe.activations import hooks
from mllm_probe.activations.hooks import attached, before_backbone, before_block, callbacks, replaced_blocks
from mllm_probe.decoding import attention
from mllm_probe.decoding.attention import FIELD, attention_configs, sharing_attention
from mllm_probe.models import probe_model
from tests.conftest import noise_picture, put
from tests.hooks import active_hooks
from tests.patching.plain_interchange import pairs_of
from tests.sweeps.helpers import random_vectors
from tests.zoo import tiny_llava

IMAGES = [noise_picture(seed, (32, 32)) for seed in range(4)]
STEPS = 3
Call = Callable[[Any], object]


def swept(model: Any, **changed: Any) -> Any:
    vectors = random_vectors(model, words={"cat": ["cat"], "dog": ["dog"]})
    given = {"layers": [1, 2], "strengths": (0, 1), "metrics": ("logprob", "kl", "perplexity"), "controls": ("random",),
             "draws": 4, "max_new_tokens": STEPS} | changed  # fmt: skip
    return mp.sweep(model, vectors, IMAGES[:2], progress=False, **given)


def steering(model: Any) -> Any:
    return mp.Steering(random_vectors(model).sel(concept="cat"), [1, 2], 1.0)


def steered_by_hand(model: Any) -> None:
    with mp.steer(model, steering(model)):
        model.hf.generate(**model.encode(IMAGES[:1]).tensors, max_new_tokens=STEPS)


def library() -> Any:
    return {"cat": pairs_of(IMAGES[:2], IMAGES[2:])}


CALLS: dict[str, Call] = {
    "sweep": swept,
    "sweep of image tokens": lambda model: swept(model, tokens="image", record=["projection"]),
    "patch": lambda model: mp.patch(model, library(), layers=[0, 2], controls=("identity",), progress=False),
    "capture": lambda model: mp.capture(model, IMAGES, tokens="all", steering=steering(model), batch_size=1),
    "concept_vectors": lambda model: mp.concept_vectors(model, library(), shuffled_draws=0, batch_size=1),
    "generate": lambda model: mp.generate(model, IMAGES[0], steering=steering(model), max_new_tokens=STEPS),
    "stream": lambda model: list(mp.stream(model, IMAGES[0], steering=[None, steering(model)], max_new_tokens=STEPS)),
    "steer": steered_by_hand,
}


@pytest.fixture(scope="module")
def tiny(device: str) -> Any:
    """A model of its own: what Ctrl-C leaves on it is no other test's."""
    return put(tiny_llava(), device)


class Steps:
    """Counts the calls of a model's modules and of the package's hooks; Ctrl-C comes at the one that is asked for."""

    def __init__(self, model: Any, stop_at: int | None = None) -> None:
        inner = (*model.layout.blocks, model.layout.backbone, model.layout.caller, model.layout.vision_tower)
        self.modules, self.stop_at, self.count = {id(module) for module in inner}, stop_at, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.stop_at:
            raise KeyboardInterrupt

    def before(self, module: Any, arguments: Any) -> None:
        if id(module) in self.modules:
            self.step()

    @contextmanager
    def counting(self) -> Iterator[None]:
        plain = hooks._Hook.foreign

        def foreign(hook: Any) -> bool:
            self.step()
            return plain(hook)

        handle, hooks._Hook.foreign = register_module_forward_pre_hook(self.before), foreign  # type: ignore[method-assign]
        try:
            yield
        finally:
            hooks._Hook.foreign = plain  # type: ignore[method-assign]
            handle.remove()


def state_of(model: Any) -> Any:
    """Everything that the package exchanges on a model or holds while it computes."""
    modules = list(model.hf.modules())
    return (
        [(number, id(hook)) for number, hook in callbacks(model)],
        [getattr(config, FIELD) for config in attention_configs(model)],
        [sorted(set(module.__dict__) & {"forward", "expand_kv"}) for module in modules],
        (model.lock._owner, model.lock._depth, model.lock._edits, set(model.lock._interactive_waiting)),
        model.lock._changed._is_owned(),  # type: ignore[attr-defined]
        (torch.is_grad_enabled(), torch.get_num_threads(), threading.active_count()),
    )


@cache
def answer(model: Any) -> str:
    return mp.generate(model, IMAGES[0], max_new_tokens=STEPS).text[0]


@cache
def steps_of(model: Any, name: str) -> int:
    """Steps of a call that is not interrupted; what is tried once per model is tried by the first."""
    CALLS[name](model)
    steps = Steps(model)
    with steps.counting():
        CALLS[name](model)
    return steps.count


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=4, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(moment=st.integers(0, 10**6))
def test_nothing_is_left_wherever_a_call_is_interrupted(tiny: Any, name: str, moment: int) -> None:
    expected, total = answer(tiny), steps_of(tiny, name)
    before = state_of(tiny)
    steps = Steps(tiny, 1 + moment % total)
    with steps.counting(), pytest.raises(KeyboardInterrupt):
        CALLS[name](tiny)
    assert steps.count == steps.stop_at
    assert state_of(tiny) == before and active_hooks(tiny) == 0
    assert mp.generate(tiny, IMAGES[0], max_new_tokens=STEPS).text[0] == expected


def test_a_first_sweep_is_interrupted_while_ways_are_tried(device: str) -> None:
    model = put(tiny_llava(), device)
    steps = Steps(model)
    with steps.counting():
        whole = swept(put(tiny_llava(), device))
    with torch.no_grad():  # Transformers puts hooks of its own on at the first call
        model.hf(**model.encode(IMAGES[:1]).tensors)
    before = state_of(model)
    for stop_at in (2, 30, 90):
        steps = Steps(model, stop_at)
        with steps.counting(), pytest.raises(KeyboardInterrupt):
            swept(model)
        assert state_of(model) == before
    assert swept(model).equals(whole)


@pytest.mark.parametrize("name", ["sweep", "capture"])
def test_what_a_store_holds_is_kept_and_completed(tiny: Any, name: str, tmp_path: Path) -> None:
    calls: dict[str, Callable[..., Any]] = {
        "sweep": lambda store: swept(tiny, store=store),
        "capture": lambda store: mp.capture(tiny, IMAGES, tokens="all", store=store, batch_size=1),
    }
    whole = calls[name](tmp_path / "whole.zarr").load()
    steps = Steps(tiny)
    with steps.counting():
        calls[name](tmp_path / "counted.zarr")
    for share in (0.3, 0.7):
        interrupted = Steps(tiny, int(share * steps.count))
        with interrupted.counting(), pytest.raises(KeyboardInterrupt):
            calls[name](tmp_path / "ours.zarr")
    ours = calls[name](tmp_path / "ours.zarr").load()
    assert ours.equals(whole)


FILES = {module.__file__ for module in (hooks, attention, probe_model)}


class Lines:
    """Counts the lines that run in the files that exchange something on a model; Ctrl-C comes at one of them.

    Not at a ``with`` statement itself: between a block and its ``__exit__`` Python promises nothing (bpo-29988).
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.count, self.place = stop_at, 0, ""

    @staticmethod
    def is_with(frame: FrameType) -> bool:
        return linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with ")

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line" and not self.is_with(frame):
            self.count += 1
            if self.count == self.stop_at:
                self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self

    @contextmanager
    def counting(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


def every_context(model: Any) -> None:
    """Enter and leave all that is put on a model; nothing is computed."""

    def leave(*_: Any) -> None:
        return None

    replaced: Any = {1: leave, 3: leave}
    with (
        model.lock.held(interactive=True),
        attached(model, leave, layers=["input", 0, 2], on_call=leave),
        before_block(model, leave, layers=[1]),
        before_backbone(model, leave),
        replaced_blocks(model, replaced),
        sharing_attention(model),
    ):
        pass


def test_nothing_is_left_at_any_line_of_what_is_put_on_a_model(tiny: Any) -> None:
    every_context(tiny)
    lines, before = Lines(), state_of(tiny)
    with lines.counting():
        every_context(tiny)
    assert lines.count > 150
    left = []
    for stop_at in range(1, lines.count + 1):
        one = Lines(stop_at)
        with pytest.raises(KeyboardInterrupt), one.counting():
            every_context(tiny)
        if state_of(tiny) != before:
            left.append(one.place)
            break  # the next ones would begin with what this one left
    assert left == []
