"""StudyView: a study's summary, its charts and its multiverse; a click on a concept or a layer selects it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import traitlets
import xarray as xr

from mllm_probe.models.argument_checks import require_one_of
from mllm_probe.plots.charts import (
    Axis,
    Chart,
    Line,
    Matrix,
    Points,
    Specifications,
    multiverse_chart,
    of_study,
    study_charts,
    study_name,
)
from mllm_probe.schema import CATEGORY, CONCEPT, LAYER, READ_LAYER
from mllm_probe.studies.multiverse import details_of
from mllm_probe.typing import JsonObject, Traits
from mllm_probe.widgets.base.numbers import words
from mllm_probe.widgets.base.probe_widget import ProbeWidget, bundle
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import card

_DIGITS = 3


def state_of(chart: Chart) -> JsonObject:
    """Data of a chart as JSON takes them, without what is empty.

    Returns: ``key``, ``title``, ``label`` (in a list of charts), ``caption``, ``nothing`` (why, where there are no
    numbers), ``x``, ``y`` (label, dim, ticks, log), and what it has of: ``places``, the positions of its lines, each
    set of them once; ``lines`` (``at``, number of its positions, ``y``, ``low``, ``high`` and how it looks);
    ``points``; ``levels``; ``matrix``; ``specifications``.
    """
    places: list[list[float | None]] = []
    state: JsonObject = {
        "key": chart.key,
        "title": chart.title,
        "label": chart.short,
        "caption": list(chart.caption),
        "nothing": chart.nothing,
        "x": _axis(chart.x),
        "y": _axis(chart.y),
        "lines": [_line(line, places) for line in chart.lines],
        "places": places,
        "points": [_points(points) for points in chart.points],
        "levels": [rounded(level) for level in chart.levels],
        "matrix": None if chart.matrix is None else _matrix(chart.matrix),
        "specifications": None if chart.specifications is None else _specifications(chart.specifications),
    }
    return _filled(state)


def rounded(value: float) -> float | None:
    """A number with three significant digits; None for NaN and infinities."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _rounded_list(values: np.ndarray) -> list[float | None]:
    return [rounded(float(value)) for value in values]


def _filled(state: JsonObject) -> JsonObject:
    """Values of a state that are not empty: the front-end takes a missing one as empty."""
    return {name: value for name, value in state.items() if isinstance(value, (int, float, dict)) or value}


def _axis(axis: Axis) -> JsonObject:
    ticks = [float(tick) for tick in axis.ticks]
    logarithmic = {"log": True} if axis.logarithmic else {}
    return _filled({"label": axis.label, "dim": axis.dim, "ticks": ticks, **logarithmic})


def _line(line: Line, places: list[list[float | None]]) -> JsonObject:
    x = _rounded_list(line.x)
    if x not in places:
        places.append(x)
    state = {
        "at": places.index(x),
        "y": _rounded_list(line.y),
        "low": _rounded_list(line.low),
        "high": _rounded_list(line.high),
    }
    look: JsonObject = {"colour": line.colour, "control": line.control, "concept": line.concept}
    look |= {} if line.concept else {"label": line.label}
    look |= {"dashed": True} if line.dashed else {}
    return _filled({**state, **look, "layer": line.layer})


def _points(points: Points) -> JsonObject:
    numbers = {name: _rounded_list(getattr(points, name)) for name in ("x", "y", "low", "high")}
    return {
        "label": points.name.replace("_", " "),
        "colour": points.colour,
        "concepts": list(points.concepts),
        **numbers,
    }


def _matrix(matrix: Matrix) -> JsonObject:
    return {
        "rows": list(matrix.rows),
        "columns": list(matrix.columns),
        "values": [_rounded_list(row) for row in matrix.values],
        "limit": rounded(matrix.limit),
        "units": matrix.units,
        "concepts": matrix.concepts,
    }


def _specifications(specifications: Specifications) -> JsonObject:
    return {
        "values": _rounded_list(specifications.values),
        "headline": specifications.headline,
        "aspects": [[name, list(values)] for name, values in specifications.aspects],
        "chosen": specifications.chosen.tolist(),
        "units": specifications.units,
    }


class StudyView(ProbeWidget):
    """A study: its summary in words, its charts, and the verdicts of every way to ask its question.

    Lines of categories have intervals over concepts, thin lines are single concepts, dashed ones what they are compared
    with. A click on the line, point or row of a concept, or on a layer, selects it; so do the arrow keys and Enter.

    Parameters
    ----------
    study : xarray.Dataset
        From one of `mllm_probe.studies`, or `mllm_probe.compare`.
    chart : str, optional
        Key of the chart that is shown first.
    concept, layer : optional
        What is selected at first; else the first concept, and the study's headline layer or the first.

    Attributes
    ----------
    dataset : xarray.Dataset
        The study.
    study : str
        Its name; ``summary`` its lines of text, ``details`` the rows of the table below them, ``about`` its model and
        number of concepts.
    charts : list of dict
        Its charts as plain data; ``chart`` is the key of the one that is shown.
    multiverse : dict
        The specification curve; empty where the question was asked in one way.
    concept : str
        The selected concept, one of ``concepts``. Setting it moves the selection; so for ``layer`` (int), one of
        ``layers``: block numbers, -1 for the input of block 0.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If it is no study, or lacks the chart, concept or layer.
    """

    _esm = bundle("study_view")

    study = traitlets.Unicode("").tag(sync=True)
    about = traitlets.Unicode("").tag(sync=True)
    summary = traitlets.List(traitlets.Unicode()).tag(sync=True)
    details = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    charts = traitlets.List(traitlets.Dict()).tag(sync=True)
    chart = traitlets.Unicode("").tag(sync=True)
    multiverse = traitlets.Dict().tag(sync=True)
    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    concept = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        study: xr.Dataset,
        *,
        chart: str | None = None,
        concept: str | None = None,
        layer: int | None = None,
        **traits: Any,
    ) -> None:
        self.dataset = of_study(study)
        shown = shown_of(study)
        chosen = {"chart": chart, "concept": concept, "layer": layer}
        offered = {
            "chart": [chart["key"] for chart in shown["charts"]],
            **{name: shown[f"{name}s"] for name in _SELECTION},
        }
        for name, value in chosen.items():
            if value is not None:
                require_one_of(name, value, offered[name])
                shown[name] = value
        super().__init__(**{**shown, **traits})

    def drawing(self) -> Drawing:
        """Draw the study's name and its summary."""
        return card(f"{words(self.study).capitalize()} · {self.about}", list(self.summary))

    def _summary(self) -> str:
        return f"'{self.study}', {len(self.charts)} charts, {len(self.concepts)} concepts"


_SELECTION = (CONCEPT, LAYER)


def shown_of(study: xr.Dataset) -> Traits:
    """Traits of a view that follow from its study.

    `study`: with attribute ``study``.
    """
    charts = [state_of(chart) for chart in study_charts(study)]
    concepts = [str(name) for name in study[CONCEPT].values] if CONCEPT in study.coords else []
    categories = study[CATEGORY].values.astype(str).tolist() if CATEGORY in study.coords else [""] * len(concepts)
    layers = _layers(study)
    headline = int(study.attrs.get("headline_layer", layers[0] if layers else 0))
    return {
        "study": study_name(study),
        "about": about(study),
        "summary": str(study.attrs.get("summary", "")).splitlines(),
        "details": [list(row) for row in details_of(study)],
        "charts": charts,
        "chart": charts[0]["key"] if charts else "",
        "multiverse": state_of(multiverse_chart(study)) if "verdict" in study else {},
        "concepts": concepts,
        "categories": categories,
        "layers": layers,
        "concept": concepts[0] if concepts else "",
        "layer": headline,
    }


def about(study: xr.Dataset) -> str:
    """Model or models of a study, and how many concepts it has."""
    model = study.attrs.get("model", "")
    names = [model] if isinstance(model, str) else [str(name) for name in model]
    count = study.attrs.get("n_concepts")
    return " · ".join([*(name for name in names if name), *([] if count is None else [f"{count} concepts"])])


def _layers(study: xr.Dataset) -> list[int]:
    """Blocks that any dimension of a study counts, in rising order."""
    layers = [study[dim].values for dim in (LAYER, READ_LAYER) if dim in study.dims]
    return np.unique(np.concatenate(layers)).astype(int).tolist() if layers else []
