"""Colours, fonts and captions that all figures share."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import xarray as xr
from bokeh.models import HoverTool, Title
from bokeh.plotting import figure

CATEGORY_COLOURS = {
    "entity": "#0072b2",
    "visual_style": "#d55e00",
    "emotion": "#a0447f",
    "abstract": "#00795a",
    "relation": "#8a6d00",
}
OTHER_COLOURS = ("#5b4ea0", "#7a3b1e", "#00708c", "#636300", "#8c1d40", "#3d5a1f")
CONTROL_COLOURS = {"random": "#7a7a7a", "shuffled": "#b3a89a"}
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus")
DASHES = ("solid", "dashed", "dotted", "dotdash")
_INK, _PALE, _GRID = "#1f1f1f", "#565656", "#e4e4e4"
_FONT = "system-ui, sans-serif"
_CAPTION_WIDTH = 96


def category_colour(category: str) -> str:
    """Return the colour of a category: one of few for names of a user's choice, that of text for none."""
    if not category:
        return _INK
    # By the name alone, so that a category has one colour in every figure.
    return CATEGORY_COLOURS.get(category) or OTHER_COLOURS[crc32(category.encode()) % len(OTHER_COLOURS)]


def new_figure(title: str, caption: list[str], x_label: str, y_label: str, **options: Any) -> figure:
    """Return an empty figure in the package's look.

    Parameters
    ----------
    title : str
    caption : list of str
        Lines below the title: how the numbers were made.
    x_label, y_label : str
        With units in brackets.
    **options
        For `bokeh.plotting.figure`.
    """
    settings = {
        "width": 720,
        "height": 420,
        "toolbar_location": "above",
        "tools": "pan,box_zoom,wheel_zoom,save,reset",
        "active_scroll": None,
    }
    made = figure(x_axis_label=x_label, y_axis_label=y_label, **(settings | options))
    made.background_fill_color = made.border_fill_color = "#ffffff"
    made.outline_line_color = None
    for line in reversed(caption):
        small = Title(text=line, text_font_size="11px", text_font_style="normal", text_color=_PALE, text_font=_FONT)
        made.add_layout(small, "above")
    made.add_layout(Title(text=title, text_font_size="15px", text_color=_INK, text_font=_FONT), "above")
    for axis in made.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font = axis.major_label_text_font = _FONT
        axis.axis_label_text_color = axis.major_label_text_color = _INK
        axis.minor_tick_line_color = None
        axis.axis_line_color = axis.major_tick_line_color = _PALE
    made.grid.grid_line_color = _GRID
    return made


def finish_legend(made: figure) -> None:
    """Put the legend beside the figure; a click on an entry hides its lines."""
    for legend in made.legend:
        made.add_layout(legend, "right")
        legend.click_policy = "hide"
        legend.label_text_font_size = "11px"
        legend.label_text_font = _FONT
        legend.border_line_color = None


def add_hover(made: figure, renderers: list[Any], tips: list[tuple[str, str]]) -> None:
    """Show values under the pointer."""
    made.add_tools(HoverTool(renderers=renderers, tooltips=tips))


def caption(dataset: xr.Dataset, *more: str) -> list[str]:
    """Return lines that say how a dataset was made: model, scope, operation, prompt and answer prefix."""
    attributes = dataset.attrs
    facts = [str(attributes["model"])] if attributes.get("model") else []
    facts += [f"{name} {_listed(attributes[name])}" for name in ("scope", "operation") if attributes.get(name)]
    texts = [
        f"{name.replace('_', ' ')} “{attributes[name]}”"
        for name in ("prompt", "answer_prefix")
        if isinstance(attributes.get(name), str)
    ]
    lines = [" · ".join(part) for part in (facts + list(more), texts) if part]
    return [line if len(line) <= _CAPTION_WIDTH else line[: _CAPTION_WIDTH - 1] + "…" for line in lines]


def _listed(value: Any) -> str:
    return value if isinstance(value, str) else " + ".join(map(str, value))
