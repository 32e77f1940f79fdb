"""Placement of a scene's shapes. Lengths are in 64ths of the picture's side."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mllm_probe.scenes.scene import SIDE, Colour, Entity, Scene, contrasting

INK: Colour = (35, 35, 45)
CENTRE = SIDE / 2
_CENTRES_OF_HOLES = {
    "umbrella": (0, -0.35),
    "tree": (0, 0.05),
    "house": (0, 0.3),
    "mushroom": (0, -0.25),
    "moon": (0.2, 0),
    "boat": (0, 0.1),
}


@dataclass(frozen=True)
class Placed:
    """One shape in the picture: key into the shapes, colours, centre, half-size, mirrored or not, turn in radians."""

    shape: str
    colour: Colour
    x: float
    y: float
    size: float
    second: Colour = (120, 90, 60)
    flip: bool = False
    turn: float = 0.0
    emotion: str | None = None


class Seeded(Protocol):
    """A scene whose seed decides the rest."""

    @property
    def seed(self) -> int:
        """The seed."""


def random_of(scene: Seeded, part: int) -> np.random.Generator:
    """Return the generator of one part of the scene, so that changing one part leaves the others' draws alone."""
    return np.random.default_rng([scene.seed, part])


def _put(
    entity: Entity,
    x: float,
    y: float,
    size: float,
    turn: float = 0.0,
    colour: Colour | None = None,
    flip: bool | None = None,
) -> Placed:
    flip = entity.flip if flip is None else flip
    return Placed(
        entity.kind, colour or entity.colour, float(x), float(y), float(size), entity.second, flip, float(turn)
    )


def _symmetry(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    two = a is not b
    rows = [(a, g.uniform(13, 17) if two else g.uniform(16, 48), g.uniform(14, 18), g.uniform(10, 12.5))]
    if two:
        rows.append((b, g.uniform(46, 50), g.uniform(12, 19), g.uniform(10, 12)))
    return [
        _put(entity, CENTRE + sign * dx, y, size, flip=sign > 0) for entity, y, dx, size in rows for sign in (-1, 1)
    ]


def _order(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    by_row = int(g.integers(2))
    cells = [(i, j) for i in range(3) for j in range(3)]
    return [_put((a, b)[(i if by_row else j) % 2], 12 + 20 * j, 12 + 20 * i, 9.4) for i, j in cells]


def _chaos(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    cells = [(x, y) for x in (12, 32, 52) for y in (12, 32, 52)]
    placed = []
    for i, cell in enumerate(g.permutation(9)[: int(g.integers(6, 9))]):
        x, y = np.array(cells[cell]) + g.uniform(-6, 6, 2)
        turn = g.choice([-1, 1]) * g.uniform(0.5, 2.6)
        placed.append(_put((a, b)[i % 2], x, y, g.uniform(8, 12), turn, contrasting(g, scene.background)))
    return placed


def _crowding(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    order = g.permutation(16)
    placed = []
    for i in range(22):
        cell = order[i % 16]
        x, y = np.array([8 + 16 * (cell % 4), 8 + 16 * (cell // 4)]) + g.uniform(-5, 5, 2)
        colour = contrasting(g, scene.background)
        placed.append(_put((a, b)[i % 2], x, y, g.uniform(8.5, 10.5), g.uniform(-0.15, 0.15), colour))
    return placed


def _loneliness(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    return [_put(a, *_corner(g), g.uniform(8.3, 9.5))]


def _corner(g: np.random.Generator) -> tuple[float, float]:
    x, y = (g.uniform(10, 13) if g.integers(2) else g.uniform(51, 54) for _ in range(2))
    return x, y


def _balance(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    y, size, dx = g.uniform(38, 48), g.uniform(11, 13), g.uniform(15, 18)
    beam = Placed("beam", INK, CENTRE, y, 29.0, contrasting(g, scene.background))
    return [beam, _put(a, CENTRE - dx, y - 2 - size, size), _put(b, CENTRE + dx, y - 2 - size, size)]


def _rhythm(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    phase, sizes, lift = int(g.integers(2)), (g.uniform(8.6, 9.2), g.uniform(5.2, 5.8)), g.uniform(3, 4.5)
    placed = []
    for row, entity in enumerate((a, b)):
        for column in range(4):
            small = (column + phase) % 2
            y = 18 + 28 * row + (lift if small else -lift)
            placed.append(_put(entity, 9 + 15.4 * column, y, sizes[small]))
    return placed


def _emphasis(g: np.random.Generator, a: Entity, b: Entity, scene: Scene) -> list[Placed]:
    around = [(9, 9), (32, 8), (55, 9), (9, 32), (55, 32), (9, 55), (32, 56), (55, 55)]
    colour = a.colour if a is not b else contrasting(g, scene.background, other=b.colour)
    placed = []
    for place in around:
        x, y = np.array(place) + g.uniform(-1, 1, 2)
        placed.append(_put(a, x, y, g.uniform(6.6, 7.4), colour=colour))
    x, y = CENTRE + g.uniform(-1.5, 1.5, 2)
    return [*placed, _put(b, x, y, g.uniform(14, 16))]


_ARRANGE: dict[str, Callable[[np.random.Generator, Entity, Entity, Scene], list[Placed]]] = {
    "symmetry": _symmetry,
    "order": _order,
    "chaos": _chaos,
    "crowding": _crowding,
    "loneliness": _loneliness,
    "balance": _balance,
    "rhythm": _rhythm,
    "emphasis": _emphasis,
}


def _related(scene: Scene, relation: str) -> list[Placed]:
    g = random_of(scene, 1)
    subject = scene.entities[0]
    if len(scene.entities) > 1:
        reference = scene.entities[1]
    else:
        reference = Entity("box", contrasting(g, scene.background), 0, 0, 0)
    if relation == "inside":
        return _inside(g, subject, reference)
    if relation == "larger":
        near, far = (18, 50) if g.integers(2) else (46, 14)
        large = _put(subject, near, g.uniform(21, 43), g.uniform(17.5, 19.5))
        return [large, _put(reference, far, g.uniform(13, 51), g.uniform(9, 10))]
    sizes = g.uniform(11, 14, 2)
    middle, across, offset = CENTRE + g.uniform(-2, 2), g.uniform(16, 48), g.uniform(-3.5, 3.5)
    before, after = middle - g.uniform(14.5, 17), middle + g.uniform(14.5, 17)
    along = (before, after) if relation in ("left", "above") else (after, before)
    places = [(along[0], across), (along[1], across + offset)]
    if relation in ("above", "below"):
        places = [(y, x) for x, y in places]
    return [_put(subject, *places[0], sizes[0]), _put(reference, *places[1], sizes[1])]


def _inside(g: np.random.Generator, subject: Entity, reference: Entity) -> list[Placed]:
    x, y = g.uniform(31, 33, 2)
    inner, outer = g.uniform(10.5, 12), g.uniform(28.5, 30.5)
    dx, dy = _CENTRES_OF_HOLES.get(reference.kind, (0, 0))
    at = (x + dx * outer * (-1 if reference.flip else 1), y + dy * outer)
    hole = [] if reference.kind in ("box", "moon") else [Placed("window", INK, *at, inner + 2)]
    return [_put(reference, x, y, outer), *hole, _put(subject, *at, inner)]


def _pattern(scene: Scene) -> list[Placed]:
    placed = []
    for place in range(6):
        x, y = 11 + 21 * (place % 3), 18 + 28 * (place // 3)
        entity = scene.entities[place % len(scene.entities)]
        hidden = scene.pattern is not None and place == scene.pattern.missing
        placed.append(Placed("question", INK, x, y, 9.0) if hidden else _put(entity, x, y, 10, flip=False))
    return placed


def _row(scene: Scene) -> list[Placed]:
    g = random_of(scene, 2)
    across = g.uniform(16, 48)
    placed = []
    for i, (entity, large) in enumerate(zip(scene.entities, scene.given_row.large, strict=True)):
        along, offset = 11 + 21 * i + g.uniform(-0.4, 0.4), across + g.uniform(-3, 3)
        x, y = (along, offset) if scene.given_row.horizontal else (offset, along)
        placed.append(_put(entity, x, y, g.uniform(10.2, 10.6) if large else g.uniform(7.2, 7.7)))
    return placed


def shapes_in(scene: Scene) -> list[Placed]:
    """Return every shape of the scene, from back to front."""
    placed = _things(scene)
    if scene.face is not None:
        face, g = scene.face, random_of(scene, 4)
        lonely = scene.arrangement == "loneliness" and not scene.entities
        x, y = _corner(g) if lonely else (face.x, face.y)
        size = 10.5 if lonely else face.size
        placed.append(Placed("face", face.colour, x, y, size, (225, 110, 115), emotion=face.emotion))
    return placed


def _things(scene: Scene) -> list[Placed]:
    if scene.pattern is not None:
        return _pattern(scene)
    if scene.row is not None:
        return _row(scene)
    if scene.placed_relation:
        return _related(scene, scene.placed_relation)
    if scene.arrangement and scene.entities:
        first, last = scene.entities[0], scene.entities[-1]
        return _ARRANGE[scene.arrangement](random_of(scene, 3), first, last, scene)
    return [_put(entity, entity.x, entity.y, entity.size) for entity in scene.entities]


def lines_in(scene: Scene) -> list[np.ndarray]:
    """Return the two background lines, points [2, 2] each, or none."""
    if not scene.line_relation:
        return []
    g = random_of(scene, 5)
    angle, centre, half = g.uniform(0, math.pi), g.uniform(24, 40, 2), g.uniform(28, 38)
    gap, turn = g.uniform(6, 11), g.uniform(0.8, math.pi - 0.8)
    along = np.array([math.cos(angle), math.sin(angle)])
    if scene.line_relation == "parallel":
        offset = np.array([-along[1], along[0]]) * gap
        return [np.stack([centre + s * offset - along * half, centre + s * offset + along * half]) for s in (1, -1)]
    other = np.array([math.cos(angle + turn), math.sin(angle + turn)])
    return [np.stack([centre - u * half, centre + u * half]) for u in (along, other)]
