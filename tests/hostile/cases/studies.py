"""Effects without a read-out profile, and truths that cannot be planted."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

entry = partial(Try, "studies")

_VALUES = xr.DataArray(np.ones((2, 3, 4)), {"layer": [-1, 0, 1], "concept": ["a", "b"]}, ("concept", "layer", "sample"))
_BLOCKS = _VALUES.isel(layer=slice(1, None))
_EFFECTS: list[tuple[str, Any, str]] = [
    ("None", None, "values: expected a DataArray"),
    ("a list", [1.0, 2.0], "values: expected a DataArray"),
    ("no block numbers", _VALUES.drop_vars("layer"), "with block numbers"),
    ("no images", _VALUES.mean("sample"), "'sample'"),
    ("a gap", _VALUES.isel(layer=[0, 2]), "after every block, 0 … 1; it is there for [-1, 1]"),
    ("a layer twice", _VALUES.isel(layer=[0, 1, 2, 2]), "it is there for [-1, 0, 1, 1]"),
    ("no input", _BLOCKS, "needs the effect of an edit of its input"),
]
_AT_INPUT: list[tuple[str, Any, str]] = [
    ("text", "1", "at_input: expected a number"),
    ("NaN", float("nan"), "at_input: expected a finite number"),
    ("another concept", xr.DataArray([1.0], {"concept": ["c"]}, "concept"), "at_input: expected the coordinates"),
    ("another dimension", xr.DataArray([1.0], dims="draw"), "at_input: expected some of the dimensions"),
]
_PLANTED: list[tuple[str, dict[str, Any], str]] = [
    ("text for a number", {"layers": "8"}, "layers: expected a whole number"),
    ("a block that is not there", {"layers": 4, "block": 4}, "block: expected 0 … 3"),
    ("a width for which there is no memory", {"width": 10**12}, "width: expected 2 … 4096"),
    ("more layers than there is memory for", {"layers": 10**9}, "layers: expected 1 … 512"),
    ("more images than there is memory for", {"pairs": 10**9}, "pairs: expected 2 … 10000"),
    ("infinite gain", {"gain": float("inf")}, "gain: expected a finite number"),
    ("an unknown kind", {"kinds": ["local", "global"]}, "kinds: expected one or more"),
    ("a kind that is no text", {"kinds": [["local"]]}, "kinds: expected one or more"),
]


def _without_number(profile: xr.Dataset) -> bool:
    return bool(np.isnan(profile["effective_layers"]).all() and not profile["n"].any())


TRIES = [
    *(entry(f"read_out_of: {n}", lambda s, v=v: mp.studies.read_out_of(v, "image"), "error", says)
      for n, v, says in _EFFECTS),
    *(entry(f"read_out_of: at_input {n}", lambda s, v=v: mp.studies.read_out_of(_BLOCKS, "image", at_input=v), "error",
            says) for n, v, says in _AT_INPUT),
    entry("read_out_of: scope", lambda s: mp.studies.read_out_of(_VALUES, ["image"]), "error", "scope: expected"),
    entry("read_out_of: all NaN", lambda s: mp.studies.read_out_of(_VALUES * np.nan, "image"), "result",
          right=_without_number),
    entry("read_out_of: all infinite", lambda s: mp.studies.read_out_of(_VALUES * np.inf, "image"), "result",
          right=_without_number),
    entry("read_out: some blocks alone", lambda s: mp.studies.read_out(s.grid.assign_attrs(scope="image")), "error",
          "after every block, 0 … 7"),
    entry("read_out: generated tokens", lambda s: mp.studies.read_out(s.grid.assign_attrs(scope="generated")), "error",
          "this grid steers 'generated'"),
    entry("read_out: no scope", lambda s: mp.studies.read_out(s.grid.assign_attrs(scope=None)), "error",
          "this grid steers None"),
    entry("read_out: off_target", lambda s: mp.studies.read_out(s.grid, "off_target"), "error", "scores every concept"),
    entry("causal_verdict: one dataset for the other", lambda s: mp.studies.causal_verdict(s.grid, s.grid), "error",
          "the read-out profile lacks variable"),
    *(entry(f"plant: {n}", lambda s, given=given: mp.studies.truth.plant(**given), "error", says)
      for n, given, says in _PLANTED),
]  # fmt: skip
