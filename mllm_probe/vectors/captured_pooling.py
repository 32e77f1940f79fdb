"""Pooled activations and residual norms from a capture, read a few images and one layer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm.auto import tqdm

from mllm_probe import schema
from mllm_probe.activations.device_array import on_host, tensor_of
from mllm_probe.activations.zarr_store import open_zarr
from mllm_probe.models import ProbeModel, Request
from mllm_probe.tokens.kinds import KINDS
from mllm_probe.vectors.pooling import NormSample, OnBatch, Progress, is_text_alone

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
        there = self.data[schema.LAYER].values.tolist()
        if lacking := [layer for layer in layers if layer not in there]:
            raise ValueError(
                f"activations: captured at layers {schema.layer_names(there)}, not at {schema.layer_names(lacking)}; "
                "capture these too, or choose others with layers=."
            )
        self._places = [there.index(layer) for layer in layers]
        self.rows = np.empty(0, int)

    def prompt(self, asked: str | None) -> str | None:
        """The prompt of the capture, which is what is asked for or None."""
        there = self.data.attrs.get("prompt")
        own = next(iter(set(there))) if isinstance(there, list) and len(set(there)) == 1 else there
        if asked is not None and asked != own:
            raise ValueError(f"prompt: the activations were captured with {own!r}; got {asked!r}.")
        return own if isinstance(own, str) else None

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
        """What :func:`mllm_probe.vectors.pooling.pool` gives, without a forward pass.

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
        return np.array([[sample.median for sample in own] for own in samples])

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
        one = self.data.sizes[schema.TOKEN] * self.data.sizes[schema.HIDDEN] * np.dtype(np.float32).itemsize
        step = int(min(max(_READ_BYTES // one, 1), _MOST_IMAGES))
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
