"""Where captures and sweeps are stored, listed and deleted, and stores that are somebody else's or made to do harm."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.zarr_store import open_zarr, save_zarr
from tests.hostile.setting import CELLS, Setting
from tests.hostile.tries import Try

Make = Callable[[Path], object]
Call = Callable[[Setting], Any]
NAN = float("nan")


def _capture(s: Setting, store: Any) -> xr.Dataset:
    return mp.capture(s.model, [s.picture], layers=[2], store=store)


def _sweep(s: Setting, store: Any, **given: Any) -> xr.Dataset:
    return mp.sweep(s.model, s.vectors, [s.picture], store=store, **CELLS | given)


def _save(s: Setting, store: Path) -> Path:
    return save_zarr(s.captured, store, overwrite=True)


def _whole(acts: xr.Dataset) -> bool:
    return bool(np.isfinite(acts["activation"].values).all())


def _at(write: Callable[[Setting, Any], Any], make: Make) -> Call:
    """Write a store where ``make`` put something."""

    def call(s: Setting) -> Any:
        make(s.folder / "a.zarr")
        return write(s, s.folder / "a.zarr")

    return call


PATHS: list[tuple[str, Any, str]] = [
    ("a NUL", "a\0b", "holds a NUL character"),
    ("a folder of files", str(Path(__file__).parent), "exists and holds no"),
    ("below a file", f"{__file__}/a.zarr", "could not be written"),
    ("a name of 300 letters", "x" * 300, "too long for a file"),
]
PLACES: dict[str, Make] = {
    "an empty folder": Path.mkdir,
    "a link to an empty folder": lambda path: ((path.parent / "e").mkdir(), path.symlink_to(path.parent / "e")),
    "a link to nowhere": lambda path: path.symlink_to(path.parent / "nowhere"),
}
TAKEN: dict[str, Make] = {
    "another program's group": lambda path: xr.Dataset({"mine": ("x", [1])}).to_zarr(path, zarr_format=2),
    "a folder with a hidden file": lambda path: (path.mkdir(), (path / ".mine").write_text("mine")),
    "a file": lambda path: path.write_text("mine"), "a link to itself": lambda path: path.symlink_to(path),
    "a pipe": lambda path: os.mkfifo(path),
}  # fmt: skip
SHARDS = (" 1/2", "1/2\n", "1/2/3", "\u0661/\u0662", "1/" + "9" * 5000)


def _saved(name: str, value: Any) -> Call:
    """Whether every variable of a capture with one more comes back as it was saved."""

    def call(s: Setting) -> bool:
        changed = s.captured.assign({name: ("sample", value)})
        opened = open_zarr(save_zarr(changed, s.folder / "saved.zarr"))
        same = [np.array_equal(opened[one].values, changed[one].values) for one in changed.variables]
        return all(same) and set(opened.variables) == set(changed.variables)

    return call


SAVED = {
    "control characters": ["\x1b[31m", "plain"], "markup and right to left": ["<script>", "\u202ecat"],
    "emoji": ["\U0001f431", ""], "paths": ["../../x", "a\nb"], "booleans": [True, False],
    "infinities": [np.inf, -np.inf], "complex numbers": [1j, 2j], "64 bits": [2**63 - 1, -(2**63)],
}  # fmt: skip


def _edited(edit: Callable[[Path, Setting], object]) -> Call:
    """Whether every variable of stored activations is as it was after the store was edited."""

    def call(s: Setting) -> bool:
        path = save_zarr(s.captured, s.folder / "z.zarr")
        edit(path, s)
        opened = open_zarr(path, s.model)
        return all(np.array_equal(opened[name].values, s.captured[name].values) for name in s.captured.data_vars)

    return call


def _array(**changes: Any) -> Callable[[Path, Setting], object]:
    """Change the metadata of the activations."""

    def edit(path: Path, s: Setting) -> None:
        content = json.loads((path / ".zmetadata").read_text())
        content["metadata"]["activation/.zarray"].update(changes)
        (path / ".zmetadata").write_text(json.dumps(content))

    return edit


def _pipe(path: Path, s: Setting) -> None:
    (path / ".zmetadata").unlink()
    os.mkfifo(path / ".zmetadata")


EDITED: list[tuple[str, Callable[[Path, Setting], object], str]] = [
    ("nothing", lambda path, s: None, ""), ("no .zmetadata", lambda path, s: (path / ".zmetadata").unlink(), ""),
    (".zmetadata is '{'", lambda path, s: (path / ".zmetadata").write_text("{"), "damaged"),
    (".zmetadata is a pipe", _pipe, "not a regular file"),
    ("shape of 2**40", _array(shape=[2**40, 2, 1, 128]), "damaged"),
    ("pickle as compressor", _array(compressor={"id": "pickle", "protocol": 5}), "codec 'pickle'"),
]  # fmt: skip


def _listed(make: Make) -> Call:
    """Names of what is listed in a folder with a capture and what ``make`` adds to a store beside it."""

    def call(s: Setting) -> list[str]:
        s.capture_store()
        (s.folder / "odd.zarr").mkdir()
        make(s.folder / "odd.zarr")
        return [Path(path).name for path in mp.cache.list(s.folder)["path"]]

    return call


def _pruned(make: Make = lambda path: None, **given: Any) -> Call:
    """Stores that were deleted of a folder with a capture that ``make`` changed, and what is left in it."""

    def call(s: Setting) -> tuple[int, list[str]]:
        make(s.capture_store())
        gone = mp.cache.prune(s.folder, **(given or {"older_than": 0}))
        return len(gone), sorted(path.name for path in s.folder.iterdir())

    return call


def _beside(make: Make) -> Make:
    return lambda store: ((store.parent / "odd.zarr").mkdir(), make(store.parent / "odd.zarr"))


def _group(version: int, attributes: object) -> Make:
    def make(path: Path) -> None:
        if version == 3:
            root = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            (path / "zarr.json").write_text(json.dumps(root))
        else:
            (path / ".zgroup").write_text('{"zarr_format": 2}')
            (path / ".zattrs").write_text(json.dumps(attributes))

    return make


def _book(**changes: Any) -> dict[str, Any]:
    plain = {"version": 1, "kind": "capture", "settings": {}, "plan": {}, "units": ["0"], "variables": []}
    return {"mllm_probe_store": plain | changes}


FOREIGN: dict[str, Make] = {
    "attributes are a list": _group(3, [1]), "its own attribute is a list": _group(3, {"mllm_probe_store": [1]}),
    "no units": _group(3, _book(units=[])), "units are paths": _group(3, _book(units=["../../x"])),
    "kind is a list": _group(3, _book(kind=["capture"])), "version 99": _group(3, _book(version=99)),
    "format 2: attributes are a list": _group(2, [1]),
    "format 2: progress is not finite": _group(2, {"store_settings": "{}", "store_state": "{}", "progress": NAN}),
    "zarr.json is a pipe": lambda path: os.mkfifo(path / "zarr.json"),
    "100,000 brackets": lambda path: (path / "zarr.json").write_text("[" * 100_000),
}  # fmt: skip
PRUNE: list[tuple[dict[str, Any], str]] = [
    ({"dry_run": True}, "say which stores"),
    ({"older_than": datetime.timedelta(days=-1)}, "older_than: expected 0 days or more"),
    ({"older_than": datetime.date(2020, 1, 1)}, "older_than: expected a number"),
    ({"older_than": 0, "dry_run": "no"}, "dry_run: expected True or False"),
    ({"older_than": 0, "unfinished": "no"}, "unfinished: expected True or False"),
]


def _prune_links(s: Setting) -> bool:
    """A link to a store elsewhere, and a store that holds a link to somebody's folder."""
    inside, mine, thesis = s.folder / "inside", s.folder / "mine", s.folder / "mine" / "thesis.tex"
    inside.mkdir()
    mine.mkdir()
    thesis.write_text("mine")
    store = s.capture_store().rename(s.folder / "outside.zarr")
    (inside / "link.zarr").symlink_to(store)
    kept = not len(mp.cache.prune(inside, older_than=0)) and (store / "zarr.json").is_file()
    (store / "unit_markers" / "mine").symlink_to(mine)
    mp.cache.prune(s.folder, older_than=0)
    return kept and thesis.is_file() and not store.exists()


LEFT = (0, ["acts.zarr"])
TRIES = [
    *(Try(f"store of a {what}", f"at {name}", lambda s, write=write, path=path: write(s, path), "error", says)
      for what, write in (("capture", _capture), ("sweep", _sweep)) for name, path, says in PATHS),
    *(Try(f"store of a {what}", f"over {name}", _at(write, make), "error", "a.zarr")
      for what, write in (("capture", _capture), ("sweep", _sweep)) for name, make in TAKEN.items()),
    *(Try("save_zarr", f"over {name}", _at(_save, make), "error", "is not a store of activations")
      for name, make in list(TAKEN.items())[:3]),
    Try("save_zarr", "over a sweep", lambda s: _save(s, s.sweep_store()), "error", "is not a store of activations"),
    *(Try("store of a capture", f"at {name}", _at(lambda s, path: _whole(_capture(s, path)), make), "result",
          right=bool) for name, make in PLACES.items()),
    Try("store of a capture", "at a name with a line break, in folders to be made",
        lambda s: _whole(_capture(s, s.folder / "b" / "a\n\x1b[31m.zarr")), "result", right=bool),
    Try("store of a capture", "its images in another order",
        lambda s: s.capture_again(s.capture_store(), images=s.held_out.pictures[1::-1]), "error", "images: stored"),
    Try("store of a capture", "a sweep is there", lambda s: s.capture_again(s.sweep_store()), "error",
        "holds no capture but a sweep"),
    Try("store of a sweep", "a capture is there", lambda s: s.sweep_again(s.capture_store()), "error",
        "holds no sweep but a capture"),
    Try("store of a patch", "a file is there", _at(
        lambda s, path: mp.patch(s.model, s.library, layers=[3], store=path), lambda path: path.write_text("mine")),
        "error", "holds no patch"),
    *(Try("shard", f"{one!r}"[:40], lambda s, one=one: _sweep(s, s.folder / "a.zarr", shard=one), "error",
          "shard: expected a text such as '3/16'") for one in SHARDS),
    Try("shard", "without a store", lambda s: _sweep(s, None, shard="1/2"), "error", "give store="),
    Try("shard", "one of a billion", lambda s: s.sweep_again(s.sweep_store(), shard="1/999999999"), "result",
        right=lambda grid: grid.attrs["progress"] == 1),
    Try("join", "a capture", lambda s: mp.sweeps.join_sweep(s.capture_store(), model=s.model), "error",
        "the store of a capture"),
    Try("join", "another model", lambda s: mp.sweeps.join_sweep(s.sweep_store(), model=mp.randomised(s.model)), "error",
        "give the same model"),
    Try("join", "a finished store", lambda s: mp.sweeps.join_sweep(s.sweep_store(), model=s.model, progress=False),
        "result", right=lambda grid: grid.attrs["progress"] == 1),
    *(Try("save_zarr", f"a variable of {name}", _saved("odd", np.array(value)), "result", right=bool)
      for name, value in SAVED.items()),
    Try("save_zarr", "a variable called in control characters", _saved("\x1b[31m", [1, 2]), "result", right=bool),
    *(Try("save_zarr", f"a variable called {name!r}", _saved(name, [1, 2]), "error", "a variable is named")
      for name in ("../x", "a/b", "", "..", "/etc/x", ".zattrs", "a\0b")),
    Try("save_zarr", "no attributes", lambda s: save_zarr(s.captured.drop_attrs(), s.folder / "x"), "error",
        "no attribute 'weights'"),
    *(Try("open_zarr", name, _edited(edit), "error" if says else "result", says, bool) for name, edit, says in EDITED),
    *(Try("open_zarr", f"at {path}", lambda s, path=path: open_zarr(path), "error", says)
      for path, says in (("no", "no Zarr store"), ("http://x.invalid/a.zarr", "expected a folder, or"))),
    *(Try("cache", f"list beside {name}", _listed(make), "result", right=lambda names: names == ["acts.zarr"])
      for name, make in FOREIGN.items()),
    *(Try("cache", f"prune beside {name}", _pruned(_beside(make)), "result",
          right=lambda told: told == (1, ["odd.zarr"])) for name, make in FOREIGN.items()),
    *(Try("cache", f"prune with somebody's {name}", _pruned(make), "warning", says, lambda told: told == LEFT)
      for name, make, says in (
          ("file in control characters", lambda store: (store / "\x1b[31m").write_text("mine"), "'\\x1b[31m'"),
          ("pipe", lambda store: os.mkfifo(store / "pipe"), "'pipe'"))),
    *(Try("cache", f"prune: {given}", _pruned(**given), "error", says) for given, says in PRUNE),
    *(Try("cache", f"prune: {given}", _pruned(**given), "result", right=lambda told: told == LEFT)
      for given in ({"older_than": 1}, {"older_than": 10**30}, {"older_than": datetime.timedelta.max},
                    {"unfinished": True})),
    Try("cache", "prune: links", _prune_links, "result", right=bool),
    Try("cache", "list a link in a circle", _listed(lambda path: (path / "circle").symlink_to(path.parent)), "result",
        right=lambda names: names == ["acts.zarr"]),
    Try("cache", "check an empty folder", lambda s: mp.cache.check(s.folder), "error", "there is no store at"),
]  # fmt: skip
