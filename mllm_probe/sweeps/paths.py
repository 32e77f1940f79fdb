"""Choosing how the rows of a sweep share an image: the cheapest way that this very model computes exactly."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mllm_probe.models.inputs import Encoded
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.scopes import Scope
from mllm_probe.sweeps.prefix import Replay, Shared, SharedPrefix, WholeForwards
from mllm_probe.sweeps.rows import whole_forward

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
HALF_TOLERANCE = 0.05
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError)


@dataclass(frozen=True)
class Path:
    """The way that was chosen.

    Attributes
    ----------
    kind : type of Shared
    one_by_one : bool
        Several tokens are fed as single steps.
    tried : dict of str to str
        Ways that were refused, and why.
    """

    kind: type[Shared]
    one_by_one: bool = False
    tried: dict[str, str] = field(default_factory=dict)

    def open(self, model: ProbeModel, encoded: Encoded) -> Shared:
        """What the rows of one sample share."""
        return self.kind(model, encoded, self.one_by_one)

    def __str__(self) -> str:
        return self.kind.path + (", token by token" if self.one_by_one else "")


_CHOSEN: weakref.WeakKeyDictionary[ProbeModel, dict[bool, Path]] = weakref.WeakKeyDictionary()


def touches_prompt(scope: Scope) -> bool:
    """Whether a scope edits anything before the last prompt token."""
    return not scope.names or not set(scope.names) <= {"last_prompt", "generated"}


def choose_path(model: ProbeModel, encoded: Encoded, steerings: Sequence[Any], *, prompt_edited: bool) -> Path:
    """The cheapest exact way, found by running it against whole forwards once per model and kind of scope.

    Parameters
    ----------
    model : ProbeModel
    encoded : Encoded
        One sample.
    steerings : sequence of Steering
        Edits to try it with, beside no edit.
    prompt_edited : bool
        Whether tokens before the last of the prompt are edited.

    Returns
    -------
    Path
        Logits agree within 1e-4 of their scale in float32. In half precision within 5 %, which shows a wrong mask
        or position but not rounding.
    """
    known = _CHOSEN.setdefault(model, {})
    if prompt_edited not in known:
        known[prompt_edited] = _tested(model, encoded, [None, *steerings], prompt_edited)
    return known[prompt_edited]


def _tested(model: ProbeModel, encoded: Encoded, rows: list[Any], prompt_edited: bool) -> Path:
    tokens = encoded.tensors["input_ids"][:, -1:].expand(len(rows), 3)
    reference = _edited(model, rows, encoded, partial(whole_forward, model, encoded, tokens))[:, -4:]
    tried: dict[str, str] = {}
    for kind in (Replay,) if prompt_edited else (SharedPrefix, Replay):
        for one_by_one in (False, True):
            name = str(Path(kind, one_by_one))
            try:
                shared = kind(model, encoded, one_by_one)
                found = _edited(model, rows, encoded, partial(_followed, shared, tokens))
            except torch.OutOfMemoryError:
                raise
            except REFUSALS as error:
                tried[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                continue
            if (difference := _difference(found, reference)) <= TOLERANCE.get(model.dtype, HALF_TOLERANCE):
                return Path(kind, one_by_one, tried)
            tried[name] = f"logits differ from whole forwards by {difference:.1e} of their scale"
    return Path(WholeForwards, False, tried)


def _edited(model: ProbeModel, rows: list[Any], encoded: Encoded, run: Callable[[], Tensor]) -> Tensor:
    with Editor(model, rows, prompt=encoded).attached():
        return run()


def _followed(shared: Shared, tokens: Tensor) -> Tensor:
    rows = shared.start(tokens.shape[0])
    first = rows.logits[:, None]
    return torch.cat([first, rows.feed(tokens)], 1)


def _difference(found: Tensor, reference: Tensor) -> float:
    if found.shape != reference.shape:
        return float("inf")
    scale = reference.float().abs().max().clamp_min(1e-12)
    return float((found.float() - reference.float()).abs().max().nan_to_num(torch.inf) / scale)
