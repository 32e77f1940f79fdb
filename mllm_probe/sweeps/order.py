"""Order of the runs: a usable coarse map first, then its refinement; and which runs share a chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mllm_probe.sweeps.cells import Axes, Cell, coarse_strengths

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
    axes: Axes, cells: Sequence[Cell], samples: int, *, coarse: bool, one_layer: bool, kept: int
) -> list[Block]:
    """All runs of all samples.

    `cells`: runs of each sample.
    `coarse`: whether a coarse map comes first: every layer at the strength nearest to 1, four draws of each control, on
        as many samples (evenly spread) as a tenth of all runs allows. Of more than 16 layers every fourth and the last
        is run first, on six samples. Where not even six samples fit, an even subset of at least two layers is run
        first; where these do not fit either, the grid is too small to be coarse, and the map of six samples is made
        whatever its share. Then follow the other samples, the other strengths, and the draws that are left. Otherwise
        samples follow each other, in the largest chunks.
    `one_layer`: whether a block holds runs of one layer only, so that nothing below it is computed again.
    `kept`: samples whose prompt can be kept in memory. If they are not all, the coarse map is made on this many, and
        each sample is finished before the next one is opened.

    Returns: every (sample, cell) once. A sample without cells has one empty block, for its unsteered run.
    """
    parts = _parts(axes, cells, samples, min(kept, samples)) if coarse else [(range(samples), range(len(cells)))]
    # With fewer prompts in memory than samples, the parts one after the other would encode every picture once per part.
    if kept < samples:
        parts = _by_sample(parts)
    blocks = [
        Block(sample, tuple(group))
        for chosen, numbers in parts
        for sample in chosen
        for group in (_by_layer(cells, numbers) if one_layer else [numbers])
    ]
    bare = [Block(sample, ()) for sample in range(samples)] if not cells else []
    return [block for block in blocks if block.cells] + bare


def lacking(order: Iterable[Block], finished: np.ndarray) -> deque[Block]:
    """What is left of an order; an image of which no run is needed has one empty block at the end.

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
    """What is run first.

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
