"""What maps, reports, figures and effects cannot be made of, and paths that nothing can be written to."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Ending, Try

AREA = "figures"
TRIES: list[Try] = []


def refused(name: str, call: Callable[[Any], Any], says: str, ends: Ending = "error") -> None:
    TRIES.append(Try(AREA, name, call, ends, says))


def right(name: str, call: Callable[[Any], Any], check: Callable[[Any], bool]) -> None:
    TRIES.append(Try(AREA, name, call, "result", right=check))


def _finite(effect: xr.Dataset) -> int:
    return int(np.isfinite(effect["difference"].values).sum())


_GRIDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "None": (lambda s: None, "NoneType"),
    "a dict": (lambda s: {}, "dict"),
    "no controls": (lambda s: s.grid.sel(control=["concept"]), "without"),
    "0 pictures": (lambda s: s.grid.isel(sample=[]), "no pictures"),
    "strings": (lambda s: s.grid.assign(logprob=s.grid.text), "numbers"),
}
for _name, (_grid, _says) in _GRIDS.items():
    refused(f"effect of {_name}", lambda s, grid=_grid: mp.effect(grid(s)), _says)
    refused(f"report of {_name}", lambda s, grid=_grid: mp.report(grid(s), s.folder / "r.html"), _says)
refused("report of an unknown metric", lambda s: mp.report(s.grid, s.folder / "r.html", metric="iq"), "'iq'")
right(
    "effect of all NaN", lambda s: mp.effect(s.grid.assign(logprob=s.grid.logprob * np.nan)), lambda e: not _finite(e)
)
right("effect of inf", lambda s: mp.effect(s.grid.assign(logprob=s.grid.logprob * np.inf)), lambda e: not _finite(e))
right("effect of one picture", lambda s: mp.effect(s.grid.isel(sample=[0])), lambda e: not e.clear_of_controls.any())
right("effect of one draw", lambda s: mp.effect(s.grid.isel(draw=[0])), lambda e: not e.clear_of_controls.any())
refused("effect of a metric that is None", lambda s: mp.effect(s.grid, None), "no metric 'None'")

for _name, _path, _says in (
    ("no folder", lambda s: s.folder / "no" / "r.html", "no folder"),
    ("a folder", lambda s: s.folder, "is a folder"),
    ("None", lambda s: None, "expected a path"),
    ("a null character", lambda s: "a\0", "null character"),
    ("a name that is too long", lambda s: s.folder / ("x" * 300), "cannot be written"),
):
    refused(f"report to {_name}", lambda s, path=_path: mp.report(s.grid, path(s)), _says)
right(
    "report to bytes", lambda s: mp.report(s.grid, os.fsencode(s.folder / "b.html")), lambda w: w.path.name == "b.html"
)

for _name, _given, _says in (
    ("a number", lambda s: 5, "got int"),
    ("a list of numbers", lambda s: [1, 2], "holds int 1"),
    ("a missing path", lambda s: str(s.folder / "x"), "no sweep's store"),
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
