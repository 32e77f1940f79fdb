"""Another opinion on what an answer says: a judge, and its agreement with the rule of `named`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import torch
import xarray as xr
from sklearn.metrics import cohen_kappa_score

from mllm_probe.decoding.agreement import REFUSALS
from mllm_probe.decoding.rows import whole_forward
from mllm_probe.metrics.statistics import LEVEL, RESAMPLES
from mllm_probe.metrics.text import named
from mllm_probe.metrics.words import Word, first_token_logprob, word_table, words_of
from mllm_probe.models.argument_checks import described
from mllm_probe.models.probe_model import ProbeModel, require_model
from mllm_probe.models.prompts import answer_ids
from mllm_probe.schema import CONCEPT

QUESTION = (
    'A description of an image: "{text}" Does this description say that there is {words} in the image? '
    "Answer yes or no."
)
"""What a model is asked; ``{words}`` stands for the concept's words, joined by "or"."""


class Judge(Protocol):
    """Says whether a text says that a concept is there: any function of a text and a concept's words that gives a bool.

    Examples
    --------
    A text classifier of transformers, on this machine:

    >>> entails = transformers.pipeline("zero-shot-classification", model="./my-classifier")
    >>> def judge(text, words):
    ...     there, absent = f"There is {words[0]}.", f"There is no {words[0]}."
    ...     return entails(text, [there, absent], hypothesis_template="{}")["labels"][0] == there
    """

    def __call__(self, text: str, words: Sequence[str]) -> bool:
        """Whether ``text`` says that what the ``words`` name is there."""
        ...


@dataclass(frozen=True)
class ModelJudge:
    """A judge that asks a loaded model a question about the text, without an image.

    Parameters
    ----------
    model : ProbeModel
        With a tokenizer, and able to read a prompt without an image.
    question : str
        With the places ``{text}`` and ``{words}``.
    yes, no : sequence of str, int or sequence of int
        Words with which the model answers, in every case and with or without a leading space.

    Raises
    ------
    ValueError
        If the model has no tokenizer or cannot write the answers, or the question lacks a place.

    Notes
    -----
    A small model judges worse than the rule. Its answers on `tests/metrics/answers.csv` of the source tree, which a
    reader has judged, show what a judge is worth.
    """

    model: ProbeModel
    question: str = QUESTION
    yes: Sequence[Word] = ("yes",)
    no: Sequence[Word] = ("no",)

    def __post_init__(self) -> None:
        require_model(self.model)
        if self.model.tokenizer is None:
            raise ValueError(
                f"{self.model.name} was wrapped without a processor, so it cannot be asked about a text: "
                "mp.wrap(hf_model, processor=…), or give a function of (text, words) as the judge."
            )
        missing = [place for place in ("{text}", "{words}") if place not in self.question]
        if missing:
            raise ValueError(
                f"question: expected the places {{text}} and {{words}}; {self.question!r} lacks {missing}."
            )
        for name, words in (("yes", self.yes), ("no", self.no)):
            if not word_table(self.model, [words]).variants[0]:
                raise ValueError(f"{name}: {self.model.name} knows none of {list(words)} as an answer; give others.")

    def __call__(self, text: str, words: Sequence[str]) -> bool:
        """Whether the model's answer to the question begins with a yes rather than with a no."""
        return self.log_odds(text, words) > 0

    def log_odds(self, text: str, words: Sequence[str]) -> float:
        """Log-probability that the answer begins with a yes, minus that it begins with a no, in nats.

        Raises
        ------
        ValueError
            If the model does not run without an image.
        """
        model, table = self.model, word_table(self.model, [self.yes, self.no])
        asked = self.question.replace("{words}", " or ".join(words)).replace("{text}", text)
        encoded = model.encode(None, asked)
        prefix = torch.tensor([answer_ids(model, model.default_answer_prefix)], dtype=torch.long)
        model.lock.require_unedited()
        with model.lock.held(), torch.no_grad():
            try:
                logits = whole_forward(model, encoded, prefix, last=1)[0, -1]
            except torch.OutOfMemoryError:
                raise
            except REFUSALS as error:
                raise ValueError(
                    f"{model.name} does not read a prompt without an image ({type(error).__name__}: {error}), so it "
                    "cannot judge texts: take another model, or give a function of (text, words)."
                ) from error
        yes, no = first_token_logprob(logits, table).tolist()
        return yes - no


@dataclass(frozen=True)
class Agreement:
    """How far the rule of `named` and a judge agree.

    Attributes
    ----------
    kappa : float
        Cohen's κ: 1 for full agreement, 0 for as much as by chance; NaN where both give one and the same answer always.
    low, high : float
        Percentile bootstrap interval over pairs; NaN where κ is.
    n : int
        Judged pairs of a concept and a different answer.
    rule, judge : float
        Shares of the pairs that each says name the concept.
    disagreements : DataFrame
        Pairs on which they differ: ``concept``, ``answer``, ``rule``, ``judge`` (bool), and ``rows``, the number of
        rows of the grid with that answer; the most frequent first.
    """

    kappa: float
    low: float
    high: float
    n: int
    rule: float
    judge: float
    disagreements: pd.DataFrame = field(repr=False)


def judge_agreement(
    grid: xr.Dataset,
    judge: Judge | ProbeModel,
    *,
    most: int | None = 1000,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Agreement of the rule of `named` with a judge, over the answers of a grid.

    Parameters
    ----------
    grid : Dataset
        Of :func:`mllm_probe.sweep`, with its answers (``text``). Each different answer to each concept counts once,
        unsteered ones too; empty answers, which name nothing, are left out.
    judge : callable or ProbeModel
        ``judge(text, words) -> bool``, or a loaded model, which is asked as :class:`ModelJudge` does.
    most : int, optional
        Judge as many pairs at most, drawn at random; None for all.
    level : float
        Coverage of the interval.
    resamples, seed : int
        Of the bootstrap; the seed also draws the pairs.

    Returns
    -------
    Agreement

    Raises
    ------
    ValueError
        If the grid holds no answers, or no concept with words as text.
    TypeError
        If the judge is neither a function nor a model, or gives no bool.

    References
    ----------
    Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20, 1960.
    """
    if not callable(judge):
        judge = ModelJudge(judge)
    _require_answers(grid)
    words = words_of(grid)
    rows = Counter((concept, answer) for concept, answer in _answers(grid) if answer.strip() and words[concept])
    if not rows:
        raise ValueError("the grid holds no answer to a concept with words as text: there is nothing to judge.")
    generator = np.random.default_rng(seed)
    pairs = sorted(rows)
    if most is not None and len(pairs) > most:
        pairs = [pairs[i] for i in np.sort(generator.choice(len(pairs), most, replace=False))]
    by_rule = np.array([named(answer, words[concept]) for concept, answer in pairs])
    by_judge = np.array([_verdict(judge, answer, words[concept]) for concept, answer in pairs])
    table = pd.DataFrame(pairs, columns=["concept", "answer"])
    table = table.assign(rule=by_rule, judge=by_judge, rows=[rows[pair] for pair in pairs])
    differing = table[by_rule != by_judge].sort_values("rows", ascending=False, kind="stable", ignore_index=True)
    counts = np.bincount(2 * by_rule + by_judge, minlength=4)
    drawn = generator.multinomial(len(pairs), counts / len(pairs), size=resamples)
    different, places = np.unique(drawn, axis=0, return_inverse=True)
    kappas = np.array([_kappa(one) for one in different])[places.ravel()]
    tail = 50 * (1 - level)
    some = np.isfinite(_kappa(counts)) and np.isfinite(kappas).any()
    low, high = np.nanpercentile(kappas, [tail, 100 - tail]) if some else (np.nan, np.nan)
    return Agreement(
        _kappa(counts), float(low), float(high), len(pairs), float(by_rule.mean()), float(by_judge.mean()), differing
    )


def _require_answers(grid: xr.Dataset) -> None:
    if "text" not in grid or CONCEPT not in grid["text"].dims:
        raise ValueError(
            f"expected a grid with answers; {described(grid)} has no 'text' by concept. Run mp.sweep with a metric "
            "that reads answers, such as metrics=('named',)."
        )


def _answers(grid: xr.Dataset) -> Iterator[tuple[str, str]]:
    for concept in map(str, grid[CONCEPT].values):
        steered = grid["text"].sel({CONCEPT: concept}).values.ravel()
        unsteered = grid["text_unsteered"].values.ravel() if "text_unsteered" in grid else ()
        yield from ((concept, str(answer)) for answer in (*steered, *unsteered))


def _verdict(judge: Judge, answer: str, words: Sequence[str]) -> bool:
    verdict = judge(answer, words)
    if not isinstance(verdict, (bool, np.bool_)):
        raise TypeError(f"a judge gives True or False, but for {answer!r} it gave {described(verdict)}.")
    return bool(verdict)


def _kappa(counts: np.ndarray) -> float:
    """Cohen's κ of the numbers of pairs with (rule, judge) no-no, no-yes, yes-no, yes-yes; NaN where it has none."""
    rule, judge = counts[2] + counts[3], counts[1] + counts[3]
    if (rule, judge) in ((0, 0), (counts.sum(), counts.sum())):
        return float("nan")
    return float(cohen_kappa_score([0, 0, 1, 1], [0, 1, 0, 1], sample_weight=counts))
