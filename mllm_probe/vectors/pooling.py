"""Pooled activations: one forward pass per image, or a capture that is read one layer at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm.auto import tqdm

from mllm_probe import schema
from mllm_probe.activations.device_array import on_host, stacked_on_host, tensor_of
from mllm_probe.activations.device_memory import in_batches
from mllm_probe.activations.hooks import run_forward
from mllm_probe.activations.not_finite import require_finite, unexplained
from mllm_probe.activations.zarr_store import open_zarr
from mllm_probe.concepts.concept import Sentence
from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.tokens.positions import KINDS, of_encoded
from mllm_probe.tokens.selection import Scope

_MOST_NORMS = 1 << 19

OnBatch = Callable[[int, dict[int, Tensor]], None]
Progress = bool | Callable[[int, int], object]
"""True for a progress bar, or a function of the numbers of finished and of all images, called after every batch."""


@dataclass
class NormSample:
    """Residual norms seen at one layer and kind of position; their median is the residual norm.

    Every norm is kept up to half a million; beyond, every second, fourth … one, evenly over the images.
    """

    kept: list[np.ndarray] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, norms: np.ndarray) -> None:
        """Add the norms of one batch."""
        # `−seen mod stride` goes on with the count of the batches before, so that norms are kept evenly
        # over all of them.
        self.kept.append(norms[-self.seen % self.stride :: self.stride].astype(np.float32))
        self.seen += len(norms)
        if sum(map(len, self.kept)) > _MOST_NORMS:
            self.kept = [np.concatenate(self.kept)[::2]]
            self.stride *= 2

    @property
    def median(self) -> float:
        """Median of all norms, NaN without any."""
        return float(np.median(np.concatenate(self.kept))) if sum(map(len, self.kept)) else float("nan")


def pool(
    model: ProbeModel,
    requests: Sequence[Request],
    scopes: Sequence[str],
    layers: Sequence[int],
    on_batch: OnBatch,
    batch_size: int | Literal["auto"] = "auto",
    progress: Progress = False,
) -> np.ndarray:
    """Run every request once; average its activations over each scope and measure residual norms.

    `scopes`: of ``vector_scopes()``.
    `on_batch`: ``on_batch(start, pooled)`` with the number of the first request and, for each layer, a float32 tensor
        [batch, scopes, hidden] on the layer's device, all of it finite.
    `batch_size`: "auto" plans against the free memory and halves when a GPU runs out.
    `progress`: show a bar, or call this with how many requests are done and how many there are; an error of it ends the
        run.

    Returns float array [layers, len(KINDS) + 1]: residual norm: the median ‖h‖ over the positions of each kind, and
    last over all that are neither padding nor special. NaN where a prompt has no such position. Raises ValueError if an
    activation is NaN or infinite; the error names the first layer and image.
    """
    samples = {layer: [NormSample() for _ in range(len(KINDS) + 1)] for layer in layers}
    batches = in_batches(model, requests, batch_size, lambda _, encoded: _pool_batch(model, encoded, scopes, layers))
    with tqdm(total=len(requests), disable=progress is not True, unit="image", desc="vectors") as bar:
        for part, (pooled, norms, places) in batches:
            lengths = stacked_on_host([norms[layer] for layer in layers])
            _require_finite(model, requests, part, lengths)
            on_batch(part.start, pooled)
            for layer, values in zip(layers, lengths, strict=True):
                for sample, place in zip(samples[layer], places, strict=True):
                    sample.add(values[place])
            bar.update(part.stop - part.start)
            if callable(progress):
                progress(part.stop, len(requests))
    return np.array([[sample.median for sample in samples[layer]] for layer in layers])


def _require_finite(model: ProbeModel, requests: Sequence[Request], part: slice, lengths: np.ndarray) -> None:
    """Raise where a norm [layers, rows, positions] of a batch is not finite, so that nothing is averaged with it."""
    wrong = ~np.isfinite(lengths).all((0, 2))
    if not wrong.any():
        return
    number = part.start + int(wrong.argmax())
    require_finite(model, model.encode_samples([requests[number]]), number=number)
    raise ValueError(unexplained(model, f"in a batch with image {number} ({requests[number].id})"))


def _pool_batch(
    model: ProbeModel, encoded: Encoded, scopes: Sequence[str], layers: Sequence[int]
) -> tuple[dict[int, Tensor], dict[int, Tensor], list[np.ndarray]]:
    """Pooled activations and norms of every layer for one batch, and masks of each kind of position."""
    where = of_encoded(encoded)
    everyone = np.arange(where.lines)
    masks = np.stack([Scope(names=(scope,)).select(where, everyone) for scope in scopes], 1)
    shares = torch.from_numpy(masks / masks.sum(-1, keepdims=True)).float()
    padding = torch.from_numpy(~where.real)
    pooled: dict[int, Tensor] = {}
    norms: dict[int, Tensor] = {}

    @functools.cache
    def on(device: torch.device) -> tuple[Tensor, Tensor]:
        return shares.to(device), padding.to(device)[..., None]

    some_padding = bool(padding.any())

    def read(layer: int, hidden: Tensor) -> None:
        exact = hidden.float()
        local_shares, local_padding = on(hidden.device)
        if some_padding:
            # Padding may hold NaN or infinity, which weight 0 does not take away (0 · NaN is NaN).
            exact = exact.masked_fill(local_padding, 0)
        pooled[layer] = torch.einsum("bst,btd->bsd", local_shares, exact)
        norms[layer] = exact.norm(dim=-1)

    run_forward(model, encoded, read, list(layers))
    last = np.arange(where.columns)[None] == where.last[:, None]
    text, image = where.has_role("text"), where.has_role("image")
    return pooled, norms, [last, image, text, text | image]


def as_requests(model: ProbeModel, pictures: Sequence[Any], prompt: str | None) -> list[Request]:
    """One request per image; dicts are processed tensors, and sentences come before the prompt."""
    if pictures and isinstance(pictures[0], dict):
        return [request for image in pictures for request in model.samples(None, inputs=image)]
    requests = model.samples(list(pictures), prompt)
    return [_with_sentence(image, request) for image, request in zip(pictures, requests, strict=True)]


def is_text_alone(request: Request) -> bool:
    """Whether a request has no image and no processed tensors."""
    return not request.images and request.inputs is None


def _with_sentence(image: object, request: Request) -> Request:
    source = getattr(image, "source", None)
    return Request(prompt=f"{source.text} {request.prompt}") if isinstance(source, Sentence) else request


_READ_BYTES, _MOST_IMAGES = 64 * 2**20, 64
_ACTIVATION = "activation"


class CapturedActivations:
    """A capture in place of forward passes.

    `activations`: what ``capture`` gave, or the path of its store. `scopes`: of ``vector_scopes()``. Raises ValueError
    if it was captured from another model or while steering, or lacks a scope or layer.
    """

    def __init__(
        self, activations: xr.Dataset | str | Path, model: ProbeModel, scopes: Sequence[str], layers: Sequence[int]
    ) -> None:
        self.data = activations if isinstance(activations, xr.Dataset) else open_zarr(activations)
        schema.require(self.data, _ACTIVATION, dims=(schema.SAMPLE, schema.LAYER, schema.TOKEN), what="activations")
        schema.require_same_model(self.data, model, "these activations")
        self.scopes, self.layers, self.device = tuple(scopes), list(layers), model.device
        self.captured = set(str(self.data.attrs.get("scope")).split("+"))
        self._require_unsteered()
        self._require_scopes()
        captured = self.data[schema.LAYER].values.tolist()
        if lacking := [layer for layer in layers if layer not in captured]:
            raise ValueError(
                f"activations: captured at layers {schema.layer_names(captured)}, not at {schema.layer_names(lacking)}"
                "; capture these too, or choose others with layers=."
            )
        self._places = [captured.index(layer) for layer in layers]
        self.rows = np.empty(0, int)

    def prompt(self, asked: str | None) -> str | None:
        """The prompt of the capture, which is what is asked for or None."""
        prompts = self.data.attrs.get("prompt")
        prompt = next(iter(set(prompts))) if isinstance(prompts, list) and len(set(prompts)) == 1 else prompts
        if asked is not None and asked != prompt:
            raise ValueError(f"prompt: the activations were captured with {prompt!r}; got {asked!r}.")
        return prompt if isinstance(prompt, str) else None

    def select(self, requests: Sequence[Request]) -> None:
        """Find the samples of requests by their content.

        Raises ValueError if images were not captured, or images were captured with several prompts.
        """
        first: dict[str, int] = {}
        for row, name in enumerate(self.data[schema.SAMPLE].values.tolist()):
            first.setdefault(name, row)
        if lacking := [request.id for request in requests if request.id not in first]:
            raise ValueError(
                f"activations: {len(lacking)} of the {len(requests)} images of the library were not captured, "
                f"{lacking[0]} the first: capture library.pictures."
            )
        several = self.prompt(None) is None and isinstance(self.data.attrs.get("prompt"), list)
        if several and not all(map(is_text_alone, requests)):
            raise ValueError("activations: the images were captured with several prompts; vectors are made with one.")
        self.rows = np.array([first[request.id] for request in requests])

    def pool(self, on_batch: OnBatch, progress: Progress = False) -> np.ndarray:
        """Result of :func:`mllm_probe.vectors.pooling.pool`, without a forward pass.

        Norms of kinds that were not captured whole are NaN.
        """
        samples = [[NormSample() for _ in range(len(KINDS) + 1)] for _ in self.layers]
        with tqdm(total=len(self.rows), disable=progress is not True, unit="image", desc="vectors") as bar:
            for part in self._parts():
                rows = self.rows[part]
                pooled, places = {}, self._kinds(rows)
                for index, layer in enumerate(self.layers):
                    exact = self._read(rows, index)
                    pooled[layer] = self._pooled(exact, rows)
                    norms = on_host(exact.norm(dim=-1))
                    self._require_finite(norms, layer, rows)
                    for sample, place in zip(samples[index], places, strict=True):
                        sample.add(norms[place])
                on_batch(part.start, pooled)
                bar.update(len(rows))
                if callable(progress):
                    progress(part.stop, len(self.rows))
        return np.array([[sample.median for sample in row] for row in samples])

    def _require_finite(self, norms: np.ndarray, layer: int, rows: np.ndarray) -> None:
        """Raise where a norm [rows, tokens] is not finite; a capture checks its values, so they came from elsewhere."""
        wrong = ~np.isfinite(norms).all(-1)
        if wrong.any():
            name = self.data[schema.SAMPLE].values[rows[int(wrong.argmax())]]
            raise ValueError(
                f"activations: {schema.site_name(layer)} holds NaN or infinity for image {name}; capture it again, "
                "with the model in bfloat16 or float32."
            )

    def pooled_layer(self, index: int) -> np.ndarray:
        """Pooled activations of every request at one layer, float32 [requests, scopes, hidden]."""
        parts = [
            on_host(self._pooled(self._read(rows, index), rows)) for rows in map(self.rows.__getitem__, self._parts())
        ]
        return np.concatenate(parts)

    def _parts(self) -> Iterator[slice]:
        image_bytes = self.data.sizes[schema.TOKEN] * self.data.sizes[schema.HIDDEN] * np.dtype(np.float32).itemsize
        step = int(min(max(_READ_BYTES // image_bytes, 1), _MOST_IMAGES))
        for start in range(0, len(self.rows), step):
            yield slice(start, min(start + step, len(self.rows)))

    def _read(self, rows: np.ndarray, index: int) -> Tensor:
        """Activations [rows, tokens, hidden] of one layer, float32 on the model's device; 0 where there is no token."""
        chosen = slice(rows[0], rows[-1] + 1) if (np.diff(rows) == 1).all() else rows
        array = self.data[_ACTIVATION].isel({schema.LAYER: self._places[index], schema.SAMPLE: chosen})
        exact = tensor_of(array.transpose(schema.SAMPLE, schema.TOKEN, schema.HIDDEN)).to(self.device).float()
        absent = torch.from_numpy(~self._real(rows)).to(self.device)
        return exact.masked_fill(absent[..., None], 0)

    def _pooled(self, exact: Tensor, rows: np.ndarray) -> Tensor:
        masks = np.stack([self._mask(scope, rows) for scope in self.scopes], 1)
        shares = torch.from_numpy(masks / masks.sum(-1, keepdims=True)).float().to(exact.device)
        return torch.einsum("bst,btd->bsd", shares, exact)

    def _kinds(self, rows: np.ndarray) -> list[np.ndarray]:
        """Positions of each kind, and those of text and images; none where not all of them were captured."""
        masks = [self._mask(kind, rows) & self._has(kind) for kind in KINDS]
        text, image = self._mask("text", rows), self._mask("image", rows)
        return [*masks, (text | image) & (self._has("text") and self._has("image"))]

    def _mask(self, scope: str, rows: np.ndarray) -> np.ndarray:
        real = self._real(rows)
        if scope == "all":
            return real
        if scope == "last_prompt":
            return real & (self._table(schema.KIND, rows) == scope)
        return real & (self._table(schema.ROLE, rows) == scope)

    def _real(self, rows: np.ndarray) -> np.ndarray:
        return (self._table(schema.ROLE, rows) != "padding") & (self._table(schema.KIND, rows) != "generated")

    def _table(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A companion of the token axis [rows, tokens]."""
        values = self.data[name]
        if schema.SAMPLE in values.dims:
            return np.asarray(values.transpose(schema.SAMPLE, schema.TOKEN).values[rows])
        return np.broadcast_to(values.values, (len(rows), values.size))

    def _has(self, scope: str) -> bool:
        return bool(self.captured & {scope, "all"})

    def _require_unsteered(self) -> None:
        if steered := self.data.attrs.get("steering"):
            raise ValueError(f"activations: captured while steering ({steered}); vectors are made without.")

    def _require_scopes(self) -> None:
        lacking = [scope for scope in self.scopes if not self._has(scope)]
        if lacking:
            raise ValueError(
                f"activations: captured at {self.data.attrs.get('scope')}, which does not hold every token of "
                f"'{lacking[0]}': capture tokens={self.scopes!r} or 'all', or choose others with tokens=."
            )
