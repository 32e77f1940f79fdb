"""Drawing an emoji scene in a visual style: a scene and a size give an image, the same one every time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from mllm_probe.emoji.emoji_scene import COLOURS, EmojiScene, layout
from mllm_probe.emoji.lexicon import ART_STYLES, sprite
from mllm_probe.emoji.lexicon import SIDE as SPRITE_SIDE
from mllm_probe.scenes.placement import Placed, random_of
from mllm_probe.scenes.rendering import THINGS
from mllm_probe.scenes.scene import SIDE, Colour, brightness

INK: Colour = (35, 35, 45)
CHALK: Colour = (225, 235, 250)
PAPER: Colour = (252, 252, 250)
_KEPT = 1536
"""Processed sprites that are kept, 50 kB each."""
_MARGIN = 8
"""Pixels around a processed sprite, for rims and halos."""
_PIXELS = 32
_LEVELS = 9
_DARK = 115.0
_GROUND_PART, _CELLS = 6, 8


def _float(colour: Colour) -> np.ndarray:
    return np.array(colour, np.float32)


def _spread(image: np.ndarray, reach: int, combine: np.ufunc) -> np.ndarray:
    for _ in range(2):  # down the rows, then, transposed, along them
        padded = np.pad(image, ((reach, reach), (0, 0)), mode="edge")
        spread = padded[: len(image)].copy()
        for start in range(1, 2 * reach + 1):
            combine(spread, padded[start : start + len(image)], out=spread)
        image = np.ascontiguousarray(spread.T)
    return image


def grown(opacity: np.ndarray, reach: int) -> np.ndarray:
    """Return the largest value within `reach` pixels to each side: what Pillow's MaxFilter does, some times faster."""
    return _spread(opacity, reach, np.maximum)


def shrunk(opacity: np.ndarray, reach: int) -> np.ndarray:
    """Return the smallest value within `reach` pixels to each side."""
    return _spread(opacity, reach, np.minimum)


def _edges(art: np.ndarray) -> np.ndarray:
    """Return how strongly each pixel lies on a line, 0 to 1: the contour and edges of colour inside it."""
    alpha = art[..., 3]
    rim = grown(alpha, 2).astype(np.float32) - shrunk(alpha, 1)
    inside = shrunk(alpha, 2).astype(np.float32) / 255
    colour = Image.fromarray(art[..., :3]).filter(ImageFilter.GaussianBlur(0.7))
    flat = np.asarray(colour, np.float32)
    steep = np.zeros(flat.shape[:2], np.float32)
    steep[1:-1, 1:-1] = np.maximum(
        np.abs(flat[2:, 1:-1] - flat[:-2, 1:-1]), np.abs(flat[1:-1, 2:] - flat[1:-1, :-2])
    ).max(-1)
    return np.maximum(rim / 255, np.clip((steep - 18) / 50, 0, 1) * inside)


def _rgba(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    pixels = np.dstack([colour, alpha * 255])
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _outline(art: np.ndarray) -> np.ndarray:
    """Ink lines on white."""
    line = _edges(art)[..., None]
    return _rgba(_float(PAPER) * (1 - line) + _float(INK) * line, np.maximum(line[..., 0], art[..., 3] / 255))


def _blueprint(art: np.ndarray) -> np.ndarray:
    """Chalk lines on a faint fill."""
    line = _edges(art)
    return _rgba(np.broadcast_to(_float(CHALK), art.shape[:2] + (3,)), np.maximum(line, art[..., 3] / 255 * 0.13))


def _neon(art: np.ndarray) -> np.ndarray:
    """Glowing lines in the sprite's own colours, made bright and full."""
    line = _edges(art)
    near = Image.fromarray(art).convert("RGBa").filter(ImageFilter.GaussianBlur(3)).convert("RGBA")
    colour = np.asarray(near, np.float32)[..., :3]
    low, high = colour.min(-1, keepdims=True), colour.max(-1, keepdims=True)
    full = (colour - low) / np.maximum(high - low, 1) * 215 + 40
    grey = np.clip((high - low - 15) / 30, 0, 1)
    full = full * grey + _float((110, 240, 235)) * (1 - grey)
    halo = (
        np.asarray(Image.fromarray((line * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4)), np.float32) / 255
    )
    core = np.clip(line * 1.4 - 0.4, 0, 1)[..., None] * 0.35
    return _rgba(full * (1 - core) + 255 * core, np.clip(np.maximum(line, halo * 1.1), 0, 1))


_PROCESS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "outline": _outline,
    "blueprint": _blueprint,
    "neon": _neon,
}


@lru_cache(maxsize=_KEPT)
def _processed(icon: str, style: str, source: str) -> np.ndarray:
    return _PROCESS[style](np.pad(sprite(icon, source), ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))))


def styled_sprite(icon: str, style: str, source: str) -> np.ndarray:
    """Return the sprite of an icon in any style.

    `source`: art set of which a processed style is made. Returns: uint8 [side, side, 4], read only: 96 pixels, and a
    margin around it where the style has rims or halos. Pictures in pixels take the plain sprite: `finish` works on the
    whole picture.
    """
    if style in ART_STYLES:
        return sprite(icon, style)
    return _processed(icon, style, source) if style in _PROCESS else sprite(icon, source)


def tone(scene: EmojiScene) -> np.ndarray:
    """Return the mean colour of the ground, float32 [3]."""
    shift = random_of(scene, _GROUND_PART).normal(0, 9, 3)
    colour = _float(COLOURS[scene.background]) + shift
    if scene.style == "blueprint":
        colour = _float((30, 75, 155)) + shift + (colour - 130) * 0.08
    if scene.style == "neon":
        colour = 12 + colour * 0.09
    return np.clip(colour, 0, 255).astype(np.float32)


def is_dark(scene: EmojiScene) -> bool:
    """Return whether the ground is so dark that black shapes on it are drawn white."""
    red, green, blue = (int(value) for value in tone(scene))
    return brightness((red, green, blue)) < _DARK


def ground(scene: EmojiScene, size: int) -> Image.Image:
    """Return the picture's empty ground, RGB, `size` by `size`: plain, a gradient or clouds; a grid in a blueprint."""
    g = random_of(scene, _GROUND_PART + 1)
    base, strength = tone(scene), 0.5 if scene.style in ("blueprint", "neon") else 1.0
    if scene.texture == "plain":
        image = Image.new("RGB", (size, size), tuple(int(value) for value in np.rint(base)))
    else:
        if scene.texture == "gradient":
            across, down = g.normal(0, 1, 2).astype(np.float32)
            line = np.linspace(-0.5, 0.5, 16, dtype=np.float32)
            change = (line[None, :] * across + line[:, None] * down) * 70
        else:
            change = g.normal(0, 14, (6, 6)).astype(np.float32)
        shade = Image.fromarray(change * strength).resize((size, size), Image.Resampling.BICUBIC)
        image = Image.fromarray(np.clip(base + np.asarray(shade)[..., None], 0, 255).astype(np.uint8))
    return _with_grid(image) if scene.style == "blueprint" else image


def _with_grid(image: Image.Image) -> Image.Image:
    pixels, unit = np.array(image, np.float32), image.width / SIDE
    width = max(1, round(unit))
    lines = np.zeros(image.width, bool)
    for k in range(_CELLS):
        start = round(k * image.width / _CELLS)
        lines[start : start + width] = True
    share = np.where(lines[:, None] | lines[None, :], 0.2, 0.0)[..., None]
    return Image.fromarray((pixels * (1 - share) + _float(CHALK) * share).astype(np.uint8))


def finish(image: Image.Image, style: str) -> Image.Image:
    """Return the picture after the style's effects on the whole picture: coarse pixels of few colours."""
    if style != "pixelated":
        return image
    small = np.asarray(image.resize((_PIXELS, _PIXELS), Image.Resampling.BOX), np.float32)
    step = 255 / (_LEVELS - 1)
    few = (np.rint(small / step) * step).astype(np.uint8)
    return Image.fromarray(few).resize(image.size, Image.Resampling.NEAREST)


Alter = Callable[[np.ndarray], np.ndarray]
"""From a sprite, uint8 [side, side, 4], to another one of the same size."""
_LEAST = 16
_SMOOTHED = 4


def draw(
    scene: EmojiScene,
    size: int = 64,
    alter: Alter | None = None,
    artwork: Mapping[str, np.ndarray] | None = None,
) -> Image.Image:
    """Draw a scene.

    `size`: side of the picture in pixels, at least 16. The same picture at every size, but for the sharpness of its
    sprites, which have 96 pixels. `alter`: changes every sprite before it is placed, for instance to train on more than
    there is. `artwork`: sprites of another artist by icon, uint8 [96, 96, 4], in place of the style's own. Returns:
    RGB, `size` by `size`. Raises ValueError if `size` is less than 16.
    """
    if size < _LEAST:
        raise ValueError(f"emoji are drawn at {_LEAST} pixels or more, not {size}: pass size=64 or larger")
    image, dark = ground(scene, size), is_dark(scene)
    for placed in layout(scene):
        if not placed.shape.isdigit():
            image = _prop(image, scene, placed, dark)
            continue
        icon = scene.items[int(placed.shape)].icon
        art = artwork[icon] if artwork is not None else styled_sprite(icon, scene.style, scene.source)
        if scene.style == "stencil" and dark:
            art = np.dstack([255 - art[..., :3], art[..., 3]])
        _paste(image, art if alter is None else alter(art), placed)
    return finish(image, scene.style)


def _paste(image: Image.Image, art: np.ndarray, placed: Placed) -> None:
    unit, emoji = image.width / SIDE, Image.fromarray(art)
    if placed.flip:
        emoji = emoji.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if placed.turn:
        emoji = emoji.rotate(-math.degrees(placed.turn), Image.Resampling.BILINEAR)
    side = max(1, round(2 * placed.size * unit * len(art) / SPRITE_SIDE))
    # Premultiplied, so that the colour of transparent pixels does not bleed into edges.
    emoji = emoji.convert("RGBa").resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0).convert("RGBA")
    image.paste(emoji, (round(placed.x * unit - side / 2), round(placed.y * unit - side / 2)), emoji)


def _prop(image: Image.Image, scene: EmojiScene, placed: Placed, dark: bool) -> Image.Image:
    """Return the picture with a beam or a window, of ink and of the ground's colour."""
    side = image.width * _SMOOTHED
    ink = CHALK if dark else INK
    inner = tuple(int(value) for value in tone(scene))
    mask, fill = Image.new("L", (side, side)), Image.new("RGB", (side, side), ink)
    on_mask, on_fill = ImageDraw.Draw(mask), ImageDraw.Draw(fill)
    for stroke in THINGS[placed.shape]:
        points = ((stroke.points * placed.size + [placed.x, placed.y]) * side / SIDE).ravel().tolist()
        colour = inner if stroke.role in ("light", "hole", "second") else ink
        if stroke.filled:
            on_mask.polygon(points, fill=255)
            on_fill.polygon(points, fill=colour)
        on_mask.line(points, fill=255, width=round(side / SIDE))
        on_fill.line(points, fill=ink, width=round(side / SIDE))
    shrunk = (layer.resize(image.size, Image.Resampling.BOX) for layer in (fill, mask))
    fill, mask = shrunk
    return Image.composite(fill, image, mask)
