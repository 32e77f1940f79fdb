"""A picture of the emoji world as plain data. Lengths are in 64ths of the picture's side."""

from dataclasses import dataclass
from functools import cache

from mllm_probe.emoji.art_files import COLOURED, icon_facts
from mllm_probe.emoji.lexicon import EMOTIONS, is_face, shown_by
from mllm_probe.scenes.placement import Placed, shapes_in
from mllm_probe.scenes.scene import Colour, Entity, Scene

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
_OWN_GROUNDS = {"blueprint": "blue", "neon": "black"}
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
        """What it shows: a noun or a feeling."""
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
        return _OWN_GROUNDS.get(self.style, self.background)


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
