"""Inputs from which no map or figure can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Ending, Try

AREA = "figures"
TRIES: list[Try] = []


def refused(name: str, call: Callable[[Any], Any], says: str, ends: Ending = "error") -> None:
    TRIES.append(Try(AREA, name, call, ends, says))


def right(name: str, call: Callable[[Any], Any], check: Callable[[Any], bool]) -> None:
    TRIES.append(Try(AREA, name, call, "result", right=check))


for _name, _given, _says in (
    ("a number", lambda s: 5, "got int"),
    ("a list of numbers", lambda s: [1, 2], "holds int 1"),
    ("a missing path", lambda s: str(s.folder / "x"), "no Zarr store"),
    ("an empty dataset", lambda s: xr.Dataset(), "no metric 'logprob'"),
    ("vectors", lambda s: s.vectors, "no metric 'logprob'"),
    ("an array", lambda s: s.grid.logprob, "got DataArray"),
):
    refused(f"map of {_name}", lambda s, given=_given: mp.LayerConceptHeatmap(given(s)), _says)
refused("map of an unknown metric", lambda s: mp.LayerConceptHeatmap(s.grid, metric="zz"), "no metric 'zz'")
right("map of nothing", lambda s: repr(mp.LayerConceptHeatmap(None)), lambda text: "empty" in text)

for _plot in ("layer_profile", "dose_response"):
    refused(f"{_plot} of a list", lambda s, p=_plot: getattr(mp.plots, p)([mp.effect(s.grid)] * 2), "got list")
    refused(f"{_plot} of None", lambda s, p=_plot: getattr(mp.plots, p)(None), "got NoneType")
    refused(f"{_plot} of vectors", lambda s, p=_plot: getattr(mp.plots, p)(s.vectors), "lacks variable 'difference'")
    refused(f"{_plot} of no such concept", lambda s, p=_plot: getattr(mp.plots, p)(s.grid, concepts="dog"), "'dog'")
refused("layer_profile at no such strength", lambda s: mp.plots.layer_profile(s.grid, strength=9), "strength 9")
refused("dose_response at no such layer", lambda s: mp.plots.dose_response(s.grid, layer=77), "layer 77")
refused("vector_geometry of a grid", lambda s: mp.plots.vector_geometry(s.grid), "lacks variable 'vector'")
refused("vector_geometry of a list", lambda s: mp.plots.vector_geometry([s.vectors]), "got list")

for _what, _draw in (("study", mp.plots.study), ("StudyView", mp.StudyView), ("multiverse", mp.plots.multiverse)):
    refused(f"{_what} of a list", lambda s, draw=_draw: draw([s.grid]), "expected the dataset of one of mp.studies")
refused("study of a grid", lambda s: mp.plots.study(s.grid), "expected a study")
refused("StudyView of a grid", lambda s: mp.StudyView(s.grid), "says its name in the attribute 'study'")
refused("multiverse of a grid", lambda s: mp.plots.multiverse(s.grid), "lacks variable 'verdict'")
for _of in ("localization", "scaling", "reverse_steering", "reliability", "atlas", "comparison"):
    refused(
        f"a grid that is called {_of}", lambda s, of=_of: mp.StudyView(s.grid.assign_attrs(study=of)),
        f"the study '{_of}' lacks variable",
    )  # fmt: skip
refused(
    "report of a grid that is called a study",
    lambda s: mp.report(s.grid.assign_attrs(study="atlas"), s.folder / "r.html"),
    "the study 'atlas' lacks variable",
)
right("a study of one's own", lambda s: mp.StudyView(s.grid.assign_attrs(study="mine")), lambda view: not view.charts)
