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
from mllm_probe.steering.editor import Editor
from mllm_probe.sweeps.answers import Reader, greedy
from mllm_probe.sweeps.cells import Pairs
from mllm_probe.sweeps.reference import Judge
from mllm_probe.sweeps.settings import Settings

Scores = dict[str, np.ndarray]
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
    """

    def __init__(
        self,
        model: ProbeModel,
        settings: Settings,
        table: WordTable,
        prefix: list[int],
        reader: Reader,
        judge: Judge | None,
    ) -> None:
        self.model, self.settings, self.table, self.prefix = model, settings, table, prefix
        self.reader, self.judge = reader, judge

    def baseline(self, shared: Shared, sample: int, reading: Reading = nullcontext) -> Baseline:
        """Run one sample unsteered; its scores stand for every cell of strength 0."""
        concepts = np.arange(len(self.settings.axes.concepts))
        pairs = Pairs(np.zeros_like(concepts), concepts, *[np.zeros_like(concepts)] * 4)
        editor = Editor(self.model, [None], prompt=shared.encoded)
        with reading():
            rows = self._start(shared, editor)
        scores, logits = self._logit_scores(rows, shared, [None], pairs), rows.logits
        answer: tuple[int, ...] = ()
        if self.settings.needs_answer:
            generated = greedy(rows.fork(), editor, self.settings.max_new_tokens, self.model.eos_token_ids)
            answer = tuple(int(t) for t in generated[0] if t >= 0)
            logits = self._along(rows, answer)[0]
        if "kl" in self.settings.metrics:
            scores["kl"] = np.zeros(len(pairs), np.float32)
            scores["kl_step"] = _padded(np.zeros((1, len(answer)), np.float32), self.settings.max_new_tokens)[0]
        if self.settings.decodes:
            own = self._answer_scores(generated, pairs, sample, None)
            scores |= own | {"tokens": generated[0], "text": own["text"][0]}
        return Baseline(scores, answer, logits)

    def chunk(
        self,
        shared: Shared,
        sample: int,
        steerings: Sequence[Any],
        pairs: Pairs,
        baseline: Baseline,
        reading: Reading = nullcontext,
    ) -> Scores:
        """Run rows of one sample; one score per pair and metric, ``tokens`` [pairs, steps], ``text``, ``edited``."""
        settings = self.settings
        editor = self._editor(steerings, shared)
        with editor.attached(), reading():
            rows = self._start(shared, editor)
        scores = self._logit_scores(rows, shared, steerings, pairs)
        if "kl" in settings.metrics:
            with self._editor(steerings, shared).attached():
                per_step = self._kl(rows.fork(), baseline)
            scores["kl"] = per_step.mean(1)[pairs.row]
            scores["kl_step"] = _padded(per_step, settings.max_new_tokens)[pairs.row]
        if settings.decodes:
            with editor.attached():
                tokens = greedy(rows, editor, settings.max_new_tokens, self.model.eos_token_ids)
            scores |= self._answer_scores(tokens, pairs, sample, baseline)
        edited = np.array([len(row.edited) + row.steps for row in editor.receipt()], np.int32)
        return scores | {"edited": edited[pairs.row]}

    def _editor(self, steerings: Sequence[Any], shared: Shared) -> Editor:
        steps = len(self.prefix) + (self.settings.max_new_tokens - 1 if self.settings.needs_answer else 0)
        return Editor(self.model, list(steerings), prompt=shared.encoded, steps=steps)

    def _start(self, shared: Shared, editor: Editor) -> Rows:
        count = len(editor.rows)
        rows = shared.start(count, editor.untouched)
        if self.prefix:
            rows.feed(torch.tensor(self.prefix, dtype=torch.long, device=self.model.device).expand(count, -1))
        return rows

    def _logit_scores(self, rows: Rows, shared: Shared, steerings: Sequence[Any], pairs: Pairs) -> Scores:
        place = (torch.from_numpy(pairs.row), torch.from_numpy(pairs.concept))
        scores: Scores = {}
        if "logprob" in self.settings.metrics:
            found = single_token_logprob(rows.logits, self.table).cpu()[place]
            found = self._with_longer_words(found, rows, shared, steerings, pairs)
            scores["logprob"] = _without_words(found, pairs, self.table)
        if "logit" in self.settings.metrics:
            scores["logit"] = _without_words(first_token_logit(rows.logits, self.table).cpu()[place], pairs, self.table)
        return scores

    def _with_longer_words(
        self, found: Tensor, rows: Rows, shared: Shared, steerings: Sequence[Any], pairs: Pairs
    ) -> Tensor:
        """Add words of several sub-tokens, teacher-forced, to the log-sum-exp of each pair."""
        width = len(steerings)
        for length, jobs in _by_length(self.table, pairs).items():
            for start in range(0, len(jobs), width):
                part = jobs[start : start + width]
                index = [int(pairs.row[pair]) for pair, _, _ in part]
                fed = torch.tensor([begin for _, begin, _ in part], dtype=torch.long, device=self.model.device)
                first = torch.log_softmax(rows.logits[index].float(), -1).gather(-1, fed[:, :1])[:, 0]
                with Editor(self.model, [steerings[i] for i in index], prompt=shared.encoded).attached():
                    scores = torch.log_softmax(rows.fork(index).feed(fed).float(), -1)
                path = first + scores[:, : length - 1].gather(-1, fed[:, 1:, None])[..., 0].sum(-1)
                for number, (pair, _, ends) in enumerate(part):
                    total = path[number] + scores[number, -1, list(ends)].logsumexp(-1)
                    found[pair] = torch.logaddexp(found[pair], total.cpu())
        return found

    def _along(self, rows: Rows, answer: tuple[int, ...]) -> Tensor:
        """Logits that predict each token of an answer, teacher-forced: [rows, answer, vocabulary]."""
        first = rows.logits[:, None]
        tokens = torch.tensor(answer[:-1], dtype=torch.long, device=self.model.device)
        return torch.cat([first, rows.feed(tokens.expand(len(first), -1))], 1)

    def _kl(self, rows: Rows, baseline: Baseline) -> np.ndarray:
        steered = self._along(rows, baseline.answer)
        steps = [kl_divergence(baseline.logits[t], steered[:, t]) for t in range(steered.shape[1])]
        return torch.stack(steps, 1).cpu().numpy()

    def _answer_scores(self, tokens: np.ndarray, pairs: Pairs, sample: int, baseline: Baseline | None) -> Scores:
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
            own = self._perplexity([answers[r] for r, _ in told], pairs.concept, sample)
            scores["perplexity"] = own / (own if baseline is None else baseline.scores["own_perplexity"][pairs.concept])
            if baseline is None:
                scores["own_perplexity"] = own
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
