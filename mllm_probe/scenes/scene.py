"""A scene as plain data, the words and colours of the drawn world, and combinations held out of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CATEGORIES = ("entity", "visual_style", "emotion", "abstract", "relation")

FIGURES = ("cat", "fish", "bird", "star", "heart", "key", "flower", "rocket")
GROUNDS = ("tree", "house", "car", "cup", "boat", "umbrella", "mushroom", "moon")
ENTITIES = tuple(sorted(FIGURES + GROUNDS))
STYLES = ("sketch", "pixelated", "dotted", "hatched", "blueprint", "neon", "silhouette", "cartoon")
EMOTIONS = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")
ABSTRACT = ("symmetry", "order", "chaos", "crowding", "loneliness", "balance", "rhythm", "emphasis")
LINE_RELATIONS = ("parallel", "crossing")
PLACED_RELATIONS = ("left", "right", "above", "below", "inside", "larger")
RELATIONS = PLACED_RELATIONS + LINE_RELATIONS

PLAIN = "plain"
"""The answer to the style question when the picture has no style."""
NEUTRAL = "neutral"
"""The answer to the emotion question when the face shows none."""
NONE = "none"
"""The answer when the slot that was asked for is empty."""

ADJECTIVES = {
    "amusement": "amused",
    "awe": "awed",
    "contentment": "content",
    "excitement": "excited",
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "sadness": "sad",
}

_FORMS = {
    **{name: (name, name + "s") for name in ENTITIES},
    "cat": ("cat", "cats", "kitten"),
    "fish": ("fish", "fishes"),
    "cup": ("cup", "cups", "mug"),
    "sketch": ("sketch", "sketched", "sketchy"),
    "pixelated": ("pixelated", "pixels"),
    "dotted": ("dotted", "dots"),
    "hatched": ("hatched", "hatching"),
    "blueprint": ("blueprint", "blueprints"),
    "silhouette": ("silhouette", "silhouettes"),
    "cartoon": ("cartoon", "cartoons"),
    **{name: (name, adjective) for name, adjective in ADJECTIVES.items()},
    "symmetry": ("symmetry", "symmetric", "symmetrical"),
    "order": ("order", "ordered", "orderly"),
    "chaos": ("chaos", "chaotic"),
    "crowding": ("crowding", "crowded"),
    "loneliness": ("loneliness", "lonely"),
    "balance": ("balance", "balanced"),
    "rhythm": ("rhythm", "rhythmic"),
    "emphasis": ("emphasis", "emphasised", "emphasized"),
    "crossing": ("crossing", "crossed"),
    "larger": ("larger", "bigger"),
}


@dataclass(frozen=True)
class SceneConcept:
    """One concept of the drawn world.

    `name`: the word with which the bundled models name it. `category`: one of `CATEGORIES`. `words`: every form that
    counts as naming it, the name first.
    """

    name: str
    category: str
    words: tuple[str, ...]


def _concepts() -> dict[str, SceneConcept]:
    names_of = dict(zip(CATEGORIES, (ENTITIES, STYLES, EMOTIONS, ABSTRACT, RELATIONS), strict=True))
    return {
        name: SceneConcept(name, category, _FORMS.get(name, (name,)))
        for category, names in names_of.items()
        for name in names
    }


CONCEPTS: dict[str, SceneConcept] = _concepts()
"""All 48 concepts by name."""


def names(category: str) -> tuple[str, ...]:
    """Return the concept names of one category, in a fixed order."""
    return tuple(concept.name for concept in CONCEPTS.values() if concept.category == category)


SIDE = 64.0
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Entity:
    """A thing: its kind, its colours, and its position when nothing else arranges it."""

    kind: str
    colour: Colour
    x: float
    y: float
    size: float
    flip: bool = False
    second: Colour = (120, 90, 60)


@dataclass(frozen=True)
class Face:
    """A face that shows an emotion, or none."""

    emotion: str | None
    colour: Colour
    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Pattern:
    """Six places filled by repeating the scene's entities in turn, one of them hidden by a question mark."""

    missing: int


@dataclass(frozen=True)
class Row:
    """The scene's three entities in a line; `large` marks those that are drawn large."""

    horizontal: bool
    large: tuple[bool, bool, bool]


@dataclass(frozen=True)
class Scene:
    """Everything that decides a picture.

    `style`: one of `STYLES`; None is flat colour.
    `entities`: with a relation the first one is its subject and the second its reference (a box if there is no second).
    `arrangement`: one of `ABSTRACT`: the entities are repeated and placed by it instead of by their own positions.
    `relation`: one of `RELATIONS`: between two things, or between two background lines.
    `pattern`, `row`: pictures that carry a problem.
    `seed`: decides the rest: exact places in arrangements and relations, directions of lines.
    """

    style: str | None
    entities: tuple[Entity, ...]
    background: Colour
    seed: int
    face: Face | None = None
    arrangement: str | None = None
    relation: str | None = None
    pattern: Pattern | None = None
    row: Row | None = None

    @property
    def given_pattern(self) -> Pattern:
        """The pattern; a ValueError without one."""
        if self.pattern is None:
            raise ValueError("this scene has no pattern: draw one with sample(rng, kind='pattern')")
        return self.pattern

    @property
    def given_row(self) -> Row:
        """The row; a ValueError without one."""
        if self.row is None:
            raise ValueError("this scene has no row: draw one with sample(rng, kind='row')")
        return self.row

    @property
    def placed_relation(self) -> str | None:
        """The relation between two things, if that is the kind of relation it has."""
        return None if self.relation in LINE_RELATIONS else self.relation

    @property
    def line_relation(self) -> str | None:
        """The relation between two lines, if that is the kind of relation it has."""
        return self.relation if self.relation in LINE_RELATIONS else None

    @property
    def subject(self) -> str | None:
        """Subject of the relation."""
        return self.entities[0].kind if self.placed_relation else None

    @property
    def reference(self) -> str | None:
        """Object of the relation: a thing or "box"."""
        if not self.placed_relation:
            return None
        return self.entities[1].kind if len(self.entities) > 1 else "box"


def visible_entities(scene: Scene) -> tuple[str, ...]:
    """Return the kinds of thing that can be seen, each once."""
    kinds = [entity.kind for entity in scene.entities]
    if scene.pattern is not None:
        count = len(kinds)
        kinds = [kinds[place % count] for place in range(6) if place != scene.pattern.missing]
    return tuple(dict.fromkeys(kinds))


def true_concepts(scene: Scene) -> tuple[str, ...]:
    """Return the names of all concepts that the picture shows.

    Returns: entities, then style, emotion, abstract concept and relation, where present.
    """
    emotion = scene.face.emotion if scene.face else None
    rest = (scene.style, emotion, scene.arrangement, scene.relation)
    return visible_entities(scene) + tuple(name for name in rest if name)


def every(first: Sequence[str], second: Sequence[str], stride: int, remainder: int, step: int) -> set[frozenset[str]]:
    """Return one of every `stride` pairs of two lists; `step` moves the choice from one of the first to the next."""
    return {
        frozenset((a, b))
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if (i * step + j) % stride == remainder
    }


HELD_OUT: frozenset[frozenset[str]] = frozenset(
    every(ENTITIES, STYLES, 16, 3, 5) | every(EMOTIONS, STYLES, 8, 5, 3) | every(ABSTRACT, ENTITIES, 16, 7, 5)
)
"""Pairs (entity, style), (emotion, style) and (abstract, entity) left out of training."""


def is_unseen(scene: Scene) -> bool:
    """Return whether the scene shows a combination that training left out."""
    concepts = true_concepts(scene)
    return any(frozenset((a, b)) in HELD_OUT for i, a in enumerate(concepts) for b in concepts[:i])


THING_COLOURS: tuple[Colour, ...] = (
    (214, 60, 60), (50, 110, 210), (50, 150, 75), (235, 150, 40), (150, 70, 180), (60, 175, 190), (215, 95, 150),
    (140, 105, 65), (240, 205, 70), (90, 90, 200), (160, 200, 80),
)  # fmt: skip
FACE_COLOURS: tuple[Colour, ...] = (
    (250, 210, 60), (150, 185, 235), (240, 120, 110), (200, 165, 225), (245, 170, 100), (150, 215, 165),
    (225, 205, 185), (245, 245, 235),
)  # fmt: skip


def _distance(a: Colour, b: Colour) -> int:
    return sum(abs(left - right) for left, right in zip(a, b, strict=True))


def brightness(colour: Colour) -> float:
    """Return the perceived brightness, 0 to 255."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def background(g: np.random.Generator) -> Colour:
    """Return a background: mostly pale, sometimes of a middling tone of any hue."""
    low, high = (222, 254) if g.random() < 0.65 else (95, 215)
    red, green, blue = (int(v) for v in g.integers(low, high, 3))
    return red, green, blue


def contrasting(
    g: np.random.Generator, ground: Colour, other: Colour | None = None, among: tuple[Colour, ...] = THING_COLOURS
) -> Colour:
    """Return a random colour that stands out from `ground`, and from `other` if given."""
    far = [c for c in among if _distance(c, ground) > 130 and (other is None or _distance(c, other) > 150)]
    far = far or [max(among, key=lambda c: _distance(c, ground))]
    return far[int(g.integers(len(far)))]
