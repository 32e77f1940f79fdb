"""`capture`: the residual stream of images and prompts as a labelled dataset that stays on the model's device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.capture_store import ACTIVATION, DIMS, Reading, stored_capture
from mllm_probe.activations.captured_rows import CapturedRows
from mllm_probe.activations.captured_tokens import BatchTokens, token_coordinates
from mllm_probe.activations.device_array import dtype_name, lazy
from mllm_probe.activations.edits import require_one_edit
from mllm_probe.activations.free_memory import in_batches
from mllm_probe.activations.hooks import resolve_layers
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import batch_size_of, device_of
from mllm_probe.models.prompts import one_continuation_each
from mllm_probe.tokens.selection import parse_scope
from mllm_probe.typing import Attributes, Continuation, Coordinates, Edits, Images, Inputs, Layers, TokenScope


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
    images : picture or sequence
        One sample per element; a nested list is several pictures in one prompt; None with ``inputs``.
    prompt : str or sequence of str, optional
        One for all samples or one each; the model's default prompt if None.
    layers : "all", "input", int, iterable of int or "input", or slice
        Decoder blocks, -1 is the last; ``"all"`` is all of them. ``"input"`` is the input of block 0 (coordinate -1,
        relative depth 0), where text positions hold their tokens' own embeddings.
    tokens : str, sequence of str, int, sequence of int, bool array
        Scopes (``"last_prompt"``, ``"image"``, ``"text"``, ``"all"``, ``"generated"``), positions in the unpadded
        prompt (negative ones from its end), a mask [positions], a mask [patch rows, patch columns] of the picture, or
        [pictures, patch rows, patch columns] of several.
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
        (image, text, last_prompt or generated: which vector and residual norm apply there), ``image`` (which picture of
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
        require_one_edit(steering)
    requests = model.samples(images, prompt, inputs)
    texts = None if continuation is None else one_continuation_each(continuation, len(requests))
    reading = Reading(model, requests, texts, chosen, scope, steering, batch_size_of(batch_size))
    if store is not None:
        _require_no_device(device)
        attrs = _attributes(reading, images, prompt, continuation)
        return stored_capture(reading, store, _sample_coordinates(images, len(requests)), attrs)
    rows = CapturedRows(model, len(requests), chosen, None if device is None else device_of(device))
    batches = [t for _, t in in_batches(model, requests, reading.batch_size, partial(reading.read, rows), texts)]
    reading.require_finite(rows)
    return _dataset(rows, batches, reading, images, _attributes(reading, images, prompt, continuation))


def _attributes(
    reading: Reading, images: Images, prompt: str | Sequence[str] | None, continuation: Continuation
) -> Attributes:
    given = continuation if isinstance(continuation, str) else reading.texts
    facts: dict[str, Any] = {"scope": str(reading.scope), "site": schema.SITE, "continuation": given}
    if images is not None:
        facts["prompt"] = reading.model.default_prompt if prompt is None else prompt
    if reading.steering is not None:
        facts["steering"] = str(reading.steering)
    return schema.provenance(reading.model, **facts)


def _dataset(
    rows: CapturedRows, batches: list[BatchTokens], reading: Reading, images: Images, attrs: Attributes
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
    """Split and pair of pictures that have these attributes, such as those of a concept library."""
    listed = list(images) if isinstance(images, Sequence) else [images]
    known = picture_coordinates(listed) if len(listed) == samples else {}
    return {name: (schema.SAMPLE, values) for name, values in known.items()}


def picture_coordinates(pictures: Sequence[object]) -> dict[str, list[Any]]:
    """Split and pair of pictures, each where all of them have it."""
    values = {name: [getattr(picture, name, None) for picture in pictures] for name in (schema.SPLIT, schema.PAIR)}
    return {name: own for name, own in values.items() if all(isinstance(value, (str, Integral)) for value in own)}
