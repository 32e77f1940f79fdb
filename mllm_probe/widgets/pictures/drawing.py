"""A drawing as a list of shapes, written as SVG or painted as PNG, with its fonts and colours."""

from __future__ import annotations

import base64
import io
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Literal

from PIL import Image, ImageColor, ImageDraw, ImageFont

from mllm_probe.plots.palette import LIGHT, control_colour

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A filled rectangle, perhaps with an outline. Colours are names of `palette` or ``#rrggbb``."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    stroke: str | None = None
    weight: float = 1.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Line:
    """A polyline."""

    points: tuple[Point, ...]
    stroke: str
    weight: float = 1.0
    dash: tuple[float, float] | None = None
    opacity: float = 1.0


@dataclass(frozen=True)
class Area:
    """A filled polygon without outline."""

    points: tuple[Point, ...]
    fill: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Dot:
    """A circle, filled or hollow."""

    x: float
    y: float
    radius: float
    fill: str
    stroke: str


@dataclass(frozen=True)
class Text:
    """One line of text; ``y`` is the middle of its height, ``turned`` runs upwards."""

    x: float
    y: float
    text: str
    size: float = 12.0
    fill: str = "ink"
    anchor: Anchor = "start"
    bold: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Photo:
    """An image, as PNG, fitted into a box."""

    x: float
    y: float
    width: float
    height: float
    png: bytes


Shape = Box | Line | Area | Dot | Text | Photo


@dataclass
class Drawing:
    """Shapes with the size of their sheet.

    `width`, `height`: CSS pixels. `title`: alternative text.
    """

    width: float
    height: float
    title: str
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Draw further shapes on top."""
        self.shapes.extend(shapes)


_REGULAR = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf")
_BOLD = ("DejaVuSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf", "LiberationSans-Bold.ttf", "NotoSans-Bold.ttf")
_PLAIN = {"−": "-", "–": "-", "×": "x", "½": "1/2", "¼": "1/4", "Δ": "d", "‖": "|", "≥": ">=", "≤": "<=", "%": "%"}
"""Spelling of signs that the font inside Pillow lacks."""


_SPACES = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")


@lru_cache(maxsize=64)
def font_of_size(size: float, bold: bool = False) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, bool]:
    """A font of a size in pixels, and whether it is a whole one of this machine (else the small one in Pillow)."""
    for name in _BOLD if bold else _REGULAR:
        try:
            return ImageFont.truetype(name, size), True
        except OSError:
            continue
    return ImageFont.load_default(size), False


def spelled(text: str, whole: bool) -> str:
    """Text as a font can paint it."""
    return text if whole else "".join(_PLAIN.get(letter, letter) for letter in text)


def width(text: str, size: float, bold: bool = False) -> float:
    """Width of a line of text in pixels."""
    chosen, whole = font_of_size(size, bold)
    return float(chosen.getlength(spelled(text, whole)))


def clipped(text: str, size: float, room: float, bold: bool = False) -> str:
    """Text cut with an ellipsis to a width."""
    if width(text, size, bold) <= room:
        return text
    fitting = bisect_right(range(1, len(text) + 1), room, key=lambda length: width(text[:length] + "…", size, bold))
    return text[:fitting].rstrip() + "…"


def wrapped(text: str, size: float, room: float, most: int, bold: bool = False) -> list[str]:
    """Text in lines of a width, at most ``most`` of them; the last is cut with an ellipsis if there is more."""
    lines: list[str] = []
    rest = [word for word in _SPACES.split(text) if word]
    while rest and len(lines) < most:
        line, rest = rest[0], rest[1:]
        if len(lines) == most - 1:
            lines.append(clipped(" ".join([line, *rest]), size, room, bold))
            break
        while rest and width(f"{line} {rest[0]}", size, bold) <= room:
            line, rest = f"{line} {rest[0]}", rest[1:]
        lines.append(clipped(line, size, room, bold))
    return lines


_CONTROL = "control-"
_PAGE_VARIABLES = {
    "paper": "--jp-layout-color0",
    "ink": "--jp-ui-font-color1",
    "soft": "--jp-ui-font-color2",
    "faint": "--jp-ui-font-color2",
    "line": "--jp-border-color2",
    "brand": "--jp-brand-color1",
}


def of_control(kind: str) -> str:
    """Name of the colour of a kind of control."""
    return _CONTROL + kind


def named(colour: str) -> str:
    """The colour of a name on paper; other values unchanged."""
    if colour.startswith(_CONTROL):
        return control_colour(colour.removeprefix(_CONTROL))
    return LIGHT.get(colour, colour)


def variable(colour: str) -> str | None:
    """CSS variable that holds a named colour on a page with themes; None where no theme changes it."""
    return f"--mp-{colour}" if colour.startswith(_CONTROL) else _PAGE_VARIABLES.get(colour)


_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
_SIGNS_BELOW_SPACE = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 65534, 65535, *range(55296, 57344)], " ")


def svg(drawing: Drawing, *, themed: bool = False) -> str:
    """Write a drawing as an SVG document.

    `themed`: let colours follow ``--jp-*`` variables of the surrounding page, and leave the background out.
    """
    width, height = _number(drawing.width), _number(drawing.height)
    background = "" if themed else f'<rect width="{width}" height="{height}" fill="{_colour("paper", False)}"/>'
    body = "\n".join(_shape(shape, themed) for shape in drawing.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{_text(drawing.title)}" font-family="{_FONT}">\n'
        f"<title>{_text(drawing.title)}</title>\n{background}\n{body}\n</svg>\n"
    )


def _shape(shape: Shape, themed: bool) -> str:
    if isinstance(shape, Box):
        return _box(shape, themed)
    if isinstance(shape, Line):
        dash = f' stroke-dasharray="{_number(shape.dash[0])} {_number(shape.dash[1])}"' if shape.dash else ""
        return (
            f'<polyline points="{_points(shape.points)}" fill="none" stroke="{_colour(shape.stroke, themed)}" '
            f'stroke-width="{_number(shape.weight)}"{dash}{_opacity(shape.opacity)}/>'
        )
    if isinstance(shape, Area):
        fill = _colour(shape.fill, themed)
        return f'<polygon points="{_points(shape.points)}" fill="{fill}"{_opacity(shape.opacity)}/>'
    if isinstance(shape, Dot):
        return (
            f'<circle cx="{_number(shape.x)}" cy="{_number(shape.y)}" r="{_number(shape.radius)}" '
            f'fill="{_colour(shape.fill, themed)}" stroke="{_colour(shape.stroke, themed)}" stroke-width="1.5"/>'
        )
    if isinstance(shape, Photo):
        return (
            f'<image x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.width)}" '
            f'height="{_number(shape.height)}" href="data:image/png;base64,{base64.b64encode(shape.png).decode()}"/>'
        )
    return _line_of_text(shape, themed)


def _box(shape: Box, themed: bool) -> str:
    place = (
        f'x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.width)}" height="{_number(shape.height)}"'
    )
    fill = _colour(shape.fill, themed) if shape.fill else "none"
    stroke = f' stroke="{_colour(shape.stroke, themed)}" stroke-width="{_number(shape.weight)}"' if shape.stroke else ""
    return f'<rect {place} fill="{fill}"{stroke}{_opacity(shape.opacity)}/>'


def _line_of_text(shape: Text, themed: bool) -> str:
    x, y = _number(shape.x), _number(shape.y)
    turned = f' transform="rotate(-90 {x} {y})"' if shape.turned else ""
    bold = ' font-weight="600"' if shape.bold else ""
    return (
        f'<text x="{x}" y="{y}" dy="0.35em" font-size="{_number(shape.size)}" text-anchor="{shape.anchor}" '
        f'fill="{_colour(shape.fill, themed)}"{bold}{turned}>{_text(shape.text)}</text>'
    )


def _colour(colour: str, themed: bool) -> str:
    fixed, name = named(colour), variable(colour)
    return f"var({name}, {fixed})" if themed and name else fixed


def _text(text: str) -> str:
    return escape(text.translate(_SIGNS_BELOW_SPACE), quote=True)


def _opacity(opacity: float) -> str:
    return "" if opacity == 1 else f' opacity="{_number(opacity)}"'


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


_ANCHORS = {"start": "lm", "middle": "mm", "end": "rm"}


def png(drawing: Drawing, *, scale: float = 2.0) -> bytes:
    """Paint a drawing.

    `scale`: pixels of the PNG per CSS pixel. Returns: PNG on white, ``scale`` × 96 dots per inch.
    """
    size = max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale))
    painter = _Painter(Image.new("RGB", size, named("paper")), scale)
    for shape in drawing.shapes:
        painter.paint(shape)
    buffer = io.BytesIO()
    painter.image.save(buffer, format="PNG", dpi=(96 * scale, 96 * scale))
    return buffer.getvalue()


class _Painter:
    def __init__(self, image: Image.Image, scale: float) -> None:
        self.image, self.scale = image, scale
        self.pen = ImageDraw.Draw(image, "RGBA")

    def paint(self, shape: Shape) -> None:
        getattr(self, f"_{type(shape).__name__.lower()}")(shape)

    def _area(self, shape: Area) -> None:
        self.pen.polygon(self._points(shape.points), fill=_rgba(shape.fill, shape.opacity))

    def _dot(self, shape: Dot) -> None:
        x, y, radius = (value * self.scale for value in (shape.x, shape.y, shape.radius))
        box = (x - radius, y - radius, x + radius, y + radius)
        self.pen.ellipse(box, fill=_rgba(shape.fill), outline=_rgba(shape.stroke), width=self._weight(1.5))

    def _box(self, shape: Box) -> None:
        left, top, right, bottom = self._edges(shape.x, shape.y, shape.width, shape.height)
        if right <= left or bottom <= top:
            return
        edges = left, top, right - 1, bottom - 1
        if shape.fill:
            self.pen.rectangle(edges, fill=_rgba(shape.fill, shape.opacity))
        if shape.stroke:
            self.pen.rectangle(edges, outline=_rgba(shape.stroke, shape.opacity), width=self._weight(shape.weight))

    def _line(self, shape: Line) -> None:
        weight, colour = self._weight(shape.weight), _rgba(shape.stroke, shape.opacity)
        pieces = _dashed(shape.points, shape.dash) if shape.dash else [shape.points]
        for piece in pieces:
            self.pen.line(self._points(piece), fill=colour, width=weight, joint="curve")

    def _photo(self, shape: Photo) -> None:
        left, top, right, bottom = self._edges(shape.x, shape.y, shape.width, shape.height)
        with Image.open(io.BytesIO(shape.png)) as opened:
            photo = opened.convert("RGB")
            photo.thumbnail((right - left, bottom - top))
            if photo.width < right - left:
                share = min((right - left) / photo.width, (bottom - top) / photo.height)
                photo = photo.resize((round(photo.width * share), round(photo.height * share)))
        self.image.paste(photo, (left, top))

    def _text(self, shape: Text) -> None:
        font, whole = font_of_size(shape.size * self.scale, shape.bold)
        text = spelled(shape.text, whole).replace("\n", " ")
        place = shape.x * self.scale, shape.y * self.scale
        if not shape.turned:
            self.pen.text(place, text, font=font, fill=_rgba(shape.fill), anchor=_ANCHORS[shape.anchor])
            return
        length, height = round(font.getlength(text)) + 2, round(shape.size * self.scale * 1.6)
        sheet = Image.new("L", (max(1, length), height), 0)
        ImageDraw.Draw(sheet).text((length / 2, height / 2), text, font=font, fill=255, anchor="mm")
        sheet = sheet.rotate(90, expand=True)
        above = {"start": length, "middle": length / 2, "end": 0}[shape.anchor]
        corner = round(place[0] - height / 2), round(place[1] - above)
        self.image.paste(_rgba(shape.fill)[:3], corner, sheet)

    def _edges(self, x: float, y: float, width: float, height: float) -> tuple[int, int, int, int]:
        left, top, right, bottom = (round(value * self.scale) for value in (x, y, x + width, y + height))
        return left, top, right, bottom

    def _points(self, points: tuple[Point, ...]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def _weight(self, weight: float) -> int:
        return max(1, round(weight * self.scale))


def _rgba(colour: str, opacity: float = 1.0) -> tuple[int, int, int, int]:
    red, green, blue = ImageColor.getrgb(named(colour))[:3]
    return red, green, blue, round(255 * opacity)


def _dashed(points: tuple[Point, ...], dash: tuple[float, float]) -> list[tuple[Point, ...]]:
    """Cut a polyline into dashes of ``dash[0]`` with gaps of ``dash[1]``."""
    pieces: list[tuple[Point, ...]] = []
    period, gone = sum(dash), 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        at = 0.0
        while length > 0 and at < length:
            phase = (gone + at) % period
            step = min(length - at, (dash[0] if phase < dash[0] else period) - phase)
            if phase < dash[0]:
                ends = (at / length, (at + step) / length)
                pieces.append(tuple((x0 + (x1 - x0) * s, y0 + (y1 - y0) * s) for s in ends))
            at += max(step, 1e-6)
        gone += length
    return pieces
