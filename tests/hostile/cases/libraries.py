"""Drawn scenes, splits, datasets of the Hub and given directions with arguments that mean nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

SCENES, EMOJI, SPLIT, HUB, OWN = "scenes", "emoji", "split", "from_hub", "vectors_from"

WRONG_SCENES = {
    "unknown": ({"concepts": ["zz"]}, "unknown concept 'zz'"),
    "str": ({"concepts": "cat"}, "not one string"),
    "[]": ({"concepts": []}, "at least one concept"),
    "dup": ({"concepts": ["cat", "cat"]}, "two concepts are called 'cat'"),
    "pairs 0": ({"pairs": 0}, "at least 1, not 0"),
    "pairs -1": ({"pairs": -1}, "at least 1, not -1"),
    "pairs 10**6": ({"pairs": 10**6}, "at most 50,000, not 1,000,000"),
    "pairs 2.5": ({"pairs": 2.5}, "whole number of at least 1, not 2.5"),
    "seed str": ({"seed": "x"}, "seed: expected a whole number"),
    "seed -1": ({"seed": -1}, "seed: expected a whole number"),
    "size 10**6": ({"size": 10**6}, "at most 4,096"),
    "negative": ({"negative": "x"}, '"replace" or "remove"'),
}
WRONG_SPLITS = {
    "2.0": ((2.0,), {}, "between 0 and 1, not 2.0"),
    "nan": ((float("nan"),), {}, "between 0 and 1, not nan"),
    "str": (("x",), {}, "between 0 and 1, not 'x'"),
    "seed str": ((0.5, "x"), {}, "seed: expected a whole number"),
    "groups of one": ((), {"groups": lambda picture: "one"}, "cannot be split"),
    "groups None": ((), {"groups": {"nothing.png": 1}}, "neither the path nor the id"),
    "groups list": ((), {"groups": ["a"]}, "expected a function of an image, or a mapping"),
    "group list": ((), {"groups": lambda picture: []}, "text, a whole number or None"),
}
WRONG_HUB = {
    "offline": ("no/such", {"category": "entity"}, "cannot be read"),
    "no category": ("no/such", {}, "the category of the concepts in 'no/such' is not known"),
    "pairs 0": ("no/such", {"category": "entity", "pairs": 0}, "pairs: expected a whole number"),
    "rows str": ("no/such", {"category": "entity", "max_rows": "all"}, "max_rows: expected a whole number"),
    "classes str": ("no/such", {"category": "entity", "classes": "cat"}, "not one string"),
}


def layers(value: Any = 1.0, count: int = 8, **options: Any) -> Any:
    return lambda s: {"a": torch.full((count, s.model.hidden_size), value, **options)}


WRONG_DIRECTIONS = {
    "None": (lambda s: None, "got NoneType"),
    "{}": (lambda s: {}, "got an empty mapping"),
    "list": (lambda s: [1], "got list"),
    "dataset": (lambda s: xr.Dataset(), "got Dataset"),
    "shape (3,)": (lambda s: {"a": torch.zeros(3)}, "got shape (3,)"),
    "nan": (layers(float("nan")), "expected finite numbers"),
    "inf": (layers(float("inf")), "expected finite numbers"),
    "huge values": (layers(3e38), "is too long: its length"),
    "bool": (layers(True, dtype=torch.bool), "expected real numbers; got bool"),
    "complex": (layers(1.0, dtype=torch.complex64), "expected real numbers; got complex64"),
    "strings": (lambda s: {"a": "x"}, "expected an array of numbers"),
    "9 layers": (layers(count=9), "got shape (9,"),
    "1 layer": (layers(count=1), "got shape (1,"),
    "empty name": (lambda s: {"": np.ones(s.model.hidden_size)}, "at least one visible character"),
    "int name": (lambda s: {5: np.ones(s.model.hidden_size)}, "expected text; got int 5"),
    "mixed": (lambda s: layers()(s) | {"b": torch.ones(4, s.model.hidden_size)}, "'b': expected an array"),
}
GIVEN = {
    "numpy": lambda s: {"a": np.ones((8, s.model.hidden_size))},
    "int tensor": layers(1, dtype=torch.long),
    "lists": lambda s: {"a": [[1.0] * s.model.hidden_size] * 8},
}
WRONG_OPTIONS = {
    "scope bad": ({"scope": "x"}, "tokens: expected"),
    "layers wrong": ({"layers": [99]}, "no layer 99"),
    "layers count": ({"layers": [1]}, "expected an array [1 layers"),
    "images []": ({"images": []}, "at least one image"),
    "words str": ({"words": {"a": "cat"}}, "not one string"),
    "words of another": ({"words": {"b": ["cat"]}}, "no direction 'b'"),
}


def all_ones(found: xr.Dataset) -> bool:
    return bool((found["vector"].values == 1).all())


TRIES = [
    *(
        Try(SCENES, name, lambda s, given=given: mp.concepts.scenes(**{"concepts": ["cat"], **given}), "error", says)
        for name, (given, says) in WRONG_SCENES.items()
    ),
    *(
        Try(EMOJI, name, lambda s, given=given: mp.concepts.emoji(**{"concepts": ["cat"], **given}), "error", says)
        for name, (given, says) in WRONG_SCENES.items()
    ),
    *(
        Try(SPLIT, name, lambda s, given=given, named=named: s.library.split(*given, **named), "error", says)
        for name, (given, named, says) in WRONG_SPLITS.items()
    ),
    *(
        Try(HUB, name, lambda s, hub=hub, given=given: mp.concepts.from_hub(hub, **given), "error", says)
        for name, (hub, given, says) in WRONG_HUB.items()
    ),
    *(
        Try(OWN, name, lambda s, given=given: mp.vectors_from(s.model, given(s)), "error", says)
        for name, (given, says) in WRONG_DIRECTIONS.items()
    ),
    *(
        Try(OWN, name, lambda s, given=given: mp.vectors_from(s.model, given(s)), "result", right=all_ones)
        for name, given in GIVEN.items()
    ),
    *(
        Try(OWN, name, lambda s, given=given: mp.vectors_from(s.model, layers()(s), **given), "error", says)
        for name, (given, says) in WRONG_OPTIONS.items()
    ),
]
