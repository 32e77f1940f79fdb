"""Draws docs/emoji.png, one row for each visual style of the emoji world: ``python docs/emoji_sheet.py``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from mllm_probe.emoji import EmojiScene, Item, draw
from mllm_probe.emoji.lexicon import STYLES

SHEET = Path(__file__).parent / "emoji.png"
SIDE, GAP = 84, 4
CAT, HOUSE = Item("cat", 32, 32, 22), Item("house", 46, 46, 14)
COLUMNS = (
    EmojiScene((CAT,), "flat", "purple", 1, "gradient"),
    EmojiScene((Item("octopus", 32, 32, 24),), "flat", "yellow", 2, "cloudy", "glossy"),
    EmojiScene((Item("sailboat", 34, 32, 25),), "flat", "pink", 3, "plain", "rounded"),
    EmojiScene((Item("loudly-crying-face", 30, 34, 23),), "flat", "green", 4, "gradient"),
    EmojiScene((Item("rocket", 20, 20, 15), Item("birthday-cake", 45, 44, 15)), "flat", "blue", 5, "gradient"),
    EmojiScene((Item("frog", 32, 32, 14), HOUSE), "flat", "white", 6, relation="inside"),
    EmojiScene((Item("elephant", 32, 32, 14), HOUSE), "flat", "orange", 7, relation="larger"),
    EmojiScene((Item("butterfly", 32, 32, 14), Item("tulip", 32, 32, 9)), "flat", "gray", 8, arrangement="symmetry"),
    EmojiScene((Item("penguin", 32, 32, 14),), "flat", "brown", 11, "gradient", arrangement="crowding"),
    EmojiScene((Item("ghost", 32, 32, 14),), "flat", "red", 10, "cloudy", "rounded", arrangement="loneliness"),
)


def sheet() -> Image.Image:
    """Return the sheet: every column is one scene in all styles."""
    step = SIDE + GAP
    image = Image.new("RGB", (len(COLUMNS) * step - GAP, len(STYLES) * step - GAP), "white")
    for row, style in enumerate(STYLES):
        for column, scene in enumerate(COLUMNS):
            image.paste(draw(replace(scene, style=style), SIDE), (column * step, row * step))
    return image


if __name__ == "__main__":
    sheet().quantize(192, Image.Quantize.MEDIANCUT).save(SHEET, optimize=True)
    print(f"{SHEET.name}: {SHEET.stat().st_size:,} bytes")
