"""Zarr groups on disk: read only after every codec that they name was checked."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.activations.store_places import Place, as_folder, partial_beside, place_of
from mllm_probe.typing import JsonObject

OPTIONS: dict[str, Any] = {"zarr_format": 2, "consolidated": True}
"""Options with which the package writes its groups."""
CODECS = frozenset({"blosc", "bytes", "crc32c", "vlen-utf8", "zstd"})
"""Codecs of what the package writes, and of what ``Dataset.to_zarr`` writes by default in both formats of Zarr."""
STORE_KIND = "store_kind"
"""Attribute, on disk only, that tells what the package wrote from every other Zarr group, and says what it is."""
_ARRAY, _CONSOLIDATED, _FORMAT_2, _FORMAT_3 = ".zarray", ".zmetadata", ".zgroup", "zarr.json"


def open_group(path: str | Path) -> xr.Dataset:
    """Open a Zarr group, its values left on disk until they are used.

    Raises TypeError if ``path`` is no path. Raises FileNotFoundError if there is no Zarr group. Raises ValueError if it
    names a codec other than :data:`CODECS`, or is damaged.
    """
    place = place_of(path)
    if place.read(_FORMAT_2) is None and place.read(_FORMAT_3) is None:
        raise FileNotFoundError(
            f"there is no Zarr store at {place}: expected a folder with {_FORMAT_2} or {_FORMAT_3}."
        )
    require_known_codecs(place)
    ours = place.read(_CONSOLIDATED) is not None
    try:
        store = place.open(read_only=True)
        opened = xr.open_zarr(store, chunks=None, **(OPTIONS if ours else {"consolidated": False}))
        opened.attrs.pop(STORE_KIND, None)
        return opened
    except ConnectionError:
        raise
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise _damaged(place, error) from error


def require_known_codecs(place: Place | Path) -> None:
    """Refuse a group whose arrays name codecs that this package does not write; reads JSON alone.

    A codec is code that is chosen by its name: ``pickle`` runs code from the file, and others are read by libraries
    that were never meant for strangers' files.

    Raises ValueError: naming the array and the codec.
    """
    where = place if isinstance(place, Place) else place_of(place)
    try:
        files = where.metadata((_ARRAY, _CONSOLIDATED, _FORMAT_3))
    except ValueError as error:
        raise _damaged(where, error) from error
    for key, content in files.items():
        for array, codec in _codecs(where, key, content):
            if codec not in CODECS:
                raise ValueError(
                    f"array '{array}' of {where} is stored with the codec {codec!r}, which this package never writes "
                    f"and which may run code when it is read (expected one of {', '.join(sorted(CODECS))}). Ask "
                    "whoever made the store for one with these codecs."
                )


def write_group(dataset: xr.Dataset, path: str | Path, kind: str = "study") -> None:
    """Write a dataset that is in memory as a Zarr group, whole or not at all; one that is there already stays.

    `dataset`: texts are written with a fixed width, so that they are read as they were. `path`: its folders are made.
    `kind`: what it is, for :func:`mllm_probe.cache.list`.
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


def read_json(file: Path) -> JsonObject:
    """Content of one of a group's metadata files.

    Raises ValueError if it is damaged.
    """
    if not file.is_file():  # a named pipe would be waited for without end
        raise _damaged(file, "not a regular file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _damaged(file, error) from error
    return parsed_json(content, file)


def parsed_json(content: bytes, where: object) -> JsonObject:
    """The JSON object that a file holds.

    Raises ValueError if it is damaged.
    """
    try:
        parsed: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, error) from error
    if not isinstance(parsed, dict):
        raise _damaged(where, "not a JSON object")
    return parsed


def _codecs(place: Place, key: str, content: bytes) -> Iterator[tuple[str, Any]]:
    """Array and codec, for every codec that a metadata file names."""
    file = f"{place}/{key}"
    for name, array in _arrays(place, key, parsed_json(content, file)):
        if not isinstance(array, dict):
            raise _damaged(file, f"metadata of {name!r} is not a JSON object")
        named = [array.get("compressor"), *_listed(array.get("filters")), *_listed(array.get("codecs"))]
        for codec in named:
            if codec is not None:
                yield name, codec.get("id", codec.get("name")) if isinstance(codec, dict) else codec


def _arrays(place: Place, key: str, content: JsonObject) -> Iterator[tuple[str, Any]]:
    """Metadata of arrays by name: a file holds one, or those of a whole group."""
    if key.rpartition("/")[2] == _CONSOLIDATED:
        members = content.get("metadata") or {}
        yield from ((key.removesuffix(f"/{_ARRAY}"), members[key]) for key in members if key.endswith(_ARRAY))
        return
    yield key.rpartition("/")[0] or str(place).rpartition("/")[2], content
    yield from ((content.get("consolidated_metadata") or {}).get("metadata") or {}).items()


def _listed(codecs: object) -> list[Any]:
    return codecs if isinstance(codecs, list) else [codecs]


def _damaged(path: object, what: object) -> ValueError:
    return ValueError(
        f"{path} is not a readable Zarr store ({what}): it is damaged or incomplete. Copy it again, or run what made "
        "it once more with another path."
    )
