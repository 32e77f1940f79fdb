"""The edits of many rows at one layer, stacked into tensors so that all rows are edited at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mllm_probe.steering import operations
from mllm_probe.steering.directions import Directions, directions_of
from mllm_probe.steering.positions import KINDS
from mllm_probe.steering.steering import Steering

_CHUNK = 1 << 24
"""Elements of activations that are edited at a time, to bound the memory of a wide scope with many rows."""


def longest(dtype: torch.dtype) -> float:
    """Largest length of an activation of ``dtype``: models square it in float32 to normalise it."""
    return min(torch.finfo(dtype).max, math.sqrt(torch.finfo(torch.float32).max))


@dataclass(frozen=True)
class Entries:
    """Places of one call that a table edits.

    Attributes
    ----------
    line, column : Tensor [places] int64
        In the batch of the call.
    row : Tensor [places] int64
        Of the table.
    kind : Tensor [places] int64
        Index into ``KINDS``.
    weight : Tensor [places] float32
        1 where the place counts for the receipt.
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


@dataclass
class Table:
    """Edits of one operation at one layer.

    Attributes
    ----------
    layer : int
    lines : int array [rows]
        The line of the batch that each row of the table belongs to.
    along, towards : int array [rows, kinds]
        Which unit vector is projected on, or added; which vector the excess is taken along.
    dose, negative : float array [rows, kinds]
    differ : bool array [rows]
        Whether a position uses a vector from another scope than its own.
    seen : bool array [rows, columns]
        Columns edited so far.
    """

    layer: int
    lines: np.ndarray
    along: np.ndarray
    towards: np.ndarray | None
    dose: np.ndarray
    negative: np.ndarray
    differ: np.ndarray
    bank: _Bank
    slot: int = 0
    seen: np.ndarray = field(init=False)
    ratio: Tensor | None = None
    count: Tensor | None = None
    _device: _OnDevice | None = None

    def __post_init__(self) -> None:
        self.seen = np.zeros((len(self.lines), 0), bool)

    def edit(self, hidden: Tensor, entries: Entries) -> None:
        """Edit ``hidden`` [lines, tokens, width] in place at the entries; arithmetic in float32 at least.

        Sizes of changes are added up only where ``entries.weight`` is 1: a position that is fed again counts once.
        """
        tensors = self._on(hidden.device)
        exact = torch.promote_types(hidden.dtype, torch.float32)
        for part in entries.pieces(hidden.shape[-1]):
            old = hidden[part.line, part.column].to(exact)
            change = tensors.change(old, part).to(exact)
            hidden[part.line, part.column] = (old + change).to(hidden.dtype)
            sizes = change.detach().norm(dim=-1) / old.detach().norm(dim=-1).clamp_min(torch.finfo(exact).tiny)
            self.ratio.index_add_(0, part.row, sizes.float() * part.weight)  # type: ignore[union-attr]
            self.count.index_add_(0, part.row, part.weight)  # type: ignore[union-attr]

    def mark(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Remember that these columns of the sequence are edited; gives which of them were not before."""
        needed = int(columns.max()) + 1
        if needed > self.seen.shape[1]:
            grown = np.zeros((len(self.lines), max(needed, 2 * self.seen.shape[1])), bool)
            grown[:, : self.seen.shape[1]] = self.seen
            self.seen = grown
        fresh = ~self.seen[rows, columns]
        self.seen[rows, columns] = True
        return fresh

    def _on(self, device: torch.device) -> _OnDevice:
        if self._device is None or self._device.dose.device != device:
            self._device = _OnDevice.of(self, device)
            self.ratio = torch.zeros(len(self.lines), device=device)
            self.count = torch.zeros(len(self.lines), device=device)
        return self._device


@dataclass(frozen=True)
class _OnDevice:
    bank: Tensor
    along: Tensor
    towards: Tensor | None
    dose: Tensor
    negative: Tensor

    @classmethod
    def of(cls, table: Table, device: torch.device) -> _OnDevice:
        return cls(
            torch.stack([vector.to(device, torch.float32) for vector in table.bank.vectors]),
            torch.from_numpy(table.along).to(device),
            None if table.towards is None else torch.from_numpy(table.towards).to(device),
            torch.from_numpy(table.dose).to(device, torch.float32),
            torch.from_numpy(table.negative).to(device, torch.float32),
        )

    def change(self, hidden: Tensor, at: Entries) -> Tensor:
        along, dose = self.bank[self.along[at.row, at.kind]], self.dose[at.row, at.kind]
        if self.towards is None:
            return operations.add(hidden, along, dose)
        towards, negative = self.bank[self.towards[at.row, at.kind]], self.negative[at.row, at.kind]
        return operations.exchange(hidden, along, towards, negative, dose)


class _Bank:
    """Different vectors of one table, each kept once."""

    def __init__(self) -> None:
        self.vectors: list[Tensor] = []
        self._known: dict[tuple[object, ...], int] = {}

    def index(self, key: tuple[object, ...], vector: Tensor) -> int:
        if key not in self._known:
            self._known[key] = len(self.vectors)
            self.vectors.append(vector)
        return self._known[key]


def build_table(
    layer: int,
    lines: Sequence[int],
    steerings: Sequence[Steering],
    kinds: np.ndarray,
    slot: int,
    dtype: torch.dtype,
) -> Table:
    """Stack the edits of several lines at one layer.

    Parameters
    ----------
    layer : int
    lines : sequence of int
    steerings : sequence of Steering
        One per line; all ``add``, or none.
    kinds : bool array [lines, kinds]
        Kinds of position that each line edits.
    slot : int
        Place of these steerings in their rows' compositions.
    dtype : torch.dtype
        Of the activations that are edited.
    """
    bank, shape = _Bank(), (len(lines), len(KINDS))
    adds = steerings[0].operation == "add"
    along, towards = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    dose, negative = np.zeros(shape), np.zeros(shape)
    differ = np.zeros(len(lines), bool)
    for i, steering in enumerate(steerings):
        directions = steering.directions
        for k in np.flatnonzero(kinds[i]):
            scope = directions.scope_for(KINDS[k])
            differ[i] |= scope not in (KINDS[k], "all")
            _require_vector(directions, scope, layer)
            if adds:
                along[i, k] = _direction(bank, steering, directions, scope, layer)
                dose[i, k] = _dose(steering, directions, KINDS[k], scope, layer, dtype)
            else:
                along[i, k], towards[i, k] = _exchanged(bank, steering, directions, scope, layer)
                dose[i, k], negative[i, k] = steering.strength, _negative(steering, scope, layer)
    return Table(layer, np.array(lines), along, None if adds else towards, dose, negative, differ, bank, slot)


def require_doses(steering: Steering, dtype: torch.dtype) -> None:
    """Raise a ValueError unless ``steering`` has a direction and a possible dose wherever its scope names tokens.

    Parameters
    ----------
    steering : Steering
    dtype : torch.dtype
        Of the activations that are edited.

    Notes
    -----
    Positions and masks are not checked: what they hold depends on the prompt, and is checked when they are edited.
    """
    directions = steering.directions
    named = {"generated": "last_prompt"}
    kinds = {named.get(name, name) for name in steering.scope.names} & set(KINDS)
    for kind in sorted(kinds):
        scope = directions.scope_for(kind)
        for layer in steering.layers:
            _require_vector(directions, scope, layer)
            if steering.operation == "add":
                _dose(steering, directions, kind, scope, layer, dtype)


def _direction(bank: _Bank, steering: Steering, directions: Directions, scope: str, layer: int) -> int:
    if steering.kind == "random":
        width = directions.vector(scope, layer).shape[-1]
        drawn = operations.random_direction(steering.seed, steering.draw, layer, width)
        return bank.index(("random", steering.seed, steering.draw), drawn)
    if steering.kind == "shuffled":
        drawn = directions.shuffled(scope, layer, steering.draw)
        return bank.index(("shuffled", id(directions), scope, steering.draw), drawn)
    return bank.index(("concept", id(directions), scope), directions.unit(scope, layer))


def _exchanged(bank: _Bank, steering: Steering, directions: Directions, scope: str, layer: int) -> tuple[int, int]:
    """Vectors of ablate and replace; a random control projects on the concept and moves along its own direction."""
    projected = _projected(bank, steering, directions, scope, layer)
    away = bank.vectors[projected]
    key: tuple[object, ...] = ("away", projected)
    if steering.operation == "replace":
        other = directions_of(steering.to)  # type: ignore[arg-type]
        _require_vector(other, other.scope_for(scope), layer)
        index = _projected(bank, steering, other, other.scope_for(scope), layer)
        away, key = away - bank.vectors[index].to(away.device), (*key, index)
    if steering.kind == "random":
        drawn = operations.random_direction(steering.seed, steering.draw, layer, away.shape[-1])
        away, key = away.norm() * drawn.to(away.device), (*key, steering.seed, steering.draw)
    return projected, bank.index(key, away)


def _projected(bank: _Bank, steering: Steering, directions: Directions, scope: str, layer: int) -> int:
    if steering.kind == "shuffled":
        return _direction(bank, steering, directions, scope, layer)
    return bank.index(("concept", id(directions), scope), directions.unit(scope, layer))


def _dose(steering: Steering, directions: Directions, kind: str, scope: str, layer: int, dtype: torch.dtype) -> float:
    """Signed length of the change; models of ``dtype`` can hold it."""
    dose = steering.strength * _unit_length(steering, directions, kind, scope, layer)
    most = longest(dtype)
    if not abs(dose) <= most:
        raise ValueError(
            f"a dose of {dose:.3g} (strength {steering.strength:g} in unit '{steering.unit}', layer {layer}) is beyond "
            f"the {most:.3g} that a model in {dtype} can hold: use a smaller strength."
        )
    return dose


def _unit_length(steering: Steering, directions: Directions, kind: str, scope: str, layer: int) -> float:
    """Length of the change at strength 1."""
    if steering.unit == "vector":
        return directions.length(scope, layer)
    if steering.unit == "raw":
        return directions.raw_length(scope, layer)
    norm = directions.residual_norm(kind, layer)
    if not norm > 0:
        raise ValueError(
            f"unit 'residual' needs the residual norm of {kind} positions at layer {layer}, which the vectors of "
            f"'{directions.name}' do not carry. Give vectors_from(…, images=…) some pictures, or use unit 'vector'."
        )
    return norm


def _negative(steering: Steering, scope: str, layer: int) -> float:
    value = steering.directions.negative(scope, layer, steering.draw if steering.kind == "shuffled" else None)
    if np.isnan(value):
        raise ValueError(
            f"operation '{steering.operation}' needs the negative pictures' mean projection, which the vectors of "
            f"'{steering.directions.name}' lack at layer {layer}."
        )
    return value


def _require_vector(directions: Directions, scope: str, layer: int) -> None:
    length = directions.length(scope, layer)
    if 0 < length <= longest(torch.float32):
        return
    which = f"the vector of '{directions.name}' at layer {layer}, scope {scope}"
    if not math.isfinite(length):
        raise ValueError(
            f"{which} holds NaN or infinity: make the vectors again from pictures and weights that give finite "
            "activations, or choose another layer."
        )
    if length:
        raise ValueError(
            f"{which} is too long: its length {length:.3g} is beyond the {longest(torch.float32):.3g} whose square "
            "float32 can hold. Scale it; unit 'residual' takes its direction alone."
        )
    raise ValueError(
        f"{which} has length 0, so it has no direction: the pictures with and without the concept give the same "
        "activations there. Choose another layer or scope."
    )
