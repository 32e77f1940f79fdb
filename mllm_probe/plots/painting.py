"""Paint described curves with Bokeh: effects with their intervals over the bands of every control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, GlyphRenderer
from bokeh.plotting import figure

from mllm_probe.plots import theme
from mllm_probe.plots.curves import Band, Curves, Series
from mllm_probe.plots.palette import LIGHT, MARKS, category_colour, control_colour, control_label

NAMED = 10
"""With more concepts than these, the legend names their categories."""


def paint(curves: Curves, x_name: str, ticks: Sequence[float]) -> figure:
    """Paint curves as a figure.

    `x_name`: what the horizontal axis counts, for the text under the pointer. `ticks`: marks of the horizontal axis.
    """
    made = theme.new_figure(curves.title, [curves.quantity, *curves.caption], curves.x_label, curves.y_label)
    for band in curves.bands:
        paint_band(made, band)
    tips = [("", "@concept (@category)"), (x_name, "@x"), ("effect", "@y{0.000} (@low{0.000} … @high{0.000})")]
    tips += [("n", "@n"), *_verdict_tips(curves)]
    if any(one.depth is not None for one in curves.series):
        tips.insert(2, ("relative depth", "@depth{0.00}"))
    if any(one.spread for one in curves.series):
        tips.append(("over the layers", "@spread"))
    named = len(curves.series) <= NAMED
    points = [_paint_series(made, one, number, named) for number, one in enumerate(curves.series)]
    _paint_marks(made, curves.series)
    theme.add_hover(made, points, tips)
    made.xaxis.ticker = FixedTicker(ticks=list(ticks))
    theme.finish_legend(made)
    return made


def _verdict_tips(curves: Curves) -> list[tuple[str, str]]:
    """Whether a point passes, and what is marked on it, for the text under the pointer."""
    tested = any(one.q is not None for one in curves.series)
    verdict = [("passes in the grid", "@clear"), ("q", "@q{0.000}")] if tested else [("clear of controls", "@clear")]
    return [*verdict, *[("answers", "@marks")] * any(one.marks for one in curves.series)]


def _paint_marks(made: figure, series: Sequence[Series]) -> None:
    """Paint marks over the points that have them, the last one where several do, with an entry of the legend each."""
    for name, mark in MARKS.items():
        places = [
            (x, y) for one in series for x, y, last in zip(one.x, one.value, _last(one), strict=True) if last == name
        ]
        if not places:
            continue
        x, y = zip(*places, strict=True)
        look = {"marker": mark["marker"], "size": 9, "line_width": 2, "line_color": LIGHT["ink"]}
        made.scatter(list(x), list(y), name=f"mark {name}", legend_label=mark["label"], **look)


def _last(one: Series) -> list[str]:
    """The mark that is painted at each point, or nothing."""
    marked = [[name for name in MARKS if name in one.marks and one.marks[name][i]] for i in range(len(one.x))]
    return [names[-1] if names else "" for names in marked]


def paint_band(made: figure, band: Band) -> None:
    """Paint what a kind of control does: its band, and its mean as a dashed line."""
    source = ColumnDataSource({"x": band.x, "low": band.low, "high": band.high, "mean": band.mean})
    look = {"color": control_colour(band.control), "source": source, "legend_label": control_label(band.control)}
    made.varea("x", "low", "high", alpha=0.22, name=f"band {band.control}", **look)
    made.line("x", "mean", dash="dashed", width=2, name=f"mean {band.control}", **look)


def _paint_series(made: figure, one: Series, number: int, named: bool) -> GlyphRenderer:
    source = _source(one)
    look = {
        "color": category_colour(one.category),
        "legend_label": one.concept if named else one.category.replace("_", " ") or "concept",
    }
    dash = theme.DASHES[number % len(theme.DASHES)]
    made.segment("x", "low", "x", "high", source=source, width=1.5, alpha=0.6, name=f"interval {one.concept}", **look)
    made.line("x", "y", source=source, width=2, dash=dash, name=f"effect {one.concept}", **look)
    return made.scatter(
        "x",
        "y",
        source=source,
        size=8,
        marker=theme.MARKERS[number % len(theme.MARKERS)],
        fill_color="fill",
        line_color=look["color"],
        legend_label=look["legend_label"],
        name=f"points {one.concept}",
    )


def _source(one: Series) -> ColumnDataSource:
    data = {
        "x": one.x,
        "y": one.value,
        "low": one.low,
        "high": one.high,
        "n": one.n,
        "clear": np.where(one.clear, "yes", "no"),
        "fill": np.where(one.clear, category_colour(one.category), LIGHT["paper"]),
        "concept": [one.concept] * len(one.x),
        "category": [one.category] * len(one.x),
        "spread": [one.spread] * len(one.x),
    }
    if one.q is not None:
        data["q"] = one.q
    if one.marks:
        labels = [[MARKS[name]["label"] for name in one.marks if one.marks[name][i]] for i in range(len(one.x))]
        data["marks"] = ["; ".join(names) for names in labels]
    return ColumnDataSource(data if one.depth is None else data | {"depth": one.depth})
