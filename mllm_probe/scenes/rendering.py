"""Drawing: a scene and a size give a picture, the same one every time."""

import math

import numpy as np
from PIL import Image, ImageDraw

from mllm_probe.scenes import styles
from mllm_probe.scenes.outlines import FACES, THINGS
from mllm_probe.scenes.placement import Placed, lines_in, shapes_in
from mllm_probe.scenes.scene import SIDE, Scene
from mllm_probe.scenes.styles import Paint

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
            paint = styles.overpaint(stroke.role, placed.colour, placed.second)
        else:
            paint = styles.paint(scene, stroke.role, placed.colour, placed.second)
        _stroke(draw, (stroke.points * mirror) @ matrix + centre, stroke.filled, paint, side)


def draw(scene: Scene, size: int = 512) -> Image.Image:
    """Draw a scene.

    `size`: side of the picture in pixels, at least 16. The same picture at every size. Returns: RGB, `size` by `size`.
    Raises ValueError if `size` is less than 16.
    """
    if size < 16:
        raise ValueError(f"a scene is drawn at 16 pixels or more, not {size}: pass size=64 or larger")
    side = size * math.ceil(_SMALLEST_CANVAS / size)
    image = styles.empty(scene, side)
    canvas = ImageDraw.Draw(image)
    for points in lines_in(scene):
        canvas.line((points * side / SIDE).ravel().tolist(), fill=styles.ink(scene), width=round(side * 14 / 256))
    placed = shapes_in(scene)
    for one in placed:
        _shape(canvas, scene, one, side, over=False)
    if scene.style in styles.SCREENED:
        image = styles.through_screen(image, scene.style)
        canvas = ImageDraw.Draw(image)
        for one in placed:
            _shape(canvas, scene, one, side, over=True)
    image = styles.finish(image, scene.style)
    return image if side == size else image.resize((size, size), Image.Resampling.BOX)
