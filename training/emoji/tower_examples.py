"""What the vision tower learns from: pictures with the noun of every cell, their style, ground and arrangement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from mllm_probe.emoji.emoji_drawing import draw
from mllm_probe.emoji.emoji_scene import GROUNDS, EmojiScene, layout, sample
from mllm_probe.emoji.lexicon import ARRANGEMENTS, COLOURED, ENTITIES, FEELINGS, RELATIONS, STYLES, icons
from mllm_probe.loading.assembling import GRID, IMAGE_SIDE
from mllm_probe.scenes.sampling import choose
from mllm_probe.scenes.scene import SIDE
from training.emoji.augmentation import Strength, altered

SHOWN = (*ENTITIES, *FEELINGS)
"""What an item can be."""
NAMES = (*SHOWN, *GROUNDS)
"""What a cell can be: an item, or the ground's colour."""
NOTHING = -1
"""Index of a value that is not there, or not to be learned from this picture."""

Artists = Sequence[Mapping[str, np.ndarray]]
"""Sprites of other artists by icon, uint8 [96, 96, 4] each, as `build_art.more_artists` returns them."""

_STRONG, _INKED = 0.7, 0.35
_OTHER_ARTIST = 0.6
"""Share of the pictures in a coloured art set that are drawn by another artist, where there are some."""
_LARGER, _LARGE_SIZES = 0.15, (160, 192, 256)
_CENTRES = (np.arange(GRID) + 0.5) * SIDE / GRID
_X, _Y = np.meshgrid(_CENTRES, _CENTRES)
_LEAST_REACH = SIDE / GRID / 2 + 0.5


@dataclass(frozen=True)
class Batch:
    """Pictures and what they show; indices are -1 where there is nothing to learn.

    `images`: uint8 [n, 128, 128, 3].
    `names`: of each cell, from `NAMES`, int64 [n, 16].
    `icons`: of each cell, from `icons`, int64 [n, 16]; -1 where the ground shows.
    `styles`, `grounds`, `arrangements`, `relations`: of each picture, int64 [n].
    """

    images: np.ndarray
    names: np.ndarray
    icons: np.ndarray
    styles: np.ndarray
    grounds: np.ndarray
    arrangements: np.ndarray
    relations: np.ndarray


def cells(scene: EmojiScene) -> np.ndarray:
    """Return the number of the item that covers each cell of the picture, the front one, int64 [16]; -1 for none."""
    covering = np.full((GRID, GRID), NOTHING)
    for placed in layout(scene):
        if placed.shape.isdigit():
            reach = max(placed.size, _LEAST_REACH)
            covering[(np.abs(_X - placed.x) < reach) & (np.abs(_Y - placed.y) < reach)] = int(placed.shape)
    return covering.ravel()


def _number(value: str | None, among: Sequence[str]) -> int:
    return NOTHING if value is None else among.index(value)


def _picture(
    scene: EmojiScene, g: np.random.Generator, strength: Strength, artwork: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    size = choose(g, _LARGE_SIZES) if g.random() < _LARGER else IMAGE_SIDE
    image = draw(scene, size, partial(altered, g=g, strength=strength), artwork)
    return np.asarray(shrunk(image))


def _other_artist(scene: EmojiScene, g: np.random.Generator, artists: Artists) -> Mapping[str, np.ndarray] | None:
    """Choose another artist for some of the pictures in colour, of those who draw all of its icons."""
    if not artists or scene.style not in COLOURED or g.random() >= _OTHER_ARTIST:
        return None
    able = [artist for artist in artists if all(item.icon in artist for item in scene.items)]
    return able[int(g.integers(len(able)))] if able else None


def _plain(scene: EmojiScene, artwork: Mapping[str, np.ndarray] | None, size: int) -> np.ndarray:
    return np.asarray(shrunk(draw(scene, size, artwork=artwork)))


def shrunk(image: Image.Image) -> Image.Image:
    """Return a picture as the released image processor shrinks it."""
    side = (IMAGE_SIDE, IMAGE_SIDE)
    return image if image.size == side else image.resize(side, Image.Resampling.BICUBIC)


def strength_for(scene: EmojiScene, g: np.random.Generator) -> Strength:
    """Draw how the sprites of a picture are altered; only art in colour is inked, since ink is a style itself."""
    strong = g.random() < _STRONG
    return Strength(strong, strong and scene.style in COLOURED and g.random() < _INKED)


def examples(
    scenes: Sequence[EmojiScene],
    g: np.random.Generator | None = None,
    artwork: Mapping[str, np.ndarray] | None = None,
    size: int = IMAGE_SIDE,
    artists: Artists = (),
) -> Batch:
    """Draw pictures and say what they show.

    `g`: alters the sprites; without it they are as they are.
    `artwork`: sprites of another artist, see `draw`; for pictures that are not altered.
    `size`: side at which pictures that are not altered are drawn, before they are shrunk.
    `artists`: other artists, who draw some of the pictures that are altered.

    Returns a picture whose sprites are inked, or another artist's, has no style to learn.
    """
    known = {icon: number for number, icon in enumerate(icons())}
    images, rows = [], []
    for scene in scenes:
        strength = Strength(False, False) if g is None else strength_for(scene, g)
        other = None if g is None else _other_artist(scene, g, artists)
        images.append(_plain(scene, artwork, size) if g is None else _picture(scene, g, strength, other))
        ground = NAMES.index(scene.ground, len(SHOWN))
        # The last entry is that of cells without an item, which have number -1.
        names = np.array([*(SHOWN.index(item.name) for item in scene.items), ground])
        shown = np.array([*(known[item.icon] for item in scene.items), NOTHING])
        covering = cells(scene)
        style = NOTHING if strength.inked or other is not None else STYLES.index(scene.style)
        arrangement = _number(scene.arrangement, ARRANGEMENTS)
        relation = _number(scene.relation, RELATIONS)
        rows.append((names[covering], shown[covering], style, GROUNDS.index(scene.ground), arrangement, relation))
    names, shown, *slots = (np.array(column) for column in zip(*rows, strict=True))
    return Batch(np.stack(images), names, shown, *slots)


def training_batch(seed: int, step: int, count: int, artists: Artists = ()) -> Batch:
    """Return the pictures of one training step: the same for the same seed and step, never a held-out combination."""
    g = np.random.default_rng([seed, step])
    return examples([sample(g, "seen") for _ in range(count)], g, artists=artists)
