"""`capture`: the residual stream of images and prompts as a labelled dataset, on the model's device or on disk."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.captured_rows import (
    BatchTokens,
    CapturedRows,
    batch_tokens,
    joined_labels,
    token_coordinates,
)
from mllm_probe.activations.device_array import dtype_name, host_dtype, lazy, on_host
from mllm_probe.activations.device_memory import in_batches, rows_that_fit
from mllm_probe.activations.hooks import require_single_edit, resolve_layers, run_forward
from mllm_probe.activations.not_finite import require_finite, unexplained
from mllm_probe.activations.store_places import place_of
from mllm_probe.activations.unit_store import Region, UnitStore, dataset_of
from mllm_probe.models import Encoded, ProbeModel, Request, require_model
from mllm_probe.models.argument_checks import batch_size_of, device_of
from mllm_probe.models.prompts import continuation_per_sample
from mllm_probe.tokens.selection import Scope, find_places, parse_scope
from mllm_probe.typing import (
    Attributes,
    Continuation,
    Coordinates,
    Edits,
    Images,
    Inputs,
    JsonObject,
    Layers,
    TokenScope,
)

KIND = "capture"
ACTIVATION = "activation"
DIMS = (schema.SAMPLE, schema.LAYER, schema.TOKEN, schema.HIDDEN)
_BLOCK_BYTES, _MOST_IMAGES = 64 * 2**20, 64
"""A block is as many images as fill this on the host, and what a killed process loses at most."""


@dataclass(frozen=True)
class CaptureInputs:
    """Layers and samples that are read: everything that decides the numbers of a capture.

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


def stored_capture(reading: CaptureInputs, path: str | Path, coordinates: Coordinates, attrs: Attributes) -> xr.Dataset:
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


def _settings(reading: CaptureInputs) -> JsonObject:
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
    reading: CaptureInputs, path: str | Path, settings: JsonObject, coordinates: Coordinates, attrs: Attributes
) -> UnitStore:
    """Plan the blocks, encode every sample once to learn its tokens, run the first block, and write the layout."""
    began, total = time.perf_counter(), len(reading.requests)
    auto = reading.batch_size == "auto"
    size = rows_that_fit(reading.model, reading.encode(slice(1))) if auto else int(reading.batch_size)
    tokens, labels = _tokens(reading, size)
    image_bytes = len(reading.layers) * len(labels) * reading.model.hidden_size * np.dtype(np.float32).itemsize
    block = int(min(max(_BLOCK_BYTES // image_bytes, 1), _MOST_IMAGES, total))
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


def _tokens(reading: CaptureInputs, size: int) -> tuple[list[BatchTokens], list[int]]:
    """Tokens of every sample and the labels of the token axis, from encoding alone."""
    batches: list[BatchTokens] = []
    labels: list[int] = []
    for start in range(0, len(reading.requests), size):
        encoded = reading.encode(slice(start, start + size))
        batches.append(batch_tokens(encoded, find_places(encoded, reading.scope)))
        labels = joined_labels(labels, batches[-1].labels)
    return batches, labels


def _block(reading: CaptureInputs, plan: JsonObject, labels: Sequence[int], unit: int) -> CapturedRows:
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


def capture(
    model: ProbeModel,
    images: Images,
    prompt: str | Sequence[str] | None = None,
    layers: Layers = "all",
    tokens: TokenScope = "last_prompt",
    steering: Edits | None = None,
    continuation: Continuation = None,
    batch_size: int | Literal["auto"] = "auto",
    *,
    inputs: Inputs = None,
    device: str | torch.device | None = None,
    store: str | Path | None = None,
) -> xr.Dataset:
    """Read the residual stream after decoder blocks while the model reads images and prompts.

    Parameters
    ----------
    model : ProbeModel
    images : image or sequence
        One sample per element; a nested list is several images in one prompt; None with ``inputs``.
    prompt : str or sequence of str, optional
        One for all samples or one each; the model's default prompt if None.
    layers : "all", "input", int, iterable of int or "input", or slice
        Decoder blocks, -1 is the last; ``"all"`` is all of them. ``"input"`` is the input of block 0 (coordinate -1,
        relative depth 0), where text positions hold their tokens' own embeddings.
    tokens : str, sequence of str, int, sequence of int, bool array
        Scopes (``"last_prompt"``, ``"image"``, ``"text"``, ``"all"``, ``"generated"``), positions in the unpadded
        prompt (negative ones from its end), a mask [positions], a mask [patch rows, patch columns] of the image, or
        [images, patch rows, patch columns] of several.
    steering : Steering or Composition, optional
        Edits applied while reading; an edited block is read after its edit.
    continuation : str, sequence of str or sequence of token ids, optional
        Text after the prompt, teacher-forced; its tokens are the scope ``"generated"``. One for all samples, or one
        each; a text may be given as a list of token ids.
    batch_size : int or "auto"
        Samples per forward pass; "auto" plans against the free memory and halves when a GPU runs out.
    inputs : dict of Tensor or list of such dicts, optional
        Tensors already processed, in place of images and prompt.
    device : str or torch.device, optional
        Where the activations are kept, such as ``"cpu"``: they are moved there batch by batch. By default they stay on
        the devices of their blocks.
    store : str or Path, optional
        A folder to which the activations are written block by block of images, for captures larger than memory: a Zarr
        group that ``xarray.open_zarr`` reads at any moment. The same call again goes on where it was stopped and runs
        no block twice; several processes may fill one store. Another model, other images or settings are refused by
        name. Every prompt is encoded once before the first block, without running the model, to learn the tokens of
        all samples.

    Returns
    -------
    xarray.Dataset
        ``activation`` (sample, layer, token, hidden) in the model's type, on its device or on ``device`` (one tensor
        per layer for a sharded model). Coordinates: ``relative_depth`` (layer); ``token_text``, ``role``, ``kind``
        (image, text, last_prompt or generated: which vector and residual norm apply there), ``image`` (which image of
        the prompt an image token belongs to, 0 is the first, -1 for other tokens), ``patch_row`` and ``patch_column``
        in it (and ``step`` with a continuation), each (token) where all samples agree and (sample, token) where they do
        not. ``token`` is the position in the unpadded prompt, -1 for the last prompt token alone. A sample that lacks a
        position others have holds NaN there and has the role ``"padding"``. With ``store=`` the values stay on the
        disk and are read each time they are used, so that selections and ``for`` loops over samples need little memory.

    Raises
    ------
    ValueError
        If a layer, scope, position or device does not exist, a sample has no token of the scope, or ``store`` holds
        something else, other settings or (when it is read) damaged values. If an activation is NaN or infinite: the
        error names the first layer and image, and whether the weights hold NaN.
    OSError
        If the store cannot be written.
    MemoryError
        Before anything is computed, if the activations do not fit; it says how many samples, layers or tokens would.

    Examples
    --------
    >>> acts = mp.capture(model, pictures, tokens="image", layers=[2, 4])
    >>> acts.activation.torch.norm("hidden").mean("token")
    >>> acts = mp.capture(model, pictures, tokens="all", store="acts.zarr")
    """
    require_model(model)
    chosen, scope = resolve_layers(layers, len(model.layers)), parse_scope(tokens)
    if steering is not None:
        require_single_edit(steering)
    requests = model.samples(images, prompt, inputs)
    texts = None if continuation is None else continuation_per_sample(continuation, len(requests))
    reading = CaptureInputs(model, requests, texts, chosen, scope, steering, batch_size_of(batch_size))
    if store is not None:
        _require_no_device(device)
        attrs = _attributes(reading, images, prompt, continuation)
        return stored_capture(reading, store, _sample_coordinates(images, len(requests)), attrs)
    rows = CapturedRows(model, len(requests), chosen, None if device is None else device_of(device))
    batches = [t for _, t in in_batches(model, requests, reading.batch_size, partial(reading.read, rows), texts)]
    reading.require_finite(rows)
    return _dataset(rows, batches, reading, images, _attributes(reading, images, prompt, continuation))


def _attributes(
    reading: CaptureInputs, images: Images, prompt: str | Sequence[str] | None, continuation: Continuation
) -> Attributes:
    given = continuation if isinstance(continuation, str) else reading.texts
    facts: dict[str, Any] = {"scope": str(reading.scope), "site": schema.SITE, "continuation": given}
    if images is not None:
        facts["prompt"] = reading.model.default_prompt if prompt is None else prompt
    if reading.steering is not None:
        facts["steering"] = str(reading.steering)
    return schema.provenance(reading.model, **facts)


def _dataset(
    rows: CapturedRows, batches: list[BatchTokens], reading: CaptureInputs, images: Images, attrs: Attributes
) -> xr.Dataset:
    units = {"long_name": schema.SITE, "dtype": dtype_name(rows.dtype)}
    coords: Coordinates = schema.layer_coordinates(rows.layers, len(reading.model.layers))
    coords |= {schema.SAMPLE: [name for batch in batches for name in batch.samples], schema.TOKEN: rows.labels}
    coords |= token_coordinates(batches, rows.labels, with_steps=reading.texts is not None)
    coords |= _sample_coordinates(images, rows.samples)
    return xr.Dataset({ACTIVATION: lazy(DIMS, rows.data(), attrs=units, made_by="capture")}, coords=coords, attrs=attrs)


def _require_no_device(device: object) -> None:
    if device is not None:
        raise ValueError(
            "device= keeps activations in memory and store= on the disk: give one of them. "
            "mp.activations.open_zarr(store, device=…) brings a stored capture to a device."
        )


def _sample_coordinates(images: Images, samples: int) -> Coordinates:
    """Split and pair of images that have these attributes, such as those of a concept library."""
    listed = list(images) if isinstance(images, Sequence) else [images]
    known = image_coordinates(listed) if len(listed) == samples else {}
    return {name: (schema.SAMPLE, values) for name, values in known.items()}


def image_coordinates(pictures: Sequence[object]) -> dict[str, list[Any]]:
    """Split and pair of images, each where all of them have it."""
    values = {name: [getattr(image, name, None) for image in pictures] for name in (schema.SPLIT, schema.PAIR)}
    return {
        name: column for name, column in values.items() if all(isinstance(value, (str, Integral)) for value in column)
    }
