"""Whether a store is the one that was filled without a break, and what a run did to it."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import xarray as xr

from mllm_probe.sweeps import read_progress, store_status
from tests.faults import subject
from tests.faults.tally import Setting

PATIENCE = 900.0
"""Seconds after which what a try waits for will not come."""


def ended(process: BaseProcess, *, by: int = 0) -> None:
    """Wait for a process; raise an AssertionError unless it ends with this exit code."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"a process did not end within {PATIENCE:.0f} s")
    assert process.exitcode == by, f"a process ended with {process.exitcode}, not {by}"


def killed_or_done(process: BaseProcess) -> bool:
    """Wait for a process that is to kill itself; whether it did before its work was done."""
    process.join(PATIENCE)
    assert process.exitcode in (0, -signal.SIGKILL), f"a process ended with {process.exitcode}"
    return process.exitcode != 0


def wait_for(there: Callable[[], object], what: str) -> None:
    """Look again and again."""
    until = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < until, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.01)


def wait_for_units(store: Path, number: int, over: Callable[[], bool]) -> None:
    """Wait until a store has so many finished units, or what fills it is over."""
    wait_for(lambda: len(subject.markers(store)) >= number or over(), "finished units")


def report_of(file: Path) -> dict[str, Any]:
    """What a process reported."""
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def begun_units(report: Path) -> list[str]:
    """Names of the units that a process began, in their order."""
    notes = report.with_suffix(".began")
    return notes.read_text().split() if notes.exists() else []


def require_whole(setting: Setting, store: Path, before: Mapping[str, bytes] | None = None) -> None:
    """Raise an AssertionError unless a store equals the uninterrupted one and kept the markers it had before."""
    found, expected = subject.contents(store), setting.whole.contents
    differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    assert not differing, f"{len(differing)} files differ, {differing[0]} the first"
    markers = subject.markers(store)
    assert markers.keys() == setting.whole.markers.keys(), f"{len(markers)} units of {setting.whole.units} are done"
    again = [name for name, marker in (before or {}).items() if markers[name] != marker]
    assert not again, f"units {again} were finished and were written again"


def require_sound(setting: Setting, store: Path) -> None:
    """Raise an AssertionError unless a store is finished, by all that the package says, and reads back equal."""
    status = store_status(store, check=True)
    assert status.progress.finished and not status.damaged, str(status)
    stores = [xr.open_zarr(one).load().drop_attrs() for one in (store, setting.whole.store)]
    xr.testing.assert_identical(*stores)


def require_readable(setting: Setting, store: Path) -> None:
    """Raise an AssertionError unless what a store says is done is there, as it is in the uninterrupted one."""
    if not store.exists():
        return
    markers, expected = subject.markers(store), setting.whole.contents
    progress = read_progress(store)
    assert progress.units_done == len(markers)
    with_marker = [json.loads(content)["chunks"] for content in markers.values()]
    wrong = [key for chunks in with_marker for key in chunks if (store / key).read_bytes() != expected[key]]
    assert not wrong, f"{wrong[0]} of a finished unit differs"
    xr.open_zarr(store).load()


def require_error(told: Mapping[str, Any], kinds: tuple[str, ...], *words: str) -> None:
    """Raise an AssertionError unless a process reported an error of one of these kinds that says these words."""
    assert told.get("error") in kinds, f"expected {' or '.join(kinds)}, got {told}"
    lacking = [word for word in words if word not in told["text"]]
    assert not lacking, f"the error does not say {lacking}: {told['text']}"


def copied(setting: Setting, name: str) -> Path:
    """A copy of the uninterrupted store."""
    store = setting.folder / name
    shutil.copytree(setting.whole.store, store)
    return store


def half_of(setting: Setting, name: str) -> Path:
    """A copy of the uninterrupted store that lacks its later units."""
    store = copied(setting, name)
    for unit in sorted(setting.whole.markers)[setting.whole.units // 2 :]:
        marker = store / "unit_markers" / f"{unit}.json"
        for key in json.loads(marker.read_text())["chunks"]:
            (store / key).unlink()
        marker.unlink()
    return store
