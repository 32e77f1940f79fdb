"""Baselines of every study: the concept told in words in place of steering, and steering with a related concept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from mllm_probe.concepts import Concept, ConceptLibrary
from mllm_probe.concepts.told import sentences_about
from mllm_probe.metrics.statistics import mean
from mllm_probe.models import ProbeModel
from mllm_probe.models.prompts import unknown_words
from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, STRENGTH, WORDS, layer_name
from mllm_probe.studies.fitness import scoring_vectors
from mllm_probe.studies.study_runs import StudyRuns
from mllm_probe.sweeps import sweep

IMAGES = 4
"""Of each concept: baselines are means over concepts, and each costs a prompt of its own."""
_RELATED = " (related)"
_METRIC = "logprob"


def baselines(
    run: StudyRuns, vectors: xr.Dataset, tokens: Sequence[str], layer: int, *, strength: float = 1.0
) -> xr.Dataset:
    """What words do in place of steering, and what a related concept's vector does in place of the concept's own.

    `vectors`: of the concepts that are fit, at the scopes of ``tokens``.
    `tokens`: which are edited.
    `layer`: block that is edited.
    `strength`: in residual norms. Where it is negative, images show the concept and the sentence denies it; else they
        lack it and the sentence says that it is there.

    Returns: ``told_named``: share of answers that name the concept after the sentence, with ``plain_named`` without it;
    ``told_logprob``: change of the log-probability of its words by the sentence, in nats; NaN where the tokenizer knows
    no sentence about it. ``related``: change of the same words by the vector of the next concept of its category, in
    nats, with ``own``, that by its own; NaN where its category has no other. Attribute ``baseline_cell``: where, in
    words.
    """
    library = _few(run.others)
    found = _told(run, library, denied=strength < 0)
    found = found.merge(_beside_related(run, library, vectors, tokens, layer, strength))
    cell = f"{'+'.join(tokens)}, block {layer_name(layer)}, {strength:+g} residual norm"
    return found.assign_attrs(baseline_cell=cell)


def baseline_lines(study: xr.Dataset) -> list[str]:
    """Say what the baselines show, one sentence each.

    `study`: with the variables and the attribute of :func:`baselines`, by concept and perhaps others.
    """
    told = {name: study[name].where(study["told_named"].notnull()) for name in ("told_named", "plain_named")}
    unknown = study["told_named"].isnull()
    unknown = unknown.any([dim for dim in unknown.dims if dim != CONCEPT])
    lacking = [str(name) for name in study[CONCEPT].values[unknown.values]]
    known = f" Not known for {', '.join(lacking)}: the tokenizer lacks words of the sentences." if lacking else ""
    words = (
        "Told in words: no sentence is known."
        if unknown.all()
        else f"Told in words in place of steering: answers name the concept in {float(told['told_named'].mean()):.2f} "
        f"(plain prompt {float(told['plain_named'].mean()):.2f}), log-probability "
        f"{float(study['told_logprob'].mean()):+.1f} nats."
    )
    there = study["related"].notnull()
    related = (
        "Related concepts: no category has two concepts."
        if not there.any()
        else f"Steering with a related concept of the category changes the concept's words by "
        f"{float(study['related'].mean()):+.1f} nats, with its own vector by "
        f"{float(study['own'].where(there).mean()):+.1f} ({study.attrs['baseline_cell']})."
    )
    return [words + known, related]


def knows_the_words(model: ProbeModel, texts: Sequence[str]) -> bool:
    """Whether the tokenizer has a token for every word of some texts."""
    return not unknown_words(model.tokenizer, texts)


def told_sentence(model: ProbeModel, concept: Concept, *, denied: bool = False) -> str | None:
    """First sentence about a concept whose words the tokenizer knows; None if it knows none.

    `denied`: whether the sentence says that the concept is not there.
    """
    if model.tokenizer is None:
        return None
    sentences = sentences_about(concept.name, concept.category, denied=denied)
    return next((text for text in sentences if knows_the_words(model, [text])), None)


def _few(library: ConceptLibrary) -> ConceptLibrary:
    return ConceptLibrary(
        replace(one, positive=one.positive[:IMAGES], negative=one.negative[:IMAGES]) for one in library.values()
    )


def _told(run: StudyRuns, library: ConceptLibrary, *, denied: bool) -> xr.Dataset:
    """Answers after a sentence about each concept, on its images, against those without (concept)."""
    plain = run.model.default_prompt if run.prompt is None else run.prompt
    sentences = {name: told_sentence(run.model, one, denied=denied) for name, one in library.items()}
    rows = [
        (name, picture, text)
        for name, sentence in sentences.items()
        for picture in (library[name].positive if denied else library[name].negative)
        for text in (plain, *([] if sentence is None else [f"{sentence} {plain}"]))
    ]
    rows.sort(key=lambda row: row[2])  # prompts of one length run in one batch where they follow each other
    grid = sweep(
        run.model, scoring_vectors(run.model, library), [picture for _, picture, _ in rows],
        [text for _, _, text in rows], layers=[0], strengths=(0,), unit="raw", controls=(), metrics=(_METRIC, "named"),
        progress=False,
    )  # fmt: skip
    columns: dict[str, list[float]] = {name: [] for name in ("told_named", "plain_named", "told_logprob")}
    for name in library:
        one = grid.sel({CONCEPT: name})
        own = [[p for p, row in enumerate(rows) if row[0] == name and (row[2] == plain) == side] for side in (1, 0)]
        before, after = (one.isel({SAMPLE: places}) for places in own)
        columns["plain_named"].append(float(mean(before["named_unsteered"].values)))
        columns["told_named"].append(float(mean(after["named_unsteered"].values)) if own[1] else np.nan)
        change = after[f"{_METRIC}_unsteered"].values - before[f"{_METRIC}_unsteered"].values if own[1] else [np.nan]
        columns["told_logprob"].append(float(mean(np.asarray(change, np.float64))))
    return xr.Dataset({name: (CONCEPT, values) for name, values in columns.items()}, {CONCEPT: list(library)})


def related_concepts(library: ConceptLibrary) -> dict[str, str]:
    """For each concept the next one of its category, the first after the last; without those that are alone in it."""
    members = {kind: [name for name, one in library.items() if one.category == kind] for kind in library.categories}
    return {
        name: names[(place + 1) % len(names)]
        for names in members.values()
        if len(names) > 1
        for place, name in enumerate(names)
    }


def _beside_related(
    run: StudyRuns, library: ConceptLibrary, vectors: xr.Dataset, tokens: Sequence[str], layer: int, strength: float
) -> xr.Dataset:
    """Change of each concept's words by its own vector and by that of a related concept (concept)."""
    others = related_concepts(library)
    whole = xr.Dataset(
        {name: (CONCEPT, np.full(len(library), np.nan)) for name in ("own", "related")}, {CONCEPT: list(library)}
    )
    if not others:
        return whole
    both = xr.concat(
        [vectors.sel({CONCEPT: list(others)}), _under(vectors.sel({CONCEPT: list(others.values())}), library, others)],
        CONCEPT, data_vars="minimal", coords="minimal", compat="override", join="override", combine_attrs="override",
    )  # fmt: skip
    images = [library[name] for name in others]
    images += [replace(one, name=one.name + _RELATED) for one in images]
    grid = sweep(
        run.model, both, ConceptLibrary(images), run.prompt, layers=[layer_name(layer)], strengths=(strength,),
        tokens=tuple(tokens), metrics=(_METRIC,), controls=(), seed=run.seed, progress=False,
    )  # fmt: skip
    change = grid[_METRIC].isel({LAYER: 0, STRENGTH: 0, CONTROL: 0, DRAW: 0}, drop=True) - grid[f"{_METRIC}_unsteered"]
    for place, name in enumerate(library):
        if name in others:
            # A vector that stands under two names is run once, on the images of both.
            own = [one.id for one in (library[name].positive if strength < 0 else library[name].negative)]
            here = change.sel({SAMPLE: own}).mean(SAMPLE)
            whole["own"][place] = here.sel({CONCEPT: name})
            whole["related"][place] = here.sel({CONCEPT: name + _RELATED})
    return whole


def _under(vectors: xr.Dataset, library: ConceptLibrary, others: dict[str, str]) -> xr.Dataset:
    """Vectors of related concepts under the names of those whose words they are to change, with these words."""
    words = [json.dumps(list(library[name].words)) for name in others]
    vectors = vectors.assign_coords({CONCEPT: [name + _RELATED for name in others]})
    return vectors.assign({WORDS: (CONCEPT, words)})
