"""Files of vectors that are damaged, foreign or lie about themselves."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

import mllm_probe as mp
from tests.hostile.cases.arguments import filled
from tests.hostile.tries import Try

read = partial(Try, "load_vectors")
written = partial(Try, "save_vectors")


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran_pickle",)


def _good(s: Any) -> bytes:
    return mp.save_vectors(s.vectors, s.folder / "ok.safetensors").read_bytes()


def _header(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Any], bytes]:
    """The good file with other labels in its header."""

    def make(s: Any) -> bytes:
        data = _good(s)
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        labels = json.loads(header["__metadata__"]["mllm_probe"])
        changed = edit(labels)
        header["__metadata__"]["mllm_probe"] = changed if isinstance(changed, str) else json.dumps(changed)
        packed = json.dumps(header).encode()
        packed += b" " * (-len(packed) % 8)
        return struct.pack("<Q", len(packed)) + packed + data[8 + length :]

    return make


def _with(**parts: Any) -> Callable[[Any], bytes]:
    """The good file with entries of its labels changed; a dict changes entries of a part, None takes one out."""

    def edit(labels: dict[str, Any]) -> dict[str, Any]:
        for name, value in parts.items():
            if value is None:
                labels.pop(name)
            else:
                labels[name] = labels[name] | value if isinstance(value, dict) else value
        return labels

    return _header(edit)


def _load(make: Callable[[Any], bytes]) -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        path = s.folder / "v.safetensors"
        path.write_bytes(make(s))
        vectors = mp.load_vectors(path, s.model)
        steering = mp.Steering(vectors.isel(concept=0), [3], 1.0)
        return vectors, mp.generate(s.model, s.picture, steering=steering, max_new_tokens=2).text

    return call


def _nan_file(s: Any) -> bytes:
    return mp.save_vectors(filled(s.vectors, float("nan")), s.folder / "n.safetensors").read_bytes()


_CANNOT = "cannot be read as safetensors"
_ODD = "v.safetensors: its header does not describe vectors"
_FILES: list[tuple[str, Callable[[Any], bytes], str]] = [
    ("empty", lambda s: b"", _CANNOT),
    ("random", lambda s: np.random.default_rng(0).bytes(300), _CANNOT),
    ("cut", lambda s: _good(s)[: len(_good(s)) // 2], _CANNOT),
    ("header of 2**60", lambda s: struct.pack("<Q", 2**60) + b"{}", _CANNOT),
    ("text", lambda s: b"hello world, this is no file", _CANNOT),
    ("a pickle", lambda s: pickle.dumps(_Evil()), _CANNOT),
    ("tensors of another program", lambda s: save({"a": torch.ones(3)}), "holds no vectors of this package"),
    ("no dims", _with(dims=None), _ODD),
    ("labels a list", _header(lambda labels: [1]), "holds no vectors of this package"),
    ("labels without parts", _header(lambda labels: {"format": labels["format"]}), _ODD),
    ("labels no JSON", _header(lambda labels: '{"format": '), _ODD),
    ("dims of another length", _with(dims={"vector": ["concept"]}), _ODD),
    ("dims that are no list", _with(dims={"vector": 5}), _ODD),
    ("dims of a tensor that is not there", _with(dims={"zz": ["hidden"]}), _ODD),
    ("dims that disagree", _with(dims={"residual_norm": ["scope", "layer"]}), _ODD),
    ("a dimension twice", _with(dims={"residual_norm": ["layer", "layer"]}), _ODD),
    ("texts as dicts", _with(texts={"concept": {}, "words": {}}), _ODD),
    ("texts as numbers", _with(texts={"concept": [1, 2]}), _ODD),
    ("a million names", _with(texts={"concept": ["a"] * 10**6}), _ODD),
    ("an unknown coordinate", _with(coords=["zz"]), _ODD),
    ("coordinates no list", _with(coords=5), _ODD),
    ("attributes a list", _with(attrs=[1]), _ODD),
    ("no variable_attrs", _with(variable_attrs=None), _ODD),
    ("no weights", _with(attrs={"weights": None}), "do not say which model"),
    ("another version", _with(format="mllm_probe.vectors/2"), "holds no vectors of this package"),
    ("no vector", _header(lambda labels: labels["dims"].pop("vector") and labels), "lacks variable 'vector'"),
    ("NaN", _nan_file, "holds NaN or infinity"),
]
_SOURCES: list[tuple[str, Any, str]] = [
    ("missing", "no.safetensors", "no file of vectors at no.safetensors"),
    ("a folder", ".", "no file of vectors at"),
    ("None", None, "path: expected text or a path; got None"),
    ("bytes", b"x", "path: expected text or a path; got b'x'"),
    ("a number", 5, "path: expected text or a path; got 5"),
    ("a NUL", "a\0", "holds a NUL character"),
]
_TARGETS: list[tuple[str, Any, str]] = [
    ("another ending", "x.pt", "saved as *.safetensors"),
    ("no folder", "no/x.safetensors", "there is no folder 'no'"),
    ("no folder, GGUF", "no/x.gguf", "there is no folder 'no'"),
    ("a folder", "e.safetensors", "is a folder"),
    ("None", None, "path: expected text or a path; got None"),
    ("bytes", b"x.safetensors", "path: expected text or a path"),
    ("a NUL", "a\0.safetensors", "holds a NUL character"),
    ("300 letters", "x" * 300 + ".safetensors", "is too long"),
    ("two concepts, GGUF", "x.gguf", "holds one concept"),
]


def _pickled_torch(s: Any) -> Any:
    torch.save({"a": _Evil()}, s.folder / "t.safetensors")
    return mp.load_vectors(s.folder / "t.safetensors", s.model)


def _target(path: Any) -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        (s.folder / "e.safetensors").mkdir()
        return mp.save_vectors(s.vectors, path)

    return call


TRIES = [
    *(read(name, _load(make), "error", says) for name, make, says in _FILES),
    read("a pickle of torch", _pickled_torch, "error", _CANNOT),
    read("whole", _load(_good), "result", right=lambda out: out[0].concept.values.tolist() == ["cat", "neon"]),
    read("names exchanged, which no label can show", _load(_with(texts={"concept": ["neon", "cat"]})), "result",
         right=lambda out: out[0].sizes["concept"] == 2),
    *(read(f"path: {name}", lambda s, p=p: mp.load_vectors(p, s.model), "error", says) for name, p, says in _SOURCES),
    read("another ending", lambda s: (Path("v.npz").write_bytes(b"x"), mp.load_vectors("v.npz", s.model)), "error",
         _CANNOT),
    read("a name as model", lambda s: mp.load_vectors(mp.save_vectors(s.vectors, "v.safetensors"), "scenes-8l"),
         "error", "expected a loaded model"),
    *(written(name, _target(path), "error", says) for name, path, says in _TARGETS),
    written("None as vectors", lambda s: mp.save_vectors(None, "x.safetensors"), "error", "expected a dataset"),
    written("a grid", lambda s: mp.save_vectors(s.grid, "x.safetensors"), "error", "lacks variable 'vector'"),
    written("an attribute of no kind", lambda s: mp.save_vectors(s.vectors.assign_attrs(a=object()), "x.safetensors"),
            "error", "attribute of type object"),
    written("path and vectors exchanged", lambda s: mp.save_vectors("x.safetensors", s.vectors), "error", "expected"),
]  # fmt: skip
