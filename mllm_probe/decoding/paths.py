"""Choosing how rows share a prompt: the cheapest way that this very model computes exactly."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mllm_probe.decoding.agreement import REFUSALS, difference, tolerance
from mllm_probe.decoding.depth import DepthPrefix
from mllm_probe.decoding.prefix import CopiedPrefix, SharedPrefix
from mllm_probe.decoding.replay import Replay
from mllm_probe.decoding.resume import CopiedResume, Resume
from mllm_probe.decoding.rows import whole_forward
from mllm_probe.decoding.shared import NOTHING, Shared, Untouched, WholeForwards
from mllm_probe.models.encoded_pictures import with_pictures_encoded
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.probe_model import ProbeModel


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

    def open(self, model: ProbeModel, encoded: Encoded, read_layers: Iterable[int] = ()) -> Shared:
        """What the rows of one sample share; of ``read_layers``, also the unedited outputs that no row will compute."""
        return self.kind(model, with_pictures_encoded(model, encoded), self.one_by_one, read_layers)

    def __str__(self) -> str:
        return self.kind.path + (", token by token" if self.one_by_one else "")


PROMPT_WAYS: tuple[type[Shared], ...] = (Resume, CopiedResume, Replay)
"""Ways for edits of the prompt, the cheapest first."""
NEXT_WAYS: tuple[type[Shared], ...] = (DepthPrefix, SharedPrefix, CopiedPrefix)
"""Cheaper ones for edits from the prompt's last token on."""
_CHOSEN: weakref.WeakKeyDictionary[ProbeModel, dict[bool, Path]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Trial:
    """Rows that a way is tried with.

    Attributes
    ----------
    rows : int
    edits : callable
        Gives a fresh context in which these rows are edited, whatever way they are fed.
    untouched : Untouched
        What they leave alone.
    """

    rows: int
    edits: Callable[[], AbstractContextManager[Any]]
    untouched: Untouched = NOTHING


def choose_path(model: ProbeModel, encoded: Encoded, trials: Sequence[Trial], *, prompt_edited: bool) -> Path:
    """The cheapest exact way, found by running it against whole forwards once per model and kind of scope.

    Parameters
    ----------
    model : ProbeModel
    encoded : Encoded
        One sample.
    trials : sequence of Trial
        Rows to try it with.
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
        known[prompt_edited] = _tested(model, encoded, trials, prompt_edited)
    return known[prompt_edited]


def _tested(model: ProbeModel, encoded: Encoded, trials: Sequence[Trial], prompt_edited: bool) -> Path:
    tokens = encoded.tensors["input_ids"][:, -3:]
    expected = [_expected(model, encoded, trial, tokens) for trial in trials]
    tried: dict[str, str] = {}
    for kind in PROMPT_WAYS if prompt_edited else (*NEXT_WAYS, *PROMPT_WAYS):
        for one_by_one in (False, True):
            path = Path(kind, one_by_one, tried)
            try:
                shared = path.open(model, encoded)
                found = [_followed(shared, trial, tokens) for trial in trials]
            except torch.OutOfMemoryError:
                raise
            except REFUSALS as error:
                tried[str(path)] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                continue
            largest = max(map(difference, found, expected))
            if largest <= tolerance(model.dtype):
                return path
            tried[str(path)] = f"logits differ from whole forwards by {largest:.1e} of their scale"
    return Path(WholeForwards, False, tried)


def _expected(model: ProbeModel, encoded: Encoded, trial: Trial, tokens: Tensor) -> Tensor:
    with trial.edits():
        return whole_forward(model, encoded, _by_row(tokens, trial.rows))[:, -tokens.shape[1] - 1 :]


def _followed(shared: Shared, trial: Trial, tokens: Tensor) -> Tensor:
    with trial.edits():
        rows = shared.start(trial.rows, trial.untouched)
        first = rows.logits[:, None]
        fed = _by_row(tokens, trial.rows)
        return torch.cat([first, rows.feed(fed[:, :1]), rows.feed(fed[:, 1:])], 1)


def _by_row(tokens: Tensor, rows: int) -> Tensor:
    """Tokens [1, 3] for every row, from the second on in another order for every second row."""
    fed = tokens.repeat(rows, 1)
    fed[1::2, 1:] = tokens[:, [0, 1]]
    return fed
