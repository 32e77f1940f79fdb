"""Images in the form in which a family takes them at every call, so that they are encoded once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mllm_probe.activations.hooks import before_backbone
from mllm_probe.models.families import family_of
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import CallArguments


class _PictureIsSeenError(Exception):
    """Raised where the text model is called with the image, to leave it."""


_PIXELS = ("pixel_values", "flattened_patches")


@torch.no_grad()
def with_pictures_encoded(model: ProbeModel, encoded: Encoded) -> Encoded:
    """A sample whose pixels are replaced by the vision tower's features, for families that need an image at each step.

    `encoded`: one sample. Returns the same where the family decodes without its image (nearly all do), and where there
    is none.
    """
    name = family_of(model.hf.config).encoded_picture
    pixels = next((n for n in _PIXELS if n in encoded.tensors), None)
    if not name or pixels is None:
        return encoded
    tensors = {n: value for n, value in encoded.tensors.items() if n != pixels}
    by_step = family_of(model.hf.config).picture_each_step
    picture = _images(model, encoded.tensors[pixels]) if by_step else _given_to_text(model, encoded, name)
    return replace(encoded, tensors=tensors | {name: picture})


def _images(model: ProbeModel, pixels: Tensor) -> Tensor:
    """Output of the vision tower [rows, images, patches, width] for pixels [rows, images, channels, height, width]."""
    tower: Any = model.layout.vision_tower
    features: Tensor = tower(pixel_values=pixels.flatten(0, 1).to(model.dtype)).last_hidden_state
    return features.unflatten(0, pixels.shape[:2])


def _given_to_text(model: ProbeModel, encoded: Encoded, name: str) -> Tensor:
    """Image features as the text model is given them, [rows, image tokens, width]."""
    features: list[Tensor] = []

    def note(_: tuple[object, ...], named: CallArguments) -> None:
        features.append(named[name])
        raise _PictureIsSeenError

    with before_backbone(model, note), suppress(_PictureIsSeenError):
        model.hf(**encoded.tensors, use_cache=False)
    return features[0]
