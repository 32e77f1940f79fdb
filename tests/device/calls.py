"""Calls of the package that touch a device: functions of a model whose results are compared with the CPU's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.device_array import TorchAccessor
from mllm_probe.decoding.paths import NEXT_WAYS, PROMPT_WAYS
from mllm_probe.decoding.shared_prompt import Shared, SharedPrefixSpan, WholeForwards
from mllm_probe.generation.streaming import Live
from mllm_probe.models import ProbeModel
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.editor import Editor
from tests.conftest import noise_picture

SCOPES: Mapping[str, Any] = {
    "last prompt token": "last_prompt", "image tokens": "image", "text": "text", "all": "all",
    "positions": [0, 2, -1],
}  # fmt: skip
EDITED: Mapping[str, Any] = SCOPES | {"generated": "generated", "two scopes": ("image", "generated")}
OPERATIONS: Mapping[str, Mapping[str, Any]] = {
    "add": {}, "ablate": {"operation": "ablate", "strength": 0.5},
    "replace": {"operation": "replace", "strength": 0.5, "to": "b"},
    "function": {"operation": lambda hidden, direction, dose: dose[..., None] * hidden.tanh()},
}  # fmt: skip
CONTROLS = ("random", "shuffled")


@dataclass(frozen=True, eq=False)
class Subject:
    """A model on some device, with what the calls need of it.

    Parameters
    ----------
    model : ProbeModel
    concepts : int
        How many there are vectors of.
    """

    model: ProbeModel
    concepts: int = 2

    @cached_property
    def images(self) -> list[Any]:
        """Six images of noise."""
        return [noise_picture(seed) for seed in range(6)]

    @cached_property
    def vectors(self) -> xr.Dataset:
        """Vectors of all concepts."""
        return mp.concept_vectors(self.model, self.library(), shuffled_draws=2)

    def library(self) -> dict[str, Any]:
        """Concepts of three pairs each."""
        return {
            name: SimpleNamespace(
                positive=[self.images[(i + k) % 6] for k in range(3)],
                negative=[self.images[(3 - i + k) % 6] for k in range(3)],
                words=(name,), category="entity", paired=True,
            )
            for i, name in enumerate("abcd"[: self.concepts])
        }  # fmt: skip

    def steering(self, **settings: Any) -> mp.Steering:
        """Steering with the first concept at block 1."""
        arguments: dict[str, Any] = {"strength": 1.0} | settings
        if "to" in arguments:
            arguments["to"] = self.vectors.sel(concept=arguments["to"])
        return mp.Steering(self.vectors.sel(concept="a"), [1], **arguments)


Call = Callable[[Subject], Any]
CALLS: dict[str, Call] = {}
"""Name of a call → the call. What it needs of a subject beforehand is in ``PREPARED``."""


def _captures() -> None:
    for name, tokens in SCOPES.items():
        CALLS[f"capture, {name}"] = lambda s, tokens=tokens: mp.capture(s.model, s.images[:2], tokens=tokens)
    CALLS["capture, two images in a prompt"] = lambda s: mp.capture(s.model, [s.images[:2]], tokens="all")
    CALLS["capture, teacher-forced text"] = lambda s: mp.capture(s.model, s.images[:2], tokens="all", continuation="a")
    CALLS["capture, while steered"] = lambda s: mp.capture(s.model, s.images[:2], steering=s.steering())


def _accessors() -> None:
    operations: dict[str, Callable[[TorchAccessor, Subject], Any]] = {
        "mean": lambda a, s: a.mean("sample"),
        "sum": lambda a, s: a.sum(("sample", "token")),
        "norm": lambda a, s: a.norm(),
        "dot": lambda a, s: a.dot(a.mean("sample")),
        "project": lambda a, s: a.project(s.vectors.vector.sel(scope="last_prompt")),
        "cosine": lambda a, s: a.cosine(s.vectors.vector.sel(scope="last_prompt")),
        "to": lambda a, s: a.to(s.model.device),
    }
    for name, operation in operations.items():
        CALLS[f"accessor, {name}"] = lambda s, operation=operation: operation(captured(s).activation.torch, s)
    CALLS["selection by name"] = lambda s: captured(s).activation.isel(layer=[0, 2], token=0).transpose("hidden", ...)


def captured(subject: Subject) -> xr.Dataset:
    """Activations of all tokens of two images."""
    return mp.capture(subject.model, subject.images[:2], tokens="all")


def _vectors() -> None:
    for method in ("mean_difference", "pca", "probe"):
        CALLS[f"vectors, {method}"] = lambda s, method=method: mp.concept_vectors(
            s.model, s.library(), method=method, shuffled_draws=2
        )
    CALLS["vectors_from"] = lambda s: mp.vectors_from(
        s.model, {"d": np.eye(len(s.model.layers), s.model.hidden_size)}, s.images[:2]
    )
    CALLS["vectors to a file and back"] = _file


def _file(subject: Subject) -> xr.Dataset:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "v.safetensors"
        mp.save_vectors(subject.vectors, file)
        return mp.load_vectors(file, model=subject.model)


def _editors() -> None:
    for operation, settings in OPERATIONS.items():
        # Every scope with the fast arithmetic and with the general one; the other operations are affine as "add" is.
        scopes = EDITED if operation in ("add", "function") else {"two scopes": EDITED["two scopes"]}
        for scope, tokens in scopes.items():
            name = f"generate, {operation}, {scope}"
            CALLS[name] = lambda s, settings=settings, tokens=tokens: answered(s, s.steering(tokens=tokens, **settings))
        for control in CONTROLS:
            CALLS[f"generate, {operation}, control {control}"] = lambda s, settings=settings, control=control: answered(
                s, s.steering(**settings).control(control)
            )
        if operation != "function":
            CALLS[f"edit buffer, {operation}"] = partial(_buffered, settings=settings)


def answered(subject: Subject, steering: mp.Steering) -> torch.Tensor:
    """Logits of an unsteered and a steered answer of two tokens."""
    images, rows = [subject.images[0]] * 2, [None, steering]
    return mp.generate(subject.model, images, steering=rows, max_new_tokens=2).logits


def _buffered(subject: Subject, settings: Mapping[str, Any]) -> torch.Tensor:
    model = subject.model
    encoded = model.encode_samples(model.samples(subject.images[:1], None, None))
    steering = subject.steering(tokens=("last_prompt", "generated"), **settings)
    buffer = EditBuffer(model, 3, prompt=encoded)
    buffer.write([None, steering, steering.control("random")])
    with model.lock.held(), torch.no_grad():
        shared = NEXT_WAYS[1](model, encoded)
    with model.lock.held(), torch.no_grad(), buffer.attached():
        rows = shared.start(3)
        tokens = encoded.tensors["input_ids"][:, -1:].expand(3, 1)
        return torch.stack([rows.logits, rows.feed(tokens)[:, -1]])


def _ways() -> None:
    for kind in (*NEXT_WAYS, *PROMPT_WAYS, WholeForwards):
        CALLS[f"prefill and two steps, {kind.path}"] = partial(_decoded, kind=kind)


def _decoded(subject: Subject, kind: type[Shared]) -> torch.Tensor:
    model = subject.model
    encoded = model.encode_samples(model.samples(subject.images[:1], None, None))
    scope = "last_prompt" if kind in NEXT_WAYS else "image"
    rows = [None, subject.steering(tokens=(scope, "generated"))]
    editor = Editor(model, rows, prompt=encoded)
    with model.lock.held(), torch.no_grad():
        shared = kind(model, encoded)
    with model.lock.held(), torch.no_grad(), editor.attached():
        started = shared.start(2, editor.unedited_part if kind is not WholeForwards else SharedPrefixSpan())
        tokens = encoded.tensors["input_ids"][:, -1:].expand(2, 1)
        return torch.cat([started.logits[:, None], started.feed(tokens), started.feed(tokens)], 1)


def _sweeps() -> None:
    settings: dict[str, Any] = {"layers": [1, 2], "strengths": (-1, 0, 1), "max_new_tokens": 2, "progress": False}
    last, image = {"tokens": ("last_prompt", "generated")}, {"tokens": ("image", "generated")}
    metrics = ("logprob", "logit", "named", "kl", "perplexity", "tokens")
    sweeps: dict[str, dict[str, Any]] = {
        "last prompt token": {**last, "metrics": metrics, "controls": ("random",), "draws": 4},
        "image tokens": {**image, "metrics": metrics, "controls": ()},
        "recorded": {
            **last, "metrics": ("logprob",), "controls": ("random",), "draws": 4,
            "record": ("activation", "projection", "residual_norm", "logit_lens"),
        },
    }  # fmt: skip
    for name, own in sweeps.items():
        CALLS[f"sweep, {name}"] = lambda s, own=own: mp.sweep(s.model, s.vectors, s.images[:2], **settings, **own)


def _live() -> None:
    def moved(subject: Subject) -> Any:
        live = Live(subject.model, subject.images[0], None, 3, max_new_tokens=3)
        steering = subject.steering()
        return [text for _, _, text in live.run([None, steering, steering.control("random")])]

    CALLS["live job of a slider"] = moved
    for scope, tokens in {"all": "all", "last prompt token": "last_prompt"}.items():
        CALLS[f"stream, {scope}"] = lambda s, tokens=tokens: list(
            mp.stream(s.model, s.images[0], steering=s.steering(tokens=tokens), max_new_tokens=4)
        )


def _patches() -> None:
    layers: dict[str, Any] = {"a few": {"layers": ["input", 1, 2]}, "all": {}}
    for name, own in layers.items():
        CALLS[f"patch, {name} layers"] = lambda s, own=own: mp.patch(
            s.model, s.library(), metrics=("logprob", "logit"), progress=False, **own
        )
    CALLS["capture, what enters block 0"] = lambda s: mp.capture(
        s.model, s.images[:2], tokens="image", layers=["input", 0]
    )
    CALLS["sweep, what enters block 0"] = lambda s: mp.sweep(
        s.model, mp.concept_vectors(s.model, s.library(), tokens="image", layers=["input", 0], shuffled_draws=2),
        s.images[:2], tokens="image", layers=["input", 0], strengths=(1,), metrics=("logprob",), controls=("random",),
        draws=4, max_new_tokens=1, progress=False,
    )  # fmt: skip


for fill in (_captures, _accessors, _vectors, _editors, _ways, _sweeps, _live, _patches):
    fill()
