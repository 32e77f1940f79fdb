"""Arguments of generate that are not images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

import mllm_probe as mp
from tests.hostile.tries import Try

AREA = "generate picture"


def answers(given: Callable[[Any], Any]) -> Callable[[Any], list[str]]:
    return lambda s: list(mp.generate(s.model, given(s), max_new_tokens=2).text)


def alike(found: Any) -> bool:
    """Whether two pictures, the given and a plain one, are answered alike."""
    return found[0] == found[1]


def beside(given: Any, plain: Image.Image) -> Callable[[Any], tuple[list[str], list[str]]]:
    return lambda s: (answers(lambda _: given)(s), answers(lambda _: plain)(s))


def closed(s: Any) -> Image.Image:
    Image.new("RGB", (8, 8)).save(s.folder / "c.png")
    picture = Image.open(s.folder / "c.png")
    picture.close()
    return picture


WHITE = Image.new("RGB", (8, 8), "white")
REFUSED = {
    "int": (lambda s: 5, "Expected a PIL image, a path"),
    "bytes": (lambda s: b"x", "1 bytes cannot be read as an image"),
    "empty list": (lambda s: [], "at least one image"),
    "path missing": (lambda s: "/no.png", "There is no image file at '/no.png'"),
    "path dir": (lambda s: "/tmp", "'/tmp' is a folder"),
    "url": (lambda s: "http://x.invalid/a.png", "URLs are not fetched"),
    "dict": (lambda s: {}, "Expected a PIL image, a path"),
    "nan array": (lambda s: np.full((4, 4, 3), np.nan), "between 0 and 1"),
    "array 0..255 float": (lambda s: np.full((4, 4, 3), 200.0), "Divide by the largest value"),
    "array int -1": (lambda s: np.full((4, 4, 3), -1), "between 0 and 255"),
    "array int64 300": (lambda s: np.full((4, 4, 3), 300), "Give uint16 for"),
    "array uint16 200": (lambda s: np.full((4, 4), 200, np.uint16), "may as well mean"),
    "array 2 channels": (lambda s: np.zeros((4, 4, 2), np.uint8), "shape (4, 4, 2)"),
    "array 4d": (lambda s: np.zeros((1, 4, 4, 3), np.uint8), "shape (1, 4, 4, 3)"),
    "array empty": (lambda s: np.zeros((0, 4, 3), np.uint8), "shape (0, 4, 3)"),
    "array complex": (lambda s: np.ones((4, 4, 3), complex), "real numbers"),
    "array object": (lambda s: np.full((4, 4, 3), "x", object), "real numbers"),
    "array strings": (lambda s: np.full((4, 4, 3), "1"), "real numbers"),
    "array of 100 megapixels": (lambda s: np.broadcast_to(np.uint8(0), (10_000, 10_000)), "larger than the 64"),
    "tensor on meta": (lambda s: torch.empty(3, 4, 4, device="meta"), "holds no numbers"),
    "closed PIL": (closed, "open it again"),
    "PIL 0x0": (lambda s: Image.new("RGB", (0, 0)), "an image with pixels"),
    "PIL F 1e9": (lambda s: Image.fromarray(np.full((8, 8), 1e9, np.float32)), "between 0 and 1"),
    "PIL I;16 of 200": (lambda s: Image.fromarray(np.full((8, 8), 200, np.uint16)), "may as well mean"),
    "generator": (lambda s: (one for one in [s.picture]), "got generator"),
    "nested deep": (lambda s: [[[s.picture]]], "Expected"),
}
READ = {
    "array bool": (np.ones((8, 8), bool), WHITE),
    "PIL LAB": (Image.new("LAB", (8, 8)), Image.new("LAB", (8, 8)).convert("RGB")),
    "PIL I;16": (Image.fromarray(np.full((8, 8), 65535, np.uint16)), WHITE),
    "PIL F": (Image.fromarray(np.ones((8, 8), np.float32)), WHITE),
}
TRIES = [
    *(Try(AREA, name, answers(given), "error", says) for name, (given, says) in REFUSED.items()),
    *(Try(AREA, name, beside(given, plain), "result", right=alike) for name, (given, plain) in READ.items()),
    Try(AREA, "None", answers(lambda s: None), "result", right=lambda found: len(found) == 1),
    Try(AREA, "list of None", answers(lambda s: [None]), "result", right=lambda found: len(found) == 1),
    Try(
        AREA,
        "two pictures one prompt",
        answers(lambda s: [[s.picture] * 2]),
        "result",
        right=lambda found: len(found) == 1,
    ),
]
