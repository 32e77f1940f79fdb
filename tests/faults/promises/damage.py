"""Stores whose chunks or markers were deleted, cut short or changed."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mllm_probe import sweeps
from mllm_probe.cli import main
from mllm_probe.cli.commands_common import CHECK_FAILED, INCOMPLETE
from tests.faults import subject
from tests.faults.judging import copied, require_whole
from tests.faults.tally import Setting, Tally, promise


def _cut(content: bytes, place: int) -> bytes:
    return content[: place % len(content)]


def _flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place % len(content)] ^= 1 << place % 8
    return bytes(changed)


KINDS: dict[str, Callable[[bytes, int], bytes | None]] = {
    "deleted": lambda content, place: None,
    "cut short": _cut,
    "flipped": _flipped,
    "emptied": lambda content, place: b"",
}


def _targets(setting: Setting, tries: int) -> list[str]:
    """Files to damage, by their path in the store: of every variable in turn, and every fourth a marker."""
    by_variable: dict[str, list[str]] = {}
    for name in setting.whole.contents:
        variable, _, chunk = name.partition("/")
        if chunk.startswith("c.") and variable != "inputs":
            by_variable.setdefault(variable, []).append(name)
    markers = [f"unit_markers/{unit}.json" for unit in sorted(setting.whole.markers)]
    variables = sorted(by_variable)
    setting.dice.shuffle(variables)
    pools = [markers if n % 4 == 3 else by_variable[variables[n % len(variables)]] for n in range(tries)]
    return [setting.dice.choice(pool) for pool in pools]


@promise("a chunk or marker deleted, cut short or changed is told, found and mended", short=3, quick=12, full=64)
def damaged(setting: Setting, tally: Tally, tries: int) -> None:
    """All variables in turn; reading raises, or the store says that the unit is missing: never other numbers."""
    store = copied(setting, "grid.zarr")
    kinds = list(KINDS)
    for name in _targets(setting, tries):
        kind = kinds[setting.dice.randrange(len(kinds))]
        with tally.attempt(f"{name} {kind}"):
            _tried(setting, tally, store, name, kind)


def _tried(setting: Setting, tally: Tally, store: Path, name: str, kind: str) -> None:
    file, before = store / name, subject.markers(store)
    content = file.read_bytes()
    changed = KINDS[kind](content, setting.dice.randrange(1, 1 << 30))
    if changed is None:
        file.unlink()
    else:
        file.write_bytes(changed)
    told = _reading(setting, store)
    tally.lost[told] += 1
    status = io.StringIO()
    with contextlib.redirect_stdout(status):
        ended = main(["status", str(store), "--check"])
    marker_gone = name.startswith("unit_markers/") and kind == "deleted"
    said = status.getvalue()
    assert ended == (INCOMPLETE if marker_gone else CHECK_FAILED), f"status --check ended with {ended}: {said}"
    assert str(store) in said
    grid = subject.sweep_into(store)
    assert grid.attrs["progress"] == 1
    redone = [unit for unit, marker in subject.markers(store).items() if marker != before[unit]]
    assert len(redone) <= 1, f"units {redone} were computed again"
    require_whole(setting, store)


def _reading(setting: Setting, store: Path) -> str:
    """What reading a damaged store says; an AssertionError where it gives numbers that were not computed."""
    try:
        progress = sweeps.read_progress(store)
        grid = sweeps.open_grid(store).load()
    except ValueError as error:
        text = str(error)
        assert str(store) in text and "mp.cache.check" in text, f"the error does not say what to do: {text}"
        return "told when read"
    whole = sweeps.open_grid(setting.whole.store).load()
    assert not progress.finished, "silent: the store is finished, and reading it said nothing"
    there = grid.done.values
    for variable in ("logprob", "perplexity"):
        np.testing.assert_array_equal(grid[variable].values[there], whole[variable].values[there])
    return "told as unfinished"
