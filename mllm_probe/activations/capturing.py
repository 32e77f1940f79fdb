"""`capture`: the residual stream of images and prompts as a labelled dataset that stays on the model's device."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.captured_rows import CapturedRows
from mllm_probe.activations.device_array import dtype_name, lazy
from mllm_probe.activations.edits import require_one_edit
from mllm_probe.activations.forward_pass import run_forward
from mllm_probe.activations.free_memory import in_batches
from mllm_probe.activations.hooks import resolve_layers
from mllm_probe.models import Encoded, ProbeModel, require_model
from mllm_probe.models.argument_checks import batch_size_of, device_of
from mllm_probe.models.prompts import one_continuation_each
from mllm_probe.tokens.places import ABSENT, Places, as_coordinate, companions, find_places
from mllm_probe.tokens.selection import Scope, parse_scope
from mllm_probe.typing import Continuation, Edits, Images, Inputs, Layers, TokenScope


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

    Returns
    -------
    xarray.Dataset
        ``activation`` (sample, layer, token, hidden) in the model's type, on its device or on ``device`` (one tensor
        per layer for a sharded model). Coordinates: ``relative_depth`` (layer); ``token_text``, ``role``, ``kind``
        (image, text, last_prompt or generated: which vector and residual norm apply there), ``image`` (which picture of
        the prompt an image token belongs to, 0 is the first, -1 for other tokens), ``patch_row`` and ``patch_column``
        in it (and ``step`` with a continuation), each (token) where all samples agree and (sample, token) where they do
        not. ``token`` is the position in the unpadded prompt, -1 for the last prompt token alone. A sample that lacks a
        position others have holds NaN there and has the role ``"padding"``.

    Raises
    ------
    ValueError
        If a layer, scope, position or device does not exist, or a sample has no token of the scope.
    MemoryError
        Before anything is computed, if the activations do not fit; it says how many samples, layers or tokens would.

    Examples
    --------
    >>> acts = mp.capture(model, pictures, tokens="image", layers=[2, 4])
    >>> acts.activation.torch.norm("hidden").mean("token")
    """
    require_model(model)
    batch_size = batch_size_of(batch_size)
    chosen, scope = resolve_layers(layers, len(model.layers)), parse_scope(tokens)
    if steering is not None:
        require_one_edit(steering)
    requests = model.samples(images, prompt, inputs)
    texts = None if continuation is None else one_continuation_each(continuation, len(requests))
    rows = CapturedRows(model, len(requests), chosen, None if device is None else device_of(device))

    def read(start: int, encoded: Encoded) -> tuple[Encoded, Places]:
        places = find_places(encoded, scope)
        with rows.writing(start, places) as write:
            run_forward(model, encoded, write, rows.layers, steering=steering)
        return encoded, places

    records = [record for _, record in in_batches(model, requests, batch_size, read, texts)]
    return _dataset(model, rows, records, scope, images, prompt, continuation, steering)


def _dataset(
    model: ProbeModel,
    rows: CapturedRows,
    records: list[tuple[Encoded, Places]],
    scope: Scope,
    images: Images,
    prompt: str | Sequence[str] | None,
    continuation: Continuation,
    steering: Edits | None,
) -> xr.Dataset:
    dims = (schema.SAMPLE, schema.LAYER, schema.TOKEN, schema.HIDDEN)
    units = {"long_name": schema.SITE, "dtype": dtype_name(rows.dtype)}
    coords: dict[Any, Any] = schema.layer_coordinates(rows.layers, len(model.layers))
    coords |= {
        schema.SAMPLE: [name for encoded, _ in records for name in encoded.sample_ids],
        schema.TOKEN: rows.labels,
    }
    coords |= _token_coordinates(rows, records, with_steps=continuation is not None)
    coords |= _sample_coordinates(images, len(coords[schema.SAMPLE]))
    facts: dict[str, Any] = {"scope": str(scope), "site": schema.SITE, "continuation": continuation}
    if images is not None:
        facts["prompt"] = model.default_prompt if prompt is None else prompt
    if steering is not None:
        facts["steering"] = str(steering)
    activation = lazy(dims, rows.data(), attrs=units, made_by="capture")
    return xr.Dataset({"activation": activation}, coords=coords, attrs=schema.provenance(model, **facts))


def _token_coordinates(
    rows: CapturedRows, records: list[tuple[Encoded, Places]], with_steps: bool
) -> dict[str, tuple[Any, np.ndarray]]:
    slots = {label: slot for slot, label in enumerate(rows.labels)}
    columns: dict[str, list[np.ndarray]] = {}
    for encoded, places in records:
        for name, values in companions(encoded, places).items():
            whole = np.full((encoded.rows, len(slots)), ABSENT[name], dtype=object)
            whole[:, [slots[label] for label in places.labels]] = values
            columns.setdefault(name, []).append(whole)
    if not with_steps:
        columns.pop(schema.STEP)
    coords: dict[str, tuple[Any, np.ndarray]] = {}
    for name, parts in columns.items():
        table = as_coordinate(name, np.concatenate(parts))
        agree = bool((table == table[:1]).all())
        coords[name] = (schema.TOKEN, table[0]) if agree else ((schema.SAMPLE, schema.TOKEN), table)
    return coords


def _sample_coordinates(images: Images, samples: int) -> dict[str, tuple[str, list[Any]]]:
    """Split and pair of pictures that have these attributes, such as those of a concept library."""
    listed = list(images) if isinstance(images, Sequence) else [images]
    known = picture_coordinates(listed) if len(listed) == samples else {}
    return {name: (schema.SAMPLE, values) for name, values in known.items()}


def picture_coordinates(pictures: Sequence[object]) -> dict[str, list[Any]]:
    """Split and pair of pictures, each where all of them have it."""
    values = {name: [getattr(picture, name, None) for picture in pictures] for name in (schema.SPLIT, schema.PAIR)}
    return {name: own for name, own in values.items() if all(isinstance(value, (str, Integral)) for value in own)}
