"""Charts of studies as plain data: lines, points, a matrix or a specification curve, which all painters take."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.store_layout import with_plain_texts
from mllm_probe.metrics.metric import chance
from mllm_probe.metrics.statistics import mean, t_interval
from mllm_probe.models.argument_checks import described, require_one_of
from mllm_probe.plots.effects import nice_ceiling, origin
from mllm_probe.plots.palette import OTHER_COLOURS, category_colour
from mllm_probe.studies.localization_study import why_unknown
from mllm_probe.studies.multiverse import agreement, counted

NOTHING: np.ndarray = np.empty(0)
"""Ends of intervals where there are none."""


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    `label`: short, with units in brackets. `dim`: dimension of the datasets whose coordinates lie along it; empty for
    any other quantity. `ticks`: where it is marked; empty where the painter chooses.
    """

    label: str
    dim: str = ""
    ticks: tuple[float, ...] = ()
    logarithmic: bool = False


@dataclass(frozen=True)
class Line:
    """A line of a chart: a mean over concepts with its interval, a single concept, or what is compared with.

    `name`, `label`: its name, and that with how many concepts it is the mean of.
    `colour`: ``#rrggbb``, in both themes.
    `x`, `y`: float array [point].
    `low`, `high` (float array [point]): ends of the 95 % interval; empty where there is none.
    `control`: kind of control, whose colour (one for each theme) goes before ``colour``.
    `concept`: of a line of a single concept.
    `layer`: block that was edited, where the lines of a chart differ in that.
    """

    name: str
    label: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray = field(default_factory=lambda: NOTHING)
    high: np.ndarray = field(default_factory=lambda: NOTHING)
    control: str = ""
    dashed: bool = False
    concept: str = ""
    layer: int | None = None


@dataclass(frozen=True)
class Points:
    """Concepts of one category as points with upright intervals.

    `x`, `y`, `low`, `high`: float array [concept].
    """

    name: str
    colour: str
    concepts: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Matrix:
    """A matrix in diverging colours.

    `values` (float array [row, column]): NaN where it is not known. `limit`: end of the colour scale −limit … limit.
    `concepts`: whether rows and columns are concepts.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    limit: float
    units: str
    concepts: bool = False


@dataclass(frozen=True)
class Specifications:
    """A specification curve: the verdict of each way to ask a question, in rising order.

    `values` (float array [way]): rising; NaN, where a verdict cannot be computed, at the end.
    `headline`: place of the headline in ``values``.
    `aspects`: what the ways differ in, with the values of each.
    `chosen` (int array [way, aspect]): place of each way's value among those of the aspect.
    """

    values: np.ndarray
    headline: int
    aspects: tuple[tuple[str, tuple[str, ...]], ...]
    chosen: np.ndarray
    units: str


@dataclass(frozen=True)
class Chart:
    """One chart of a study.

    `key`: its name among the charts of the study.
    `caption`: paragraphs: what is drawn, and how the numbers were made.
    `levels`: heights of dashed horizontal lines: what the values are compared with.
    `chosen`: what of the study is drawn where it has several of a kind.
    `nothing`: why nothing is drawn, in place of empty axes; empty where something is.
    """

    key: str
    title: str
    caption: tuple[str, ...]
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    points: tuple[Points, ...] = ()
    levels: tuple[float, ...] = ()
    matrix: Matrix | None = None
    specifications: Specifications | None = None
    chosen: Mapping[str, str] = field(default_factory=dict)
    nothing: str = ""

    @property
    def shows(self) -> bool:
        """Whether any number is known, beside what they are compared with."""
        drawn = [line.y for line in self.lines if not line.dashed] + [points.y for points in self.points]
        drawn += [] if self.matrix is None else [self.matrix.values]
        drawn += [] if self.specifications is None else [self.specifications.values]
        return any(bool(np.isfinite(values).any()) for values in drawn)

    @property
    def short(self) -> str:
        """A label beside the other charts of the study: what was chosen, else its title."""
        return " · ".join(self.chosen.values()) or self.title


INTERVAL = (
    "Lines are means over concepts, whose number is in brackets; small marks are single concepts; bars are 95 % t "
    "intervals over them, with 3 or more."
)
MULTIVERSE = "multiverse"
_RANDOM = "random"


def study_chart(of: xr.Dataset, chart: str | None = None, **chosen: str) -> Chart:
    """One chart of a study of `mllm_probe.studies`, or of a comparison of models.

    `chart`: which one where the study has several; by default the first. `**chosen`: what is drawn where the study has
    several of a kind, by the name of the dimension. By default the one that the summary speaks of; the first that the
    study has where it lacks that. Raises TypeError if it is no dataset. Raises ValueError if it is no study, the model
    told no concept apart, or there is nothing of the name.
    """
    drawings = _drawings(of)
    if not drawings:
        raise ValueError(f"expected a study ({', '.join(_DRAWN)}); got a dataset of study '{study_name(of)}'.")
    if not of.data_vars:
        raise ValueError(f"there is nothing to draw: {of.attrs['summary']}")
    keys = [drawing.key for drawing in drawings]
    if chart is not None:
        require_one_of("chart", chart, keys)
    drawing = drawings[0 if chart is None else keys.index(chart)]
    drawing.check(of)
    for dim, value in chosen.items():
        require_one_of("chosen", dim, list(drawing.defaults))
        require_one_of(dim, value, _values_of(of, dim))
    return drawing(of, {dim: _offered(of, dim, default)[0] for dim, default in drawing.defaults.items()} | chosen)


def study_charts(of: xr.Dataset) -> list[Chart]:
    """Every chart of a study, with all that can be chosen; none for a study without drawings, or without numbers.

    Raises TypeError, ValueError if it is no study.
    """
    drawings = _drawings(of) if of_study(of).data_vars else ()
    for drawing in drawings:
        drawing.check(of)
    return [
        drawing(of, dict(zip(drawing.defaults, values, strict=True)))
        for drawing in drawings
        for values in itertools.product(*(_offered(of, dim, default) for dim, default in drawing.defaults.items()))
    ]


def of_study(of: object) -> xr.Dataset:
    """Return a study, read from Zarr or not; TypeError or ValueError for all that lacks the attribute ``study``."""
    if not isinstance(of, xr.Dataset):
        raise TypeError(f"expected the dataset of one of mp.studies, got {described(of)}.")
    if not study_name(of):
        raise ValueError(
            "expected the dataset of one of mp.studies, which says its name in the attribute 'study'; got one with "
            f"variables {sorted(map(str, of.data_vars))}."
        )
    return with_plain_texts(of)


def study_name(of: object) -> str:
    """Name of the study that a dataset is of; empty if it is none."""
    return str(of.attrs.get("study", "")) if isinstance(of, xr.Dataset) else ""


def multiverse_chart(of: xr.Dataset) -> Chart:
    """The specification curve of a study: the verdict of every way to ask its question, and what the ways are.

    `of`: with ``verdict`` (specification), ``setting`` (specification, aspect) and attribute ``headline``. Raises
    TypeError if it is no dataset. Raises ValueError if it has no verdicts.
    """
    if not isinstance(of, xr.Dataset):
        raise TypeError(f"expected the dataset of one of mp.studies, got {described(of)}.")
    schema.require(of, "verdict", "setting", dims=(schema.SPECIFICATION, schema.ASPECT), what="a study's multiverse")
    if "headline" not in of.attrs:
        raise ValueError("a study's multiverse: expected the attribute 'headline', the place of one specification.")
    verdict = of["verdict"].values.astype(np.float64)
    order = np.argsort(verdict, kind="stable")
    settings = of["setting"].transpose(schema.SPECIFICATION, schema.ASPECT).values.astype(str)
    values = [tuple(dict.fromkeys(column)) for column in settings.T]
    places = np.array([[values[i].index(value) for i, value in enumerate(row)] for row in settings[order]])
    names = [str(name).replace("_", " ") for name in of[schema.ASPECT].values]
    about = of["verdict"].attrs
    units = str(about.get("units", ""))
    specifications = Specifications(
        verdict[order], int(np.flatnonzero(order == int(of.attrs["headline"]))[0]),
        tuple(zip(names, values, strict=True)), places.reshape(len(order), len(names)), units,
    )  # fmt: skip
    caption = (_counts(of), "Each column is one way to ask the question; the framed one is the headline.")
    title = str(about.get("long_name", "The question asked in every way"))
    label = f"verdict [{units}]" if units else "verdict"
    chart = Chart(MULTIVERSE, title, caption, Axis("way to ask"), Axis(label), specifications=specifications)
    return chart if chart.shows else replace(chart, nothing=f"Nothing to draw: {caption[0]}")


def _counts(of: xr.Dataset) -> str:
    more, less, total = agreement(of)
    if "curve_p" in of.attrs:
        return counted(of)
    return f"Positive in {more} of {total} ways, negative in {less}, not known or zero in {total - more - less}."


def _read_out(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    read_out = of["read_out"].sel(chosen).transpose(schema.CONCEPT, schema.LAYER)
    caption = ["Share of the concept's effect that each block moves from the image tokens to the answer.", INTERVAL]
    title = f"Where concepts are read out of the image ({chosen[schema.MEASURE]})"
    layers = read_out[schema.LAYER].values.astype(int)
    lines = _by_category_lines(of, layers, read_out.values)
    why = partial(why_unknown, of, chosen[schema.MEASURE])
    return _chart(of, title, caption, _layer_axis(layers), Axis("share of the effect"), lines=lines, why=why)


def _reverse(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    selected = of.sel(chosen)
    caption = [
        "Change along the direction of the edit, over the mean size of that of random directions along themselves: "
        "above 0 with the edit (it persists), below 0 against it (it compensates). 1: as much as of random directions "
        "that persist.",
        INTERVAL,
    ]
    read, lines = selected[schema.READ_LAYER].values.astype(int), []
    ratio = selected["ratio"].sel({schema.CONTROL: "random"}).transpose(schema.LAYER, schema.CONCEPT, schema.READ_LAYER)
    for number, block in enumerate(ratio[schema.LAYER].values.astype(int)):
        later = read >= block
        profiles = _lines(of, read[later], ratio.values[number][:, later], f"edited: block {block}", _colour(number))
        lines += [replace(line, layer=int(block)) for line in profiles]
    title = f"What is left of an edit ({', '.join(chosen.values())})"
    axis = Axis("block that is read", schema.READ_LAYER, tuple(read.tolist()))
    return _chart(of, title, caption, axis, Axis("ratio"), lines=tuple(lines), levels=(0.0, 1.0))


def _reliability(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    here = of.sel({schema.LAYER: of.attrs["headline_layer"]})
    random = float(here["anti_random"].mean())
    caption = [
        "Each point is a concept. Anti-steerable: share of the images on which a larger dose makes its words less "
        f"likely, with its 95 % Wilson interval. Dashed: random directions ({random:.0%}).",
    ]
    title = f"How many images are steered the wrong way (block {of.attrs['headline_layer']})"
    points = []
    for name, rows in _by_category(of):
        some = here.isel({schema.CONCEPT: rows})
        concepts = tuple(map(str, some[schema.CONCEPT].values))
        numbers = (some[key].values for key in ("steerability", "anti_steerable", "anti_low", "anti_high"))
        points.append(Points(name, category_colour(name), concepts, *numbers))
    x, y = Axis("mean slope [nats per residual norm]"), Axis("anti-steerable images")
    return _chart(of, title, caption, x, y, points=tuple(points), levels=(random,))


def _scaling(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    statistic = chosen[schema.STATISTIC]
    values = of[statistic].transpose(schema.CONCEPT, schema.RUNG)
    blocks = of["blocks"].values.astype(float)
    few = f"The trend rests on {of.sizes[schema.RUNG]} models: {', '.join(map(str, of[schema.RUNG].values))}."
    # Studies of before effects were in shares of the gap say no units: those are nats.
    units = {"best": "nats", "matched": "nats", "natural": "nats", "effective_layers": "blocks"}
    unit = values.attrs.get("units", units.get(statistic, ""))
    label = statistic.replace("_", " ") + (f" [{unit}]" if unit else "")
    lines = _by_category_lines(of, blocks, values.values)
    if statistic in ("best", "matched"):
        random = of["best_random"].mean(schema.CONCEPT).values
        lines += (_control_line("random directions", blocks, random),)
    axis = Axis("decoder blocks", "", tuple(sorted(set(blocks.tolist()))), logarithmic=True)
    title = f"Over a ladder of models: {statistic.replace('_', ' ')}"
    return _chart(of, title, [few, INTERVAL], axis, Axis(label), lines=lines)


def _effects(of: xr.Dataset) -> tuple[xr.DataArray, str, str]:
    """Effects of a comparison (rung, concept, depth), their units, and what they are."""
    difference = of["difference"].transpose(schema.RUNG, schema.CONCEPT, schema.DEPTH)
    about = f"Effect against random directions at dose {of.attrs['strength']:g}, at the nearest blocks."
    return difference, str(difference.attrs.get("units", "nats")), about


def _comparison(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    difference, units, about = _effects(of)
    depths = difference[schema.DEPTH].values
    lines = [
        line
        for number, name in enumerate(difference[schema.RUNG].values)
        for line in _lines(of, depths, difference.values[number], str(name), _colour(number))
    ]
    title, axis = "Models at the same relative depths", Axis("relative depth", schema.DEPTH)
    return _chart(
        of, title, [about, INTERVAL], axis, Axis(f"effect [{units}]"), lines=tuple(lines), levels=(0.0,)
    )  # fmt: skip


def _comparison_map(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    difference, units, about = _effects(of)
    values = mean(np.moveaxis(difference.values, 1, -1))
    depths = tuple(f"{depth:.2f}" for depth in difference[schema.DEPTH].values)
    matrix = Matrix(tuple(map(str, difference[schema.RUNG].values)), depths, values, _limit(values), units)
    title = "Mean effect of each model at each relative depth"
    caption = [f"{about} Mean over concepts."]
    return _chart(of, title, caption, Axis("relative depth", schema.DEPTH), Axis("model", schema.RUNG), matrix=matrix)


def _cosines(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    layer = of.attrs["headline_layer"]
    here = of.sel({schema.LAYER: layer})
    order = np.concatenate([rows for _, rows in _by_category(of)])
    names = [str(name) for name in of[schema.CONCEPT].values[order]]
    cosine = here["cosine"].sel({schema.CONCEPT: names, schema.SCORED_CONCEPT: names})
    values = cosine.transpose(schema.CONCEPT, schema.SCORED_CONCEPT).values
    caption = [f"Vectors at the last prompt token; concepts in the order {', '.join(_words(_categories(of)))}."]
    if np.isfinite(here["p"]):
        caption.append(
            f"Mean cosine within a category {float(here['within']):+.2f}, across {float(here['across']):+.2f} "
            f"(p {chance(float(here['p']))}, categories permuted over concepts)."
        )
    matrix = Matrix(tuple(names), tuple(names), values, 1.0, "", concepts=True)
    title = f"Cosine between concept vectors (block {layer})"
    axes = Axis("", schema.SCORED_CONCEPT), Axis("", schema.CONCEPT)
    return _chart(of, title, caption, *axes, matrix=matrix)


def _besides(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    besides = of["besides"].transpose(schema.STEERED_CATEGORY, schema.SCORED_CATEGORY)
    rows, columns = (tuple(_words(besides[dim].values)) for dim in besides.dims)
    caption = [
        f"Mean effect on other concepts at block {of.attrs['headline_layer']} and one residual norm, against random "
        f"directions. Concepts' own words: {float(of['caused'].mean()):+.1f} nats."
    ]
    matrix = Matrix(rows, columns, besides.values, _limit(besides.values), "nats")
    title = "Effect of steering with a category on another"
    axes = Axis("scored category", schema.SCORED_CATEGORY), Axis("steered category", schema.STEERED_CATEGORY)
    return _chart(of, title, caption, *axes, matrix=matrix)


def _implied(of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
    some = of.sel(chosen)
    layers = of[schema.LAYER].values.astype(int)
    lines: list[Line] = []
    for number, asked in enumerate(map(str, of[schema.PROMPT].values)):
        here, colour = some.sel({schema.PROMPT: asked}), _colour(number)
        steered, random = (
            here[name].transpose(schema.CONCEPT, schema.LAYER).values for name in ("implied", "implied_random")
        )
        lines += _lines(of, layers, steered, asked, colour)
        beside = _mean_line(layers, random, f"{asked}, random directions", colour)
        lines.append(replace(beside, dashed=True))
    right = [
        f"{asked} {float(part['accuracy']):.0%} [{float(part['accuracy_low']):.0%}, {float(part['accuracy_high']):.0%}]"
        for asked, part in ((str(name), of.sel({schema.PROMPT: name})) for name in of[schema.PROMPT].values)
    ]
    caption = [
        "Share of the answers that the relation which is steered to implies; dashed: random directions of the same "
        f"size. Right answers without steering: {', '.join(right)}.",
        INTERVAL,
    ]
    title = f"Does an edited relation reach what follows from it? ({', '.join(chosen.values())})"
    return _chart(of, title, caption, _layer_axis(layers), Axis("share of answers"), lines=tuple(lines))


@dataclass(frozen=True)
class _Drawing:
    """Function and variables of a chart of a study, and its selection where the study has several of a kind."""

    key: str
    make: Callable[[xr.Dataset, Mapping[str, str]], Chart]
    needs: tuple[str, ...]
    defaults: Mapping[str, str]

    def check(self, of: xr.Dataset) -> None:
        """Raise a ValueError that says what a dataset lacks for this chart."""
        dims = [schema.CONCEPT, *self.defaults]
        schema.require(of, *self.needs, schema.CATEGORY, dims=dims, what=f"the study '{study_name(of)}'")

    def __call__(self, of: xr.Dataset, chosen: Mapping[str, str]) -> Chart:
        return replace(self.make(of, chosen), key=", ".join([self.key, *chosen.values()]), chosen=dict(chosen))


_DRAWN: dict[str, tuple[_Drawing, ...]] = {
    "localization": (_Drawing("read_out", _read_out, ("read_out",), {schema.MEASURE: "interchange, insert"}),),
    "scaling": (_Drawing("ladder", _scaling, ("blocks", "best_random"), {schema.STATISTIC: "matched"}),),
    "reverse_steering": (
        _Drawing(
            "change", _reverse, ("ratio",),
            {schema.SCOPE: "last_prompt+generated", schema.EDIT: "-1 residual norm"},
        ),
    ),
    "recognition_vs_reasoning": (
        _Drawing(
            "implied", _implied, ("implied", "implied_random", "accuracy", "accuracy_low", "accuracy_high"),
            {schema.SCOPE: "image", schema.EDIT: "1 residual norm"},
        ),
    ),
    "reliability": (
        _Drawing(
            "anti_steerable", _reliability,
            ("steerability", "anti_steerable", "anti_low", "anti_high", "anti_random"), {},
        ),
    ),
    "atlas": (
        _Drawing("cosine", _cosines, ("cosine", "within", "across", "p"), {}),
        _Drawing("besides", _besides, ("besides", "caused"), {}),
    ),
    "comparison": (
        _Drawing("lines", _comparison, ("difference",), {}),
        _Drawing("map", _comparison_map, ("difference",), {}),
    ),
}  # fmt: skip


def _drawings(of: xr.Dataset) -> tuple[_Drawing, ...]:
    if not isinstance(of, xr.Dataset):
        raise TypeError(f"expected the dataset of one of mp.studies, got {described(of)}.")
    return _DRAWN.get(study_name(of), ())


def _values_of(of: xr.Dataset, dim: str) -> list[str]:
    return [str(value) for value in of[dim].values]


def _offered(of: xr.Dataset, dim: str, default: str) -> list[str]:
    """Values of a dimension, the default first where it is there."""
    return sorted(_values_of(of, dim), key=lambda value: value != default)


def _categories(of: xr.Dataset) -> list[str]:
    return list(dict.fromkeys(of[schema.CATEGORY].values.astype(str)))


def _words(names: Iterable[object]) -> list[str]:
    return [str(name).replace("_", " ") for name in names]


def _by_category(of: xr.Dataset) -> Iterable[tuple[str, np.ndarray]]:
    """Every category with the places of its concepts."""
    categories = of[schema.CATEGORY].values.astype(str)
    return [(name, np.flatnonzero(categories == name)) for name in _categories(of)]


def _chart(
    of: xr.Dataset, title: str, caption: Sequence[str], x: Axis, y: Axis, *, why: Callable[[], str] | None = None,
    **content: object,
) -> Chart:  # fmt: skip
    """A chart of a study; where no number is known, what it says in place of axes ends with ``why``."""
    about = (*caption, *origin(of, f"{of.attrs['n_concepts']} concepts"))
    chart = Chart("", title, about, x, y, **content)  # type: ignore[arg-type]
    if chart.shows:
        return chart
    counts = " and ".join(f"{len(rows)} {name.replace('_', ' ')}" for name, rows in _by_category(of))
    reason = "" if why is None else f": {why()}"
    return replace(chart, nothing=f"Nothing to draw, the numbers of {counts} concepts are not known{reason}.")


def _layer_axis(layers: np.ndarray) -> Axis:
    return Axis("layer (decoder block)", schema.LAYER, tuple(layers.tolist()))


def _colour(number: int) -> str:
    return OTHER_COLOURS[number % len(OTHER_COLOURS)]


def _limit(values: np.ndarray) -> float:
    known = np.abs(values[np.isfinite(values)])
    return nice_ceiling(float(known.max())) if known.size else 1.0


def _control_line(label: str, x: np.ndarray, y: np.ndarray) -> Line:
    return Line(_RANDOM, label, "", x, y, control=_RANDOM, dashed=True)


def _by_category_lines(of: xr.Dataset, x: np.ndarray, values: np.ndarray) -> tuple[Line, ...]:
    """Mean of every category, and a line for each concept, of values [concept, point]."""
    names = of[schema.CONCEPT].values.astype(str)
    lines: list[Line] = []
    for category, rows in _by_category(of):
        colour = category_colour(category)
        lines.append(_mean_line(x, values[rows], category, colour))
        lines += _concept_lines(names[rows], x, values[rows], category, colour)
    return tuple(lines)


def _lines(of: xr.Dataset, x: np.ndarray, values: np.ndarray, name: str, colour: str) -> list[Line]:
    """Mean over all concepts, and a line for each, of values [concept, point]."""
    names = of[schema.CONCEPT].values.astype(str)
    return [_mean_line(x, values, name, colour), *_concept_lines(names, x, values, name, colour)]


def _concept_lines(names: Iterable[str], x: np.ndarray, values: np.ndarray, group: str, colour: str) -> list[Line]:
    return [
        Line(group, str(name), colour, x, row, concept=str(name))
        for name, row in zip(names, values, strict=True)
        if np.isfinite(row).any()
    ]


def _mean_line(x: np.ndarray, values: np.ndarray, name: str, colour: str) -> Line:
    """Mean over the concepts that have all points of values [concept, point], with its t interval."""
    known = values[np.isfinite(values).all(1)]
    words = name.replace("_", " ")
    if not len(known):
        return Line(name, f"{words}: none known", colour, np.empty(0), np.empty(0))
    return Line(name, f"{words} ({len(known)})", colour, x, known.mean(0), *t_interval(known, axis=0))
