"""Zarr groups on disk: read only after every codec that they name was checked."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.models.argument_checks import path_of, require_short_name
from mllm_probe.typing import JsonObject

OPTIONS: dict[str, Any] = {"zarr_format": 2, "consolidated": True}
"""Options with which the package writes its groups."""
CODECS = frozenset({"blosc", "bytes", "crc32c", "vlen-utf8", "zstd"})
"""Codecs of what the package writes, and of what ``Dataset.to_zarr`` writes by default in both formats of Zarr."""
STORE_KIND = "store_kind"
"""Attribute, on disk only, that tells what the package wrote from every other Zarr group, and says what it is."""
_ARRAY, _CONSOLIDATED, _FORMAT_3 = ".zarray", ".zmetadata", "zarr.json"


def open_group(path: str | Path) -> xr.Dataset:
    """Open a Zarr group, its values left on disk until they are used.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    TypeError
        If ``path`` is no path.
    FileNotFoundError
        If there is no Zarr group.
    ValueError
        If it names a codec other than :data:`CODECS`, or is damaged.
    """
    folder = as_folder(path)
    if not (folder / ".zgroup").is_file() and not (folder / _FORMAT_3).is_file():
        raise FileNotFoundError(f"there is no Zarr store at {folder}: expected a folder with .zgroup or {_FORMAT_3}.")
    require_known_codecs(folder)
    ours = (folder / _CONSOLIDATED).is_file()
    try:
        opened = xr.open_zarr(folder, chunks=None, **(OPTIONS if ours else {"consolidated": False}))
        opened.attrs.pop(STORE_KIND, None)
        return opened
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error


def require_known_codecs(folder: Path) -> None:
    """Refuse a group whose arrays name codecs that this package does not write; reads JSON alone.

    A codec is code that is chosen by its name: ``pickle`` runs code from the file, and others are read by libraries
    that were never meant for strangers' files.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ValueError
        Naming the array and the codec.
    """
    # A group and its arrays; ``glob`` follows links here, as Zarr does.
    names = [f"{level}{name}" for level in ("", "*/") for name in (_ARRAY, _CONSOLIDATED, _FORMAT_3)]
    for file in (file for name in names for file in folder.glob(name)):
        for array, codec in _codecs(file):
            if codec not in CODECS:
                raise ValueError(
                    f"array '{array}' of {folder} is stored with the codec {codec!r}, which this package never writes "
                    f"and which may run code when it is read (expected one of {', '.join(sorted(CODECS))}). Ask "
                    "whoever made the store for one with these codecs."
                )


def as_folder(path: object) -> Path:
    """``path`` as a Path.

    Raises
    ------
    TypeError
        If it is neither text nor a path.
    ValueError
        If it holds a NUL character or is too long.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"expected the path of a Zarr store as text or a pathlib.Path, not {type(path).__name__}.")
    folder = path_of("the path of a Zarr store", path)
    require_short_name("the path of a Zarr store", folder)
    return folder


def write_group(dataset: xr.Dataset, path: str | Path, kind: str = "study") -> None:
    """Write a dataset that is in memory as a Zarr group, whole or not at all; one that is there already stays.

    Parameters
    ----------
    dataset : Dataset
        Texts are written with a fixed width, so that they are read as they were.
    path : str or Path
        Its folders are made.
    kind : str
        What it is, for :func:`mllm_probe.cache.list`.
    """
    target = as_folder(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = partial_beside(target)
    try:
        with_plain_texts(dataset).assign_attrs({STORE_KIND: kind}).to_zarr(unfinished, **OPTIONS)
        with contextlib.suppress(OSError):  # another process wrote it meanwhile
            unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if not target.is_dir():
        raise OSError(f"{target} could not be written.")


def with_plain_texts(dataset: xr.Dataset) -> xr.Dataset:
    """Give every text a fixed width: others are read back as a type that few libraries know."""
    texts = {name: one for name, one in dataset.variables.items() if one.dtype.kind in "OT" and one.size}
    plain = {name: (one.dims, np.array(one.values.tolist(), dtype=str), one.attrs) for name, one in texts.items()}
    coordinates = {name: one for name, one in plain.items() if name in dataset.coords}
    return dataset.assign_coords(coordinates).assign({name: plain[name] for name in plain if name not in coordinates})


def partial_beside(target: Path) -> Path:
    """Unused hidden path in the folder of ``target``, to write to before it is renamed."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")


def read_json(file: Path) -> JsonObject:
    """Content of one of a group's metadata files.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    if not file.is_file():  # a named pipe would be waited for without end
        raise _damaged(file, "not a regular file")
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict):
        raise _damaged(file, "not a JSON object")
    return content


def _codecs(file: Path) -> Iterator[tuple[str, Any]]:
    """Array and codec, for every codec that a metadata file names."""
    content = read_json(file)
    for name, array in _arrays(file, content):
        if not isinstance(array, dict):
            raise _damaged(file, f"metadata of {name!r} is not a JSON object")
        named = [array.get("compressor"), *_listed(array.get("filters")), *_listed(array.get("codecs"))]
        for codec in named:
            if codec is not None:
                yield name, codec.get("id", codec.get("name")) if isinstance(codec, dict) else codec


def _arrays(file: Path, content: JsonObject) -> Iterator[tuple[str, Any]]:
    """Metadata of arrays by name: a file holds one, or those of a whole group."""
    if file.name == _CONSOLIDATED:
        members = content.get("metadata") or {}
        yield from ((key.removesuffix(f"/{_ARRAY}"), members[key]) for key in members if key.endswith(_ARRAY))
        return
    yield file.parent.name, content
    yield from ((content.get("consolidated_metadata") or {}).get("metadata") or {}).items()


def _listed(codecs: object) -> list[Any]:
    return codecs if isinstance(codecs, list) else [codecs]


def _damaged(path: Path, what: object) -> ValueError:
    return ValueError(
        f"{path} is not a readable Zarr store ({what}): it is damaged or incomplete. Copy it again, or run what made "
        "it once more with another path."
    )
