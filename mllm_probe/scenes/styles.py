"""Visual styles: the ground, the fill and outline of each role, and the filter over the whole picture."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from mllm_probe.scenes.colours import brightness
from mllm_probe.scenes.scene import Colour, Scene

DARK: Colour = (35, 35, 45)
WHITE: Colour = (248, 248, 243)
PAPER: Colour = (252, 252, 252)
_THIN, _THICK = 6 / 256, 8 / 256
_INKS: dict[str | None, Colour] = {"blueprint": (225, 235, 250), "neon": (120, 240, 230), "silhouette": (22, 22, 28)}
SCREENED = ("dotted", "hatched")
"""Styles that show the picture through dots or hatching."""
_DARK_ROLES = ("detail", "pupil", "solid")


@dataclass(frozen=True)
class Paint:
    """Fill and outline of one stroke (None: not painted); an open line takes `line`. Widths are shares of the side."""

    fill: Colour | None
    outline: Colour | None
    line: Colour | None
    width: float = _THIN


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (int(round(x * (1 - share) + y * share)) for x, y in zip(a, b, strict=True))
    return red, green, blue


def ground(scene: Scene) -> Colour:
    """Return the background colour."""
    red, green, blue = scene.background
    if scene.style == "blueprint":
        return 18 + red % 24, 55 + green % 40, 130 + blue % 50
    if scene.style == "neon":
        return red // 9, green // 9, blue // 7
    if scene.style == "sketch":
        return _mix(scene.background, (244, 242, 236), 0.8)
    if scene.style == "silhouette" and brightness(scene.background) < 190:
        return _mix(scene.background, (255, 255, 255), 0.45)
    return scene.background


def ink(scene: Scene) -> Colour:
    """Return the colour of the background lines."""
    plain = (75, 75, 85) if brightness(ground(scene)) > 140 else (242, 242, 248)
    return _INKS.get(scene.style, plain)


def _flat(role: str, main: Colour, second: Colour, back: Colour) -> Colour:
    light = {"light": WHITE, "teeth": WHITE, "hole": back, "main": main, "second": second}
    return DARK if role in _DARK_ROLES else light[role]


def paint(scene: Scene, role: str, main: Colour, second: Colour) -> Paint:
    """Return how the scene's style paints one role.

    `role`: a stroke's role, see `shapes`. `main`, `second`: the thing's own colours.
    """
    style, back = scene.style, ground(scene)
    flat = _flat(role, main, second, back)
    if style in ("sketch", "blueprint"):
        pen = ink(scene) if style == "blueprint" else (70, 70, 75)
        return Paint(pen if role in _DARK_ROLES else back, pen, pen)
    if style == "neon":
        glow = _mix(main, (255, 255, 255), 0.25) if role in ("main", "hole") else _mix(second, (255, 255, 255), 0.45)
        glow = (250, 250, 250) if role in (*_DARK_ROLES, "light", "teeth") else glow
        return Paint(glow if role in _DARK_ROLES else _mix(back, main, 0.1), glow, glow, 7 / 256)
    if style == "silhouette":
        tone = back if role in ("detail", "light", "hole") else ink(scene)
        return Paint(tone, None, tone, _THICK)
    if style == "cartoon":
        return Paint(flat, (15, 15, 20), flat if role in ("main", "second") else (15, 15, 20), 9 / 256)
    return Paint(flat, None, flat, _THICK)


def overpaint(role: str, main: Colour, second: Colour) -> Paint:
    """Return how dotted and hatched pictures trace the shapes once more over their screen."""
    if role in _DARK_ROLES:
        return Paint(DARK, None, DARK, _THICK)
    if role in ("light", "teeth", "hole"):
        return Paint(None, None, None)
    colour = main if role == "main" else second
    return Paint(None, colour, colour, 5 / 256)


@lru_cache(maxsize=64)
def _screen(style: str | None, side: int) -> Image.Image:
    """Mask of the dots or the hatching: 255 where the picture shows, 0 where paper does."""
    y, x = (np.mgrid[0:side, 0:side] + 0.5) * (256 / side)
    shown = (x + y) % 18 < 9
    if style == "dotted":
        shown = (x % 18 - 9) ** 2 + (y % 18 - 9) ** 2 < 7.2**2
    return Image.fromarray((shown * 255).astype(np.uint8))


def through_screen(image: Image.Image, style: str | None) -> Image.Image:
    """Return the picture seen through the style's dots or hatching on white paper."""
    return Image.composite(image, Image.new("RGB", image.size, PAPER), _screen(style, image.width))


def empty(scene: Scene, side: int) -> Image.Image:
    """Return the empty ground of the picture, with a blueprint's grid."""
    image = Image.new("RGB", (side, side), ground(scene))
    if scene.style == "blueprint":
        draw, colour = ImageDraw.Draw(image), _mix(ground(scene), (225, 235, 250), 0.22)
        for k in range(8):
            at, width = round(k * side / 8), max(1, round(side * 2 / 256))
            draw.line([(at, 0), (at, side)], fill=colour, width=width)
            draw.line([(0, at), (side, at)], fill=colour, width=width)
    return image


def finish(image: Image.Image, style: str | None) -> Image.Image:
    """Return the picture after the style's effects on the whole picture."""
    if style == "pixelated":
        return image.resize((28, 28), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)
    return image
