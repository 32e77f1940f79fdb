"""Random scenes of the emoji world, and the combinations of concept and style that training leaves out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mllm_probe.emoji.art_files import COLOURED
from mllm_probe.emoji.emoji_scene import COLOURS, TEXTURES, EmojiScene, Item, grounds_for, true_concepts
from mllm_probe.emoji.lexicon import (
    ARRANGEMENTS,
    EMOTIONS,
    ENTITIES,
    FEELINGS,
    LANDMARKS,
    NOUNS,
    RELATIONS,
    STYLES,
    icons_of,
)
from mllm_probe.scenes.combinations import every
from mllm_probe.scenes.sampling import choose, free_places
from mllm_probe.scenes.vocabulary import NEUTRAL

MIXTURE = {"one": 0.4, "two": 0.3, "relation": 0.2, "arrangement": 0.1}
"""Share of each kind of scene."""
HELD_OUT: frozenset[frozenset[str]] = frozenset(every(ENTITIES, STYLES, 10, 3, 3) | every(EMOTIONS, STYLES, 10, 7, 3))
"""Pairs (entity, style) and (emotion, style) left out of training: a tenth, at most one style of each concept."""
COMBINATIONS = ("any", "seen", "unseen")

_FACES, _NEUTRAL = 0.16, 0.08
_ALONE, _AMONG_TWO = (17.0, 30.0), (11.5, 16.5)


def is_unseen(scene: EmojiScene) -> bool:
    """Return whether the scene shows a combination that training left out."""
    return any(frozenset((name, scene.style)) in HELD_OUT for name in true_concepts(scene))


def random_names(g: np.random.Generator, count: int, without: Sequence[str] = ()) -> list[str]:
    """Return `count` different nouns, one of them now and then a feeling: a picture shows one emotion at most."""
    names: list[str] = []
    while len(names) < count:
        if g.random() < _FACES and not any(name in FEELINGS for name in (*names, *without)):
            name = NEUTRAL if g.random() < _NEUTRAL else choose(g, EMOTIONS)
        else:
            name = choose(g, ENTITIES)
        if name not in names and name not in without:
            names.append(name)
    return names


def items_of(g: np.random.Generator, names: Sequence[str]) -> tuple[Item, ...]:
    """Return items that show these nouns and feelings at free positions, out of line where there are two."""
    low, high = _ALONE if len(names) == 1 else _AMONG_TWO
    places = free_places(g, [low] * len(names), [high] * len(names), diagonal=len(names) > 1)
    return tuple(
        Item(choose(g, icons_of(name)), *place, bool(g.random() < 0.3))
        for name, place in zip(names, places, strict=True)
    )


def scene_of(g: np.random.Generator, names: Sequence[str], style: str) -> EmojiScene:
    """Return a scene that shows these nouns and feelings in a style, standing freely."""
    items = items_of(g, names)
    clear = [name for name in COLOURS if all(name in grounds_for(item.icon) for item in items)]
    return EmojiScene(
        items,
        style,
        choose(g, clear or list(COLOURS)),
        int(g.integers(2**31)),
        choose(g, TEXTURES),
        choose(g, COLOURED),
    )


def related_names(g: np.random.Generator) -> list[str]:
    """Return the names of two things in a relation: anything to a landmark, so that the picture tells which is which.

    Of two cats one is as much left of the other as the other is right of it.
    """
    landmark = choose(g, LANDMARKS)
    return [*random_names(g, 1, without=LANDMARKS), landmark]


def arranged_names(g: np.random.Generator, arrangement: str) -> list[str]:
    """Return the names of what an arrangement repeats; who is lonely is alone."""
    return random_names(g, 1 if arrangement == "loneliness" else int(g.integers(1, 3)))


def _draw_one(g: np.random.Generator, kind: str, style: str) -> EmojiScene:
    if kind == "relation":
        relation = choose(g, RELATIONS)
        return replace(scene_of(g, related_names(g), style), relation=relation)
    if kind == "arrangement":
        arrangement = choose(g, ARRANGEMENTS)
        return replace(scene_of(g, arranged_names(g, arrangement), style), arrangement=arrangement)
    return scene_of(g, random_names(g, 2 if kind == "two" else 1), style)


def sample(rng: np.random.Generator, combinations: str = "any", kind: str | None = None) -> EmojiScene:
    """Return a random scene.

    `combinations` ({"any", "seen", "unseen"}): whether combinations of concept and style that training leaves out may,
    must not or must appear. `kind`: one of `MIXTURE`'s keys; by default drawn by its shares. Raises ValueError for
    other ``combinations`` or ``kind``.
    """
    if combinations not in COMBINATIONS:
        raise ValueError(f'combinations is "any", "seen" or "unseen", not {combinations!r}')
    kinds, shares = list(MIXTURE), np.array(list(MIXTURE.values()))
    if kind is not None and kind not in kinds:
        raise ValueError(f"kind is one of {', '.join(kinds)}, not {kind!r}")
    while True:
        drawn = kind or kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        scene = _draw_one(rng, drawn, choose(rng, STYLES))
        if combinations == "any" or is_unseen(scene) == (combinations == "unseen"):
            return scene


def group_members(group: str) -> tuple[str, ...]:
    """Return the nouns of a group, for instance "animal"."""
    return tuple(noun.name for noun in NOUNS.values() if noun.group == group)
