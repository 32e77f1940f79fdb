"""Files of vectors, safetensors and GGUF, that are damaged, foreign or lie about themselves."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

import mllm_probe as mp
from tests.hostile.tries import Try

Make = Callable[[Any, Path], object]
"""Writes a file of a setting to a path."""


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran_pickle",)


def _bytes(data: bytes) -> Make:
    return lambda s, path: path.write_bytes(data)


def _cut(share: float, write: Make) -> Make:
    def make(s: Any, path: Path) -> None:
        write(s, path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return make


def _good(s: Any, path: Path) -> None:
    mp.save_vectors(s.vectors, path)


def _header(edit: Callable[[dict[str, Any]], Any]) -> Make:
    """The good file with other labels in its header."""

    def make(s: Any, path: Path) -> None:
        _good(s, path)
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        header["__metadata__"]["mllm_probe"] = json.dumps(edit(json.loads(header["__metadata__"]["mllm_probe"])))
        packed = json.dumps(header).encode()
        packed += b" " * (-len(packed) % 8)
        path.write_bytes(struct.pack("<Q", len(packed)) + packed + data[8 + length :])

    return make


def _with(**parts: Any) -> Make:
    """The good file with entries of its labels changed; a dict changes entries of a part, None takes one out."""

    def edit(labels: dict[str, Any]) -> dict[str, Any]:
        for name, value in parts.items():
            labels[name] = labels[name] | value if isinstance(value, dict) else value
        return {name: value for name, value in labels.items() if value is not None}

    return _header(edit)


_CANNOT = "cannot be read as safetensors"
_ODD = "v.safetensors: its header does not describe vectors"
FILES: list[tuple[str, Make, str]] = [
    ("empty", _bytes(b""), _CANNOT), ("cut", _cut(0.5, _good), _CANNOT),
    ("header of 2**60", _bytes(struct.pack("<Q", 2**60) + b"{}"), _CANNOT),
    ("a pickle", _bytes(pickle.dumps(_Evil())), _CANNOT),
    ("a pickle of torch", lambda s, path: torch.save({"a": _Evil()}, path), _CANNOT),
    ("labels a list", _header(lambda labels: [1]), "holds no vectors of this package"),
    ("dims of another length", _with(dims={"vector": ["concept"]}), _ODD),
    ("a dimension twice", _with(dims={"residual_norm": ["layer", "layer"]}), _ODD),
    ("a million names", _with(texts={"concept": ["a"] * 10**6}), _ODD),
    ("no weights", _with(attrs={"weights": None}), "do not say which model"),
    ("another version", _with(format="mllm_probe.vectors/2"), "holds no vectors of this package"),
]  # fmt: skip
ONES = np.ones(128, np.float32)
WHOLE = {f"direction.{layer}": ONES * layer for layer in range(1, 8)}


def _tensors(tensors: dict[str, Any], architecture: str = "controlvector", **labels: Any) -> Make:
    def make(s: Any, path: Path) -> None:
        writer = gguf.GGUFWriter(path, architecture)
        for key, value in labels.items():
            add = writer.add_uint32 if isinstance(value, int) else writer.add_string
            add(f"mllm_probe.{key}", value)
        for name, array in tensors.items():
            kind = array[1] if isinstance(array, tuple) else None
            writer.add_tensor(name, array[0] if kind else array, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    return make


def _quantized(kind: str) -> Make:
    chosen = gguf.GGMLQuantizationType[kind]
    return _tensors({"direction.3": (gguf.quantize(ONES.reshape(1, -1) * 0.5, chosen), chosen)})


def _claims(tensors: int, entries: int, data: bytes = b"", version: int = 3) -> Make:
    return _bytes(b"GGUF" + struct.pack("<IQQ", version, tensors, entries) + data)


def _entry(kind: int, data: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"a" + struct.pack("<I", kind) + data


ARRAY, STRING, BYTE = 9, 8, 0
_NO = "v.gguf cannot be read as GGUF"
GGUF: list[tuple[str, Make, str]] = [
    ("version 99", _claims(0, 0, version=99), _NO), ("big endian", _bytes(b"GGUF" + struct.pack(">IQQ", 3, 0, 0)), _NO),
    ("95 %", _cut(0.95, _tensors(WHOLE)), _NO), ("2**50 tensors", _claims(2**50, 0), _NO),
    ("text of 2**60", _claims(0, 1, _entry(STRING, struct.pack("<Q", 2**60) + b"\0" * 64)), _NO),
    ("an array of 2**40 texts", _claims(0, 1, _entry(ARRAY, struct.pack("<IQ", STRING, 2**40) + b"\0" * 64)), _NO),
    ("arrays in arrays", _claims(0, 1, _entry(ARRAY, struct.pack("<IQ", ARRAY, 1) * 5000)), _NO),
    ("a tensor of 2**60", _claims(1, 0, struct.pack("<Q", 1) + b"a" + struct.pack("<IQIQ", 1, 2**60, 0, 0)), _NO),
    ("no tensors", _tensors({}), "holds no control vector"),
    ("direction.-1", _tensors({"direction.-1": ONES, **WHOLE}), "block -1"),
    ("mixed widths", _tensors({"direction.3": ONES, "direction.4": ONES[:7]}), "'direction.4' has 7 numbers"),
    *((kind, _quantized(kind), kind) for kind in ("Q8_0", "BF16")),
    ("an unknown scope", _tensors(WHOLE, scope="evil"), "evil"),
    ("other weights", _tensors(WHOLE, weights="abc"), "were made with"),
]  # fmt: skip
NUMBERS: dict[str, tuple[Make, float]] = {
    "whole": (_tensors(WHOLE), 3), "direction.0": (_tensors({"direction.0": ONES, **WHOLE}), 3),
    "float16": (_tensors({"direction.3": ONES.astype(np.float16)}), 1),
    "float64": (_tensors({"direction.3": ONES.astype(np.float64)}), 1),
    "int8": (_tensors({"direction.3": (ONES * 100).astype(np.int8)}), 100),
}  # fmt: skip
"""Files that are read, with the numbers of block 3."""


def _load(make: Make, ending: str = "safetensors") -> Callable[[Any], Any]:
    """Read a file, and answer with it."""

    def call(s: Any) -> Any:
        path = s.folder / f"v.{ending}"
        make(s, path)
        vectors = mp.load_vectors(path, s.model, s.held_out.pictures[:1])
        mp.generate(s.model, s.picture, steering=mp.Steering(vectors.isel(concept=0), [3], 1.0), max_new_tokens=2)
        return vectors

    return call


TRIES = [
    *(Try("load_vectors", name, _load(make), "error", says) for name, make, says in FILES),
    Try("load_vectors", "whole", _load(_good), "result", right=lambda v: v.concept.values.tolist() == ["cat", "neon"]),
    Try("save_vectors", "an attribute of no kind", lambda s: mp.save_vectors(
        s.vectors.assign_attrs(a=object()), "x.safetensors"), "error", "attribute of type object"),
    *(Try("GGUF", name, _load(make, "gguf"), "error", says) for name, make, says in GGUF),
    *(Try("GGUF", name, _load(make, "gguf"), "result",
          right=lambda v, value=value: bool((v["vector"].sel(layer=3).values == value).all()))
      for name, (make, value) in NUMBERS.items()),
    *(Try("GGUF", f"called {name!r}", _load(_tensors(WHOLE, concept=name), "gguf"), "result",
          right=lambda v, name=name: v.concept.values.tolist() == [str(name)])
      for name in ("<script>x</script>\n", 5)),
]  # fmt: skip
