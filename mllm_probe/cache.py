"""Stores on disk: which ones a folder holds, how large and how finished they are, whether they are whole."""

from __future__ import annotations

import builtins
import datetime
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mllm_probe.activations import store_layout
from mllm_probe.activations.store_layout import FILES, description
from mllm_probe.activations.store_places import as_folder, partial_beside, place_of
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.models.argument_checks import cache_root, described, finite_number
from mllm_probe.typing import JsonObject

COLUMNS = ("path", "kind", "model", "bytes", "finished", "changed")
_OURS = re.compile(
    r"zarr\.json|\.z(group|attrs|metadata)|\.lock|.*\.[0-9a-f]{32}\.partial"
    r"|[^/]+/(zarr\.json|\.z(array|attrs)|c(/?[\d./]*)|[\d.]+|[\w.-]+\.json)"
    rf"|{FILES}/(\w+\.png|\w+\.safetensors)"
)
"""Files of a store, by their path in it."""
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{32}\.partial")
"""Folders in which a process is writing, or deleting, a store."""


@dataclass(frozen=True)
class _StoreEntry:
    """A store, and what its metadata say."""

    path: Path
    kind: str
    model: str
    finished: float

    @property
    def files(self) -> dict[str, os.stat_result]:
        """Its files by their path in it."""
        paths = (Path(folder) / name for folder, _, names in os.walk(self.path) for name in names)
        return {file.relative_to(self.path).as_posix(): file.lstat() for file in paths}

    def row(self) -> dict[str, Any]:
        """Its line of the table."""
        sizes = self.files.values()
        changed = datetime.datetime.fromtimestamp(max((status.st_mtime for status in sizes), default=0.0))
        size = sum(status.st_size for status in sizes)
        values = (str(self.path), self.kind, self.model, size, self.finished, changed.replace(microsecond=0))
        return dict(zip(COLUMNS, values, strict=True))


def list(folder: str | Path | None = None) -> pd.DataFrame:
    """Table of the stores below a folder: captures, sweeps, patches and results of studies that this package wrote.

    Parameters
    ----------
    folder : str or Path, optional
        The package's folder in the user's cache by default.

    Returns
    -------
    pandas.DataFrame
        One row for each store: ``path``; ``kind`` (capture, sweep, patch or study); ``model``; ``bytes`` on the disk;
        ``finished``, the share of its work that is done, 0 … 1; ``changed``, when it was last written. Other files and
        other programs' Zarr groups are not listed.

    Examples
    --------
    >>> mp.cache.list("maps").sort_values("bytes")
    """
    rows = [store.row() for store in _stores(_folder(folder))]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS)).astype({"bytes": "int64", "finished": "float64"})


def size(folder: str | Path | None = None) -> int:
    """Bytes that the stores below a folder take on the disk.

    Parameters
    ----------
    folder : str or Path, optional
        The package's folder in the user's cache by default.
    """
    return int(list(folder)["bytes"].sum())


def prune(
    folder: str | Path | None = None,
    *,
    older_than: float | datetime.timedelta | None = None,
    unfinished: bool = False,
    dry_run: bool = False,
) -> pd.DataFrame:
    """Delete stores below a folder, and say which.

    Parameters
    ----------
    folder : str or Path, optional
        The package's folder in the user's cache by default.
    older_than : float or datetime.timedelta, optional
        Only those that were last written longer ago than this, in days.
    unfinished : bool
        Only those whose work is not finished. With ``older_than``, both must hold.
    dry_run : bool
        Delete nothing.

    Returns
    -------
    pandas.DataFrame
        Rows of :func:`list` for what was deleted, or would be. Only stores that this package wrote are ever deleted,
        and a store in whose folder other files lie is left, with a warning.

    Raises
    ------
    ValueError
        If neither ``older_than`` nor ``unfinished`` says which.

    Examples
    --------
    >>> mp.cache.prune("maps", older_than=30, dry_run=True)
    """
    if older_than is None and not unfinished:
        raise ValueError(
            "prune: say which stores, older_than= (days) or unfinished=True; older_than=0 is all. dry_run=True lists "
            "them and deletes nothing."
        )
    for name, value in {"unfinished": unfinished, "dry_run": dry_run}.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name}: expected True or False; got {described(value)}.")
    table = list(folder)
    chosen = table["finished"] < 1 if unfinished else table["finished"] >= 0
    if older_than is not None:
        days = (datetime.datetime.now() - pd.to_datetime(table["changed"])) / datetime.timedelta(days=1)
        chosen &= days >= _days(older_than)
    table = table[chosen]
    table = table[~table["path"].map(_holds_other_files).astype(bool)].reset_index(drop=True)
    for path in () if dry_run else tuple(table["path"]):
        # Renamed first: what is half deleted is never taken for a store.
        shutil.rmtree(Path(path).rename(partial_beside(Path(path))))
    return table


def check(path: str | Path, *, give_back: bool = True) -> dict[str, str]:
    """Compare everything that a store holds with the checksums that were noted when it was written.

    Parameters
    ----------
    path : str or Path
        A store that fills part by part, such as that of ``capture(store=)``.
    give_back : bool
        Mark damaged parts as not finished, so that the call that made the store computes them, and nothing else, again.

    Returns
    -------
    dict of str to str
        What is wrong with each damaged part; empty if the store is whole.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If there is no such store, or its layout itself is damaged.
    """
    store = UnitStore.open(path)
    return store.mend() if give_back else store.check()


def _folder(folder: str | Path | None) -> Path:
    if folder is None:
        return cache_root()
    given = as_folder(folder)
    if not given.is_dir():
        raise NotADirectoryError(f"there is no folder '{given}' to look for stores in.")
    return given


def _stores(folder: Path) -> Iterator[_StoreEntry]:
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _PARTIAL.fullmatch(name))
        if not {"zarr.json", ".zgroup"}.isdisjoint(files):
            folders.clear()
            if (entry := _described(Path(name))) is not None:
                yield entry


def _described(path: Path) -> _StoreEntry | None:
    """Entry of a Zarr group, None if this package did not write it or its metadata are not readable."""
    try:
        if (described := description(path)) is not None:
            store = UnitStore(place_of(path), described)
            done = len(store.finished()) / len(store.units)
            return _StoreEntry(path, store.kind, str(store.settings.get("model", "")), done)
        attrs = store_layout.read_json(path / ".zattrs") if (path / ".zattrs").is_file() else {}
        return _of_attributes(path, attrs)
    except ValueError:
        return None


def _of_attributes(path: Path, attrs: JsonObject) -> _StoreEntry | None:
    """A group that was written whole, or a sweep of an earlier layout."""
    kind, share = attrs.get(store_layout.STORE_KIND), 1.0
    if "store_settings" in attrs and "store_state" in attrs:
        kind, share = "patch" if '"groups"' in str(attrs["store_settings"]) else "sweep", attrs.get("progress", 0.0)
    if kind is None:
        return None
    model = attrs.get("model", attrs.get("models", ""))
    named = ", ".join(map(str, model)) if isinstance(model, builtins.list) else str(model or "")
    return _StoreEntry(path, str(kind), named, finite_number("progress", share))


def _holds_other_files(path: str) -> bool:
    others = [name for name in _StoreEntry(Path(path), "", "", 1.0).files if not _OURS.fullmatch(name)]
    if others:
        warnings.warn(f"{path} is left: it holds {others[0]!r}, which is no file of a store.", stacklevel=4)
    return bool(others)


def _days(age: float | datetime.timedelta) -> float:
    number = age / datetime.timedelta(days=1) if isinstance(age, datetime.timedelta) else age
    days = finite_number("older_than", number)
    if days < 0:
        raise ValueError(f"older_than: expected 0 days or more; got {days}.")
    return days
