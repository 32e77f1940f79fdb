"""How concept directions lie to one another, and how far each of them can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from bokeh.layouts import column, row
from bokeh.models import ColorBar, ColumnDataSource, CustomJS, LinearColorMapper, Select
from bokeh.models.layouts import Row
from bokeh.palettes import RdBu11
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.activations import tensor_of
from mllm_probe.plots import painting
from mllm_probe.plots.effects import Band, origin
from mllm_probe.plots.painting import NAMED, paint_band
from mllm_probe.plots.palette import category_colour, control_colour


def vector_geometry(vectors: xr.Dataset, scope: str | None = None, layer: int | None = None) -> Row:
    """Draw cosines between concept directions, with split-half cosine and probe accuracy by layer beside them.

    Parameters
    ----------
    vectors : xarray.Dataset
        From `mp.concept_vectors`, with shuffled draws.
    scope : str, optional
        Where the vectors were captured; by default the first scope.
    layer : int, optional
        The layer shown first (a menu changes it); by default the one with the best mean split-half cosine.

    Returns
    -------
    bokeh.models.Row
        A cosine map, and two figures by layer. Controls are drawn: directions from shuffled labels beside the
        split halves, chance level beside the probe.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        Without shuffled directions, or for a scope or layer that is not there.
    """
    if not isinstance(vectors, xr.Dataset):
        raise TypeError(f"expected the vectors of mp.concept_vectors, an xarray.Dataset, got {type(vectors).__name__}.")
    schema.require(vectors, "vector", "split_half_cosine", "probe_accuracy", dims=(schema.CONCEPT,), what="the vectors")
    if "shuffled" not in vectors:
        raise ValueError(
            "directions are not drawn without their control: expected variable 'shuffled'. Make the vectors with "
            "concept_vectors(…, shuffled_draws=8)."
        )
    scoped = _at(vectors, schema.SCOPE, scope, vectors[schema.SCOPE].values.reshape(-1)[0])
    layers = [int(number) for number in scoped[schema.LAYER].values]
    best = layers[int(np.nanargmax(scoped["split_half_cosine"].mean(schema.CONCEPT).values))]
    shown = best if layer is None else int(layer)
    if shown not in layers:
        raise ValueError(f"layer {shown} is not in the vectors; they have layers {', '.join(map(str, layers))}.")
    reliability = _by_layer(
        scoped, "split_half_cosine", "Directions of two halves of the pairs", "cosine", (-0.5, 1.05)
    )
    _draw_shuffled(reliability, scoped)
    probe = _by_layer(scoped, "probe_accuracy", "Linear probe on held-out images", "balanced accuracy", (0.35, 1.05))
    probe.line(
        [layers[0], layers[-1]],
        [0.5, 0.5],
        color=control_colour("random"),
        dash="dashed",
        width=2,
        legend_label="chance",
        name="chance",
    )
    for plot in (reliability, probe):
        painting.finish_legend(plot)
    profiles = column(reliability, probe, sizing_mode="stretch_width", min_width=painting.NARROWEST)
    # Beside each other where there is room, below each other where there is not.
    wrapped = {"flex-wrap": "wrap", "gap": "16px"}
    return row(_cosine_map(scoped, layers, shown), profiles, sizing_mode="stretch_width", styles=wrapped)


def cosines(vectors: xr.DataArray) -> np.ndarray:
    """Return cosines of all pairs of directions (concept, layer, hidden) as float32 [layer, concept, concept]."""
    units = (_unit(vectors, number) for number in range(vectors.sizes[schema.LAYER]))
    return np.stack([(unit @ unit.T).cpu().numpy() for unit in units])


def _unit(vectors: xr.DataArray, number: int) -> torch.Tensor:
    names = [dim for dim in (schema.CONCEPT, schema.DRAW) if dim in vectors.dims]
    tensor = tensor_of(vectors.isel({schema.LAYER: number}).transpose(*names, schema.HIDDEN)).float()
    return torch.nn.functional.normalize(tensor, dim=-1)


def _at(vectors: xr.Dataset, dim: str, value: str | None, default: str) -> xr.Dataset:
    if dim not in vectors.dims:
        return vectors
    names = [str(name) for name in vectors[dim].values]
    wanted = str(default if value is None else value)
    if wanted not in names:
        raise ValueError(f"{dim} '{wanted}' is not in the vectors; they have {', '.join(names)}.")
    return vectors.isel({dim: names.index(wanted)})


def _cosine_map(vectors: xr.Dataset, layers: Sequence[int], shown: int) -> object:
    names = [str(name) for name in vectors[schema.CONCEPT].values]
    labels, label = [str(name) for name in schema.layer_names(layers)], str(schema.layer_name(shown))
    by_layer = {name: part.ravel() for name, part in zip(labels, cosines(vectors["vector"]), strict=True)}
    grid = {"x": np.tile(names, len(names)), "y": np.repeat(names, len(names)), "cosine": by_layer[label]}
    source = ColumnDataSource(grid)
    side = int(np.clip(14 * len(names) + 180, 360, 860))
    scope = str(vectors[schema.SCOPE].item()) if schema.SCOPE in vectors.coords else ""
    facts = vectors.drop_attrs(deep=False).assign_attrs({k: v for k, v in vectors.attrs.items() if k != "scope"})
    plot = painting.new_figure(
        f"Cosine between concept directions, layer {label}",
        origin(facts, f"scope {scope}" if scope else ""),
        "",
        "",
        x_range=names,
        y_range=names[::-1],
        height=side,
    )
    mapper = LinearColorMapper(palette=RdBu11[::-1], low=-1, high=1, nan_color="#dddddd")
    cells = plot.rect(
        "x",
        "y",
        1,
        1,
        source=source,
        fill_color={"field": "cosine", "transform": mapper},
        line_color=None,
        name="cosines",
    )
    bar = {"title": "cosine", "title_text_font_style": "normal", "background_fill_color": None}
    plot.add_layout(ColorBar(color_mapper=mapper, width=10, **bar), "right")
    plot.xaxis.major_label_orientation = np.pi / 2
    plot.grid.grid_line_color = None
    painting.add_hover(plot, [cells], [("", "@x × @y"), ("cosine", "@cosine{0.000}")])
    menu = Select(title="layer", value=label, options=list(by_layer), width=90, stylesheets=[painting.MENU_STYLE])
    heading = next(title for title in plot.above if getattr(title, "text", "").startswith("Cosine"))
    code = """
        source.data = {...source.data, cosine: by_layer[menu.value]};
        heading.text = "Cosine between concept directions, layer " + menu.value;
    """
    data = {layer: values.tolist() for layer, values in by_layer.items()}
    menu.js_on_change(
        "value", CustomJS(args={"source": source, "by_layer": data, "menu": menu, "heading": heading}, code=code)
    )
    return column(menu, plot, sizing_mode="stretch_width", min_width=painting.NARROWEST)


def _by_layer(vectors: xr.Dataset, variable: str, title: str, label: str, y_range: tuple[float, float]) -> figure:
    layers = vectors[schema.LAYER].values.astype(int)
    plot = painting.new_figure(title, [], "layer (decoder block)", label, height=300, y_range=y_range)
    names = [str(name) for name in vectors[schema.CONCEPT].values]
    lines = []
    for number, name in enumerate(names):
        selected = vectors.sel(concept=name)
        category = str(selected[schema.CATEGORY].item()) if schema.CATEGORY in selected.coords else ""
        source = ColumnDataSource(
            {
                "x": layers,
                "y": selected[variable].values,
                "concept": [name] * len(layers),
                "category": [category] * len(layers),
            }
        )
        lines.append(
            plot.line(
                "x",
                "y",
                source=source,
                color=category_colour(category),
                dash=painting.DASHES[number % len(painting.DASHES)],
                width=1.5,
                alpha=0.8,
                legend_label=name if len(names) <= NAMED else category.replace("_", " ") or "concept",
                name=name,
            )
        )
    painting.mark_layers(plot, layers.tolist())
    painting.add_hover(plot, lines, [("", "@concept (@category)"), ("layer", "@x"), (variable, "@y{0.000}")])
    return plot


def _draw_shuffled(plot: figure, vectors: xr.Dataset) -> None:
    """Draw the band of cosines between each direction and those from shuffled labels, over draws and concepts."""
    cosines = []
    for number in range(vectors.sizes[schema.LAYER]):
        units, shuffled = _unit(vectors["vector"], number), _unit(vectors["shuffled"], number)
        cosines.append((units[:, None] * shuffled).sum(-1).cpu().numpy().ravel())
    low, high = (np.array([np.nanquantile(values, share) for values in cosines]) for share in (0.025, 0.975))
    mean = np.array([np.nanmean(values) for values in cosines])
    paint_band(plot, Band("shuffled", vectors[schema.LAYER].values.astype(int), mean, low, high))
