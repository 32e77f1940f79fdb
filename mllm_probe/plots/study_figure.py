"""The figure of a study: its charts, painted with Bokeh."""

from __future__ import annotations

import numpy as np
import xarray as xr
from bokeh.layouts import column
from bokeh.models import ColorBar, ColumnDataSource, FactorRange, GlyphRenderer, LinearColorMapper
from bokeh.models.layouts import Column
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.plots import painting
from mllm_probe.plots.charts import Axis, Chart, Line, Matrix, Points, Specifications, multiverse_chart, study_chart
from mllm_probe.plots.palette import LIGHT, control_colour, diverging

_SHADES = 41
_X_NAMES = {schema.LAYER: "layer", schema.READ_LAYER: "block", schema.DEPTH: "relative depth"}
_ROW_HEIGHT = 18


def study(of: xr.Dataset, chart: str | None = None, **chosen: str) -> figure:
    """Draw a study of `mllm_probe.studies`, or a comparison of models.

    Parameters
    ----------
    of : xarray.Dataset
        From one of the studies, or `mllm_probe.compare`.
    chart : str, optional
        Which one where there are several: ``"cosine"`` (first) or ``"besides"`` of the atlas, ``"lines"`` (first) or
        ``"map"`` of a comparison.
    **chosen
        What is drawn where a study has several: ``measure=`` of localization (``"interchange, insert"`` by default),
        ``scope=`` and ``edit_kind=`` of reverse steering and of recognition against reasoning, ``statistic=`` of
        scaling (``"matched"``).

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If it is no study, the model told no concept apart, or there is nothing of the name.
    """
    content = study_chart(of, chart, **chosen)
    if content.nothing:
        return _empty_figure(content)
    return _matrix_figure(content, content.matrix) if content.matrix is not None else _line_figure(content)


def multiverse(of: xr.Dataset) -> Column:
    """Draw a study's question asked in every way: verdicts in rising order, and below them what each way is.

    Parameters
    ----------
    of : xarray.Dataset
        From one of the studies, with its multiverse: ``verdict`` and ``setting``.

    Returns
    -------
    bokeh.models.Column
        Two figures that share their horizontal axis.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If it has no verdicts.
    """
    chart = multiverse_chart(of)
    assert chart.specifications is not None
    if chart.nothing:
        return column(_empty_figure(chart), sizing_mode="stretch_width", min_width=painting.NARROWEST)
    above = _verdicts_figure(chart, chart.specifications)
    below = _settings_figure(chart.specifications, above)
    return column(above, below, sizing_mode="stretch_width", min_width=painting.NARROWEST)


def _empty_figure(chart: Chart) -> figure:
    """Figure with the text of a chart without numbers, in place of empty axes."""
    plot = painting.new_figure(chart.title, [chart.nothing, *chart.caption], "", "", height=90, toolbar_location=None)
    plot.scatter([], [])  # Bokeh warns of a figure without a renderer
    plot.axis.visible = False
    plot.grid.visible = False
    return plot


def _line_figure(chart: Chart) -> figure:
    options = {"x_axis_type": "log"} if chart.x.logarithmic else {}
    plot = painting.new_figure(chart.title, list(chart.caption), chart.x.label, chart.y.label, **options)
    means = [line for line in chart.lines if not line.concept]
    for line in chart.lines:
        if line.concept:
            plot.scatter(line.x, line.y, size=4, alpha=0.45, color=line.colour, name=f"concept {line.concept}")
    painted = [_paint_line(plot, line) for line in means] + [_paint_points(plot, points) for points in chart.points]
    for level in chart.levels:
        plot.hspan(y=level, line_dash="dashed", line_color=control_colour("random"), line_width=1.5)
    _mark(plot, chart.x)
    x_name = _X_NAMES.get(chart.x.dim, "slope" if chart.points else chart.x.label)
    tips = [("", "@label"), (x_name, "@x"), ("value", "@y{0.00} (@low{0.00} … @high{0.00})")]
    painting.add_hover(plot, [renderer for renderer in painted if renderer is not None], tips)
    painting.finish_legend(plot)
    return plot


def _mark(plot: figure, axis: Axis) -> None:
    if axis.dim in (schema.LAYER, schema.READ_LAYER):
        painting.mark_layers(plot, [int(tick) for tick in axis.ticks])
    elif axis.ticks:
        plot.xaxis.ticker = list(axis.ticks)


def _paint_line(plot: figure, line: Line) -> GlyphRenderer | None:
    """Paint a mean with its interval and its points; a dashed one, which is compared with, has neither."""
    look = {"color": control_colour(line.control) if line.control else line.colour, "legend_label": line.label}
    if line.dashed:
        plot.line(line.x, line.y, name=line.name, width=1.5, line_dash="dashed", **look)
        return None
    if not len(line.x):
        return plot.scatter([], [], legend_label=line.label)
    data = {"x": line.x, "y": line.y, "low": line.low, "high": line.high, "label": [line.label] * len(line.x)}
    look["source"] = ColumnDataSource(data)
    plot.segment("x", "low", "x", "high", width=1.5, alpha=0.6, name=f"interval {line.name}", **look)
    plot.line("x", "y", width=2, name=f"mean {line.name}", **look)
    return plot.scatter("x", "y", size=7, name=f"points {line.name}", **look)


def _paint_points(plot: figure, points: Points) -> GlyphRenderer:
    data = {"x": points.x, "y": points.y, "low": points.low, "high": points.high, "label": list(points.concepts)}
    look = {"source": ColumnDataSource(data), "color": points.colour, "legend_label": points.name.replace("_", " ")}
    plot.segment("x", "low", "x", "high", width=1.2, alpha=0.5, name=f"interval {points.name}", **look)
    return plot.scatter("x", "y", size=8, name=f"points {points.name}", **look)


def _matrix_figure(chart: Chart, matrix: Matrix) -> figure:
    rows, columns = list(matrix.rows), list(matrix.columns)
    ranges = {
        "x_range": columns,
        "y_range": rows[::-1],
        "height": int(np.clip(_ROW_HEIGHT * len(rows) + 140, 240, 860)),
    }
    plot = painting.new_figure(chart.title, list(chart.caption), chart.x.label, chart.y.label, **ranges)
    shades = [diverging(value, 1.0) for value in np.linspace(-1, 1, _SHADES)]
    scale = {"low": -matrix.limit, "high": matrix.limit, "nan_color": LIGHT["muted"]}
    mapper = LinearColorMapper(palette=shades, **scale)
    data = {"x": np.tile(columns, len(rows)), "y": np.repeat(rows, len(columns)), "value": matrix.values.ravel()}
    fill = {"field": "value", "transform": mapper}
    cells = plot.rect("x", "y", 1, 1, source=ColumnDataSource(data), fill_color=fill, line_color=None, name="cells")
    bar = {"title": matrix.units, "title_text_font_style": "normal", "background_fill_color": None}
    plot.add_layout(ColorBar(color_mapper=mapper, width=10, **bar), "right")
    plot.xaxis.major_label_orientation = np.pi / 2 if matrix.concepts else 0
    plot.grid.grid_line_color = None
    painting.add_hover(plot, [cells], [("", "@y × @x"), ("value", f"@value{{0.00}} {matrix.units}")])
    return plot


def _verdicts_figure(chart: Chart, of: Specifications) -> figure:
    plot = painting.new_figure(chart.title, list(chart.caption), "", chart.y.label, height=260)
    places = np.arange(len(of.values))
    ends = {True: LIGHT["positive"], False: LIGHT["negative"]}
    settings = [_setting_text(of, row) for row in of.chosen]
    data = {"x": places, "y": of.values, "colour": [ends[value > 0] for value in of.values], "setting": settings}
    plot.hspan(y=0, line_dash="dashed", line_color=control_colour("random"), line_width=1.5)
    dots = plot.scatter("x", "y", source=ColumnDataSource(data), color="colour", size=5, name="verdicts")
    look = {"size": 12, "fill_color": None, "line_width": 2, "line_color": LIGHT["brand"]}
    plot.scatter([of.headline], [of.values[of.headline]], name="headline", legend_label="headline", **look)
    plot.xaxis.visible = False
    painting.add_hover(plot, [dots], [("", "@setting"), ("verdict", f"@y{{0.00}} {of.units}")])
    painting.finish_legend(plot)
    return plot


def _setting_text(of: Specifications, row: np.ndarray) -> str:
    """A way in words: "dose 1, scope image"."""
    return ", ".join(f"{name} {values[place]}" for (name, values), place in zip(of.aspects, row, strict=True))


def _settings_figure(of: Specifications, above: figure) -> figure:
    factors = [(name, value) for name, values in of.aspects for value in values]
    options = {"y_range": FactorRange(*reversed(factors)), "height": _ROW_HEIGHT * len(factors) + 60}
    plot = painting.new_figure("", [], "way to ask, by verdict", "", x_range=above.x_range, **options)
    places, rows, colours = [], [], []
    for place, row in enumerate(of.chosen):
        for (name, values), value in zip(of.aspects, row, strict=True):
            places.append(place)
            rows.append((name, values[value]))
            colours.append(LIGHT["brand"] if place == of.headline else LIGHT["muted"])
    plot.scatter(places, rows, color=colours, size=4, name="settings")
    plot.yaxis.group_label_orientation = "horizontal"
    return plot
