"""Captures on disk: blocks of images, each one unit of a store, run one after another and read when they are used."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.captured_rows import CapturedRows
from mllm_probe.activations.captured_tokens import BatchTokens, batch_tokens, joined_labels, token_coordinates
from mllm_probe.activations.device_array import dtype_name, host_dtype, on_host
from mllm_probe.activations.forward_pass import run_forward
from mllm_probe.activations.free_memory import in_batches, rows_that_fit
from mllm_probe.activations.not_finite import require_finite, unexplained
from mllm_probe.activations.store_places import place_of
from mllm_probe.activations.unit_dataset import dataset_of
from mllm_probe.activations.unit_store import Region, UnitStore
from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.tokens.places import find_places
from mllm_probe.tokens.selection import Scope
from mllm_probe.typing import Attributes, Coordinates, Edits, JsonObject

KIND = "capture"
ACTIVATION = "activation"
DIMS = (schema.SAMPLE, schema.LAYER, schema.TOKEN, schema.HIDDEN)
_BLOCK_BYTES, _MOST_IMAGES = 64 * 2**20, 64
"""A block is as many images as fill this on the host, and what a killed process loses at most."""


@dataclass(frozen=True)
class Reading:
    """What is read of which samples: everything that decides the numbers of a capture.

    `texts`: a continuation for each.
    """

    model: ProbeModel
    requests: list[Request]
    texts: list[Any] | None
    layers: list[int]
    scope: Scope
    steering: Edits | None
    batch_size: int | Literal["auto"]

    def part(self, rows: slice) -> tuple[list[Request], list[Any] | None]:
        """Requests and continuations of some samples."""
        return self.requests[rows], None if self.texts is None else self.texts[rows]

    def encode(self, rows: slice) -> Encoded:
        """Some samples as one batch."""
        return self.model.encode_samples(*self.part(rows))

    def read(self, captured: CapturedRows, start: int, encoded: Encoded) -> BatchTokens:
        """Run a batch and copy its activations to the rows from ``start``."""
        places = find_places(encoded, self.scope)
        with captured.writing(start, places) as write:
            run_forward(self.model, encoded, write, captured.layers, steering=self.steering)
        return batch_tokens(encoded, places)

    def require_finite(self, captured: CapturedRows, start: int = 0) -> None:
        """Raise where a captured value is NaN or infinite, naming layer and image; ``start`` is the first sample."""
        row = captured.first_not_finite()
        if row is None:
            return
        number = start + row
        require_finite(self.model, self.encode(slice(number, number + 1)), self.steering, number=number)
        raise ValueError(unexplained(self.model, f"in a batch with image {number} ({self.requests[number].id})"))


def stored_capture(reading: Reading, path: str | Path, coordinates: Coordinates, attrs: Attributes) -> xr.Dataset:
    """Run what a store lacks, block by block, and open it.

    `coordinates`: further coordinates of the samples. `attrs`: attributes of the dataset.
    """
    settings = _settings(reading)
    if place_of(path).is_free():
        store = _created(reading, path, settings, coordinates, attrs)
    else:
        store = UnitStore.open(path, KIND, settings)
    _give_back_damaged(store)
    labels = store.plan["token_labels"]
    for unit in store.unfinished():
        began = time.perf_counter()
        rows = _block(reading, store.plan, labels, int(unit))
        _write(store, int(unit), rows, time.perf_counter() - began)
    return dataset_of(store)


def _settings(reading: Reading) -> JsonObject:
    """Everything that decides the numbers, as plain values by the names of ``capture``'s parameters."""
    model, prompts = reading.model, [request.prompt for request in reading.requests]
    identity = None if reading.steering is None else getattr(reading.steering, "identity", None)
    if reading.steering is not None and identity is None:
        raise ValueError(
            f"store=: steering of type {type(reading.steering).__name__} has no attribute 'identity', a text that "
            "differs wherever its edits do, so that a store could not tell one from another."
        )
    return {
        "model": model.name,
        "weights": model.fingerprint,
        "dtype": dtype_name(model.dtype),
        "images": [request.id for request in reading.requests],
        "prompt": prompts[0] if len(set(prompts)) == 1 else prompts,
        "layers": reading.layers,
        "tokens": reading.scope.plain(),
        "steering": identity,
        "continuation": reading.texts,
        "batch_size": reading.batch_size,
    }


def _created(
    reading: Reading, path: str | Path, settings: JsonObject, coordinates: Coordinates, attrs: Attributes
) -> UnitStore:
    """Plan the blocks, encode every sample once to learn its tokens, run the first block, and write the layout."""
    began, total = time.perf_counter(), len(reading.requests)
    auto = reading.batch_size == "auto"
    size = rows_that_fit(reading.model, reading.encode(slice(1))) if auto else int(reading.batch_size)
    tokens, labels = _tokens(reading, size)
    one = len(reading.layers) * len(labels) * reading.model.hidden_size * np.dtype(np.float32).itemsize
    block = int(min(max(_BLOCK_BYTES // one, 1), _MOST_IMAGES, total))
    plan = {"images_per_block": block, "batch_size": min(size, block), "token_labels": labels}
    first = _block(reading, plan, labels, 0)
    shape = (total, len(reading.layers), len(labels), reading.model.hidden_size)
    host = np.dtype(dtype_name(host_dtype(first.dtype)))
    noted = {"long_name": schema.SITE, "dtype": dtype_name(first.dtype)}
    coords: Coordinates = schema.layer_coordinates(reading.layers, len(reading.model.layers))
    coords |= {schema.SAMPLE: [name for batch in tokens for name in batch.samples], schema.TOKEN: labels}
    coords |= token_coordinates(tokens, labels, with_steps=reading.texts is not None) | coordinates
    template = xr.Dataset({ACTIVATION: (DIMS, np.broadcast_to(np.asarray(np.nan, host), shape), noted)}, coords, attrs)
    chunks = {ACTIVATION: (block, 1, *shape[2:])}
    units = -(-total // block)
    store = UnitStore.create(path, template, chunks, kind=KIND, settings=settings, units=units, plan=plan)
    if store.plan == plan:  # another process may have been first, with other blocks
        _write(store, 0, first, time.perf_counter() - began)
    return store


def _tokens(reading: Reading, size: int) -> tuple[list[BatchTokens], list[int]]:
    """Tokens of every sample and the labels of the token axis, from encoding alone."""
    batches: list[BatchTokens] = []
    labels: list[int] = []
    for start in range(0, len(reading.requests), size):
        encoded = reading.encode(slice(start, start + size))
        batches.append(batch_tokens(encoded, find_places(encoded, reading.scope)))
        labels = joined_labels(labels, batches[-1].labels)
    return batches, labels


def _block(reading: Reading, plan: JsonObject, labels: Sequence[int], unit: int) -> CapturedRows:
    """Activations of one block of images; its batches depend on the block alone."""
    block = plan["images_per_block"]
    requests, texts = reading.part(slice(unit * block, (unit + 1) * block))
    rows = CapturedRows(reading.model, len(requests), reading.layers, labels=list(labels))
    for _ in in_batches(
        reading.model, requests, plan["batch_size"], lambda start, encoded: reading.read(rows, start, encoded), texts
    ):
        pass
    reading.require_finite(rows, unit * block)
    return rows


def _write(store: UnitStore, unit: int, rows: CapturedRows, seconds: float) -> None:
    start = unit * store.plan["images_per_block"]
    regions: list[tuple[Region, np.ndarray]] = []
    for number, layer in enumerate(rows.layers):
        place = (slice(start, start + rows.samples), slice(number, number + 1), slice(None), slice(None))
        regions.append((place, on_host(rows.of_layer(layer))[:, None]))
    device = str(rows.of_layer(rows.layers[0]).device)
    store.write(unit, {ACTIVATION: regions}, device=device, dtype=dtype_name(rows.dtype), seconds=round(seconds, 3))


def _give_back_damaged(store: UnitStore) -> None:
    """Have blocks whose chunks or markers are missing or cut short run again; contents are checked as they are read."""
    damaged = store.check(contents=False)
    for unit in damaged:
        store.give_back(unit)
    if damaged:
        warnings.warn(
            f"{len(damaged)} of {len(store.units)} blocks of {store.path} are damaged and run again: "
            f"{next(iter(damaged.values()))}.",
            stacklevel=4,
        )
