"""Colours of still images by name, on paper and on pages that follow a theme."""

from __future__ import annotations

from mllm_probe.plots.palette import LIGHT, control_colour

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
