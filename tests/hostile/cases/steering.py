"""Vectors and settings of a ``Steering``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

setting = partial(Try, "Steering")


def filled(vectors: xr.Dataset, value: float) -> xr.Dataset:
    """The vectors with every number of their directions replaced."""
    array = vectors["vector"]
    return vectors.assign(vector=array.copy(data=np.full(array.shape, value, np.float32)))


def scaled(vectors: xr.Dataset, factor: float) -> xr.Dataset:
    """The vectors with their directions at another length."""
    return vectors.assign(vector=vectors["vector"].copy(data=vectors["vector"].values * np.float32(factor)))


def as_type(vectors: xr.Dataset, kind: Any) -> xr.Dataset:
    """The vectors with their directions in another type."""
    return vectors.assign(vector=vectors["vector"].astype(kind))


def _rounded(vectors: xr.Dataset) -> xr.Dataset:
    return vectors.assign(vector=scaled(vectors, 100)["vector"].round())


def _with(**given: Any) -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        steering = mp.Steering(s.cat, **{"layers": [3], "strength": 1.0, **given})
        return mp.generate(s.model, s.picture, steering=steering, max_new_tokens=2).text

    return call


def _of(make: Callable[[Any], Any], **given: Any) -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        steering = mp.Steering(make(s), [3], 1.0, **given)
        return mp.generate(s.model, s.picture, steering=steering, max_new_tokens=2).text

    return call


_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"strength": float("nan")}, "strength: expected a finite number; got nan"),
    ({"strength": float("inf")}, "strength: expected a finite number; got inf"),
    ({"strength": 10**400}, "strength: expected a finite number"),
    ({"strength": 1e30}, "a dose of"),
    ({"strength": 1e38}, "a dose of"),
    ({"strength": -1e38}, "a dose of"),
    ({"strength": "1"}, "strength: expected a number; got '1'"),
    ({"strength": True}, "strength: expected a number; got True"),
    ({"strength": None}, "strength: expected a number; got None"),
    ({"strength": [1, 2]}, "strength: expected a number; got [1, 2]"),
    ({"strength": 1j}, "strength: expected a number; got 1j"),
    ({"layers": [99]}, "at layer 99"),
    ({"layers": [10**30]}, "layers: "),
    ({"layers": []}, "layers: expected"),
    ({"layers": "x"}, "layers: expected"),
    ({"layers": [2.5]}, "layers: expected"),
    ({"layers": True}, "layers: expected"),
    ({"layers": slice(9, 12)}, "layers: expected"),
    ({"layers": [[1, 2]]}, "layers: expected"),
    ({"tokens": "nope"}, "got 'nope'"),
    ({"tokens": []}, "tokens: "),
    ({"tokens": None}, "tokens: "),
    ({"tokens": [10**9]}, "position 1000000000"),
    ({"unit": "kg"}, "unit: expected one of"),
    ({"operation": "explode"}, "operation: expected one of"),
    ({"operation": "replace"}, "needs to="),
    ({"to": "cat"}, "to"),
    ({"seed": -1}, "seed: expected 0 or more; got -1"),
    ({"seed": "x"}, "seed: expected a whole number"),
    ({"draw": 1.5}, "draw: expected a whole number"),
    ({"kind": "placebo"}, "kind: expected one of"),
]
_MASKS = {"of another shape": (np.ones((3, 3), bool), "3×3"), "empty": (np.zeros((8, 8), bool), "tokens: ")}
_VECTORS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("None", lambda s: None, "expected a dataset of vectors"),
    ("a dict", lambda s: {}, "expected a dataset of vectors"),
    ("no vector", lambda s: s.cat.drop_vars("vector"), "lacks variable 'vector'"),
    ("NaN", lambda s: filled(s.cat, float("nan")), "holds NaN or infinity"),
    ("infinity", lambda s: filled(s.cat, float("inf")), "holds NaN or infinity"),
    ("1e20", lambda s: filled(s.cat, 1e20), "is too long"),
    ("3e38", lambda s: filled(s.cat, 3e38), "is too long"),
    ("zero", lambda s: filled(s.cat, 0.0), "has length 0"),
    ("two concepts", lambda s: s.vectors, "expected the vectors of one concept"),
    ("another width", lambda s: s.cat.isel(hidden=slice(0, 10)), "have width 10"),
    ("other weights", lambda s: s.cat.assign_attrs(weights="x"), "were made with"),
    ("no attributes", lambda s: s.cat.drop_attrs(), "do not say which model"),
    ("a grid", lambda s: s.grid, "lacks variable 'vector'"),
]


def _float16(s: Any) -> Any:
    """A dose that float16 cannot hold, on a model in float16."""
    from tests.zoo import tiny_llava

    model = tiny_llava()
    model.hf.to(torch.float16)
    vectors = mp.vectors_from(model, {"a": np.ones(model.hidden_size)})
    return mp.generate(model, s.picture, steering=mp.Steering(vectors, [1], 1e5, unit="vector"), max_new_tokens=2).text


def _dosed(vectors: xr.Dataset, s: Any) -> list[str]:
    return mp.generate(s.model, s.picture, steering=mp.Steering(vectors, [3], 1.0), max_new_tokens=2).text


TRIES = [
    *(setting(f"{given}", _with(**given), "error", says) for given, says in _SETTINGS),
    *(setting(f"a mask {name}", _with(tokens=mask), "error", says) for name, (mask, says) in _MASKS.items()),
    *(setting(f"vectors: {name}", _of(make), "error", says) for name, make, says in _VECTORS),
    setting("vectors: 1e15, in their own length", _of(lambda s: filled(s.cat, 1e19), unit="vector"), "error",
            "is too long"),
    setting("no layers are all of them", lambda s: [_with(layers=n)(s) for n in (None, "all")], "result",
            right=lambda out: out[0] == out[1]),
    setting("the last layer as -1", lambda s: [_with(layers=n)(s) for n in (-1, [7])], "result",
            right=lambda out: out[0] == out[1]),
    setting("a layer twice", lambda s: [_with(layers=n)(s) for n in ([2, 2], [2])], "result",
            right=lambda out: out[0] == out[1]),
    setting("vectors: float64", lambda s: [_dosed(v, s) for v in (s.cat, as_type(s.cat, "float64"))], "result",
            right=lambda out: out[0] == out[1]),
    setting("vectors: whole numbers", lambda s: [_dosed(as_type(_rounded(s.cat), t), s) for t in (int, float)],
            "result", right=lambda out: out[0] == out[1]),
    setting("vectors: a millionth as long", lambda s: [_dosed(v, s) for v in (s.cat, scaled(s.cat, 1e-6))], "result",
            right=lambda out: out[0] == out[1]),
    setting("vectors: 1e15 times as long", lambda s: [_dosed(v, s) for v in (s.cat, scaled(s.cat, 1e15))], "result",
            right=lambda out: out[0] == out[1]),
    setting("components in reverse: no dataset can say so", _of(lambda s: s.cat.isel(hidden=slice(None, None, -1))),
            "result", right=lambda out: len(out) == 1),
    setting("a dose beyond float16", _float16, "error", "torch.float16"),
    setting("compose: nothing", lambda s: mp.compose(), "error", "compose expects one or more steerings"),
    setting("compose: text", lambda s: mp.compose("x"), "error", "compose expects one or more steerings"),
]  # fmt: skip
