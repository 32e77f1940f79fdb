"""Recognition versus reasoning: whether steering a relation changes what is named, and what is worked out from it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.concepts.relation_questions import (
    PROBLEM,
    QUESTIONS,
    RECOGNITION,
    RelationQuestions,
    drawn_relations,
)
from mllm_probe.generation import generate
from mllm_probe.metrics.statistics import t_interval, wilson_interval
from mllm_probe.metrics.text import named
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.patching import patch
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DIRECTION,
    DRAW,
    EDIT,
    GROUP,
    LAYER,
    PROMPT,
    SAMPLE,
    SCOPE,
    STRENGTH,
    WORDS,
    provenance,
)
from mllm_probe.steering.operations import CONCEPT as CONCEPT_DIRECTION
from mllm_probe.studies.baselines import baseline_rows, baselines
from mllm_probe.studies.cell_scores import broken_answers
from mllm_probe.studies.effect import effect, value_by_image
from mllm_probe.studies.multiverse import (
    PLACES,
    RECOGNITION_OR_REASONING,
    asked,
    conclusion,
    found,
    in_half,
    in_words,
    multiverse_rows,
    why_not,
)
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import MINIMUM_GAP, StudyRuns, few_concepts, library_of, mean_text

DOSES = (1.0, 2.0)
UNITS = {"residual": "residual norm", "vector": "vector"}
EDITS = {f"{dose:g} {name}{'s' * (dose != 1)}": (unit, dose) for unit, name in UNITS.items() for dose in DOSES}
COMPARED = (RECOGNITION, PROBLEM)
"""Questions whose effects are compared."""
GRIDS = (
    *(f"{question}, {place}, {unit}" for question in QUESTIONS for place in PLACES for unit in UNITS),
    *(f"{question}, interchange" for question in COMPARED),
)
DEPTHS = (0.125, 0.25, 0.5, 0.75, 1.0)
"""Relative depths of the blocks that are edited."""
_EACH, _DRAWS, _LONGEST = 3, 8, 6
_PAIRS, _LEAST_PAIRS = 6, 3
"""Counterfactual pairs of a relation: as many at most, and so many for a mean over them."""
_LEAST = {"logprob": MINIMUM_GAP, "named": 0.2}
"""Difference of a pair's images, in nats and in answers, below which effects are not given in shares of it."""
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
        Of the split, the halves and the controls.
    store : str or Path, optional
        Folder for the grids, from which a stopped study goes on.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        By ``asked`` (recognition, reading, problem): ``accuracy`` of the unsteered model with ``accuracy_low``,
        ``accuracy_high`` (95 % Wilson) and ``images``. By (scope, edit_kind, asked, concept, layer), ``scope`` being
        the tokens that are edited: ``implied`` (share of answers that the new relation implies; broken ones are none:
        see :func:`mllm_probe.studies.cell_scores.broken_answers`) and ``broken``, ``implied_random`` and
        ``implied_on_manifold`` (of controls), ``logprob`` (of that answer's word, concept minus random directions,
        nats) with ``low``, ``high``, ``clear``, and ``n`` images. By (scope, edit_kind, concept, layer): ``solved``,
        share of the problem's answers that follow the new relation, of the ``recognised`` images, whose steered answer
        to recognition names it; ``relation_itself``, share of the problem's answers that name the new relation instead
        of what follows from it. By (concept): ``solved_shown``, the same as ``solved`` on images that show the relation
        and are recognised unsteered, and ``pairs``, counterfactual pairs whose images pose the same questions. By
        (asked, concept, layer): ``interchange``, what the image tokens of the one put into the run on the other do to
        the implied word, nats. By (edit_kind, asked, concept): ``share``, effect of the edit of the image tokens on
        that word, in shares of interchange, over the blocks. By (asked, concept): ``stated`` and ``stated_step``, share
        of answers that follow a sentence.

        ``verdict`` (specification): effect on recognition minus effect on the problem, over relations, in every way of
        :data:`mllm_probe.studies.multiverse.RECOGNITION_OR_REASONING`, with what
        :func:`mllm_probe.studies.multiverse.asked` gives beside it. Baselines (concept) as
        :func:`mllm_probe.studies.baselines.baselines` gives them. Attributes ``prompt``, all that were asked;
        ``summary``, ``details``, ``n_concepts``.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, the library has none of the questions' relations or no
        image that poses the problem, or vectors or grids are of another model.

    Notes
    -----
    Only edits of the image tokens are compared: a push of the last token names a word, whatever the question, and
    leaves nothing to be worked out. An effect on a word is divided by that of interchange of the image tokens at the
    same blocks under the same prompt, an effect on answers by what changing the whole image does to them; unknown below
    3 pairs, .5 nats between their images, or .2 of the answers. Ways of ``"recognised"`` images take those whose
    steered answer to recognition names the new relation, for both questions, and pairs that are recognised unsteered.

    References
    ----------
    Question: Deng et al., arXiv 2605.05593, finding 4. Interchange: :func:`mllm_probe.patch`.
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
    swept = {f"{q}, {place}, {unit}": _swept(run, f"{q}, {place}, {unit}", images, questions)
             for q, place, unit in itertools.product(QUESTIONS, PLACES, UNITS)}  # fmt: skip
    pairs = asking_pairs(run, questions)
    natural = xr.merge([_interchanged(run, pairs, questions), _answered(run, pairs, questions)], combine_attrs="drop")
    shares = shares_of_interchange(swept, natural, seed)
    parts = [_unsteered(run, images, questions), _steered(swept), _stated(run, images, questions)]
    parts.append(_beside_interchange(natural, shares))
    result = xr.merge(parts, combine_attrs="drop", join="exact", compat="equals")
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})

    def over(**way: Any) -> np.ndarray:
        return np.subtract(*(shares(question, **way) for question in COMPARED))

    every_way = asked(RECOGNITION_OR_REASONING, over, seed=seed)
    beside = baselines(run, run.vectors(IMAGE, LAST_PROMPT), (IMAGE,), run.blocks_at(DEPTHS)[0])
    result = result.merge(every_way).merge(beside)
    posed = [prompt for image in images for prompt in (questions.ask(image) or {}).values()]
    facts = run.facts | {"prompt": list(dict.fromkeys(posed))}
    result = result.assign_attrs(facts | every_way.attrs | beside.attrs)
    return result.assign_attrs(words_of(result))


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
    grid = run.swept(
        name, vectors.assign_coords({WORDS: (CONCEPT, words)}), images,
        prompt=_prompts(images, questions, question), layers=run.blocks_at(DEPTHS), strengths=DOSES, unit=unit,
        tokens=tuple(place.split("+")), metrics=("logprob", "named", "perplexity"), controls=_CONTROLS, draws=_DRAWS,
        max_new_tokens=_LONGEST, answer_prefix="",
    )  # fmt: skip
    return without_broken(grid)


def without_broken(grid: xr.Dataset) -> xr.Dataset:
    """A sweep whose broken answers name nothing, with ``broken``, which they are."""
    # An answer of the relation's word alone has no other word, so that its perplexity is not known: it is not broken.
    broken = broken_answers(grid) & grid["perplexity"].notnull()
    return grid.assign(named=grid["named"].where(~broken, 0.0), broken=broken)


Pairs = Mapping[str, Sequence[tuple[Picture, Picture]]]


def asking_pairs(run: StudyRuns, questions: RelationQuestions) -> dict[str, list[tuple[Picture, Picture]]]:
    """Counterfactual pairs of every relation that pose one problem and show two relations of the questions.

    Interchange uses no vectors, so that images which made these are among them.
    """
    found_pairs: dict[str, list[tuple[Picture, Picture]]] = {name: [] for name in run.concepts}
    for library, name in itertools.product((run.others, run.subject.fitted), run.concepts):
        concept = None if library is None else library[name]
        for both in zip(concept.positive, concept.negative, strict=True) if concept and concept.paired else ():
            prompts = [questions.ask(image) for image in both]
            if prompts[0] is None or prompts[0] != prompts[1]:
                continue
            relations = [questions.shown(image) for image in both]
            if relations[0] == name != relations[1] and relations[1] in questions.relations:
                found_pairs[name].append(both)
    return {name: pairs[:_PAIRS] for name, pairs in found_pairs.items()}


def _interchanged(run: StudyRuns, pairs: Pairs, questions: RelationQuestions) -> xr.Dataset:
    """What interchange of the image tokens does to the implied word (asked, concept, layer, pair), and the gap."""
    grids = [
        run.grid(f"{question}, interchange", partial(_interchange, run, pairs, questions, question))
        for question in COMPARED
    ]
    return xr.concat(grids, xr.DataArray(list(COMPARED), dims=PROMPT, name=PROMPT), combine_attrs="drop")


def _interchange(
    run: StudyRuns, pairs: Pairs, questions: RelationQuestions, question: str, store: Path | None
) -> xr.Dataset:
    """One of its questions; pairs of one prompt are patched together."""
    layers, most = run.blocks_at(DEPTHS), max(1, *map(len, pairs.values()))
    moved, gap = np.full((len(pairs), len(layers), most), np.nan), np.full((len(pairs), most), np.nan)
    prompts: dict[str, dict[str, list[int]]] = {}
    for name, several in pairs.items():
        for number, (image, _) in enumerate(several):
            prompts.setdefault((questions.ask(image) or {})[question], {}).setdefault(name, []).append(number)
    for place, (prompt, members) in enumerate(prompts.items()):
        some = ConceptLibrary(
            replace(
                run.others[name], words=questions.answers[question][name],
                positive=[pairs[name][number][0] for number in numbers],
                negative=[pairs[name][number][1] for number in numbers],
            )
            for name, numbers in members.items()
        )  # fmt: skip
        grid = patch(
            run.model, some, prompt=prompt, layers=layers, groups=IMAGE, direction="insert", controls=(),
            answer_prefix="", seed=run.seed, store=store and store / f"{place}.zarr", progress=False,
        ).sel({GROUP: IMAGE, DIRECTION: "insert", CONTROL: "pair"})  # fmt: skip
        for name, numbers in members.items():
            here = grid.sel({CONCEPT: name}).isel({SAMPLE: slice(len(numbers))})
            row, base = run.concepts.index(name), here["logprob_base"]
            moved[row][:, numbers] = (here["logprob"] - base).transpose(LAYER, SAMPLE).values
            gap[row, numbers] = (here["logprob_source"] - base.mean(LAYER)).values
    data = {"moved": ((CONCEPT, LAYER, SAMPLE), moved), "gap": ((CONCEPT, SAMPLE), gap)}
    return xr.Dataset(data, {CONCEPT: run.concepts, LAYER: layers}, provenance(run.model, seed=run.seed))


def _answered(run: StudyRuns, pairs: Pairs, questions: RelationQuestions) -> xr.Dataset:
    """Whether unsteered answers are those of a pair's relation, on its two images (asked, concept, pair)."""
    most = max(1, *map(len, pairs.values()))
    table = np.full((2, len(COMPARED), len(pairs), most), np.nan)
    for side, (row, question), (column, name) in itertools.product(
        range(2), enumerate(COMPARED), enumerate(run.concepts)
    ):
        images = [both[side] for both in pairs[name]]
        answers = _answers(run, images, _prompts(images, questions, question))
        table[side, row, column, : len(images)] = [named(a, questions.answers[question][name]) for a in answers]
    data = {name: ((PROMPT, CONCEPT, SAMPLE), part) for name, part in zip(("says", "says_without"), table, strict=True)}
    return xr.Dataset(data, {PROMPT: list(COMPARED), CONCEPT: run.concepts})


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
            problem, known = (
                _own_rows(cells[question]).isel({STRENGTH: 0}, drop=True) for question in (PROBLEM, RECOGNITION)
            )
            solved = problem["named"].where(known["named"] == 1)
            by_edit.append(
                by_question.assign(
                    relation_itself=_naming_the_relation(problem),
                    solved=solved.mean(SAMPLE),
                    recognised=solved.count(SAMPLE),
                )
            )
        by_place.append(xr.concat(by_edit, xr.DataArray(list(EDITS), dims=EDIT, name=EDIT)))
    return xr.concat(by_place, xr.DataArray(list(PLACES), dims=SCOPE, name=SCOPE))


def _own_rows(grid: xr.Dataset) -> xr.Dataset:
    """Rows that are steered with the relation itself, of images that count (concept, layer, strength, sample)."""
    rows = grid.sel({CONTROL: CONCEPT_DIRECTION}, drop=True).isel({DRAW: 0}, drop=True)
    named_rows, broken = (rows[name].where(rows["eligible"]).reset_coords(drop=True) for name in ("named", "broken"))
    return xr.Dataset({"named": named_rows, "broken": broken, "text": rows["text"].reset_coords(drop=True)})


def _effects_at(grid: xr.Dataset) -> xr.Dataset:
    """Effects of one sweep at its only dose (concept, layer)."""
    share, word = (effect(grid, metric).isel({STRENGTH: 0}, drop=True) for metric in ("named", "logprob"))
    numbers = {"implied": share["mean"]}
    numbers |= {f"implied_{kind}": share["control_mean"].sel({CONTROL: kind}, drop=True) for kind in _CONTROLS}
    numbers |= {"logprob": word["difference"], "low": word["low"], "high": word["high"]}
    numbers |= {"clear": word["clear_of_controls"], "n": share["n"]}
    numbers["broken"] = _own_rows(grid)["broken"].isel({STRENGTH: 0}).mean(SAMPLE)
    return xr.Dataset({name: variable.reset_coords(drop=True) for name, variable in numbers.items()})


def _naming_the_relation(rows: xr.Dataset) -> xr.DataArray:
    """Share of a problem's answers that name the relation of the vector itself (concept, layer)."""
    texts, counts = rows["text"].transpose(CONCEPT, LAYER, SAMPLE), rows["named"].notnull() & (rows["broken"] != 1)
    words = texts[CONCEPT].values
    says = np.array(
        [
            [[named(str(text), (str(word),)) for text in row] for row in of]
            for word, of in zip(words, texts.values, strict=True)
        ]
    )
    return (texts.copy(data=says) & counts).sum(SAMPLE) / rows["named"].count(SAMPLE)


def shares_of_interchange(swept: Mapping[str, xr.Dataset], natural: xr.Dataset, seed: int) -> Callable[..., np.ndarray]:
    """Reader of the effects of image edits in shares of what interchange does under the same prompt.

    `swept`: by their names in ``GRIDS``. `natural` (asked, concept, …): ``moved``, ``gap`` and ``says`` of the pairs.
    `seed`: of the halves. Returns: ``shares(question, strength=, metric=, unit=, layers=, images=, control=, half=)``
    gives a share for every relation [concept]; NaN where it is not known.
    """
    best = int(
        natural[LAYER].values[int(natural["moved"].sel({PROMPT: RECOGNITION}).mean((CONCEPT, SAMPLE)).values.argmax())]
    )
    shown = natural["says"].sel({PROMPT: RECOGNITION}, drop=True) == 1

    @cache
    def effects(question: str, unit: str, metric: str, control: str) -> xr.DataArray:
        values = value_by_image(swept[f"{question}, {IMAGE}, {unit}"], metric, against=control)
        return values.reset_coords(drop=True)

    @cache
    def recognised(unit: str) -> xr.DataArray:
        return _own_rows(swept[f"{RECOGNITION}, {IMAGE}, {unit}"])["named"] == 1

    def shares(
        question: str, *, strength: float, metric: str, unit: str, layers: str, images: str, control: str, half: str
    ) -> np.ndarray:
        values = effects(question, unit, metric, control).sel({STRENGTH: strength})
        here = natural.sel({PROMPT: question})
        size = here["gap"] if metric == "logprob" else here["says"] - here["says_without"]
        does = here["moved"] if metric == "logprob" else size.expand_dims({LAYER: here[LAYER].values})
        if images == "recognised":
            values = values.where(recognised(unit).sel({STRENGTH: strength}))
            does, size = does.where(shown), size.where(shown)
        values = values.isel({SAMPLE: in_half(values.sizes[SAMPLE], half, seed)}).mean(SAMPLE)
        does = does.mean(SAMPLE).where(values.notnull())
        if layers == "best":
            values, does = values.sel({LAYER: [best]}), does.sel({LAYER: [best]})
        enough = (size.count(SAMPLE) >= _LEAST_PAIRS) & (size.mean(SAMPLE) >= _LEAST[metric])
        share = values.sum(LAYER, min_count=1) / does.sum(LAYER, min_count=1)
        result: np.ndarray = share.where(enough).sel({CONCEPT: natural[CONCEPT].values}).values
        return result

    return shares


def _beside_interchange(natural: xr.Dataset, shares: Callable[..., np.ndarray]) -> xr.Dataset:
    """Variables ``interchange``, ``share``, ``solved_shown`` and ``pairs`` of the study."""
    usual = RECOGNITION_OR_REASONING.usual | {"metric": "logprob", "layers": "mean", "images": "all"}
    table = [[shares(q, strength=dose, unit=unit, **usual) for q in COMPARED] for unit, dose in EDITS.values()]
    coords = {EDIT: list(EDITS), PROMPT: list(COMPARED), CONCEPT: natural[CONCEPT].values}
    share = xr.DataArray(np.array(table), coords, (EDIT, PROMPT, CONCEPT))
    says = natural["says"]
    solved = says.sel({PROMPT: PROBLEM}, drop=True).where(says.sel({PROMPT: RECOGNITION}, drop=True) == 1)
    found_values = {"interchange": natural["moved"].mean(SAMPLE), "share": share, "solved_shown": solved.mean(SAMPLE)}
    result = xr.Dataset(found_values | {"pairs": natural["gap"].isel({PROMPT: 0}, drop=True).count(SAMPLE)})
    return result.reindex({PROMPT: list(QUESTIONS)})


def words_of(study: xr.Dataset) -> dict[str, str]:
    """Attributes ``summary`` and ``details``: whether a relation that is recognised is used, and what is open.

    `study`: from :func:`recognition_vs_reasoning`.
    """
    cell = study.sel({SCOPE: IMAGE, EDIT: _HEADLINE})
    recognised = cell["implied"].sel({PROMPT: RECOGNITION}).mean(CONCEPT)
    block = int(recognised[LAYER].values[recognised.values.argmax()])
    at = cell.sel({LAYER: block})
    shares = {question: float(at["implied"].sel({PROMPT: question}).mean()) for question in COMPARED}
    why = why_not(study)
    random = float(at["implied_random"].sel({PROMPT: PROBLEM}).mean())
    sentences = [
        f"Asked of {study.attrs['n_concepts']} relations that the model tells apart: whether an edit of the image "
        "tokens towards another relation changes what is worked out from it as it changes what is recognised.",
        f"By {_HEADLINE} at block {block}, the best for recognition, {shares[RECOGNITION]:.2f} of its answers name the "
        f"new relation, and {shares[PROBLEM]:.2f} of those to the problem follow from it, {_share_text(at['solved'])} "
        f"where it is recognised ({_share_text(study['solved_shown'])} on images that show it, random directions "
        f"{random:.2f}): {used(at)}; {found(study, capital=False)}",
        f"Nothing is concluded about the paper: {why}." if why else conclusion(study),
    ]
    rows = [*_accuracy_rows(study), *_edit_rows(study), *_share_rows(study), _stated_row(study)]
    rows += [*multiverse_rows(study), *baseline_rows(study)]
    return in_words(sentences, rows + few_concepts(list(study[CATEGORY].values.astype(str))))


def used(at: xr.Dataset) -> str:
    """Say of an edit of the image tokens whether the relation is recognised and used, by t intervals over relations.

    `at`: the study at one scope, edit and block. An answer is changed where the share of those that the new relation
    implies lies above that of random directions, with an interval that excludes 0.
    """
    beyond = (at["implied"] - at["implied_random"]).transpose(PROMPT, CONCEPT)
    lows = {question: float(t_interval(beyond.sel({PROMPT: question}).values)[0]) for question in COMPARED}
    if not np.isfinite(list(lows.values())).all():
        return "too few relations to say whether the relation is used"
    if lows[RECOGNITION] <= 0:
        return "the edit does not change what is recognised"
    return "the relation is used" if lows[PROBLEM] > 0 else "the relation is not shown to be used"


def _share_text(values: xr.DataArray) -> str:
    return f"{float(values.mean()):.2f}" if values.notnull().any() else "not known"


def _accuracy_rows(study: xr.Dataset) -> Iterator[tuple[str, str]]:
    for question in QUESTIONS:
        row = study.sel({PROMPT: question})
        interval = f"[{float(row['accuracy_low']):.2f}, {float(row['accuracy_high']):.2f}]"
        yield (
            f"{question}, unsteered",
            f"right on {float(row['accuracy']):.2f} {interval} of {int(row['images'])} images",
        )


def _edit_rows(study: xr.Dataset) -> Iterator[tuple[str, str]]:
    """Rows about every edit: answers at the block that is best for each question, and controls over all blocks."""
    for place, edit in itertools.product(PLACES, EDITS):
        some, parts, beside = study.sel({SCOPE: place, EDIT: edit}), [], []
        for question in QUESTIONS:
            here = some.sel({PROMPT: question})
            means = here["implied"].mean(CONCEPT)
            best = {LAYER: int(means.values.argmax())}
            parts.append(f"{question} {float(means[best]):.2f} (block {int(means[LAYER][best])})")
            controls = [here[f"implied_{kind}"] for kind in _CONTROLS]
            beside.append(
                question + " " + ", ".join(f"{float(c.mean()):.2f} (largest {float(c.max()):.2f})" for c in controls)
            )
        best = {LAYER: int(some["implied"].sel({PROMPT: RECOGNITION}).mean(CONCEPT).values.argmax())}
        at, beyond = some.isel(best), "" if place == IMAGE else "; not counted: a push of the last token names a word"
        yield (
            f"answers of the new relation, {place}, {edit}",
            f"{', '.join(parts)}; at block {int(at[LAYER])} the problem's follow it in {_share_text(at['solved'])} "
            f"where it is recognised ({int(at['recognised'].sum())} answers) and name the relation itself in "
            f"{_share_text(at['relation_itself'])}; broken {_share_text(at['broken'])}{beyond}",
        )
        yield f"random, on-manifold directions, {place}, {edit}", "; ".join(beside)


def _share_rows(study: xr.Dataset) -> Iterator[tuple[str, str]]:
    """Rows about interchange, and the effects of edits in shares of it."""
    counts = ", ".join(
        f"{name} {int(count)}" for name, count in zip(study[CONCEPT].values, study["pairs"].values, strict=True)
    )
    yield "pairs that pose the problem", counts
    for question in COMPARED:
        does = study["interchange"].sel({PROMPT: question}).mean(CONCEPT)
        blocks = ", ".join(f"{float(value):+.1f} (block {int(value[LAYER])})" for value in does)
        yield f"interchange of the image tokens, {question}", f"{blocks} nats"
    for edit in EDITS:
        here = study["share"].sel({EDIT: edit})
        texts = [
            f"{question} {mean_text(here.sel({PROMPT: question}).values, 'of interchange', 2)}" for question in COMPARED
        ]
        yield f"log-probability, {IMAGE}, {edit}", "; ".join(texts)


def _stated_row(study: xr.Dataset) -> tuple[str, str]:
    """Row about sentences in place of steering."""
    stated, step = (study[name].mean(CONCEPT) for name in ("stated", "stated_step"))
    works = max(float(stated.sel({PROMPT: PROBLEM})), float(step.sel({PROMPT: PROBLEM}))) >= _FOLLOWED
    text = (
        "the problem can be solved from words"
        if works
        else "the model does not follow a sentence against the image, so that these positive controls say nothing of "
        "what steering could do"
    )
    shares = ", ".join(f"{question} {float(stated.sel({PROMPT: question})):.2f}" for question in QUESTIONS)
    solving = f"the solving step in the problem {float(step.sel({PROMPT: PROBLEM})):.2f}"
    return "stated in words instead", f"the relation is followed in {shares}; {solving}: {text}"
