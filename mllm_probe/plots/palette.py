"""Colours, names of controls, and marks of cells of every figure: one table, also of the front-end's build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

_TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "palette.json").read_text(encoding="utf-8"))

LIGHT: dict[str, str] = _TABLE["light"]
"""Colours of the parts of a figure on paper and on light pages, by name."""
DARK: dict[str, str] = _TABLE["dark"]
CATEGORY_COLOURS: dict[str, str] = _TABLE["categories"]
"""Readable on light and on dark pages."""
OTHER_COLOURS: list[str] = _TABLE["other_categories"]
"""For categories of a user's choice."""
MARKS: dict[str, dict[str, Any]] = _TABLE["marks"]
"""What is marked on a cell, the last one where several are: ``label``, ``sign`` for legends, Bokeh's ``marker``, and
``strokes``, lines in a square of side 1 whose corner 0, 0 is at the upper left. Broken
cells have none: they are hollow."""
UNFINISHED: dict[str, Any] = _TABLE["unfinished"]
"""The mark of a cell that has too few images or draws for a verdict: ``label``, ``sign`` and ``strokes``."""
FADED: float = _TABLE["faded"]
"""Opacity of the colour of a cell that does not pass."""
_CONTROLS: dict[str, dict[str, str]] = _TABLE["controls"]
_OTHER = "random"
"""A control without a colour of its own takes that of random directions."""


def category_colour(category: str) -> str:
    """Colour of a category of concepts: one of few for names of a user's choice, that of soft text for none."""
    if not category:
        return LIGHT["soft"]
    # By the name alone, so that a category has one colour in every figure.
    return CATEGORY_COLOURS.get(category) or OTHER_COLOURS[crc32(category.encode()) % len(OTHER_COLOURS)]


def control_colour(kind: str, theme: str = "light") -> str:
    """Colour of a kind of control in the ``"light"`` or ``"dark"`` theme."""
    return _CONTROLS.get(kind, _CONTROLS[_OTHER])[theme]


def control_label(kind: str) -> str:
    """Words for a kind of control: "random directions"."""
    return _CONTROLS[kind]["label"] if kind in _CONTROLS else kind.replace("_", " ")


def diverging(value: float, limit: float) -> str:
    """Colour of ``value`` on the scale −limit … limit, centred on 0, in the light theme."""
    share = max(-1.0, min(1.0, value / limit)) if limit > 0 else 0.0
    return _mixed(LIGHT["zero"], LIGHT["positive" if share > 0 else "negative"], abs(share))


def sequential(share: float, theme: str = "light") -> str:
    """Colour of a score in 0 … 1, in equal perceptual steps; a larger score contrasts more with the page."""
    stops = _TABLE["sequential"][theme]
    place = max(0.0, min(1.0, share)) * (len(stops) - 1)
    below = min(int(place), len(stops) - 2)
    return _mixed(stops[below], stops[below + 1], place - below)


def _mixed(start: str, end: str, share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(_parts(start), _parts(end), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _parts(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue
