"""Text widths, and the font of this machine that is used to draw text."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache

from PIL import ImageFont

_REGULAR = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf")
_BOLD = ("DejaVuSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf", "LiberationSans-Bold.ttf", "NotoSans-Bold.ttf")
_PLAIN = {"−": "-", "–": "-", "×": "x", "½": "1/2", "¼": "1/4", "Δ": "d", "‖": "|", "≥": ">=", "≤": "<=", "%": "%"}
"""Spelling of signs that the font inside Pillow lacks."""


_SPACES = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")


@lru_cache(maxsize=64)
def font(size: float, bold: bool = False) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, bool]:
    """A font of a size in pixels, and whether it is a whole one of this machine (else the small one in Pillow)."""
    for name in _BOLD if bold else _REGULAR:
        try:
            return ImageFont.truetype(name, size), True
        except OSError:
            continue
    return ImageFont.load_default(size), False


def spelled(text: str, whole: bool) -> str:
    """Text as a font can paint it."""
    return text if whole else "".join(_PLAIN.get(letter, letter) for letter in text)


def width(text: str, size: float, bold: bool = False) -> float:
    """Width of a line of text in pixels."""
    chosen, whole = font(size, bold)
    return float(chosen.getlength(spelled(text, whole)))


def clipped(text: str, size: float, room: float, bold: bool = False) -> str:
    """Text cut with an ellipsis to a width."""
    if width(text, size, bold) <= room:
        return text
    fitting = bisect_right(range(1, len(text) + 1), room, key=lambda length: width(text[:length] + "…", size, bold))
    return text[:fitting].rstrip() + "…"


def wrapped(text: str, size: float, room: float, most: int, bold: bool = False) -> list[str]:
    """Text in lines of a width, at most ``most`` of them; the last is cut with an ellipsis if there is more."""
    lines: list[str] = []
    rest = [word for word in _SPACES.split(text) if word]
    while rest and len(lines) < most:
        line, rest = rest[0], rest[1:]
        if len(lines) == most - 1:
            lines.append(clipped(" ".join([line, *rest]), size, room, bold))
            break
        while rest and width(f"{line} {rest[0]}", size, bold) <= room:
            line, rest = f"{line} {rest[0]}", rest[1:]
        lines.append(clipped(line, size, room, bold))
    return lines
