"""Words and labels that metrics need, checked before the sweep runs, so that a grid of NaN has a warning or error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mllm_probe.metrics.statistics import LEAST_IMAGES, LEAST_SHARES
from mllm_probe.metrics.words import Word, word_variants
from mllm_probe.models.caller_warnings import warn_caller
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps.samples import Samples
from mllm_probe.sweeps.settings import Settings

READ_WORDS = ("logit_lens",)
"""Recordings that read a concept's words."""
_SHOWN = 8


def check_requirements(
    model: ProbeModel, settings: Settings, samples: Samples, *, by_default: Sequence[str] = ()
) -> None:
    """Raise for a metric that cannot be computed, or warn once where it is a default or fails for some concepts only.

    `by_default`: metrics that nobody asked for by name. Raises ValueError if no concept of the sweep has a word that
    the model knows, or no picture a label, and a metric that was asked for by name needs one.
    """
    problems = []
    of_words = _needing(settings, "words") + [name for name in settings.record if name in READ_WORDS]
    if of_words:
        reasons = [_why_unusable(model, own) for own in samples.words]
        lacking = {name: why for name, why in zip(settings.axes.concepts, reasons, strict=True) if why}
        if lacking:
            _raise_if(len(lacking) == len(reasons), of_words, by_default, _words_text(lacking))
            problems.append(_words_text(lacking) + f" For them {_listed(of_words)} cannot be computed.")
    of_labels = _needing(settings, "labels")
    if of_labels and all(labels is None for labels in samples.labels):
        text = "None of the images has labels, which say what it truly shows; those of mp.concepts.scenes have them."
        _raise_if(True, of_labels, by_default, text)
        problems.append(text + f" {_listed(of_labels).capitalize()} is NaN.")
    if problems:
        warn_caller(" ".join(problems))


def warn_of_too_few(settings: Settings, may_count: np.ndarray, eligible: np.ndarray) -> None:
    """Warn once, with their names, of concepts for which too few images count.

    `may_count`, `eligible` (bool array [concepts, strengths, samples]): images that count by their labels, and by their
    unsteered answers too.
    """
    parts, least = [], least_images(settings)
    for takes_away, (doses, reason) in _DOSES.items():
        here = [
            place
            for place, strength in enumerate(settings.axes.strengths)
            if strength and settings.takes_away[place] == takes_away
        ]
        if not here:
            continue
        counts = eligible[:, here[0]].sum(-1)
        by_labels = may_count[:, here[0]].sum(-1)
        short = [
            f"'{name}' ({count} of {may_count.shape[-1]}: {reason.format(labelled - count, labelled)})"
            for name, count, labelled in zip(settings.axes.concepts, counts, by_labels, strict=True)
            if count < least
        ]
        if short:
            more = f", and {len(short) - _SHOWN} more concepts" * (len(short) > _SHOWN)
            parts.append(f"for {doses}: {', '.join(short[:_SHOWN])}{more}")
    if parts:
        warn_caller(
            f"Too few images count {'; '.join(parts)}. With fewer than {least} their cells have no interval and no "
            "verdict. Give more images of the kind that is missing (mp.concepts.neutral_images chooses some that lack "
            "most concepts), leave these concepts or doses out, or give a library in place of images: each of its "
            "concepts is then steered on its own negatives or positives."
        )


_DOSES = {
    False: ("doses that bring a concept", "unsteered answers name it on {} of {} images without it"),
    True: ("doses that take a concept away", "unsteered answers do not name it on {} of {} images that may show it"),
}


def least_images(settings: Settings) -> int:
    """Images below which no metric of the sweep has an interval."""
    only_shares = bool(settings.metrics) and all(metric.binary for metric in settings.metrics)
    return LEAST_SHARES if only_shares else LEAST_IMAGES


def _needing(settings: Settings, what: str) -> list[str]:
    return [metric.name for metric in settings.metrics if metric.needs == what]


def readable(model: ProbeModel, words: Sequence[Word]) -> tuple[Word, ...]:
    """The words that can be turned into token ids: text needs a tokenizer."""
    return tuple(word for word in words if model.tokenizer is not None or not isinstance(word, str))


def _why_unusable(model: ProbeModel, words: Sequence[Word]) -> str:
    """Why none of a concept's words can be scored; empty if one can."""
    if not words:
        return "no words"
    if not readable(model, words):
        return f"words as text ({_listed(words)}) and a model without a tokenizer"
    return "" if word_variants(model, readable(model, words)) else f"words unknown to the model ({_listed(words)})"


def _words_text(lacking: dict[str, str]) -> str:
    named = "; ".join(f"{name!r} has {why}" for name, why in list(lacking.items())[:_SHOWN])
    more = f"; and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    return (
        f"Concepts without a word that could be scored: {named}{more}. Give words that the model knows, as text or "
        "token ids: in words.txt, mp.vectors_from(…, words={name: ['cat']}), or vectors['words']."
    )


def _raise_if(total: bool, metrics: Sequence[str], by_default: Sequence[str], text: str) -> None:
    asked = [name for name in metrics if name not in by_default]
    if total and asked:
        raise ValueError(f"{_listed(asked)} cannot be computed. {text} Or leave {_listed(asked)} out.")


def _listed(names: Sequence[Word]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + ", …" * (len(names) > _SHOWN)
