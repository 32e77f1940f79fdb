"""Choosing how the rows of a sample share its prompt, by trial rows that cover the kinds of edit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mllm_probe import schema
from mllm_probe.decoding.paths import OnOpened, Path, Trial, choose_path, known_path
from mllm_probe.decoding.shared import NOTHING, UneditedPart
from mllm_probe.schema import ROLES
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import Row, Steering, compose
from mllm_probe.steering.operations import Affine, Number, Operation
from mllm_probe.vectors.construction import vectors_from

if TYPE_CHECKING:
    import xarray as xr

    from mllm_probe.models import Encoded, ProbeModel


def path_of(
    model: ProbeModel,
    encoded: Encoded,
    *,
    prompt_edited: bool,
    input_edited: bool = False,
    on_opened: OnOpened = lambda _: None,
) -> Path:
    """The cheapest exact way for rows of a sample, tried once per architecture and kind of sample.

    `model`: keeps the verdict.
    `encoded`: one sample.
    `prompt_edited`: whether anything before the last token of the prompt is edited.
    `input_edited`: whether the input of block 0 is among what is edited.
    `on_opened`: is given what the rows share, where it was opened to try the way.

    The verdict holds for every later sweep, stream and session, so the trial rows do not depend on what is asked for
    now. Rows of an unedited prompt are edited from its last token on; those of an edited prompt cover its cases: the
    lowest, a middle and the last block, and edits from the first column and from a later one.
    """
    known = known_path(model, encoded, prompt_edited=prompt_edited, input_edited=input_edited)
    if known is not None:
        return known
    trial = _prompt_trial(model, encoded, input_edited) if prompt_edited else _following_trial(model, encoded)
    with model.lock.held(), torch.no_grad():
        return choose_path(
            model, encoded, trial, prompt_edited=prompt_edited, input_edited=input_edited, on_opened=on_opened
        )


def _following_trial(model: ProbeModel, encoded: Encoded) -> Trial:
    """Rows without edits before the last prompt token, started with their unedited part and without.

    A sweep declares it; a slider starts its rows before their edits are known.
    """
    # Two rows part at one block, which is all that a model could get wrong. Their whole forwards are most of a trial's
    # time, so a third row, which parts at another block, is left to the tests of the ways themselves.
    rows = trial_rows(model)[:2]
    every = range(len(rows))
    parts = (Editor(model, rows, prompt=encoded).unedited_part, NOTHING)
    return _trial(model, encoded, rows, [(every, part) for part in parts])


def trial_rows(model: ProbeModel) -> list[Row]:
    """An unsteered row between two that are edited at different blocks from the last prompt token on."""
    vectors, blocks = _trial_direction(model), len(model.layers)
    low, high = (Steering(vectors, [block], operation=RELATIVE) for block in (blocks // 3, 2 * blocks // 3))
    return [low, None, high]


def _prompt_trial(model: ProbeModel, encoded: Encoded, input_edited: bool = False) -> Trial:
    """Rows that edit the prompt, each in a batch with an unsteered one and at one block, as chunks of a sweep are.

    An edit of the last block leaves all keys below it to the unsteered run, whatever kinds of cache layers the model
    mixes; an edit of the lowest block from the middle of the prompt leaves the columns before it. An edit of the input
    of block 0, where there is one, leaves no block to the unsteered run.
    """
    vectors, last = _trial_direction(model), len(model.layers) - 1
    places = dict.fromkeys([(0, _middle(encoded)), (last // 2, 0), (last, 0)])
    rows: list[Row] = [None, *(_from_position(vectors, encoded, *place) for place in places)]
    rows += _of_input(model, encoded) if input_edited else []
    batches = [(0, number) for number in range(1, len(rows))]
    parts = [Editor(model, [rows[i] for i in batch], prompt=encoded).unedited_part for batch in batches]
    return _trial(model, encoded, rows, list(zip(batches, parts, strict=True)))


def _trial(
    model: ProbeModel, encoded: Encoded, rows: Sequence[Row], batches: Sequence[tuple[Sequence[int], UneditedPart]]
) -> Trial:
    def edits(chosen: Sequence[int]) -> AbstractContextManager[Any]:
        return Editor(model, [rows[i] for i in chosen], prompt=encoded).attached()

    return Trial(len(rows), edits, batches)


def _relative(direction: torch.Tensor, dose: Number) -> Affine:
    """√d (h·u) v: about as long as h itself, so that the edit shows without measuring how long activations are."""
    along = direction.roll(1, -1)
    return Affine(direction, along=along, gain=dose * math.sqrt(direction.shape[-1]))


RELATIVE = Operation("trial", affine=_relative, in_unit=False)
"""The operation of trial rows; its edit depends on the activation, as those of all operations but "add" do."""


def _trial_direction(model: ProbeModel) -> xr.Dataset:
    """One random direction."""
    return vectors_from(model, {"trial": _normal(model)})


def _normal(model: ProbeModel) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(model.hidden_size)


def _from_position(vectors: xr.Dataset, encoded: Encoded, layer: int, first: int) -> Row:
    """A row that is edited at one block, at every position from one of the prompt to the end of the answer."""
    positions = list(range(first, _real_length(encoded)))
    parts = [Steering(vectors, [layer], tokens=tokens, operation=RELATIVE) for tokens in (positions, "generated")]
    return compose(*parts)


def _of_input(model: ProbeModel, encoded: Encoded) -> list[Row]:
    """A row that is edited at the input of block 0, at the image tokens from the middle one on; none without any."""
    image = [place for place in _image_positions(encoded) if place >= _middle(encoded)]
    if not image:
        return []
    vectors = vectors_from(model, {"trial": _normal(model)}, scope="image", layers=schema.INPUT_NAME)
    return [Steering(vectors, schema.INPUT_NAME, tokens=image, operation=RELATIVE)]


def _image_positions(encoded: Encoded) -> list[int]:
    """Positions of the image tokens in the unpadded prompt."""
    roles = encoded.roles[0]
    real = roles[roles != ROLES.index("padding")]
    return (real == ROLES.index("image")).nonzero().flatten().tolist()


def _middle(encoded: Encoded) -> int:
    """Position of the middle image token, or of the middle of a prompt without image tokens."""
    image = _image_positions(encoded)
    return image[len(image) // 2] if image else _real_length(encoded) // 2


def _real_length(encoded: Encoded) -> int:
    return int((encoded.roles[0, : encoded.prompt_length] != ROLES.index("padding")).sum())
