"""A scene as plain data: contents and positions. Lengths are in 64ths of the picture's side."""

from dataclasses import dataclass

from mllm_probe.scenes.vocabulary import LINE_RELATIONS

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
