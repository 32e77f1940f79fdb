"""Where captures and sweeps are stored, and stores of something else."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.zarr_store import open_zarr, save_zarr
from tests.hostile.setting import CELLS, Setting
from tests.hostile.tries import Try

capture, sweep, shard, join = (partial(Try, f"store=: {name}") for name in ("capture", "sweep", "shard", "join"))
save = partial(Try, "save_zarr")

_PATHS: list[tuple[str, Any, str]] = [
    ("a number", 5, "expected the path of a Zarr store"),
    ("bytes", b"a.zarr", "expected the path of a Zarr store"),
    ("a list", ["a.zarr"], "expected the path of a Zarr store"),
    ("True", True, "expected the path of a Zarr store"),
    ("a NUL", "a\0b", "holds a NUL character"),
    ("a file", __file__, "exists and holds no"),
    ("a folder of files", str(Path(__file__).parent), "exists and holds no"),
    ("/proc", "/proc", "exists and holds no"),
    ("below a file", f"{__file__}/a.zarr", "could not be written"),
    ("a name of 300 letters", "x" * 300, "too long for a file"),
]


def _made(make: Callable[[Path], object]) -> Callable[[Setting], Path]:
    def path(s: Setting) -> Path:
        make(s.folder / "a.zarr")
        return s.folder / "a.zarr"

    return path


_PLACES: dict[str, Callable[[Path], object]] = {
    "an empty folder": Path.mkdir,
    "a link to an empty folder": lambda path: ((path.parent / "e").mkdir(), path.symlink_to(path.parent / "e")),
    "a link to nowhere": lambda path: path.symlink_to(path.parent / "nowhere"),
    "a name with a line break": lambda path: None,
}
_TAKEN: dict[str, Callable[[Path], object]] = {
    "another program's group": lambda path: xr.Dataset({"mine": ("x", [1])}).to_zarr(path, zarr_format=2),
    "another program's group of format 3": lambda path: xr.Dataset({"mine": ("x", [1])}).to_zarr(
        path, zarr_format=3, consolidated=False
    ),
    "a folder with a hidden file": lambda path: (path.mkdir(), (path / ".mine").write_text("mine")),
    "a link to itself": lambda path: path.symlink_to(path),
    "a pipe": lambda path: os.mkfifo(path),
}


def _capture(s: Setting, store: Any, **given: Any) -> xr.Dataset:
    return mp.capture(s.model, [s.picture], layers=[2], store=store, **given)


def _sweep(s: Setting, store: Any, **given: Any) -> xr.Dataset:
    return mp.sweep(s.model, s.vectors, given.pop("images", [s.picture]), store=store, **CELLS | given)


def _whole(acts: xr.Dataset) -> bool:
    return bool(np.isfinite(acts["activation"].values).all())


_OTHER_CAPTURE: list[tuple[dict[str, Any], str]] = [
    ({"layers": [2]}, "layers: stored [2, 4], asked for [2]"),
    ({"layers": [4, 2]}, "layers: stored [2, 4]"),
    ({"tokens": "image"}, "tokens: stored"),
    ({"prompt": "Who?"}, "prompt: stored"),
    ({"continuation": "a cat"}, "continuation: stored"),
    ({"batch_size": 1}, "batch_size: stored"),
]
_OTHER_SWEEP: list[tuple[dict[str, Any], str]] = [
    ({"strengths": (0, 2)}, "strengths: stored [0.0, 1.0], asked for [0.0, 2.0]"),
    ({"strengths": (1, 0)}, "strengths: stored"),
    ({"layers": [3]}, "layers: stored [2], asked for [3]"),
    ({"draws": 6}, "draws: stored"),
    ({"seed": 1}, "seed: stored 0, asked for 1"),
    ({"metrics": ("logprob", "kl")}, "metrics: stored"),
    ({"controls": "random"}, "controls: stored"),
    ({"prompt": "Who?"}, "prompt: stored"),
    ({"unit": "vector"}, "unit: stored 'residual', asked for 'vector'"),
    ({"tokens": "image"}, "tokens: stored"),
    ({"operation": "ablate"}, "operation: stored"),
    ({"answer_prefix": "a"}, "answer_prefix: stored"),
    ({"max_new_tokens": 3}, "max_new_tokens: stored 8, asked for 3"),
    ({"record": ["projection"]}, "record: stored"),
]
_SHARDS: list[Any] = [
    "",
    "3",
    "0/2",
    "3/2",
    "1/0",
    "-1/2",
    "1/2/3",
    " 1/2",
    "1/2\n",
    "a/b",
    "1.0/2",
    "\u0661/\u0662",
    "1/" + "9" * 5000,
    3,
    0.5,
    (1, 2),
    ["1/2"],
    b"1/2",
    True,
    {"1": 2},
    "\x1b[31m1/2",
]


def _other_model(s: Setting) -> xr.Dataset:
    return s.vectors.assign_attrs(weights="deadbeef")


def _reversed(s: Setting) -> Any:
    return s.held_out.pictures[:2][::-1]


def _saved(change: Callable[[xr.Dataset], xr.Dataset]) -> Callable[[Setting], bool]:
    """Whether every variable of a changed capture comes back as it was saved."""

    def call(s: Setting) -> bool:
        changed = change(s.captured)
        opened = open_zarr(save_zarr(changed, s.folder / "saved.zarr"))
        same = [np.array_equal(opened[name].values, changed[name].values) for name in changed.variables]
        return all(same) and set(opened.variables) == set(changed.variables)

    return call


def _with(name: str, value: Any) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda acts: acts.assign({name: value})


_TEXTS = {
    "control characters": "\x1b[31m",
    "markup": "<script>alert(1)</script>",
    "right to left": "\u202ecat",
    "emoji": "\U0001f431",
    "nothing": "",
    "a path": "../../x",
    "a line break": "a\nb",
}

TRIES = [
    *(capture(f"store {name}", lambda s, p=path: _capture(s, p), "error", says) for name, path, says in _PATHS),
    *(sweep(f"store {name}", lambda s, p=path: _sweep(s, p), "error", says) for name, path, says in _PATHS),
    *(
        capture(f"store {name}", lambda s, m=make: _whole(_capture(s, _made(m)(s))), "result", right=bool)
        for name, make in _PLACES.items()
        if name != "a name with a line break"
    ),
    capture(
        "store a name with a line break",
        lambda s: _whole(_capture(s, s.folder / "a\n\x1b[31m.zarr")),
        "result",
        right=bool,
    ),
    capture(
        "store in folders to be made",
        lambda s: _whole(_capture(s, s.folder / "b" / "c" / "a.zarr")),
        "result",
        right=bool,
    ),
    *(
        capture(f"store {name}", lambda s, m=make: _capture(s, _made(m)(s)), "error", "a.zarr")
        for name, make in _TAKEN.items()
    ),
    *(
        sweep(f"store {name}", lambda s, m=make: _sweep(s, _made(m)(s)), "error", "a.zarr")
        for name, make in _TAKEN.items()
    ),
    *(
        capture(
            f"begun with another {', '.join(given)} {[*given.values()][0]!r}"[:70],
            lambda s, given=given: s.capture_again(s.capture_store(), **given),
            "error",
            says,
        )
        for given, says in _OTHER_CAPTURE
    ),
    capture(
        "begun with its images in another order",
        lambda s: s.capture_again(s.capture_store(), images=_reversed(s)),
        "error",
        "images: stored",
    ),
    capture(
        "begun with fewer images",
        lambda s: s.capture_again(s.capture_store(), images=[s.picture]),
        "error",
        "images: stored",
    ),
    capture("a sweep is there", lambda s: s.capture_again(s.sweep_store()), "error", "holds no capture but a sweep"),
    *(
        sweep(
            f"begun with another {', '.join(given)} {[*given.values()][0]!r}"[:70],
            lambda s, given=given: s.sweep_again(s.sweep_store(), **given),
            "error",
            says,
        )
        for given, says in _OTHER_SWEEP
    ),
    sweep(
        "begun with its images in another order",
        lambda s: s.sweep_again(s.sweep_store(), images=_reversed(s)),
        "error",
        "images: stored",
    ),
    sweep("a capture is there", lambda s: s.sweep_again(s.capture_store()), "error", "holds no sweep but a capture"),
    sweep(
        "a client that is an address",
        lambda s: _sweep(s, s.folder / "a.zarr", client="tcp://x:1"),
        "error",
        "expected a dask.distributed.Client",
    ),
    *(
        shard(
            f"{one!r}"[:40],
            lambda s, one=one: _sweep(s, s.folder / "a.zarr", shard=one),
            "error",
            "shard: expected a text such as '3/16'",
        )
        for one in _SHARDS
    ),
    *(
        join(
            f"shard {one!r}"[:40],
            lambda s, one=one: mp.sweeps.join_sweep(s.sweep_store(), shard=one, model=s.model),
            "error",
            "shard: expected a text such as '3/16'",
        )
        for one in ("3/2", "x", 3)
    ),
    shard("without a store", lambda s: _sweep(s, None, shard="1/2"), "error", "give store="),
    shard(
        "a billion, of which one has the first unit",
        lambda s: s.sweep_again(s.sweep_store(), shard="1/999999999"),
        "result",
        right=lambda grid: grid.attrs["progress"] == 1,
    ),
    *(
        join(f"store {name}", lambda s, p=path: mp.sweeps.join_sweep(p, model=s.model), "error", says)
        for name, path, says in [
            ("nothing", "nowhere.zarr", "no store at nowhere.zarr"),
            ("a file", __file__, "holds no store"),
            ("a number", 5, "expected the path"),
            ("a NUL", "a\0b", "NUL"),
            ("an address", "gs://b", "expected gs://BUCKET/NAME"),
            ("None", None, "expected the path"),
        ]
    ),
    join(
        "a capture", lambda s: mp.sweeps.join_sweep(s.capture_store(), model=s.model), "error", "the store of a capture"
    ),
    join(
        "a client that is a text",
        lambda s: mp.sweeps.join_sweep(s.sweep_store(), model=s.model, client="x"),
        "error",
        "expected a dask.distributed.Client",
    ),
    join(
        "another model",
        lambda s: mp.sweeps.join_sweep(s.sweep_store(), model=mp.randomised(s.model)),
        "error",
        "give the same model",
    ),
    join(
        "a model that is a name",
        lambda s: mp.sweeps.join_sweep(s.sweep_store(), model="scenes-8l"),
        "error",
        "expected a loaded model",
    ),
    join(
        "a finished store",
        lambda s: mp.sweeps.join_sweep(s.sweep_store(), model=s.model, progress=False),
        "result",
        right=lambda grid: grid.attrs["progress"] == 1,
    ),
    *(
        save(f"a text of {name}", _saved(_with("note", ("sample", [text, "plain"]))), "result", right=bool)
        for name, text in _TEXTS.items()
    ),
    *(
        save(f"a variable named {name}", _saved(_with(text, ("sample", [1, 2]))), "result", right=bool)
        for name, text in _TEXTS.items()
        if name in ("emoji", "control characters", "right to left")
    ),
    *(
        save(f"a variable named {name!r}", _saved(_with(name, ("sample", [1, 2]))), "error", "a variable is named")
        for name in ("../x", "a/b", "", ".", "..", "/etc/x", ".zattrs", "a\0b", 5)
    ),
    *(
        save(f"a variable of {name}", _saved(_with("odd", ("sample", value))), "error", "cannot be stored as Zarr")
        for name, value in {"objects": np.array([{}, 1], object), "mixed": np.array(["a", 1], object)}.items()
    ),
    *(
        save(f"a variable of {name}", _saved(_with("odd", ("sample", value))), "result", right=bool)
        for name, value in {
            "booleans": np.array([True, False]),
            "infinities": np.array([np.inf, -np.inf]),
            "complex numbers": np.array([1j, 2j]),
            "64 bits": np.array([2**63 - 1, -(2**63)]),
        }.items()
    ),
    save(
        "no attributes", lambda s: save_zarr(s.captured.drop_attrs(), s.folder / "x"), "error", "no attribute 'weights'"
    ),
    save(
        "an attribute that is no JSON",
        _saved(lambda acts: acts.assign_attrs(odd={1, 2})),
        "error",
        "cannot be stored as Zarr",
    ),
    save("None", lambda s: save_zarr(None, s.folder / "x"), "error", "expected a dataset"),
    save("a NUL in the path", lambda s: save_zarr(s.captured, "a\0b"), "error", "NUL"),
    save("piece_bytes 0", lambda s: save_zarr(s.captured, s.folder / "x", 0), "error", "piece_bytes"),
    save("piece_bytes NaN", lambda s: save_zarr(s.captured, s.folder / "x", float("nan")), "error", "piece_bytes"),
]
