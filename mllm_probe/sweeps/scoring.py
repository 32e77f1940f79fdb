"""Scores of a chunk of rows on one image: from the edited forward passes to one number per cell and metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.activations.device_array import index_tensors
from mllm_probe.activations.not_finite import fault_text, find_fault, is_finite, require_finite, unexplained
from mllm_probe.decoding.rows import Rows
from mllm_probe.decoding.shared_prompt import Shared, SharedPrefixSpan, WholeForwards
from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept, built_in
from mllm_probe.metrics.text import first_mention, first_mention_tokens
from mllm_probe.metrics.words import WordTable, single_token_logprob
from mllm_probe.models.argument_checks import warn_caller
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import RowEdit, Steering
from mllm_probe.sweeps.cells import Pairs
from mllm_probe.sweeps.grid import Batch, Part, Samples, Scores, assemble, step_name
from mllm_probe.sweeps.reference_scorer import ReferenceScorer, counted_logprobs
from mllm_probe.sweeps.settings import Settings


class ChunkEdits:
    """Edits of all rows of a chunk.

    Rows that leave the prompt alone up to its last token and whose operation has an affine form are edited from a
    buffer; others, and those whose whole sequence is fed at every step, by an editor that finds the positions in each
    call.

    `steerings`: one per row.
    `shared`: the prompt of all rows.
    `steps`: how many tokens of the answer will be fed.
    `touches_prompt`: whether anything before the last prompt token is edited.
    """

    def __init__(
        self, model: ProbeModel, steerings: Sequence[RowEdit], shared: Shared, steps: int, *, touches_prompt: bool
    ) -> None:
        self.model, self.steerings, self.shared = model, list(steerings), shared
        parts = [part for row in self.steerings if row is not None for part in row.parts]
        if touches_prompt or isinstance(shared, WholeForwards) or any(part.needs_editor for part in parts):
            self._edits: Editor | EditBuffer = Editor(model, self.steerings, prompt=shared.encoded, steps=steps)
        else:
            # A buffer has to have a layer, also for a chunk of the unsteered row alone.
            layers = sorted({layer for part in parts for layer in part.blocks}) or [0]
            self._edits = EditBuffer(model, len(self.steerings), layers, prompt=shared.encoded)
            self._edits.write(self.steerings, steps)

    @property
    def unedited_part(self) -> SharedPrefixSpan:
        """Part of the prompt that the rows leave unedited."""
        return self._edits.unedited_part

    def beginning(self) -> AbstractContextManager[None]:
        """Edit the calls that feed the prompt's end and the answer's beginning."""
        return self._edits.attached()

    def following(self) -> AbstractContextManager[None]:
        """Edit the calls that go on."""
        return self._edits.attached("generated") if isinstance(self._edits, EditBuffer) else self._edits.attached()

    def again(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        """Edit other calls that feed an answer to some of the rows, in any order; they are not counted."""
        if isinstance(self._edits, EditBuffer):
            return self._edits.attached("generated", rows=rows, counted=False)
        chosen = [self.steerings[row] for row in rows]
        return Editor(self.model, chosen, prompt=self.shared.encoded).attached()

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with some of the current rows only."""
        self._edits.keep(indices)

    def edited(self) -> np.ndarray:
        """Positions of prompt and answer that were edited in each row, int32 [rows]."""
        return np.array([len(row.edited) + row.steps for row in self._edits.receipt()], np.int32)


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
                words=tuple(w for w in forms if isinstance(w, str)) if model.tokenizer is not None else (),
                variants=tuple(spelled),
                slot=frozenset(samples.slot(name)),
            )
            for name, forms, spelled in zip(names, samples.words, variants, strict=True)
        ]
        self.content = lru_cache(_REMEMBERED)(self._content)
        self.text = lru_cache(_REMEMBERED)(self._text)
        self.mention = lru_cache(_REMEMBERED)(self._mention)
        self._score = lru_cache(_REMEMBERED)(self._scored)

    def score(self, metric: Metric, tokens: tuple[int, ...], sample: int, concept: int) -> float:
        """Score of an answer to a sample, for one concept, by a metric that reads answers."""
        return self._score(metric, tokens, self.samples.labels[sample], concept)

    def names(self, tokens: tuple[int, ...], sample: int) -> np.ndarray:
        """Mask of the concepts that an answer to a sample names, bool [concepts]."""
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


class FiniteRows:
    """Looks after the rows of a sweep that are not finite."""

    def __init__(self, model: ProbeModel, samples: Samples) -> None:
        self.model, self.samples = model, samples
        self._warned = False

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
        if not self._warned:
            self._warned = True
            row = int(broken.argmax())
            steering = batch.steerings[row]
            assert steering is not None
            warn_caller(self._text(batch.parts[batch.part[row]].sample, steering))

    def _text(self, sample: int, steering: Steering) -> str:
        request = self.samples.requests[sample]
        fault = find_fault(self.model, self.model.encode_samples([request]), steering)
        where = unexplained(self.model, f"on image {sample} ({request.id}), steered with {steering}")
        if fault is not None:
            where = fault_text(self.model, fault, sample, steering=steering)
        return f"{where} Such runs have no scores (NaN) and count for nothing; of others this sweep does not tell."


AnswerIds = tuple[int, ...]
ReadingContext = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Baseline:
    """The unsteered run of one sample.

    `scores`: each metric by concept; ``tokens`` [steps] and ``text`` for all. `answer`: the unsteered answer with its
    end token; empty where it was known before and nothing reads it. `logits` (Tensor [answer, vocabulary]): predictions
    of each of its tokens.
    """

    scores: Scores
    answer: tuple[int, ...]
    logits: Tensor


class Scorer:
    """Computes the metrics of a sweep.

    `table`: words of the concepts.
    `prefix`: tokens of the answer prefix.
    `reference`: needed for perplexity.
    `touches_prompt`: whether rows edit anything before the last prompt token.
    """

    def __init__(
        self,
        model: ProbeModel,
        settings: Settings,
        table: WordTable,
        prefix: list[int],
        reader: AnswerReader,
        reference: ReferenceScorer | None,
        *,
        touches_prompt: bool,
    ) -> None:
        self.model, self.settings, self.table, self.prefix = model, settings, table, prefix
        self.touches_prompt = touches_prompt
        self.reader, self.reference = reader, reference
        self._finite = FiniteRows(model, reader.samples)

    def run(
        self,
        shared: Shared,
        parts: Sequence[Part],
        baseline: Baseline | None = None,
        reading: ReadingContext = nullcontext,
    ) -> list[tuple[Baseline, Scores]]:
        """Run rows of one sample or several, with the unsteered run of each where it is not known yet.

        `shared`: the prompt of the rows, or a pack of prompts, one per part. `baseline`: of an earlier chunk of the
        only sample. `reading`: gives a context for the forward pass that ends the prompt. Returns: for each part, the
        unsteered run, and one score per pair and metric; ``tokens`` [pairs, steps], ``kl_step`` [pairs, steps],
        ``text``, ``edited``. NaN, without an answer, for a row whose logits are NaN or infinite, of which a warning
        tells. Raises ValueError if an unsteered run is not finite; the error names the first layer and image.
        """
        batch = assemble(parts, len(self.settings.axes.concepts), joined=baseline is None)
        scores, answers, logits = self._scores(shared, batch, baseline, reading)
        results = []
        for number, (unsteered, steered) in enumerate(batch.split(scores)):
            unsteered_run = baseline or self._baseline(unsteered, answers[number], logits[number])
            concept = parts[number].pairs.concept
            for name in self._relative_metrics(steered):
                steered[name] = steered[name] / unsteered_run.scores[_absolute_name(name)][concept]
            results.append((unsteered_run, steered))
        return results

    def _baseline(self, scores: Scores, answer: AnswerIds, logits: Tensor) -> Baseline:
        """The unsteered run, from the scores of its row for every concept."""
        for name in self._relative_metrics(scores):
            absolute = scores[name]
            # Relative to itself: 1, and NaN where there is no score, which ones would hide.
            scores |= {_absolute_name(name): absolute, name: absolute / absolute}
        forced = [step_name(metric.name) for metric in self.settings.reading("forced")]
        every = [metric.name for metric in self.settings.metrics if metric.every_concept]
        # These do not depend on the concept, so that all pairs of the unsteered row hold the same.
        once = {name: scores[name][0] for name in ("tokens", "text", *forced, *every) if name in scores}
        return Baseline(scores | once, answer, logits)

    def _relative_metrics(self, scores: Scores) -> list[str]:
        """Metrics that are divided by the unsteered run's score, such as perplexity."""
        return [metric.name for metric in self.settings.metrics if metric.relative and metric.name in scores]

    def _scores(
        self, shared: Shared, batch: Batch, baseline: Baseline | None, reading: ReadingContext
    ) -> tuple[Scores, list[AnswerIds], Tensor | list[Tensor]]:
        """Scores of all pairs; the unsteered answer of each part, and its logits where they were computed."""
        settings, touches = self.settings, self.touches_prompt
        edits = ChunkEdits(self.model, batch.steerings, shared, self.steps_fed, touches_prompt=touches)
        # Everything below starts from these rows: their logits are the answer's first, under the edits. Calls that go
        # on from them attach the edits anew, as the phase of a buffer follows from the number of calls.
        with edits.beginning(), reading():
            rows = self._start(shared, edits)
        scores = self._first_scores(rows, edits, batch.pairs)
        broken = ~is_finite(rows.logits).cpu().numpy()
        if broken.any():
            self._finite.require_unsteered(batch, broken)
        # A known baseline means a chunk of one sample; else each part has its own unsteered row in the batch.
        answers = [] if baseline is None else [baseline.answer]
        logits: Tensor | list[Tensor] = rows.logits[batch.unsteered] if baseline is None else [baseline.logits]
        forced = settings.reading("forced")
        if settings.decodes:
            with edits.following():
                # Decoding fills the cache of its rows; what is teacher-forced below must start where the answer does.
                start, pause = rows.fork() if forced else rows, self.model.lock.give_way
                tokens = greedy(start, edits, settings.max_new_tokens, self.model.eos_token_ids, pause)
            broken |= (tokens == NOT_FINITE).any(1)
            # Clipped: NOT_FINITE (-2) is a mark for `broken` alone, and -1 what follows an answer.
            scores |= self._answer_scores(tokens.clip(-1), batch)
            answers = answers or [_without_fill(tokens[row]) for row in batch.unsteered]
        elif baseline is None and (forced or not all(part.answered for part in batch.parts)):
            answers = self._unsteered_answers(rows, batch)
        answers = answers or [()] * len(batch.parts)
        if forced:
            # ``again``: decoding dropped ended rows from ``edits``, and these calls are not the answer's own steps.
            with edits.again(range(len(batch.steerings))):
                steered = self._logits_along(rows, [answers[part] for part in batch.part])
            broken |= _breaks(steered, [len(answers[part]) for part in batch.part])
            logits = steered[batch.unsteered] if baseline is None else [baseline.logits]
            for metric in forced:
                per_step = _stepwise(metric, logits, steered, batch.part, [len(answer) for answer in answers])
                # Broken rows count as 0 here, so that a row of NaN alone does not warn; `blank` takes them out below.
                scores[metric.name] = np.nanmean(np.where(broken[:, None], 0, per_step), 1)[batch.pairs.row]
                scores[step_name(metric.name)] = _padded(per_step, settings.max_new_tokens)[batch.pairs.row]
        if broken.any():
            self._finite.require_unsteered(batch, broken)
            self._finite.blank(batch, broken, scores)
        return scores | {"edited": edits.edited()[batch.pairs.row]}, answers, logits

    @property
    def steps_fed(self) -> int:
        """Most tokens of an answer that are fed to a steered row."""
        return len(self.prefix) + (self.settings.max_new_tokens - 1 if self.settings.feeds_answer else 0)

    def _start(self, shared: Shared, edits: ChunkEdits) -> Rows:
        count = len(edits.steerings)
        rows = shared.start(count, edits.unedited_part)
        if self.prefix:
            rows.feed(torch.tensor(self.prefix, dtype=torch.long, device=self.model.device).expand(count, -1))
        return rows

    def _first_scores(self, rows: Rows, edits: ChunkEdits, pairs: Pairs) -> Scores:
        """Scores of metrics that read the answer's first position, or how it begins."""
        # A row that is shared by several concepts (a random control) has a pair for each: [rows, concepts] → [pairs].
        place = (torch.from_numpy(pairs.row), torch.from_numpy(pairs.concept))
        scores: Scores = {}
        of_words = self.settings.reading("words")
        if of_words:
            logprob = single_token_logprob(rows.logits, self.table).cpu()[place]
            logprob = self._with_longer_words(logprob, rows, edits, pairs)
            scores |= {
                metric.name: _nan_without_words(metric, metric.score(logprob), pairs, self.table) for metric in of_words
            }
        for metric in self.settings.reading("logits"):
            values = metric.score(rows.logits, self.table).cpu()
            if metric.every_concept:
                scores[metric.name] = values.masked_fill(values == -torch.inf, torch.nan)[place[0]].numpy()
            else:
                values = values[place] if values.ndim > 1 else values[place[0]]
                scores[metric.name] = _nan_without_words(metric, values, pairs, self.table)
        return scores

    def _with_longer_words(self, logprob: Tensor, rows: Rows, edits: ChunkEdits, pairs: Pairs) -> Tensor:
        """Add words of several sub-tokens, teacher-forced, to the log-sum-exp of each pair."""
        # Jobs run in batches as wide as the chunk, whose memory was planned for that many rows.
        width = len(edits.steerings)
        # log P(word) = log P(t₁) + Σ log P(tᵢ | t₁ … tᵢ₋₁). Words of a concept are added as exclusive events, which
        # holds as `word_variants` leaves out those that begin with another; words that differ in the last token share a
        # path.
        for length, jobs in _by_length(self.table, pairs).items():
            for start in range(0, len(jobs), width):
                part = jobs[start : start + width]
                index = [int(pairs.row[pair]) for pair, _, _ in part]
                fed = torch.tensor([begin for _, begin, _ in part], dtype=torch.long, device=self.model.device)
                first = torch.log_softmax(rows.logits[index].float(), -1).gather(-1, fed[:, :1])[:, 0]
                with edits.again(index):
                    scores = torch.log_softmax(rows.fork(index).feed(fed).float(), -1)
                # The logits after token i predict token i + 1; those after the last one fed predict the word's last.
                path = first + scores[:, : length - 1].gather(-1, fed[:, 1:, None])[..., 0].sum(-1)
                totals = path + _any_of(scores[:, -1], [ends for _, _, ends in part])
                for (pair, _, _), total in zip(part, totals.cpu(), strict=True):
                    logprob[pair] = torch.logaddexp(logprob[pair], total)
        return logprob

    def _unsteered_answers(self, rows: Rows, batch: Batch) -> list[AnswerIds]:
        """Answers of the rows that are not edited, up to their end tokens."""
        index = batch.unsteered.tolist()
        tokens = greedy(rows.fork(index), None, self.settings.max_new_tokens, self.model.eos_token_ids)
        return [_without_fill(row) for row in tokens]

    def _logits_along(self, rows: Rows, answers: Sequence[AnswerIds]) -> Tensor:
        """Logits that predict each token of an answer, one per row, teacher-forced: [rows, longest, vocabulary]."""
        longest = max(map(len, answers))
        # The last token of an answer predicts nothing that is read, and is fed to fill up alone. `longest − 1` tokens
        # per row: the first prediction is there already. What lies past a row's own length is ignored by the readers.
        padded = [[*answer[:-1], *answer[-1:] * (longest - len(answer))] for answer in answers]
        first = rows.logits[:, None]
        return torch.cat([first, rows.feed(torch.tensor(padded, dtype=torch.long, device=self.model.device))], 1)

    def _answer_scores(self, tokens: np.ndarray, batch: Batch) -> Scores:
        """Scores of metrics that read generated answers, and the answers themselves."""
        reader, pairs = self.reader, batch.pairs
        answers = [tuple(row) for row in tokens.tolist()]
        scored = [
            (answers[row], sample, concept)
            for row, sample, concept in zip(
                pairs.row.tolist(), batch.samples.tolist(), pairs.concept.tolist(), strict=True
            )
        ]
        scores: Scores = {
            "tokens": tokens[pairs.row],
            "text": np.array([reader.text(answer) for answer, _, _ in scored], object),
        }
        for metric in self.settings.reading("answer"):
            values = [reader.score(metric, *case) for case in scored]
            scores[metric.name] = np.array(values, np.float32)
        of_reference = self.settings.reading("reference")
        if of_reference:
            answered = [answer for answer, _, _ in scored]
            scores |= self._reference_scores(of_reference, answered, pairs.concept, batch.samples)
        return scores

    def _reference_scores(
        self, metrics: Sequence[Metric], answers: Sequence[AnswerIds], concepts: np.ndarray, samples: np.ndarray
    ) -> Scores:
        """Scores of the answers under the unsteered model, each read after an image that has its concept."""
        assert self.reference is not None
        asked = [
            (concept, sample, self.reader.content(answer))
            for concept, sample, answer in zip(concepts.tolist(), samples.tolist(), answers, strict=True)
        ]
        mentions = [self.reader.mention(answer, question[0]) for answer, question in zip(answers, asked, strict=True)]
        of_tokens = counted_logprobs(self.reference.logprobs(asked), mentions, self.settings.max_new_tokens)
        return {metric.name: np.asarray(metric.score(*of_tokens), np.float32) for metric in metrics}


def _breaks(steered: Tensor, lengths: Sequence[int]) -> np.ndarray:
    """Rows of logits [rows, longest, vocabulary] that are not finite along their answer of so many tokens."""
    wrong = ~is_finite(steered).cpu().numpy()
    return np.array([row[:length].any() for row, length in zip(wrong, lengths, strict=True)], bool)


def _absolute_name(name: str) -> str:
    """Name under which a baseline keeps the score that relative scores are divided by."""
    return f"absolute {name}"


def _without_fill(tokens: np.ndarray) -> AnswerIds:
    """An answer up to its end token."""
    return tuple(int(token) for token in tokens if token >= 0)


def _stepwise(
    metric: Metric,
    unsteered: Tensor | list[Tensor],
    steered: Tensor,
    part: np.ndarray,
    lengths: Sequence[int],
) -> np.ndarray:
    """A metric at each token of the unsteered answer [rows, longest], NaN past its end.

    `metric`: that reads ``"forced"``.
    `unsteered` (Tensor [parts, longest, vocabulary], or a list of Tensor [steps, vocabulary]): logits along the
        unsteered answer of each part.
    `steered`: Tensor [rows, longest, vocabulary].
    `part`: int array [rows].
    `lengths`: of the unsteered answers.
    """
    values = np.full(tuple(steered.shape[:2]), np.nan, np.float32)
    for number, length in enumerate(lengths):
        rows = np.flatnonzero(part == number)
        of_part = steered[torch.from_numpy(rows).to(steered.device)] if len(lengths) > 1 else steered
        for step in range(length):
            values[rows, step] = metric.score(unsteered[number][step], of_part[:, step]).cpu().numpy()
    return values


def _any_of(scores: Tensor, tokens: Sequence[Sequence[int]]) -> Tensor:
    """Log-probability [rows] of any of each row's own tokens, given scores [rows, vocabulary]."""
    most = max(len(ids) for ids in tokens)
    # A row with fewer tokens repeats its first, which does not count.
    ids, counted = index_tensors(
        [
            np.array([[*ids, *[ids[0]] * (most - len(ids))] for ids in tokens]),
            np.array([[place < len(ids) for place in range(most)] for ids in tokens]),
        ],
        scores.device,
    )
    return scores.gather(-1, ids).masked_fill(counted == 0, -torch.inf).logsumexp(-1)


def _by_length(table: WordTable, pairs: Pairs) -> dict[int, list[tuple[int, tuple[int, ...], tuple[int, ...]]]]:
    """(pair, tokens to feed, last tokens to read) of words of several sub-tokens, by the number that is fed."""
    jobs: dict[int, list[tuple[int, tuple[int, ...], tuple[int, ...]]]] = {}
    if table.longest > 1:
        for pair, concept in enumerate(pairs.concept.tolist()):
            for begin, ends in table.continuations(concept).items():
                jobs.setdefault(len(begin), []).append((pair, begin, ends))
    return jobs


def _nan_without_words(metric: Metric, values: Tensor, pairs: Pairs, table: WordTable) -> np.ndarray:
    """Values, NaN for concepts without words where the metric needs them."""
    if metric.needs != "words":
        return values.numpy()
    has_words = np.array([bool(variants) for variants in table.variants])
    return np.where(has_words[pairs.concept], values.numpy(), np.nan)


def _padded(values: np.ndarray, steps: int) -> np.ndarray:
    """Values [rows, longest] filled up with NaN to [rows, steps]."""
    whole = np.full((len(values), steps), np.nan, np.float32)
    whole[:, : values.shape[1]] = values
    return whole
