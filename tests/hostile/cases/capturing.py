"""Arguments of ``capture`` that make no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import mllm_probe as mp
from tests.hostile.tries import Try

AREA = "capture"


def _refused(name: str, says: str, **arguments: Any) -> Try:
    return Try(AREA, name, lambda s: mp.capture(s.model, **({"images": s.picture} | arguments)), "error", says)


def _read(name: str, expected: dict[str, int], **arguments: Any) -> Try:
    def right(acts: Any) -> bool:
        return dict(acts.sizes) == {"sample": 1, "layer": 8, "token": 1, "hidden": 128} | expected

    return Try(AREA, name, lambda s: mp.capture(s.model, **({"images": s.picture} | arguments)), "result", right=right)


SCOPES = "tokens: expected one or several of last_prompt, generated, image, text, all"
LAYERS = "layers: expected 'all', a number or a list of numbers (or a slice)"
WRONG_TOKENS = {
    "no": "a word",
    "": "an empty word",
    ("image", "no"): "a wrong name among right ones",
    ("image", 3): "a name and a number",
    (): "none",
    (1.5,): "a fraction",
    (2, 2): "a position twice",
    ((1, 2),): "a table of positions",
    (10**30,): "a number beyond 64 bits",
}

TRIES = [
    *(_refused(f"tokens: {name}", SCOPES, tokens=tokens) for tokens, name in WRONG_TOKENS.items()),
    _refused("tokens: None", SCOPES, tokens=None),
    _refused("tokens: True", SCOPES, tokens=True),
    _refused("tokens: a set", SCOPES, tokens={"image"}),
    _refused("tokens: rows of different length", SCOPES, tokens=[[True], [True, False]]),
    _refused("tokens: a mask of four dimensions", SCOPES, tokens=np.ones((1, 1, 8, 8), bool)),
    _refused("tokens: a bfloat16 tensor", SCOPES, tokens=torch.ones(3, dtype=torch.bfloat16)),
    _refused("tokens: an empty mask", "the patch mask selects no patch", tokens=np.zeros((8, 8), bool)),
    _refused("tokens: a mask of another grid", "the patch mask is 3×3, but the image", tokens=np.ones((3, 3), bool)),
    _refused("tokens: a mask of another length", "a mask of 3 positions does not fit", tokens=[True, False, True]),
    _refused("tokens: 10**12", "position 1000000000000 cannot be read", tokens=[10**12]),
    _refused("tokens: generated without a continuation", "give continuation=", tokens="generated"),
    _refused("layers: 99", "no layer 99: the model has 8 blocks", layers=[99]),
    _refused("layers: -9", "no layer -9: the model has 8 blocks", layers=-9),
    _refused("layers: none", LAYERS, layers=[]),
    _refused("layers: an empty slice", LAYERS, layers=slice(5, 2)),
    _refused("layers: a fraction", LAYERS, layers=[2.5]),
    _refused("layers: True", LAYERS, layers=True),
    _refused("layers: a word", LAYERS, layers="last"),
    _refused("layers: one twice", "one or more different blocks", layers=[1, -7]),
    _read("layers: a slice", {"layer": 2}, layers=slice(2, 4)),
    _read("layers: a generator", {"layer": 2}, layers=(n for n in (1, 5))),
    _read("layers: a numpy integer", {"layer": 1}, layers=np.int64(-1)),
    _refused("batch_size: 0", "batch_size: expected 'auto' or a number of samples", batch_size=0),
    _refused("batch_size: NaN", "batch_size: expected 'auto' or a number of samples", batch_size=float("nan")),
    _refused("batch_size: True", "batch_size: expected 'auto' or a number of samples", batch_size=True),
    _refused("continuation: a number", "continuation: expected a text, or one text", continuation=5),
    _refused("continuation: a list of numbers", "continuation: expected a text, or one text", continuation=[5]),
    _refused("continuation: empty", "at least one token", continuation=""),
    _read("continuation: an image token", {}, continuation="<image>"),
    _refused("steering: a word", "steering: expected a Steering, a Composition", steering="cat"),
    _refused("steering: vectors", "steering: expected a Steering, a Composition", steering=np.zeros(3)),
    _refused("images: none", "at least one image", images=[]),
    _refused("images: a number", "a PIL image, a path", images=5),
    _refused("images: a generator", "a PIL image, a path", images=(n for n in ())),
]
