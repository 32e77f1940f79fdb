"""Every parameter of the public functions refuses values of other kinds, in the package's own words and by its name."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from tests.hostile.cases.arguments import BLOCKS
from tests.hostile.cases.images import made
from tests.hostile.setting import CELLS, PATCHED, Setting
from tests.hostile.tries import Try, outcome
from tests.plots.studies_by_hand import localization


def _text(dice: Random) -> str:
    return "?" + "".join(dice.choices(string.ascii_letters + " ./\u00e9\u202e", k=dice.randint(1, 9)))


WRONG: dict[str, Callable[[Random], object]] = {
    "none": lambda dice: None, "truth": lambda dice: True, "whole": lambda dice: dice.randint(1, 9),
    "negative": lambda dice: -dice.randint(1, 9), "fraction": lambda dice: dice.randint(0, 9) + dice.uniform(0.1, 0.9),
    "not finite": lambda dice: float(dice.choice(("nan", "inf", "-inf"))), "text": _text,
    "bytes": lambda dice: dice.randbytes(dice.randint(1, 4)), "complex": lambda dice: complex(1, dice.random()),
    "list": lambda dice: [object()] * dice.randint(1, 3), "mapping": lambda dice: {_text(dice): dice.random()},
    "object": lambda dice: object(), "dataset": lambda dice: xr.Dataset({_text(dice): 1}),
}  # fmt: skip
"""Kinds of values, each with what draws one; none is false, since a parameter may read that as nothing given. The list
and the text are wrong also where lists and names are right."""
NUMBER, IMAGES = "whole negative fraction", "none text bytes mapping"
TAKEN = {
    "None": "none", "int": "whole", "float": NUMBER, "Sequence[float]": NUMBER, "Path": "text", "os.PathLike": "text",
    "Mapping": "mapping", "Library": "mapping", "Processor": "none", "Source": "none text",
    "Layers": "none whole negative", "TokenScope": "whole negative", "Images": IMAGES, "PromptImages": IMAGES,
    "Offer": IMAGES, "Inputs": "none mapping", "RowEdit": "none", "Continuation": "none text",
}  # fmt: skip
"""Kinds that a type allows; those of other types are values of a class of their own, or need a closer look."""
FREE = {"prompt", "answer_prefix", "answer", "text", "title", "name", "category", "split", "groups", "activations"}
"""Parameters for which any text may be right; other texts are names that have to be known."""
CALLED = {
    "activations": "store|vectors", "effect_or_grid": "effect", "folder": "path", "grid": "dataset", "of": "stud",
    "grid_or_study": "grid", "metric": "variable", "name": "concept", "paths": "image", "read_layers": "layers",
    "read_out": "read-out", "read_tokens": "tokens", "recovered": "dataset", "scope": "tokens", "study": "stud",
    "source": "sweep_iter", "to": "vectors", "unit": "strength_unit", "heatmap": "link", "panel": "link",
}  # fmt: skip
"""What errors call a parameter, where that is not its name."""
NOT_TRIED = {"bool", "Progress", "object"}
"""Types of which any value is right: truth is read as Python reads it, except by what deletes (cases/stores.py)."""
BARE = {
    "concepts.emoji": "concepts", "concepts.scenes": "concepts", "concepts.from_text": "templates",
    "concepts.from_hub": "category split image_column label_column positive_column negative_column classes words "
    "revision", "concepts.image_files": "paths", "concepts.neutral_images": "library",
    "activations.open_zarr": "model", "metrics.concept_projection": "activations", "compare": "strength",
    "effect": "split average", "recommend": "draws", "recovered": "metric", "studies.read_out": "at_input",
    "studies.read_out_of_patches": "metric", "studies.recognition_vs_reasoning": "questions",
    "studies.scaling": "vectors grids store", "plots.dose_response": "layer concepts",
    "plots.layer_profile": "concepts", "plots.recovery_profile": "controls groups",
    "SteeringPanel": "recommended library", "explore": "library",
}  # fmt: skip
"""Parameters that refuse some values in the words of Python or PyTorch, or after another refusal."""
LENIENT = {
    "any value is shown as text": "wrap: name, report: title",
    "it is used only in another case": "load_vectors: images, plan: store, plan: shard, sweeps.join_sweep: device, "
    "widgets.link: say",
    "the widget shows the error": "PatchOverlay: images, TokenStrip: images, TokenStrip: max_new_tokens, "
    "SteeringPanel: strength, SteeringPanel: scope, SteeringPanel: max_new_tokens, SteeringPanel: seed",
    "a trait takes True as 1 and bytes as text": "TokenStrip: answer, StudyView: layer, LayerConceptHeatmap: layer, "
    "LayerConceptHeatmap: strength, SteeringPanel: strength_limit",
    "anything that can be iterated may be right": "SweepMonitor: source, metrics.spans: words, "
    "metrics.spans: negations, metrics.forms: words",
    "not checked before it is used": "explore: tokens, explore: strengths, explore: draws, "
    "plots.vector_geometry: layer, plots.layer_profile: strength, LayerConceptHeatmap: concept",
}
"""Parameters that take some wrong values, by the reason."""
EXCEPTIONS = {f"{name}: {one}": "bare" for name, ones in BARE.items() for one in ones.split()}
EXCEPTIONS |= {pair: "result" for pairs in LENIENT.values() for pair in pairs.split(", ")}
ENDINGS = ("error", "bare", "result")


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions and widgets of docs/api.md, and Steering; other classes are what the package gives, or declarations."""
    page = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "api_page.py"), run_name="api_page")
    for entry in (entry for section in page["SECTIONS"] for entry in page["entries"](section)):
        widget = inspect.isclass(entry.value) and entry.path in mp.__all__ and entry.path not in ("Metric", "Operation")
        if inspect.isfunction(entry.value) or widget:
            yield entry.path, entry.value


def _kinds(parameter: inspect.Parameter) -> list[str]:
    """Kinds of values that are wrong for a parameter."""
    types = [part.strip() for part in _alternatives(ast.parse(str(parameter.annotation), mode="eval").body)]
    if NOT_TRIED & set(types):
        return []
    right = {kind for part in types for kind in TAKEN.get(part, TAKEN.get(part.split("[")[0], "")).split()}
    if parameter.name in FREE and "str" in types:
        right.add("text")
    if parameter.name == "layer":
        right.add("negative")  # counted from the last
    if not {"xr.Dataset", "ProbeModel", "ConceptLibrary", "Library"} & set(types):
        right.add("dataset")
    return [kind for kind in WRONG if kind not in right]


def _alternatives(node: ast.expr) -> list[str]:
    if isinstance(node, ast.BinOp):
        return _alternatives(node.left) + _alternatives(node.right)
    return [ast.unparse(node)]


PUBLIC = dict(_public())
VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
PAIRS = {
    f"{name}: {parameter.name}": (name, parameter, kinds)
    for name, function in PUBLIC.items()
    for parameter in inspect.signature(function).parameters.values()
    if parameter.kind not in VARIADIC and (kinds := _kinds(parameter))
}


def _small(s: Setting) -> dict[str, Any]:
    return {"model": s.model, "library": s.held_out, "progress": False}


def _shown(s: Setting) -> dict[str, Any]:
    return {"model": s.model, "vectors": s.vectors, "images": [s.picture]}


def _swept(s: Setting) -> dict[str, Any]:
    return CELLS | _shown(s) | {"record": ["residual_norm"]}


def _stored(name: str, parameter: str = "path") -> Callable[[Setting], dict[str, Any]]:
    return lambda s: {parameter: s.kept / name, "model": s.model, "progress": False}


PLAIN: dict[str, Callable[[Setting], Any]] = {
    "model": lambda s: s.model, "library": lambda s: s.held_out, "vectors": lambda s: s.vectors,
    "images": lambda s: [s.picture], "grid": lambda s: s.grid, "grid_or_study": lambda s: s.grid,
    "effect_or_grid": lambda s: s.grid, "of": lambda s: localization(), "study": lambda s: localization(),
    "dataset": lambda s: s.captured, "path": lambda s: s.folder / "new.safetensors", "folder": lambda s: s.folder,
}  # fmt: skip
"""Right values of parameters without a default, wherever they occur."""
GIVEN: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "load": lambda s: {"name": "scenes-4l"}, "wrap": lambda s: {"hf_model": s.model.hf, "processor": s.model.processor},
    "concepts.emoji": lambda s: {"concepts": ["cat"], "pairs": 1},
    "concepts.scenes": lambda s: {"concepts": ["cat"], "pairs": 1},
    "concepts.from_folder": lambda s: {"folder": made(s.folder, {})},
    "concepts.from_hub": lambda s: {"dataset": "no/such", "category": "entity"},
    "concepts.image_files": lambda s: {"paths": [s.image_file]},
    "concepts.from_text": lambda s: {"concepts": {"cat": "cat", "dog": "dog"}, "category": "entity"},
    "activations.open_zarr": _stored("acts.zarr"), "cache.check": _stored("acts.zarr"),
    "capture": lambda s: {"layers": [2]}, "concept_vectors": lambda s: _small(s) | {"layers": [2], "shuffled_draws": 0},
    "load_vectors": lambda s: {"path": s.vector_file, "model": s.model},
    "vectors_from": lambda s: _shown(s) | {"directions": {"a": np.ones((8, s.model.hidden_size))}},
    "Steering": lambda s: {"vectors": s.cat, "layers": [3]}, "steer": lambda s: {"steering": mp.Steering(s.cat, [3])},
    "generate": lambda s: _shown(s) | {"max_new_tokens": 1}, "stream": lambda s: _shown(s) | {"max_new_tokens": 1},
    "metrics.spans": lambda s: {"text": "a cat", "words": ["cat"]}, "metrics.forms": lambda s: {"words": ["cat"]},
    "metrics.concept_projection": lambda s: {"activations": s.captured, "vectors": s.cat},
    "check": lambda s: {"model": s.smaller, "library": s.held_out},
    "compare": lambda s: {"grids": [s.grid, s.grid.assign_attrs(model="other", weights="other")]},
    "patch": lambda s: _small(s) | PATCHED, "recovered": lambda s: {"grid": s.patched},
    "recommend": lambda s: (
        _small(s) | {"vectors": s.vectors, "layers": [3], "draws": 4, "images": 10, "strengths": {"image": [1.0]}}
    ),
    "plan": _swept, "sweep": _swept, "sweep_iter": _swept, "sweeps.join_sweep": _stored("sweep.zarr", "store"),
    "sweeps.open_grid": _stored("sweep.zarr"), "sweeps.read_progress": _stored("sweep.zarr"),
    "sweeps.store_status": _stored("sweep.zarr"), "cache.prune": lambda s: {"older_than": 1},
    "studies.recognition_vs_reasoning": lambda s: {"library": s.related, "progress": False},
    "studies.read_out_of_patches": lambda s: {"grid": s.patched},
    "studies.read_out_of": lambda s: {"values": BLOCKS, "scope": "image"},
    "studies.causal_verdict": lambda s: {"effect": mp.effect(s.grid), "read_out": s.grid},
    "studies.scaling": lambda s: _small(s) | {"model": [s.model, s.smaller]},
    "studies.truth.plant": lambda s: {"layers": 2, "block": 1, "pairs": 2},
    "plots.recovery_profile": lambda s: {"recovered": mp.recovered(s.patched)},
    "LayerConceptHeatmap": lambda s: {"grid": s.grid}, "PatchOverlay": _shown, "SteeringPanel": _shown,
    "TokenStrip": _shown, "explore": lambda s: _small(s) | {"images": [s.picture]},
    "widgets.link": lambda s: dict.fromkeys(("heatmap", "panel"), mp.StudyView(localization())),
}  # fmt: skip
"""Further right arguments, with which a function is done soon."""


def _given(s: Setting, name: str) -> dict[str, Any]:
    """Right arguments of a function."""
    parameters = inspect.signature(PUBLIC[name]).parameters
    needed = [key for key, one in parameters.items() if one.default is inspect.Parameter.empty and key in PLAIN]
    given = {key: PLAIN[key](s) for key in needed} | GIVEN.get(name, lambda s: {})(s)
    return {key: value for key, value in given.items() if key in parameters}


def _called(s: Setting, name: str, arguments: dict[str, Any]) -> None:
    """Call a function, and what it gives where that computes later."""
    result = PUBLIC[name](**arguments)
    if name == "steer":
        with result:
            pass
    elif name in ("stream", "sweep_iter"):
        next(iter(result))


def _end(s: Setting, pair: str, kind: str) -> tuple[str, str]:
    """How a call with one wrong value ends, and what is said then."""
    name, parameter, _ = PAIRS[pair]
    value = WRONG[kind](Random(f"{pair} {kind}"))
    arguments = _given(s, name) | {parameter.name: value}
    ended = outcome(Try(name, kind, lambda s: _called(s, name, arguments), "error"), s)
    called = f"{CALLED.get(parameter.name, parameter.name)}|{parameter.name.rstrip('s').replace('_', '[ _-]')}s?\\b"
    named = re.search(rf"\b(?:{called})", ended.text, re.IGNORECASE)
    how = "bare" if ended.kind == "error" and not named else ended.kind
    return how, f"{parameter.name}={value!r} ({kind}) ends with {ended.kind}: {ended.text or 'no word'}"


@pytest.mark.parametrize("pair", PAIRS)
def test_a_wrong_value_is_refused_by_name(pair: str, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    setting.folder = tmp_path
    monkeypatch.chdir(tmp_path)
    allowed = EXCEPTIONS.get(pair, "error")
    seen = set()
    for kind in PAIRS[pair][2]:
        how, text = _end(setting, pair, kind)
        assert how in ENDINGS[: ENDINGS.index(allowed) + 1], text
        seen.add(how)
        if how == allowed == "result":
            return
    assert allowed in seen, f"{pair} refuses all: take it from the exceptions"


def test_exceptions_are_parameters():
    assert set(EXCEPTIONS) <= set(PAIRS)
