"""The words of the emoji world, every form that counts as naming a concept, and the files and sprites of its art."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
from PIL import Image

from mllm_probe.scenes.language import with_article
from mllm_probe.scenes.scene import ABSTRACT, NEUTRAL, PLACED_RELATIONS
from mllm_probe.scenes.scene import CONCEPTS as DRAWN
from mllm_probe.typing import JsonObject

SIDE = 96
"""Side of a sprite in pixels."""
COLUMNS = 21
"""Sprites in one row of a sheet."""


@dataclass(frozen=True)
class ArtSet:
    """One complete set of emoji artwork and its source.

    `style`: name of its visual style here. `title`, `author`, `licence`: as they are credited in NOTICE; the licence is
    an SPDX identifier. `package`, `version`: the npm package that the sprites are made from.
    """

    style: str
    title: str
    author: str
    licence: str
    package: str
    version: str


ART_SETS: tuple[ArtSet, ...] = (
    ArtSet("glossy", "Noto Emoji", "Google LLC", "Apache-2.0", "@iconify-json/noto", "1.2.9"),
    ArtSet(
        "flat", "Twemoji", "Twitter, Inc. and other contributors", "CC-BY-4.0", "@iconify-json/twemoji", "1.2.5"
    ),
    ArtSet(
        "rounded", "Fluent Emoji Flat", "Microsoft Corporation", "MIT", "@iconify-json/fluent-emoji-flat", "1.2.6"
    ),
    ArtSet(
        "stencil",
        "Fluent Emoji High Contrast",
        "Microsoft Corporation",
        "MIT",
        "@iconify-json/fluent-emoji-high-contrast",
        "1.2.6",
    ),
)  # fmt: skip

COLOURED = tuple(art.style for art in ART_SETS if art.style != "stencil")
"""Art sets in colour, of which the processed styles are made."""
ICON_FACTS = "icons.json"
"""File with the code points, CLDR name, CLDR keywords and mean colours of every icon."""


def art_file(name: str) -> Traversable:
    """Return a file of the artwork's folder in the package."""
    return resources.files("mllm_probe.emoji") / "art" / name


def sheet_name(style: str) -> str:
    """Return the name of the sprite sheet of an art set."""
    return f"{style}.webp"


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the tables, `entities.tsv` or `faces.tsv`."""
    with art_file(name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def split_list(cell: str | None) -> tuple[str, ...]:
    """Return the entries of a table's cell, which commas divide."""
    return tuple(part for part in (cell or "").split(",") if part)


@cache
def icons() -> tuple[str, ...]:
    """Return the names of all icons, in the order of the sheets: things first, then faces."""
    return tuple(
        icon for name in ("entities.tsv", "faces.tsv") for row in table(name) for icon in split_list(row["icons"])
    )


@cache
def icon_facts() -> dict[str, JsonObject]:
    """Return what `ICON_FACTS` says, by icon, in the order of the sheets."""
    return json.loads(art_file(ICON_FACTS).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Noun:
    """A thing that emoji show.

    `name`, `plural`: both are the same for what is not counted ("bread") or has no singular ("jeans").
    `use` ({"count", "mass", "plural", "unique", "name"}): how English uses it: "a cat", "bread", "scissors", "the sun",
        "Santa Claus".
    `group`: animal, food, vehicle and so on.
    `icons`: the emoji that show it.
    `synonyms`: other words for it, most of them from CLDR's names and keywords.
    """

    name: str
    plural: str
    use: str
    group: str
    icons: tuple[str, ...]
    synonyms: tuple[str, ...]


@dataclass(frozen=True)
class Feeling:
    """An emotion, named by its adjective, and the faces that show it."""

    name: str
    icons: tuple[str, ...]
    synonyms: tuple[str, ...]


@dataclass(frozen=True)
class EmojiConcept:
    """One concept of the emoji world: its name, category, and every form that counts as naming it, the name first."""

    name: str
    category: str
    words: tuple[str, ...]


def _nouns() -> dict[str, Noun]:
    rows = table("entities.tsv")
    return {
        row["noun"]: Noun(
            row["noun"],
            row["plural"],
            row["use"],
            row["group"],
            split_list(row["icons"]),
            split_list(row["synonyms"]),
        )
        for row in rows
    }


def _feelings() -> dict[str, Feeling]:
    return {
        row["emotion"]: Feeling(row["emotion"], split_list(row["icons"]), split_list(row["synonyms"]))
        for row in table("faces.tsv")
    }


NOUNS: dict[str, Noun] = _nouns()
FEELINGS: dict[str, Feeling] = _feelings()
"""All feelings by name, with `NEUTRAL`, which is no emotion."""

ENTITIES = tuple(NOUNS)
EMOTIONS = tuple(name for name in FEELINGS if name != NEUTRAL)
ART_STYLES = tuple(art.style for art in ART_SETS)
"""Styles that are an artist's own."""
PROCESSED = ("pixelated", "outline", "blueprint", "neon")
"""Styles made of the coloured sets by image processing."""
STYLES = ART_STYLES + PROCESSED
ARRANGEMENTS = ABSTRACT
RELATIONS = PLACED_RELATIONS
LANDMARKS = (
    "backpack", "basket", "bathtub", "box", "bucket", "bus", "castle", "church", "factory", "house", "mosque", "school",
    "ship", "shopping cart", "suitcase", "television", "tent", "tree", "truck", "window",
)  # fmt: skip
"""Things that others are related to: another thing can be beside or inside them."""

FIRST_CONCEPTS = (
    "cat", "octopus", "pizza", "rocket", "castle", "guitar", "ghost", "robot", "glossy", "stencil", "pixelated",
    "blueprint", "neon", "happy", "sad", "angry", "sleepy", "scared", "symmetry", "crowding", "loneliness", "chaos",
    "rhythm", "inside",
)  # fmt: skip
"""Two dozen concepts of all categories, which the lab opens with."""

_STYLE_WORDS = {
    "glossy": ("glossy", "shiny", "shaded"),
    "flat": ("flat",),
    "rounded": ("rounded", "soft"),
    "stencil": ("stencil", "stencils", "stencilled", "stenciled"),
    "pixelated": ("pixelated", "pixels", "pixel art"),
    "outline": ("outline", "outlines", "outlined", "line drawing"),
    "blueprint": ("blueprint", "blueprints"),
    "neon": ("neon", "glowing"),
}


def _words(name: str, category: str) -> tuple[str, ...]:
    if category == "entity":
        noun = NOUNS[name]
        return tuple(dict.fromkeys((name, noun.plural, *noun.synonyms)))
    if category == "emotion":
        return (name, *FEELINGS[name].synonyms)
    return _STYLE_WORDS[name] if category == "visual_style" else DRAWN[name].words


def _concepts() -> dict[str, EmojiConcept]:
    names = {
        "entity": ENTITIES,
        "visual_style": STYLES,
        "emotion": EMOTIONS,
        "abstract": ARRANGEMENTS,
        "relation": RELATIONS,
    }
    return {
        name: EmojiConcept(name, category, _words(name, category))
        for category, members in names.items()
        for name in members
    }


CONCEPTS: dict[str, EmojiConcept] = _concepts()
"""All concepts by name."""


@cache
def _shown() -> dict[str, str]:
    return {icon: name for name in (*NOUNS, *FEELINGS) for icon in icons_of(name)}


def shown_by(icon: str) -> str:
    """Return what an icon shows: the name of a noun or of a feeling."""
    return _shown()[icon]


def is_face(icon: str) -> bool:
    """Return whether an icon is a face with a feeling."""
    return shown_by(icon) in FEELINGS


def icons_of(name: str) -> tuple[str, ...]:
    """Return the icons that show a noun or a feeling."""
    return NOUNS[name].icons if name in NOUNS else FEELINGS[name].icons


def phrase(name: str) -> str:
    """Return a noun or a feeling as English says it first: "an octopus", "bread", "the sun", "a sad face"."""
    if name in FEELINGS:
        return with_article(f"{name} face")
    noun = NOUNS[name]
    if noun.use == "unique":
        return f"the {name}"
    return with_article(name) if noun.use == "count" else name


@cache
def _places() -> dict[str, int]:
    return {icon: place for place, icon in enumerate(icons())}


@cache
def _sheet(style: str) -> np.ndarray:
    with art_file(sheet_name(style)).open("rb") as file, Image.open(file) as image:
        return np.asarray(image.convert("RGBA"))


def sprite(icon: str, style: str) -> np.ndarray:
    """Return one sprite.

    `icon`: one of `icons`. `style`: one of the art sets' styles. Returns: uint8 [96, 96, 4], red, green, blue and
    opacity, read only.
    """
    place = _places()[icon]
    top, left = place // COLUMNS * SIDE, place % COLUMNS * SIDE
    return _sheet(style)[top : top + SIDE, left : left + SIDE]
