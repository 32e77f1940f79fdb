"""The figure of a study: one drawing for each, with what its effects are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, GlyphRenderer
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.metrics.statistics import bootstrap_interval
from mllm_probe.models.argument_checks import require_one_of
from mllm_probe.plots import theme
from mllm_probe.plots.effects import origin
from mllm_probe.plots.palette import OTHER_COLOURS, category_colour, control_colour

_INTERVAL = "Lines are means over concepts, whose number is in brackets; bars are 95 % bootstrap intervals over them."


def study(of: xr.Dataset, **chosen: str) -> figure:
    """Draw a study of `mllm_probe.studies`, or a comparison of models.

    Parameters
    ----------
    of : xarray.Dataset
        From one of the studies, or `mllm_probe.compare`.
    **chosen
        What is drawn where a study has several: ``measure=`` of localization (``"interchange, insert"`` by default),
        ``scope=`` and ``edit_kind=`` of reverse steering, ``statistic=`` of scaling (``"matched"``).

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
    if not isinstance(of, xr.Dataset):
        raise TypeError(f"expected the dataset of one of mp.studies, got {type(of).__name__}.")
    name = str(of.attrs.get("study", ""))
    if name not in _DRAWN:
        raise ValueError(f"expected a study ({', '.join(_DRAWN)}); got a dataset of study '{name}'.")
    if not of.data_vars:
        raise ValueError(f"there is nothing to draw: {of.attrs['summary']}")
    drawn = _DRAWN[name]
    for dim, value in chosen.items():
        require_one_of("chosen", dim, list(drawn.defaults))
        require_one_of(dim, value, [str(one) for one in of[dim].values])
    return drawn.paint(of, {**drawn.defaults, **chosen})


def _localization(of: xr.Dataset, chosen: Mapping[str, str]) -> figure:
    one = of["read_out"].sel(chosen).transpose(schema.CONCEPT, schema.LAYER)
    caption = ["Share of the concept's effect that each block moves from the image tokens to the answer.", _INTERVAL]
    title = f"Where concepts are read out of the image ({chosen[schema.MEASURE]})"
    made = _empty(of, title, caption, "layer (decoder block)", "share of the effect")
    layers = one[schema.LAYER].values.astype(int)
    points = [_mean_line(made, layers, one.values[rows], name) for name, rows in _by_category(of)]
    theme.mark_layers(made, layers.tolist())
    return _finished(made, points, "layer")


def _reverse(of: xr.Dataset, chosen: Mapping[str, str]) -> figure:
    one = of.sel(chosen)
    caption = [
        "Size of the change along the direction of the edit, over that of random directions along themselves; a surge "
        f"would be above the dashed line at {of.attrs['surge_above']:g} in the last block. 1: as large as random.",
        _INTERVAL,
    ]
    made = _empty(of, f"What is left of an edit ({', '.join(chosen.values())})", caption, "block that is read", "ratio")
    read, points = one[schema.READ_LAYER].values.astype(int), []
    ratio = (abs(one["change"]) / one["change_random"]).transpose(schema.LAYER, schema.CONCEPT, schema.READ_LAYER)
    for number, block in enumerate(ratio[schema.LAYER].values.astype(int)):
        later = read >= block
        colour = OTHER_COLOURS[number % len(OTHER_COLOURS)]
        points.append(_mean_line(made, read[later], ratio.values[number][:, later], f"edited: block {block}", colour))
    for level in (1.0, float(of.attrs["surge_above"])):
        made.hspan(y=level, line_dash="dashed", line_color=control_colour("random"), line_width=1.5)
    theme.mark_layers(made, read.tolist())
    return _finished(made, points, "block")


def _reliability(of: xr.Dataset, chosen: Mapping[str, str]) -> figure:
    here = of.sel({schema.LAYER: of.attrs["headline_layer"]})
    random = float(here["anti_random"].mean())
    caption = [
        "Each point is a concept. Anti-steerable: share of the images on which a larger dose makes its words less "
        f"likely, with its 95 % Wilson interval. Dashed: random directions ({random:.0%}).",
    ]
    title = f"How many images are steered the wrong way (block {of.attrs['headline_layer']})"
    made = _empty(of, title, caption, "mean slope [nats per residual norm]", "anti-steerable images")
    made.hspan(y=random, line_dash="dashed", line_color=control_colour("random"), line_width=1.5)
    points = []
    for name, rows in _by_category(of):
        some = here.isel({schema.CONCEPT: rows})
        source = ColumnDataSource(
            {
                "x": some["steerability"].values,
                "y": some["anti_steerable"].values,
                "low": some["anti_low"].values,
                "high": some["anti_high"].values,
                "label": some[schema.CONCEPT].values.tolist(),
            }
        )
        look = {"source": source, "color": category_colour(name), "legend_label": name.replace("_", " ")}
        made.segment("x", "low", "x", "high", width=1.2, alpha=0.5, name=f"interval {name}", **look)
        points.append(made.scatter("x", "y", size=8, name=f"points {name}", **look))
    return _finished(made, points, "slope")


def _scaling(of: xr.Dataset, chosen: Mapping[str, str]) -> figure:
    statistic = chosen[schema.STATISTIC]
    one = of[statistic].transpose(schema.CONCEPT, schema.RUNG)
    blocks = of["blocks"].values.astype(float)
    few = f"The trend rests on {of.sizes[schema.RUNG]} models: {', '.join(map(str, of[schema.RUNG].values))}."
    units = {"best": "[nats]", "matched": "[nats]", "natural": "[nats]", "effective_layers": "[blocks]"}
    label = f"{statistic.replace('_', ' ')} {units.get(statistic, '')}".strip()
    caption = [few, _INTERVAL]
    made = _empty(of, f"Over a ladder of models: {statistic.replace('_', ' ')}", caption, "decoder blocks", label,
                  x_axis_type="log")  # fmt: skip
    points = [_mean_line(made, blocks, one.values[rows], name) for name, rows in _by_category(of)]
    if statistic in ("best", "matched"):
        random = of["best_random"].mean(schema.CONCEPT).values
        look = {"line_dash": "dashed", "color": control_colour("random"), "legend_label": "random directions"}
        made.line(blocks, random, name="random", width=1.5, **look)
    made.xaxis.ticker = sorted(set(blocks.tolist()))
    return _finished(made, points, "blocks")


def _comparison(of: xr.Dataset, chosen: Mapping[str, str]) -> figure:
    one = of["difference"].transpose(schema.RUNG, schema.CONCEPT, schema.DEPTH)
    units = str(of["difference"].attrs.get("units", "nats"))
    caption = [f"Effect against random directions at dose {of.attrs['strength']:g}, at the nearest blocks.", _INTERVAL]
    made = _empty(of, "Models at the same relative depths", caption, "relative depth", f"effect [{units}]")
    depths, points = one[schema.DEPTH].values, []
    for number, name in enumerate(one[schema.RUNG].values):
        colour = OTHER_COLOURS[number % len(OTHER_COLOURS)]
        points.append(_mean_line(made, depths, one.values[number], str(name), colour))
    made.hspan(y=0, line_dash="dashed", line_color=control_colour("random"), line_width=1.5)
    return _finished(made, points, "relative depth")


@dataclass(frozen=True)
class _Drawing:
    """How a study is drawn, and what of it where it has several of a kind."""

    paint: Callable[[xr.Dataset, Mapping[str, str]], figure]
    defaults: Mapping[str, str]


_DRAWN = {
    "localization": _Drawing(_localization, {schema.MEASURE: "interchange, insert"}),
    "scaling": _Drawing(_scaling, {schema.STATISTIC: "matched"}),
    "reverse_steering": _Drawing(
        _reverse, {schema.SCOPE: "last_prompt+generated", schema.EDIT: "-1 residual norm"}
    ),
    "reliability": _Drawing(_reliability, {}),
    "comparison": _Drawing(_comparison, {}),
}  # fmt: skip


def _by_category(of: xr.Dataset) -> Iterable[tuple[str, np.ndarray]]:
    """Every category with the places of its concepts."""
    categories = of[schema.CATEGORY].values.astype(str)
    return [(name, np.flatnonzero(categories == name)) for name in dict.fromkeys(categories)]


def _empty(of: xr.Dataset, title: str, caption: list[str], x: str, y: str, **options: object) -> figure:
    return theme.new_figure(title, [*caption, *origin(of, f"{of.attrs['n_concepts']} concepts")], x, y, **options)


def _mean_line(made: figure, x: np.ndarray, values: np.ndarray, name: str, colour: str | None = None) -> GlyphRenderer:
    """Paint the mean over concepts of values [concept, point] with its interval."""
    known = values[np.isfinite(values).all(1)]
    if not len(known):
        return made.scatter([], [], legend_label=f"{name.replace('_', ' ')}: none known")
    low, high = bootstrap_interval(known, axis=0) if len(known) > 1 else (known[0], known[0])
    label = f"{name.replace('_', ' ')} ({len(known)})"
    data = {"x": x, "y": known.mean(0), "low": low, "high": high, "label": [label] * len(x)}
    look = {"source": ColumnDataSource(data), "color": colour or category_colour(name), "legend_label": label}
    made.segment("x", "low", "x", "high", width=1.5, alpha=0.6, name=f"interval {name}", **look)
    made.line("x", "y", width=2, name=f"mean {name}", **look)
    return made.scatter("x", "y", size=7, name=f"points {name}", **look)


def _finished(made: figure, points: list[GlyphRenderer], x_name: str) -> figure:
    theme.add_hover(made, points, [("", "@label"), (x_name, "@x"), ("value", "@y{0.00} (@low{0.00} … @high{0.00})")])
    theme.finish_legend(made)
    return made
