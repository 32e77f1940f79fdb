"""Vectors, pictures and settings of ``sweep``, ``sweep_iter`` and ``plan``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from tests.hostile.cases.steering import as_type, filled
from tests.hostile.tries import Try

setting = partial(Try, "sweep, plan")
SMALL = {"layers": [3], "strengths": (1,), "draws": 4, "metrics": ("logprob",), "progress": False}

_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"strengths": []}, "strengths: expected one or more finite numbers"),
    ({"strengths": [float("nan")]}, "strengths: expected one or more finite numbers"),
    ({"strengths": [1, float("inf")]}, "strengths: expected one or more finite numbers"),
    ({"strengths": [10**400]}, "strengths: expected one or more finite numbers"),
    ({"strengths": "12"}, "strengths: expected numbers such as (-1, 0, 1); got '12'"),
    ({"strengths": ["1"]}, "strengths: expected numbers"),
    ({"strengths": [True]}, "strengths: expected numbers"),
    ({"strengths": None}, "strengths: expected numbers"),
    ({"strengths": [[1, 2]]}, "strengths: expected numbers"),
    ({"strengths": [0.5, 1e38]}, "a dose of"),
    ({"layers": []}, "layers: expected"),
    ({"layers": [99]}, "no layer 99"),
    ({"layers": [1, 1]}, "layers: expected one or more different blocks"),
    ({"layers": [2.5]}, "layers: expected"),
    ({"metrics": []}, "metrics: expected at least one"),
    ({"metrics": ["iq"]}, "unknown metric 'iq'"),
    ({"metrics": None}, "metrics: expected"),
    ({"metrics": 5}, "metrics: expected"),
    ({"controls": ["placebo"]}, "unknown control 'placebo'"),
    ({"controls": 5}, "controls: expected"),
    ({"draws": 0}, "draws: expected 1 or more; got 0"),
    ({"draws": -1}, "draws: expected 1 or more; got -1"),
    ({"draws": 4.5}, "draws: expected a whole number, such as 1; got 4.5"),
    ({"draws": True}, "draws: expected a whole number, such as 1; got True"),
    ({"draws": 10**9}, "1,000,000,000 draws"),
    ({"draws": 10**18}, "1,000,000,000,000,000,000 draws"),
    ({"strengths": range(1, 10**5), "draws": 10_000}, "steered runs"),
    ({"metrics": ("tokens",), "max_new_tokens": 10**9}, "GB"),
    ({"seed": -1}, "seed: expected 0 or more; got -1"),
    ({"seed": "x"}, "seed: expected a whole number"),
    ({"seed": None}, "seed: expected a whole number"),
    ({"max_new_tokens": 0, "metrics": ("named",)}, "max_new_tokens: expected 1 or more; got 0"),
    ({"max_new_tokens": 2.5}, "max_new_tokens: expected a whole number"),
    ({"max_new_tokens": float("nan")}, "max_new_tokens: expected a whole number"),
    ({"max_new_tokens": True}, "max_new_tokens: expected a whole number"),
    ({"record": ["x"]}, "unknown recording 'x'"),
    ({"record": ["residual_norm"], "read_layers": [99]}, "no layer 99"),
    ({"client": "tcp://scheduler"}, "expected a dask.distributed.Client"),
    ({"to": "cat"}, "to="),
    ({"to": "zebra", "operation": "replace"}, "to: the vectors have no concept 'zebra'"),
    ({"to": 5, "operation": "replace"}, "expected a dataset of vectors"),
    ({"unit": "x"}, "unit: expected one of"),
    ({"operation": None}, "operation: expected one of"),
    ({"tokens": "x"}, "got 'x'"),
    ({"prompt": "<image> hi"}, "prompt: holds the image token"),
    ({"prompt": "cat " * 25_000}, "shorten the prompt"),
    ({"prompt": ["a", "b", "c"]}, "Expected one prompt, or one per sample (1); got 3"),
    ({"answer_prefix": [10**7]}, "answer_prefix: expected token ids between 0 and"),
    ({"answer_prefix": [-4]}, "answer_prefix: expected token ids between 0 and"),
    ({"answer_prefix": [1.5]}, "answer_prefix: expected text or a list of token ids"),
    ({"answer_prefix": 5}, "answer_prefix: expected text or a list of token ids"),
    ({"images": None}, "images: expected images or a concept library"),
    ({"images": []}, "at least one image"),
    ({"images": "x"}, "There is no"),
    ({"images": 3}, "got int"),
]
_VECTORS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("None", lambda s: None, "the vectors: expected a dataset"),
    ("a dict", lambda s: {}, "the vectors: expected a dataset"),
    ("no vector", lambda s: s.vectors.drop_vars("vector"), "lack"),
    ("no hidden", lambda s: s.vectors.isel(hidden=0), "lack"),
    ("no concepts", lambda s: s.vectors.isel(concept=[]), "no concept"),
    ("a concept twice", lambda s: s.vectors.sel(concept=["cat", "cat"]), "'cat' twice"),
    ("NaN", lambda s: filled(s.vectors, float("nan")), "holds NaN or infinity"),
    ("infinity", lambda s: filled(s.vectors, float("inf")), "holds NaN or infinity"),
    ("3e38", lambda s: filled(s.vectors, 3e38), "is too long"),
    ("zero", lambda s: filled(s.vectors, 0.0), "has length 0"),
    ("another width", lambda s: s.vectors.isel(hidden=slice(0, 10)), "have width 10"),
    ("other weights", lambda s: s.vectors.assign_attrs(weights="x"), "were made with"),
    ("no attributes", lambda s: s.vectors.drop_attrs(), "do not say which model"),
    ("a grid", lambda s: s.grid, "lack"),
    ("words that are no list", lambda s: s.vectors.assign(words=("concept", ["{", "cat"])), "words"),
]
_SINGLE: dict[str, Callable[[Any], Any]] = {
    "selected": lambda s: s.cat,
    "selected and expanded": lambda s: s.cat.expand_dims("concept"),
    "a list of one": lambda s: s.vectors.sel(concept=["cat"]),
    "without a name": lambda s: s.cat.drop_vars(["concept", "category"]),
}


def _run(s: Any, **given: Any) -> xr.Dataset:
    settings = SMALL | {"images": [s.picture], **given}
    return mp.sweep(s.model, settings.pop("vectors", s.vectors), **settings)


def _both(**given: Any) -> Callable[[Any], Any]:
    """The plan refuses what the sweep refuses; the sweep's error is the one that counts."""

    def call(s: Any) -> Any:
        settings = SMALL | {"images": [s.picture], **given}
        try:
            mp.plan(s.model, s.vectors, **settings)
        except Exception as planned:
            try:
                return _run(s, **given)
            except Exception as ran:
                assert (type(planned), str(planned)) == (type(ran), str(ran))
                raise
        raise AssertionError("the plan took it")

    return call


def _as_cat(s: Any, vectors: xr.Dataset) -> bool:
    one, whole = _run(s, vectors=vectors, controls="random"), _run(s, controls="random")
    return dict(one.sizes) == dict(whole.sizes) | {"concept": 1} and bool(
        np.allclose(one.logprob.values[0], whole.logprob.sel(concept="cat").values, atol=1e-4, equal_nan=True)
    )


def _alike(grid: xr.Dataset) -> bool:
    scores = grid.logprob.sel(control="concept", draw=0).values
    return grid.sizes["sample"] == 3 and np.ptp(scores, axis=-1).max() < 1e-4


def _scored(grid: xr.Dataset) -> bool:
    return bool(np.isfinite(grid.logprob.sel(control="concept", draw=0)).all())


TRIES = [
    *(setting(f"{given}"[:60], _both(**given), "error", says) for given, says in _SETTINGS),
    *(setting(f"vectors: {name}", lambda s, make=make: _run(s, vectors=make(s)), "error", says)
      for name, make, says in _VECTORS),
    *(setting(f"one concept: {name}", lambda s, make=make: _as_cat(s, make(s)), "result", right=bool)
      for name, make in _SINGLE.items() if name != "without a name"),
    setting("one concept: without a name", lambda s: _run(s, vectors=_SINGLE["without a name"](s)), "result",
            right=_scored),
    setting("strengths twice", lambda s: _run(s, strengths=[1, 1.0]), "result",
            right=lambda g: g.sizes["strength"] == 1),
    setting("strengths from a generator", lambda s: _run(s, strengths=(x for x in (0, 1))), "result", right=_scored),
    setting("strength -0.0", lambda s: _run(s, strengths=[-0.0, 1]), "result",
            right=lambda g: _scored(g) and g.logprob.sel(strength=0, control="concept").isel(draw=0).notnull().all()),
    setting("layers from a generator", lambda s: _run(s, layers=(x for x in [1, 2])), "result",
            right=lambda g: g.layer.values.tolist() == [1, 2]),
    setting("seed 2**70", lambda s: _run(s, seed=2**70), "result", right=_scored),
    setting("a metric as text", lambda s: _run(s, metrics="logprob"), "result", right=_scored),
    setting("a control as text", lambda s: _run(s, controls="random"), "result",
            right=lambda g: g.control.values.tolist() == ["concept", "random"]),
    setting("vectors: float64", lambda s: _run(s, vectors=as_type(s.vectors, "float64")), "result", right=_scored),
    setting("one picture three times", lambda s: _run(s, images=[s.picture] * 3), "result", right=_alike),
    setting("pictures from a generator", lambda s: _run(s, images=(p for p in [s.picture])), "result", right=_scored),
    *(setting(f"model {m!r}", lambda s, m=m: mp.sweep(m, s.vectors, [s.picture], **SMALL), "error",
              "expected a loaded model (mp.load or mp.wrap)") for m in (None, "scenes-8l")),
    setting("vectors and model exchanged", lambda s: mp.sweep(s.vectors, s.model, [s.picture], **SMALL), "error",
            "got a Dataset; the model comes first"),
    setting("sweep_iter: vectors None", lambda s: next(mp.sweep_iter(s.model, None, [s.picture], **SMALL)), "error",
            "the vectors: expected a dataset"),
    setting("plan: model None", lambda s: mp.plan(None, s.vectors, [s.picture], **SMALL), "error", "a loaded model"),
    setting("plan: one picture three times", lambda s: mp.plan(s.model, s.vectors, [s.picture] * 3, **SMALL), "result",
            right=lambda p: p.samples == 3 and p.cells == 54),
    setting("plan: a folder as store, which it never opens",
            lambda s: mp.plan(s.model, s.vectors, [s.picture], store=s.folder, **SMALL), "result",
            right=lambda p: p.samples == 1),
]  # fmt: skip
