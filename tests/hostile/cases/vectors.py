"""Libraries and settings of ``concept_vectors``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

concept = partial(Try, "concept_vectors")

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
]  # fmt: skip
