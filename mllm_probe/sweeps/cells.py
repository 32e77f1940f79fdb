"""The cells of a sweep: which steered runs are computed, each once, and where in the grid their scores stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axes:
    """The grid's dimensions before the samples.

    Attributes
    ----------
    concepts : tuple of str
    layers : tuple of int
        Blocks that are edited.
    strengths : tuple of float
        Without repetitions; may hold 0.
    controls : mapping of str to int
        Number of draws of each control that is run, ``"concept"`` (one draw) first.
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


@dataclass(frozen=True)
class Cell:
    """One steered run, by its places on the axes.

    Attributes
    ----------
    concept : int
        Whose direction is used.
    layer, strength : int
        Places on the axes.
    control : str
    draw : int
    shared : bool
        True for a run that is the same whatever the concept: it is scored against every one.
    """

    concept: int
    layer: int
    strength: int
    control: str
    draw: int
    shared: bool = False


def plan_cells(axes: Axes, *, shared_random: bool) -> list[Cell]:
    """All runs of a sweep except strength 0, coarse ones first.

    Parameters
    ----------
    axes : Axes
    shared_random : bool
        Whether random directions do not depend on the concept (unit residual, operation add).

    Returns
    -------
    list of Cell
        First every layer at one strength: concepts, then the draws of the controls; then the other strengths from
        the middle outwards.
    """
    return [
        Cell(concept, layer, strength, control, draw, shared_random and control == "random")
        for strength in _coarse_first(axes.strengths)
        for control, draws in axes.controls.items()
        for draw in range(draws)
        for concept in (range(1) if shared_random and control == "random" else range(len(axes.concepts)))
        for layer in range(len(axes.layers))
    ]


def coarse_count(axes: Axes, cells: Sequence[Cell]) -> int:
    """How many of the cells, from the first, make up the coarse map: every layer at one strength."""
    first = _coarse_first(axes.strengths)[:1]
    return sum(cell.strength in first for cell in cells)


def _coarse_first(strengths: Sequence[float]) -> list[int]:
    """Places of the strengths that are not 0, nearest to 1 first, positive before negative."""
    places = [i for i, s in enumerate(strengths) if s != 0]
    return sorted(places, key=lambda i: (abs(abs(strengths[i]) - 1), strengths[i] < 0))


@dataclass(frozen=True)
class Pairs:
    """Which (run, concept) pairs of a chunk are scored, and their places in the grid.

    Attributes
    ----------
    row : int array [pairs]
        Run within the chunk.
    concept, layer, strength, control, draw : int array [pairs]
        Places on the axes.
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
    """Pairs of a chunk: a run with its own concept, or with every concept where it is shared."""
    names = list(axes.controls)
    rows = [
        (row, concept, cell.layer, cell.strength, names.index(cell.control), cell.draw)
        for row, cell in enumerate(cells)
        for concept in (range(len(axes.concepts)) if cell.shared else (cell.concept,))
    ]
    return Pairs(*np.array(rows, dtype=np.int64).reshape(-1, 6).T)
