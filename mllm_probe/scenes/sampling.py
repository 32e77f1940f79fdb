"""Random scenes, and exact counterfactuals: the same scene with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mllm_probe.scenes import scene as colours
from mllm_probe.scenes.scene import (
    ABSTRACT,
    CONCEPTS,
    EMOTIONS,
    ENTITIES,
    FIGURES,
    GROUNDS,
    LINE_RELATIONS,
    PLACED_RELATIONS,
    SIDE,
    STYLES,
    Entity,
    Face,
    Pattern,
    Row,
    Scene,
    is_unseen,
)

MIXTURE = {
    "free": 0.17,
    "face": 0.2,
    "lines": 0.09,
    "relation": 0.25,
    "arrangement": 0.17,
    "pattern": 0.05,
    "row": 0.07,
}
"""Share of each kind of scene."""

T = TypeVar("T")
_BETWEEN_THINGS = 0.65
_PLAIN = 1 / 9
_OFTEN_PLACED = (*PLACED_RELATIONS, "left", "right")


def choose(g: np.random.Generator, among: Sequence[T]) -> T:
    """Return one element of a sequence."""
    return among[int(g.integers(len(among)))]


def different_kinds(g: np.random.Generator, count: int, without: Sequence[str] = ()) -> list[str]:
    """Return `count` different kinds of entity."""
    kinds = [kind for kind in ENTITIES if kind not in without]
    return [kinds[i] for i in g.permutation(len(kinds))[:count]]


def _clear(places: list[tuple[float, float, float]], diagonal: bool) -> bool:
    for i, (x, y, r) in enumerate(places):
        for u, v, s in places[:i]:
            if (x - u) ** 2 + (y - v) ** 2 < (r + s + 0.5) ** 2:
                return False
            if diagonal and min(abs(x - u), abs(y - v)) < 9:
                return False
    return True


def _inside(size: float, share: float) -> float:
    """Coordinate of a thing that is wholly in the picture; a share from 0 to 1 goes from one side to the other."""
    low, high = size + 1, SIDE - 1 - size
    return low + (high - low) * share


def free_places(
    g: np.random.Generator, smallest: Sequence[float], largest: Sequence[float], diagonal: bool
) -> list[tuple[float, float, float]]:
    """Return places (x, y, half-size) that do not overlap.

    `smallest`, `largest`: bounds of each half-size. `diagonal`: keep things out of line, so that no two of them look
    like left, right, above or below.
    """
    low, high = [float(size) for size in smallest], [float(size) for size in largest]
    for _ in range(300):
        # Most placements are refused, so one call draws all numbers of a placement: those that `Generator.uniform`
        # would draw one by one, at a small part of its cost.
        share = iter(g.random(3 * len(low)).tolist())
        sizes = [a + (max(b, a + 0.1) - a) * next(share) for a, b in zip(low, high, strict=True)]
        places = [(_inside(r, next(share)), _inside(r, next(share)), r) for r in sizes]
        if _clear(places, diagonal):
            return places
        high = [max(a, b - 0.05) for a, b in zip(low, high, strict=True)]
    corners = [(16.0, 16.0), (48.0, 48.0), (48.0, 16.0), (16.0, 48.0)]
    return [(*corners[i], min(r, 15.0)) for i, r in enumerate(low)]


def free_scene(
    g: np.random.Generator, style: str | None, kinds: Sequence[str], face: bool = False, emotion: str | None = None
) -> Scene:
    """Return a scene of things at free positions, and a face if asked for."""
    background = colours.background(g)
    places = free_places(
        g, [14] * face + [11] * len(kinds), [18] * face + [16] * len(kinds), diagonal=len(kinds) == 2 and not face
    )
    shown = Face(emotion, colours.contrasting(g, background, among=colours.FACE_COLOURS), *places[0]) if face else None
    entities = []
    for kind, place in zip(kinds, places[int(face) :], strict=True):
        colour, second = colours.contrasting(g, background), colours.contrasting(g, background)
        entities.append(Entity(kind, colour, *place, bool(g.integers(2)), second))
    return Scene(style, tuple(entities), background, int(g.integers(2**31)), shown)


def related_kinds(g: np.random.Generator) -> list[str]:
    """Return the kinds in a relation: a figure against a ground, or anything against a box."""
    if g.random() < _BETWEEN_THINGS:
        return [choose(g, FIGURES), choose(g, GROUNDS)]
    return [choose(g, ENTITIES)]


def _random_scene(g: np.random.Generator, kind: str, style: str | None) -> Scene:
    if kind == "free":
        return free_scene(g, style, different_kinds(g, choose(g, (0, *[1] * 9, *[2] * 9, *[3] * 4))))
    if kind == "face":
        emotion = None if g.random() < 0.1 else choose(g, EMOTIONS)
        return free_scene(g, style, different_kinds(g, choose(g, (0, 0, 1, 1, 2))), True, emotion)
    if kind == "lines":
        face = g.random() < 0.2
        kinds = different_kinds(g, choose(g, (0, 1, 1, 2)))
        scene = free_scene(g, style, kinds, face, choose(g, EMOTIONS) if face else None)
        return replace(scene, relation=choose(g, LINE_RELATIONS))
    if kind == "relation":
        return replace(free_scene(g, style, related_kinds(g)), relation=choose(g, _OFTEN_PLACED))
    if kind == "arrangement":
        return arranged(g, style, choose(g, ABSTRACT))
    if kind == "pattern":
        scene = free_scene(g, style, different_kinds(g, choose(g, (2, 3))))
        return replace(scene, pattern=Pattern(int(g.integers(6))))
    return replace(free_scene(g, style, different_kinds(g, 3)), row=random_row(g))


def random_row(g: np.random.Generator) -> Row:
    """Return a row whose ends differ in size."""
    first, middle = (bool(v) for v in g.integers(0, 2, 2))
    return Row(bool(g.integers(2)), (first, middle, not first))


def arranged(g: np.random.Generator, style: str | None, arrangement: str) -> Scene:
    """Return a scene whose things are placed by an arrangement; one that is lonely has one thing, or one face."""
    lonely = arrangement == "loneliness"
    if lonely and g.random() < 0.2:
        return replace(free_scene(g, style, [], True, choose(g, EMOTIONS)), arrangement=arrangement)
    count = 1 if lonely else int(g.integers(1, 3))
    return replace(free_scene(g, style, different_kinds(g, count)), arrangement=arrangement)


def random_style(g: np.random.Generator) -> str | None:
    """Return a style, now and then none."""
    return None if g.random() < _PLAIN else choose(g, STYLES)


def sample(rng: np.random.Generator, combinations: str = "any", kind: str | None = None) -> Scene:
    """Return a random scene.

    `combinations` ({"any", "seen", "unseen"}): whether combinations of concepts that training leaves out may, must not
    or must appear. `kind`: one of `MIXTURE`'s keys; by default drawn by its shares.
    """
    if combinations not in ("any", "seen", "unseen"):
        raise ValueError(f'combinations is "any", "seen" or "unseen", not {combinations!r}')
    kinds, shares = list(MIXTURE), np.array(list(MIXTURE.values()))
    while True:
        drawn = kind or kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        scene = _random_scene(rng, drawn, random_style(rng))
        if combinations == "any" or is_unseen(scene) == (combinations == "unseen"):
            return scene


NEGATIVES = ("replace", "remove")
Pair = tuple[Scene, Scene]


def _other(g: np.random.Generator, among: Sequence[str], name: str) -> str:
    return choose(g, [other for other in among if other != name])


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
    others = [arrangement for arrangement in ABSTRACT if arrangement != "loneliness" or len(with_it.entities) == 1]
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
