"""The look of Bokeh figures, and described curves painted with Bokeh."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, FixedTicker, GlyphRenderer, HoverTool, Title
from bokeh.plotting import figure

from mllm_probe.plots.effects import Band, Curves, Series
from mllm_probe.plots.palette import DARK, LIGHT, MARKS, category_colour, control_colour, control_label
from mllm_probe.schema import INPUT, INPUT_NAME

MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus")
DASHES = ("solid", "dashed", "dotted", "dotdash")
NARROWEST, WIDEST = 480, 860
_FONT = "system-ui, sans-serif"
_CAPTION_WIDTH = 84
"""Letters of a line of the caption; this many fit a figure of the narrowest width."""
_LEGEND_WIDTH = 64
"""Letters of a row of the legend."""

_FOLLOW = """
    // Run at every layout, the first included: canvases know nothing of CSS, so colours are set again for each theme.
    const host = getComputedStyle(document.body);
    const brightness = (colour) => {
        const pen = new OffscreenCanvas(1, 1).getContext("2d");
        pen.fillStyle = "#ffffff";
        pen.fillRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
        return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
    };
    const paper = () => getComputedStyle(document.body).getPropertyValue("--jp-layout-color0").trim()
        || getComputedStyle(document.body).backgroundColor;
    const follow = () => {
        const back = paper();
        const colours = brightness(back) < 0.4 ? {...dark, paper: back} : {...light, paper: light.paper};
        if (figure.tags[0] === JSON.stringify(colours)) return;
        const before = figure.tags[0] ? JSON.parse(figure.tags[0]) : light;
        figure.tags = [JSON.stringify(colours)];
        for (const title of titles) title.text_color = colours[title.tags[0]];
        for (const axis of axes) {
            axis.axis_label_text_color = axis.major_label_text_color = colours.ink;
            axis.axis_line_color = axis.major_tick_line_color = colours.soft;
        }
        for (const grid of grids) grid.grid_line_color = colours.line;
        for (const part of [...figure.left, ...figure.right, ...figure.above, ...figure.below, ...figure.center]) {
            if (part.type === "Legend") part.label_text_color = colours.ink;
            if (part.type === "ColorBar") part.title_text_color = part.major_label_text_color = colours.ink;
            if (part.type === "Span") part.line_color = colours.soft;
        }
        for (const {data_source} of figure.renderers) {
            const fill = data_source?.data.fill;
            if (fill) data_source.data = {
                ...data_source.data, fill: Array.from(fill, (one) => one === before.paper ? colours.paper : one),
            };
        }
    };
    // A host that changes its theme may hide the page meanwhile, and a figure that is laid out then has no size.
    const shown = () => {
        const element = cb_context?.index?.find_one?.(figure)?.el;
        const splash = document.getElementById("jupyterlab-splash");
        return !splash && (!element || element.getBoundingClientRect().width > 0);
    };
    const soon = (tries) => setTimeout(() => shown() ? follow() : tries > 0 && soon(tries - 1), 100);
    if (shown()) follow();
    else soon(50);
    if (!figure.mpFollows) {
        figure.mpFollows = new MutationObserver(() => soon(50));
        const attributeFilter = ["data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-id", "class", "style"];
        figure.mpFollows.observe(document.body, {attributes: true, attributeFilter});
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => soon(50));
    }
"""


def new_figure(title: str, caption: list[str], x_label: str, y_label: str, **options: object) -> figure:
    """Return an empty figure in the package's look.

    `caption`: paragraphs below the title: what is drawn and how the numbers were made. `x_label`, `y_label`: short,
    with units in brackets; what they mean belongs to the caption. `**options`: for `bokeh.plotting.figure`.
    """
    settings = {
        "sizing_mode": "stretch_width",
        "min_width": NARROWEST,
        "max_width": WIDEST,
        "height": 420,
        "toolbar_location": "right",
        "tools": "pan,box_zoom,wheel_zoom,save,reset",
        "active_scroll": None,
    }
    plot = figure(x_axis_label=x_label, y_axis_label=y_label, **(settings | options))
    plot.update(background_fill_color=None, border_fill_color=None, outline_line_color=None)
    lines = [line for text in caption for line in textwrap.wrap(text, _CAPTION_WIDTH)]
    small = {
        "text_font_size": "11px",
        "text_font_style": "normal",
        "text_color": LIGHT["soft"],
        "tags": ["soft"],
        "standoff": 3,
    }
    heading = {"text_font_size": "14px", "text_color": LIGHT["ink"], "tags": ["ink"], "standoff": 6}
    titles = [Title(text=line, text_font=_FONT, **small) for line in lines]
    titles.insert(0, Title(text="\n".join(textwrap.wrap(title, _CAPTION_WIDTH * 3 // 4)), text_font=_FONT, **heading))
    for line_title in reversed(titles):
        plot.add_layout(line_title, "above")
    plot.height += 15 * len(lines)
    for axis in plot.axis:
        axis.update(
            axis_label_text_font_style="normal",
            **dict.fromkeys(("axis_label_text_font", "major_label_text_font"), _FONT),
            **dict.fromkeys(("axis_label_text_color", "major_label_text_color"), LIGHT["ink"]),
            **dict.fromkeys(("axis_line_color", "major_tick_line_color"), LIGHT["soft"]),
            minor_tick_line_color=None,
        )
    plot.grid.grid_line_color = LIGHT["line"]
    parts = {"figure": plot, "titles": titles, "axes": list(plot.axis), "grids": list(plot.grid)}
    follow = CustomJS(args={**parts, "light": LIGHT, "dark": DARK}, code=_FOLLOW)
    plot.js_on_change("inner_width", follow)
    plot.js_on_change("inner_height", follow)
    return plot


def some_ticks(layers: list[int], at_most: int = 16) -> list[int]:
    """As many of the layers, evenly apart, as an axis has room for."""
    return layers[:: -(-len(layers) // at_most)]


def mark_layers(plot: figure, layers: list[int]) -> None:
    """Mark some of the layers on the horizontal axis; the input of block 0 by its name."""
    plot.xaxis.ticker = FixedTicker(ticks=some_ticks(layers))
    plot.xaxis.major_label_overrides = {INPUT: INPUT_NAME} if INPUT in layers else {}


def finish_legend(plot: figure) -> None:
    """Put the legend below the figure, in as many columns as fit; a click on an entry hides its lines."""
    for legend in plot.legend:
        labels = [str(item.label.value) for item in legend.items]
        columns = max(1, min(len(labels), _LEGEND_WIDTH // (max(map(len, labels), default=1) + 5)))
        plot.height += 32 * -(-len(labels) // columns)
        plot.add_layout(legend, "below")
        legend.update(
            ncols=columns,
            click_policy="hide",
            label_text_font_size="11px",
            label_text_font=_FONT,
            label_text_color=LIGHT["ink"],
            background_fill_color=None,
            border_line_color=None,
            location="top_left",
            padding=2,
            margin=2,
            spacing=12,
        )


MENU_STYLE = """
:host { color: var(--jp-ui-font-color1, inherit); }
select.bk-input.bk-input {
    color: var(--jp-ui-font-color1, #1c2126);
    background-color: var(--jp-layout-color0, #ffffff);
}
"""
"""Of menus beside figures: their colours follow the page by its CSS variables."""


def add_hover(plot: figure, renderers: list[GlyphRenderer], tips: list[tuple[str, str]]) -> None:
    """Show values under the pointer."""
    plot.add_tools(HoverTool(renderers=renderers, tooltips=tips))


NAMED = 10
"""With more concepts than these, the legend names their categories."""


def paint(curves: Curves, x_name: str, ticks: Sequence[float]) -> figure:
    """Paint curves as a figure.

    `x_name`: what the horizontal axis counts, for the text under the pointer. `ticks`: marks of the horizontal axis.
    """
    plot = new_figure(curves.title, [curves.quantity, *curves.caption], curves.x_label, curves.y_label)
    for band in curves.bands:
        paint_band(plot, band)
    tips = [("", "@concept (@category)"), (x_name, "@x"), ("effect", "@y{0.000} (@low{0.000} … @high{0.000})")]
    tips += [("n", "@n"), *_verdict_tips(curves)]
    if any(line.depth is not None for line in curves.series):
        tips.insert(2, ("relative depth", "@depth{0.00}"))
    named = len(curves.series) <= NAMED
    points = [_paint_series(plot, line, number, named) for number, line in enumerate(curves.series)]
    _paint_marks(plot, curves.series)
    add_hover(plot, points, tips)
    plot.xaxis.ticker = FixedTicker(ticks=list(ticks))
    finish_legend(plot)
    return plot


def _verdict_tips(curves: Curves) -> list[tuple[str, str]]:
    """Whether a point passes, and what is marked on it, for the text under the pointer."""
    tested = any(line.q is not None for line in curves.series)
    verdict = [("passes in the grid", "@clear"), ("q", "@q{0.000}")] if tested else [("clear of controls", "@clear")]
    if any(line.reason is not None for line in curves.series):
        verdict.append(("reason", "@reason"))
    return [*verdict, *[("answers", "@marks")] * any(line.marks for line in curves.series)]


def _paint_marks(plot: figure, series: Sequence[Series]) -> None:
    """Paint marks over the points that have them, the last one where several do, with an entry of the legend each."""
    for name, mark in MARKS.items():
        places = [
            (x, y)
            for line in series
            for x, y, last in zip(line.x, line.value, _last(line), strict=True)
            if last == name
        ]
        if not places:
            continue
        x, y = zip(*places, strict=True)
        look = {"marker": mark["marker"], "size": 9, "line_width": 2, "line_color": LIGHT["ink"]}
        plot.scatter(list(x), list(y), name=f"mark {name}", legend_label=mark["label"], **look)


def _last(line: Series) -> list[str]:
    """The mark that is painted at each point, or nothing."""
    marked = [[name for name in MARKS if name in line.marks and line.marks[name][i]] for i in range(len(line.x))]
    return [names[-1] if names else "" for names in marked]


def paint_band(plot: figure, band: Band) -> None:
    """Paint what a kind of control does: its band, and its mean as a dashed line."""
    source = ColumnDataSource({"x": band.x, "low": band.low, "high": band.high, "mean": band.mean})
    look = {"color": control_colour(band.control), "source": source, "legend_label": control_label(band.control)}
    plot.varea("x", "low", "high", alpha=0.22, name=f"band {band.control}", **look)
    plot.line("x", "mean", dash="dashed", width=2, name=f"mean {band.control}", **look)


def _paint_series(plot: figure, line: Series, number: int, named: bool) -> GlyphRenderer:
    source = _source(line)
    look = {
        "color": category_colour(line.category),
        "legend_label": line.concept if named else line.category.replace("_", " ") or "concept",
    }
    dash = DASHES[number % len(DASHES)]
    plot.segment("x", "low", "x", "high", source=source, width=1.5, alpha=0.6, name=f"interval {line.concept}", **look)
    plot.line("x", "y", source=source, width=2, dash=dash, name=f"effect {line.concept}", **look)
    return plot.scatter(
        "x",
        "y",
        source=source,
        size=8,
        marker=MARKERS[number % len(MARKERS)],
        fill_color="fill",
        line_color=look["color"],
        legend_label=look["legend_label"],
        name=f"points {line.concept}",
    )


def _source(line: Series) -> ColumnDataSource:
    data = {
        "x": line.x,
        "y": line.value,
        "low": line.low,
        "high": line.high,
        "n": line.n,
        "clear": np.where(line.clear, "yes", "no"),
        "fill": np.where(line.clear, category_colour(line.category), LIGHT["paper"]),
        "concept": [line.concept] * len(line.x),
        "category": [line.category] * len(line.x),
    }
    if line.q is not None:
        data["q"] = line.q
    if line.reason is not None:
        data["reason"] = line.reason
    if line.marks:
        labels = [[MARKS[name]["label"] for name in line.marks if line.marks[name][i]] for i in range(len(line.x))]
        data["marks"] = ["; ".join(names) for names in labels]
    return ColumnDataSource(data if line.depth is None else data | {"depth": line.depth})
