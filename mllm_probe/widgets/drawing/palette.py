"""Colours of still pictures: names for the parts of a picture, and the diverging scale of the map."""

from __future__ import annotations

PAPER = {
    "paper": "#ffffff",
    "ink": "#1c2126",
    "soft": "#5b6570",
    "faint": "#6f7984",
    "line": "#e0e4e8",
    "brand": "#1f6feb",
    "hatch": "#8a929b",
    "random": "#7a7a7a",
    "shuffled": "#a8927a",
}
"""A control that has no colour of its own takes that of ``random``."""

PAGE_VARIABLES = {
    "paper": "--jp-layout-color0",
    "ink": "--jp-ui-font-color1",
    "soft": "--jp-ui-font-color2",
    "faint": "--jp-ui-font-color2",
    "line": "--jp-border-color2",
    "brand": "--jp-brand-color1",
}
"""Colours that follow the theme of the page a picture stands in."""

_ZERO, _POSITIVE, _NEGATIVE = (247, 248, 249), (178, 73, 10), (31, 95, 180)


def diverging(value: float, limit: float) -> str:
    """Colour of ``value`` on the scale −limit … limit, centred on 0; the same as in the notebook's light theme."""
    share = max(-1.0, min(1.0, value / limit)) if limit > 0 else 0.0
    end = _POSITIVE if share > 0 else _NEGATIVE
    mixed = (round(zero + (one - zero) * abs(share)) for zero, one in zip(_ZERO, end, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def named(colour: str) -> str:
    """The colour that a name of the palette stands for on paper; others as they are."""
    return PAPER.get(colour, colour)
