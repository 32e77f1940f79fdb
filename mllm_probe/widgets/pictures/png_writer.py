"""Paint a drawing as PNG with Pillow, at twice its size."""

from __future__ import annotations

import io

from PIL import Image, ImageColor, ImageDraw

from mllm_probe.widgets.pictures import fonts
from mllm_probe.widgets.pictures.drawing import Area, Box, Dot, Drawing, Line, Photo, Point, Shape, Text
from mllm_probe.widgets.pictures.picture_colours import named

_ANCHORS = {"start": "lm", "middle": "mm", "end": "rm"}
_HATCH = 6


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
        self._hatching: Image.Image | None = None

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
        if shape.hatched:
            whole = self._hatch()
            box = (left, top, right, bottom)
            self.image.paste(named("hatch"), box, whole.crop(box))
        if shape.stroke:
            self.pen.rectangle(edges, outline=_rgba(shape.stroke, shape.opacity), width=self._weight(shape.weight))

    def _hatch(self) -> Image.Image:
        """Diagonals over the whole sheet, so that neighbouring cells continue each other."""
        if self._hatching is None:
            self._hatching = Image.new("L", self.image.size, 0)
            pen, (width, height) = ImageDraw.Draw(self._hatching), self.image.size
            step = max(3, round(_HATCH * self.scale))
            for start in range(0, width + height, step):
                pen.line([(start, 0), (start - height, height)], fill=255, width=max(1, round(0.6 * self.scale)))
        return self._hatching

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
        font, whole = fonts.font(shape.size * self.scale, shape.bold)
        text = fonts.spelled(shape.text, whole).replace("\n", " ")
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
