"""Work units of a stored sweep: how it is divided, and which are missing, beside other processes without locks.

The arrays are cut along the borders of the units: neighbouring layers, one strength, four draws of every control, some
images. In a store the images of the coarse map come first, so that they are chunks of their own. A unit is run in
batches whose rows follow from the settings alone: it gives the same whoever computes it, whenever, and however often,
and how many batches make a unit changes no number.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Protocol, TypeVar

import numpy as np

from mllm_probe import schema
from mllm_probe.sweeps.cells import COARSE_DRAWS, CONCEPTS, Axes, Block, Cell, coarse_map

UNSTEERED = 16
"""Images whose unsteered runs go through the model together."""
_CHUNK_BYTES = 1 << 26
_SPLIT = (schema.CONCEPT, schema.READ_LAYER, schema.TOKEN)
"""Dimensions that are cut further where a chunk would be too large: no unit's border lies along them."""

Span = tuple[int, int]
"""The first place, and the one after the last."""
Borders = tuple[Span, Span, tuple[int, ...], int]
"""Spans of images and of layers, strengths, and the number of the block of draws."""
Region = Mapping[str, Span]
"""Span of some dimensions; all of those that are not named. Images are counted in the order of the store."""


@dataclass(frozen=True)
class Layout:
    """Sizes of units: a few numbers, kept in the store of a sweep, from which every process makes the same units.

    `rows`: most runs that go through the model together. `batch_layers`, `batch_samples`: layers and images whose runs
    may go through the model together. `layers`, `samples`: layers and images of a unit: multiples of these, or all.
    Fewer images than ``UNSTEERED`` are a power of two, more are a multiple of it.
    """

    rows: int
    batch_layers: int
    batch_samples: int
    layers: int
    samples: int


@dataclass(frozen=True)
class Unit:
    """Runs that are finished as a whole: steered runs of some layers and images, or these images' unsteered runs.

    `part`: units of one part may be run in any order; those of an earlier part come first.
    `samples`: in the order of the store.
    `strengths`: one, or two whose runs are partly the same; none for the unsteered runs.
    `draws`: number of the block of draws.
    """

    number: int
    part: int
    samples: Span
    layers: Span = (0, 0)
    strengths: tuple[int, ...] = ()
    draws: int = 0

    @property
    def name(self) -> str:
        """Under which a store knows it."""
        return f"{self.number:06d}"

    @property
    def unsteered(self) -> bool:
        """Whether it is the unsteered runs of its images."""
        return not self.strengths


@dataclass(frozen=True)
class UnitBatch:
    """Runs of a unit that may go through the model together.

    `borders`: the same runs, whatever the size of the unit. `cells`: layer by layer, each with the places that it fills
    inside the unit alone. `blocks`: of each image; their numbers are places in ``cells``.
    """

    borders: Borders
    cells: list[Cell]
    blocks: list[Block]


class Units:
    """All units of a sweep, in the order of its runs.

    `cells`: steered runs of each image. `skipped` (bool array [cells, samples]): runs that no concept needs. `order`:
    images in the order of the store: those of the coarse map first.
    """

    def __init__(self, axes: Axes, cells: Sequence[Cell], skipped: np.ndarray, layout: Layout) -> None:
        self.axes, self.layout = axes, layout
        self._cells, self._skipped = cells, skipped
        self._runs = lru_cache(maxsize=None)(self._restricted)
        count = skipped.shape[1]
        self._coarse = coarse_map(axes, cells, count)
        chosen = self._coarse.samples if cells else []
        self.order = [*chosen, *(sample for sample in range(count) if sample not in set(chosen))]
        # Rounded up to a unit's border, so that no unit holds images of the coarse map and of what follows it.
        self._first = min(math.ceil(len(chosen) / layout.samples) * layout.samples, count)

    @cached_property
    def all(self) -> list[Unit]:
        """The unsteered runs first, which say what counts; then coarse to fine."""
        size = max(UNSTEERED, self.layout.samples)
        unsteered = [Unit(0, 0, some) for some in _cut((0, len(self.order)), size)]
        units = [*unsteered, *(unit for part in range(len(self._parts)) for unit in self._of_part(part))]
        units = [unit for unit in units if unit.unsteered or self.count(unit)]
        return [replace(unit, number=number) for number, unit in enumerate(units)]

    def batches(self, unit: Unit, *, by_layer: bool) -> Iterator[UnitBatch]:
        """Batches of a unit; ``by_layer``: layer by layer, where runs share the layers below the edited one.

        An edit that serves several units is a run of each: what a unit gives does not hang on another one.
        """
        for samples in _cut(unit.samples, self.layout.batch_samples):
            for layers in _cut(unit.layers, self.layout.batch_layers):
                numbers, cells = self._runs(layers, unit.strengths, unit.draws)
                blocks = []
                for sample in self.order[slice(*samples)]:
                    wanted = np.flatnonzero(~self._skipped[numbers, sample]).tolist()
                    for layer in range(*layers) if by_layer else [None]:
                        here = [n for n in wanted if layer is None or cells[n].layer == layer]
                        blocks += [Block(sample, tuple(here))] if here else []
                yield UnitBatch((samples, layers, unit.strengths, unit.draws), cells, blocks)

    def together(self, unit: Unit) -> Iterator[list[int]]:
        """Images of a unit whose unsteered runs may go through the model together."""
        for samples in _cut(unit.samples, UNSTEERED):
            yield self.order[slice(*samples)]

    def count(self, unit: Unit) -> int:
        """Steered runs of a unit."""
        if unit.unsteered:
            return 0
        numbers, _ = self._runs(unit.layers, unit.strengths, unit.draws)
        return int((~self._skipped[np.ix_(numbers, np.array(self.order[slice(*unit.samples)]))]).sum())

    def size(self, layers: Span, strengths: tuple[int, ...], draws: int) -> int:
        """Steered runs of some layers on the image that has most: those of a library lack many."""
        numbers, _ = self._runs(layers, strengths, draws)
        return int((~self._skipped[numbers]).sum(0).max(initial=0))

    @cached_property
    def together_strengths(self) -> list[tuple[int, ...]]:
        """Strengths that are run together: opposite ones that share runs, else each alone; nearest to 1 first."""
        # A run that serves two strengths (draw 2j at s is draw 2j + 1 at −s) writes into the chunks of both: in two
        # units each of them would write a part of the other's chunk.
        partner: dict[int, int] = {}
        for cell in self._cells:
            for *_, strength in cell.places:
                if strength != cell.strength:
                    partner[cell.strength], partner[strength] = strength, cell.strength
        order, groups = self._coarse.strengths, dict[int, list[int]]()
        for place in order:
            first = min(place, partner.get(place, place), key=order.index)
            groups.setdefault(first, []).append(place)
        return [tuple(together) for together in groups.values()]

    def regions(self, unit: Unit, dims: Sequence[str]) -> Iterator[Region]:
        """Where a unit writes into an array with these dimensions: whole chunks, which are no other unit's."""
        by_cell, here = schema.LAYER in dims, {schema.SAMPLE: unit.samples}
        if unit.unsteered:
            if by_cell:
                zero = [place for place, strength in enumerate(self.axes.strengths) if strength == 0]
                yield from ({**here, schema.STRENGTH: (place, place + 1)} for place in zero)
            elif schema.SAMPLE in dims:
                yield here
        elif by_cell:
            for strength in unit.strengths:
                cut = {**here, schema.LAYER: unit.layers, schema.STRENGTH: (strength, strength + 1)}
                yield from ({**cut, **draws} for draws in self._draws(unit.draws, dims))

    def chunks(self, dims: Sequence[str], shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
        """Shape of the chunks of an array: along the borders of the units, and smaller where that is too large.

        `itemsize`: bytes of an element.
        """
        # A chunk must not lie in two units: its borders are theirs or finer, never coarser.
        borders = {schema.SAMPLE: self.layout.samples}
        if schema.LAYER in dims:
            borders |= {
                schema.STRENGTH: 1,
                schema.LAYER: self.layout.layers,
                schema.DRAW: COARSE_DRAWS,
                schema.CONTROL: 1 if self._apart else len(self.axes.controls),
            }
        sizes = {dim: max(1, min(borders.get(dim, size), size)) for dim, size in zip(dims, shape, strict=True)}
        for dim in _SPLIT:
            if dim in sizes:
                others = itemsize * math.prod(sizes.values()) // sizes[dim]
                sizes[dim] = min(max(_CHUNK_BYTES // max(others, 1), 1), sizes[dim])
        return tuple(sizes.values())

    @property
    def _apart(self) -> bool:
        """Whether controls have chunks of their own: all draws of other concepts come with the concepts' own runs."""
        return CONCEPTS in self.axes.controls

    def _draws(self, block: int, dims: Sequence[str]) -> Iterator[Region]:
        """Spans of draws and controls that a unit of this block of draws fills."""
        if schema.DRAW not in dims:
            # One value for each concept, which its own run gives: that is among the first draws.
            yield from [{}] * (block == 0)
            return
        block_draws = {schema.DRAW: (block * COARSE_DRAWS, min((block + 1) * COARSE_DRAWS, self.axes.draws))}
        if not self._apart or schema.CONTROL not in dims:
            yield block_draws
            return
        for place, control in enumerate(self.axes.controls):
            apart = {schema.CONTROL: (place, place + 1)}
            if control != CONCEPTS:
                yield {**block_draws, **apart}
            elif block == 0:
                yield {schema.DRAW: (0, self.axes.draws), **apart}

    @cached_property
    def _parts(self) -> list[tuple[Span, list[Span], list[tuple[int, ...]], list[int]]]:
        """Images, blocks of layers, strengths and blocks of draws, coarse to fine."""
        axes, count = self.axes, len(self.order)
        if not self._cells:
            return []
        every = _cut((0, len(axes.layers)), self.layout.layers)
        inside = [block for block in every if set(self._coarse.layers).intersection(range(*block))]
        between = [block for block in every if block not in inside]
        nearest, others = self.together_strengths[:1], self.together_strengths[1:]
        blocks = list(range(1, math.ceil(axes.draws / COARSE_DRAWS)))
        first, later, whole = (0, self._first), (self._first, count), (0, count)
        return [
            (first, inside, nearest, [0]),
            (first, between, nearest, [0]),
            (later, every, nearest, [0]),
            (whole, every, others, [0]),
            (whole, every, self.together_strengths, blocks),
        ]

    def _of_part(self, part: int) -> Iterator[Unit]:
        span, layers, strengths, draws = self._parts[part]
        samples = _cut(span, self.layout.samples)
        for some in samples:
            for draw in draws:
                for together in strengths:
                    yield from (Unit(0, 1 + part, some, block, together, draw) for block in layers)

    def _restricted(self, layers: Span, strengths: tuple[int, ...], draws: int) -> tuple[np.ndarray, list[Cell]]:
        """Numbers of the runs of some layers, and the runs, with the places in a block of draws that they fill."""
        restricted = []
        for number, cell in enumerate(self._cells):
            if cell.strength in strengths and layers[0] <= cell.layer < layers[1]:
                inside = tuple(place for place in cell.places if _block_of(place[0], place[2]) == draws)
                if inside:
                    restricted.append((number, replace(cell, places=inside)))
        restricted.sort(key=lambda numbered: numbered[1].layer)
        return np.array([number for number, _ in restricted], np.int64), [cell for _, cell in restricted]


def _block_of(control: str, draw: int) -> int:
    """Block of draws in which a place of the grid is run."""
    return 0 if control == CONCEPTS else draw // COARSE_DRAWS


def _cut(span: Span, size: int) -> list[Span]:
    return [(first, min(first + size, span[1])) for first in range(span[0], span[1], size)]


class Named(Protocol):
    """A unit, as the store knows it."""

    @property
    def name(self) -> str:
        """Its name in the store."""

    @property
    def part(self) -> int:
        """Units of one part may be run in any order; those of an earlier part come first."""


OneUnit = TypeVar("OneUnit", bound=Named)


def run_missing_units(
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
        done = finished()
        for unit in [unit for unit in left if unit.name in done]:
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


def save_when_done(steps: Iterable[int], save: Callable[[], object], stopped: Callable[[], bool]) -> Iterator[int]:
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
