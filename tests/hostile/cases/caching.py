"""Folders of stores: what is listed, checked and deleted, and what is never touched."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mllm_probe as mp
from mllm_probe.activations.store_layout import write_group
from tests.hostile.setting import Setting
from tests.hostile.tries import Try

entry = partial(Try, "cache")
Made = Callable[[Setting], object]


def _listed(make: Made) -> Callable[[Setting], list[str]]:
    """Names of what is listed in a folder with a capture and what ``make`` adds."""

    def call(s: Setting) -> list[str]:
        s.capture_store()
        make(s)
        return [Path(path).name for path in mp.cache.list(s.folder)["path"]]

    return call


def _pruned(make: Made = lambda s: None, **given: Any) -> Callable[[Setting], tuple[int, list[str]]]:
    """Stores that were deleted, and what is left in the folder."""

    def call(s: Setting) -> tuple[int, list[str]]:
        s.capture_store()
        make(s)
        gone = mp.cache.prune(s.folder, **(given or {"older_than": 0}))
        return len(gone), sorted(path.name for path in s.folder.iterdir())

    return call


def _alone(names: list[str]) -> bool:
    return names == ["acts.zarr"]


def _group(version: int, attributes: object) -> Made:
    def make(s: Setting) -> None:
        (s.folder / "odd.zarr").mkdir()
        if version == 3:
            root = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            (s.folder / "odd.zarr" / "zarr.json").write_text(json.dumps(root))
        else:
            (s.folder / "odd.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
            (s.folder / "odd.zarr" / ".zattrs").write_text(json.dumps(attributes))

    return make


def _book(**changes: Any) -> dict[str, Any]:
    plain = {"version": 1, "kind": "capture", "settings": {}, "plan": {}, "units": ["0"], "variables": []}
    return {"mllm_probe_store": plain | changes}


_OURS = {"store_kind": "study"}
_SWEEP = {"store_settings": "{}", "store_state": "{}"}
_ODD: dict[str, tuple[int, object]] = {
    "attributes are a list": (3, [1]),
    "attributes are a number": (3, 5),
    "the store's own attribute is a list": (3, {"mllm_probe_store": [1]}),
    "no units": (3, _book(units=[])),
    "units are a number": (3, _book(units=5)),
    "units are paths": (3, _book(units=["../../x"])),
    "settings are a list": (3, _book(settings=[1])),
    "variables are a number": (3, _book(variables=5)),
    "kind is a list": (3, _book(kind=["capture"])),
    "version 99": (3, _book(version=99)),
    "format 2: attributes are a list": (2, [1]),
    "format 2: progress is text": (2, _SWEEP | {"progress": "half"}),
    "format 2: progress is a list": (2, _SWEEP | {"progress": [1]}),
    "format 2: progress is not finite": (2, _SWEEP | {"progress": float("nan")}),
}
_NAMED: dict[str, tuple[Any, str]] = {
    "a number": (5, "5"),
    "a list": (["a", "b"], "a, b"),
    "a table": ({"a": 1}, "{'a': 1}"),
    "None": (None, ""),
    "control characters": ("\x1b[31m", "\x1b[31m"),
}
_FOLDERS: list[tuple[str, Any, str]] = [
    ("that is not there", "nowhere", "there is no folder 'nowhere'"),
    ("that is a file", __file__, "there is no folder"),
    ("that is empty text", "no/", "there is no folder"),
    ("None of text", 5, "expected the path of a Zarr store"),
    ("as bytes", b".", "expected the path of a Zarr store"),
    ("with a NUL", "a\0b", "NUL"),
    ("as a list", ["."], "expected the path of a Zarr store"),
]
_PRUNE: list[tuple[dict[str, Any], str]] = [
    ({"dry_run": True}, "say which stores"),
    ({"older_than": -1}, "older_than: expected 0 days or more"),
    ({"older_than": "30"}, "older_than: expected a number"),
    ({"older_than": True}, "older_than: expected a number"),
    ({"older_than": float("nan")}, "older_than: expected a finite number"),
    ({"older_than": float("inf")}, "older_than: expected a finite number"),
    ({"older_than": [1]}, "older_than: expected a number"),
    ({"older_than": datetime.timedelta(days=-1)}, "older_than: expected 0 days or more"),
    ({"older_than": datetime.date(2020, 1, 1)}, "older_than: expected a number"),
    ({"older_than": 0, "dry_run": "no"}, "dry_run: expected True or False"),
    ({"older_than": 0, "unfinished": "no"}, "unfinished: expected True or False"),
    ({"unfinished": 1}, "unfinished: expected True or False"),
]


def _linked(s: Setting) -> None:
    """A link in the folder to a store beside it."""
    outside = s.folder / "outside"
    outside.mkdir()
    (s.folder / "acts.zarr").rename(outside / "acts.zarr")
    inside = s.folder / "inside"
    inside.mkdir()
    (inside / "link.zarr").symlink_to(outside / "acts.zarr")


def _prune_links(s: Setting) -> tuple[int, bool]:
    s.capture_store()
    _linked(s)
    gone = mp.cache.prune(s.folder / "inside", older_than=0)
    return len(gone), (s.folder / "outside" / "acts.zarr" / "zarr.json").is_file()


def _prune_links_within(s: Setting) -> bool:
    """A store that holds a link to a folder of somebody else."""
    store = s.capture_store()
    (s.folder / "mine").mkdir()
    (s.folder / "mine" / "thesis.tex").write_text("mine")
    (store / "unit_markers" / "mine").symlink_to(s.folder / "mine")
    mp.cache.prune(s.folder, older_than=0)
    return (s.folder / "mine" / "thesis.tex").is_file() and not store.exists()


def _model_named(model: object) -> Callable[[Setting], str]:
    def call(s: Setting) -> str:
        _group(2, _OURS | {"model": model})(s)
        return str(mp.cache.list(s.folder)["model"].item())

    return call


TRIES = [
    *(
        entry(f"list: a group beside a store: {name}", _listed(_group(*odd)), "result", right=_alone)
        for name, odd in _ODD.items()
    ),
    *(
        entry(
            f"prune: a group beside a store: {name}",
            _pruned(_group(*odd)),
            "result",
            right=lambda told: told == (1, ["odd.zarr"]),
        )
        for name, odd in _ODD.items()
    ),
    *(
        entry(f"list: the model is {name}", _model_named(value), "result", right=lambda shown, text=text: shown == text)
        for name, (value, text) in _NAMED.items()
    ),
    *(
        entry(f"list: a folder {name}", lambda s, f=folder: mp.cache.list(f), "error", says)
        for name, folder, says in _FOLDERS
    ),
    *(
        entry(f"size: a folder {name}", lambda s, f=folder: mp.cache.size(f), "error", says)
        for name, folder, says in _FOLDERS[:2]
    ),
    *(
        entry(f"prune: a folder {name}", lambda s, f=folder: mp.cache.prune(f, older_than=0), "error", says)
        for name, folder, says in _FOLDERS[:2]
    ),
    *(entry(f"prune: {given}", _pruned(**given), "error", says) for given, says in _PRUNE),
    *(
        entry(
            f"prune: older than {age!r}",
            _pruned(older_than=age),
            "result",
            right=lambda told: told == (0, ["acts.zarr"]),
        )
        for age in (1, 1e300, 10**30, datetime.timedelta.max)
    ),
    entry("prune: unfinished alone", _pruned(unfinished=True), "result", right=lambda told: told == (0, ["acts.zarr"])),
    entry("prune: a store behind a link", _prune_links, "result", right=lambda told: told == (0, True)),
    entry("prune: a link within a store", _prune_links_within, "result", right=bool),
    entry(
        "prune: somebody's file in a store",
        _pruned(lambda s: (s.folder / "acts.zarr" / "thesis.tex").write_text("mine")),
        "warning",
        "thesis.tex",
        right=lambda told: told == (0, ["acts.zarr"]),
    ),
    entry(
        "prune: a name with control characters in a store",
        _pruned(lambda s: (s.folder / "acts.zarr" / "\x1b[31m").write_text("mine")),
        "warning",
        "'\\x1b[31m'",
        right=lambda told: told == (0, ["acts.zarr"]),
    ),
    entry(
        "prune: a pipe in a store",
        _pruned(lambda s: os.mkfifo(s.folder / "acts.zarr" / "pipe")),
        "warning",
        "'pipe'",
        right=lambda told: told == (0, ["acts.zarr"]),
    ),
    entry(
        "list: a link in a circle",
        _listed(lambda s: (s.folder / "circle").symlink_to(s.folder)),
        "result",
        right=_alone,
    ),
    entry(
        "list: a store in a store",
        _listed(lambda s: write_group(s.grid[["logprob"]], s.folder / "acts.zarr" / "in.zarr")),
        "result",
        right=_alone,
    ),
    entry(
        "list: zarr.json is a pipe",
        _listed(lambda s: ((s.folder / "p.zarr").mkdir(), os.mkfifo(s.folder / "p.zarr" / "zarr.json"))),
        "result",
        right=_alone,
    ),
    entry(
        "list: zarr.json is no JSON",
        _listed(lambda s: ((s.folder / "p.zarr").mkdir(), (s.folder / "p.zarr" / "zarr.json").write_text("{"))),
        "result",
        right=_alone,
    ),
    entry(
        "list: 100,000 brackets",
        _listed(
            lambda s: ((s.folder / "p.zarr").mkdir(), (s.folder / "p.zarr" / "zarr.json").write_text("[" * 100_000))
        ),
        "result",
        right=_alone,
    ),
    *(
        entry(f"check: {name}", lambda s, p=path: mp.cache.check(p), "error", says)
        for name, path, says in [
            ("nothing", "nowhere.zarr", "there is no store at nowhere.zarr"),
            ("an empty folder", ".", "there is no store at ."),
            ("a file", __file__, "holds no store of this package"),
            ("a number", 5, "expected the path"),
            ("an address", "s3://bucket", "expected s3://BUCKET/NAME"),
            ("a NUL", "a\0b", "NUL"),
            ("no name", "", "there is no store"),
        ]
    ),
]
