"""Receipts of a steered run: layers, positions and steps of each row that were selected and edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mllm_probe.schema import ROW, layer_names

if TYPE_CHECKING:
    from mllm_probe.steering.intervention import Row, Steering


@dataclass(frozen=True)
class RowReceipt:
    """One row of a run.

    Attributes
    ----------
    label : str
        What the row was steered with; empty for an unsteered one.
    layers : tuple of int
        Blocks with an edit planned.
    selected : tuple of int
        Prompt positions (unpadded) that the scope selects.
    edited : tuple of int
        Those that were edited at every layer.
    generated : bool
        Whether generated positions are selected too.
    steps : int
        Generated positions edited at every layer, up to the end of the row's answer.
    relative_size : float
        Mean ‖Δh‖ / ‖h‖ over all edits, NaN without any.
    scopes_differ : bool
        True where a position used a vector that was captured at another scope.
    baseline : bool
        Nothing was planned: no steering, or strength 0.
    unfired : tuple of str
        Parts of the scope that were planned but never edited anything.
    general : tuple of str
        Operations without an affine form, which the general editor ran at each of these positions.
    """

    label: str = ""
    layers: tuple[int, ...] = ()
    selected: tuple[int, ...] = ()
    edited: tuple[int, ...] = ()
    generated: bool = False
    steps: int = 0
    relative_size: float = float("nan")
    scopes_differ: bool = False
    baseline: bool = True
    unfired: tuple[str, ...] = ()
    general: tuple[str, ...] = ()

    @property
    def fired(self) -> bool:
        """Whether anything was edited."""
        return bool(self.edited or self.steps)

    def __str__(self) -> str:
        if self.baseline:
            return f"{self.label or 'no steering'}: baseline, nothing edited"
        names = [str(name) for name in layer_names(self.layers)]
        where = f"layer{'s' * (len(names) > 1)} {', '.join(names)}"
        done = f"{len(self.edited)} of {len(self.selected)} prompt positions"
        if self.generated:
            done += f", {self.steps} generated"
        if not self.fired:
            return f"{self.label}: {where}, DID NOT FIRE ({done} edited)"
        notes = f", ‖Δh‖/‖h‖ = {self.relative_size:.3g}"
        # After the first edited layer, and in its answer, a row's h is another one than that of the row beside it.
        notes += ", h being this row's own" if len(self.layers) > 1 or self.steps else ""
        notes += f", did not fire: {', '.join(self.unfired)}" if self.unfired else ""
        notes += ", vector from another scope" if self.scopes_differ else ""
        notes += f", {', '.join(self.general)} run by the general editor" if self.general else ""
        return f"{self.label}: {where}, {done}{notes}"


@dataclass(frozen=True)
class PartRecord:
    """Positions that one steering of a row selected and edited so far.

    `selected`, `edited`: prompt positions (unpadded); ``edited`` at every layer of the steering. `steps`: generated
    columns edited at every layer, up to the end of the row's answer; numbered in any one way. `fired`: whether each
    part of the scope edited anything.
    """

    steering: Steering
    selected: Iterable[int]
    edited: Iterable[int]
    steps: Iterable[int]
    fired: Mapping[str, bool]


def row_receipt(
    row: Row, parts: Sequence[PartRecord], layers: Iterable[int], relative_size: float, scopes_differ: bool
) -> RowReceipt:
    """The receipt of one row, from the records of its steerings that were planned; none of them is the baseline."""
    if row is None or not parts:
        return RowReceipt(label="" if row is None else row.label)
    return RowReceipt(
        label=row.label,
        layers=tuple(sorted(layers)),
        selected=tuple(sorted({position for part in parts for position in part.selected})),
        edited=tuple(sorted({position for part in parts for position in part.edited})),
        generated=any(part.scope.generated for part in row.parts),
        steps=len({column for part in parts for column in part.steps}),
        relative_size=relative_size,
        scopes_differ=scopes_differ,
        baseline=False,
        unfired=tuple(dict.fromkeys(name for part in parts for name, fired in part.fired.items() if not fired)),
        general=tuple(dict.fromkeys(p.steering.declared.name for p in parts if p.steering.declared.affine is None)),
    )


class Receipt:
    """Receipts of all rows of a run; updated while the run lasts.

    Parameters
    ----------
    source : callable
        Gives the rows as they are now.
    """

    def __init__(self, source: Callable[[], tuple[RowReceipt, ...]]) -> None:
        self._source: Callable[[], tuple[RowReceipt, ...]] | None = source
        self._rows: tuple[RowReceipt, ...] = ()

    @property
    def rows(self) -> tuple[RowReceipt, ...]:
        """One receipt per row."""
        return self._rows if self._source is None else self._source()

    def freeze(self) -> Receipt:
        """Keep the rows as they are now and drop the reference to the run."""
        if self._source is not None:
            self._rows, self._source = self._source(), None
        return self

    @property
    def fired(self) -> bool:
        """Whether every row that was to be edited was."""
        return all(row.fired or row.baseline for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> RowReceipt:
        return self.rows[index]

    def __iter__(self) -> Iterator[RowReceipt]:
        return iter(self.rows)

    def __str__(self) -> str:
        return "\n".join(f"row {i}: {row}" for i, row in enumerate(self.rows)) or "no row has run"

    def __repr__(self) -> str:
        return f"<Receipt\n{self}>"

    def to_dataset(self) -> xr.Dataset:
        """Counts per row as a dataset with dimension ``row``.

        Returns
        -------
        xarray.Dataset
            ``label``, ``layers`` (text), ``selected``, ``edited`` (prompt positions), ``steps`` (generated positions),
            ``relative_size``, ``scopes_differ``, ``fired``, ``baseline``.
        """
        rows = self.rows
        columns: dict[str, list[object]] = {
            "label": [row.label for row in rows],
            "layers": [",".join(map(str, layer_names(row.layers))) for row in rows],
            "selected": [len(row.selected) for row in rows],
            "edited": [len(row.edited) for row in rows],
            "steps": [row.steps for row in rows],
            "relative_size": [row.relative_size for row in rows],
            "scopes_differ": [row.scopes_differ for row in rows],
            "fired": [row.fired for row in rows],
            "baseline": [row.baseline for row in rows],
        }
        variables = {name: (ROW, np.array(values)) for name, values in columns.items()}
        return xr.Dataset(variables, coords={ROW: np.arange(len(rows))})
