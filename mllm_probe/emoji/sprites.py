"""Sprites: the artwork of one icon in one art set, read from the sheets."""

from functools import cache

import numpy as np
from PIL import Image

from mllm_probe.emoji.art_files import COLUMNS, SIDE, art_file, icons, sheet_name


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
