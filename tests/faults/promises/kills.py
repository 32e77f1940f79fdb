"""Processes that are killed while they fill a store, alone or as shards."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults import subject
from tests.faults.children import fill, start
from tests.faults.judging import (
    begun_units,
    ended,
    killed_or_done,
    report_of,
    require_readable,
    require_sound,
    require_whole,
    wait_for_units,
)
from tests.faults.tally import Setting, Tally, promise

STAGES = ("write", "rename", "placed")
TIMED = 3
"""One try in so many is timed by the clock; the others die at a file, which is the same on any machine."""


def _killed(setting: Setting, store: Path, number: int, shard: str | None = None) -> tuple[Path, bool]:
    """Fill a store in a process that dies; where it reports, and whether it died before it was done."""
    dice, report = setting.dice, store.with_suffix(".killed.json")
    if number % TIMED == TIMED - 1:
        process = start(fill, store, report, shard=shard)
        after, pause = dice.randrange(max(setting.whole.units // 3, 1)), dice.random()
        wait_for_units(store, after, lambda: not process.is_alive())
        time.sleep(pause)
        process.kill()
    else:
        of = int(shard.split("/")[1]) if shard else 1
        death = (dice.choice(STAGES), dice.randint(1, max(setting.whole.files // of, 2)))
        process = start(fill, store, report, shard=shard, death=death)
    return report, killed_or_done(process)


def _judged(setting: Setting, tally: Tally, store: Path, killed: Path, shard: str | None = None) -> None:
    """Run again what was killed, and judge what was lost."""
    before = subject.markers(store)
    require_readable(setting, store)
    lost = set(begun_units(killed)) - set(before)
    assert len(lost) <= 1, f"units {sorted(lost)} were begun and are not there"
    tally.lost["units in flight lost"] += len(lost)
    again = store.with_suffix(".again.json")
    ended(start(fill, store, again, shard=shard, like=None if shard else setting.whole.store))
    told = report_of(again)
    assert "error" not in told, told
    repeated = set(begun_units(again)) & set(before)
    tally.lost["finished units computed again"] += len(repeated)
    assert not repeated, f"units {sorted(repeated)} were finished and were computed again"
    if shard is None:
        assert told["progress"] == 1 and told["equal"], f"the grid differs: {told}"
        require_whole(setting, store, before)


@promise("one process, SIGKILL at a random moment, run again: bit for bit equal", short=0, quick=4, full=20)
def killed_alone(setting: Setting, tally: Tally, tries: int) -> None:
    """At a seeded file that is being written, or some time after a seeded unit."""
    for number in range(tries):
        store = setting.folder / f"{number}.zarr"
        with tally.attempt(f"kill {number}"):
            killed, died = _killed(setting, store, number)
            tally.lost["kills"] += died
            _judged(setting, tally, store, killed)
            if number == 0:
                require_sound(setting, store)


@promise("one of three shards, SIGKILL, that shard run again: bit for bit equal", short=0, quick=2, full=20)
def killed_shard(setting: Setting, tally: Tally, tries: int) -> None:
    """The two others run at the same time and are left alone."""
    for number in range(tries):
        store, victim = setting.folder / f"{number}.zarr", setting.dice.randint(1, 3)
        shards = {k: f"{k}/3" for k in (1, 2, 3)}
        with tally.attempt(f"kill {number}, shard {victim}"):
            others = [
                start(fill, store, store.with_suffix(f".{k}.json"), shard=shards[k]) for k in shards if k != victim
            ]
            killed, died = _killed(setting, store, number, shards[victim])
            tally.lost["kills"] += died
            for process in others:
                ended(process)
            _judged(setting, tally, store, killed, shards[victim])
            require_whole(setting, store)
