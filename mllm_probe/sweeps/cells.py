"""The cells of a sweep, which steered runs are computed and in which order: a usable coarse map first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np

from mllm_probe.steering.operations import CONCEPT

CONCEPTS = "concepts"
"""Control whose draws are the other concepts of the grid: their rows are run anyway, and scored for this one too."""


@dataclass(frozen=True)
class Axes:
    """The grid's dimensions before the samples.

    `layers`: blocks that are edited. `strengths`: without repetitions; may hold 0. `controls`: number of draws of each
    control that is run, ``"concept"`` (one draw) first.
    """

    concepts: tuple[str, ...]
    layers: tuple[int, ...]
    strengths: tuple[float, ...]
    controls: Mapping[str, int]

    @property
    def draws(self) -> int:
        """Length of the draw dimension."""
        return max(self.controls.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of (concept, layer, strength, control, draw)."""
        return len(self.concepts), len(self.layers), len(self.strengths), len(self.controls), self.draws

    @property
    def cells(self) -> int:
        """Number of cells of one sample that get a value."""
        return math.prod(self.shape[:3]) * sum(self.controls.values())

    @cached_property
    def unsteered(self) -> tuple[np.ndarray, ...]:
        """Index (concept, layer, strength, control, draw) of the cells at strength 0, which the unsteered run fills."""
        unsteered = np.zeros(self.shape, dtype=bool)
        unsteered[:, :, np.array(self.strengths) == 0] = True
        return np.nonzero(unsteered & self.drawn)

    @property
    def drawn(self) -> np.ndarray:
        """Mask of the draws of each control, bool [control, draw]."""
        drawn: np.ndarray = np.arange(self.draws) < np.array(list(self.controls.values()))[:, None]
        return drawn


@dataclass(frozen=True)
class Cell:
    """One steered run, by its places on the axes.

    `concept`: whose direction is used. `layer`, `strength`: places on the axes. `places`: controls, concepts, draws and
    strengths whose scores this run gives: its own, and those whose run would be the same.
    """

    concept: int
    layer: int
    strength: int
    control: str
    draw: int
    places: tuple[tuple[str, int, int, int], ...]


Place = tuple[str, int, int]
"""(control, concept, draw)"""
Duplicates = Mapping[Place, tuple[int, int]]
"""(control, concept, draw) → the (concept, draw) with the same edit, which is run in its place."""


def plan_cells(
    axes: Axes,
    *,
    shared: Collection[str] = (),
    duplicates: Duplicates | None = None,
    opposite: Collection[str] = (),
) -> list[Cell]:
    """All runs of a sweep except strength 0, each once.

    `shared`: controls whose draws are the same edit for every concept. `duplicates`: which concepts and draws have the
    same vectors, from :func:`mllm_probe.sweeps.settings.find_duplicates`. `opposite`: controls whose draw 2j at a
    strength is the same edit as draw 2j + 1 at the opposite strength, see
    :func:`mllm_probe.sweeps.settings.opposite_controls`. Returns: strength by strength, the ones nearest to 1 first;
    of each, the concepts, then the draws of the controls.
    """
    edits = distinct_edits(axes, shared, duplicates)
    runs: dict[tuple[str, int, int, int], list[tuple[str, int, int, int]]] = {}
    for strength in coarse_strengths(axes.strengths):
        turned = next((place for place, other in enumerate(axes.strengths) if other == -axes.strengths[strength]), None)
        for (control, concept, draw), places in edits.items():
            run = (control, concept, draw, strength)
            # (−s) · (−r) = s · r to the bit: the draws 2j and 2j + 1 (`draw ^ 1`) are r and −r.
            if turned is not None and control in opposite and (control, concept, draw ^ 1, turned) in runs:
                run = (control, concept, draw ^ 1, turned)
            runs.setdefault(run, []).extend((*place, strength) for place in places)
    return [
        Cell(concept, layer, strength, control, draw, tuple(places))
        for (control, concept, draw, strength), places in runs.items()
        for layer in range(len(axes.layers))
    ]


def other_concepts(concept: int, concepts: int) -> list[int]:
    """The concepts whose vectors are the draws of control ``"concepts"`` of one concept, in order."""
    return [other for other in range(concepts) if other != concept]


def distinct_edits(
    axes: Axes, shared: Collection[str] = (), duplicates: Duplicates | None = None
) -> dict[Place, tuple[Place, ...]]:
    """Different edits of one layer and strength, and the places of the grid that each gives; as for `plan_cells`."""
    duplicates = duplicates or {}
    places: dict[Place, list[Place]] = {}
    for control, draws in axes.controls.items():
        for draw in range(draws):
            for concept in range(len(axes.concepts)):
                run, key = control, (concept, draw)
                if control == CONCEPTS:
                    run, key = CONCEPT, (other_concepts(concept, len(axes.concepts))[draw], 0)
                elif control in shared:
                    # The same edit for every concept: it is run once, as concept 0's, and scored for all.
                    key = (0, draw)
                place = (run, *duplicates.get((run, *key), key))
                places.setdefault(place, []).append((control, concept, draw))
    return {run: tuple(filled) for run, filled in places.items()}


def coarse_strengths(strengths: Sequence[float]) -> list[int]:
    """Places of the strengths that are not 0, nearest to 1 first, positive before negative."""
    places = [i for i, s in enumerate(strengths) if s != 0]
    return sorted(places, key=lambda i: (abs(abs(strengths[i]) - 1), strengths[i] < 0))


@dataclass(frozen=True)
class Pairs:
    """Scored (run, concept) pairs of a chunk, and their places in the grid.

    `row` (int array [pairs]): run within the chunk. `concept`, `layer`, `strength`, `control`, `draw` (int array
    [pairs]): places on the axes.
    """

    row: np.ndarray
    concept: np.ndarray
    layer: np.ndarray
    strength: np.ndarray
    control: np.ndarray
    draw: np.ndarray

    @property
    def index(self) -> tuple[np.ndarray, ...]:
        """Fancy index into an array (concept, layer, strength, control, draw, …)."""
        return self.concept, self.layer, self.strength, self.control, self.draw

    def __len__(self) -> int:
        return len(self.row)


def scored_pairs(axes: Axes, cells: Sequence[Cell]) -> Pairs:
    """Pairs of a chunk: each run with every place of the grid that it gives."""
    names = list(axes.controls)
    rows = [
        (row, concept, cell.layer, strength, names.index(control), draw)
        for row, cell in enumerate(cells)
        for control, concept, draw, strength in cell.places
    ]
    return Pairs(*np.array(rows, dtype=np.int64).reshape(-1, 6).T)


def unsteered_pairs(concepts: int, row: int) -> Pairs:
    """Pairs of an unsteered row with every concept."""
    places = np.zeros((6, concepts), np.int64)
    places[0], places[1] = row, np.arange(concepts)
    return Pairs(*places)


def join_pairs(parts: Sequence[Pairs]) -> Pairs:
    """Pairs one after the other."""
    return Pairs(*(np.concatenate(columns) for columns in zip(*map(astuple, parts), strict=True)))


COARSE_SHARE = 0.1
"""Share of the work in which the coarse map is made."""
COARSE_DRAWS = 4
"""Draws of each control in the coarse map: fewer than two pairs have no spread."""
COARSE_SAMPLES = 6
"""Images of the coarse map: fewer give no verdict."""
_FEWEST_LAYERS = 2
MOST_LAYERS, _APART = 16, 4
"""The coarse map of a deeper model has every fourth layer and the last: neighbouring layers differ little there."""


@dataclass(frozen=True)
class Block:
    """Runs of one sample that may share a chunk, in their order.

    `cells`: numbers of cells in the job's list.
    """

    sample: int
    cells: tuple[int, ...]


def plan_order(
    axes: Axes, cells: Sequence[Cell], samples: int, *, coarse: bool, by_layer: bool, kept: int
) -> list[Block]:
    """All runs of all samples.

    `cells`: runs of each sample.
    `coarse`: whether a coarse map comes first: every layer at the strength nearest to 1, four draws of each control, on
        as many samples (evenly spread) as a tenth of all runs allows. Of more than 16 layers every fourth and the last
        is run first, on six samples. Where not even six samples fit, an even subset of at least two layers is run
        first; where these do not fit either, the grid is too small to be coarse, and the map of six samples is made
        whatever its share. Then follow the other samples, the other strengths, and the draws that are left. Otherwise
        samples follow each other, in the largest chunks.
    `by_layer`: whether a block holds runs of one layer only, so that nothing below it is computed again.
    `kept`: samples whose prompt can be kept in memory. If they are not all, the coarse map is made on this many, and
        each sample is finished before the next one is opened.

    Returns: every (sample, cell) once. A sample without cells has one empty block, for its unsteered run.
    """
    parts = _parts(axes, cells, samples, min(kept, samples)) if coarse else [(range(samples), range(len(cells)))]
    # With fewer prompts in memory than samples, the parts one after the other would encode every image once per part.
    if kept < samples:
        parts = _by_sample(parts)
    blocks = [
        Block(sample, tuple(group))
        for chosen, numbers in parts
        for sample in chosen
        for group in (_by_layer(cells, numbers) if by_layer else [numbers])
    ]
    bare = [Block(sample, ()) for sample in range(samples)] if not cells else []
    return [block for block in blocks if block.cells] + bare


def preferred(
    work: Iterable[Block], cells: Sequence[Cell], rank: Callable[[Cell], int | None], *, by_layer: bool
) -> list[Block]:
    """The same runs, those of a smaller rank first.

    `rank`: of a cell; None for cells without preference, which come last, in the blocks and the order that they have.
    `by_layer`: whether a block holds runs of one layer only.

    Returns: of each rank a block for every sample, so that samples can share a chunk.
    """
    ranks = [rank(cell) for cell in cells]
    wanted: dict[tuple[int, int, int], list[int]] = {}
    others = []
    for block in work:
        for number in block.cells:
            if (place := ranks[number]) is not None:
                layer = cells[number].layer if by_layer else 0
                wanted.setdefault((place, layer, block.sample), []).append(number)
        left = tuple(number for number in block.cells if ranks[number] is None)
        others += [Block(block.sample, left)] * bool(left or not block.cells)
    first = sorted(wanted, key=lambda key: key[:2])  # samples keep their order
    return [*(Block(sample, tuple(wanted[place, layer, sample])) for place, layer, sample in first), *others]


def lacking(order: Iterable[Block], finished: np.ndarray) -> deque[Block]:
    """Remaining blocks of an order; an image of which no run is needed has one empty block at the end.

    `finished` (bool array [cells, samples]): runs that are done, or that nothing needs.
    """
    left = [Block(b.sample, tuple(c for c in b.cells if not finished[c, b.sample])) for b in order]
    needed = [block for block in left if block.cells]
    bare = sorted({block.sample for block in left} - {block.sample for block in needed})
    return deque([*needed, *(Block(sample, ()) for sample in bare)])


def take_chunk(work: deque[Block], rows: int, together: int, packed_rows: int) -> list[Block]:
    """Take the next chunk.

    `work`: what is taken leaves it.
    `rows`: most runs of a chunk; what is left of a block stays.
    `together`: samples that may share a chunk where one has few runs.
    `packed_rows`: most runs of a chunk that samples share.

    Returns: of different samples.
    """
    block = work.popleft()
    # What is left of a block stays first, so that its sample's prompt is used up before another one is opened.
    if len(block.cells) > rows:
        work.appendleft(Block(block.sample, block.cells[rows:]))
        block = Block(block.sample, block.cells[:rows])
    blocks, room = [block], min(rows, packed_rows) - max(1, len(block.cells))
    # A sweep of strength 0 alone has blocks without cells: their unsteered row counts.
    while work and len(blocks) < together and max(1, len(work[0].cells)) <= room:
        # A second block of a sample ends the chunk: each sample has one unsteered row, and one part, in a batch.
        if work[0].sample in {taken.sample for taken in blocks}:
            break
        room -= max(1, len(work[0].cells))
        blocks.append(work.popleft())
    return blocks


Part = tuple[Sequence[int], Sequence[int]]
"""Samples, and the cells that are run on each."""


@dataclass(frozen=True)
class CoarseMap:
    """Cells that are run first.

    `samples`, `layers`: places along these axes, evenly spread. `strengths`: places of all strengths that are not 0, in
    their order; the first is that of the coarse map.
    """

    samples: list[int]
    layers: list[int]
    strengths: list[int]


def coarse_map(axes: Axes, cells: Sequence[Cell], samples: int, kept: int | None = None) -> CoarseMap:
    """The coarse map of a sweep, as :func:`plan_order` describes it.

    `kept`: most samples in it; all by default.
    """
    strengths = coarse_strengths(axes.strengths)
    first = sum(cell.draw < COARSE_DRAWS and cell.strength in strengths[:1] for cell in cells)
    budget = COARSE_SHARE * len(cells) * samples
    layers, some = _coarse_size(axes, first, budget, samples if kept is None else kept)
    return CoarseMap(_spread(samples, some), _spread(len(axes.layers), layers), strengths)


def _parts(axes: Axes, cells: Sequence[Cell], samples: int, kept: int) -> list[Part]:
    coarse_first = coarse_map(axes, cells, samples, kept)
    nearest, chosen = coarse_first.strengths[:1], coarse_first.samples
    few = [n for n, cell in enumerate(cells) if cell.draw < COARSE_DRAWS]
    first = [n for n in few if cells[n].strength in nearest]
    others = [n for n in few if cells[n].strength not in nearest]
    rest = [n for n, cell in enumerate(cells) if cell.draw >= COARSE_DRAWS]
    inside = set(coarse_first.layers)
    coarse = [n for n in first if cells[n].layer in inside]
    between = [n for n in first if cells[n].layer not in inside]
    later = [s for s in range(samples) if s not in set(chosen)]
    return [(chosen, coarse), (chosen, between), (later, first), (range(samples), others), (range(samples), rest)]


def _coarse_size(axes: Axes, runs: int, budget: float, kept: int) -> tuple[int, int]:
    """Layers and samples of the coarse map, of which one sample takes ``runs``."""
    layers, fewest = len(axes.layers), min(COARSE_SAMPLES, kept)
    if not runs:
        return layers, kept
    if layers <= MOST_LAYERS and runs * fewest <= budget:
        return layers, min(int(budget // runs), kept)
    fit = int(budget // (runs / layers * fewest))
    most = layers if layers <= MOST_LAYERS else -(-layers // _APART) + 1
    return (min(fit, most) if fit >= _FEWEST_LAYERS else layers), fewest


def _spread(total: int, count: int) -> list[int]:
    """``count`` of the numbers 0 … total - 1, evenly spread, the last among them where there are several."""
    return sorted(set(np.linspace(0, total - 1, count).round().astype(int).tolist())) if count > 1 else [0]


def _by_sample(parts: Iterable[Part]) -> list[Part]:
    """The same runs, each sample finished before the next: all of the coarse map first."""
    coarse, *others = parts
    chosen = list(coarse[0])
    samples = [*chosen, *sorted({s for part in others for s in part[0]} - set(chosen))]
    return [coarse, *(([s], [n for some, numbers in others if s in some for n in numbers]) for s in samples)]


def _by_layer(cells: Sequence[Cell], numbers: Iterable[int]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for number in numbers:
        groups.setdefault(cells[number].layer, []).append(number)
    return list(groups.values())
