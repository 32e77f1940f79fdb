"""Pictures in the form in which a family takes them at every call, so that they are encoded once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mllm_probe.models.families import family_of
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.probe_model import ProbeModel

_PIXELS = ("pixel_values", "flattened_patches")


@torch.no_grad()
def with_pictures_encoded(model: ProbeModel, encoded: Encoded) -> Encoded:
    """A sample whose pixels are replaced by what the vision tower made of them, for families that want it so.

    Parameters
    ----------
    model : ProbeModel
    encoded : Encoded
        One sample.

    Returns
    -------
    Encoded
        The same where the family decodes without its picture (nearly all do), and where there is none.
    """
    name = family_of(model.hf.config).encoded_picture
    given = next((n for n in _PIXELS if n in encoded.tensors), None)
    if not name or given is None:
        return encoded
    tensors = dict(encoded.tensors)
    pixels = tensors.pop(given)
    tensors[name] = _images(model, pixels) if given == "pixel_values" and pixels.ndim == 5 else _features(model, pixels)
    return replace(encoded, tensors=tensors)


def _images(model: ProbeModel, pixels: Tensor) -> Tensor:
    """Output of the vision tower [rows, images, patches, width] for pixels [rows, images, channels, height, width]."""
    tower: Any = model.layout.vision_tower
    found: Tensor = tower(pixel_values=pixels.flatten(0, 1).to(model.dtype)).last_hidden_state
    return found.unflatten(0, pixels.shape[:2])


def _features(model: ProbeModel, pixels: Tensor) -> Tensor:
    """Image features as they enter the text model, [rows, image tokens, width]."""
    hf: Any = model.hf
    found: Tensor = hf.get_image_features(pixels).pooler_output
    return found
