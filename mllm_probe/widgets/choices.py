"""What a panel offers to choose from: pictures as small PNGs with a name, and the words of each concept."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from PIL import Image

from mllm_probe.concepts import ConceptLibrary, Picture, scenes
from mllm_probe.models.images import as_image

SIDE = 320
_MOST = 24
_DRAWN_SEED = 10_007


def pictures_from(images: Any = None) -> list[Any]:
    """List the pictures to choose from.

    Parameters
    ----------
    images : optional
        One picture, several, or a concept library (the first 24 of its pictures). Without it, drawn scenes.
    """
    if images is None:
        images = scenes(concepts=("cat", "house", "tree", "star"), pairs=2, seed=_DRAWN_SEED)
    if isinstance(images, ConceptLibrary):
        concepts = list(images.values())
        images = [c.negative[i] for i in range(_MOST) for c in concepts if i < len(c.negative)][:_MOST]
    if not isinstance(images, Sequence) or isinstance(images, str):
        images = [images]
    if not images:
        raise ValueError("the panel needs at least one picture; `images` is empty.")
    return list(images)


def described(images: Sequence[Any]) -> list[dict[str, Any]]:
    """Make what the front-end shows: for each picture its ``label`` and a ``png`` of at most 320 pixels a side."""
    return [{"label": _label(image, i), "png": _png(as_image(image))} for i, image in enumerate(images)]


def _label(image: Any, index: int) -> str:
    labels = image.labels if isinstance(image, Picture) else None
    about = f": {', '.join(sorted(labels))}" if labels else ""
    return f"picture {index + 1}{about}"


def _png(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return buffer.getvalue()


def words_of(vectors: xr.Dataset) -> Mapping[str, list[str]]:
    """Words that name each concept of a vectors dataset; the concept's own name where it does not say."""
    names = [str(name) for name in vectors["concept"].values]
    if "words" not in vectors:
        return {name: [name.replace("_", " ")] for name in names}
    words = [json.loads(str(text)) for text in vectors["words"].values]
    return {name: [str(word) for word in own] for name, own in zip(names, words, strict=True)}
