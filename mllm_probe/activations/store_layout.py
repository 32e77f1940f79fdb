"""Layout of a store: arrays, coordinates and settings, written once, compared by field, read with known codecs."""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec

from mllm_probe.activations.store_places import (
    LAYOUT,
    MARKERS,
    Place,
    as_folder,
    checksum,
    every_key,
    marker_key,
    partial_beside,
    place_of,
    read_keys,
    require_names,
    sealed,
    write_new_key,
)
from mllm_probe.models.argument_checks import described as described_value
from mllm_probe.models.argument_checks import shortened
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
    require_safe_arrays(place)
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


def require_safe_arrays(place: Place | Path) -> None:
    """Refuse a group whose arrays name codecs that this package does not write, or chunks of no length.

    Reads JSON alone. A codec is code that is chosen by its name: ``pickle`` runs code from the file, and others are
    read by libraries that were never meant for strangers' files. Chunks of no length are read by some releases of Zarr
    as if they had one element.

    Raises ValueError: naming the array, and the codec or the chunks.
    """
    where = place if isinstance(place, Place) else place_of(place)
    try:
        files = where.metadata((_ARRAY, _CONSOLIDATED, _FORMAT_3))
    except ValueError as error:
        raise _damaged(where, error) from error
    for key, content in files.items():
        for name, array in _arrays(where, key, parsed_json(content, f"{where}/{key}")):
            if not isinstance(array, dict):
                raise _damaged(f"{where}/{key}", f"metadata of {name!r} is not a JSON object")
            for codec in _codecs(array):
                if codec not in CODECS:
                    raise ValueError(
                        f"array '{name}' of {where} is stored with the codec {codec!r}, which this package never "
                        f"writes and which may run code when it is read (expected one of {', '.join(sorted(CODECS))}). "
                        "Ask whoever made the store for one with these codecs."
                    )
            if 0 in (chunks := _chunk_shape(array)):
                raise _damaged(where, f"chunks of {name!r} are {chunks}")


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
    texts = {
        name: variable for name, variable in dataset.variables.items() if variable.dtype.kind in "OT" and variable.size
    }
    plain = {
        name: (variable.dims, np.array(variable.values.tolist(), dtype=str), variable.attrs)
        for name, variable in texts.items()
    }
    coordinates = {name: variable for name, variable in plain.items() if name in dataset.coords}
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


def _codecs(array: JsonObject) -> list[Any]:
    """Names of the codecs in an array's metadata."""
    described = (array.get("compressor"), *_as_list(array.get("filters")), *_as_list(array.get("codecs")))
    return [one.get("id", one.get("name")) if isinstance(one, dict) else one for one in described if one is not None]


def _chunk_shape(array: JsonObject) -> list[Any]:
    """Lengths of an array's chunks in either format; none where Zarr itself will refuse what stands there."""
    grid = array.get("chunk_grid")
    settings = grid.get("configuration") if isinstance(grid, dict) else None
    return _as_list(settings.get("chunk_shape") if isinstance(settings, dict) else array.get("chunks"))


def _arrays(place: Place, key: str, content: JsonObject) -> Iterator[tuple[str, Any]]:
    """Metadata of arrays by name: a file holds one, or those of a whole group."""
    if key.rpartition("/")[2] == _CONSOLIDATED:
        members = content.get("metadata") or {}
        yield from ((key.removesuffix(f"/{_ARRAY}"), members[key]) for key in members if key.endswith(_ARRAY))
        return
    yield key.rpartition("/")[0] or str(place).rpartition("/")[2], content
    yield from ((content.get("consolidated_metadata") or {}).get("metadata") or {}).items()


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _damaged(path: object, what: object) -> ValueError:
    return ValueError(
        f"{path} is not a readable Zarr store ({what}): it is damaged or incomplete. Copy it again, or run what made "
        "it once more with another path."
    )


BOOKKEEPING = "mllm_probe_store"
"""Attribute of the group that holds a store's kind, its settings, its units and the version of this layout."""
VERSION = 1
FILES = "inputs"
"""Group that holds no arrays, but what the store was begun with, as files."""
_ROOT = "zarr.json"
_DESCRIBED: dict[str, Any] = {"kind": str, "settings": dict, "plan": dict, "units": list, "variables": list}
"""What the bookkeeping holds beside its version; the lists are of texts."""
_LEVEL = 3
_ON_DISK: Any = {"name": "default", "configuration": {"separator": "."}}
"""One folder for each array, none within it."""


def description(place: Place | Path) -> JsonObject | None:
    """Kind, settings and units of the store at a place; None if there is something else."""
    where = place if isinstance(place, Place) else place_of(place)
    content = where.read(_ROOT)
    if content is None:
        return None
    described = _attributes(content, where).get(BOOKKEEPING)
    if not isinstance(described, dict):
        return None
    lacking = {"version", *_DESCRIBED} - set(described)
    if lacking or described["version"] != VERSION:
        raise ValueError(
            f"the store {where} has a layout of version {described.get('version')}, not {VERSION}: read it with the "
            "release of mllm_probe that wrote it, or give a new path."
        )
    for name, kind in _DESCRIBED.items():
        value = described[name]
        fits = isinstance(value, kind) and (kind is not list or all(isinstance(item, str) for item in list(value)))
        if not fits:
            raise ValueError(
                f"the layout of the store {where} is damaged ({name} is {described_value(value)}): copy it again, or "
                "give a new path."
            )
    require_names(described["units"])
    return described


def attributes_of(place: Place) -> JsonObject:
    """Attributes of the dataset in a store, without what the store notes for itself."""
    attributes = _attributes(place.read(_ROOT) or b"", place)
    return {name: value for name, value in attributes.items() if name != BOOKKEEPING}


def _attributes(content: bytes, place: Place) -> JsonObject:
    """Attributes of a group; none where something else is in their place."""
    attributes = parsed_json(content, f"{place}/{_ROOT}").get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def write_layout(
    store: Store, template: xr.Dataset, chunks: Mapping[str, Sequence[int]], described: JsonObject
) -> None:
    """Write the arrays of a template, empty where units fill them, and the marker of the layout."""
    codecs = [ZstdCodec(level=_LEVEL), Crc32cCodec()]
    fixed = _with_any_length(template.drop_vars(list(chunks)))
    encoding = {str(name): {"compressors": codecs} for name in fixed.variables}
    fixed.drop_encoding().to_zarr(store, zarr_format=3, consolidated=False, encoding=encoding)
    group = zarr.open_group(store, mode="r+", zarr_format=3, use_consolidated=False)
    for name, shape in chunks.items():
        variable = template[name]
        group.create_array(
            name,
            shape=variable.shape,
            chunks=tuple(shape),
            dtype=str if variable.dtype.kind in "OUT" else variable.dtype,
            fill_value=_first_value(variable),
            compressors=codecs,
            dimension_names=[str(dim) for dim in variable.dims],
            attributes=dict(variable.attrs),
            chunk_key_encoding=_ON_DISK,
        )
    group.update_attributes({BOOKKEEPING: described})
    group.create_group(MARKERS)
    group.create_group(FILES)  # readers warn of folders that are none
    with warnings.catch_warnings():
        # Readers that do not know consolidated metadata pass over it, and those that look for it warn without. It
        # cannot become stale: the layout never changes.
        warnings.filterwarnings("ignore", ".*[Cc]onsolidated metadata.*")
        zarr.consolidate_metadata(store, zarr_format=3)
    keys = every_key(store)
    noted = {key: checksum(content or b"") for key, content in zip(keys, read_keys(store, keys), strict=True)}
    write_new_key(store, marker_key(LAYOUT), sealed({"unit": LAYOUT, "chunks": noted}))


def _with_any_length(dataset: xr.Dataset) -> xr.Dataset:
    """Texts as objects: those of a fixed width are not in the specification of format 3, and writing them warns."""
    texts = {
        name: variable.astype(object) for name, variable in dataset.variables.items() if variable.dtype.kind in "UT"
    }
    return dataset.assign_coords({n: v for n, v in texts.items() if n in dataset.coords}).assign(
        {n: v for n, v in texts.items() if n not in dataset.coords}
    )


def _first_value(variable: xr.DataArray) -> Any:
    return variable.isel(dict.fromkeys(variable.dims, 0)).values.item()


_SHOWN = 200


def require_same(stored: JsonObject, asked: JsonObject, where: str, what: str = "sweep") -> None:
    """Raise a ValueError that names every field in which a store differs from what is asked for, with both values.

    `stored`, `asked`: settings by name. Weights decide: the same ones under another name of the model are the same
    settings. `where`: path of the store. `what`: kind of what it holds.
    """
    fields = dict.fromkeys([*asked, *stored])
    different = [name for name in fields if stored.get(name) != asked.get(name)]
    if different == ["model"]:  # the same weights under another name
        return
    if different:
        lines = [
            f"{name}: stored {_shown(stored.get(name))}, asked for {_shown(asked.get(name))}" for name in different
        ]
        raise ValueError(
            f"the store {where} holds a {what} with other settings ({'; '.join(lines)}). Give these settings to go on "
            f"with it, or another path for a new {what}."
        )


def _shown(value: object) -> str:
    return shortened(repr(value), _SHOWN)
