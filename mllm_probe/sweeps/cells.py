"""The cells of a sweep: which steered runs are computed, each once, and which places of the grid their scores fill."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np

from mllm_probe.steering.controls import CONCEPT

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
        """Which draws each control has, bool [control, draw]."""
        there: np.ndarray = np.arange(self.draws) < np.array(list(self.controls.values()))[:, None]
        return there


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
    same vectors, from :func:`mllm_probe.sweeps.duplicates.find_duplicates`. `opposite`: controls whose draw 2j at a
    strength is the same edit as draw 2j + 1 at the opposite strength, see
    :func:`mllm_probe.sweeps.duplicates.opposite_controls`. Returns: strength by strength, the ones nearest to 1 first;
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
                run, own = control, (concept, draw)
                if control == CONCEPTS:
                    run, own = CONCEPT, (other_concepts(concept, len(axes.concepts))[draw], 0)
                elif control in shared:
                    # The same edit for every concept: it is run once, as concept 0's, and scored for all.
                    own = (0, draw)
                place = (run, *duplicates.get((run, *own), own))
                places.setdefault(place, []).append((control, concept, draw))
    return {run: tuple(filled) for run, filled in places.items()}


def coarse_strengths(strengths: Sequence[float]) -> list[int]:
    """Places of the strengths that are not 0, nearest to 1 first, positive before negative."""
    places = [i for i, s in enumerate(strengths) if s != 0]
    return sorted(places, key=lambda i: (abs(abs(strengths[i]) - 1), strengths[i] < 0))


@dataclass(frozen=True)
class Pairs:
    """Which (run, concept) pairs of a chunk are scored, and their places in the grid.

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
