"""Scores of a chunk of rows on one image: from the edited forward passes to one number per cell and metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.decoding.rows import Rows
from mllm_probe.decoding.shared import Shared
from mllm_probe.metrics.fluency import answer_perplexity
from mllm_probe.metrics.logits import WordTable, first_token_logit, kl_divergence, single_token_logprob
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps.answers import Reader, greedy
from mllm_probe.sweeps.cells import Pairs, no_pairs, with_unsteered
from mllm_probe.sweeps.edits import ChunkEdits
from mllm_probe.sweeps.reference import Judge
from mllm_probe.sweeps.settings import Settings

Scores = dict[str, Any]
"""Arrays with one value per pair; of a baseline, one per concept, or a single one for all."""
_ONCE = ("tokens", "text", "kl_step")
Reading = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Baseline:
    """The unsteered run of one sample.

    Attributes
    ----------
    scores : dict of str to array
        Each metric by concept; ``tokens`` [steps] and ``text`` for all.
    answer : tuple of int
        The unsteered answer with its end token.
    logits : Tensor [answer, vocabulary]
        Predictions of each of its tokens.
    """

    scores: Scores
    answer: tuple[int, ...]
    logits: Tensor


class Scorer:
    """Computes the metrics of a sweep.

    Parameters
    ----------
    model : ProbeModel
    settings : Settings
    table : WordTable
        Words of the concepts.
    prefix : list of int
        Tokens of the answer prefix.
    reader : Reader
    judge : Judge or None
        Needed for perplexity.
    touches_prompt : bool
        Whether rows edit anything before the last prompt token.
    """

    def __init__(
        self,
        model: ProbeModel,
        settings: Settings,
        table: WordTable,
        prefix: list[int],
        reader: Reader,
        judge: Judge | None,
        *,
        touches_prompt: bool,
    ) -> None:
        self.model, self.settings, self.table, self.prefix = model, settings, table, prefix
        self.touches_prompt = touches_prompt
        self.reader, self.judge = reader, judge

    def baseline(self, shared: Shared, sample: int, reading: Reading = nullcontext) -> Baseline:
        """Run one sample unsteered; its scores stand for every cell of strength 0."""
        return self.run(shared, sample, [], no_pairs(), None, reading)[0]

    def run(
        self,
        shared: Shared,
        sample: int,
        steerings: Sequence[Any],
        pairs: Pairs,
        baseline: Baseline | None = None,
        reading: Reading = nullcontext,
    ) -> tuple[Baseline, Scores]:
        """Run rows of one sample, beside the unsteered one where it is not known yet.

        Parameters
        ----------
        shared : Shared
        sample : int
        steerings : sequence of Steering
            One per row.
        pairs : Pairs
            Which rows are scored for which concepts.
        baseline : Baseline or None
            Of an earlier chunk of the sample.
        reading : callable
            Gives a context for the forward pass that ends the prompt.

        Returns
        -------
        Baseline
        dict of str to array
            One score per pair and metric; ``tokens`` [pairs, steps], ``kl_step`` [pairs, steps], ``text``, ``edited``.
        """
        known, first = baseline is not None, len(self.settings.axes.concepts)
        rows = list(steerings) if known else [None, *steerings]
        every = pairs if known else with_unsteered(pairs, first)
        scores, answer, logits = self._scores(shared, sample, rows, every, baseline, reading)
        if baseline is None:
            own = {name: values[:first] for name, values in scores.items()}
            if "perplexity" in own:
                own |= {"own_perplexity": own["perplexity"], "perplexity": own["perplexity"] / own["perplexity"]}
            single = {name: own[name][0] for name in _ONCE if name in own}
            baseline = Baseline(own | single, answer, logits)
            scores = {name: values[first:] for name, values in scores.items()}
        if "perplexity" in scores:
            scores["perplexity"] = scores["perplexity"] / baseline.scores["own_perplexity"][pairs.concept]
        return baseline, scores

    def _scores(
        self,
        shared: Shared,
        sample: int,
        steerings: list[Any],
        pairs: Pairs,
        baseline: Baseline | None,
        reading: Reading,
    ) -> tuple[Scores, tuple[int, ...], Tensor]:
        """Scores of all pairs, and answer and logits of the first row (or of the baseline that is known)."""
        settings, touches = self.settings, self.touches_prompt
        edits = ChunkEdits(self.model, steerings, shared, self._steps_fed(), touches_prompt=touches)
        with edits.beginning(), reading():
            rows = self._start(shared, edits)
        scores, logits = self._logit_scores(rows, edits, pairs), rows.logits[0]
        answer: tuple[int, ...] = () if baseline is None else baseline.answer
        needs_kl = "kl" in settings.metrics
        if settings.decodes:
            with edits.following():
                tokens = self._greedy(rows.fork() if needs_kl else rows, edits)
            scores |= self._answer_scores(tokens, pairs, sample)
            answer = _ended(tokens[0]) if baseline is None else answer
        elif settings.needs_answer and baseline is None:
            answer = self._unsteered_answer(rows, edits)
        if needs_kl:
            with edits.again(range(len(steerings))):
                steered = self._along(rows, answer)
            logits = steered[0] if baseline is None else baseline.logits
            per_step = _kl(logits, steered)
            scores["kl"] = per_step.mean(1)[pairs.row]
            scores["kl_step"] = _padded(per_step, settings.max_new_tokens)[pairs.row]
        return scores | {"edited": edits.edited()[pairs.row]}, answer, logits

    def _steps_fed(self) -> int:
        return len(self.prefix) + (self.settings.max_new_tokens - 1 if self.settings.needs_answer else 0)

    def _greedy(self, rows: Rows, edits: ChunkEdits) -> np.ndarray:
        pause = self.model.lock.give_way
        return greedy(rows, edits, self.settings.max_new_tokens, self.model.eos_token_ids, pause)

    def _start(self, shared: Shared, edits: ChunkEdits) -> Rows:
        count = len(edits.steerings)
        rows = shared.start(count, edits.untouched)
        if self.prefix:
            rows.feed(torch.tensor(self.prefix, dtype=torch.long, device=self.model.device).expand(count, -1))
        return rows

    def _logit_scores(self, rows: Rows, edits: ChunkEdits, pairs: Pairs) -> Scores:
        place = (torch.from_numpy(pairs.row), torch.from_numpy(pairs.concept))
        scores: Scores = {}
        if "logprob" in self.settings.metrics:
            found = single_token_logprob(rows.logits, self.table).cpu()[place]
            found = self._with_longer_words(found, rows, edits, pairs)
            scores["logprob"] = _without_words(found, pairs, self.table)
        if "logit" in self.settings.metrics:
            scores["logit"] = _without_words(first_token_logit(rows.logits, self.table).cpu()[place], pairs, self.table)
        return scores

    def _with_longer_words(self, found: Tensor, rows: Rows, edits: ChunkEdits, pairs: Pairs) -> Tensor:
        """Add words of several sub-tokens, teacher-forced, to the log-sum-exp of each pair."""
        width = len(edits.steerings)
        for length, jobs in _by_length(self.table, pairs).items():
            for start in range(0, len(jobs), width):
                part = jobs[start : start + width]
                index = [int(pairs.row[pair]) for pair, _, _ in part]
                fed = torch.tensor([begin for _, begin, _ in part], dtype=torch.long, device=self.model.device)
                first = torch.log_softmax(rows.logits[index].float(), -1).gather(-1, fed[:, :1])[:, 0]
                with edits.again(index):
                    scores = torch.log_softmax(rows.fork(index).feed(fed).float(), -1)
                path = first + scores[:, : length - 1].gather(-1, fed[:, 1:, None])[..., 0].sum(-1)
                for number, (pair, _, ends) in enumerate(part):
                    total = path[number] + scores[number, -1, list(ends)].logsumexp(-1)
                    found[pair] = torch.logaddexp(found[pair], total.cpu())
        return found

    def _unsteered_answer(self, rows: Rows, edits: ChunkEdits) -> tuple[int, ...]:
        """Answer of the first row, which is not edited, up to its end token."""
        with edits.again([0]):
            tokens = greedy(rows.fork([0]), None, self.settings.max_new_tokens, self.model.eos_token_ids)
        return _ended(tokens[0])

    def _along(self, rows: Rows, answer: tuple[int, ...]) -> Tensor:
        """Logits that predict each token of an answer, teacher-forced: [rows, answer, vocabulary]."""
        first = rows.logits[:, None]
        tokens = torch.tensor(answer[:-1], dtype=torch.long, device=self.model.device)
        return torch.cat([first, rows.feed(tokens.expand(len(first), -1))], 1)

    def _answer_scores(self, tokens: np.ndarray, pairs: Pairs, sample: int) -> Scores:
        reader, metrics = self.reader, self.settings.metrics
        answers = [tuple(row) for row in tokens.tolist()]
        told = list(zip(pairs.row.tolist(), pairs.concept.tolist(), strict=True))
        scores: Scores = {
            "tokens": tokens[pairs.row],
            "text": np.array([reader.text(answers[r]) for r, _ in told], object),
        }
        if "named" in metrics:
            scores["named"] = np.array([reader.named(answers[r], c) for r, c in told])
        if "kept" in metrics:
            scores["kept"] = np.array([reader.kept(answers[r], sample, c) for r, c in told])
        if "repetition" in metrics:
            scores["repetition"] = np.array([reader.repetition(answers[r]) for r, _ in told])
        if "perplexity" in metrics:
            scores["perplexity"] = self._perplexity([answers[r] for r, _ in told], pairs.concept, sample)
        return scores

    def _perplexity(self, answers: Sequence[tuple[int, ...]], concepts: np.ndarray, sample: int) -> np.ndarray:
        """Perplexity of each answer, read with its own concept."""
        assert self.judge is not None
        found = np.full(len(answers), np.nan, np.float32)
        for concept in np.unique(concepts):
            where = np.flatnonzero(concepts == concept).tolist()
            contents = [self.reader.content(answers[i]) for i in where]
            scores = np.zeros((len(where), self.settings.max_new_tokens), np.float32)
            counted = np.zeros(scores.shape, dtype=bool)
            for row, values in enumerate(self.judge.logprobs(int(concept), sample, contents)):
                scores[row, : len(values)] = values
                counted[row, : len(values)] = True
                mention = self.reader.mention(answers[where[row]], int(concept))
                if mention is not None:
                    counted[row, mention[0] : mention[1]] = False
            found[where] = answer_perplexity(torch.from_numpy(scores), torch.from_numpy(counted)).numpy()
        return found


def _ended(tokens: np.ndarray) -> tuple[int, ...]:
    """An answer up to its end token."""
    return tuple(int(token) for token in tokens if token >= 0)


def _kl(unsteered: Tensor, steered: Tensor) -> np.ndarray:
    """KL at each step, [rows, steps], from logits [steps, vocabulary] and [rows, steps, vocabulary]."""
    steps = [kl_divergence(unsteered[t], steered[:, t]) for t in range(steered.shape[1])]
    return torch.stack(steps, 1).cpu().numpy()


def _by_length(table: WordTable, pairs: Pairs) -> dict[int, list[tuple[int, tuple[int, ...], tuple[int, ...]]]]:
    """(pair, tokens to feed, last tokens to read) of words of several sub-tokens, by the number that is fed."""
    jobs: dict[int, list[tuple[int, tuple[int, ...], tuple[int, ...]]]] = {}
    if table.longest > 1:
        for pair, concept in enumerate(pairs.concept.tolist()):
            for begin, ends in table.continuations(concept).items():
                jobs.setdefault(len(begin), []).append((pair, begin, ends))
    return jobs


def _without_words(values: Tensor, pairs: Pairs, table: WordTable) -> np.ndarray:
    """NaN for concepts that have no words."""
    there = np.array([bool(own) for own in table.variants])
    return np.where(there[pairs.concept], values.numpy(), np.nan)


def _padded(values: np.ndarray, steps: int) -> np.ndarray:
    whole = np.full((len(values), steps), np.nan, np.float32)
    whole[:, : values.shape[1]] = values
    return whole
