"""Studies of grids, vectors and models that are none, or another study's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import mllm_probe as mp
from tests.hostile.setting import Setting
from tests.hostile.tries import Try

entry = partial(Try, "studies: arguments")

_STUDIES = ("localization", "atlas", "reliability", "recognition_vs_reasoning", "reverse_steering", "scaling")
_GRIDS: dict[str, tuple[Callable[[Setting], Any], str]] = {
    "text": (lambda s: "grid.zarr", "grids: expected datasets by name"),
    "a number": (lambda s: 5, "grids: expected datasets by name"),
    "a grid": (lambda s: [s.grid], "grids: expected datasets by name"),
    "of a name that it does not know": (lambda s: {"x": s.grid}, "grids: expected one of"),
    "that are text": (lambda s: {"vector": "grid.zarr"}, "grids['vector']: expected a dataset"),
    "that are arrays": (lambda s: {"vector": s.grid["logprob"]}, "grids['vector']: expected a dataset"),
}
_MODELS: dict[str, Callable[[Setting], Any]] = {
    "None": lambda s: None,
    "a number": lambda s: 5,
    "vectors": lambda s: s.vectors,
    "a name": lambda s: "scenes-8l",
}
_LIBRARIES: dict[str, Callable[[Setting], Any]] = {
    "a number": lambda s: 5,
    "text": lambda s: "scenes",
    "images": lambda s: [s.picture],
    "a mapping": lambda s: {"cat": s.picture},
}
_VECTORS: dict[str, tuple[Callable[[Setting], Any], str]] = {
    "a file": (lambda s: "vectors.safetensors", "vectors: expected a dataset"),
    "an array": (lambda s: s.vectors["vector"], "vectors: expected a dataset"),
    "of another model": (lambda s: s.vectors.assign_attrs(weights="deadbeef"), "deadbeef"),
    "of no model": (lambda s: s.vectors.drop_attrs(), "which model"),
}
_STORES: dict[str, tuple[Callable[[Setting], Any], str]] = {
    "a file": (lambda s: __file__, "is a file"),
    "a number": (lambda s: 5, "store: expected text or a path"),
    "bytes": (lambda s: b"a", "store: expected text or a path"),
    "a NUL": (lambda s: "a\0b", "holds a NUL character"),
}
_SEEDS = {
    -1: "seed: expected 0 or more",
    0.5: "seed: expected a whole number",
    "x": "seed: expected a whole number",
    None: "seed: expected a whole number",
}


def _study(name: str, **given: Callable[[Setting], Any]) -> Callable[[Setting], Any]:
    def call(s: Setting) -> Any:
        arguments = {key: make(s) for key, make in given.items()}
        model = arguments.pop("model", s.model)
        return getattr(mp.studies, name)(model, arguments.pop("library", s.held_out), **arguments)

    return call


_ALONE = [study for study in _STUDIES if study not in ("scaling", "recognition_vs_reasoning")]

TRIES = [
    *(
        entry(f"{study}: grids {name}", _study(study, grids=make), "error", says)
        for study in _ALONE
        for name, (make, says) in _GRIDS.items()
        if study == "localization" or "that are" not in name
    ),
    *(
        entry(f"{study}: model {name}", _study(study, model=make), "error", "expected a loaded model")
        for study in _ALONE
        for name, make in _MODELS.items()
    ),
    *(
        entry(f"scaling: model {name}", _study("scaling", model=make), "error", "model")
        for name, make in (_MODELS | {"one": lambda s: s.model, "none": lambda s: []}).items()
    ),
    *(
        entry(f"{study}: library {name}", _study(study, library=make), "error", "library: expected a concept library")
        for study in _ALONE
        for name, make in _LIBRARIES.items()
    ),
    *(
        entry(f"{study}: vectors {name}", _study(study, vectors=make), "error", says)
        for study in _ALONE
        for name, (make, says) in _VECTORS.items()
    ),
    *(
        entry(f"{study}: seed {seed!r}", _study(study, seed=lambda s, seed=seed: seed), "error", says)
        for study in _ALONE
        for seed, says in _SEEDS.items()
    ),
    *(
        entry(f"{study}: store {name}", _study(study, store=make), "error", says)
        for study in _ALONE
        for name, (make, says) in _STORES.items()
    ),
    *(
        entry(
            f"{study}: prompt {prompt!r}",
            _study(study, prompt=lambda s, prompt=prompt: prompt),
            "error",
            "prompt: expected text",
        )
        for study in _ALONE
        for prompt in (5, ["a"])
    ),
]
