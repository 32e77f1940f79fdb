"""Works off the units of a store that are missing, beside whoever else does, without locks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    """A unit, as the store knows it."""

    @property
    def name(self) -> str:
        """Its name in the store."""

    @property
    def part(self) -> int:
        """Units of one part may be run in any order; those of an earlier part come first."""


OneUnit = TypeVar("OneUnit", bound=Named)


def work_off(
    missing: Sequence[OneUnit],
    *,
    finished: Callable[[], set[str]],
    run: Callable[[OneUnit], Iterator[int]],
    load: Callable[[OneUnit], int],
    stopped: Callable[[], bool],
    in_order: bool,
) -> Iterator[int]:
    """Run units until none is missing; what others finish meanwhile is read.

    A unit gives the same bytes whoever computes it, so that two processes that meet on one only waste its time. A
    process that sees others at work takes any unit of the earliest part that has some left, so that they rarely meet.

    `finished`: names of the units that anyone has finished.
    `run`: runs a unit and writes it; yields the runs of each step.
    `load`: reads a unit that somebody else finished, and returns its runs.
    `stopped`: whether to end; a unit that was stopped in the middle is not written.
    `in_order`: keep to the order whoever else is at work: where units are shared out by arithmetic.

    Yields: runs of each step.
    """
    # Not seeded: processes that start alike have to choose differently.
    left, chance, others = list(missing), random.Random(), False
    while left and not stopped():
        there = finished()
        for unit in [unit for unit in left if unit.name in there]:
            others = True
            left.remove(unit)
            yield load(unit)
        if not left:
            return
        first = [unit for unit in left if unit.part == left[0].part]
        unit = chance.choice(first) if others and not in_order else left[0]
        yield from run(unit)
        if not stopped():
            left.remove(unit)


def then_saved(steps: Iterable[int], save: Callable[[], object], stopped: Callable[[], bool]) -> Iterator[int]:
    """Steps of a unit, the last of which is told when it is on the disk: whoever stops then has it all.

    `steps`: runs of each step. `save`: writes the unit; not called where it was stopped in the middle.
    """
    last = 0
    for ran in steps:
        if last:
            yield last
        last = ran
    if not stopped():
        save()
        yield last
