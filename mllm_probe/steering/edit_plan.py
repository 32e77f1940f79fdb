"""The edits planned for one batch, the record of those made, and the receipts that are computed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe.activations.device_array import index_tensors, on_host
from mllm_probe.schema import ROW, layer_names
from mllm_probe.steering.intervention import RowEdit, Steering
from mllm_probe.steering.tables import Entries, Table, build_tables
from mllm_probe.tokens.positions import KINDS, LAST_PROMPT, PromptPositions
from mllm_probe.tokens.selection import Scope, require_image_at_input

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel
    from mllm_probe.steering.intervention import RowEdit, Steering


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
    row: RowEdit, parts: Sequence[PartRecord], layers: Iterable[int], relative_size: float, scopes_differ: bool
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


_Places = tuple[Entries, np.ndarray, np.ndarray]
"""Places of all beams; rows of the table and columns of the call, not repeated for beams."""


@dataclass(frozen=True)
class Call:
    """One forward of the model: its lines, the number of its first column in the sequence, and how many columns."""

    lines: int
    start: int
    width: int


class EditPlan:
    """Edits of the lines of one batch from its prompt on.

    `rows`: one per line. `where`: of the same lines. `steps`: generated positions that will be fed, where known. Raises
    ValueError if a scope can never fire, or a vector, norm or projection is missing.
    """

    def __init__(
        self, model: ProbeModel, rows: Sequence[RowEdit], where: PromptPositions, steps: int | None = None
    ) -> None:
        self.model, self.rows, self.where = model, list(rows), where
        self.prompt_ids: Tensor | None = None
        self._kept = np.arange(len(self.rows))
        self._tokens: dict[int, tuple[np.ndarray, Tensor]] = {}
        self._repeating: dict[tuple[int, int, int], _Places | None] = {}
        slots = max((len(row.parts) for row in self.rows if row is not None), default=0)
        self._masks = [np.zeros((len(self.rows), where.columns), bool) for _ in range(slots)]
        self._edits_generated = [np.zeros(len(self.rows), bool) for _ in range(slots)]
        self._tables: dict[int, list[Table]] = {}
        for slot in range(slots):
            members = [(i, r.parts[slot]) for i, r in enumerate(self.rows) if r is not None and slot < len(r.parts)]
            self._select(slot, members, steps)
            self._stack(slot, [(line, part) for line, part in members if part.strength != 0])

    @property
    def kept_lines(self) -> int:
        """Number of rows still in the batch."""
        return len(self._kept)

    @property
    def first_column(self) -> int:
        """First known column that is edited in any line; the number of columns where none is."""
        edited = [np.flatnonzero(mask.any(0)) for mask in self._masks]
        return min((int(columns[0]) for columns in edited if columns.size), default=self.where.columns)

    def keep(self, indices: np.ndarray) -> None:
        """Go on with some of the current rows."""
        if len(indices) and (indices.min() < 0 or indices.max() >= len(self._kept)):
            raise ValueError(
                f"keep: expected rows 0 … {len(self._kept) - 1} of the current batch; got {indices.tolist()}."
            )
        self._kept = self._kept[indices]
        self._repeating.clear()

    def starts_like(self, ids: Tensor) -> bool:
        """Whether token ids begin with the prompt of this plan."""
        mine = self.prompt_ids
        return mine is not None and ids.shape[0] == mine.shape[0] and torch.equal(ids[:, : mine.shape[1]], mine)

    def remember_tokens(self, call: Call, ids: Tensor) -> None:
        """Record the generated token ids of a call, from which the receipt finds the end of each answer."""
        if call.lines == len(self._kept):
            first = max(self.where.offset + self.where.prompt_length, call.start)
            for column in range(first, call.start + call.width):
                self._tokens[column] = (self._kept, ids[:, column - call.start])

    def edit(self, layer: int, hidden: Tensor, call: Call) -> Tensor | None:
        """The block's output with the planned edits, None where there are none."""
        out = None
        for table in self._tables.get(layer, ()):
            entries = self._entries(table, call, hidden.device)
            if entries is not None:
                out = hidden.clone() if out is None else out
                table.edit(out, entries)
        return out

    def _select(self, slot: int, members: list[tuple[int, Steering]], steps: int | None) -> None:
        by_scope: dict[Scope, list[int]] = {}
        for line, part in members:
            by_scope.setdefault(part.scope, []).append(line)
            if part.strength != 0:
                part.scope.require_steps(steps)
        for scope, lines in by_scope.items():
            chosen = np.array(lines)
            self._masks[slot][chosen] = scope.select(self.where, chosen)
            self._edits_generated[slot][chosen] = scope.generated

    def _stack(self, slot: int, members: list[tuple[int, Steering]]) -> None:
        kinds = self._kinds(slot)
        for layer in sorted({layer for _, part in members for layer in part.blocks}):
            here = [(line, part) for line, part in members if layer in part.blocks]
            slot_kinds = kinds[[line for line, _ in here]]
            named = [KINDS[k] for k in np.flatnonzero(slot_kinds.any(0))]
            require_image_at_input(named, (layer,), f"tokens '{here[0][1].scope}'")
            tables = build_tables(layer, here, slot_kinds, slot, self.model.dtype)
            self._tables.setdefault(layer, []).extend(tables)

    def _kinds(self, slot: int) -> np.ndarray:
        """Kinds of position that each line edits, bool [lines, kinds]."""
        mask = self._masks[slot]
        kinds = np.stack([(mask & (self.where.kind == k)).any(1) for k in range(len(KINDS))], 1)
        kinds[:, LAST_PROMPT] |= self._edits_generated[slot]
        return kinds

    def _entries(self, table: Table, call: Call, device: torch.device) -> Entries | None:
        """Places to edit in a call."""
        # Past the known columns (prompt and answer prefix) every step of cached decoding edits the same lines at the
        # same columns of its call, so the places are computed once until `keep` changes the lines. The id of a table
        # is a safe key, as the plan holds its tables.
        beams = call.lines // len(self._kept)
        key = (id(table), call.width, beams)
        repeats = call.start >= self.where.offset + self.where.columns
        if not (repeats and key in self._repeating):
            self._repeating[key] = self._places_in(table, call, beams, device)
        places = self._repeating[key] if repeats else self._repeating.pop(key)
        if places is None:
            return None
        entries, rows, columns = places
        # Without a cache the whole sequence is fed again: it is edited again, but counted for the receipt once.
        fresh = table.mark(rows, columns + call.start)
        if fresh.all():
            return entries
        return replace(entries, weight=torch.from_numpy(np.repeat(fresh, beams)).to(device, torch.float32))

    def _places_in(self, table: Table, call: Call, beams: int, device: torch.device) -> _Places | None:
        """Places of a call that a table edits, None without any."""
        # `position` inverts `_kept`: line of the plan → line of the current batch, -1 for lines that have left it.
        position = np.full(len(self.rows), -1)
        position[self._kept] = np.arange(len(self._kept))
        alive = np.flatnonzero(position[table.lines] >= 0)
        chosen, kinds = self._window(table.slot, table.lines[alive], call)
        which, columns = np.nonzero(chosen)
        rows = alive[which]
        if not len(rows):
            return None
        # `generate` repeats each row in place, so the beams of row i are lines i·beams … (i + 1)·beams − 1.
        lines = position[table.lines[rows]][:, None] * beams + np.arange(beams)
        spread = [np.repeat(values, beams) for values in (columns, rows, kinds[which, columns])]
        places = index_tensors([lines.reshape(-1), *spread], device)
        return (
            Entries(places[0], places[1], places[2], places[3], torch.ones(len(spread[0]), device=device)),
            rows,
            columns,
        )

    def _window(self, slot: int, lines: np.ndarray, call: Call) -> tuple[np.ndarray, np.ndarray]:
        """Selection and kind of every column of a call, [lines, width]."""
        # Columns after the known ones are generated: they take vector and residual norm of the last prompt token.
        start = call.start - self.where.offset
        known = slice(max(start, 0), max(start + call.width, 0))
        chosen = np.repeat(self._edits_generated[slot][lines, None], call.width, axis=1)
        kinds = np.full(chosen.shape, LAST_PROMPT)
        # A slice that ends beyond the known columns is cut by NumPy, so that `inside` may be narrower than the call;
        # what is left of the call keeps the values of generated columns.
        inside = self._masks[slot][lines, known]
        chosen[:, : inside.shape[1]] = inside
        kinds[:, : inside.shape[1]] = self.where.kind[lines, known]
        return chosen, kinds

    def receipt(self) -> tuple[RowReceipt, ...]:
        """Positions that each line selected and edited."""
        ends = self._ends()
        mine: dict[int, list[tuple[Table, int]]] = {}
        for tables in self._tables.values():
            for table in tables:
                for row, line in enumerate(table.lines):
                    mine.setdefault(int(line), []).append((table, row))
        ratios = {id(t): _ratios(t) for tables in self._tables.values() for t in tables}
        return tuple(
            self._line_receipt(line, row, mine.get(line, []), ends[line], ratios) for line, row in enumerate(self.rows)
        )

    def _line_receipt(
        self,
        line: int,
        row: RowEdit,
        mine: list[tuple[Table, int]],
        end: float,
        ratios: dict[int, tuple[np.ndarray, ...]],
    ) -> RowReceipt:
        parts = () if row is None else row.parts
        records = [
            self._record(line, slot, part, [(t, r) for t, r in mine if t.slot == slot], end)
            for slot, part in enumerate(parts)
            if any(t.slot == slot for t, _ in mine)
        ]
        total = sum(ratios[id(t)][0][r] for t, r in mine)
        count = sum(ratios[id(t)][1][r] for t, r in mine)
        size = float(total / count) if count else float("nan")
        return row_receipt(row, records, {t.layer for t, _ in mine}, size, any(bool(t.differ[r]) for t, r in mine))

    def _record(self, line: int, slot: int, part: Steering, tables: list[tuple[Table, int]], end: float) -> PartRecord:
        first = self.where.offset
        answer = first + self.where.prompt_length
        # One table per edited layer: a position counts as edited only where all layers of the steering reached it.
        edited = reduce(np.intersect1d, (np.flatnonzero(t.seen[r]) for t, r in tables))
        planned = first + np.flatnonzero(self._masks[slot][line])
        steps = set(edited[(edited >= answer) & (edited < end)].tolist())
        return PartRecord(
            steering=part,
            selected=self._places(line, planned[planned < answer]),
            edited=self._places(line, edited[edited < answer]),
            steps=steps,
            fired=self._fired(part, line, edited, steps),
        )

    def _fired(self, part: Steering, line: int, edited: np.ndarray, steps: set[int]) -> dict[str, bool]:
        """Whether each part of the scope edited anything."""
        singles = {name: Scope(names=(name,)) for name in part.scope.names} or {str(part.scope): part.scope}
        fired = {}
        for name, single in singles.items():
            columns = self.where.offset + np.flatnonzero(single.select(self.where, np.array([line]))[0])
            fired[name] = bool(steps) if single.only_generated else bool(np.isin(columns, edited).any())
        return fired

    def _places(self, line: int, columns: np.ndarray) -> tuple[int, ...]:
        return tuple(np.sort(self.where.place[line, columns - self.where.offset]).tolist())

    def _ends(self) -> np.ndarray:
        """First column at which a line was fed the end of its answer; what follows is not part of it."""
        ends = np.full(len(self.rows), np.inf)
        if not self._tokens:
            return ends
        lines = [kept for kept, _ in self._tokens.values()]
        columns = np.repeat(list(self._tokens), [len(kept) for kept in lines])
        ids = on_host(torch.cat([ids for _, ids in self._tokens.values()]))
        ended = np.isin(ids, list(self.model.eos_token_ids))
        np.minimum.at(ends, np.concatenate(lines)[ended], columns[ended])
        return ends


def _ratios(table: Table) -> tuple[np.ndarray, ...]:
    if table.ratio is None or table.count is None:
        return np.zeros(len(table.lines)), np.zeros(len(table.lines))
    return tuple(on_host(torch.stack([table.ratio, table.count])))
