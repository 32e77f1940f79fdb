"""Recognition versus reasoning: whether steering a relation changes what is named, and what is worked out from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.concepts.drawn import Drawing
from mllm_probe.generation import generate
from mllm_probe.metrics.statistics import mean, sign_flip_test, wilson_interval
from mllm_probe.metrics.text import named
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.scenes import Scene
from mllm_probe.scenes.language import OPPOSITES, PHRASES, WORDINGS
from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, DRAW, EDIT, LAYER, PROMPT, SAMPLE, SCOPE, STRENGTH, WORDS
from mllm_probe.steering.operations import CONCEPT as CONCEPT_DIRECTION
from mllm_probe.studies.baselines import baseline_lines, baselines
from mllm_probe.studies.effect import effect, value_by_image
from mllm_probe.studies.multiverse import PLACES, RECOGNITION_OR_REASONING, asked, counted, in_half
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts, library_of

RECOGNITION, READING, PROBLEM = "recognition", "reading", "problem"
QUESTIONS = (RECOGNITION, READING, PROBLEM)
"""What the relation is, the same relation asked for in other words, and something that has to be worked out from it."""


@dataclass(frozen=True)
class RelationQuestions:
    """Questions for a relation in an image, and for what follows from it.

    Parameters
    ----------
    ask : callable
        Takes an image (:class:`mllm_probe.concepts.Picture`) and returns the three prompts by name
        (``"recognition"``, ``"reading"``, ``"problem"``), or None for an image that does not pose the problem.
    answers : mapping of str to (mapping of str to tuple of str)
        For each of the three, by relation: words of the right answer.
    state : callable
        Takes an image and a relation, and returns a sentence that states the relation in words.
    step : callable
        Takes an image and a relation, and returns a sentence that states what follows from it.
    shown : callable
        Takes an image and returns the relation that it truly shows.
    """

    ask: Callable[[Picture], Mapping[str, str] | None]
    answers: Mapping[str, Mapping[str, tuple[str, ...]]]
    state: Callable[[Picture, str], str]
    step: Callable[[Picture, str], str]
    shown: Callable[[Picture], str]

    @property
    def relations(self) -> list[str]:
        """Relations that the questions are about."""
        return list(self.answers[PROBLEM])


def drawn_relations() -> RelationQuestions:
    """Questions about two things in a drawn scene: where the one is, when the relation was drawn from the other.

    The relation is that of the scene's subject to its reference ("cat left of house"). Recognition asks which relation
    is shown, reading asks where the subject is, and the problem asks where the reference is: the answer is the opposite
    relation, which has to be worked out.

    Returns
    -------
    RelationQuestions
        For images of :func:`mllm_probe.concepts.scenes` with the concepts left, right, above and below between two
        things; other images do not pose the problem.
    """
    same = {relation: (relation,) for relation in OPPOSITES}
    turned = {relation: (opposite,) for relation, opposite in OPPOSITES.items()}
    return RelationQuestions(
        ask=_asked,
        answers={RECOGNITION: same, READING: same, PROBLEM: turned},
        state=lambda image, relation: _sentence(scene_of(image), relation),
        step=lambda image, relation: _sentence(scene_of(image), OPPOSITES[relation], turned=True),
        shown=lambda image: str(scene_of(image).placed_relation),
    )


def scene_of(picture: Picture) -> Scene:
    """Return the scene of a drawn image.

    Raises ValueError if it is no drawing of a scene.
    """
    source = picture.source
    if isinstance(source, Drawing) and isinstance(source.scene, Scene):
        return source.scene
    raise ValueError(
        "questions about relations are known for images of mp.concepts.scenes only; for others give questions=, a "
        "mllm_probe.studies.RelationQuestions."
    )


def _asked(image: Picture) -> dict[str, str] | None:
    scene = scene_of(image)
    if scene.placed_relation not in OPPOSITES or len(scene.entities) < 2:
        return None
    return {
        RECOGNITION: WORDINGS["relation"][0],
        READING: f"Where is the {scene.subject}?",
        PROBLEM: f"Where is the {scene.reference}?",
    }


def _sentence(scene: Scene, relation: str, *, turned: bool = False) -> str:
    things = (scene.reference, scene.subject) if turned else (scene.subject, scene.reference)
    return f"The {things[0]} is {PHRASES[relation]} the {things[1]}."


DOSES = (1.0, 2.0)
UNITS = {"residual": "residual norm", "vector": "vector"}
EDITS = {f"{dose:g} {name}{'s' * (dose != 1)}": (unit, dose) for unit, name in UNITS.items() for dose in DOSES}
GRIDS = tuple(f"{question}, {place}, {unit}" for question in QUESTIONS for place in PLACES for unit in UNITS)
DEPTHS = (0.125, 0.25, 0.5, 0.75, 1.0)
"""Relative depths of the blocks that are edited."""
_EACH, _DRAWS, _LONGEST = 3, 4, 6
_CONTROLS = ("random", "on_manifold")
_HEADLINE = "1 residual norm"
_FOLLOWED = 0.5
"""Share of answers under a sentence above which a positive control is said to work."""


def recognition_vs_reasoning(
    model: ProbeModel,
    library: ConceptLibrary | None = None,
    *,
    vectors: xr.Dataset | None = None,
    grids: Mapping[str, xr.Dataset] | None = None,
    questions: RelationQuestions | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Ask whether a relation that the model recognises is also used where a problem depends on it.

    On images of one relation, the vector of another is added, with the same doses under three prompts: which relation
    it is, the same in other words, and a problem whose answer has to be worked out from the relation. If the model
    reasons from what it recognises, the solved answer becomes the one that the new relation implies. As positive
    controls, the new relation, and the step that solves the problem, are stated in words instead.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary, optional
        With concepts that are relations; that of a bundled model by default. Relations that the questions are not about
        and those that the model does not tell apart are left out.
    vectors : Dataset, optional
        From :func:`mllm_probe.concept_vectors` with scopes ``"image"`` and ``"last_prompt"``; made of half of the
        library's images by default.
    grids : mapping of str to Dataset, optional
        What was run already, by the names in ``GRIDS``.
    questions : RelationQuestions, optional
        Prompts and right answers; those of :func:`drawn_relations` by default.
    seed : int
        Of the split and the controls.
    store : str or Path, optional
        Folder for the grids, from which a stopped study goes on.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        By ``asked`` (recognition, reading, problem): ``accuracy`` of the unsteered model with ``accuracy_low``,
        ``accuracy_high`` (95 % Wilson) and ``images``. By (scope, edit_kind, asked, concept, layer), ``scope`` being
        the tokens that are edited: ``implied`` (share of answers that the new relation implies), ``implied_random``
        and ``implied_on_manifold`` (of controls), ``logprob`` (of that answer's word, concept minus random directions,
        nats) with ``low``, ``high``, ``clear``, and ``n`` images. By (scope, edit_kind, concept, layer):
        ``relation_itself``, share of the problem's answers that name the new relation instead of what follows from it.
        By (asked, concept): ``stated`` and ``stated_step``, share of answers that follow a sentence. ``verdict``
        (specification): effect on recognition minus effect on the problem, see :mod:`mllm_probe.studies.multiverse`.
        Baselines (concept) as :func:`mllm_probe.studies.baselines.baselines` gives them. Attributes ``prompt``, all
        that were asked; ``summary``, ``n_concepts``, ``headline``, ``headline_p``.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, the library has none of the questions' relations or no
        image that poses the problem, or vectors or grids are of another model.

    References
    ----------
    Question: Deng et al., arXiv 2605.05593, finding 4.
    """
    questions = drawn_relations() if questions is None else questions
    require_model(model)
    run = StudyRuns(
        "recognition_vs_reasoning", GRIDS, model, _of_relations(library_of(model, library), questions),
        vectors=vectors, grids=grids, prompt=None, seed=seed, store=store, progress=progress,
    )  # fmt: skip
    nothing = run.nothing()
    if nothing is not None:
        return nothing
    images = posing(run.others, questions, _EACH)
    swept = {name: _swept(run, name, images, questions) for name in GRIDS}
    parts = [_unsteered(run, images, questions), _steered(swept), _stated(run, images, questions)]
    result = xr.merge(parts, combine_attrs="drop", join="exact", compat="equals")
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    every_way = asked(RECOGNITION_OR_REASONING, lambda **way: _verdict(swept, **way).mean())
    beside = baselines(run, run.vectors(IMAGE, LAST_PROMPT), (IMAGE,), run.blocks_at(DEPTHS)[0])
    p = sign_flip_test(_verdict(swept, **RECOGNITION_OR_REASONING.headline), seed=seed)
    result = result.merge(every_way).merge(beside)
    posed = [prompt for image in images for prompt in (questions.ask(image) or {}).values()]
    facts = run.facts | {"prompt": list(dict.fromkeys(posed))}
    result = result.assign_attrs(facts | every_way.attrs | beside.attrs, headline_p=p)
    return result.assign_attrs(summary=summary_of(result))


def _of_relations(library: ConceptLibrary, questions: RelationQuestions) -> ConceptLibrary:
    relations = [name for name in library if name in questions.relations]
    if len(relations) < 2:
        raise ValueError(
            f"expected a library with two of the relations {', '.join(questions.relations)} or more, which the "
            f"questions are about; it has {', '.join(relations) or 'none of them'}."
        )
    return library.subset(concepts=relations)


def posing(library: ConceptLibrary, questions: RelationQuestions, each: int) -> list[Picture]:
    """Images that pose the problem, equally many of every relation.

    `each`: images of every relation, or as many as the rarest has. Raises ValueError if a relation of the library has
    none.
    """
    by: dict[str, list[Picture]] = {name: [] for name in library}
    for image in library.pictures:
        relation = questions.shown(image)
        if relation in by and questions.ask(image) is not None:
            by[relation].append(image)
    fewest = min(len(images) for images in by.values())
    if not fewest:
        lacking = next(name for name, images in by.items() if not images)
        raise ValueError(f"no image of the relation '{lacking}' poses the problem: give a library with more pairs.")
    return [image for images in by.values() for image in images[: min(each, fewest)]]


def _prompts(images: Sequence[Picture], questions: RelationQuestions, question: str) -> list[str]:
    return [(questions.ask(image) or {})[question] for image in images]


def _swept(run: StudyRuns, name: str, images: list[Picture], questions: RelationQuestions) -> xr.Dataset:
    """Rows of every relation's vector under one of the questions, scored by the answer that it implies."""
    question, place, unit = name.split(", ")
    vectors = run.vectors(IMAGE, LAST_PROMPT)
    words = [json.dumps(list(questions.answers[question][concept])) for concept in run.concepts]
    return run.swept(
        name, vectors.assign_coords({WORDS: (CONCEPT, words)}), images,
        prompt=_prompts(images, questions, question), layers=run.blocks_at(DEPTHS), strengths=DOSES, unit=unit,
        tokens=tuple(place.split("+")), metrics=("logprob", "named"), controls=_CONTROLS, draws=_DRAWS,
        max_new_tokens=_LONGEST, answer_prefix="",
    )  # fmt: skip


def _answers(run: StudyRuns, images: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
    return [
        generate(run.model, image.image, prompt, max_new_tokens=_LONGEST).text[0]
        for image, prompt in zip(images, prompts, strict=True)
    ]


def _unsteered(run: StudyRuns, images: list[Picture], questions: RelationQuestions) -> xr.Dataset:
    """Accuracy of the model as it is, by question."""
    shown = [questions.shown(image) for image in images]
    hits = np.array(
        [
            sum(
                named(answer, questions.answers[question][relation])
                for answer, relation in zip(
                    _answers(run, images, _prompts(images, questions, question)), shown, strict=True
                )
            )
            for question in QUESTIONS
        ]
    )
    low, high = wilson_interval(hits, np.full(len(hits), len(images)))
    columns = {"accuracy": hits / len(images), "accuracy_low": low, "accuracy_high": high}
    columns["images"] = np.full(len(hits), len(images))
    return xr.Dataset({name: (PROMPT, column) for name, column in columns.items()}, {PROMPT: list(QUESTIONS)})


def _stated(run: StudyRuns, images: list[Picture], questions: RelationQuestions) -> xr.Dataset:
    """Share of answers that follow the relation, or the solving step, stated in words (asked, concept)."""
    sentences = {"stated": questions.state, "stated_step": questions.step}
    shares = {name: np.full((len(QUESTIONS), len(run.concepts)), np.nan) for name in sentences}
    for name, sentence in sentences.items():
        for place in np.ndindex(*shares[name].shape):
            question, concept = QUESTIONS[place[0]], run.concepts[place[1]]
            others = [image for image in images if questions.shown(image) != concept]
            prompts = [
                f"{sentence(image, concept)} {prompt}"
                for image, prompt in zip(others, _prompts(others, questions, question), strict=True)
            ]
            words = questions.answers[question][concept]
            shares[name][place] = np.mean([named(answer, words) for answer in _answers(run, others, prompts)])
    coords = {PROMPT: list(QUESTIONS), CONCEPT: run.concepts}
    return xr.Dataset({name: ((PROMPT, CONCEPT), values) for name, values in shares.items()}, coords)


def _steered(swept: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Effects of every edit on the answers (scope, edit_kind, asked, concept, layer)."""
    by_place = []
    for place in PLACES:
        by_edit = []
        for unit, dose in EDITS.values():
            cells = {q: swept[f"{q}, {place}, {unit}"].sel({STRENGTH: [dose]}) for q in QUESTIONS}
            rows = [_effects_at(cells[question]) for question in QUESTIONS]
            by_question = xr.concat(rows, xr.DataArray(list(QUESTIONS), dims=PROMPT, name=PROMPT))
            by_edit.append(by_question.assign(relation_itself=_naming_the_relation(cells[PROBLEM])))
        by_place.append(xr.concat(by_edit, xr.DataArray(list(EDITS), dims=EDIT, name=EDIT)))
    return xr.concat(by_place, xr.DataArray(list(PLACES), dims=SCOPE, name=SCOPE))


def _effects_at(grid: xr.Dataset) -> xr.Dataset:
    """Effects of one sweep at its only dose (concept, layer)."""
    share, word = (effect(grid, metric).isel({STRENGTH: 0}, drop=True) for metric in ("named", "logprob"))
    numbers = {"implied": share["mean"]}
    numbers |= {f"implied_{kind}": share["control_mean"].sel({CONTROL: kind}, drop=True) for kind in _CONTROLS}
    numbers |= {"logprob": word["difference"], "low": word["low"], "high": word["high"]}
    numbers |= {"clear": word["clear_of_controls"], "n": share["n"]}
    return xr.Dataset({name: variable.reset_coords(drop=True) for name, variable in numbers.items()})


def _naming_the_relation(grid: xr.Dataset) -> xr.DataArray:
    """Share of a problem's answers that name the relation of the vector itself (concept, layer)."""
    steered = grid.sel({CONTROL: CONCEPT_DIRECTION}, drop=True).isel({DRAW: 0, STRENGTH: 0}, drop=True)
    texts = steered["text"].transpose(CONCEPT, LAYER, SAMPLE)
    counted_images = steered["eligible"].transpose(CONCEPT, SAMPLE).values
    shares = np.full(texts.shape[:2], np.nan)
    for row, layer in np.ndindex(*shares.shape):
        answers = texts.values[row, layer][counted_images[row]]
        if len(answers):
            shares[row, layer] = np.mean([named(str(text), (str(texts[CONCEPT].values[row]),)) for text in answers])
    return xr.DataArray(shares, {CONCEPT: texts[CONCEPT].values, LAYER: texts[LAYER].values}, (CONCEPT, LAYER))


def _verdict(
    swept: Mapping[str, xr.Dataset],
    *,
    strength: float,
    scope: str,
    metric: str,
    unit: str,
    layers: str,
    control: str,
    half: str,
) -> np.ndarray:
    """Effect on recognition minus effect on the problem, on every image of one half [image]."""
    sides = []
    for question in (RECOGNITION, PROBLEM):
        values = value_by_image(swept[f"{question}, {scope}, {unit}"], metric, against=control)
        scores = values.sel({STRENGTH: strength}).transpose(LAYER, SAMPLE, CONCEPT).values
        by_image = mean(scores)
        chosen = in_half(by_image.shape[1], half)
        members, other = by_image[:, chosen], by_image[:, ~chosen]
        # The best block is chosen on the other half of the images.
        sides.append(members[int(np.nanargmax(mean(other)))] if layers == "best" else mean(members.T))
    return np.asarray(sides[0] - sides[1])


def summary_of(study: xr.Dataset) -> str:
    """Say whether a relation that is recognised is used, and what cannot be concluded.

    `study`: from :func:`recognition_vs_reasoning`.
    """
    accuracy = ", ".join(
        f"{question} {float(row['accuracy']):.2f} [{float(row['accuracy_low']):.2f}, {float(row['accuracy_high']):.2f}]"
        for question, row in ((question, study.sel({PROMPT: question})) for question in QUESTIONS)
    )
    lines = [
        f"{study.attrs['n_concepts']} relations that the model tells apart. Unsteered, right on "
        f"{int(study['images'][0])} images: {accuracy}."
    ]
    lines += [_place_line(study.sel({SCOPE: place, EDIT: _HEADLINE}), place) for place in PLACES]
    lines.append(_stated_line(study))
    lines += [counted(study), *baseline_lines(study)]
    return "\n".join(lines + few_concepts(list(study[CATEGORY].values.astype(str))))


def _place_line(some: xr.Dataset, place: str) -> str:
    means = some["implied"].mean(CONCEPT).transpose(PROMPT, LAYER)
    best = {question: int(means[LAYER].values[means.sel({PROMPT: question}).values.argmax()]) for question in QUESTIONS}
    shares = [
        f"{question} {float(means.sel({PROMPT: question, LAYER: best[question]})):.2f} (block {best[question]})"
        for question in QUESTIONS
    ]
    at_best = some.sel({LAYER: best[RECOGNITION]})
    random = float(some["implied_random"].mean())
    return (
        f"{place}, {_HEADLINE}: answers are those of the new relation in {', '.join(shares)}, random directions "
        f"{random:.2f}. At block {best[RECOGNITION]}, the best for recognition, the problem's answers follow it in "
        f"{float(at_best['implied'].sel({PROMPT: PROBLEM}).mean()):.2f} and name the relation itself in "
        f"{float(at_best['relation_itself'].mean()):.2f}."
    )


def _stated_line(study: xr.Dataset) -> str:
    stated = study["stated"].mean(CONCEPT)
    step = study["stated_step"].mean(CONCEPT)
    works = max(float(stated.sel({PROMPT: PROBLEM})), float(step.sel({PROMPT: PROBLEM}))) >= _FOLLOWED
    conclusion = (
        "the problem can be solved from words."
        if works
        else "the model does not follow a sentence against the image, so that these positive controls say nothing of "
        "what steering could do."
    )
    shares = ", ".join(f"{question} {float(stated.sel({PROMPT: question})):.2f}" for question in QUESTIONS)
    return (
        f"Stated in words instead: the relation is followed in {shares}; the solving step in the problem "
        f"{float(step.sel({PROMPT: PROBLEM})):.2f}: {conclusion}"
    )
