"""Grids that ``effect`` and ``report`` cannot read, and files that ``report`` cannot write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

entry = partial(Try, "effect, report")

_GRIDS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("None", lambda s: None, "expected a dataset"),
    ("a dict", lambda s: {}, "expected a dataset"),
    ("a list", lambda s: [s.grid], "expected a dataset"),
    ("an empty dataset", lambda s: xr.Dataset(), "lacks"),
    ("vectors", lambda s: s.vectors, "lacks"),
    ("no controls", lambda s: s.grid.sel(control=["concept"]), "without its controls"),
    ("no pictures", lambda s: s.grid.isel(sample=[]), "no images"),
    ("text for numbers", lambda s: s.grid.assign(logprob=s.grid.text), "holds text"),
    ("no baseline", lambda s: s.grid.drop_vars("logprob_unsteered"), "lacks variable 'logprob_unsteered'"),
]
_REPORTED = {
    "None": "NoneType",
    "a dict": "dict",
    "a list": "list",
    "an empty dataset": "neither",
    "vectors": "neither",
}
_METRICS: list[tuple[Any, str]] = [("iq", "no metric 'iq'"), (5, "no metric"), (["logprob"], "no metric")]
_PATHS: list[tuple[str, Any, str]] = [
    ("no folder", "no/r.html", "there is no folder"),
    ("a folder", ".", "is a folder"),
    ("None", None, "path: expected text or a path; got None"),
    ("bytes", b"b.html", "path: expected text or a path; got b'b.html'"),
    ("a NUL", "a\0.html", "holds a NUL character"),
    ("300 letters", "x" * 300 + ".html", "is too long"),
]


def _nothing(effect: xr.Dataset) -> bool:
    return not np.isfinite(effect.difference).any() and not effect.clear_of_controls.any()


def _reported(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda s: mp.report(change(s), s.folder / "r.html").path.read_text()


TRIES = [
    *(entry(f"effect: {n}", lambda s, make=make: mp.effect(make(s), "logprob"), "error", says)
      for n, make, says in _GRIDS),
    *(entry(f"report: {n}", _reported(make), "error", _REPORTED.get(n, says)) for n, make, says in _GRIDS),
    *(entry(f"effect: metric {m!r}", lambda s, m=m: mp.effect(s.grid, m), "error", says) for m, says in _METRICS),
    entry("report: metric 'iq'", lambda s: mp.report(s.grid, s.folder / "r.html", metric="iq"), "error",
          "no metric 'iq'"),
    entry("effect: average", lambda s: mp.effect(s.grid, average="mode"), "error", "average: expected one of"),
    entry("effect: split", lambda s: mp.effect(s.grid, split="test"), "error", "split 'test'"),
    entry("effect: seed", lambda s: mp.effect(s.grid, seed="x"), "error", "seed: expected a whole number"),
    entry("effect: all NaN", lambda s: mp.effect(s.grid.assign(logprob=s.grid.logprob * np.nan)), "result",
          right=lambda e: _nothing(e) and not e.n.any()),
    entry("effect: all infinite", lambda s: mp.effect(s.grid.assign(logprob=s.grid.logprob * np.inf)), "result",
          right=lambda e: _nothing(e) and not e.n.any()),
    entry("effect: one picture", lambda s: mp.effect(s.grid.isel(sample=[0])), "result",
          right=lambda e: not e.clear_of_controls.any() and int(e.n.max()) == 1),
    entry("effect: one draw", lambda s: mp.effect(s.grid.isel(draw=[0])), "result",
          right=lambda e: not e.clear_of_controls.any()),
    entry("report: all NaN", _reported(lambda s: s.grid.assign(logprob=s.grid.logprob * np.nan)), "result",
          right=lambda page: "<html" in page),
    entry("report: one picture", _reported(lambda s: s.grid.isel(sample=[0])), "result",
          right=lambda page: "<html" in page),
    *(entry(f"report: path {n}", lambda s, p=p: mp.report(s.grid, p), "error", says) for n, p, says in _PATHS),
]  # fmt: skip
