"""What stores that fill unit by unit promise when they are damaged, or forged with checksums made right again.

A value that is given is one that was computed; an error names what is damaged; a check names every damaged unit, and
no other; whoever goes on runs a damaged unit again; nothing outside the store is read, and nothing in it is run.
Damage by kills and full disks, and how a sweep is mended, are promises of ``tests/faults``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.store_places import checksum, sealed, unsealed
from mllm_probe.activations.zarr_store import open_zarr
from mllm_probe.sweeps import open_grid, store_status
from tests.hostile.setting import Setting
from tests.hostile.tries import Try

Damage = Callable[[Path], object]
Call = Callable[[Setting], Any]


def _in_place(make: Damage) -> Damage:
    return lambda file: (file.unlink(), make(file))


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


WAYS: dict[str, Damage] = {
    "deleted": Path.unlink, "cut short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "one bit flipped": _flip, "a named pipe": _in_place(os.mkfifo), "a folder": _in_place(Path.mkdir),
    "a link to itself": _in_place(lambda file: file.symlink_to(file.name)),
    "a link to a device": _in_place(lambda file: file.symlink_to("/dev/zero")),
}  # fmt: skip
CHUNK, MARKER, LAYOUT, INPUTS = "activation/c.0.0.0.0", "unit_markers/0.json", "unit_markers/layout.json", "inputs/"
SWEPT_MARKER, BEGUN = "unit_markers/000001.json", "inputs/sweep.json"
_IMAGE = "7ed0f4bcfd71f518"


def _captured_values(dataset: xr.Dataset, s: Setting) -> bool:
    same = [np.array_equal(one.values, s.captured[name].values) for name, one in dataset.data_vars.items()]
    return all(same) and dataset["sample"].values.tolist() == s.captured["sample"].values.tolist()


def _swept_values(grid: xr.Dataset, s: Setting) -> bool:
    names = ("logprob", "edited")
    return all(np.array_equal(grid[name].values, s.swept[name].values, equal_nan=True) for name in names)


def _opened(damage: Damage) -> Call:
    return lambda s: _captured_values(open_zarr(_damaged(s.capture_store(), damage), s.model), s)


def _continued(damage: Damage) -> Call:
    return lambda s: _captured_values(s.capture_again(_damaged(s.capture_store(), damage)), s)


def _checked(damage: Damage) -> Call:
    return lambda s: mp.cache.check(_damaged(s.capture_store(), damage))


def _grid(damage: Damage) -> Call:
    return lambda s: _swept_values(open_grid(_damaged(s.sweep_store(), damage)), s)


def _status(damage: Damage, **options: Any) -> Call:
    return lambda s: store_status(_damaged(s.sweep_store(), damage), **options)


def _joined(damage: Damage, **options: Any) -> Call:
    """Join a store of which a unit is missing and something else is damaged."""

    def call(s: Setting) -> bool:
        path = s.sweep_store()
        (path / SWEPT_MARKER).unlink()
        damage(path)
        return _swept_values(mp.sweeps.join_sweep(path, **{"model": s.model, "progress": False} | options), s)

    return call


def _damaged(store: Path, damage: Damage) -> Path:
    damage(store)
    return store


def _at(part: str, way: str) -> Damage:
    """Damage a file; of a folder or a beginning of names, the first that is neither JSON nor vectors."""

    def damage(store: Path) -> None:
        found = [file for file in sorted(store.glob(f"{part}*")) if file.suffix not in (".json", ".safetensors")]
        WAYS[way](found[0] if part.endswith((".", "/")) else store / part)

    return damage


def _edited(part: str, change: Callable[[Any], object]) -> Damage:
    """Change a JSON file of a store, and have its layout's marker name the new one: nothing looks damaged."""

    def edit(store: Path) -> None:
        file, marker = store / part, store / LAYOUT
        in_marker = part.startswith("unit_markers")
        content = unsealed(file.read_bytes()) if in_marker else json.loads(file.read_text())
        change(content)
        file.write_bytes(sealed(content) if in_marker else json.dumps(content).encode())
        layout = unsealed(marker.read_bytes())
        there = [key for key in layout["chunks"] if (store / key).exists()]
        marker.write_bytes(sealed(layout | {"chunks": {key: checksum((store / key).read_bytes()) for key in there}}))

    return edit


def _put(path: str, value: Any) -> Callable[[Any], object]:
    """Change one place of a JSON document, its keys separated by dots; ``None`` as a value is JSON's null."""

    def change(content: Any) -> None:
        *above, last = path.split(".")
        for key in above:
            content = content[int(key) if isinstance(content, list) else key]
        content[int(last) if isinstance(content, list) else last] = value

    return change


def _in_book(key: str, value: Any) -> Damage:
    return _edited("zarr.json", _put(f"attributes.mllm_probe_store.{key}", value))


def _in_array(key: str, value: Any) -> Damage:
    return _edited("activation/zarr.json", _put(key, value))


def _attribute(key: str, value: Any) -> Damage:
    return _edited("zarr.json", _put(f"attributes.{key}", value))


def _begun(key: str, value: Any) -> Damage:
    return _edited(BEGUN, _put(key, value))


def _copy_marker(store: Path) -> None:
    shutil.copy(store / MARKER, store / "unit_markers" / "1.json")


def _of_another_unit(store: Path) -> None:
    _copy_marker(store)
    (store / "activation/c.1.0.0.0").unlink()


GONE = ("deleted",)
DAMAGED: list[tuple[str, str, Callable[[Damage], Call], str, tuple[str, ...]]] = [
    ("open a capture", CHUNK, _opened, "' of the store", ()), ("open a capture", LAYOUT, _opened, LAYOUT, ()),
    ("open a capture", "zarr.json", _opened, " Zarr store", ()),
    ("open a capture", "activation/zarr.json", _opened, "activation/zarr.json", ()),
    ("open a capture", "sample/c/0", _opened, "sample/c/0", ()),
    ("check a capture", LAYOUT, _checked, "layout.json", ()),
    ("open a sweep", "logprob/c.", _grid, "' of the store", ()),
    ("open a sweep", SWEPT_MARKER, _grid, "the marker of unit 0", GONE),
    ("status of a sweep", SWEPT_MARKER, _status, "the marker of unit 0", GONE),
    ("join a sweep", BEGUN, _joined, "was begun with", ()),
    ("join a sweep", "inputs/vectors.safetensors", _joined, "the store", ()),
    ("join a sweep", INPUTS, _joined, f"the image {_IMAGE}", ("cut short",)),
]  # fmt: skip
"""What is done with a store after a part of it was damaged in every way; the error names the part, and what is left
out is told otherwise: a unit without a marker is a missing one, and the same pixels are the same image."""
FORGED: list[tuple[str, Call, str]] = [
    *((f"units: {value!r}", _opened(_in_book("units", value)), "units")
      for value in (5, [], ["../../x", "1"], ["0", "0"], ["layout", "1"], ["<script>", "1"])),
    *((f"variables: {value!r}", _opened(_in_book("variables", value)), "the layout of the store")
      for value in (5, ["../../x"], ["x"])),
    ("version: 99", _opened(_in_book("version", 99)), "version 99"),
    ("format 99", _opened(_edited("zarr.json", _put("zarr_format", 99))), "the layout of the store"),
    ("array: pickle as codec", _opened(_in_array("codecs.0.name", "pickle")), "codec 'pickle'"),
    ("array: chunks of no length", _opened(_in_array("chunk_grid.configuration.chunk_shape", [0, 1, 1, 128])),
     "chunks of 'activation' are [0, 1, 1, 128]"),
    ("array: 2**50 images", _opened(_in_array("shape", [2**50, 2, 1, 128])), "conflicting sizes"),
    *((f"array: {key} {value!r}", _opened(_in_array(key, value)), "the layout of the store")
      for key, value in (("shape", [-1, 2, 1, 128]), ("data_type", "object"), ("data_type", "int8"), ("codecs", []),
                         ("dimension_names", ["a"]),
                         ("chunk_key_encoding.configuration.separator", "/../"))),
    *((f"marker: {key} {value!r}", _status(_edited(SWEPT_MARKER, _put(key, value))), f"no right {key}")
      for key, value in (("host", None), ("runs", -5), ("seconds", float("nan")), ("written", -1e300))),
    *((f"{key}: {value[:9]}", call(_attribute(key, value)), f"'{key}'")
      for key, call, values in (
          ("store_runs", _status, ("{", "[1]", '["a", "b"]', "[-1, -2]", "[NaN, NaN]", "[" * 100_000)),
          ("store_order", _grid, ("{", "[0.5, 1.5]", "[0, 0]", "[1, 2]")),
          ("store_layout", _joined, ("{", "{}", '{"rows": 0}')))
      for value in values),
    ("a layout of other samples", _joined(_attribute("store_layout", json.dumps(
        {"rows": 256, "batch_layers": 1, "batch_samples": 16, "layers": 1, "samples": 1}))), "not cover whole chunks"),
    *((f"begun with: {key} {value!r}"[:70], _joined(_begun(key, value)), says) for key, value, says in (
        ("model.load", {"name": "scenes-8l", "device": "cpu"}, "was begun with is damaged"),
        ("model.fingerprint", "deadbeef", "deadbeef"), ("settings.strengths", [3], "strengths: stored"),
        ("settings.operation", "os.system", "operation: expected one of"),
        ("settings.draws", 10**12, "1,000,000,000,000 draws"),
        ("settings.max_new_tokens", 10**12, "max_new_tokens: stored 8"),
        ("settings.to", True, "lacks inputs/to.safetensors"),
        ("samples.requests.0.prompt", "Who?", "prompt: stored"), ("samples.labels.0", ["dog"], "labels: stored"),
        ("images", {"../../../etc/passwd": {"file": None}}, "lacks the image"),
        (f"images.{_IMAGE}.file", "/etc/passwd", "cannot be read as an image"),
        (f"images.{_IMAGE}.file", "/dev/zero", "/dev/zero, which is not there"),
        (f"images.{_IMAGE}.file", "a\0b", "is not there"),
        ("only_where_it_was_begun", ["a metric"], "a metric cannot be kept"),
    )),
    ("begun with: 100,000 brackets", _joined(lambda store: (store / BEGUN).write_text("[" * 100_000)), "is damaged"),
    ("begun with: code of its own", _joined(_begun("model.load.trust_remote_code", True), model=None),
     "trust_remote_code=True"),
    ("begun with: a model that is not there", _joined(_begun("model.load.name", "./nowhere"), model=None),
     "Expected a folder with a model"),
]  # fmt: skip
"""Stores that lie about themselves, and what the error says."""
NAMES_NO_CHUNKS = "does not name chunks"
LYING_MARKERS: list[tuple[str, Any, str]] = [
    ("chunks", None, NAMES_NO_CHUNKS), ("chunks", {"/etc/passwd": {"bytes": 1}}, NAMES_NO_CHUNKS),
    ("chunks", {"a/../../b": {"bytes": 1}}, NAMES_NO_CHUNKS), ("chunks", {"a": {"bytes": "1"}}, NAMES_NO_CHUNKS),
    ("chunks", {"nowhere": {"bytes": 1}}, "chunk nowhere is missing"), ("unit", "1", "it is that of 1"),
]  # fmt: skip
HARMLESS: dict[str, Call] = {
    "nothing": _opened(lambda store: None),
    "a marker of no unit": _opened(lambda store: (store / "unit_markers/7.json").write_text("x")),
    "variables: a coordinate": _opened(_in_book("variables", ["sample"])),
    "bookkeeping: a list": _opened(_attribute("mllm_probe_store", [1])),
    "a dimension with a path for a name": _opened(_in_array("dimension_names", ["../x", "layer", "token", "hidden"])),
}
"""Changes after which the values are what they were."""

TRIES = [
    *(Try(f"damaged: {does}", f"{part} {how}", call(_at(part, how)), "error", says)
      for does, part, call, says, told in DAMAGED for how in WAYS if how not in told),
    *(Try("damaged: check a capture", f"{part} {how}", _checked(_at(part, how)), "result",
          right=lambda found, gone=(part, how) == (MARKER, "deleted"): list(found) == ([] if gone else ["0"]))
      for part in (CHUNK, MARKER) for how in WAYS),
    *(Try("damaged: check a sweep", f"{part} {how}", _status(_at(part, how), check=True), "result",
          right=lambda told: len(told.damaged) == 1 and not told.progress.finished)
      for part in ("logprob/c.", SWEPT_MARKER) for how in WAYS if (part, how) != (SWEPT_MARKER, "deleted")),
    Try("damaged: go on with a capture", "a chunk cut short", _continued(_at(CHUNK, "cut short")), "warning",
        "damaged and run again", bool),
    Try("damaged: go on with a capture", "a marker deleted", _continued(_at(MARKER, "deleted")), "result", right=bool),
    Try("damaged: go on with a capture", "a folder for a chunk", _continued(_at(CHUNK, "a folder")), "error",
        "could not be written"),
    Try("damaged: open a capture", "a marker deleted", _opened(_at(MARKER, "deleted")), "warning", "1 of 2", bool),
    Try("damaged: open a sweep", "a marker deleted", _grid(_at(SWEPT_MARKER, "deleted")), "result", right=bool),
    Try("damaged: open a capture", "a foreign file", _opened(lambda store: (store / "notes.txt").write_text("mine")),
        "warning", "notes.txt", bool),
    Try("damaged: check a capture", "another unit's marker", _checked(_copy_marker), "result",
        right=lambda found: list(found) == ["1"] and "that of 0" in found["1"]),
    Try("damaged: open a capture", "another unit's marker", _opened(_of_another_unit), "error", "it is that of 0"),
    Try("damaged: check a capture", "nothing", _checked(lambda store: None), "result", right=lambda found: found == {}),
    *(Try("forged store", name, call, "error", says) for name, call, says in FORGED),
    *(Try("forged store", f"marker: {key} {value!r}", _checked(_edited(MARKER, _put(key, value))), "result",
          right=lambda found, says=says: list(found) == ["0"] and says in found["0"])
      for key, value, says in LYING_MARKERS),
    *(Try("forged store", f"harmless: {name}", call, "result", right=bool) for name, call in HARMLESS.items()),
]  # fmt: skip
