"""Drawing: a scene and a size give an image, from outlines, colours and a visual style.

Roles: `main` and `second` take the thing's colours, `solid` is dark and carries the outline (wheels, handles),
`detail` is dark and lies inside (eyes), `light` is white and lies inside (windows, tears), `pupil` is dark inside
light, `teeth` is light inside dark, and `hole` shows the background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from mllm_probe.scenes.placement import Placed, lines_in, shapes_in
from mllm_probe.scenes.scene import SIDE, Colour, Scene, brightness


@dataclass(frozen=True)
class Stroke:
    """One polygon (`filled`) or open line, points [n, 2]."""

    filled: bool
    points: np.ndarray
    role: str


def _points(*values: float) -> np.ndarray:
    return np.array(values, float).reshape(-1, 2)


def _arc(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 2 * math.pi, count: int = 18
) -> np.ndarray:
    whole = abs(stop - start) > 6.28
    angle = np.linspace(start, stop, count, endpoint=not whole)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def _spikes(x: float, y: float, outer: float, inner: float, count: int = 5) -> np.ndarray:
    angle = np.arange(2 * count) * math.pi / count - math.pi / 2
    radius = np.where(np.arange(2 * count) % 2 == 0, outer, inner)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)


def _fill(points: np.ndarray, role: str = "main") -> Stroke:
    return Stroke(True, points, role)


def _line(points: np.ndarray, role: str = "detail") -> Stroke:
    return Stroke(False, points, role)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 26, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x / 16.5, (y - 2.5) / 16], 1)


def _crescent() -> np.ndarray:
    outer = _arc(0, 0, 0.95, 0.95, math.radians(40), math.radians(320), 22)
    inner = _arc(0.38, 0, 0.7, 0.66, math.radians(295), math.radians(65), 16)
    return np.concatenate([outer, inner])


_PETALS = [
    _fill(_arc(0.48 * math.cos(a), -0.3 + 0.48 * math.sin(a), 0.3, 0.3, count=10))
    for a in np.arange(5) * 2 * math.pi / 5 - math.pi / 2
]

THINGS: dict[str, list[Stroke]] = {
    "cat": [
        _fill(_points(-0.8, -0.1, -0.75, -1, -0.15, -0.55)),
        _fill(_points(0.8, -0.1, 0.75, -1, 0.15, -0.55)),
        _fill(_arc(0, 0.2, 0.85, 0.72)),
        _fill(_arc(-0.33, 0.05, 0.13, 0.17, count=8), "detail"),
        _fill(_arc(0.33, 0.05, 0.13, 0.17, count=8), "detail"),
        _line(_points(-0.2, 0.42, -1, 0.3)),
        _line(_points(0.2, 0.42, 1, 0.3)),
        _line(_points(-0.2, 0.5, -1, 0.62)),
        _line(_points(0.2, 0.5, 1, 0.62)),
    ],
    "tree": [
        _fill(_points(-0.15, 0.3, 0.15, 0.3, 0.15, 1, -0.15, 1), "second"),
        _fill(_points(0, -1, 0.62, -0.15, -0.62, -0.15)),
        _fill(_points(0, -0.6, 0.85, 0.5, -0.85, 0.5)),
    ],
    "house": [
        _fill(_points(-0.75, -0.1, 0.75, -0.1, 0.75, 0.95, -0.75, 0.95)),
        _fill(_points(-1, -0.1, 0, -1, 1, -0.1), "second"),
        _fill(_points(-0.2, 0.3, 0.2, 0.3, 0.2, 0.95, -0.2, 0.95), "detail"),
    ],
    "star": [_fill(_spikes(0, 0.05, 1, 0.42))],
    "car": [
        _fill(_points(-0.6, -0.05, -0.35, -0.6, 0.4, -0.6, 0.7, -0.05)),
        _fill(_points(-0.4, -0.1, -0.25, -0.45, 0.0, -0.45, 0.0, -0.1), "light"),
        _fill(_points(0.12, -0.1, 0.12, -0.45, 0.32, -0.45, 0.5, -0.1), "light"),
        _fill(_points(-1, -0.1, 1, -0.1, 1, 0.4, -1, 0.4)),
        _fill(_arc(-0.55, 0.42, 0.27, 0.27, count=12), "solid"),
        _fill(_arc(0.55, 0.42, 0.27, 0.27, count=12), "solid"),
    ],
    "fish": [
        _fill(_points(0.45, 0, 1, -0.55, 1, 0.55)),
        _fill(_arc(-0.2, 0, 0.78, 0.5)),
        _fill(_arc(-0.6, -0.12, 0.11, 0.11, count=8), "detail"),
    ],
    "cup": [
        _line(_arc(0.6, -0.05, 0.36, 0.34, -1.5, 1.5, 14), "main"),
        _fill(_points(-0.75, -0.65, 0.6, -0.65, 0.42, 0.8, -0.57, 0.8)),
        _line(_points(-0.72, -0.35, 0.54, -0.35)),
    ],
    "flower": [
        _line(_points(0, 0.1, 0, 1), "second"),
        _fill(_points(0, 0.85, 0.5, 0.45, 0.15, 0.6), "second"),
        *_PETALS,
        _fill(_arc(0, -0.3, 0.24, 0.24, count=10), "light"),
    ],
    "boat": [
        _fill(_points(-0.05, -0.95, 0.07, -0.95, 0.07, 0.35, -0.05, 0.35), "solid"),
        _fill(_points(0.12, -0.9, 0.85, 0.15, 0.12, 0.15), "second"),
        _fill(_points(-0.12, -0.65, -0.65, 0.15, -0.12, 0.15), "second"),
        _fill(_points(-1, 0.3, 1, 0.3, 0.6, 0.85, -0.6, 0.85)),
    ],
    "bird": [
        _line(_points(-0.12, 0.5, -0.12, 0.95), "solid"),
        _line(_points(0.14, 0.5, 0.14, 0.95), "solid"),
        _fill(_points(-0.45, 0.0, -1, -0.3, -0.92, 0.3)),
        _fill(_points(0.72, -0.5, 1.05, -0.28, 0.72, -0.14), "second"),
        _fill(_arc(-0.05, 0.18, 0.6, 0.42)),
        _fill(_arc(0.48, -0.32, 0.34, 0.34, count=12)),
        _fill(_arc(0.55, -0.38, 0.09, 0.09, count=8), "detail"),
        _fill(_points(-0.45, 0.05, 0.2, 0.05, -0.1, 0.4), "light"),
    ],
    "key": [
        _fill(_points(-0.2, -0.13, 1, -0.13, 1, 0.13, -0.2, 0.13)),
        _fill(_points(0.4, 0.1, 0.6, 0.1, 0.6, 0.55, 0.4, 0.55)),
        _fill(_points(0.78, 0.1, 1, 0.1, 1, 0.55, 0.78, 0.55)),
        _fill(_arc(-0.52, 0, 0.47, 0.47)),
        _fill(_arc(-0.52, 0, 0.22, 0.22, count=12), "light"),
    ],
    "umbrella": [
        _line(_points(0, 0, 0, 0.75), "solid"),
        _line(_arc(0.2, 0.72, 0.2, 0.22, 0, math.pi, 8), "solid"),
        _fill(_arc(0, 0.05, 1, 1, math.pi, 2 * math.pi, 20)),
        _fill(_arc(0, 0.05, 0.38, 1, math.pi, 2 * math.pi, 12), "second"),
    ],
    "heart": [_fill(_heart())],
    "mushroom": [
        _fill(_points(-0.3, 0, 0.3, 0, 0.4, 0.95, -0.4, 0.95), "second"),
        _fill(_arc(0, 0.1, 1, 1.0, math.pi, 2 * math.pi, 20)),
        _fill(_arc(-0.45, -0.25, 0.17, 0.17, count=8), "light"),
        _fill(_arc(0.08, -0.55, 0.17, 0.17, count=8), "light"),
        _fill(_arc(0.5, -0.2, 0.17, 0.17, count=8), "light"),
    ],
    "moon": [_fill(_crescent())],
    "rocket": [
        _fill(_points(-0.3, 0.5, 0.3, 0.5, 0.0, 1.0), "second"),
        _fill(_points(-0.3, 0.0, -0.75, 0.65, -0.3, 0.5), "second"),
        _fill(_points(0.3, 0.0, 0.75, 0.65, 0.3, 0.5), "second"),
        _fill(_points(0, -1, 0.25, -0.7, 0.36, -0.25, 0.36, 0.5, -0.36, 0.5, -0.36, -0.25, -0.25, -0.7)),
        _fill(_arc(0, -0.25, 0.18, 0.18, count=10), "light"),
    ],
    "box": [
        _fill(_points(-0.9, -0.9, 0.9, -0.9, 0.9, 0.9, -0.9, 0.9)),
        _fill(_points(-0.65, -0.65, 0.65, -0.65, 0.65, 0.65, -0.65, 0.65), "hole"),
    ],
    "window": [_fill(_arc(0, 0, 1, 1, count=28), "hole")],
    "beam": [
        _fill(_points(-1, -0.06, 1, -0.06, 1, 0.06, -1, 0.06), "solid"),
        _fill(_points(0, 0.06, 0.24, 0.5, -0.24, 0.5), "second"),
    ],
    "question": [
        _line(_points(-0.85, -0.85, 0.85, -0.85, 0.85, 0.85, -0.85, 0.85, -0.85, -0.85), "solid"),
        _line(_points(-0.3, -0.3, -0.1, -0.5, 0.2, -0.45, 0.3, -0.2, 0, 0.05, 0, 0.25), "solid"),
        _fill(_arc(0, 0.52, 0.12, 0.12, count=6), "solid"),
    ],
}


def _eyes(radius: float, y: float = -0.2, role: str = "detail", height: float | None = None) -> list[Stroke]:
    return [_fill(_arc(x, y, radius, height or radius, count=10), role) for x in (-0.38, 0.38)]


def _pair(left: np.ndarray, role: str = "detail") -> list[Stroke]:
    return [_line(left, role), _line(left * [-1, 1], role)]


_EXPRESSIONS: dict[str | None, list[Stroke]] = {
    None: [*_eyes(0.15), _line(_points(-0.4, 0.42, 0.4, 0.42))],
    "amusement": [
        *_pair(_points(-0.68, -0.05, -0.42, -0.42, -0.14, -0.05)),
        _fill(_arc(0, 0.15, 0.66, 0.68, 0, math.pi, 14), "detail"),
        _fill(_points(-0.52, 0.16, 0.52, 0.16, 0.42, 0.36, -0.42, 0.36), "teeth"),
        _fill(_arc(-0.85, 0.12, 0.13, 0.2, count=8), "light"),
        _fill(_arc(0.85, 0.12, 0.13, 0.2, count=8), "light"),
    ],
    "awe": [
        *_eyes(0.3, -0.15, "light"),
        *_eyes(0.17, -0.15, "pupil"),
        *_pair(_arc(-0.4, -0.5, 0.26, 0.2, math.pi, 2 * math.pi, 8)),
        _fill(_arc(0, 0.55, 0.2, 0.26, count=12), "detail"),
    ],
    "contentment": [
        *_pair(_arc(-0.4, -0.28, 0.25, 0.22, 0, math.pi, 8)),
        _line(_arc(0, 0.22, 0.45, 0.32, 0.15, math.pi - 0.15, 10)),
        _fill(_arc(-0.68, 0.2, 0.18, 0.13, count=8), "second"),
        _fill(_arc(0.68, 0.2, 0.18, 0.13, count=8), "second"),
    ],
    "excitement": [
        _fill(_spikes(-0.4, -0.18, 0.36, 0.15), "detail"),
        _fill(_spikes(0.4, -0.18, 0.36, 0.15), "detail"),
        _fill(_arc(0, 0.28, 0.52, 0.5, 0, math.pi, 12), "detail"),
        _line(_points(0, -1.08, 0, -1.4), "solid"),
        *_pair(_points(-0.6, -0.95, -0.8, -1.25), "solid"),
    ],
    "anger": [
        *_eyes(0.16, -0.15),
        *_pair(_points(-0.8, -0.68, -0.12, -0.3)),
        _fill(_points(-0.52, 0.32, 0.52, 0.32, 0.52, 0.66, -0.52, 0.66), "detail"),
        _fill(_points(-0.42, 0.44, 0.42, 0.44, 0.42, 0.54, -0.42, 0.54), "teeth"),
    ],
    "disgust": [
        *_pair(_points(-0.68, -0.42, -0.2, -0.2, -0.68, 0.02)),
        _fill(_points(-0.58, 0.22, 0.58, 0.22, 0.5, 0.45, -0.5, 0.45), "detail"),
        _fill(_points(-0.22, 0.36, 0.28, 0.36, 0.28, 0.8, 0.16, 0.95, -0.1, 0.95, -0.22, 0.8), "second"),
    ],
    "fear": [
        *_eyes(0.28, -0.2, "light", 0.36),
        *_eyes(0.09, -0.2, "pupil"),
        _line(_points(-0.62, 0.6, -0.36, 0.4, -0.1, 0.62, 0.15, 0.4, 0.4, 0.62, 0.62, 0.42)),
        _fill(_points(0.88, -0.75, 1.04, -0.4, 0.88, -0.28, 0.72, -0.4), "light"),
    ],
    "sadness": [
        *_eyes(0.14, -0.12),
        _line(_arc(0, 0.74, 0.46, 0.36, math.pi, 2 * math.pi, 10)),
        _fill(_points(-0.5, 0.06, -0.34, 0.4, -0.5, 0.54, -0.66, 0.4), "light"),
        *_pair(_points(-0.74, -0.3, -0.22, -0.6)),
    ],
}

FACES: dict[str | None, list[Stroke]] = {
    emotion: [_fill(_arc(0, 0, 1, 1, count=28)), *strokes] for emotion, strokes in _EXPRESSIONS.items()
}


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


def paint_of(scene: Scene, role: str, main: Colour, second: Colour) -> Paint:
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


_SMALLEST_CANVAS = 256


def _stroke(draw: ImageDraw.ImageDraw, points: np.ndarray, filled: bool, paint: Paint, side: int) -> None:
    flat, width = points.ravel().tolist(), max(1, round(paint.width * side))
    if not filled:
        if paint.line is not None:
            draw.line(flat, fill=paint.line, width=width)
        return
    if paint.fill is not None:
        draw.polygon(flat, fill=paint.fill)
    if paint.outline is not None:
        draw.line(flat + flat[:2], fill=paint.outline, width=width)


def _shape(draw: ImageDraw.ImageDraw, scene: Scene, placed: Placed, side: int, over: bool) -> None:
    unit = side / SIDE
    cos, sin = math.cos(placed.turn), math.sin(placed.turn)
    matrix = np.array([[cos, sin], [-sin, cos]]) * placed.size * unit
    mirror = np.array([-1 if placed.flip else 1, 1])
    centre = np.array([placed.x, placed.y]) * unit
    strokes = FACES[placed.emotion] if placed.shape == "face" else THINGS[placed.shape]
    for stroke in strokes:
        if over:
            paint = overpaint(stroke.role, placed.colour, placed.second)
        else:
            paint = paint_of(scene, stroke.role, placed.colour, placed.second)
        _stroke(draw, (stroke.points * mirror) @ matrix + centre, stroke.filled, paint, side)


def draw(scene: Scene, size: int = 512) -> Image.Image:
    """Draw a scene.

    `size`: side of the picture in pixels, at least 16. The same picture at every size. Returns: RGB, `size` by `size`.
    Raises ValueError if `size` is less than 16.
    """
    if size < 16:
        raise ValueError(f"a scene is drawn at 16 pixels or more, not {size}: pass size=64 or larger")
    side = size * math.ceil(_SMALLEST_CANVAS / size)
    image = empty(scene, side)
    canvas = ImageDraw.Draw(image)
    for points in lines_in(scene):
        canvas.line((points * side / SIDE).ravel().tolist(), fill=ink(scene), width=round(side * 14 / 256))
    placed = shapes_in(scene)
    for entity in placed:
        _shape(canvas, scene, entity, side, over=False)
    if scene.style in SCREENED:
        image = through_screen(image, scene.style)
        canvas = ImageDraw.Draw(image)
        for entity in placed:
            _shape(canvas, scene, entity, side, over=True)
    image = finish(image, scene.style)
    return image if side == size else image.resize((size, size), Image.Resampling.BOX)
