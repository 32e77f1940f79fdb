"""Write a drawing as SVG: one self-contained element, text as text, colours fixed or following the page's theme."""

from __future__ import annotations

import base64
from html import escape

from mllm_probe.widgets.pictures.drawing import Area, Box, Dot, Drawing, Line, Photo, Shape, Text
from mllm_probe.widgets.pictures.picture_colours import named, variable

_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
_SIGNS_BELOW_SPACE = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 65534, 65535, *range(55296, 57344)], " ")


def svg(drawing: Drawing, *, themed: bool = False, name: str = "mp") -> str:
    """Write a drawing as an SVG document.

    `themed`: let colours follow ``--jp-*`` variables of the surrounding page, and leave the background out. `name`:
    prefix of the ids in it, unique on a page.
    """
    width, height = _number(drawing.width), _number(drawing.height)
    background = "" if themed else f'<rect width="{width}" height="{height}" fill="{_colour("paper", False)}"/>'
    body = "\n".join(_shape(shape, themed, name) for shape in drawing.shapes)
    hatch = _hatch(themed, name) if any(isinstance(s, Box) and s.hatched for s in drawing.shapes) else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{_text(drawing.title)}" font-family="{_FONT}">\n'
        f"<title>{_text(drawing.title)}</title>\n{hatch}{background}\n{body}\n</svg>\n"
    )


def _hatch(themed: bool, name: str) -> str:
    return (
        f'<defs><pattern id="{name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<path d="M-1,1 L1,-1 M0,6 L6,0 M5,7 L7,5" stroke="{_colour("hatch", themed)}" stroke-width="0.8"/>'
        "</pattern></defs>\n"
    )


def _shape(shape: Shape, themed: bool, name: str) -> str:
    if isinstance(shape, Box):
        return _box(shape, themed, name)
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


def _box(shape: Box, themed: bool, name: str) -> str:
    place = (
        f'x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.width)}" height="{_number(shape.height)}"'
    )
    fill = _colour(shape.fill, themed) if shape.fill else "none"
    stroke = f' stroke="{_colour(shape.stroke, themed)}" stroke-width="{_number(shape.weight)}"' if shape.stroke else ""
    drawn = f'<rect {place} fill="{fill}"{stroke}{_opacity(shape.opacity)}/>'
    return drawn + (f'<rect {place} fill="url(#{name}-hatch)"/>' if shape.hatched else "")


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
