"""Scores of every concept for rows steered with another concept (off-target), one array each."""

from __future__ import annotations

import numpy as np

from mllm_probe import schema
from mllm_probe.metrics.metric import Metric
from mllm_probe.sweeps.cells import Axes, Pairs
from mllm_probe.typing import Attributes

_STEERED = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.SAMPLE, schema.SCORED_CONCEPT)
_RANDOM = (schema.LAYER, schema.STRENGTH, schema.DRAW, schema.SAMPLE, schema.SCORED_CONCEPT)


Variables = dict[str, tuple[tuple[str, ...], np.ndarray, Attributes]]
"""Name → dimensions, array and attributes."""


class OffTarget:
    """Arrays of a metric that scores every concept; of random directions once, as they do not depend on the concept."""

    def __init__(self, metric: Metric, axes: Axes, samples: int) -> None:
        self.metric = metric
        names = list(axes.controls)
        concepts, layers, strengths = axes.shape[:3]
        self._concept, self._random = names.index("concept"), names.index("random") if "random" in names else None
        self.steered = np.full((concepts, layers, strengths, samples, concepts), np.nan, np.float32)
        self.random = np.full((layers, strengths, axes.draws, samples, concepts), np.nan, np.float32)
        self._draws, self._zero = axes.controls.get("random", 0), np.array(axes.strengths) == 0
        self.unsteered = np.full((samples, concepts), np.nan, np.float32)

    def put(self, pairs: Pairs, sample: np.ndarray, scores: np.ndarray) -> None:
        """Write the scores [pairs, concepts] of a chunk, with the sample of each pair."""
        own = pairs.control == self._concept
        self.steered[pairs.concept[own], pairs.layer[own], pairs.strength[own], sample[own]] = scores[own]
        if self._random is not None:
            r = pairs.control == self._random
            self.random[pairs.layer[r], pairs.strength[r], pairs.draw[r], sample[r]] = scores[r]

    def put_unsteered(self, sample: int, scores: np.ndarray) -> None:
        """Write the unsteered run of one sample, also at strength 0."""
        self.unsteered[sample] = scores
        # NumPy puts the axes of the advanced indices first where a slice lies between them, as in `random`: here only
        # the last axis, the scored concepts, has to fit.
        self.steered[:, :, self._zero, sample] = scores
        self.random[:, self._zero, : self._draws, sample] = scores

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable."""
        name, attributes = self.metric.name, {k: self.metric.attributes[k] for k in ("long_name", "units")}
        variables: Variables = {
            name: (_STEERED, self.steered, attributes),
            f"{name}_unsteered": (_STEERED[-2:], self.unsteered, attributes),
        }
        if self._random is not None:
            variables[f"{name}_random"] = (_RANDOM, self.random, attributes)
        return variables
