"""What steering with one concept does to all others: every row scored for every concept, which its logits allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mllm_probe import schema
from mllm_probe.sweeps.cells import Axes, Pairs

_LONG_NAME = "log-probability that the answer begins with the first sub-token of a word of the scored concept"
_STEERED = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.SAMPLE, schema.SCORED_CONCEPT)
_RANDOM = (schema.LAYER, schema.STRENGTH, schema.DRAW, schema.SAMPLE, schema.SCORED_CONCEPT)


class OffTarget:
    """Arrays that fill while a sweep runs; random directions once, as they do not depend on the concept.

    Parameters
    ----------
    axes : Axes
    samples : int
    """

    def __init__(self, axes: Axes, samples: int) -> None:
        names = list(axes.controls)
        concepts, layers, strengths = axes.shape[:3]
        self._concept, self._random = names.index("concept"), names.index("random") if "random" in names else None
        self.steered = np.full((concepts, layers, strengths, samples, concepts), np.nan, np.float32)
        draws = 0 if self._random is None else axes.controls["random"]
        self.random = np.full((layers, strengths, axes.draws, samples, concepts), np.nan, np.float32)
        self._draws = draws
        self.unsteered = np.full((samples, concepts), np.nan, np.float32)

    def put(self, pairs: Pairs, sample: np.ndarray, scores: np.ndarray) -> None:
        """Write the scores [pairs, concepts] of a chunk, with the sample of each pair."""
        own = pairs.control == self._concept
        self.steered[pairs.concept[own], pairs.layer[own], pairs.strength[own], sample[own]] = scores[own]
        if self._random is not None:
            r = pairs.control == self._random
            self.random[pairs.layer[r], pairs.strength[r], pairs.draw[r], sample[r]] = scores[r]

    def put_unsteered(self, zero: Sequence[int], sample: int, scores: np.ndarray) -> None:
        """Write the unsteered run of one sample, also at strength 0."""
        self.unsteered[sample] = scores
        for strength in zero:
            self.steered[:, :, strength, sample] = scores
            self.random[:, strength, : self._draws, sample] = scores

    def variables(self) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
        """Dimensions, array (not a copy) and attributes of every variable."""
        told = {"long_name": _LONG_NAME, "units": "nats"}
        name = schema.OFF_TARGET
        found: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {
            name: (_STEERED, self.steered, told),
            f"{name}_unsteered": (_STEERED[-2:], self.unsteered, told),
        }
        if self._random is not None:
            found[f"{name}_random"] = (_RANDOM, self.random, told)
        return found
