"""Which image tokens of a pair read pixels that differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.models.families import family_of
from mllm_probe.models.prompts import processed_tensors

THRESHOLD = 8
"""Largest difference of two equal pixels, of 255: what resampling and compression change."""
_ROUNDING = 1e-3
"""Levels that normalising and its inverse may lose in float32."""


def why_no_patches(model: ProbeModel, encoded: Encoded) -> str:
    """Why the pixels of each image token are not known, in words for an error; empty where they are."""
    if family_of(model.hf.config).image_queries:
        return "each of its image tokens reads the whole image"
    image = encoded.roles[0].numpy() == 1
    if not image.any():
        return "its sequence has no image tokens"
    if (encoded.patch_row[0, image] < 0).any() or encoded.image[0].max() > 0:
        return "its image tokens form no single grid"
    return ""


def why_no_pixels(model: ProbeModel, encoded: Encoded) -> str:
    """Why changed patches cannot be found, in words for an error; empty where they can."""
    why = why_no_patches(model, encoded)
    if why:
        return why
    if _image_processor(model) is None:
        return "it was wrapped without a processor, so that the normalisation of its pixels is not known"
    tensors, shape = encoded.tensors, tuple(encoded.tensors["pixel_values"].shape) if _has_pixels(encoded) else ()
    tokens = int((encoded.roles[0].numpy() == 1).sum())
    if len(shape) == 4 or (len(shape) == 5 and shape[1] == 1):
        return ""
    if len(shape) == 2 and "image_grid_thw" in tensors and shape[0] % tokens == 0:
        return ""
    return f"pixels of shape {list(shape)} are not known to lie as its image tokens do"


def changed_tokens(model: ProbeModel, one: Encoded, other: Encoded, requests: tuple[Request, Request]) -> np.ndarray:
    """Image tokens whose own pixels differ by more than ``THRESHOLD`` of 255, before normalisation.

    `one`, `other`: of a pair, with equal layout; see :func:`why_no_pixels`. `requests`: the same, to process them anew
    where the model's type holds pixels only roughly. Returns bool array [tokens].
    """
    exact = [encoded.tensors for encoded in (one, other)]
    if model.dtype.itemsize < torch.float32.itemsize:
        exact = [processed_tensors(model, [request]) for request in requests]
    first, second = (tensors["pixel_values"].float().cpu() for tensors in exact)
    image = one.roles[0].numpy() == 1
    tokens = int(image.sum())
    if first.ndim == 2:
        differs = _of_patches(model, first, second, tokens)
    else:
        rows, columns = int(one.patch_row[0].max()) + 1, int(one.patch_column[0].max()) + 1
        grid = _of_image(model, first.reshape(-1, *first.shape[-3:])[0], second.reshape(-1, *second.shape[-3:])[0])
        cells = _tiles(grid, rows, columns)
        differs = cells[one.patch_row[0, image], one.patch_column[0, image]]
    found = np.zeros(len(image), bool)
    found[image] = differs
    return found


def _of_patches(model: ProbeModel, first: Tensor, second: Tensor, tokens: int) -> np.ndarray:
    """Patches [patches, channels · …] that belong to tokens in order, as many for each."""
    channels = len(_scale(model, 3))
    apart = (first - second).abs().reshape(len(first), channels, -1).amax(-1) * _scale(model, channels)
    return (apart > THRESHOLD + _ROUNDING).any(-1).reshape(tokens, -1).any(-1).numpy()


def _of_image(model: ProbeModel, first: Tensor, second: Tensor) -> np.ndarray:
    """Pixels [height, width] of images [channels, height, width] that differ."""
    scale = _scale(model, first.shape[0])
    return ((first - second).abs() * scale[:, None, None] > THRESHOLD + _ROUNDING).any(0).numpy()


def _tiles(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Whether any pixel of each cell of a grid is set, [rows, columns]; a pixel on a border counts for both cells."""
    height, width = pixels.shape
    cells = np.zeros((rows, columns), bool)
    for r, c in np.ndindex(rows, columns):
        top, left = r * height // rows, c * width // columns
        cells[r, c] = pixels[top : -(-(r + 1) * height // rows), left : -(-(c + 1) * width // columns)].any()
    return cells


def _scale(model: ProbeModel, channels: int) -> Tensor:
    """Levels of 255 in one unit of each processed channel: processed = (level · rescale − mean) / std."""
    processor = _image_processor(model)
    std = getattr(processor, "image_std", None) if getattr(processor, "do_normalize", False) else None
    rescale = getattr(processor, "rescale_factor", 1.0) if getattr(processor, "do_rescale", False) else 1.0
    given = [1.0] * channels if std is None else [std] * channels if isinstance(std, float) else list(std)
    return torch.tensor(given) / rescale


def _image_processor(model: ProbeModel) -> Any:
    return getattr(model.processor, "image_processor", None)


def _has_pixels(encoded: Encoded) -> bool:
    return isinstance(encoded.tensors.get("pixel_values"), Tensor)
