"""Files of the emoji world's artwork: the art sets, the tables of nouns and faces, and which sprite stands where."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

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
