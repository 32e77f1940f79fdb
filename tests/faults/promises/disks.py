"""Disks that are full, and folders that may not be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults import subject
from tests.faults.children import fill, start
from tests.faults.judging import (
    begun_units,
    copied,
    ended,
    half_of,
    report_of,
    require_error,
    require_readable,
    require_whole,
)
from tests.faults.tally import Setting, Tally, promise

PAGE = 4096


@contextmanager
def mounted(target: Path, *options: str) -> Iterator[None]:
    """Mount something for a while; raise an AssertionError where this is refused."""
    target.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(target)], capture_output=True, text=True)
    assert done.returncode == 0, f"mounting is refused here, which this try needs: {done.stderr.strip()}"
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


def _goes_on(setting: Setting, tally: Tally, store: Path, first: Path) -> None:
    """Judge what a full disk left, and run again."""
    require_error(report_of(first), ("OSError",), f"the store {store} could not be written", "make room")
    require_readable(setting, store)
    before = subject.markers(store) if store.exists() else {}
    lost = set(begun_units(first)) - set(before)
    assert len(lost) <= 1, f"units {sorted(lost)} were begun and are not there"
    tally.lost["units in flight lost"] += len(lost)


def _finished(setting: Setting, store: Path, report: Path) -> None:
    before = subject.markers(store)
    ended(start(fill, store, report))
    told = report_of(report)
    assert told.get("progress") == 1, told
    require_whole(setting, store, before)


@promise("a small tmpfs runs full: told what to do, readable; with more room equal", short=0, quick=2, full=6)
def disk_full(setting: Setting, tally: Tally, tries: int) -> None:
    """Of seeded sizes, from too small for the layout to too small for the last unit."""
    for number in range(tries):
        disk = setting.folder / f"disk-{number}"
        store, first = disk / "grid.zarr", setting.folder / f"{number}.first.json"
        pages = int(setting.whole.files * setting.dice.uniform(0.1, 0.9))
        with tally.attempt(f"{pages} pages"), mounted(disk, "-t", "tmpfs", "-o", f"size={pages * PAGE}", "none"):
            ended(start(fill, store, first))
            _goes_on(setting, tally, store, first)
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            _finished(setting, store, setting.folder / f"{number}.second.json")


@promise("writing fails for lack of space from a seeded file on: as on a full disk", short=1, quick=3, full=10)
def writing_fails(setting: Setting, tally: Tally, tries: int) -> None:
    """Needs no right to mount."""
    for number in range(tries):
        store, first = setting.folder / f"{number}.zarr", setting.folder / f"{number}.first.json"
        file = setting.dice.randint(1, setting.whole.files - 5)
        with tally.attempt(f"file {file}"):
            ended(start(fill, store, first, full_at=file))
            _goes_on(setting, tally, store, first)
            _finished(setting, store, setting.folder / f"{number}.second.json")


@contextmanager
def _by_rights(folder: Path) -> Iterator[None]:
    """Take the right to write away from everyone; root, who needs none, has to become somebody else."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)


@contextmanager
def _by_mount(folder: Path) -> Iterator[None]:
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


CASES = ("finished", "unfinished", "new")


@promise("read-only: a finished store is read back, others are refused by name", short=3, quick=6, full=6)
def read_only(setting: Setting, tally: Tally, tries: int) -> None:
    """By rights, and where the user is root by a read-only mount too."""
    ways = [("rights", _by_rights), *([("mount", _by_mount)] if os.geteuid() == 0 else [])]
    for way, locked in ways[: max(tries // len(CASES), 1)]:
        reports = setting.folder / f"reports-{way}"
        reports.mkdir()
        reports.chmod(0o777)
        for case in CASES:
            folder = setting.folder / f"{way}-{case}"
            folder.mkdir()
            name = f"{way}-{case}/grid.zarr"
            {"finished": copied, "unfinished": half_of}.get(case, lambda *_: None)(setting, name)
            store, report = setting.folder / name, reports / f"{case}.json"
            with tally.attempt(f"{case} by {way}"):
                with locked(folder):
                    like = setting.whole.store if case == "finished" else None
                    ended(start(fill, store, report, like=like, nobody=way == "rights" and os.geteuid() == 0))
                _judge_read_only(case, report_of(report), store, begun_units(report))
                if case == "unfinished":
                    _finished(setting, store, reports / "again.json")


def _judge_read_only(case: str, told: dict[str, Any], store: Path, begun: list[str]) -> None:
    if case == "finished":
        assert told.get("progress") == 1 and told["equal"] and not begun, f"{told}, began {begun}"
        return
    require_error(told, ("PermissionError", "OSError"), f"the store {store} could not be written", "right to write")
    assert store.exists() == (case == "unfinished")
