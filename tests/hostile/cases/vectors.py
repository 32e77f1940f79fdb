"""Libraries for ``concept_vectors`` and arrays for ``vectors_from``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

concept = partial(Try, "concept_vectors")
given = partial(Try, "vectors_from")

_LIBRARIES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("None", lambda s: None, "library: expected a concept library"),
    ("a list", lambda s: [], "library: expected a concept library"),
    ("an empty dict", lambda s: {}, "with at least one concept"),
    ("pictures", lambda s: s.held_out.pictures[:2], "library: expected a concept library"),
    ("text", lambda s: "x", "library: expected a concept library"),
    ("one concept", lambda s: s.library["cat"], "library.subset"),
    ("a dict of pictures", lambda s: {"cat": s.held_out.pictures[:2]}, "'cat' is a list"),
    ("a dict of folders", lambda s: {"cat": "folder"}, "'cat' is a str"),
]
_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"method": "magic"}, "method: expected one of"),
    ({"method": None}, "method: expected one of"),
    ({"shuffled_draws": -1}, "shuffled_draws: expected 0 or more; got -1"),
    ({"shuffled_draws": 1.5}, "shuffled_draws: expected a whole number"),
    ({"shuffles": -1}, "unexpected keyword argument"),
    ({"seed": "x"}, "seed: expected a whole number"),
    ({"seed": -1}, "seed: expected 0 or more; got -1"),
    ({"batch_size": 0}, "batch_size: expected 'auto' or a number of samples"),
    ({"batch_size": -3}, "batch_size: expected 'auto' or a number of samples"),
    ({"batch_size": "x"}, "batch_size: expected 'auto' or a number of samples"),
    ({"batch_size": None}, "batch_size: expected 'auto' or a number of samples"),
    ({"prompt": 5}, "prompt: expected text"),
    ({"prompt": ["a", "b"]}, "Expected one prompt, or one per sample"),
    ({"layers": [99]}, "no layer 99"),
    ({"layers": slice(2, 4)}, "layers: expected"),
    ({"layers": [2.5]}, "layers: expected"),
    ({"layers": []}, "layers: expected"),
    ({"tokens": "nope"}, "tokens: expected one or several"),
    ({"tokens": None}, "tokens: expected one or several"),
    ({"tokens": 5}, "tokens: expected one or several"),
]


def _measured(**options: Any) -> Callable[[Any], Any]:
    def call(s: Any) -> xr.Dataset:
        options_ = {"probe_accuracy": False, "shuffled_draws": 0, **options}
        return mp.concept_vectors(s.model, s.held_out, **options_)

    return call


def _steered(s: Any, directions: Any, **options: Any) -> tuple[xr.Dataset, list[str]]:
    vectors = mp.vectors_from(s.model, directions, **{"images": s.held_out.pictures[:2], **options})
    steering = mp.Steering(vectors.isel(concept=0), [3], 1.0)
    return vectors, mp.generate(s.model, s.picture, steering=steering, max_new_tokens=2).text


def _from(directions: Callable[[int], Any], **options: Any) -> Callable[[Any], Any]:
    return lambda s: _steered(s, directions(s.model.hidden_size), **options)


_ARRAYS: list[tuple[str, Callable[[int], Any], str]] = [
    ("None", lambda w: None, "a mapping from names to arrays"),
    ("an empty dict", lambda w: {}, "at least one"),
    ("a list", lambda w: [1], "a mapping from names to arrays"),
    ("another shape", lambda w: {"a": torch.zeros(3)}, "expected an array [8 layers"),
    ("nine layers", lambda w: {"a": torch.ones(9, w)}, "expected an array [8 layers"),
    ("one layer", lambda w: {"a": torch.ones(1, w)}, "expected an array [8 layers"),
    ("four layers beside eight", lambda w: {"a": torch.ones(8, w), "b": torch.ones(4, w)}, "'b': expected an array"),
    ("NaN", lambda w: {"a": torch.full((8, w), float("nan"))}, "holds NaN or infinity"),
    ("infinity", lambda w: {"a": torch.full((8, w), float("inf"))}, "holds NaN or infinity"),
    ("3e38", lambda w: {"a": torch.full((8, w), 3e38)}, "too large for float32"),
    ("text", lambda w: {"a": "x"}, "expected an array of numbers"),
    ("complex numbers", lambda w: {"a": torch.ones(8, w, dtype=torch.complex64)}, "expected real numbers"),
    ("truth values", lambda w: {"a": torch.ones(8, w, dtype=torch.bool)}, "expected real numbers"),
]
_SAME: list[tuple[str, Callable[[int], Any]]] = [
    ("NumPy", lambda w: np.ones((8, w))),
    ("whole numbers", lambda w: torch.ones(8, w, dtype=torch.long)),
    ("lists", lambda w: [[1.0] * w] * 8),
    ("one row for all layers", lambda w: np.ones(w)),
]
_PLACES: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown scope", {"scope": "x"}, "tokens: expected one or several"),
    ("layer 99", {"layers": [99]}, "no layer 99"),
    ("one layer for eight", {"layers": [1]}, "expected an array [1 layers"),
    ("no images", {"images": []}, "at least one image"),
]


def _as_ones(s: Any, make: Callable[[int], Any]) -> bool:
    vectors, text = _steered(s, {"a": make(s.model.hidden_size)})
    reference, expected = _steered(s, {"a": torch.ones(8, s.model.hidden_size)})
    return text == expected and bool((vectors["vector"].values == reference["vector"].values).all())


TRIES = [
    *(concept(name, lambda s, make=make: mp.concept_vectors(s.model, make(s)), "error", says)
      for name, make, says in _LIBRARIES),
    concept("positives and negatives", lambda s: mp.concept_vectors(s.model, (s.picture,), (s.picture,)), "error",
            "library: expected a concept library"),
    concept("library and model exchanged", lambda s: mp.concept_vectors(s.library, s.model), "error",
            "expected a loaded model (mp.load or mp.wrap)"),
    concept("model None", lambda s: mp.concept_vectors(None, s.library), "error", "expected a loaded model"),
    *(concept(f"{options}", _measured(**options), "error", says) for options, says in _OPTIONS),
    concept("batch_size 10**9", _measured(batch_size=10**9), "result",
            right=lambda v: bool(np.isfinite(v["vector"].values).all())),
    *(given(name, _from(make), "error", says) for name, make, says in _ARRAYS),
    *(given(name, _from(lambda w: {"a": torch.ones(8, w)}, **options), "error", says)
      for name, options, says in _PLACES),
    *(given(name, lambda s, make=make: _as_ones(s, make), "result", right=bool) for name, make in _SAME),
    given("two captures", lambda s: mp.vectors_from(s.vectors, s.vectors), "error", "expects a model"),
    given("an empty name", _from(lambda w: {"": torch.ones(8, w)}), "error", "name of a direction"),
    given("a number as name", _from(lambda w: {5: torch.ones(8, w)}), "error", "name of a direction"),
]  # fmt: skip
