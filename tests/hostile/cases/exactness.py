"""Runs on a model that is being edited, or whose weights were changed after its vectors were made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import mllm_probe as mp
from tests.hostile.tries import Try

AREA = "edited models"


def inside_steer(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a call inside a block of ``mp.steer``."""

    def run(s: Any) -> Any:
        with mp.steer(s.model, mp.Steering(s.cat, [3], 2.0)):
            return call(s)

    return run


def with_other_weights(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a call on a model whose weights were scaled in place, and put them back."""

    def run(s: Any) -> Any:
        vectors, parameters = s.vectors, list(s.model.hf.parameters())  # vectors of the weights before
        kept = [parameter.clone() for parameter in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1.001)
            try:
                return call(s)
            finally:
                for parameter, before in zip(parameters, kept, strict=True):
                    parameter.copy_(before)
                assert vectors.attrs["weights"] == s.model.fingerprint

    return run


def swept(s: Any, **more: Any) -> Any:
    settings = {"strengths": (1,), "metrics": ("logprob",), "draws": 4, "progress": False} | more
    return mp.sweep(s.model, s.vectors, [s.picture], **settings)


def stored(s: Any) -> Any:
    """A store that was begun inside ``mp.steer`` does not come back as a clean one."""
    try:
        inside_steer(lambda s: swept(s, store="store"))(s)
    except RuntimeError:
        return swept(s, store="store"), swept(s, store="another store")
    raise AssertionError("a sweep inside mp.steer has to be refused")


STEERED = {
    "generate": lambda s: mp.generate(s.model, s.picture, max_new_tokens=2),
    "stream": lambda s: list(mp.stream(s.model, s.picture, max_new_tokens=2)),
    "capture": lambda s: mp.capture(s.model, [s.picture]),
    "concept_vectors": lambda s: mp.concept_vectors(s.model, s.library),
    "sweep": swept,
    "sweep with a store": lambda s: swept(s, store="store"),
    "plan": lambda s: mp.plan(s.model, s.vectors, [s.picture]),
    "verify": lambda s: s.model.verify(),
}
CHANGED = {
    "generate": lambda s: mp.generate(s.model, s.picture, steering=mp.Steering(s.cat, [3])),
    "stream": lambda s: list(mp.stream(s.model, s.picture, steering=mp.Steering(s.cat, [3]))),
    "steer": lambda s: mp.steer(s.model, mp.Steering(s.cat, [3])).__enter__(),
    "sweep": swept,
}

TRIES = [
    *(Try(AREA, f"{n} inside mp.steer", inside_steer(c), "error", "Leave the with block") for n, c in STEERED.items()),
    *(Try(AREA, f"{n} after weights changed", with_other_weights(c), "error", "weights") for n, c in CHANGED.items()),
    Try(AREA, "a store begun inside mp.steer", stored, "result", right=lambda both: both[0].equals(both[1])),
]
