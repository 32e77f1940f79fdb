"""Layout of a store that fills unit by unit: arrays, coordinates and settings, written once and never changed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec

from mllm_probe.activations import zarr_groups
from mllm_probe.activations.store_keys import every_key, read_keys, write_new_key
from mllm_probe.activations.store_places import Place, place_of
from mllm_probe.activations.unit_markers import LAYOUT, MARKERS, checksum, marker_key, require_names, sealed
from mllm_probe.models.argument_checks import described as described_value
from mllm_probe.typing import JsonObject

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
        fits = isinstance(value, kind) and (kind is not list or all(isinstance(one, str) for one in list(value)))
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
    attributes = zarr_groups.parsed_json(content, f"{place}/{_ROOT}").get("attributes")
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
    texts = {name: one.astype(object) for name, one in dataset.variables.items() if one.dtype.kind in "UT"}
    return dataset.assign_coords({n: v for n, v in texts.items() if n in dataset.coords}).assign(
        {n: v for n, v in texts.items() if n not in dataset.coords}
    )


def _first_value(variable: xr.DataArray) -> Any:
    return variable.isel(dict.fromkeys(variable.dims, 0)).values.item()
