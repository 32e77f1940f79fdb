"""StudyView: a study's summary, its charts and its multiverse; a click on a concept or a layer selects it."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
import xarray as xr

from mllm_probe.models.argument_checks import require_one_of
from mllm_probe.plots.study_charts import multiverse_chart, of_study, study_charts, study_name
from mllm_probe.schema import CATEGORY, CONCEPT, LAYER, READ_LAYER
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import words
from mllm_probe.widgets.base.probe_widget import ProbeWidget, bundle
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import card
from mllm_probe.widgets.study.chart_state import state_of


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
        Its name; ``summary`` its lines of text, ``about`` its model and number of concepts.
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
        offered = {"chart": [one["key"] for one in shown["charts"]], **{name: shown[f"{name}s"] for name in _SELECTION}}
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
    charts = [state_of(one) for one in study_charts(study)]
    concepts = [str(name) for name in study[CONCEPT].values] if CONCEPT in study.coords else []
    categories = study[CATEGORY].values.astype(str).tolist() if CATEGORY in study.coords else [""] * len(concepts)
    layers = _layers(study)
    headline = int(study.attrs.get("headline_layer", layers[0] if layers else 0))
    return {
        "study": study_name(study),
        "about": about(study),
        "summary": str(study.attrs.get("summary", "")).splitlines(),
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
    names = [model] if isinstance(model, str) else [str(one) for one in model]
    count = study.attrs.get("n_concepts")
    return " · ".join([*(name for name in names if name), *([] if count is None else [f"{count} concepts"])])


def _layers(study: xr.Dataset) -> list[int]:
    """Blocks that any dimension of a study counts, in rising order."""
    found = [study[dim].values for dim in (LAYER, READ_LAYER) if dim in study.dims]
    return np.unique(np.concatenate(found)).astype(int).tolist() if found else []
