"""Zarr stores that are missing, damaged, somebody else's, or made to do harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.zarr_store import open_zarr, save_zarr
from tests.hostile.tries import Try

AREA = "open_zarr"


def _edited(edit: Callable[[Path, Any], object], **options: Any) -> Callable[[Any], bool]:
    """Store activations, edit the store, open it: whether every variable is as it was."""

    def call(setting: Any) -> bool:
        captured = mp.capture(setting.model, [setting.picture], layers=[2])
        path = save_zarr(captured, setting.folder / "z.zarr")
        edit(path, setting)
        opened = open_zarr(path, setting.model, **options)
        return all(np.array_equal(opened[name].values, captured[name].values) for name in captured.data_vars)

    return call


def _text(old: str, new: str) -> Callable[[Path, Any], object]:
    """Replace text in the consolidated metadata."""

    def edit(path: Path, setting: Any) -> None:
        file = path / ".zmetadata"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return edit


def _array(**changes: Any) -> Callable[[Path, Any], object]:
    """Change the metadata of the activations."""

    def edit(path: Path, setting: Any) -> None:
        content = json.loads((path / ".zmetadata").read_text())
        for name, value in changes.items():
            was = content["metadata"]["activation/.zarray"][name]
            content["metadata"]["activation/.zarray"][name] = value(was) if callable(value) else value
        (path / ".zmetadata").write_text(json.dumps(content))

    return edit


def _weights(path: Path, setting: Any) -> None:
    for file in (path / ".zmetadata", path / ".zattrs"):
        file.write_text(file.read_text().replace(setting.model.fingerprint, "deadbeef"))


def _pipe(path: Path, setting: Any) -> None:
    (path / ".zmetadata").unlink()
    os.mkfifo(path / ".zmetadata")


def _same(result: bool) -> bool:
    return result


_HUGE = _array(shape=lambda shape: [2**40, *shape[1:]])
_PICKLE = {"id": "pickle", "protocol": 5}
_LEFT = "is not a store of activations"


def _over(make: Callable[[Path, Any], object]) -> Callable[[Any], object]:
    """Save activations where there is something else."""

    def call(setting: Any) -> object:
        path = setting.folder / "there.zarr"
        make(path, setting)
        return save_zarr(mp.capture(setting.model, [setting.picture], layers=[2]), path, overwrite=True)

    return call


def _sweep(path: Path, setting: Any) -> None:
    settings = {"layers": [2], "strengths": (0, 1), "draws": 4, "progress": False}
    mp.sweep(setting.model, setting.vectors, [setting.picture], store=path, **settings)


def _foreign(path: Path, setting: Any) -> None:
    xr.Dataset({"mine": ("x", [1])}).to_zarr(path, zarr_format=2)


TRIES = [
    Try(AREA, "intact", _edited(lambda path, s: None), "result", right=_same),
    Try(AREA, "no .zmetadata", _edited(lambda path, s: (path / ".zmetadata").unlink()), "result", right=_same),
    Try(AREA, ".zmetadata is '{'", _edited(lambda p, s: (p / ".zmetadata").write_text("{")), "error", "damaged"),
    Try(AREA, ".zmetadata is a pipe", _edited(_pipe), "error", "not a regular file"),
    Try(AREA, "type 'load'", _edited(_text('"float32"', '"load"'), device="cpu"), "error", "no type of PyTorch"),
    Try(AREA, "no type", _edited(_text('"dtype": "float32"', '"dtypo": "x"'), device="cpu"), "result", right=_same),
    Try(AREA, "weights of another model", _edited(_weights), "error", "deadbeef"),
    Try(AREA, "shape of 2**40", _edited(_HUGE), "error", "damaged"),
    Try(AREA, "pickle as compressor", _edited(_array(compressor=_PICKLE)), "error", "codec 'pickle'"),
    Try(AREA, "pickle as filter", _edited(_array(filters=[_PICKLE])), "error", "codec 'pickle'"),
    Try(AREA, "a codec without a name", _edited(_array(compressor={})), "error", "codec None"),
    Try(AREA, "codecs that are text", _edited(_array(filters="pickle")), "error", "codec 'pickle'"),
    Try(AREA, "no folder", lambda s: open_zarr(s.folder / "no"), "error", "no Zarr store"),
    Try(AREA, "None", lambda s: open_zarr(None), "error", "expected the path"),  # type: ignore[arg-type]
    Try(AREA, "a file", lambda s: open_zarr(__file__), "error", "no Zarr store"),
    Try(AREA, "an address", lambda s: open_zarr("http://x.invalid/a.zarr"), "error", "expected a folder, or"),
    Try(AREA, "a map of no store", lambda s: mp.LayerConceptHeatmap(str(s.folder / "no")), "error", "no Zarr store"),
    Try("save_zarr", "over a sweep", _over(_sweep), "error", _LEFT),
    Try("save_zarr", "over another program's group", _over(_foreign), "error", _LEFT),
    Try("save_zarr", "over a folder", _over(lambda path, s: path.mkdir()), "error", _LEFT),
    Try("save_zarr", "over a file", _over(lambda path, s: path.write_text("mine")), "error", _LEFT),
]
