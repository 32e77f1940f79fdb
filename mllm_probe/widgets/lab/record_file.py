"""The file of a recorded lab: what its widgets showed at each cell, the vectors, and the effects, without pickles."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mllm_probe.models.bundled import bundled_folder
from mllm_probe.schema import package_version

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "mllm_probe.lab/1"
FILE = "lab.npz"
WEIGHTS = "model.safetensors"
State: TypeAlias = dict[str, Any]
"""Synchronised traits of a widget by name, as plain data and bytes."""
Key: TypeAlias = tuple[str, int, int, float, str]
"""Concept, first and last layer, strength and tokens of a setting."""


class RecordError(ValueError):
    """A record that cannot be used, and why."""


def key_of(state: Mapping[str, Any]) -> Key:
    """The recorded setting that a state of the panel asks for."""
    first, last = state["window"]
    return str(state["concept"]), int(first), int(last), float(state["strength"]), str(state["scope"])


@dataclass(frozen=True)
class LabRecord:
    """What a lab showed.

    `facts`: ``model``, ``weights`` (fingerprint), ``file`` (hash of the weights' file), ``package``, ``libraries``,
    ``draws`` (of each control), ``check`` (how many concepts are distinguished, in words), ``unfit``, ``metrics``
    (label by name), ``prompt``, and ``widgets``: places of ``panel``, ``heatmap`` and ``bar`` in the frame.
    `frame`: state of every widget of the lab when it opens; a reference to another one is ``IPY_MODEL_`` and its place.
    `answers`: for each setting what changes in the state of each widget, by its place.
    `datasets`: arrays and labels of the vectors (``vectors``) and of the effects (``effect_`` and the metric's name).
    """

    facts: State
    frame: list[State]
    answers: dict[Key, dict[int, State]]
    datasets: dict[str, tuple[State, dict[str, np.ndarray]]]

    def dataset(self, name: str) -> xr.Dataset:
        """A dataset of the record; half precision becomes single."""
        import xarray as xr

        labels, arrays = self.datasets[name]
        whole = {key: array.astype(np.float32) if array.dtype == np.float16 else array for key, array in arrays.items()}
        dims, of_variables = labels["dims"], labels["of_variables"]
        parts = {key: (tuple(dims[key]), array, of_variables.get(key, {})) for key, array in whole.items()}
        coords = {key: parts.pop(key) for key in labels["coords"]}
        return xr.Dataset(parts, coords, labels["attrs"])

    def effects(self) -> dict[str, xr.Dataset]:
        """Effects by metric."""
        names = [name for name in self.datasets if name.startswith("effect_")]
        return {name.removeprefix("effect_"): self.dataset(name) for name in names}

    def require_weights(self, fingerprint: str) -> None:
        """Raise a RecordError unless a model of this fingerprint was recorded."""
        if fingerprint != self.facts["weights"]:
            raise RecordError(
                f"the recorded results are of weights {self.facts['weights']}, and the loaded model has {fingerprint}: "
                "they are not used, and everything is measured anew."
            )


def packed(dataset: xr.Dataset) -> tuple[State, dict[str, np.ndarray]]:
    """Labels and arrays of a dataset: floating point in half precision, except where that would overflow."""
    arrays = {str(name): _small(np.asarray(variable.values)) for name, variable in dataset.variables.items()}
    labels = {
        "dims": {str(name): list(variable.dims) for name, variable in dataset.variables.items()},
        "coords": [str(name) for name in dataset.coords],
        "attrs": _plain(dataset.attrs),
        "of_variables": {str(name): _plain(variable.attrs) for name, variable in dataset.variables.items()},
    }
    return labels, arrays


def _plain(attrs: Mapping[Any, Any]) -> State:
    return dict(json.loads(json.dumps(dict(attrs), default=lambda value: np.asarray(value).tolist())))


def _small(array: np.ndarray) -> np.ndarray:
    """An array of numbers or texts, never of objects."""
    if array.dtype.kind == "O":
        return array.astype(str)
    if array.dtype.kind == "f" and not (np.abs(array[np.isfinite(array)]) > np.finfo(np.float16).max).any():
        return array.astype(np.float16)
    return array


def write(record: LabRecord, path: Path) -> None:
    """Write a record whole or not at all."""
    texts = {"facts": record.facts | {"format": FORMAT}, "frame": stored(record.frame)}
    texts["answers"] = [[list(key), stored(list(changes.items()))] for key, changes in record.answers.items()]
    texts["datasets"] = {name: labels for name, (labels, _) in record.datasets.items()}
    arrays: dict[str, Any] = {name: np.frombuffer(json.dumps(text).encode(), np.uint8) for name, text in texts.items()}
    for name, (_, own) in record.datasets.items():
        arrays |= {f"{name}/{key}": array for key, array in own.items()}
    whole = path.with_suffix(".part.npz")
    with whole.open("wb") as file:
        np.savez_compressed(file, **arrays)
    whole.replace(path)


def read(path: Path) -> LabRecord:
    """Read a record.

    Raises RecordError if it is damaged, or of another version of the package.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = _text(file["facts"])
            if facts.get("format") != FORMAT or facts.get("package") != package_version():
                written = f"{facts.get('format')} of mllm_probe {facts.get('package')}"
                raise RecordError(f"{path} holds {written}; expected {FORMAT} of {package_version()}: it is not used.")
            datasets = {
                name: (labels, {key: file[f"{name}/{key}"] for key in labels["dims"]})
                for name, labels in _text(file["datasets"]).items()
            }
            answers = {
                (str(key[0]), int(key[1]), int(key[2]), float(key[3]), str(key[4])): dict(restored(changes))
                for key, changes in _text(file["answers"])
            }
            return LabRecord(facts, restored(_text(file["frame"])), answers, datasets)
    except (OSError, KeyError, TypeError, IndexError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path} cannot be read ({error}): the recorded results are not used.") from error


def record_for(name: str) -> LabRecord | None:
    """The record of a bundled model, None if it has none.

    Raises RecordError if it is damaged, of another version, or of another file of weights.
    """
    folder = bundled_folder(name)
    if folder is None or not (folder / FILE).is_file():
        return None
    record = read(folder / FILE)
    if record.facts["file"] != hash_of(folder / WEIGHTS):
        raise RecordError(f"{folder / FILE} is of other weights than {folder / WEIGHTS}: it is not used.")
    return record


def hash_of(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(array: np.ndarray) -> Any:
    return json.loads(array.tobytes())


def stored(value: Any) -> Any:
    """Plain data in which bytes are marked texts."""
    if isinstance(value, (bytes, memoryview)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(key): stored(each) for key, each in value.items()}
    return [stored(each) for each in value] if isinstance(value, (list, tuple)) else value


def restored(value: Any) -> Any:
    """What `stored` made plain."""
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {key: restored(each) for key, each in value.items()}
    return [restored(each) for each in value] if isinstance(value, list) else value


def references(value: Any) -> Iterator[str]:
    """Names of the models that a state refers to, in order."""
    if isinstance(value, str) and value.startswith("IPY_MODEL_"):
        yield value.removeprefix("IPY_MODEL_")
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from references(each)


def plain(value: Any) -> Any:
    """Lists, dicts, bytes and scalars of a widget's state, equal where they say the same."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A state that refers to models by other names."""
    if isinstance(value, str) and value.startswith("IPY_MODEL_"):
        return "IPY_MODEL_" + names[value.removeprefix("IPY_MODEL_")]
    if isinstance(value, dict):
        return {key: renamed(each, names) for key, each in value.items()}
    return [renamed(each, names) for each in value] if isinstance(value, (list, tuple)) else value
