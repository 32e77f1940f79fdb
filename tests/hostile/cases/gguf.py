"""GGUF files whose header promises what the file does not hold, and control vectors of other shapes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gguf as library
import numpy as np

import mllm_probe as mp
from tests.hostile.tries import Try

entry = partial(Try, "GGUF")
ONES = np.ones(128, np.float32)
WHOLE = {f"direction.{layer}": ONES * layer for layer in range(1, 8)}

Make = Callable[[Path], object]


def _tensors(tensors: dict[str, Any], architecture: str = "controlvector", **labels: Any) -> Make:
    def make(path: Path) -> None:
        writer = library.GGUFWriter(path, architecture)
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
    chosen = library.GGMLQuantizationType[kind]
    return _tensors({"direction.3": (library.quantize(ONES.reshape(1, -1) * 0.5, chosen), chosen)})


def _cut(share: float) -> Make:
    def make(path: Path) -> None:
        _tensors(WHOLE)(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return make


def _bytes(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def _entries(tensors: int, entries: int, data: bytes = b"") -> Make:
    return _bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, entries) + data)


def _entry(kind: int, data: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"a" + struct.pack("<I", kind) + data


ARRAY, TEXT, BYTE = 9, 8, 0
_NO = "g.gguf cannot be read as GGUF"
_BROKEN: list[tuple[str, Make, str]] = [
    ("empty", _bytes(b""), _NO),
    ("random", _bytes(np.random.default_rng(0).bytes(400)), _NO),
    ("magic alone", _bytes(b"GGUF"), _NO),
    ("version 99", _bytes(b"GGUF" + struct.pack("<IQQ", 99, 0, 0)), _NO),
    ("big endian", _bytes(b"GGUF" + struct.pack(">IQQ", 3, 0, 0)), _NO),
    ("half", _cut(0.5), _NO),
    ("95 %", _cut(0.95), _NO),
    ("2**50 tensors", _entries(2**50, 0), _NO),
    ("2**50 entries", _entries(1, 2**50, b"\0" * 64), _NO),
    ("a key of 2**60", _entries(0, 1, struct.pack("<Q", 2**60) + b"\0" * 64), _NO),
    ("text of 2**60", _entries(0, 1, _entry(TEXT, struct.pack("<Q", 2**60) + b"\0" * 64)), _NO),
    ("an array of 2**40 bytes", _entries(0, 1, _entry(ARRAY, struct.pack("<IQ", BYTE, 2**40) + b"\0" * 64)), _NO),
    ("an array of 2**40 texts", _entries(0, 1, _entry(ARRAY, struct.pack("<IQ", TEXT, 2**40) + b"\0" * 64)), _NO),
    ("an array of a million bytes", _entries(0, 1, _entry(ARRAY, struct.pack("<IQ", BYTE, 10**6) + bytes(10**6))), _NO),
    ("arrays in arrays", _entries(0, 1, _entry(ARRAY, struct.pack("<IQ", ARRAY, 1) * 5000)), _NO),
    ("an unknown kind", _entries(0, 1, _entry(77, b"\0" * 64)), _NO),
    ("a tensor of 2**60", _entries(1, 0, struct.pack("<Q", 1) + b"a" + struct.pack("<IQIQ", 1, 2**60, 0, 0)), _NO),
    ("a tensor of 2**30 dimensions", _entries(1, 0, struct.pack("<Q", 1) + b"a" + struct.pack("<I", 2**30)), _NO),
    ("no tensors", _tensors({}), "holds no control vector"),
    ("a model", _tensors(WHOLE, "llama"), "it is 'llama' with 7 tensors"),
    ("direction.x", _tensors({"direction.x": ONES, **WHOLE}), "'direction.x'"),
    ("direction.-1", _tensors({"direction.-1": ONES, **WHOLE}), "block -1"),
    ("direction.99", _tensors({"direction.99": ONES, **WHOLE}), "block 99"),
    ("another width", _tensors({"direction.3": ONES[:7]}), "'direction.3' has 7 numbers"),
    ("mixed widths", _tensors({"direction.3": ONES, "direction.4": ONES[:7]}), "'direction.4' has 7 numbers"),
    ("two dimensions", _tensors({"direction.3": ONES.reshape(2, 64)}), "has 2 × 64 numbers"),
    ("NaN", _tensors({"direction.3": ONES * np.nan}), "holds NaN or infinity"),
    ("infinity", _tensors({"direction.3": ONES * np.inf}), "holds NaN or infinity"),
    ("Q8_0", _quantized("Q8_0"), "Q8_0"),
    ("Q4_0", _quantized("Q4_0"), "Q4_0"),
    ("BF16", _quantized("BF16"), "BF16"),
    ("an unknown scope", _tensors(WHOLE, scope="evil"), "evil"),
    ("other weights", _tensors(WHOLE, weights="abc"), "were made with"),
]  # fmt: skip


def _load(make: Make) -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        make(s.folder / "g.gguf")
        vectors = mp.load_vectors(s.folder / "g.gguf", s.model, s.held_out.pictures[:1])
        steering = mp.Steering(vectors.isel(concept=0), [3], 1.0)
        mp.generate(s.model, s.picture, steering=steering, max_new_tokens=2)
        return vectors

    return call


def _third(value: float) -> Callable[[Any], bool]:
    return lambda vectors: bool((vectors["vector"].sel(layer=3).values == value).all())


def _called(name: str) -> Callable[[Any], bool]:
    return lambda vectors: vectors.concept.values.tolist() == [name]


TRIES = [
    *(entry(name, _load(make), "error", says) for name, make, says in _BROKEN),
    entry("whole", _load(_tensors(WHOLE)), "result", right=_third(3)),
    entry("direction.0", _load(_tensors({"direction.0": ONES, **WHOLE})), "result", right=_third(3)),
    entry("float16", _load(_tensors({"direction.3": ONES.astype(np.float16)})), "result", right=_third(1)),
    entry("float64", _load(_tensors({"direction.3": ONES.astype(np.float64)})), "result", right=_third(1)),
    entry("int8", _load(_tensors({"direction.3": (ONES * 100).astype(np.int8)})), "result", right=_third(100)),
    entry("one layer", _load(_tensors({"direction.3": ONES})), "result",
          right=lambda v: v.layer.values.tolist() == [3]),
    entry("markup as name", _load(_tensors(WHOLE, concept="<script>x</script>\n")), "result",
          right=_called("<script>x</script>\n")),
    entry("a number as name", _load(_tensors(WHOLE, concept=5)), "result", right=_called("5")),
    entry("no model", lambda s: (_tensors(WHOLE)(s.folder / "g.gguf"), mp.load_vectors("g.gguf")), "error",
          "pass model="),
]  # fmt: skip
