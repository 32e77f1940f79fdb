"""Stores that fill unit by unit, damaged in every way: whoever opens, checks or goes on is told of it, or right."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.store_places import sealed, unsealed
from mllm_probe.activations.zarr_store import open_zarr
from mllm_probe.sweeps import open_grid, store_status
from tests.hostile.setting import Setting
from tests.hostile.tries import Try

Damage = Callable[[Path], object]
capture, sweep, forged = (
    partial(Try, "store of a capture"),
    partial(Try, "store of a sweep"),
    partial(Try, "forged store"),
)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


WAYS: dict[str, Damage] = {
    "deleted": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "one bit flipped": _flip,
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "a named pipe": _pipe,
    "a folder": _folder,
    "a link to itself": _loop,
    "a link to nowhere": lambda file: (file.unlink(), file.symlink_to("/nowhere/at/all")),
    "a link to a device": lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
}
PARTS = {
    "chunk": "activation/c.0.0.0.0",
    "marker": "unit_markers/0.json",
    "layout's marker": "unit_markers/layout.json",
    "zarr.json": "zarr.json",
    "array's zarr.json": "activation/zarr.json",
    "coordinate's chunk": "sample/c/0",
}
SWEEP_PARTS = {
    "chunk": "logprob/c.",
    "marker": "unit_markers/000001.json",
    "layout's marker": "unit_markers/layout.json",
    "sweep.json": "inputs/sweep.json",
    "vectors": "inputs/vectors.safetensors",
    "image": "inputs/",
}


def _file(store: Path, part: str) -> Path:
    if part.endswith(".") or part.endswith("/"):
        return sorted(file for file in store.glob(f"{part}*") if file.suffix not in (".json", ".safetensors"))[0]
    return store / part


def _opened(damage: Callable[[Path, Setting], object]) -> Callable[[Setting], Any]:
    """Open a damaged capture and compare: a value that is given is one that was computed."""

    def call(s: Setting) -> bool:
        path = s.capture_store()
        damage(path, s)
        return _captured_values(open_zarr(path, s.model), s)

    return call


def _captured_values(dataset: xr.Dataset, s: Setting) -> bool:
    same = [np.array_equal(one.values, s.captured[name].values) for name, one in dataset.data_vars.items()]
    return all(same) and dataset["sample"].values.tolist() == s.captured["sample"].values.tolist()


def _continued(damage: Callable[[Path, Setting], object]) -> Callable[[Setting], Any]:
    """Capture once more into a damaged store, and compare."""

    def call(s: Setting) -> bool:
        path = s.capture_store()
        damage(path, s)
        return _captured_values(s.capture_again(path), s)

    return call


def _checked(damage: Callable[[Path, Setting], object], **options: Any) -> Callable[[Setting], dict[str, str]]:
    def call(s: Setting) -> dict[str, str]:
        path = s.capture_store()
        damage(path, s)
        return mp.cache.check(path, **options)

    return call


def _grid(damage: Callable[[Path, Setting], object]) -> Callable[[Setting], bool]:
    """Open the grid of a damaged sweep and compare."""

    def call(s: Setting) -> bool:
        path = s.sweep_store()
        damage(path, s)
        return _swept_values(open_grid(path), s)

    return call


def _swept_values(grid: xr.Dataset, s: Setting) -> bool:
    return all(
        np.array_equal(grid[name].values, s.swept[name].values, equal_nan=True) for name in ("logprob", "edited")
    )


def _status(damage: Callable[[Path, Setting], object], **options: Any) -> Callable[[Setting], Any]:
    def call(s: Setting) -> Any:
        path = s.sweep_store()
        damage(path, s)
        return store_status(path, **options)

    return call


def _joined(damage: Callable[[Path, Setting], object], **options: Any) -> Callable[[Setting], bool]:
    """Join a store of which a unit is missing and something else is damaged."""

    def call(s: Setting) -> bool:
        path = s.sweep_store()
        (path / "unit_markers" / "000001.json").unlink()
        damage(path, s)
        return _swept_values(mp.sweeps.join_sweep(path, **{"model": s.model, "progress": False} | options), s)

    return call


def _at(part: str, way: Damage) -> Callable[[Path, Setting], object]:
    return lambda store, s: way(_file(store, part))


def _edited(part: str, change: Callable[[Any], object]) -> Callable[[Path, Setting], object]:
    """Change a JSON file of a store, and have its layout's marker name the new one: nothing looks damaged."""

    def edit(store: Path, s: Setting) -> None:
        file = store / part
        content = json.loads(file.read_text())
        if part.startswith("unit_markers"):
            content = unsealed(file.read_bytes())
        changed = change(content)
        content = content if changed is None else changed
        file.write_bytes(sealed(content) if part.startswith("unit_markers") else json.dumps(content).encode())
        _reseal(store)

    return edit


def _reseal(store: Path) -> None:
    from mllm_probe.activations.store_places import checksum

    marker = store / "unit_markers" / "layout.json"
    content = unsealed(marker.read_bytes())
    content["chunks"] = {
        key: checksum((store / key).read_bytes()) for key in content["chunks"] if (store / key).exists()
    }
    marker.write_bytes(sealed(content))


def _book(**changes: Any) -> Callable[[Path, Setting], object]:
    """Change what the layout says of the store."""
    return _edited("zarr.json", lambda root: root["attributes"]["mllm_probe_store"].update(changes))


def _attribute(**changes: Any) -> Callable[[Path, Setting], object]:
    return _edited("zarr.json", lambda root: root["attributes"].update(changes))


def _begun(change: Callable[[Any], object]) -> Callable[[Path, Setting], object]:
    return _edited("inputs/sweep.json", change)


def _put(path: str, value: Any) -> Callable[[Any], object]:
    """Change one place of a JSON document, its keys separated by dots."""

    def change(content: Any) -> None:
        *above, last = path.split(".")
        for key in above:
            content = content[int(key) if isinstance(content, list) else key]
        content[int(last) if isinstance(content, list) else last] = value

    return change


def _without(key: str) -> Callable[[Any], object]:
    return lambda content: content.pop(key) and None


def _copy_marker(store: Path, s: Setting) -> None:
    shutil.copy(store / "unit_markers" / "0.json", store / "unit_markers" / "1.json")


_STRUCTURE = "was begun with is damaged"
_MARKER, _SWEPT_MARKER = "unit_markers/0.json", "unit_markers/000001.json"
_UNITS: dict[str, Any] = {
    "a number": 5, "none": [], "numbers": [0, 1], "a path": ["../../x", "1"], "one twice": ["0", "0"], "a text": "01",
    "the layout": ["layout", "1"], "an empty name": ["", "1"], "markup": ["<script>", "1"],
}  # fmt: skip
_LISTS = {
    "no JSON": "{", "a number": "5", "too short": "[1]", "texts": '["a", "b"]', "negative": "[-1, -2]",
    "fractions": "[0.5, 1.5]", "NaN": "[NaN, NaN]", "deep": "[" * 100_000,
}  # fmt: skip

_NAMED = {
    "chunk": "' of the store",
    "marker": "the marker of unit 0",
    "layout's marker": "unit_markers/layout.json",
    "zarr.json": " Zarr store",
    "array's zarr.json": "activation/zarr.json",
    "coordinate's chunk": "sample/c/0",
    "sweep.json": "was begun with",
    "vectors": "the store",
    "image": "the image 7ed0f4bcfd71f518",
}
"""What errors say of a damaged part."""
_OPENED = {("marker", how): ("result", "") for how in WAYS} | {("marker", "deleted"): ("warning", "1 of 2 parts")}
"""The values of a unit whose marker is gone are there: which of them count is what the marker says."""
_GOES_ON = {
    ("marker", "deleted"): ("result", ""),
    ("chunk", "one bit flipped"): ("error", "checksum do not match"),
    ("chunk", "a folder"): ("error", "could not be written"),
}
_SAME_PIXELS = {("image", "cut short"): ("result", ""), ("image", "longer"): ("result", "")}
_FREED = {("marker", "deleted"): ("result", "")}


def _tries(
    area: partial[Try], parts: dict[str, str], call: Callable[..., Any], does: str,
    ends: dict[tuple[str, str], Any], otherwise: tuple[str, str] | None = None, right: Callable[[Any], bool] = bool,
) -> list[Try]:  # fmt: skip
    """Every part damaged in every way; ``ends`` has what ends otherwise than in an error that names the part."""
    found = []
    for part, file in parts.items():
        for how, way in WAYS.items():
            ending, says = ends.get((part, how), otherwise or ("error", _NAMED[part]))
            found.append(area(f"{part} {how}: {does}", call(_at(file, way)), ending, says, right=right))
    return found


def _of(parts: dict[str, str], *names: str) -> dict[str, str]:
    return {name: parts[name] for name in names}


def _damage_of_one(told: Any) -> bool:
    return len(told.damaged) == 1 and not told.progress.finished


TRIES = [
    *_tries(capture, PARTS, _opened, "open", _OPENED),
    *_tries(
        capture,
        _of(PARTS, "chunk", "marker"),
        _checked,
        "check",
        {},
        ("result", ""),
        right=lambda found: list(found) in (["0"], []),
    ),
    *_tries(
        capture, _of(PARTS, "chunk", "marker"), _continued, "go on", _GOES_ON, ("warning", "damaged and run again")
    ),
    *(
        capture(f"{part} {how}: check", _checked(_at(PARTS[part], WAYS[how])), "error", says)
        for part, says in {
            "layout's marker": "layout.json",
            "zarr.json": "acts.zarr",
            "array's zarr.json": "activation/zarr.json",
        }.items()
        for how in ("deleted", "cut short", "a named pipe")
    ),
    *_tries(sweep, _of(SWEEP_PARTS, "chunk", "marker", "layout's marker"), _grid, "open", _FREED),
    *_tries(
        sweep,
        _of(SWEEP_PARTS, "marker", "layout's marker"),
        _status,
        "status",
        _FREED,
        right=lambda told: told.progress.units_done == 1,
    ),
    *(
        sweep(
            f"{part} {how}: check",
            _status(_at(SWEEP_PARTS[part], way), check=True),
            "result",
            right=_damage_of_one
            if (part, how) != ("marker", "deleted")
            else lambda told: told.progress.units_done == 1,
        )
        for part in ("chunk", "marker")
        for how, way in WAYS.items()
    ),
    *_tries(sweep, _of(SWEEP_PARTS, "sweep.json", "vectors", "image"), _joined, "join", _SAME_PIXELS),
    capture("intact: open", _opened(lambda store, s: None), "result", right=bool),
    capture("intact: check", _checked(lambda store, s: None), "result", right=lambda found: found == {}),
    capture(
        "a foreign file: open",
        _opened(lambda store, s: (store / "notes.txt").write_text("mine")),
        "warning",
        "notes.txt",
        right=bool,
    ),
    capture(
        "a marker of no unit: open",
        _opened(lambda store, s: (store / "unit_markers/7.json").write_text("x")),
        "result",
        right=bool,
    ),
    capture(
        "another unit's marker: check",
        _checked(_copy_marker),
        "result",
        right=lambda found: list(found) == ["1"] and "that of 0" in found["1"],
    ),
    capture(
        "another unit's marker: open",
        _opened(lambda store, s: (_copy_marker(store, s), (store / "activation/c.1.0.0.0").unlink())),
        "error",
        "it is that of 0",
    ),
    *(forged(f"units: {name}", _opened(_book(units=value)), "error", "units") for name, value in _UNITS.items()),
    *(
        forged(f"variables: {name}", _opened(_book(variables=value)), "error", "the layout of the store")
        for name, value in {"a number": 5, "a path": ["../../x"], "not there": ["x"], "numbers": [0]}.items()
    ),
    *(
        forged(f"variables: {name}", _opened(_book(variables=[name])), "result", right=bool)
        for name in ("sample", "token_text")
    ),
    *(
        forged(f"{key}: {name}", _opened(_book(**{key: value})), "error", f"({key} is {value}")
        for key in ("kind", "settings", "plan")
        for name, value in {"a number": 5, "a list": [1]}.items()
    ),
    forged("version: 99", _opened(_book(version=99)), "error", "version 99"),
    forged("version: a text", _opened(_book(version="1")), "error", "version 1"),
    forged("bookkeeping: a list", _opened(_attribute(mllm_probe_store=[1])), "result", right=bool),
    forged(
        "attributes: a list",
        _opened(_edited("zarr.json", _put("attributes", [1]))),
        "error",
        "not a readable Zarr store",
    ),
    forged(
        "attributes: a number",
        _opened(_edited("zarr.json", _put("attributes", 5))),
        "error",
        "not a readable Zarr store",
    ),
    forged(
        "an array in place of the group",
        _opened(_edited("zarr.json", _put("node_type", "array"))),
        "error",
        "the layout of the store",
    ),
    forged("no node type", _opened(_edited("zarr.json", _without("node_type"))), "result", right=bool),
    forged("format 99", _opened(_edited("zarr.json", _put("zarr_format", 99))), "error", "Expected one of 2 or 3"),
    forged(
        "array: a dimension with a path for a name",
        _opened(_edited("activation/zarr.json", _put("dimension_names", ["../x", "layer", "token", "hidden"]))),
        "result",
        right=bool,
    ),
    forged(
        "array: pickle as codec",
        _opened(_edited("activation/zarr.json", _put("codecs.0.name", "pickle"))),
        "error",
        "codec 'pickle'",
    ),
    forged(
        "array: 2**50 images",
        _opened(_edited("activation/zarr.json", _put("shape", [2**50, 2, 1, 128]))),
        "error",
        "conflicting sizes",
    ),
    *(
        forged(
            f"array: {path} {value!r}"[:60],
            _opened(_edited("activation/zarr.json", _put(path, value))),
            "error",
            "the layout of the store",
        )
        for path, value in [
            ("shape", [-1, 2, 1, 128]),
            ("shape", "x"),
            ("shape", []),
            ("data_type", "object"),
            ("data_type", "int8"),
            ("codecs", []),
            ("fill_value", "x"),
            ("node_type", "group"),
            ("chunk_grid.configuration.chunk_shape", [0, 1, 1, 128]),
            ("dimension_names", ["a"]),
            ("chunk_key_encoding.name", "x"),
            ("chunk_key_encoding.configuration.separator", "/../"),
        ]
    ),
    *(
        forged(
            f"marker: {path} {value!r}"[:60],
            _checked(_edited(_MARKER, _put(path, value))),
            "result",
            right=lambda found, says=says: list(found) == ["0"] and says in found["0"],
        )
        for path, value, says in [
            (*one, "does not name chunks") if len(one) == 2 else one
            for one in [
                ("chunks", None),
                ("chunks", [1]),
                ("chunks", {"../../../../etc/passwd": {"bytes": 1}}),
                ("chunks", {"/etc/passwd": {"bytes": 1}}),
                ("chunks", {"a": 5}),
                ("chunks", {"a": {"bytes": "1"}}),
                ("chunks", {"a/../../b": {"bytes": 1}}),
                ("chunks", {"nowhere": {"bytes": 1}}, "chunk nowhere is missing"),
                ("unit", "1", "it is that of 1"),
                ("unit", None, "it is that of None"),
                ("unit", ["0"], "it is that of"),
            ]
        ]
    ),
    *(
        forged(
            f"marker: {key} {name}: status",
            _status(_edited(_SWEPT_MARKER, _put(key, value))),
            "error",
            f"no right {key}",
        )
        for key in ("host", "device", "dtype", "runs", "seconds", "written")
        for name, value in {"None": None, "a list": [1]}.items()
    ),
    *(
        forged(
            f"marker: {key} {value}: status",
            _status(_edited(_SWEPT_MARKER, _put(key, value))),
            "error",
            f"no right {key}",
        )
        for key in ("seconds", "written")
        for value in (float("nan"), float("inf"), -1e300)
    ),
    forged("marker: runs -5: status", _status(_edited(_SWEPT_MARKER, _put("runs", -5))), "error", "no right runs"),
    *(
        forged(f"store_runs: {name}: status", _status(_attribute(store_runs=text)), "error", "'store_runs'")
        for name, text in _LISTS.items()
    ),
    *(
        forged(f"store_order: {name}: open", _grid(_attribute(store_order=text)), "error", "'store_order'")
        for name, text in (_LISTS | {"one twice": "[0, 0]", "one too many": "[1, 2]"}).items()
    ),
    *(
        forged(f"store_layout: {name}: join", _joined(_attribute(store_layout=text)), "error", "'store_layout'")
        for name, text in {
            "no JSON": "{",
            "a list": "[]",
            "empty": "{}",
            "zero": '{"rows": 0}',
            "a text": '{"rows": "x"}',
            "unknown": '{"rows": 1, "batch_layers": 1, "batch_samples": 1, "layers": 1, "samples": 2, "x": 1}',
        }.items()
    ),
    forged(
        "store_layout: other samples: join",
        _joined(
            _attribute(store_layout='{"rows": 256, "batch_layers": 1, "batch_samples": 16, "layers": 1, "samples": 1}')
        ),
        "error",
        "does not cover whole chunks",
    ),
    *(
        forged(f"begun with: {path} {value!r}"[:70], _joined(_begun(_put(path, value))), "error", says)
        for path, value, says in [
            (*one, _STRUCTURE) if len(one) == 2 else one
            for one in [
                ("model", None),
                ("model", []),
                ("model.load", 5),
                ("model.load", {"name": "scenes-8l", "device": "cpu"}),
                ("model.load", {}),
                ("model.fingerprint", "deadbeef", "deadbeef"),
                ("settings", None),
                ("settings", []),
                ("settings.strengths", [3], "strengths: stored"),
                ("settings.strengths", "x", "strengths: expected"),
                ("settings.layers", [99], "no layer 99"),
                ("settings.operation", "os.system", "operation: expected one of"),
                ("settings.operation", 5, "operation: expected one of"),
                ("settings.metrics", ["iq"], "unknown metric 'iq'"),
                ("settings.metrics", 5, "metrics: expected names"),
                ("settings.seed", 1, "seed: stored 0"),
                ("settings.draws", 10**12, "1,000,000,000,000 draws"),
                ("settings.max_new_tokens", 10**12, "max_new_tokens: stored 8"),
                ("settings.tokens", "../x", "tokens: expected"),
                ("settings.unknown", 1),
                ("settings.to", True, "lacks inputs/to.safetensors"),
                ("settings.answer_prefix", "\x1b[31m", "answer_prefix: stored"),
                ("samples", None),
                ("samples.requests", 5),
                ("samples.requests", []),
                ("samples.requests.0.images", ["x"]),
                ("samples.requests.0.prompt", 5, "prompt: stored"),
                ("samples.requests.0.prompt", "Who?", "prompt: stored"),
                ("samples.labels", None),
                ("samples.labels.0", ["dog"], "labels: stored"),
                ("samples.coordinates", 5),
                ("samples.coordinates", {"sample": ["a"]}),
                ("samples.words", [["dog"], ["neon"]], "words: stored"),
                ("samples.words", 5),
                ("samples.label_words", [1]),
                ("samples.categories", 5, "words: stored"),
                ("samples.examples", {"cat": "x"}),
                ("samples.sides", []),
                ("samples.sides", [[[True]], [[True]]]),
                ("samples.of_library", None),
                ("images", None),
                ("images", {}),
                ("images", {"../../../etc/passwd": {"file": None}}, "lacks the image"),
                ("only_where_it_was_begun", ["a metric"], "a metric cannot be kept"),
                ("only_where_it_was_begun", 5),
            ]
        ]
    ),
    *(
        forged(
            f"begun with: images in {file!r}",
            _joined(_begun(lambda told, file=file: told["images"]["7ed0f4bcfd71f518"].update(file=file))),
            "error",
            says,
        )
        for file, says in [
            ("/etc/passwd", "cannot be read as an image"),
            ("/dev/zero", "/dev/zero, which is not there"),
            ("/nowhere.png", "/nowhere.png, which is not there"),
            (5, _STRUCTURE),
            ("", "is not there"),
            ("a\0b", "is not there"),
        ]
    ),
    *(
        forged(f"begun with: no {key}", _joined(_begun(_without(key))), "error", _STRUCTURE)
        for key in ("model", "settings", "samples", "images", "only_where_it_was_begun")
    ),
    *(
        forged(
            f"begun with: {name}",
            _joined(lambda store, s, text=text: (store / "inputs/sweep.json").write_text(text)),
            "error",
            _STRUCTURE,
        )
        for name, text in {"a list": "[]", "a number": "5", "deep": "[" * 100_000, "null": "null"}.items()
    ),
    forged(
        "begun with: code of its own",
        _joined(_begun(_put("model.load.trust_remote_code", True)), model=None),
        "error",
        "trust_remote_code=True",
    ),
    forged(
        "begun with: a folder that is not there",
        _joined(_begun(_put("model.load.name", "./nowhere")), model=None),
        "error",
        "Expected a folder with a model",
    ),
]
