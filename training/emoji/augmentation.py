"""Altered sprites for the vision tower: shapes that it has to know by more than their colours and one artist's hand."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from mllm_probe.emoji.emoji_drawing import grown

_SWAPS = ([0, 2, 1], [1, 0, 2], [2, 1, 0])


@dataclass(frozen=True)
class Strength:
    """How a picture's sprites are altered.

    `strong`: break the style: grey, other colours, ink. `inked`: draw the sprites anew with ink lines and paler fills,
    which hides the art set they are from.
    """

    strong: bool
    inked: bool


def _bend(art: np.ndarray, g: np.random.Generator) -> np.ndarray:
    """Turn, stretch and shear a little."""
    turn, shear = g.normal(0, 0.14), g.normal(0, 0.05)
    across, down = g.uniform(0.98, 1.16, 2)
    cos, sin, middle = np.cos(turn), np.sin(turn), (len(art) - 1) / 2
    matrix = np.array([[cos, sin + shear], [-sin, cos]]) * [[across], [down]]
    shift = middle - matrix @ [middle, middle]
    numbers = (*matrix[0], shift[0], *matrix[1], shift[1])
    bent = Image.fromarray(art).convert("RGBa")
    bent = bent.transform(bent.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR)
    return np.asarray(bent.convert("RGBA"))


def _tone(colour: np.ndarray, g: np.random.Generator) -> np.ndarray:
    """Change saturation, contrast and brightness a little; float32 [side, side, 3]."""
    mean = colour.mean(-1, keepdims=True)
    colour = mean + (colour - mean) * g.uniform(0.5, 1.3)
    return (colour - 128) * g.uniform(0.8, 1.2) + 128 + g.normal(0, 10, 3).astype(np.float32)


def _grey(colour: np.ndarray, g: np.random.Generator) -> np.ndarray:
    """Take the colours away, some of the time inverted or tinted."""
    grey = (colour.mean(-1, keepdims=True) - 128) * g.uniform(0.7, 1.4) + 128
    grey = 255 - grey if g.random() < 0.3 else grey
    if g.random() < 0.5:
        grey = grey * g.uniform(0.5, 1, 3).astype(np.float32) + g.uniform(0, 80, 3).astype(np.float32)
    return np.broadcast_to(grey, colour.shape)


def _ink(colour: np.ndarray, alpha: np.ndarray, g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a dark rim, lines where brightness changes, and paler fills; colour float32, opacity uint8."""
    plain = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8)).convert("L")
    lines = grown(np.asarray(plain.filter(ImageFilter.FIND_EDGES)), 1).astype(np.float32) / 255
    lines = np.clip(lines * (alpha > 128) * 2.2, 0, 1) * (g.random() < 0.7)
    if g.random() < 0.3:
        colour = 255 - (255 - colour) * g.uniform(0, 0.5)
    wide = grown(alpha, 1 if g.random() < 0.6 else 2).astype(np.float32)
    rim = np.clip(wide - alpha, 0, 255) / 255
    return colour * (1 - lines)[..., None] * (1 - rim)[..., None], wide.astype(np.uint8)


def altered(art: np.ndarray, g: np.random.Generator, strength: Strength) -> np.ndarray:
    """Return a sprite altered at random.

    `art`: uint8 [side, side, 4]. Returns: uint8 [side, side, 4].
    """
    if g.random() < 0.4:
        art = _bend(art, g)
    colour, alpha = art[..., :3].astype(np.float32), art[..., 3]
    kind = g.random() if strength.strong else 1.0
    if kind < 0.35:
        colour = _grey(colour, g)
    elif kind < 0.5:
        colour = colour[..., g.permutation(3)]
    if strength.inked:
        colour, alpha = _ink(colour, alpha, g)
    if g.random() < 0.5:
        colour = _tone(colour, g)
    if g.random() < 0.08:
        colour = colour[..., _SWAPS[int(g.integers(3))]]
    return np.dstack([np.clip(colour, 0, 255).astype(np.uint8), alpha])
