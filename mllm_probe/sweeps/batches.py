"""Rows of one batch: steered rows of one or several samples, with the unsteered row of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mllm_probe.steering.intervention import Steering
from mllm_probe.sweeps.cells import Pairs, join_pairs, unsteered_pairs

Scores = dict[str, Any]
"""Arrays with one value per pair."""


@dataclass(frozen=True)
class Part:
    """Rows of one sample.

    `steerings`: one per row. `pairs`: which rows are scored for which concepts. `answered`: whether the sample's
    unsteered answer is known already.
    """

    sample: int
    steerings: Sequence[Steering]
    pairs: Pairs
    answered: bool = False


@dataclass(frozen=True)
class Batch:
    """Rows of all parts, one part after the other.

    `steerings`: one per row; None for an unsteered one, which is the first of its part.
    `part` (int array [rows]): the part that each row belongs to.
    `unsteered` (int array [parts]): the unsteered row of each part; empty where the unsteered run is known already.
    `pairs`: of all parts; those of a part's unsteered row come first.
    `concepts`: number of concepts that an unsteered row is scored for.
    """

    parts: Sequence[Part]
    steerings: list[Steering | None]
    part: np.ndarray
    unsteered: np.ndarray
    pairs: Pairs
    concepts: int

    @property
    def joined(self) -> bool:
        """Whether unsteered rows are in the batch."""
        return len(self.unsteered) > 0

    @property
    def samples(self) -> np.ndarray:
        """The sample of each pair."""
        return np.array([part.sample for part in self.parts], np.int64)[self.part[self.pairs.row]]

    def split(self, scores: Scores) -> list[tuple[Scores, Scores]]:
        """Scores of each part's unsteered row (nothing where it is not in the batch) and of its other rows."""
        results, start = [], 0
        for part in self.parts:
            middle = start + self.joined * self.concepts
            end = middle + len(part.pairs)
            own = {name: values[start:middle] for name, values in scores.items()}
            results.append((own, {name: values[middle:end] for name, values in scores.items()}))
            start = end
        return results


def assemble(parts: Sequence[Part], concepts: int, *, joined: bool) -> Batch:
    """One batch of all parts; ``joined``: with the unsteered row of each."""
    steerings: list[Steering | None] = []
    pairs, owners, unsteered = [], [], []
    for number, part in enumerate(parts):
        start = len(steerings)
        if joined:
            unsteered.append(start)
            pairs.append(unsteered_pairs(concepts, start))
            steerings.append(None)
        pairs.append(replace(part.pairs, row=part.pairs.row + len(steerings)))
        steerings += part.steerings
        owners += [number] * (len(steerings) - start)
    return Batch(parts, steerings, np.array(owners), np.array(unsteered, np.int64), join_pairs(pairs), concepts)
