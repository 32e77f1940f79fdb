"""Drawing: a scene and a size give a picture, the same one every time."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw

from mllm_probe.emoji import image_styles
from mllm_probe.emoji.art_files import SIDE as SPRITE_SIDE
from mllm_probe.emoji.emoji_scene import EmojiScene, layout
from mllm_probe.scenes.outlines import THINGS
from mllm_probe.scenes.placement import Placed
from mllm_probe.scenes.scene import SIDE

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
    image, dark = image_styles.ground(scene, size), image_styles.is_dark(scene)
    for placed in layout(scene):
        if not placed.shape.isdigit():
            image = _prop(image, scene, placed, dark)
            continue
        icon = scene.items[int(placed.shape)].icon
        art = artwork[icon] if artwork is not None else image_styles.styled_sprite(icon, scene.style, scene.source)
        if scene.style == "stencil" and dark:
            art = np.dstack([255 - art[..., :3], art[..., 3]])
        _paste(image, art if alter is None else alter(art), placed)
    return image_styles.finish(image, scene.style)


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
    ink = image_styles.CHALK if dark else image_styles.INK
    inner = tuple(int(value) for value in image_styles.tone(scene))
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
