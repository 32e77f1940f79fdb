"""Scenes of the emoji world as plain data, drawn at random or as exact counterfactual pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mllm_probe.emoji.lexicon import (
    ARRANGEMENTS,
    COLOURED,
    CONCEPTS,
    EMOTIONS,
    ENTITIES,
    FEELINGS,
    LANDMARKS,
    NOUNS,
    RELATIONS,
    STYLES,
    icon_facts,
    icons_of,
    is_face,
    shown_by,
)
from mllm_probe.scenes.placement import Placed, shapes_in
from mllm_probe.scenes.sampling import NEGATIVES, choose, free_places
from mllm_probe.scenes.scene import NEUTRAL, Colour, Entity, Scene, every

COLOURS: dict[str, Colour] = {
    "red": (214, 60, 60),
    "orange": (240, 150, 60),
    "yellow": (245, 215, 90),
    "green": (90, 175, 95),
    "blue": (80, 130, 220),
    "purple": (150, 95, 200),
    "pink": (245, 170, 195),
    "white": (248, 248, 248),
    "gray": (150, 150, 150),
    "brown": (140, 95, 65),
}
"""Background colours by name."""
TEXTURES = ("plain", "gradient", "cloudy")
_GROUND_OF_STYLE = {"blueprint": "blue", "neon": "black"}
GROUNDS = (*COLOURS, "black")
"""Every colour that a background is said to have."""

_CLEAR = 90


@cache
def grounds_for(icon: str) -> frozenset[str]:
    """Return the backgrounds that an icon stands out from: none of its art sets has nearly that mean colour."""
    means = [icon_facts()[icon]["colours"][style] for style in COLOURED]
    return frozenset(
        name
        for name, colour in COLOURS.items()
        if all(sum(abs(a - b) for a, b in zip(colour, mean, strict=True)) > _CLEAR for mean in means)
    )


@dataclass(frozen=True)
class Item:
    """One emoji: its icon, its centre and half-size when nothing else arranges it, mirrored or not."""

    icon: str
    x: float
    y: float
    size: float
    flip: bool = False

    @property
    def name(self) -> str:
        """Noun or feeling that it shows."""
        return shown_by(self.icon)

    @property
    def is_face(self) -> bool:
        """Whether it is a face with a feeling, and not a thing."""
        return is_face(self.icon)


@dataclass(frozen=True)
class EmojiScene:
    """Everything that decides a picture.

    `items`: with a relation the first one is its subject and the second its reference, one of `LANDMARKS`.
    `style`: one of `STYLES`.
    `background`: one of `COLOURS`; blueprint and neon have a ground of their own, tinted by it.
    `seed`: decides the rest: exact places in arrangements and relations, the ground's tone.
    `texture`: one of `TEXTURES`.
    `source`: art set of which a processed style is made, one of `COLOURED`.
    `arrangement`: one of `ARRANGEMENTS`: the items are repeated and placed by it instead of by their own positions.
    `relation`: one of `RELATIONS`, of the first item to the second.
    """

    items: tuple[Item, ...]
    style: str
    background: str
    seed: int
    texture: str = "plain"
    source: str = "flat"
    arrangement: str | None = None
    relation: str | None = None

    @property
    def ground(self) -> str:
        """Name of the colour that the background has in this style, one of `GROUNDS`."""
        return _GROUND_OF_STYLE.get(self.style, self.background)


def true_concepts(scene: EmojiScene) -> tuple[str, ...]:
    """Return the names of all concepts that the picture shows.

    Returns: what the items show (a neutral face shows none), then style, arrangement and relation, where present.
    """
    names = [item.name for item in scene.items if not item.is_face or item.name in EMOTIONS]
    rest = (scene.style, scene.arrangement, scene.relation)
    return tuple(dict.fromkeys([*names, *(name for name in rest if name)]))


def layout(scene: EmojiScene) -> list[Placed]:
    """Return every shape of the picture, from back to front: the drawn world's layout of the same scene.

    Returns: ``shape`` is the number of an item as text, "beam" or "window".
    """
    colour = COLOURS[scene.background]
    entities = [Entity(str(i), colour, item.x, item.y, item.size, item.flip) for i, item in enumerate(scene.items)]
    drawn = Scene(None, tuple(entities), colour, scene.seed, arrangement=scene.arrangement, relation=scene.relation)
    return shapes_in(drawn)


MIXTURE = {"one": 0.35, "two": 0.25, "relation": 0.15, "arrangement": 0.25}
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


def _random_scene(g: np.random.Generator, kind: str, style: str) -> EmojiScene:
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
        scene = _random_scene(rng, drawn, choose(rng, STYLES))
        if combinations == "any" or is_unseen(scene) == (combinations == "unseen"):
            return scene


def group_members(group: str) -> tuple[str, ...]:
    """Return the nouns of a group, for instance "animal"."""
    return tuple(noun.name for noun in NOUNS.values() if noun.group == group)


EmojiPair = tuple[EmojiScene, EmojiScene]


def _other(g: np.random.Generator, among: Sequence[str], name: str) -> str:
    return choose(g, [other for other in among if other != name])


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
    others = [arrangement for arrangement in ARRANGEMENTS if arrangement != "loneliness" or len(names) == 1]
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
