"""How many forwards a sweep takes, counted from its settings and its chunks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil

import numpy as np

from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.shared import WholeForwards
from mllm_probe.sweeps.cells import scored_pairs
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.planned_work import PlannedWork


@dataclass(frozen=True)
class Forwards:
    """Forwards of a sweep.

    `pictures`: times that the pictures of a sample go through the vision tower.
    `prompts`: calls of the text model over a prompt (or over what is left of it above an edited layer).
    `steps`: calls over one or a few tokens.
    `word_steps`: of these, those for words of several sub-tokens.
    """

    pictures: int = 0
    prompts: int = 0
    steps: int = 0
    word_steps: int = 0

    def __add__(self, other: Forwards) -> Forwards:
        return Forwards(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: int) -> Forwards:
        return Forwards(*(getattr(self, f.name) * times for f in fields(self)))


def count_forwards(job: Job, work: PlannedWork) -> Forwards:
    """Forwards of a job, if no answer ends early, without choosing the path and perplexity's reading of answers."""
    settings, costs, words = job.settings, _Costs.of(job), _longer_words(job)
    concepts = len(settings.axes.concepts)
    forced, joined = bool(settings.reading("forced")), job.unsteered_in_chunks
    answered: set[int] = set()
    total = costs.opening * (work.opened + conditions(job))
    for samples in work.answers if joined else [[sample] for sample in range(len(job.samples))]:
        total += costs.run(len(samples), words.sum(0) * len(samples), along=forced, greedy=True)
    for chunk in work.chunks:
        cells = [cell for _, own in chunk for cell in own]
        added = joined * len(chunk)
        if cells or joined:
            scored = added + np.bincount(scored_pairs(settings.axes, cells).concept, minlength=concepts)
            here = {sample for sample, _ in chunk}
            # Each sample's unsteered answer is generated once, or in every chunk where something reads it.
            unanswered = joined and not work.stored and not answered.issuperset(here)
            greedy = settings.decodes or (joined and forced) or unanswered
            answered |= here
            total += costs.run(added + len(cells), scored @ words, along=forced, greedy=greedy)
    return total


def conditions(job: Job) -> int:
    """Prompts after which perplexity reads answers."""
    return 0 if job.scorer.reference is None else job.scorer.reference.conditions


def _longer_words(job: Job) -> np.ndarray:
    """How many beginnings of words are fed for each concept, by their length: int array [concepts, sub-tokens]."""
    table, concepts = job.scorer.table, len(job.settings.axes.concepts)
    counts = np.zeros((concepts, max(table.longest, 1)), np.int64)
    if job.settings.reading("words"):
        for concept in range(concepts):
            for begin in table.continuations(concept):
                counts[concept, len(begin)] += 1
    return counts


@dataclass(frozen=True)
class _Costs:
    """What opening a prompt, beginning rows and feeding them takes on a path."""

    opening: Forwards
    begin: Forwards
    feed: Forwards
    whole: bool
    one_by_one: bool
    prefix: int
    steps: int

    @classmethod
    def of(cls, job: Job) -> _Costs:
        kind, whole = job.path.kind, issubclass(job.path.kind, WholeForwards)
        return cls(
            opening=Forwards() if whole else Forwards(pictures=1, prompts=1),
            begin=Forwards(steps=1) if issubclass(kind, SharedPrefix) else Forwards(prompts=1),
            feed=Forwards(prompts=1) if whole else Forwards(steps=1),
            whole=whole,
            one_by_one=job.path.one_by_one,
            prefix=len(job.prefix),
            steps=job.settings.max_new_tokens - 1,
        )

    def run(self, rows: int, words: np.ndarray, *, along: bool, greedy: bool) -> Forwards:
        """Rows that begin together.

        `words` (int array [sub-tokens]): how many words of several sub-tokens are fed, by the number that is fed.
        `along`: whether the unsteered answer is fed. `greedy`: whether an answer is generated.
        """
        calls = self._calls(self.prefix) + along * self._calls(self.steps) + greedy * self.steps
        forwards = self.begin + self.feed * calls + Forwards(pictures=rows * (1 + calls) if self.whole else 0)
        for length, count in enumerate(words.tolist()):
            fed = self.feed * (ceil(count / rows) * self._calls(length))
            forwards += fed + Forwards(word_steps=fed.steps, pictures=count if self.whole else 0)
        return forwards

    def _calls(self, tokens: int) -> int:
        """Calls that feed so many tokens."""
        return tokens if self.one_by_one else min(tokens, 1)
