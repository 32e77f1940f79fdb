"""Greedy answers of many rows at once, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from mllm_probe.activations.not_finite import is_finite
from mllm_probe.decoding.rows import Rows
from mllm_probe.metrics.mentions import first_mention, first_mention_tokens
from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept
from mllm_probe.metrics.registry import built_in
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps.chunk_edits import ChunkEdits
from mllm_probe.sweeps.samples import Samples

_REMEMBERED = 65_536
NOT_FINITE = -2
"""In place of a token whose logits hold NaN or infinity."""


def greedy(
    rows: Rows, edits: ChunkEdits | None, steps: int, eos: set[int], pause: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Generate greedily; rows that have ended leave the batch once they are half of it.

    `rows`: at the point where the answer begins.
    `edits`: attached, for these rows; None for rows without edits.
    `steps`: longest answer.
    `eos`: tokens that end an answer.
    `pause`: called before each step.

    Returns int32 array [rows, steps]: up to and with the end token; -1 after it. ``NOT_FINITE`` ends an answer whose
    logits are no numbers.
    """
    tokens = np.full((rows.logits.shape[0], steps), -1, np.int32)
    live = np.arange(len(tokens))
    finished = np.zeros(len(live), dtype=bool)
    for number in range(steps):
        # The one wait of a step: which token it is decides what is fed next, and to which rows.
        chosen = rows.logits.argmax(-1).masked_fill(~is_finite(rows.logits), NOT_FINITE)
        following = chosen.cpu().numpy()
        tokens[live[~finished], number] = following[~finished]
        finished |= np.isin(following, [*eos, NOT_FINITE])
        # Rows that have ended are fed on until they leave; NOT_FINITE is no id.
        following = following.clip(0)
        if number == steps - 1 or finished.all():
            break
        # Leaving copies the keys of those that stay: by halves, it happens log₂(rows) times at most.
        if 2 * finished.sum() >= len(finished):
            kept = np.flatnonzero(~finished)
            rows = rows.fork(kept.tolist())
            if edits is not None:
                edits.keep(kept.tolist())
            following, live, finished = following[kept], live[kept], finished[kept]
        pause()
        rows.feed(torch.from_numpy(following)[:, None])
    return tokens


class AnswerReader:
    """Scores answers for the concepts of a sweep; equal answers are scored once.

    `variants`: token sequences of each concept's words, used where there is no tokenizer.
    """

    def __init__(self, model: ProbeModel, samples: Samples, names: Sequence[str], variants: Sequence[Any]) -> None:
        self.model, self.samples = model, samples
        self.concepts = [
            ScoredConcept(
                name=name,
                words=tuple(w for w in own if isinstance(w, str)) if model.tokenizer is not None else (),
                variants=tuple(spelled),
                slot=frozenset(samples.slot(name)),
            )
            for name, own, spelled in zip(names, samples.words, variants, strict=True)
        ]
        self.content = lru_cache(_REMEMBERED)(self._content)
        self.text = lru_cache(_REMEMBERED)(self._text)
        self.mention = lru_cache(_REMEMBERED)(self._mention)
        self._score = lru_cache(_REMEMBERED)(self._scored)

    def score(self, metric: Metric, tokens: tuple[int, ...], sample: int, concept: int) -> float:
        """Score of an answer to a sample, for one concept, by a metric that reads answers."""
        return self._score(metric, tokens, self.samples.labels[sample], concept)

    def names(self, tokens: tuple[int, ...], sample: int) -> np.ndarray:
        """Which concepts an answer to a sample names, bool [concepts]."""
        metric = built_in()["named"]
        return np.array([self.score(metric, tokens, sample, c) == 1 for c in range(len(self.concepts))], bool)

    def _scored(self, metric: Metric, tokens: tuple[int, ...], labels: frozenset[str] | None, concept: int) -> float:
        answer = Answer(self.text(tokens), self.content(tokens), labels, self.samples.label_words)
        value = metric.score(answer, self.concepts[concept])
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"metric '{metric.name}' must give a number for an answer; it gave {type(value).__name__}."
            ) from error

    def _content(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        """Tokens of an answer without its end."""
        return tuple(self.model.before_end(tokens))

    def _text(self, tokens: tuple[int, ...]) -> str:
        return self.model.decode(list(self.content(tokens)))

    def _mention(self, tokens: tuple[int, ...], concept: int) -> tuple[int, int] | None:
        """Place of the first mention among the tokens of the content."""
        content, scored = self.content(tokens), self.concepts[concept]
        if scored.words:
            return first_mention(content, self.model.decode, scored.words)
        return first_mention_tokens(content, scored.variants)
