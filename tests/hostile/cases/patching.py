"""Libraries and settings of ``patch``, grids of ``recovered``, and the name of block 0's input."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from tests.hostile.tries import Try

patching = partial(Try, "patch")
recovering = partial(Try, "recovered")
LIBRARY = "expected a library of counterfactual pairs"
SMALL: dict[str, Any] = {"layers": [3], "groups": ("image",), "controls": (), "direction": "insert", "progress": False}


def _patched(setting: Any, library: Any = None, **settings: Any) -> xr.Dataset:
    return mp.patch(setting.model, setting.library if library is None else library, **(SMALL | settings))


def _of_cat(setting: Any, **changes: Any) -> ConceptLibrary:
    return ConceptLibrary([replace(setting.library["cat"], **changes)])


_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"layers": []}, "layers: expected"),
    ({"layers": [99]}, "no layer 99"),
    ({"layers": ["input", "input"]}, "layers: expected one or more different blocks"),
    ({"layers": ["output"]}, "or 'input' for what enters block 0"),
    ({"groups": None}, "groups: expected one or more of changed"),
    ({"groups": ["image", 3]}, "groups: expected one or more of changed"),
    ({"groups": {"image": 1}}, "groups: expected one or more of changed"),
    ({"direction": "noising"}, "direction: expected one or more of insert, remove; got 'noising'"),
    ({"direction": ()}, "direction: expected one or more of insert, remove"),
    ({"controls": "shuffled"}, "controls: expected one or more of identity"),
    ({"controls": 5}, "controls: expected one or more of identity"),
    ({"metrics": ["iq"]}, "unknown metric 'iq'"),
    ({"metrics": None}, "metrics: expected one or more names"),
    ({"metrics": "kl"}, "reads more than the answer's first position"),
    ({"window": 0}, "window: expected 1 or more"),
    ({"window": 1.5}, "window: expected a whole number"),
    ({"minimum_gap": float("nan")}, "minimum_gap: expected a finite number"),
    ({"minimum_gap": -1}, "minimum_gap: expected 0 or more"),
    ({"seed": -1}, "seed: expected 0 or more"),
    ({"answer_prefix": 3}, "answer_prefix: expected text or a list of token ids"),
    ({"prompt": 3}, "prompt: expected text"),
]

TRIES = [
    *(patching(f"{given}", lambda s, given=given: _patched(s, **given), "error", says)
      for given, says in _SETTINGS),
    patching("a library: None", lambda s: mp.patch(s.model, None), "error", LIBRARY),
    patching("a library: empty", lambda s: mp.patch(s.model, {}), "error", LIBRARY),
    patching("a library: a concept", lambda s: mp.patch(s.model, s.library["cat"]), "error", LIBRARY),
    patching("a library: pictures", lambda s: mp.patch(s.model, s.library.pictures), "error", LIBRARY),
    patching("a library: unpaired", lambda s: _patched(s, _of_cat(s, paired=False)), "error", "are not paired"),
    patching(
        "a library: fewer negatives",
        lambda s: _patched(s, _of_cat(s, paired=False, negative=s.library["cat"].negative[:2])),
        "error",
        "are not paired",
    ),
    patching("no model", lambda s: mp.patch(None, s.library), "error", "model"),
    patching(
        "one pair with controls",
        lambda s: _patched(s, s.library.subset(["cat"], pairs=1), controls=("other_positive",)),
        "error",
        "'other_positive' of 'cat' needs another pair",
    ),
    patching(
        "a pair of one image",
        lambda s: _patched(s, _of_cat(s, negative=s.library["cat"].positive), groups=("changed", "image")),
        "result",
        right=lambda grid: bool((grid.logprob == grid.logprob_base).sel(group="changed").all())
        and int(grid.group_size.sel(group="changed").sum()) == 0,
    ),
    patching(
        "a window beyond the last block",
        lambda s: _patched(s, window=99),
        "result",
        right=lambda grid: int(grid.edited.max()) == 5 * 64 and bool(np.isfinite(grid.logprob).all()),
    ),
    patching("a store that is a file", lambda s: _patched(s, store=_file(s)), "error", "holds no patch"),
    recovering("no dataset", lambda s: mp.recovered(3), "error", "expected a dataset"),
    recovering("the grid of a sweep", lambda s: mp.recovered(s.grid), "error", "the grid of mp.patch lacks"),
    recovering("by layer", lambda s: mp.recovered(_patched(s), by="layer"), "error", "by: expected one of concept"),
    recovering("a gap of text", lambda s: mp.recovered(_patched(s), minimum_gap="1"), "error", "minimum_gap: expected"),
    recovering(
        "too few pairs",
        lambda s: mp.recovered(_patched(s)),
        "result",
        right=lambda found: bool(np.isnan(found.recovered).all()) and int(found.n.max()) == 4,
    ),
    Try(
        "capture", "layers: the input and all", lambda s: mp.capture(s.model, s.picture, layers=["input", "all"]),
        "error", "layers: expected 'all'",
    ),
    Try(
        "steering", "layers: the input at text", lambda s: mp.Steering(s.vectors.sel(concept="cat"), "input"), "error",
        "at layer input",
    ),
]  # fmt: skip


def _file(setting: Any) -> Any:
    path = setting.folder / "store"
    path.write_text("no store")
    return path
