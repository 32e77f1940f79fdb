"""What an answer of a panel is, as it streams and when it ends, and on which images a dose can show anything."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import xarray as xr

from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.generation.streaming import Stream
from mllm_probe.metrics.kept import slot_of
from mllm_probe.metrics.perplexity import answer_perplexity
from mllm_probe.metrics.text import kept_labels, repetition
from mllm_probe.metrics.words import word_variants
from mllm_probe.models import ProbeModel
from mllm_probe.models.prompts import unknown_words
from mllm_probe.schema import CONCEPT
from mllm_probe.steering.edit_plan import Receipt
from mllm_probe.studies.cell_scores import broken_by
from mllm_probe.sweeps.grid import gather
from mllm_probe.sweeps.reference_scorer import ReferenceScorer, counted_logprobs
from mllm_probe.sweeps.scoring import AnswerReader
from mllm_probe.typing import Picture as GivenImage
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.choices import Choice
from mllm_probe.widgets.base.numbers import Marks, marks
from mllm_probe.widgets.panel.setting import Setting

ROWS = ("baseline", "steered", "random")


@dataclass(frozen=True)
class Answered:
    """Finished answers.

    `texts`: by name of the row; unsteered alone where there is nothing to steer with.
    `tokens`: token ids of each row.
    `receipt`: first the edits of the steered row, then every row.
    `rate`: tokens per second of each row.
    """

    texts: dict[str, str]
    tokens: list[list[int]]
    receipt: list[str]
    rate: float


def read(
    running: Stream, rows: int, tell: Callable[[int, int, str], None], cancelled: threading.Event
) -> Answered | None:
    """Read a stream of the first ``rows`` of `ROWS` to its end and close it; None when it was cancelled first."""
    texts, start, steps = dict.fromkeys(ROWS[:rows], ""), time.perf_counter(), 0
    try:
        for row, step, text in running:
            if cancelled.is_set():
                return None
            texts[ROWS[row]], steps = text, max(steps, step + 1)
            tell(row, step, text)
    finally:
        running.close()
    if cancelled.is_set():
        return None
    return Answered(texts, running.tokens, _lines(running.receipt), steps / max(time.perf_counter() - start, 1e-9))


def _lines(receipt: Receipt) -> list[str]:
    """Lines of the receipt; none of an unsteered answer alone."""
    rows = [str(row) for row in receipt]
    return [rows[1], *(f"{name}: {row}" for name, row in zip(ROWS, rows, strict=True))] if len(rows) > 1 else []


logger = logging.getLogger(__name__)

Fact = list[str]
"""``[kind, text]``: ``"named"``, ``"plain"`` or ``"broken"`` for the front-end, and the words that it shows."""
NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class AnswerRules:
    """Labels, words and settings with which answers are read.

    `words`: words of each concept. `negations`: as in `metrics.spans`. `categories`: category of each concept.
    """

    words: Mapping[str, Sequence[str]]
    negations: Sequence[str]
    categories: Mapping[str, str]

    def named(self, concepts: Sequence[str], answer: str) -> list[str]:
        """Those of some concepts that an answer names, without a negation."""
        mentions = {name: marks(answer, [self.words.get(name, ())], self.negations) for name in concepts}
        return [name for name, spans in mentions.items() if any(not negated for _, _, negated in spans)]

    def spans(self, setting: Traits, answer: str) -> Marks:
        """Spans in which an answer names the concepts of a setting (as plain data)."""
        return marks(answer, [self.words.get(name, ()) for name in _concepts(setting)], self.negations)

    def facts(self, setting: Traits, answer: str, labels: Sequence[str] | None, broken: str) -> list[Fact]:
        """Facts of an answer, in the order in which they are shown.

        ``broken`` is from `broken_answers`; ``labels`` are all that the image truly shows: those in the slot of a
        steered concept are no content that could be kept.
        """
        concepts = _concepts(setting)
        named = self.named(concepts, answer)
        facts = [["named", f"names {c}"] if c in named else ["plain", f"does not name {c}"] for c in concepts]
        without = set().union(*(slot_of(concept, self.categories) for concept in concepts))
        hits, of = kept_labels(answer, labels, self.words, without=without)
        if of:
            facts.append(["plain", f"kept {hits} of {of}"])
        elif labels is None:
            facts.append(["plain", "content not checked"])
        if broken:
            facts.append(["plain", "fluency not checked"] if broken == NOT_CHECKED else ["broken", f"broken: {broken}"])
        return facts

    def read(self, setting: Traits, answers: Traits) -> Traits:
        """Spans and facts of a setting's answers by name of the row; no facts where nothing was steered."""
        broken = answers.get("broken", {})
        facts = {row: self.facts(setting, answers[row], answers["labels"], why) for row, why in broken.items()}
        return {"spans": {row: self.spans(setting, answers[row]) for row in ROWS if row in answers}, "facts": facts}


def _concepts(setting: Traits) -> list[str]:
    return [setting[name] for name in ("concept", "second") if setting[name]]


def broken_answers(texts: Mapping[str, str], perplexities: Sequence[float] | None) -> dict[str, str]:
    """Why the answer of each row of `ROWS` is broken, or empty text; the unsteered one is what others are held against.

    ``perplexities`` are ratios to the unsteered answer's, by row; None where they could not be computed.
    """
    reasons = dict.fromkeys(ROWS, "")
    for row, name in enumerate(ROWS[1:], 1):
        text, ratio = texts[name], math.nan if perplexities is None else perplexities[row]
        repeats, improbable = broken_by(ratio, repetition(text), repetition(texts[ROWS[0]]))
        if not text.strip():
            reasons[name] = "empty"
        elif repeats:
            reasons[name] = "repeats words"
        elif perplexities is None:
            reasons[name] = NOT_CHECKED
        elif improbable:
            reasons[name] = "improbable text"
    return reasons


@dataclass
class LivePerplexity:
    """Perplexity of a panel's answers under the unsteered model.

    An answer is read twice, and the smaller ratio counts: with an image that has the concept, as the metric
    ``"perplexity"`` of a sweep reads it, and with its own. The former alone calls "car, mushroom, neon" improbable, as
    the other image shows no mushroom, the latter alone "key, blueprint, moon". Of 1,088 answers of scenes-8l (3 images,
    all concepts, layers 3, 5 and 7), 50 and 16 that do not repeat words were so called broken, by both together none
    (``make validate ARGS=fluency``).

    `examples`: an image that has each concept; answers about other concepts are read without an image.
    """

    model: ProbeModel
    examples: Mapping[str, Picture]
    _opened: tuple[tuple[object, ...], AnswerReader, list[ReferenceScorer]] | None = None
    _level: int = logging.ERROR

    def ratios(
        self,
        vectors: xr.Dataset,
        concept: str,
        image: GivenImage,
        prompt: str,
        answers: Sequence[Sequence[int]],
        steps: int,
    ) -> list[float] | None:
        """Ratio of each answer's perplexity to the first one's; None if that fails, with the reason in the log.

        ``vectors`` have the concept's words, ``answers`` are token ids of at most ``steps`` tokens.
        """
        try:
            smallest: list[float] = self.readings(vectors, concept, image, prompt, answers, steps).amin(0).tolist()
        except Exception:
            # Once: a notebook shows what is logged below the cell, and the next answer may fail alike.
            logger.log(self._level, "the perplexity of a panel's answers could not be computed", exc_info=True)
            self._opened, self._level = None, logging.DEBUG
            return None
        return smallest

    def readings(
        self,
        vectors: xr.Dataset,
        concept: str,
        image: GivenImage,
        prompt: str,
        answers: Sequence[Sequence[int]],
        steps: int,
    ) -> torch.Tensor:
        """Both readings of each answer, float32 [2, answers]: with an image that has the concept, and with its own."""
        with self.model.lock.held(interactive=True), torch.no_grad():
            reader, scorers = self._open(vectors, concept, image, prompt, len(answers), steps)
            rows = [tuple(answer) for answer in answers]
            asked = [(0, 0, reader.content(row)) for row in rows]
            mentions = [reader.mention(row, 0) for row in rows]
            read = [answer_perplexity(*counted_logprobs(scorer.logprobs(asked), mentions, steps)) for scorer in scorers]
        return torch.stack([values / values[0] for values in read])

    def forget(self) -> None:
        """Drop the prefilled prompts."""
        self._opened = None

    def _open(
        self, vectors: xr.Dataset, concept: str, image: GivenImage, prompt: str, rows: int, steps: int
    ) -> tuple[AnswerReader, list[ReferenceScorer]]:
        """Reader and scorers for a concept and an image; those of the last call where nothing has changed."""
        key = (id(vectors), concept, id(image), prompt, rows, steps)
        if self._opened is None or self._opened[0] != key:
            self._opened = None
            samples = gather(self.model, vectors.sel({CONCEPT: [concept]}), [image], prompt, None)
            if concept in self.examples:
                samples = replace(samples, examples={concept: self.examples[concept]})
            variants = [word_variants(self.model, forms) for forms in samples.words]
            reader = AnswerReader(self.model, samples, [concept], variants)
            scorers = [
                ReferenceScorer(self.model, samples, [concept], [], steps, rows, with_image=with_image)
                for with_image in (False, True)
            ]
            self._opened = key, reader, scorers
        for scorer in self._opened[2]:
            scorer.forget()
        return self._opened[1:]


def examples_of(library: ConceptLibrary | None) -> dict[str, Picture]:
    """An image that has each concept of a library."""
    return {} if library is None else {name: concept.positive[0] for name, concept in library.items()}


def is_eligible(labels: frozenset[str] | None, setting: Setting) -> bool:
    """Whether an image with these labels suits the doses of a setting; one without labels passes."""
    return labels is None or all(
        (name in labels) == (strength < 0) for name, strength in setting.concepts if strength != 0
    )


def other_image(choices: Sequence[Choice], setting: Setting) -> int | None:
    """Number of the first image that is known to suit a setting, other than its own; None if there is none."""
    suits = (
        i
        for i, choice in enumerate(choices)
        if i != setting.picture and choice.labels is not None and is_eligible(choice.labels, setting)
    )
    return next(suits, None)


def image_for(choices: Sequence[Choice], setting: Setting) -> int:
    """The image of a setting if its labels suit the doses, else another that does, if there is one."""
    if is_eligible(choices[setting.picture].labels, setting):
        return setting.picture
    other = other_image(choices, setting)
    return setting.picture if other is None else other


def eligibility(choices: Sequence[Choice], setting: Setting, named: Sequence[str]) -> Traits:
    """Note about an image on which the doses can show little, and the number of another to offer, or −1.

    ``named`` are the concepts that the unsteered answer names.
    """
    labels = choices[setting.picture].labels
    note = ""
    for name, strength in setting.concepts:
        if strength > 0 and labels is not None and name in labels:
            note = f"The image shows {name} already: an answer that names it is no effect."
        elif strength > 0 and name in named:
            note = f"The unsteered answer names {name} already: the steered one shows no effect by naming it."
        elif strength < 0 and labels is not None and name not in labels:
            note = f"The image does not show {name}: a dose against it has nothing to take away."
        if note:
            break
    other = other_image(choices, setting) if note else None
    return {"image_note": note, "other_image": -1 if other is None else other}


def prompt_note(model: ProbeModel, prompt: str) -> str:
    """Warning about a prompt that is shown with its answers; empty for most prompts."""
    if not prompt.strip():
        return "The prompt is empty: the model reads the image alone."
    unknown = unknown_words(getattr(model, "tokenizer", None), [prompt])
    if not unknown:
        return ""
    named = ", ".join(f"“{word}”" for word in unknown)
    return f"The model does not know {named}: it reads an unknown-word token instead."
