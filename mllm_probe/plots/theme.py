"""The look of Bokeh figures: as wide as the page allows, with the colours of the page they are shown in."""

from __future__ import annotations

import textwrap

from bokeh.models import CustomJS, FixedTicker, GlyphRenderer, HoverTool, Title
from bokeh.plotting import figure

from mllm_probe.plots.palette import DARK, LIGHT
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
    made = figure(x_axis_label=x_label, y_axis_label=y_label, **(settings | options))
    made.update(background_fill_color=None, border_fill_color=None, outline_line_color=None)
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
    for one in reversed(titles):
        made.add_layout(one, "above")
    made.height += 15 * len(lines)
    for axis in made.axis:
        axis.update(
            axis_label_text_font_style="normal",
            **dict.fromkeys(("axis_label_text_font", "major_label_text_font"), _FONT),
            **dict.fromkeys(("axis_label_text_color", "major_label_text_color"), LIGHT["ink"]),
            **dict.fromkeys(("axis_line_color", "major_tick_line_color"), LIGHT["soft"]),
            minor_tick_line_color=None,
        )
    made.grid.grid_line_color = LIGHT["line"]
    parts = {"figure": made, "titles": titles, "axes": list(made.axis), "grids": list(made.grid)}
    follow = CustomJS(args={**parts, "light": LIGHT, "dark": DARK}, code=_FOLLOW)
    made.js_on_change("inner_width", follow)
    made.js_on_change("inner_height", follow)
    return made


def some_ticks(layers: list[int], at_most: int = 16) -> list[int]:
    """As many of the layers, evenly apart, as an axis has room for."""
    return layers[:: -(-len(layers) // at_most)]


def mark_layers(made: figure, layers: list[int]) -> None:
    """Mark some of the layers on the horizontal axis; the input of block 0 by its name."""
    made.xaxis.ticker = FixedTicker(ticks=some_ticks(layers))
    made.xaxis.major_label_overrides = {INPUT: INPUT_NAME} if INPUT in layers else {}


def finish_legend(made: figure) -> None:
    """Put the legend below the figure, in as many columns as fit; a click on an entry hides its lines."""
    for legend in made.legend:
        labels = [str(item.label.value) for item in legend.items]
        columns = max(1, min(len(labels), _LEGEND_WIDTH // (max(map(len, labels), default=1) + 5)))
        made.height += 32 * -(-len(labels) // columns)
        made.add_layout(legend, "below")
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


def add_hover(made: figure, renderers: list[GlyphRenderer], tips: list[tuple[str, str]]) -> None:
    """Show values under the pointer."""
    made.add_tools(HoverTool(renderers=renderers, tooltips=tips))
