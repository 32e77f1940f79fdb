"""The edits of many rows at one layer, stacked into tensors so that all rows are edited at once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.activations.device_array import index_tensors
from mllm_probe.steering.intervention import Steering
from mllm_probe.steering.operations import CONCEPT, Affine, Operation, affine_size
from mllm_probe.tokens.positions import KINDS, POSITION_KINDS, measured_names
from mllm_probe.vectors.directions import Directions, directions_of, longest, require_length

_CHUNK = 1 << 24
"""Elements of activations that are edited at a time, to bound the memory of a wide scope with many rows."""


@dataclass(frozen=True)
class Entries:
    """Places of one call that a table edits.

    `line`, `column` (Tensor [places] int64): in the batch of the call.
    `row` (Tensor [places] int64): of the table.
    `kind` (Tensor [places] int64): index into ``KINDS``.
    `weight` (Tensor [places] float32): 1 where the place counts for the receipt.
    """

    line: Tensor
    column: Tensor
    row: Tensor
    kind: Tensor
    weight: Tensor

    def pieces(self, width: int) -> list[Entries]:
        """The same places in pieces of bounded size."""
        size = max(_CHUNK // width, 1)
        parts = (self.line, self.column, self.row, self.kind, self.weight)
        split = zip(*(part.split(size) for part in parts), strict=True)
        return [Entries(*parts) for parts in split]


class Bank:
    """Distinct vectors of one table, each stored once; compared by identity."""

    def __init__(self) -> None:
        self.vectors: list[Tensor] = []
        self._index: dict[int, int] = {}

    def index(self, vector: Tensor) -> int:
        """Place of a vector in the bank."""
        # The bank refers to every vector that it has an index for, so that no other tensor gets the same id.
        if id(vector) not in self._index:
            self._index[id(vector)] = len(self.vectors)
            self.vectors.append(vector)
        return self._index[id(vector)]

    def stacked(self, device: torch.device) -> Tensor:
        """Tensor [vectors, hidden] float32."""
        return torch.stack([vector.to(device, torch.float32) for vector in self.vectors])


@dataclass
class Table(ABC):
    """Edits of several rows at one layer, and the record of what was edited.

    `lines` (int array [rows]): the line of the batch that each row of the table belongs to.
    `steerings`: of each row.
    `differ` (bool array [rows]): whether a position uses a vector from another scope than its own.
    `slot`: place of these steerings in their rows' compositions.
    `indices`, `numbers` (dict of str to array [rows, kinds]): places in the bank, and numbers; by what they are.
    `seen` (bool array [rows, columns]): columns edited so far.
    `ratio`, `count` (Tensor [rows]): sum of ‖Δh‖ / ‖h‖, and of how many edits.
    """

    layer: int
    lines: np.ndarray
    steerings: Sequence[Steering]
    differ: np.ndarray
    bank: Bank
    slot: int
    indices: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    seen: np.ndarray = field(init=False)
    ratio: Tensor | None = None
    count: Tensor | None = None
    _tensors: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seen = np.zeros((len(self.lines), 0), bool)

    @abstractmethod
    def change(self, hidden: Tensor, at: Entries) -> Tensor:
        """Δh [places, hidden] for activations [places, hidden] at the entries."""

    def edit(self, hidden: Tensor, entries: Entries) -> None:
        """Edit ``hidden`` [lines, tokens, width] in place at the entries; arithmetic in float32 at least.

        Sizes of changes are added up only where ``entries.weight`` is 1: a position that is fed again counts once.
        """
        self._move_to(hidden.device)
        exact = torch.promote_types(hidden.dtype, torch.float32)
        for part in entries.pieces(hidden.shape[-1]):
            old = hidden[part.line, part.column].to(exact)
            change = self.change(old, part).to(exact)
            # Assignment is enough, as no place comes twice in the entries of one table; with doubles one change would
            # be lost.
            hidden[part.line, part.column] = (old + change).to(hidden.dtype)
            sizes = change.detach().norm(dim=-1) / old.detach().norm(dim=-1).clamp_min(torch.finfo(exact).tiny)
            self.ratio.index_add_(0, part.row, sizes.float() * part.weight)  # type: ignore[union-attr]
            self.count.index_add_(0, part.row, part.weight)  # type: ignore[union-attr]

    def mark(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Record that these columns of the sequence are edited; gives which of them were not before."""
        needed = int(columns.max()) + 1
        if needed > self.seen.shape[1]:
            # At least doubled, since an answer adds one column at a time.
            grown = np.zeros((len(self.lines), max(needed, 2 * self.seen.shape[1])), bool)
            grown[:, : self.seen.shape[1]] = self.seen
            self.seen = grown
        fresh = ~self.seen[rows, columns]
        self.seen[rows, columns] = True
        return fresh

    def vectors_at(self, name: str, at: Entries) -> Tensor:
        """Vectors [places, hidden] float32."""
        return self._tensors["bank"][self._tensors[name][at.row, at.kind]]

    def numbers_at(self, name: str, at: Entries) -> Tensor:
        """Numbers [places] float32."""
        return self._tensors[name][at.row, at.kind]

    def _move_to(self, device: torch.device) -> None:
        if self._tensors and self._tensors["bank"].device == device:
            return
        self._tensors = {"bank": self.bank.stacked(device)}
        self._tensors |= dict(zip(self.indices, index_tensors(list(self.indices.values()), device), strict=True))
        if self.numbers:
            numbers = torch.from_numpy(np.stack(list(self.numbers.values()))).to(device, torch.float32)
            self._tensors |= dict(zip(self.numbers, numbers, strict=True))
        self.ratio = torch.zeros(len(self.lines), device=device)
        self.count = torch.zeros(len(self.lines), device=device)


class AffineTable(Table):
    """Rows whose operations have an affine form: (constant + gain · (h·along − mean)) · direction.

    ``indices`` holds ``direction`` and, where a row projects, ``along``; ``numbers`` holds ``constant``, ``gain`` and
    ``mean``.
    """

    @property
    def projects(self) -> bool:
        """Whether edits depend on the activation."""
        return "along" in self.indices

    def change(self, hidden: Tensor, at: Entries) -> Tensor:
        """Δh [places, hidden] for activations [places, hidden] at the entries."""
        size = self.numbers_at("constant", at)
        if self.projects:
            gain, mean = self.numbers_at("gain", at), self.numbers_at("mean", at)
            size = affine_size(hidden, self.vectors_at("along", at), size, gain, mean)
        return size[..., None] * self.vectors_at("direction", at)


@dataclass
class GeneralTable(Table):
    """Rows of one operation that has no affine form; its own function is called.

    ``indices`` holds ``direction``, ``control`` and, where the operation uses it, ``to``; ``numbers`` holds ``dose``,
    ``controlled`` (1 where the change is made along ``control`` with the concept's size) and ``negative``.
    """

    operation: Operation = field(kw_only=True)

    def change(self, hidden: Tensor, at: Entries) -> Tensor:
        """Δh [places, hidden] for activations [places, hidden] at the entries."""
        used: dict[str, Tensor] = {}
        if "negative" in self.operation.uses:
            used["negative"] = self.numbers_at("negative", at)
        if "to" in self.operation.uses:
            used["to"] = self.vectors_at("to", at)
        dose = self.numbers_at("dose", at)
        delta = self.operation(hidden, self.vectors_at("direction", at), dose, **used)
        # Control: Δh = ± ‖Δh of the concept at this place‖ · drawn direction, with the sign of the dose.
        controlled = self.numbers_at("controlled", at)[..., None]
        size = (delta.norm(dim=-1) * dose.sign())[..., None]
        return torch.where(controlled > 0, size * self.vectors_at("control", at), delta)


Members = Sequence[tuple[int, Steering]]


def build_tables(layer: int, members: Members, kinds: np.ndarray, slot: int, dtype: torch.dtype) -> list[Table]:
    """Stack the edits of several lines at one layer.

    `members`: lines of the batch and the steering of each.
    `kinds` (bool array [members, kinds]): kinds of position that each line edits.
    `slot`: place of these steerings in their rows' compositions.
    `dtype`: of the activations that are edited.

    Returns one for the rows that add, one for those that project, one for each operation without an affine form. Raises
    ValueError if a vector, a residual norm or a mean projection is missing, or a dose is beyond ``dtype``.
    """
    # Rows that only add share a table without projection, which saves a dot product per place; hence two affine tables.
    groups: dict[Any, list[int]] = {}
    for index, (_, steering) in enumerate(members):
        operation = steering.declared
        general = operation.affine is None
        groups.setdefault(operation if general else operation.fixed_size, []).append(index)
    build = {True: _general_table, False: _affine_table}
    return [
        build[isinstance(key, Operation)](layer, [members[i] for i in group], kinds[group], slot, dtype)
        for key, group in groups.items()
    ]


def require_doses(steering: Steering, dtype: torch.dtype) -> None:
    """Raise a ValueError unless ``steering`` has a direction and a possible dose wherever its scope names tokens.

    `dtype`: of the activations that are edited.

    Positions and masks are not checked: what they hold depends on the prompt, and is checked when they are edited.
    """
    named = [name for name in steering.scope.names if name in POSITION_KINDS]
    for kind in dict.fromkeys(measured_names(named)):
        for layer in steering.blocks:
            _ = _Place(steering, kind, layer, dtype).dose  # raises


def _affine_table(layer: int, members: Members, kinds: np.ndarray, slot: int, dtype: torch.dtype) -> AffineTable:
    bank, shape = Bank(), (len(members), len(KINDS))
    direction, along = np.zeros(shape, np.int64), np.full(shape, -1)
    constant, gain, mean = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    differ = np.zeros(len(members), bool)
    for i, (_, steering) in enumerate(members):
        for k in np.flatnonzero(kinds[i]):
            place = _Place(steering, KINDS[k], layer, dtype)
            form = place.affine()
            differ[i] |= place.differs
            direction[i, k] = bank.index(form.direction)
            constant[i, k], gain[i, k], mean[i, k] = form.constant, form.gain, form.mean
            if form.along is not None:
                along[i, k] = bank.index(form.along)
    indices = {"direction": direction}
    if (along >= 0).any():
        indices["along"] = along.clip(0)  # where a row does not project, its gain is 0
    numbers = {"constant": constant, "gain": gain, "mean": mean}
    return AffineTable(layer, *_split(members), differ, bank, slot, indices, numbers)


def _general_table(layer: int, members: Members, kinds: np.ndarray, slot: int, dtype: torch.dtype) -> GeneralTable:
    operation = members[0][1].declared
    bank, shape = Bank(), (len(members), len(KINDS))
    indices = {name: np.zeros(shape, np.int64) for name in ("direction", "control", "to")}
    numbers = {name: np.zeros(shape) for name in ("dose", "controlled", "negative")}
    differ = np.zeros(len(members), bool)
    for i, (_, steering) in enumerate(members):
        for k in np.flatnonzero(kinds[i]):
            place = _Place(steering, KINDS[k], layer, dtype)
            differ[i] |= place.differs
            indices["direction"][i, k] = bank.index(place.direction)
            numbers["dose"][i, k] = place.dose
            used = place.used()
            if "to" in used:
                indices["to"][i, k] = bank.index(used["to"])
            numbers["negative"][i, k] = used.get("negative", 0.0)
            control = place.control_direction
            if control is not None:
                indices["control"][i, k], numbers["controlled"][i, k] = bank.index(control), 1
    return GeneralTable(layer, *_split(members), differ, bank, slot, indices, numbers, operation=operation)


def _split(members: Members) -> tuple[np.ndarray, list[Steering]]:
    return np.array([line for line, _ in members]), [steering for _, steering in members]


class _Place:
    """Direction, dose and affine form of a steering at one kind of position of one layer.

    `kind`: one of ``KINDS``. `dtype`: of the activations that are edited.
    """

    def __init__(self, steering: Steering, kind: str, layer: int, dtype: torch.dtype) -> None:
        self.steering, self.kind, self.layer, self.dtype = steering, kind, layer, dtype
        self.directions = steering.directions
        self.scope = self.directions.scope_for(kind)
        self.differs = self.scope not in (kind, "all")
        _require_vector(self.directions, self.scope, layer)

    @cached_property
    def direction(self) -> Tensor:
        """The unit vector that the operation works along."""
        return self._along(self.directions)

    @property
    def control_direction(self) -> Tensor | None:
        """Unit vector along which a control makes a change of the concept's size; None for the concept itself."""
        return None if self.steering.kind == CONCEPT else self.steering.direction(self.kind, self.layer)

    def used(self) -> dict[str, Any]:
        """Keyword arguments of the operation."""
        used: dict[str, Any] = {}
        if "negative" in self.steering.declared.uses:
            used["negative"] = self._negative()
        if "to" in self.steering.declared.uses:
            used["to"] = self._along(directions_of(self.steering.to))  # type: ignore[arg-type]
        return used

    def affine(self) -> Affine:
        """The change in affine form."""
        operation = self.steering.declared
        assert operation.affine is not None
        form = operation.affine(self.direction, self.dose, **self.used())
        drawn = self.control_direction
        if drawn is None:
            return form
        # A control exchanges the direction alone: constant, gain, mean and the projection stay the
        # concept's, so that |Δh| is the same at every h. The direction of `replace` is v̂ − v̂_to, which is not of
        # length 1, so the drawn unit vector is scaled to it.
        if form.direction is not self.direction:
            drawn = form.direction.norm() * drawn.to(form.direction.device)
        return replace(form, direction=drawn)

    @property
    def dose(self) -> float:
        """Signed length of the change, or the strength itself where the operation takes no unit."""
        steering, directions = self.steering, self.directions
        if not steering.declared.in_unit:
            return steering.strength
        dose = steering.strength * UNITS[steering.unit](directions, self.kind, self.scope, self.layer)
        most = longest(self.dtype)
        if not abs(dose) <= most:
            raise ValueError(
                f"a dose of {dose:.3g} (strength {steering.strength:g} in unit '{steering.unit}', layer {self.layer}) "
                f"is beyond the {most:.3g} that a model in {self.dtype} can hold: use a smaller strength."
            )
        return dose

    def _along(self, directions: Directions) -> Tensor:
        scope = self.scope
        if directions is not self.directions:
            scope = directions.scope_for(scope)
            _require_vector(directions, scope, self.layer)
        return directions.unit(scope, self.layer)

    def _negative(self) -> float:
        value = self.directions.negative(self.scope, self.layer)
        if np.isnan(value):
            raise ValueError(
                f"operation '{self.steering.declared.name}' needs the negative images' mean projection, which the "
                f"vectors of '{self.directions.name}' lack at layer {self.layer}."
            )
        return value


def _residual_length(directions: Directions, kind: str, scope: str, layer: int) -> float:
    norm = directions.residual_norm(kind, layer)
    if not norm > 0:
        raise ValueError(
            f"unit 'residual' needs the residual norm of {kind} positions at layer {layer}, which the vectors of "
            f"'{directions.name}' do not carry. Give vectors_from(…, images=…) some images, or use unit 'vector'."
        )
    return norm


UNITS: Mapping[str, Any] = {
    "residual": _residual_length,
    "vector": lambda directions, kind, scope, layer: directions.length(scope, layer),
    "raw": lambda directions, kind, scope, layer: directions.raw_length(scope, layer),
}
"""Unit of a strength → the length that strength 1 means."""


def _require_vector(directions: Directions, scope: str, layer: int) -> None:
    length = directions.length(scope, layer)
    which = f"the vector of '{directions.name}' at layer {layer}, scope {scope}"
    if not math.isfinite(length):
        raise ValueError(
            f"{which} holds NaN or infinity: make the vectors again from images and weights that give finite "
            "activations, or choose another layer."
        )
    if not length:
        raise ValueError(
            f"{which} has length 0, so it has no direction: the images with and without the concept give the same "
            "activations there. Choose another layer or scope."
        )
    require_length(which, length)
