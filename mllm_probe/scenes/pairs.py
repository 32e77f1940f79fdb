"""Exact counterfactuals: the same scene with one thing changed, and scenes that lack a concept altogether."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mllm_probe.scenes.sampling import (
    arranged,
    choose,
    different_kinds,
    free_scene,
    random_style,
    related_kinds,
    sample,
)
from mllm_probe.scenes.scene import Scene
from mllm_probe.scenes.vocabulary import (
    ABSTRACT,
    CONCEPTS,
    EMOTIONS,
    LINE_RELATIONS,
    PLACED_RELATIONS,
    STYLES,
)

NEGATIVES = ("replace", "remove")
Pair = tuple[Scene, Scene]


def _other(g: np.random.Generator, among: Sequence[str], name: str) -> str:
    return choose(g, [one for one in among if one != name])


def _entity(concept: str, g: np.random.Generator, negative: str) -> Pair:
    """A thing becomes another thing at the same place, or goes; something else always stays."""
    style = random_style(g)
    if g.random() < 0.3:
        with_it = free_scene(g, style, [concept], True, choose(g, (*EMOTIONS, None)))
    else:
        kinds = [concept, *different_kinds(g, int(g.integers(negative == "remove", 2)), without=(concept,))]
        with_it = free_scene(g, style, [kinds[i] for i in g.permutation(len(kinds))])
    if negative == "remove":
        return with_it, replace(with_it, entities=tuple(e for e in with_it.entities if e.kind != concept))
    kind = different_kinds(g, 1, without=[e.kind for e in with_it.entities])[0]
    swapped = tuple(replace(e, kind=kind) if e.kind == concept else e for e in with_it.entities)
    return with_it, replace(with_it, entities=swapped)


def _style(concept: str, g: np.random.Generator, negative: str) -> Pair:
    with_it = replace(sample(g, kind=choose(g, ("free", "free", "face", "arrangement"))), style=concept)
    return with_it, replace(with_it, style=None if negative == "remove" else _other(g, STYLES, concept))


def _emotion(concept: str, g: np.random.Generator, negative: str) -> Pair:
    with_it = free_scene(g, random_style(g), different_kinds(g, int(g.integers(0, 3))), True, concept)
    emotion = None if negative == "remove" else _other(g, EMOTIONS, concept)
    face = None if with_it.face is None else replace(with_it.face, emotion=emotion)
    return with_it, replace(with_it, face=face)


def _abstract(concept: str, g: np.random.Generator, negative: str) -> Pair:
    with_it = arranged(g, random_style(g), concept)
    while not with_it.entities:
        with_it = arranged(g, random_style(g), concept)
    if negative == "remove":
        return with_it, replace(with_it, arrangement=None)
    others = [one for one in ABSTRACT if one != "loneliness" or len(with_it.entities) == 1]
    return with_it, replace(with_it, arrangement=_other(g, others, concept))


def _relation(concept: str, g: np.random.Generator, negative: str) -> Pair:
    among: tuple[str, ...]
    if concept in LINE_RELATIONS:
        kinds, among = different_kinds(g, int(g.integers(0, 3))), LINE_RELATIONS
    else:
        kinds, among = related_kinds(g), PLACED_RELATIONS
    with_it = replace(free_scene(g, random_style(g), kinds), relation=concept)
    return with_it, replace(with_it, relation=None if negative == "remove" else _other(g, among, concept))


_PAIRS: dict[str, Callable[[str, np.random.Generator, str], Pair]] = {
    "entity": _entity,
    "visual_style": _style,
    "emotion": _emotion,
    "abstract": _abstract,
    "relation": _relation,
}


def _category(concept: str) -> str:
    if concept not in CONCEPTS:
        raise ValueError(f"the drawn world has no concept {concept!r}: it has {', '.join(CONCEPTS)}")
    return CONCEPTS[concept].category


def pair(concept: str, rng: np.random.Generator, negative: str = "replace") -> Pair:
    """Return a scene with a concept, and the same scene without it.

    `concept`: one of `CONCEPTS`. `negative` ({"replace", "remove"}): replacement of the concept: another value of the
    same slot, or nothing (the thing gone, the face neutral, the style plain, the things standing freely). Returns: with
    the concept, without it. Raises ValueError for a concept that the drawn world lacks, or another `negative`.
    """
    if negative not in NEGATIVES:
        raise ValueError(f'negative is "replace" or "remove", not {negative!r}')
    return _PAIRS[_category(concept)](concept, rng, negative)


def neutral(concept: str, rng: np.random.Generator) -> Scene:
    """Return a scene that lacks a concept: one or two things standing freely, half the time plain.

    `concept`: one of `CONCEPTS`. Returns: for an emotion, half of the scenes have a face, which is neutral.
    """
    category = _category(concept)
    style = None if rng.random() < 0.5 else _other(rng, STYLES, concept)
    kinds = different_kinds(rng, int(rng.integers(1, 3)), without=(concept,))
    face = category == "emotion" and rng.random() < 0.5
    return free_scene(rng, style, kinds, face)
