"""How many images of other kinds are called unlike those of the vectors, on a bundled model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import mllm_probe as mp

SIDE = 224
KINDS = ("held-out scenes", "noise", "one colour", "parts of photographs", "emoji", "inverted scenes")


def measure(name: str = "scenes-8l", pairs: int = 24) -> dict[str, tuple[int, int]]:
    """By kind of image, how many there are and how many of them are called unlike."""
    model, library = mp.load(name), mp.concepts.scenes(pairs=pairs)
    fit, held_out = library.split(seed=0)
    vectors = mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False)
    scenes = [picture.image for picture in held_out.pictures[:: max(1, len(held_out.pictures) // 200)]]
    groups = dict(zip(KINDS, (scenes, *_others(scenes)), strict=True))
    return {
        kind: (len(images), int(mp.vectors.likeness(model, vectors, images)["unlike"].sum()))
        for kind, images in groups.items()
    }


def _others(scenes: Sequence[Image.Image]) -> list[list[Image.Image]]:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(20)]
    plain = [Image.new("RGB", (64, 64), tuple(rng.integers(0, 256, 3).tolist())) for _ in range(20)]
    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    parts = [one.crop((x, y, x + SIDE, y + SIDE)) for one in photographs for x in (0, 200, 400) for y in (0, 200)]
    emoji = [picture.image for picture in mp.concepts.emoji(concepts=["cat", "house", "happy"], pairs=8).pictures]
    inverted = [Image.fromarray(255 - np.asarray(scene)) for scene in scenes[::8]]
    return [noise, plain, parts, emoji, inverted]
