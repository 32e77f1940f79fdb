"""Vectors in files: safetensors with their labels in the header, and GGUF control vectors for other programs.

Its reader trusts the lengths of arrays: a header of 100 bytes that announces 2**40 elements keeps it busy without end.
"""

from __future__ import annotations

import json
import mmap
import struct
import warnings
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy, split_dimension, tensor_of
from mllm_probe.models import require_model
from mllm_probe.models.argument_checks import readable_path_of, writable_path_of
from mllm_probe.typing import Images, JsonObject
from mllm_probe.vectors.construction import vectors_from

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel


FORMAT = "mllm_probe.vectors/1"
KEY = "mllm_probe"


class LabelsError(ValueError):
    """Labels that do not describe the tensors of their file."""


def parse_labels(text: str, tensors: Mapping[str, Tensor]) -> JsonObject:
    """Labels as ``save_vectors`` writes them, checked against the tensors of the file.

    `text`: JSON. Returns: ``format``, ``dims``, ``texts``, ``coords``, ``attrs`` and ``variable_attrs``. Raises
    LabelsError: saying what is wrong; ``format`` alone is left to the caller, and without the right one nothing else is
    checked.
    """
    try:
        labels = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabelsError(f"they are no JSON ({error})") from error
    if not isinstance(labels, dict) or labels.get("format") != FORMAT:
        return {"format": labels.get("format") if isinstance(labels, dict) else None}
    for part, (expected, fits) in _PARTS.items():
        if part not in labels:
            raise LabelsError(f"there is no '{part}'")
        if not fits(labels[part]):
            raise LabelsError(f"'{part}' is no {expected}")
    _require_shapes(labels, tensors)
    unknown = [name for name in labels["coords"] if name not in labels["dims"]]
    if unknown:
        raise LabelsError(f"coordinate '{unknown[0]}' is not among the variables")
    return labels


def _require_shapes(labels: JsonObject, tensors: Mapping[str, Tensor]) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for name, dims in labels["dims"].items():
        shape = _shape(name, labels["texts"], tensors)
        if len(shape) != len(dims) or len(set(dims)) != len(dims):
            raise LabelsError(f"'{name}' has shape {list(shape)}, which does not fit dimensions {dims}")
        for dim, size in zip(dims, shape, strict=True):
            known, first = sizes.setdefault(dim, (size, name))
            if size != known:
                raise LabelsError(f"dimension '{dim}' has length {size} in '{name}' and {known} in '{first}'")


def _shape(name: str, texts: JsonObject, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    if name in texts:
        try:
            array = np.array(texts[name])
        except ValueError as error:
            raise LabelsError(f"the texts of '{name}' have no shape") from error
        if array.dtype.kind != "U" and array.size:
            raise LabelsError(f"the texts of '{name}' are no texts")
        return array.shape
    if name not in tensors:
        raise LabelsError(f"there is no tensor '{name}'")
    return tuple(tensors[name].shape)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_mapping_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


_PARTS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "dims": ("mapping from variables to lists of dimensions", _is_mapping_of(_is_texts)),
    "texts": ("mapping from variables to texts", _is_mapping_of(lambda value: isinstance(value, (str, list)))),
    "coords": ("list of names", _is_texts),
    "attrs": ("mapping", lambda value: isinstance(value, dict)),
    "variable_attrs": ("mapping from variables to mappings", _is_mapping_of(lambda value: isinstance(value, dict))),
}


_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of the plain kinds of value, by their number in the format."""
_TEXT, _ARRAY = 8, 9
_MOST_ELEMENTS = 100_000
"""Of one array: control vectors carry none, and readers make an object of each element."""
_MOST_DIMENSIONS = 4


class HeaderError(ValueError):
    """A header that announces more than the file holds."""


def check_header(path: Path) -> None:
    """Walk the header of a GGUF file.

    Raises HeaderError if it is no little-endian GGUF of version 2 or 3, or a length, a count or a size is beyond the
    file's end.
    """
    if not path.stat().st_size:
        raise HeaderError("the file is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _Walk(data, len(data)).header()


class _Walk:
    def __init__(self, data: mmap.mmap, size: int) -> None:
        self.data, self.size, self.at = data, size, 0

    def header(self) -> None:
        if self.take(4) != _MAGIC:
            raise HeaderError("it does not begin with 'GGUF'")
        version = self.number("I")
        if version not in _VERSIONS:
            raise HeaderError(f"version {version}; expected one of {', '.join(map(str, _VERSIONS))}, little-endian")
        tensors, entries = self.count("tensors", 24), self.count("entries", 13)
        for _ in range(entries):
            self.text()
            self.value(self.number("I"))
        for _ in range(tensors):
            self.tensor()

    def take(self, length: int) -> bytes:
        self.skip(length)
        return self.data[self.at - length : self.at]

    def skip(self, length: int) -> None:
        if length > self.size - self.at:
            raise HeaderError(f"its header announces {length:,} bytes at {self.at:,}, but the file has {self.size:,}")
        self.at += length

    def number(self, kind: str) -> int:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))[0]

    def count(self, what: str, least: int) -> int:
        """A count of things that take at least ``least`` bytes each."""
        count = self.number("Q")
        if count * least > self.size - self.at:
            raise HeaderError(f"its header announces {count:,} {what}, but the file has {self.size:,} bytes")
        return count

    def text(self) -> None:
        self.skip(self.number("Q"))

    def value(self, kind: int) -> None:
        if kind == _TEXT:
            self.text()
        elif kind == _ARRAY:
            self.array()
        elif kind in _SIZES:
            self.skip(_SIZES[kind])
        else:
            raise HeaderError(f"its header holds a value of unknown kind {kind}")

    def array(self) -> None:
        kind, length = self.number("I"), self.number("Q")
        if length > _MOST_ELEMENTS:
            raise HeaderError(
                f"its header announces an array of {length:,} elements; at most {_MOST_ELEMENTS:,} are read"
            )
        if kind == _ARRAY:
            raise HeaderError("its header nests arrays, which no control vector does")
        for _ in range(length) if kind == _TEXT else ():
            self.text()
        if kind != _TEXT:
            if kind not in _SIZES:
                raise HeaderError(f"its header holds an array of unknown kind {kind}")
            self.skip(length * _SIZES[kind])

    def tensor(self) -> None:
        self.text()
        dimensions = self.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise HeaderError(f"its header announces a tensor of {dimensions:,} dimensions; at most {_MOST_DIMENSIONS}")
        elements = prod(self.number("Q") for _ in range(dimensions))
        self.skip(4)
        offset = self.number("Q")
        if elements > 8 * self.size or offset > self.size:
            raise HeaderError(
                f"its header announces a tensor of {elements:,} numbers at {offset:,}, but the file has {self.size:,} "
                "bytes"
            )


_ARCHITECTURE = "controlvector"
_PLAIN = ("F32", "F16", "F64", "I8", "I16", "I32", "I64")
"""Types of tensors that are stored unquantised."""


def save_vectors(vectors: xr.Dataset, path: str | Path) -> Path:
    """Write vectors to a file.

    Parameters
    ----------
    vectors : xarray.Dataset
        As made by ``concept_vectors`` or ``vectors_from``.
    path : str or Path
        ``*.safetensors`` keeps everything. ``*.gguf`` keeps one concept at one scope as a control vector
        (``direction.<layer>``, added to the output of that block), which other programs read; it has no place for
        block 0.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        For another ending, or several concepts or scopes in a GGUF file.
    FileNotFoundError
        If the folder does not exist.
    """
    path = writable_vector_file(path)
    schema.require(vectors, "vector", dims=(schema.HIDDEN,), what="the vectors to save")
    if path.suffix == ".gguf":
        _save_gguf(vectors, path)
    else:
        _save_safetensors(vectors, path)
    return path


def writable_vector_file(path: str | Path) -> Path:
    """``path`` as one that `save_vectors` can write to, so that it can be refused before vectors are made.

    Raises ValueError for another ending than ``.safetensors`` or ``.gguf``. Raises FileNotFoundError if the folder does
    not exist.
    """
    path = writable_path_of("path", path)
    if path.suffix not in (".safetensors", ".gguf"):
        raise ValueError(f"{path.name}: vectors are saved as *.safetensors, or as *.gguf for other programs.")
    return path


def load_vectors(path: str | Path, model: ProbeModel | None = None, images: Images = None) -> xr.Dataset:
    """Read vectors from a file.

    Parameters
    ----------
    path : str or Path
        A safetensors file written by ``save_vectors``, or a GGUF control vector of any program.
    model : ProbeModel, optional
        Checked to be the one the vectors were made with; they are put on its device. Needed for GGUF.
    images : images, optional
        For GGUF, which keeps no residual norms: measure them on these.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    ValueError
        If the file holds no vectors, or vectors of another model; the text names both models.
    FileNotFoundError
        If there is no such file.
    """
    path = readable_path_of("path", path, "file of vectors")
    if model is not None:
        require_model(model)
    if path.suffix == ".gguf":
        if model is None:
            raise ValueError(f"{path.name}: a GGUF control vector does not say which model it is for; pass model=.")
        return _load_gguf(path, model, images)
    vectors = _load_safetensors(path, "cpu" if model is None else str(model.device))
    if model is not None:
        schema.require_same_model(vectors, model, f"the vectors in {path.name}")
    return vectors


def _save_safetensors(vectors: xr.Dataset, path: Path) -> None:
    tensors, texts, dims = {}, {}, {}
    for name, variable in vectors.variables.items():
        dims[str(name)] = list(map(str, variable.dims))
        if variable.dtype.kind in "OUS":
            texts[str(name)] = variable.values.tolist()
        else:
            tensors[str(name)] = _together(vectors[name]).detach().cpu().contiguous()
    labels = {
        "format": FORMAT,
        "dims": dims,
        "texts": texts,
        "coords": list(map(str, vectors.coords)),
        "attrs": vectors.attrs,
        "variable_attrs": {str(n): v.attrs for n, v in vectors.variables.items()},
    }
    partial = path.with_name(path.name + ".partial")
    partial.touch()
    mode = partial.stat().st_mode  # what files of this user have; safetensors leaves its own to the user alone
    save_file(tensors, partial, metadata={KEY: json.dumps(labels, default=_plain)})
    partial.chmod(mode)
    partial.replace(path)


def _load_safetensors(path: Path, device: str) -> xr.Dataset:
    try:
        with safe_open(path, "pt", device="cpu") as file:
            text = (file.metadata() or {}).get(KEY, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        labels = parse_labels(text, tensors)
    except SafetensorError as error:
        raise ValueError(f"{path.name} cannot be read as safetensors ({error}).") from error
    except LabelsError as error:
        raise ValueError(
            f"{path.name}: its header does not describe vectors ({error}). Save them again with mp.save_vectors."
        ) from error
    if labels.get("format") != FORMAT:
        raise ValueError(
            f"{path.name} holds no vectors of this package (format {labels['format'] or 'not given'}, expected "
            f"{FORMAT}). Read its tensors with safetensors and pass them to vectors_from."
        )
    data: dict[str, Any] = {}
    for name, dims in labels["dims"].items():
        attrs = labels["variable_attrs"].get(name)
        if name in labels["texts"]:
            data[name] = (dims, np.array(labels["texts"][name], dtype=np.str_), attrs)
        elif schema.HIDDEN in dims:
            data[name] = lazy(dims, tensors[name].to(device), attrs=attrs, made_by="load_vectors")
        else:
            data[name] = (dims, tensors[name].numpy(), attrs)
    vectors = xr.Dataset(data, attrs=labels["attrs"]).set_coords(labels["coords"])
    schema.require(vectors, "vector", dims=(schema.HIDDEN,), what=f"the dataset in {path.name}")
    return vectors


def _save_gguf(vectors: xr.Dataset, path: Path) -> None:
    gguf = _gguf()
    for dim in (schema.CONCEPT, schema.SCOPE):
        if vectors.sizes.get(dim, 1) > 1:
            names = ", ".join(map(str, vectors[dim].values[:6]))
            raise ValueError(
                f"a GGUF control vector holds one {dim}, the vectors have {vectors.sizes[dim]} ({names} …): "
                f"select one, such as vectors.sel({dim}='{vectors[dim].values[0]}')."
            )
    single = vectors.squeeze([d for d in (schema.CONCEPT, schema.SCOPE) if d in vectors.dims])
    layers = np.atleast_1d(single[schema.LAYER].values)
    values = single["vector"].values.reshape(len(layers), -1)
    if (layers <= 0).any():
        warnings.warn("GGUF control vectors have no place for block 0; its vector is left out.", stacklevel=3)
    writer = gguf.GGUFWriter(path, _ARCHITECTURE)
    writer.add_string(f"{_ARCHITECTURE}.model_hint", str(single.attrs.get("model", "")))
    writer.add_uint32(f"{_ARCHITECTURE}.layer_count", int((layers > 0).sum()))
    for key, value in _gguf_labels(single).items():
        writer.add_string(f"{KEY}.{key}", value)
    for layer, vector in zip(layers, values, strict=True):
        if layer > 0:
            writer.add_tensor(f"direction.{layer}", np.ascontiguousarray(vector, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_labels(single: xr.Dataset) -> dict[str, str]:
    labels = {"weights": str(single.attrs.get("weights", "")), "model": str(single.attrs.get("model", ""))}
    for name in (schema.CONCEPT, schema.SCOPE):
        if name in single.coords:
            labels[name] = str(single[name].item())
    return labels


def _load_gguf(path: Path, model: ProbeModel, images: Images) -> xr.Dataset:
    gguf = _gguf()
    try:
        check_header(path)
        reader = gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{path.name} cannot be read as GGUF ({error}).") from error
    kept = {key: field.contents() for key, field in reader.fields.items() if key.startswith(("general.", KEY))}
    tensors = {t.name: t for t in reader.tensors if t.name.startswith("direction.")}
    if kept.get("general.architecture") != _ARCHITECTURE or not tensors:
        raise ValueError(
            f"{path.name} holds no control vector: expected architecture '{_ARCHITECTURE}' and tensors "
            f"'direction.<layer>'; it is '{kept.get('general.architecture')}' with {len(reader.tensors)} tensors."
        )
    weights = kept.get(f"{KEY}.weights")
    if weights:
        stored_model = xr.Dataset(attrs={"model": kept.get(f"{KEY}.model"), "weights": weights})
        schema.require_same_model(stored_model, model, f"the vectors in {path.name}")
    directions = {_block(path, name, model): _gguf_values(path, tensor, model) for name, tensor in tensors.items()}
    layers = sorted(directions)
    name = kept.get(f"{KEY}.{schema.CONCEPT}", path.stem)
    scope = kept.get(f"{KEY}.{schema.SCOPE}", "all")
    array = torch.stack([directions[layer] for layer in layers])
    return vectors_from(model, {str(name): array}, images, scope=scope, layers=layers)


def _block(path: Path, name: str, model: ProbeModel) -> int:
    """Block of a tensor ``direction.<block>``."""
    number = name.removeprefix("direction.")
    if not number.removeprefix("-").isdecimal():
        raise ValueError(f"{path.name} has a tensor '{name}'; expected 'direction.<block>', such as 'direction.3'.")
    if int(number) not in model.layers:
        raise ValueError(
            f"{path.name} has a direction for block {number}, but {model.name} has blocks 0 … {len(model.layers) - 1}."
        )
    return int(number)


def _gguf_values(path: Path, tensor: Any, model: ProbeModel) -> torch.Tensor:
    """Numbers [hidden] of a tensor of a GGUF file, float32."""
    kind, shape = tensor.tensor_type.name, tensor.shape.tolist()[::-1]
    if kind not in _PLAIN:
        raise ValueError(f"{path.name}: '{tensor.name}' is of type {kind}; expected one of {', '.join(_PLAIN)}.")
    if shape != [model.hidden_size]:
        raise ValueError(
            f"{path.name}: '{tensor.name}' has {' × '.join(map(str, shape))} numbers, but the residual stream of "
            f"{model.name} has width {model.hidden_size}."
        )
    return torch.from_numpy(np.array(tensor.data, dtype=np.float32))


def _together(array: xr.DataArray) -> torch.Tensor:
    """Data as one tensor, layers of a sharded model brought to the host."""
    return tensor_of(array if split_dimension(array) is None else array.torch.to("cpu"))


def _plain(value: object) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"attribute of type {type(value).__name__} cannot be saved with vectors.")


def _gguf() -> Any:
    try:
        import gguf
    except ImportError as error:
        raise ImportError("GGUF control vectors need the package 'gguf': pip install gguf.") from error
    return gguf
