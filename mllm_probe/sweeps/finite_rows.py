"""Rows of a sweep whose logits are NaN or infinite: an unsteered one ends it, a steered one has no scores."""

from __future__ import annotations

import numpy as np

from mllm_probe.activations.not_finite import find_fault, require_finite, told, unexplained
from mllm_probe.models.caller_warnings import warn_caller
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.intervention import Steering
from mllm_probe.sweeps.batches import Batch, Scores
from mllm_probe.sweeps.samples import Samples


class FiniteRows:
    """Looks after the rows of a sweep that are not finite."""

    def __init__(self, model: ProbeModel, samples: Samples) -> None:
        self.model, self.samples = model, samples
        self._told = False

    def require_unsteered(self, batch: Batch, broken: np.ndarray) -> None:
        """Raise where an unsteered row is not finite, bool [rows].

        Raises ValueError: naming the first layer and image.
        """
        for row in np.flatnonzero(broken):
            if batch.steerings[row] is None:
                sample = batch.parts[batch.part[row]].sample
                request = self.samples.requests[sample]
                require_finite(self.model, self.model.encode_samples([request]), number=sample)
                raise ValueError(unexplained(self.model, f"on image {sample} ({request.id})"))

    def blank(self, batch: Batch, broken: np.ndarray, scores: Scores) -> None:
        """Take the scores of rows away that are not finite, bool [rows], and warn of the first one of the sweep."""
        pairs = broken[batch.pairs.row]
        for name, values in scores.items():
            scores[name] = kept = np.array(values)
            kept[pairs] = {"tokens": -1, "text": ""}.get(name, np.nan)
        if not self._told:
            self._told = True
            row = int(broken.argmax())
            steering = batch.steerings[row]
            assert steering is not None
            warn_caller(self._text(batch.parts[batch.part[row]].sample, steering))

    def _text(self, sample: int, steering: Steering) -> str:
        request = self.samples.requests[sample]
        fault = find_fault(self.model, self.model.encode_samples([request]), steering)
        where = unexplained(self.model, f"on image {sample} ({request.id}), steered with {steering}")
        if fault is not None:
            where = told(self.model, fault, sample, steering=steering)
        return f"{where} Such runs have no scores (NaN) and count for nothing; of others this sweep does not tell."
