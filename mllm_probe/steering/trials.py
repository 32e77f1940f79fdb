"""Choosing how the rows of a sample share its prompt, by trial rows that cover the kinds of edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mllm_probe.activations.hooks import attached
from mllm_probe.decoding.paths import Path, Trial, choose_path, known_path
from mllm_probe.decoding.rows import whole_forward
from mllm_probe.schema import ROLES
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import Row, Steering, compose
from mllm_probe.vectors.construction import vectors_from

if TYPE_CHECKING:
    import xarray as xr

    from mllm_probe.models import Encoded, ProbeModel


def path_of(model: ProbeModel, encoded: Encoded, *, prompt_edited: bool) -> Path:
    """The cheapest exact way for rows of a sample, tried once per model and kind of sample.

    Parameters
    ----------
    model : ProbeModel
        Keeps the verdict.
    encoded : Encoded
        One sample.
    prompt_edited : bool
        Whether anything before the last token of the prompt is edited.

    Notes
    -----
    The verdict holds for every later sweep, stream and session, so the trial rows do not depend on what is asked for
    now. Rows of an unedited prompt are edited from its last token on; those of an edited prompt cover its cases: the
    lowest, a middle and the last block, and edits from the first column and from a later one.
    """
    known = known_path(model, encoded, prompt_edited=prompt_edited)
    if known is not None:
        return known
    with model.lock.held(), torch.no_grad():
        batches = prompt_batches(model, encoded) if prompt_edited else following_batches(model, encoded)
        trials = [_trial(model, encoded, rows) for rows in batches]
        return choose_path(model, encoded, trials, prompt_edited=prompt_edited)


def following_batches(model: ProbeModel, encoded: Encoded) -> list[list[Row]]:
    """Batches of rows without edits before the last prompt token; the caller holds ``model.lock``."""
    none, low, high = trial_rows(model, encoded)
    return [[none, low, high], [high, none]]


def trial_rows(model: ProbeModel, encoded: Encoded) -> list[Row]:
    """An unsteered row and two that are edited at different blocks from the last prompt token on."""
    vectors, blocks = trial_vectors(model, encoded), len(model.layers)
    return [None, *(Steering(vectors, [block], unit="vector") for block in (blocks // 3, 2 * blocks // 3))]


def prompt_batches(model: ProbeModel, encoded: Encoded) -> list[list[Row]]:
    """Batches of rows that edit the prompt, each at one block as the chunks of a sweep do.

    An edit of the last block leaves all keys below it to the unsteered run, whatever kinds of cache layers the model
    mixes; an edit of the lowest block from the middle of the prompt leaves the columns before it.
    """
    vectors, last = trial_vectors(model, encoded), len(model.layers) - 1
    places = dict.fromkeys([(0, _middle(encoded)), (last // 2, 0), (last, 0)])
    return [[None, _from_position(vectors, encoded, *place)] for place in places]


def trial_vectors(model: ProbeModel, encoded: Encoded) -> xr.Dataset:
    """One random direction, at every block as long as the residual stream of this sample: an edit that shows."""
    norms: dict[int, float] = {}

    def measure(layer: int, hidden: torch.Tensor) -> None:
        norms[layer] = float(hidden.float().norm(dim=-1).median())

    with attached(model, measure):
        whole_forward(model, encoded, torch.zeros(1, 0, dtype=torch.long, device=model.device), last=1)
    drawn = np.random.default_rng(0).standard_normal(model.hidden_size)
    lengths = np.array([norms[layer] for layer in model.layers])
    return vectors_from(model, {"trial": lengths[:, None] * (drawn / np.linalg.norm(drawn))[None]})


def _from_position(vectors: xr.Dataset, encoded: Encoded, layer: int, first: int) -> Row:
    """A row that is edited at one block, at every position from one of the prompt to the end of the answer."""
    positions = list(range(first, _real_length(encoded)))
    parts = [Steering(vectors, [layer], unit="vector", tokens=tokens) for tokens in (positions, "generated")]
    return compose(*parts)


def _middle(encoded: Encoded) -> int:
    """Position of the middle image token, or of the middle of a prompt without image tokens."""
    roles = encoded.roles[0]
    image = (roles[roles != ROLES.index("padding")] == ROLES.index("image")).nonzero().flatten().tolist()
    return image[len(image) // 2] if image else _real_length(encoded) // 2


def _real_length(encoded: Encoded) -> int:
    return int((encoded.roles[0, : encoded.prompt_length] != ROLES.index("padding")).sum())


def _trial(model: ProbeModel, encoded: Encoded, rows: Sequence[Row]) -> Trial:
    unedited_part = Editor(model, rows, prompt=encoded).unedited_part
    return Trial(len(rows), lambda: Editor(model, rows, prompt=encoded).attached(), unedited_part)
