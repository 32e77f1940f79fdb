"""Exact counterfactuals: the same scene of the emoji world with one thing changed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mllm_probe.emoji.emoji_sampling import arranged_names, random_names, related_names, sample, scene_of
from mllm_probe.emoji.emoji_scene import EmojiScene, Item, grounds_for
from mllm_probe.emoji.lexicon import (
    ARRANGEMENTS,
    CONCEPTS,
    EMOTIONS,
    ENTITIES,
    RELATIONS,
    STYLES,
    icons_of,
    shown_by,
)
from mllm_probe.scenes.pairs import NEGATIVES
from mllm_probe.scenes.sampling import choose
from mllm_probe.scenes.vocabulary import NEUTRAL

EmojiPair = tuple[EmojiScene, EmojiScene]


def _other(g: np.random.Generator, among: Sequence[str], name: str) -> str:
    return choose(g, [one for one in among if one != name])


def _with(scene: EmojiScene, place: int, item: Item) -> EmojiScene:
    items = list(scene.items)
    items[place] = item
    return replace(scene, items=tuple(items))


def _shuffled(g: np.random.Generator, names: Sequence[str]) -> list[str]:
    return [names[i] for i in g.permutation(len(names))]


def _place(scene: EmojiScene, name: str) -> int:
    return [item.name for item in scene.items].index(name)


def _entity(concept: str, g: np.random.Generator, negative: str) -> EmojiPair:
    """A thing becomes another thing at the same place, or goes; then something else always stays."""
    beside = int(g.integers(negative == "remove", 2))
    names = _shuffled(g, [concept, *random_names(g, beside, without=(concept,))])
    with_it = scene_of(g, names, choose(g, STYLES))
    place = _place(with_it, concept)
    if negative == "remove":
        return with_it, replace(with_it, items=with_it.items[:place] + with_it.items[place + 1 :])
    icon = with_it.items[place].icon
    while shown_by(icon) in names or with_it.background not in grounds_for(icon):
        icon = choose(g, icons_of(choose(g, ENTITIES)))
    return with_it, _with(with_it, place, replace(with_it.items[place], icon=icon))


def _style(concept: str, g: np.random.Generator, negative: str) -> EmojiPair:
    """Every picture is in some style, so that a style removed is a style replaced."""
    with_it = replace(sample(g, kind=choose(g, ("one", "one", "two", "arrangement"))), style=concept)
    return with_it, replace(with_it, style=_other(g, STYLES, concept))


def _emotion(concept: str, g: np.random.Generator, negative: str) -> EmojiPair:
    names = [concept]
    if g.random() < 0.5:
        names = _shuffled(g, [concept, *random_names(g, 1, without=(concept,))])
    with_it = scene_of(g, names, choose(g, STYLES))
    place = _place(with_it, concept)
    face = NEUTRAL if negative == "remove" else _other(g, EMOTIONS, concept)
    return with_it, _with(with_it, place, replace(with_it.items[place], icon=choose(g, icons_of(face))))


def _abstract(concept: str, g: np.random.Generator, negative: str) -> EmojiPair:
    names = arranged_names(g, concept)
    with_it = replace(scene_of(g, names, choose(g, STYLES)), arrangement=concept)
    others = [one for one in ARRANGEMENTS if one != "loneliness" or len(names) == 1]
    return with_it, replace(with_it, arrangement=None if negative == "remove" else _other(g, others, concept))


def _relation(concept: str, g: np.random.Generator, negative: str) -> EmojiPair:
    other = None if negative == "remove" else _other(g, RELATIONS, concept)
    with_it = replace(scene_of(g, related_names(g), choose(g, STYLES)), relation=concept)
    return with_it, replace(with_it, relation=other)


_PAIRS: dict[str, Callable[[str, np.random.Generator, str], EmojiPair]] = {
    "entity": _entity,
    "visual_style": _style,
    "emotion": _emotion,
    "abstract": _abstract,
    "relation": _relation,
}


def pair(concept: str, rng: np.random.Generator, negative: str = "replace") -> EmojiPair:
    """Return a scene with a concept, and the same scene without it.

    `concept`: one of `CONCEPTS`. `negative` ({"replace", "remove"}): replacement of the concept: another value of the
    same slot, or nothing (the thing gone, the face neutral, the items standing freely). A style is replaced in both
    cases: every picture is in one. Returns: with the concept, without it. Raises ValueError for a concept that the
    emoji world lacks, or another `negative`.
    """
    if negative not in NEGATIVES:
        raise ValueError(f'negative is "replace" or "remove", not {negative!r}')
    if concept not in CONCEPTS:
        raise ValueError(f"the emoji world has no concept {concept!r}: it has {', '.join(CONCEPTS)}")
    return _PAIRS[CONCEPTS[concept].category](concept, rng, negative)
