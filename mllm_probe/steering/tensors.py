"""Preallocated tensors with the edits of a batch and their arithmetic, and trial rows that choose how rows share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import index_tensors
from mllm_probe.decoding.paths import DecodingPath, OnOpened, Trial, choose_path, known_path
from mllm_probe.decoding.shared_prompt import UNEDITED_NONE, SharedPrefixSpan
from mllm_probe.schema import ROLES
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import RowEdit, Steering, compose
from mllm_probe.steering.operations import Affine, Number, Operation, affine_size
from mllm_probe.steering.tables import AffineTable, Members, build_tables
from mllm_probe.tokens.positions import KINDS, LAST_PROMPT
from mllm_probe.vectors.construction import vectors_from

PHASES = ("last_prompt", "generated")
"""What is fed: the last prompt token, or tokens of the answer. Both use the vector and the norm of last_prompt."""

LAST, GENERATED = range(len(PHASES))


@dataclass(frozen=True)
class Stacked:
    """All edits of a batch of rows; each is the change (constant + gain · (h·along − mean)) · direction.

    `place` (int64 array [3, edits]): slot, index of the layer, row. Edits of one row at one layer have slots 0, 1, …
        and apply in this order.
    `on` (bool array [phases, edits]): whether the edit applies in a phase.
    `direction`, `along` (int64 array [edits]): which of ``vectors``; -1 where nothing is projected.
    `constant`, `gain`, `mean`: float32 array [edits].
    `vectors`: list of Tensor [hidden].
    `differ` (bool array [rows]): whether a row uses a vector that was captured at another scope.
    """

    place: np.ndarray
    on: np.ndarray
    direction: np.ndarray
    along: np.ndarray
    constant: np.ndarray
    gain: np.ndarray
    mean: np.ndarray
    vectors: list[Tensor]
    differ: np.ndarray

    @property
    def slots(self) -> int:
        """Largest number of edits at one layer of a row."""
        return int(self.place[0].max()) + 1 if self.place.shape[1] else 1

    @property
    def projects(self) -> bool:
        """Whether an edit depends on the activation, as ablate and replace do."""
        return bool((self.along >= 0).any())

    def bank(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The vectors as one tensor [vectors, hidden]."""
        return torch.stack([vector.to(device, dtype) for vector in self.vectors])


def phases_of(part: Steering) -> tuple[bool, bool]:
    """Whether a steering edits the last prompt token, and the generated ones."""
    return part.scope.last_prompt, part.scope.generated


def stack(rows: Sequence[RowEdit], layers: Mapping[int, int], dtype: torch.dtype) -> Stacked:
    """Stack the edits of rows.

    `layers`: block → its index. `dtype`: of the activations that are edited. Raises ValueError if a vector, norm or
    projection is missing, a dose is beyond ``dtype``, a layer is not among ``layers``, or an operation has no affine
    form.
    """
    groups: dict[tuple[int, int], list[tuple[int, Steering]]] = {}
    for line, row in enumerate(rows):
        filled: dict[int, int] = {}
        for part in () if row is None else row.parts:
            if part.strength == 0 or not any(phases_of(part)):
                continue
            for layer in part.blocks:
                slot = filled.get(layer, 0)
                filled[layer] = slot + 1
                groups.setdefault((slot, layer), []).append((line, part))
    tables = [_tables(slot, layer, members, layers, dtype) for (slot, layer), members in groups.items()]
    return _joined([table for built in tables for table in built], len(rows), layers)


def _tables(
    slot: int, layer: int, members: Members, layers: Mapping[int, int], dtype: torch.dtype
) -> list[AffineTable]:
    if layer not in layers:
        raise ValueError(f"layer {layer} is not among the layers of this buffer: {', '.join(map(str, layers))}.")
    # One kind for both phases: a generated token takes the vector and the residual norm of the last prompt token.
    kinds = np.arange(len(KINDS))[None].repeat(len(members), 0) == LAST_PROMPT
    tables = []
    for table in build_tables(layer, members, kinds, slot, dtype):
        if not isinstance(table, AffineTable):
            raise ValueError(
                f"operation '{table.operation.name}' has no affine form, which edits from a buffer need: "  # type: ignore[attr-defined]
                "run these rows with an Editor."
            )
        tables.append(table)
    return tables


def _joined(tables: Sequence[AffineTable], rows: int, layers: Mapping[int, int]) -> Stacked:
    vectors: list[Tensor] = []
    differ = np.zeros(rows, bool)
    columns = [np.zeros((8, 0))]
    phases: list[tuple[bool, bool]] = []
    for table in tables:
        differ[table.lines] |= table.differ
        column = np.empty((8, len(table.lines)))
        column[0], column[1], column[2], column[4] = table.slot, layers[table.layer], table.lines, -1
        for number, name in ((3, "direction"), (4, "along")):
            # Each table counts its bank's vectors from 0; joined, they follow those of the tables before.
            if name in table.indices:
                column[number] = len(vectors) + table.indices[name][:, LAST_PROMPT]
        for number, name in ((5, "constant"), (6, "gain"), (7, "mean")):
            column[number] = table.numbers[name][:, LAST_PROMPT]
        columns.append(column)
        vectors += table.bank.vectors
        phases += map(phases_of, table.steerings)
    whole = np.concatenate(columns, 1)
    slot, layer, row, direction, along = whole[:5].astype(np.int64)
    constant, gain, mean = whole[5:].astype(np.float32)
    return Stacked(
        place=np.stack([slot, layer, row]),
        on=np.array(phases, bool).reshape(-1, len(PHASES)).T,
        direction=direction,
        along=along,
        constant=constant,
        gain=gain,
        mean=mean,
        vectors=vectors,
        differ=differ,
    )


@dataclass(frozen=True)
class Tensors:
    """Edits of all rows of a buffer.

    `direction` (Tensor [slots, layers, rows, hidden]): along which a row is changed.
    `along` (Tensor [slots, layers, rows, hidden] or None): on which the activation is projected; None where no
        operation does.
    `numbers` (Tensor [7, slots, layers, rows]): whether the edit applies to the last prompt token, whether to generated
        ones, constant, gain, mean, the length of ``direction``, and whether the edit applies to what is fed now.
    `ratio` (Tensor [slots, layers, rows]): sum of ‖Δh‖ / ‖h‖.
    """

    direction: Tensor
    along: Tensor | None
    numbers: Tensor
    ratio: Tensor

    @classmethod
    def empty(
        cls, shape: tuple[int, int, int, int], projects: bool, device: torch.device, dtype: torch.dtype
    ) -> Tensors:
        """Room for [slots, layers, rows, hidden]; ``projects``: for operations that project, too."""
        return cls(
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(shape, device=device, dtype=dtype) if projects else None,
            torch.zeros(7, *shape[:3], device=device, dtype=dtype),
            torch.zeros(shape[:3], device=device),
        )

    @property
    def slots(self) -> int:
        """Number of edits that may meet at one layer of a row."""
        return self.direction.shape[0]

    @property
    def all(self) -> list[Tensor]:
        """The tensors that there are."""
        return [t for t in (self.direction, self.along, self.numbers, self.ratio) if t is not None]

    @property
    def nbytes(self) -> int:
        """Memory on the device."""
        return sum(t.numel() * t.element_size() for t in self.all)

    def fill(self, stacked: Stacked) -> None:
        """Write edits in place; earlier ones are switched off."""
        slot, layer, row = stacked.place
        numbers = np.zeros((5, *self.ratio.shape), np.float32)
        values = (*stacked.on, stacked.constant, stacked.gain, stacked.mean)
        for number, value in zip(numbers, values, strict=True):
            number[slot, layer, row] = value
        # Vectors of earlier edits stay in `direction` and `along`: with on = 0 they add nothing, and clearing [slots,
        # layers, rows, hidden] at every move of a slider would cost more than the write. So they must stay finite.
        self.numbers[:5].copy_(torch.from_numpy(numbers))
        self.ratio.zero_()
        if not stacked.vectors:
            return
        device, width = self.direction.device, self.direction.shape[-1]
        places = np.ravel_multi_index((slot, layer, row), self.ratio.shape)
        # `clip`: -1 (nothing is projected) must be a valid index; the gain there is 0.
        at, index, other = index_tensors([places, stacked.direction, stacked.along.clip(0)], device)
        bank = stacked.bank(device, self.direction.dtype)
        direction = bank[index]
        self.direction.view(-1, width).index_copy_(0, at, direction)
        self.numbers[5].view(-1).index_copy_(0, at, direction.norm(dim=-1))
        if self.along is not None:
            self.along.view(-1, width).index_copy_(0, at, bank[other])

    def of(self, rows: np.ndarray | None, count: int) -> EditBatch:
        """The edits of some rows: the first ``count`` in place, or copies of ``rows``."""
        # Views for the whole batch, so that a later write reaches a recorded graph; copies once rows have left, as
        # their selection is no slice. Copies sum sizes from 0, see `EditBuffer.keep`.
        if rows is None:
            parts = [t if t is None else t[:, :, :count] for t in (self.direction, self.along, self.ratio)]
            return EditBatch(parts[0], parts[1], self.numbers[..., :count], parts[2])  # type: ignore[arg-type]
        at = torch.from_numpy(rows).to(self.ratio.device)
        along = None if self.along is None else self.along.index_select(2, at)
        ratio = torch.zeros(*self.ratio.shape[:2], count, device=self.ratio.device)
        return EditBatch(self.direction.index_select(2, at), along, self.numbers.index_select(3, at), ratio)


@dataclass(frozen=True)
class EditBatch:
    """Edits of the rows that are in the batch now; tensors as in :class:`Tensors`."""

    direction: Tensor
    along: Tensor | None
    numbers: Tensor
    ratio: Tensor
    _rows: dict[int, Tensor | None] = field(default_factory=dict, repr=False)
    _changes: dict[tuple[int, int], list[Change]] = field(default_factory=dict, repr=False)

    def enter(self, phase: int) -> None:
        """Select the phase of the next calls."""
        self.numbers[-1].copy_(self.numbers[phase])

    def changes(
        self, layer: int, phase: int, device: torch.device | None = None, rows: Tensor | None = None
    ) -> list[Change]:
        """The edits of one layer, in the order in which they apply.

        `layer`: index of the layer.
        `phase`: index into ``PHASES``, or -1 for the one that was entered.
        `device` (torch.device): where the layer is computed; where the tensors are by default.
        `rows` (Tensor int64): rows of the batch to edit; all by default.
        """
        device = self.ratio.device if device is None else device
        changes = []
        for slot in range(self.direction.shape[0]):
            numbers = _chosen(self.numbers[:, slot, layer], rows, 1).to(device)[..., None]
            direction = _chosen(self.direction[slot, layer], rows).to(device)[:, None]
            along = None if self.along is None else _chosen(self.along[slot, layer], rows).to(device)[:, None]
            changes.append(Change(direction, along, numbers[phase], numbers[2:], self.ratio[slot, layer], rows))
        return changes

    def prepared(self, layer: int, phase: int, device: torch.device) -> list[Change]:
        """The edits of the rows that a layer edits; computed once, so later writes have no effect on them."""
        key = (layer, phase)
        if key not in self._changes:
            self._changes[key] = self.changes(layer, phase, device, self.edited(layer))
        return self._changes[key]

    def edited(self, layer: int) -> Tensor | None:
        """Rows that a layer edits in any phase, int64; None where it is most of them."""
        if layer not in self._rows:
            rows = self.numbers[: len(PHASES), :, layer].amax((0, 1)).nonzero()[:, 0]
            self._rows[layer] = rows if 2 * len(rows) <= self.ratio.shape[-1] else None
        return self._rows[layer]


class Change:
    """One edit of many rows at one layer, with the products that are the same at all steps computed once.

    `direction`, `along`: Tensor [rows, 1, hidden].
    `weight` (Tensor [rows, 1]): 1 where the edit applies, else 0.
    `numbers` (Tensor [5, rows, 1]): constant, gain, mean, length of the direction, unused.
    `ratio` (Tensor [all rows]): sizes are added up here.
    `rows`: which of all rows these are.
    """

    def __init__(
        self,
        direction: Tensor,
        along: Tensor | None,
        weight: Tensor,
        numbers: Tensor,
        ratio: Tensor,
        rows: Tensor | None,
    ) -> None:
        self.direction, self.along, self.ratio, self.rows = direction, along, ratio, rows
        # on · (constant + gain · (h·along − mean)) with `on` multiplied in once: rows without an edit in this phase
        # change by exactly 0. Without `along`, |Δh| = |constant| · ‖direction‖ needs no norm at each step.
        self.constant, self.gain, self.mean = weight * numbers[0], weight * numbers[1], numbers[2]
        self.weight, self.length = self.constant[..., None], numbers[3]
        self.reach = self.constant.abs() * self.length

    def apply(self, hidden: Tensor, counted: bool = True) -> Tensor:
        """Activations after the edit; rows without one as they are.

        `hidden` (Tensor [rows, tokens, hidden]): arithmetic is in float32 at least. `counted`: add the sizes of the
        changes up.
        """
        old, weight, reach = hidden.to(self.direction.dtype), self.weight, self.reach
        if self.along is not None:
            size = affine_size(old, self.along, self.constant, self.gain, self.mean)
            weight, reach = size[..., None], size.abs() * self.length
        if counted:
            smallest = torch.finfo(old.dtype).tiny
            ratio = (reach / torch.linalg.vector_norm(old, dim=-1).clamp_min(smallest)).sum(1).to(self.ratio)
            self.ratio.add_(ratio) if self.rows is None else self.ratio.index_add_(0, self.rows, ratio)
        return torch.addcmul(old, weight, self.direction).to(hidden.dtype)


def _chosen(tensor: Tensor, rows: Tensor | None, dim: int = 0) -> Tensor:
    return tensor if rows is None else tensor.index_select(dim, rows)


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
) -> DecodingPath:
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
    parts = (Editor(model, rows, prompt=encoded).unedited_part, UNEDITED_NONE)
    return _trial(model, encoded, rows, [(every, part) for part in parts])


def trial_rows(model: ProbeModel) -> list[RowEdit]:
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
    rows: list[RowEdit] = [None, *(_from_position(vectors, encoded, *place) for place in places)]
    rows += _of_input(model, encoded) if input_edited else []
    batches = [(0, number) for number in range(1, len(rows))]
    parts = [Editor(model, [rows[i] for i in batch], prompt=encoded).unedited_part for batch in batches]
    return _trial(model, encoded, rows, list(zip(batches, parts, strict=True)))


def _trial(
    model: ProbeModel,
    encoded: Encoded,
    rows: Sequence[RowEdit],
    batches: Sequence[tuple[Sequence[int], SharedPrefixSpan]],
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


def _from_position(vectors: xr.Dataset, encoded: Encoded, layer: int, first: int) -> RowEdit:
    """A row that is edited at one block, at every position from one of the prompt to the end of the answer."""
    positions = list(range(first, _real_length(encoded)))
    parts = [Steering(vectors, [layer], tokens=tokens, operation=RELATIVE) for tokens in (positions, "generated")]
    return compose(*parts)


def _of_input(model: ProbeModel, encoded: Encoded) -> list[RowEdit]:
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
