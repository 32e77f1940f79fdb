"""Scores of the answer's first position for rows of one concept, kept on the device until they are read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mllm_probe.decoding.rows import Rows
from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.words import WordTable, first_token_logit, single_token_logprob
from mllm_probe.models import ProbeModel

LOGIT_DIFFERENCE = Metric(
    name="logit_difference",
    reads="logits",
    score=first_token_logit,
    label="logit of the concept minus its counterpart's",
    long_name="logit of the concept's first sub-token minus that of what the counterfactual shows in its place",
    unit="logits",
    direction=1,
    needs="words",
)
"""A metric of ``patch`` alone: the counterpart is that of a pair."""


class FirstPosition:
    """Scores rows that stand at the end of the prompt.

    `metrics`: that read ``"words"`` or ``"logits"``. `table`: of the concepts, then of the counterparts; on the model's
    device. `prefix`: beginning of the answer that is fed.

    Nothing is brought to the host, and what is fed is uploaded once per concept.
    """

    def __init__(self, model: ProbeModel, metrics: Sequence[Metric], table: WordTable, prefix: list[int]) -> None:
        self.model, self.metrics, self.table = model, tuple(metrics), table
        self._prefix = self._ids(prefix)
        self._longer: dict[int, list[tuple[tuple[int, ...], Tensor, Tensor]]] = {}

    @property
    def fed(self) -> int:
        """Most tokens that are fed to a row."""
        return len(self._prefix) + max(self.table.longest - 1, 0)

    def __call__(self, rows: Rows, concept: int, counterpart: int | None) -> Tensor:
        """Raw scores [metrics, rows] float32: of metrics that read words, the log-probability that they are given."""
        if len(self._prefix):
            rows.feed(self._prefix.expand(len(rows.logits), -1))
        logprob = self._logprob(rows, concept) if any(m.reads == "words" for m in self.metrics) else None
        return torch.stack([self._score(metric, rows, logprob, concept, counterpart) for metric in self.metrics])

    def _score(
        self, metric: Metric, rows: Rows, logprob: Tensor | None, concept: int, counterpart: int | None
    ) -> Tensor:
        if metric.reads == "words":
            assert logprob is not None
            return logprob
        values = metric.score(rows.logits, self.table)
        if metric is not LOGIT_DIFFERENCE:
            return (values[:, concept] if values.ndim > 1 else values).float()
        if counterpart is None:
            return torch.full_like(values[:, 0], torch.nan)
        return values[:, concept] - values[:, counterpart]

    def _logprob(self, rows: Rows, concept: int) -> Tensor:
        """Log-probability [rows] that the answer begins with a word of the concept."""
        # log Σ over words of P(t₁) · Π P(tᵢ | t₁ … tᵢ₋₁), as in `Scorer._with_longer_words`, for one concept on all
        # rows: all rows are fed the same word, so that nothing is padded.
        total = single_token_logprob(rows.logits, self.table)[:, concept]
        first = torch.log_softmax(rows.logits.float(), -1) if self._words(concept) else None
        for begin, fed, ends in self._words(concept):
            assert first is not None
            scores = torch.log_softmax(rows.fork().feed(fed.expand(len(total), -1)).float(), -1)
            path = first[:, begin[0]]
            for place, token in enumerate(begin[1:]):
                path = path + scores[:, place, token]
            total = torch.logaddexp(total, path + scores[:, -1].index_select(-1, ends).logsumexp(-1))
        return total

    def _words(self, concept: int) -> list[tuple[tuple[int, ...], Tensor, Tensor]]:
        """Words of several sub-tokens: what is fed, as numbers and on the device, and the tokens that are read then."""
        if concept not in self._longer:
            words = self.table.continuations(concept).items()
            self._longer[concept] = [(begin, self._ids(begin), self._ids(ends)) for begin, ends in words]
        return self._longer[concept]

    def _ids(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor(list(tokens), dtype=torch.long, device=self.model.device)
