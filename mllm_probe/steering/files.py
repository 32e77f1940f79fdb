"""Vectors in files: safetensors with their labels in the header, and GGUF control vectors for other programs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy, split_dimension, tensor_of
from mllm_probe.steering.vectors import vectors_from

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

_FORMAT = "mllm_probe.vectors/1"
_LABELS = "mllm_probe"
_ARCHITECTURE = "controlvector"


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
    """
    path = Path(path)
    schema.require(vectors, "vector", dims=(schema.HIDDEN,), what="the vectors to save")
    if path.suffix == ".gguf":
        _save_gguf(vectors, path)
    elif path.suffix == ".safetensors":
        _save_safetensors(vectors, path)
    else:
        raise ValueError(f"{path.name}: vectors are saved as *.safetensors, or as *.gguf for other programs.")
    return path


def load_vectors(path: str | Path, model: ProbeModel | None = None, images: Any = None) -> xr.Dataset:
    """Read vectors from a file.

    Parameters
    ----------
    path : str or Path
        A safetensors file written by ``save_vectors``, or a GGUF control vector of any program.
    model : ProbeModel, optional
        Checked to be the one the vectors were made with; they are put on its device. Needed for GGUF.
    images : pictures, optional
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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of vectors at {path}.")
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
        "format": _FORMAT,
        "dims": dims,
        "texts": texts,
        "coords": list(map(str, vectors.coords)),
        "attrs": vectors.attrs,
        "variable_attrs": {str(n): v.attrs for n, v in vectors.variables.items()},
    }
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={_LABELS: json.dumps(labels, default=_plain)})
    partial.replace(path)


def _load_safetensors(path: Path, device: str) -> xr.Dataset:
    try:
        with safe_open(path, "pt", device="cpu") as file:
            labels = json.loads((file.metadata() or {}).get(_LABELS, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise ValueError(f"{path.name} cannot be read as safetensors ({error}).") from error
    if labels.get("format") != _FORMAT:
        raise ValueError(
            f"{path.name} holds no vectors of this package (format {labels.get('format', 'not given')}, expected "
            f"{_FORMAT}). Read its tensors with safetensors and pass them to vectors_from."
        )
    data: dict[str, Any] = {}
    for name, dims in labels["dims"].items():
        attrs = labels["variable_attrs"].get(name)
        if name in labels["texts"]:
            data[name] = (dims, np.array(labels["texts"][name], dtype=np.str_), attrs)
        elif schema.HIDDEN in dims:
            data[name] = lazy(dims, tensors[name].to(device), attrs=attrs)
        else:
            data[name] = (dims, tensors[name].numpy(), attrs)
    return xr.Dataset(data, attrs=labels["attrs"]).set_coords(labels["coords"])


def _save_gguf(vectors: xr.Dataset, path: Path) -> None:
    gguf = _gguf()
    for dim in (schema.CONCEPT, schema.SCOPE):
        if vectors.sizes.get(dim, 1) > 1:
            names = ", ".join(map(str, vectors[dim].values[:6]))
            raise ValueError(
                f"a GGUF control vector holds one {dim}, the vectors have {vectors.sizes[dim]} ({names} …): "
                f"select one, such as vectors.sel({dim}='{vectors[dim].values[0]}')."
            )
    one = vectors.squeeze([d for d in (schema.CONCEPT, schema.SCOPE) if d in vectors.dims])
    layers = np.atleast_1d(one[schema.LAYER].values)
    values = one["vector"].values.reshape(len(layers), -1)
    if 0 in layers:
        warnings.warn("GGUF control vectors have no place for block 0; its vector is left out.", stacklevel=3)
    writer = gguf.GGUFWriter(path, _ARCHITECTURE)
    writer.add_string(f"{_ARCHITECTURE}.model_hint", str(one.attrs.get("model", "")))
    writer.add_uint32(f"{_ARCHITECTURE}.layer_count", int((layers > 0).sum()))
    for key, value in _gguf_labels(one).items():
        writer.add_string(f"{_LABELS}.{key}", value)
    for layer, vector in zip(layers, values, strict=True):
        if layer > 0:
            writer.add_tensor(f"direction.{layer}", np.ascontiguousarray(vector, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_labels(one: xr.Dataset) -> dict[str, str]:
    labels = {"weights": str(one.attrs.get("weights", "")), "model": str(one.attrs.get("model", ""))}
    for name in (schema.CONCEPT, schema.SCOPE):
        if name in one.coords:
            labels[name] = str(one[name].item())
    return labels


def _load_gguf(path: Path, model: ProbeModel, images: Any) -> xr.Dataset:
    gguf = _gguf()
    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path.name} cannot be read as GGUF ({error}).") from error
    kept = {key: field.contents() for key, field in reader.fields.items() if key.startswith(("general.", _LABELS))}
    found = {
        int(t.name.removeprefix("direction.")): torch.from_numpy(np.array(t.data, dtype=np.float32))
        for t in reader.tensors
        if t.name.startswith("direction.")
    }
    if kept.get("general.architecture") != _ARCHITECTURE or not found:
        raise ValueError(
            f"{path.name} holds no control vector: expected architecture '{_ARCHITECTURE}' and tensors "
            f"'direction.<layer>'; it is '{kept.get('general.architecture')}' with {len(reader.tensors)} tensors."
        )
    weights = kept.get(f"{_LABELS}.weights")
    if weights:
        made_with = xr.Dataset(attrs={"model": kept.get(f"{_LABELS}.model"), "weights": weights})
        schema.require_same_model(made_with, model, f"the vectors in {path.name}")
    beyond = [layer for layer in found if layer not in model.layers]
    if beyond:
        raise ValueError(
            f"{path.name} has a direction for block {beyond[0]}, but {model.name} has blocks 0 … "
            f"{len(model.layers) - 1}."
        )
    layers = sorted(found)
    name = kept.get(f"{_LABELS}.{schema.CONCEPT}", path.stem)
    scope = kept.get(f"{_LABELS}.{schema.SCOPE}", "all")
    array = torch.stack([found[layer] for layer in layers])
    return vectors_from(model, {name: array}, images, scope=scope, layers=layers)


def _together(array: xr.DataArray) -> torch.Tensor:
    """Data as one tensor, layers of a sharded model brought to the host."""
    return tensor_of(array if split_dimension(array) is None else array.torch.to("cpu"))


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"attribute of type {type(value).__name__} cannot be saved with vectors.")


def _gguf() -> Any:
    try:
        import gguf
    except ImportError as error:
        raise ImportError("GGUF control vectors need the package 'gguf': pip install gguf.") from error
    return gguf
