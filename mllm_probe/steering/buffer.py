"""The edits of a batch as data in fixed tensors: another concept, layer or strength is a copy into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.activations.hooks import attached, resolve_blocks
from mllm_probe.decoding.shared_prompt import SharedPrefixSpan
from mllm_probe.models.layout import given_cache
from mllm_probe.steering.edit_plan import PartRecord, Receipt, RowReceipt, row_receipt
from mllm_probe.steering.editor import past_length
from mllm_probe.steering.intervention import RowEdit, as_rows, require_vectors_of
from mllm_probe.steering.tensors import GENERATED, LAST, PHASES, EditBatch, Stacked, Tensors, phases_of, stack
from mllm_probe.tokens.positions import of_encoded, sequence_of
from mllm_probe.typing import Layers

if TYPE_CHECKING:
    from mllm_probe.models import Encoded, ProbeModel


@dataclass(frozen=True)
class ModelCall:
    """One forward of the model.

    `rows` (int array [rows of the batch]): numbers of the rows in the buffer.
    `phase`: index into ``PHASES``.
    `columns`: tokens per row.
    `ids` (Tensor [rows of the batch, columns] or None): token ids, None for the last prompt token.
    """

    rows: np.ndarray
    phase: int
    columns: int
    ids: Tensor | None


class EditLog:
    """Forwards of one batch of rows.

    `stacked`: their edits. `layers`: blocks by index. `ends`: token ids that end an answer.
    """

    def __init__(self, rows: Sequence[RowEdit], stacked: Stacked, layers: Sequence[int], ends: Iterable[int]) -> None:
        self.rows, self.stacked, self.layers = list(rows), stacked, layers
        self.ends = torch.tensor(sorted(ends), dtype=torch.long)
        self.calls: list[ModelCall] = []

    def receipts(self, last: int | None, ratio: np.ndarray) -> tuple[RowReceipt, ...]:
        """One receipt per row.

        `last`: position of the last prompt token, None where it is not known yet. `ratio` (float array [rows]): sum of
        ‖Δh‖ / ‖h‖ over all edits.
        """
        calls = list(self.calls)
        fed = np.zeros((2, len(self.rows)), np.int64)
        for call in calls:
            fed[call.phase, call.rows] += call.columns
        answered = self._answered(calls)
        # Σ over phases of (edits of the row in the phase) · (columns fed in it): how many times ‖Δh‖/‖h‖ was summed up.
        edits = np.stack([np.bincount(self.stacked.place[2][on], minlength=len(fed[0])) for on in self.stacked.on])
        count = (edits * fed).sum(0)
        size = np.divide(ratio, count, out=np.full(len(count), np.nan), where=count > 0)
        layers = self._layers_of_rows()
        return tuple(
            self._receipt(line, row, layers[line], bool(fed[0, line]), int(answered[line]), float(size[line]), last)
            for line, row in enumerate(self.rows)
        )

    def _receipt(
        self, line: int, row: RowEdit, layers: set[int], began: bool, answered: int, size: float, last: int | None
    ) -> RowReceipt:
        planned = [part for part in row.parts if part.strength != 0] if row is not None and layers else []
        records = []
        for part in planned:
            at_prompt_end, generated = phases_of(part)
            quiet = part.scope.without_effect(began, answered > 0)
            selected = {last} if at_prompt_end and last is not None else set()
            records.append(
                PartRecord(
                    steering=part,
                    selected=selected,
                    edited=selected if began else (),
                    steps=range(answered) if generated else (),
                    fired={name: name not in quiet for name in part.scope.names},
                )
            )
        return row_receipt(row, records, layers, size, bool(self.stacked.differ[line]))

    def _layers_of_rows(self) -> list[set[int]]:
        layers: list[set[int]] = [set() for _ in self.rows]
        for _, layer, line in self.stacked.place.T.tolist():
            layers[line].add(self.layers[layer])
        return layers

    def _answered(self, calls: Sequence[ModelCall]) -> np.ndarray:
        """Generated columns that each row was fed before the end of its answer."""
        answered = np.zeros(len(self.rows), np.int64)
        ended = np.zeros(len(self.rows), bool)
        for call in calls:
            if call.phase != GENERATED:
                continue
            stops = np.zeros((len(call.rows), call.columns), bool)
            if call.ids is not None:
                stops = torch.isin(call.ids.cpu(), self.ends).numpy()
            # The end token itself is fed back, but no longer counts as a step of the answer.
            for column in stops.T:
                ended[call.rows] |= column
                answered[call.rows] += ~ended[call.rows]
        return answered


class EditBuffer:
    """Edits forwards of the last prompt token and of the answer; the edits are tensors that can be rewritten in place.

    Every operation with an affine form is h + (constant + gain · (h·along − mean)) · direction, so a row's edit at a
    layer is two vectors and a few numbers. An :class:`Editor` reads positions from each call and does all scopes; a
    buffer only counts calls (the first after attaching feeds the last prompt token, later ones the answer), which costs
    less at each step and changes nothing that ``torch.compile`` would see.

    `rows`: how many rows there is room for.
    `layers`: blocks that can be edited.
    `prompt`: one sample, the prompt of all rows; else its length is read from the first call.
    `slots`: how many steerings of one row may meet at one layer; grows when more are written.
    `projects`: make room for operations that project on a vector, such as ``ablate``, at once; else when the first is
        written.
    `serial`: how often edits were written.

    Tensors are float32 at least, on the model's device, [slots, layers, rows, hidden], once for ``add`` and twice with
    room for the other operations. Their addresses stay the same until slots or operations are added.

    >>> buffer = EditBuffer(model, rows=3)
    >>> buffer.write([None, steering, steering.control("random")])
    >>> with model.lock.held(), buffer.attached():
    ...     rows = shared.start(3)
    ...     rows.feed(rows.logits.argmax(-1)[:, None])
    """

    def __init__(
        self,
        model: ProbeModel,
        rows: int,
        layers: Layers = "all",
        *,
        prompt: Encoded | None = None,
        slots: int = 1,
        projects: bool = False,
    ) -> None:
        self.model, self.capacity = model, rows
        self.layers = resolve_blocks(layers, len(model.layers), "a buffer edits from the last prompt token on")
        self.dtype = torch.promote_types(model.dtype, torch.float32)
        self._index_of_layer = {layer: index for index, layer in enumerate(self.layers)}
        self.serial = 0
        # The receipt names the last prompt token by its position in the unpadded prompt, hooks by its column in the
        # call: both numbers are kept, and differ where the prompt is padded on the left.
        self._last_position: int | None = None
        self._answer_start: int | None = None
        self._prompt_given = prompt is not None
        if prompt is not None:
            self.set_prompt(prompt)
        self._tensors = self._empty(slots, projects)
        self.write([None])

    def set_prompt(self, prompt: Encoded) -> None:
        """Use another prompt (one sample) for all rows."""
        where = of_encoded(prompt)
        self._last_position, self._answer_start = int(where.lengths[0]) - 1, where.prompt_length

    @property
    def rows(self) -> list[RowEdit]:
        """Rows as they were written."""
        return self._log.rows

    @property
    def nbytes(self) -> int:
        """Memory on the device."""
        return self._tensors.nbytes

    @property
    def tensors(self) -> list[Tensor]:
        """Tensors that a traceable call reads and changes."""
        return self._tensors.all

    @property
    def unedited_part(self) -> SharedPrefixSpan:
        """Blocks and columns that no row edits, which may be taken from the unsteered run."""
        first_edited = np.full(len(self.rows), len(self.model.layers))
        _, layer_indices, rows = self._log.stacked.place
        np.minimum.at(first_edited, rows, np.array(self.layers)[layer_indices])
        # The last prompt token is the first column that a buffer may edit.
        column = 0 if self._answer_start is None else self._answer_start - 1
        return SharedPrefixSpan(int(first_edited.min()), column, tuple(first_edited.tolist()))

    def write(self, rows: Sequence[RowEdit], steps: int | None = None) -> None:
        """Replace the edits; all rows are in the batch again and receipts start from zero.

        `rows`: at most as many as there is room for. `steps`: how many generated positions will be fed, where that is
        known; a scope that then can never fire raises. Raises ValueError if there is no room, a layer is not among the
        buffer's, a scope can never fire, a vector or a norm is missing, or vectors are another model's.
        """
        rows = as_rows(rows)
        if len(rows) > self.capacity:
            raise ValueError(f"this buffer has room for {self.capacity} rows; got {len(rows)}.")
        require_vectors_of(self.model, rows)
        for part in (part for row in rows if row is not None for part in row.parts):
            if part.strength != 0:
                part.scope.require_steps(steps)
        stacked = stack(rows, self._index_of_layer, self.model.dtype)
        room = self._tensors
        # A CUDA graph reads these addresses: room grows and never shrinks, and only here. `Recorded.watch` sees new
        # addresses and records again.
        if stacked.slots > room.slots or (stacked.projects and room.along is None):
            projects = stacked.projects or room.along is not None
            self._tensors = self._empty(max(stacked.slots, room.slots), projects)
        self._tensors.fill(stacked)
        self.serial += 1
        self._log = EditLog(rows, stacked, self.layers, self.model.eos_token_ids)
        # A new `EditBatch`, though its tensors are views of the same memory: it caches products of what was written.
        self._current = _CurrentRows(self._tensors.of(None, len(rows)), np.arange(len(rows)), np.zeros(len(rows)))

    def keep(self, indices: Sequence[int] | Tensor | np.ndarray) -> None:
        """Select rows of the current batch, in this order; the others, such as those whose answer ended, leave it."""
        chosen, numbers = _as_indices(indices), self._current.numbers
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(numbers)):
            raise ValueError(f"keep: expected rows 0 … {len(numbers) - 1} of the current batch; got {chosen.tolist()}.")
        rows = numbers[chosen]
        # The copies count sizes from 0, so what all rows, leaving ones included, have summed up so far is carried over.
        self._current = _CurrentRows(self._tensors.of(rows, len(rows)), rows, self._current.ratios())

    @contextmanager
    def attached(
        self,
        phase: str = "last_prompt",
        *,
        rows: Sequence[int] | Tensor | np.ndarray | None = None,
        counted: bool = True,
        traceable: bool = False,
    ) -> Iterator[None]:
        """Edit the calls that this thread makes while the ``with`` block runs.

        `phase` ({"last_prompt", "generated"}): tokens of the first call: the prompt up to its last token (the only one
            edited), or tokens of the answer.
        `rows`: rows of the buffer that are in the batch, in any order, repetitions allowed; by default those that are
            kept. They are not counted in the receipt.
        `counted`: whether these calls are counted in the receipt.
        `traceable`: hooks that ``torch.compile`` can inline, at all layers of the buffer and for all threads; the
            caller holds ``model.lock`` and calls :meth:`begin` before each forward.

        Raises ValueError if a row edits the prompt before its last token, unless the first call feeds tokens of the
        answer.
        """
        self._require_phase(phase)
        if traceable:
            with attached(self.model, self._edit_step, layers=self.layers, traceable=True):
                yield
            return
        chosen = None if rows is None else self._tensors.of(_as_indices(rows), len(_as_indices(rows)))
        calls = _CallEditor(self, PHASES.index(phase), chosen, counted and rows is None)
        # Hooks are put on the blocks that some row edits now: `write` inside the block must not edit others. Traceable
        # hooks stay on all of the buffer's blocks, as a compiled step keeps the hooks that it was compiled with.
        layers = [self.layers[index] for index in sorted(set(self._log.stacked.place[1].tolist()))]
        with attached(self.model, calls.edit if layers else None, layers=layers or None, on_call=calls.begin):
            yield

    @property
    def answer_start(self) -> int:
        """First column of the answer, which is the number of columns of the prompt.

        Raises RuntimeError if no prompt was given or seen.
        """
        if self._answer_start is None:
            raise RuntimeError(
                "the buffer has no prompt yet, so the start of the answer is unknown: give prompt=, or "
                "feed the prompt in a call while the buffer is attached."
            )
        return self._answer_start

    @property
    def answer_columns(self) -> int:
        """Number of columns of the answer that were fed and counted."""
        return sum(call.columns for call in self._log.calls if call.phase == GENERATED)

    @property
    def batch(self) -> EditBatch:
        """Edits of the rows that are in the batch now."""
        return self._current.batch

    def index_of(self, layer: int) -> int:
        """Index of a layer in the buffer."""
        return self._index_of_layer[layer]

    def require_unedited_prompt(self) -> None:
        """Raise if a row edits the prompt before its last token."""
        parts = (part for row in self.rows if row is not None for part in row.parts if part.strength != 0)
        wrong = next((part for part in parts if part.scope.touches_prompt), None)
        if wrong is not None:
            raise ValueError(
                f"a buffer edits from the last prompt token on, but '{wrong.label}' has the scope {wrong.scope}: run "
                "the prompt with an Editor, and attach the buffer for cached calls after it, as 'generated'."
            )

    def find_prompt(self, arguments: Mapping[str, Any], width: int) -> None:
        """Read the length of the prompt from the call that feeds its last token, unless a prompt was given."""
        if not self._prompt_given:
            self._answer_start = past_length(arguments, width) + width
            self._last_position = self._answer_start - 1

    def begin(self, phase: str, ids: Tensor | None = None) -> None:
        """Set the phase of the next traceable call and record its token ids [rows, n] (None for the prompt's last)."""
        number = PHASES.index(phase)
        # A traced hook cannot branch on a Python number without being compiled again: the switch of the phase is copied
        # into the tensor's last line, which `_edit_step` reads as phase −1.
        self._current.batch.enter(number)
        self.record(number, 1 if ids is None else ids.shape[1], ids)

    def record(self, phase: int, columns: int, ids: Tensor | None) -> None:
        """Add a call to the log of the receipt."""
        self._log.calls.append(ModelCall(self._current.numbers, phase, columns, ids))

    def receipt(self) -> Receipt:
        """Receipt of the positions selected and edited so far, from the last prompt token on."""
        return Receipt(self._receipts).freeze()

    def _receipts(self) -> tuple[RowReceipt, ...]:
        return self._log.receipts(self._last_position, self._current.ratios())

    def _empty(self, slots: int, projects: bool) -> Tensors:
        shape = (slots, len(self.layers), self.capacity, self.model.hidden_size)
        return Tensors.empty(shape, projects, self.model.device, self.dtype)

    def _require_phase(self, phase: str) -> None:
        if phase not in PHASES:
            raise ValueError(f"phase: expected one of {', '.join(PHASES)}; got {phase!r}.")
        if phase == PHASES[0]:
            self.require_unedited_prompt()

    def _edit_step(self, layer: int, hidden: Tensor) -> Tensor:
        for change in self._current.batch.changes(self._index_of_layer[layer], phase=-1):
            hidden = change.apply(hidden)
        return hidden


@dataclass(frozen=True)
class _ColumnRange:
    """Columns of a call that are edited alike, and whether the receipt counts them."""

    columns: slice
    phase: int
    counted: bool


class _CallEditor:
    """Edits the model's calls of one ``with`` block; the edited columns depend on a call's number and on its cache.

    `phase`: of the first call's tokens, an index into ``PHASES``. `chosen`: edits of the rows; by default those that
    the buffer has in the batch at each call. `counted`: whether the calls are counted in the receipt.
    """

    def __init__(self, buffer: EditBuffer, phase: int, chosen: EditBatch | None, counted: bool) -> None:
        self.buffer, self.phase, self.chosen, self.counted = buffer, phase, chosen, counted
        # Every block checks that it sees the lines and columns of the call, as columns are not read from its input.
        self.shape = (0, 0)
        self.ranges: list[_ColumnRange] = []

    @property
    def batch(self) -> EditBatch:
        """Edits of the rows of this block."""
        return self.buffer.batch if self.chosen is None else self.chosen

    def begin(self, arguments: Mapping[str, Any]) -> None:
        """Find the columns of a call to edit, before it runs."""
        ids, (lines, width) = sequence_of(arguments)
        rows = self.batch.ratio.shape[-1]
        if lines != rows:
            raise ValueError(f"the model was called with {lines} lines, but the buffer was attached for {rows} rows.")
        self.shape = (lines, width)
        if self.phase == GENERATED:
            self._answer(arguments, ids, width)
            return
        self.buffer.find_prompt(arguments, width)
        self.ranges = [_ColumnRange(slice(width - 1, width), self.phase, self.counted)]
        self._record(1, None)
        # The only sign that the answer has begun: positions are counted in calls, not read from them.
        self.phase = GENERATED

    def _answer(self, arguments: Mapping[str, Any], ids: Tensor | None, width: int) -> None:
        """A call with tokens of the answer; without a cache it repeats the prompt and the answer so far."""
        if given_cache(arguments) is not None:
            self.ranges = [_ColumnRange(slice(0, width), GENERATED, self.counted)]
            self._record(width, ids)
            return
        self.buffer.require_unedited_prompt()
        # Columns of earlier calls are edited again, as their keys are computed again, but counted once.
        start = self.buffer.answer_start
        fresh = start + self.buffer.answer_columns
        self.ranges = [
            _ColumnRange(slice(start - 1, start), LAST, False),
            _ColumnRange(slice(start, fresh), GENERATED, False),
            _ColumnRange(slice(fresh, width), GENERATED, self.counted),
        ]
        self._record(width - fresh, None if ids is None else ids[:, fresh:])

    def _record(self, columns: int, ids: Tensor | None) -> None:
        if self.counted:
            self.buffer.record(self.phase, columns, ids)

    def edit(self, layer: int, hidden: Tensor) -> Tensor:
        """Output [lines, columns, width] of a block after the edits."""
        if hidden.shape[:2] != self.shape:
            raise RuntimeError(
                f"block {layer} of {self.buffer.model.name} sees {tuple(hidden.shape[:2])} lines and positions, but "
                f"the model was called with {self.shape}: this family changes the sequence inside, or a block ran "
                "outside a call of the whole model."
            )
        rows = self.batch.edited(self.buffer.index_of(layer))
        # Out of place: the block's own output may be kept by the model or by another hook.
        part = hidden if rows is None else hidden.index_select(0, rows.to(hidden.device))
        changed = self._changed(layer, part)
        return changed if rows is None else hidden.index_copy(0, rows.to(hidden.device), changed)

    def _changed(self, layer: int, hidden: Tensor) -> Tensor:
        whole = self.ranges[0]
        if len(self.ranges) == 1 and whole.columns == slice(0, hidden.shape[1]):
            return self._applied(layer, hidden, whole)
        out = hidden.clone()
        for part in (part for part in self.ranges if part.columns.start < part.columns.stop):
            out[:, part.columns] = self._applied(layer, hidden[:, part.columns], part)
        return out

    def _applied(self, layer: int, hidden: Tensor, part: _ColumnRange) -> Tensor:
        # `prepared` holds the rows that the layer edits alone, in the order in which `edit` selected them.
        for change in self.batch.prepared(self.buffer.index_of(layer), part.phase, hidden.device):
            hidden = change.apply(hidden, part.counted)
        return hidden


@dataclass(frozen=True)
class _CurrentRows:
    """Rows in the batch: their edits, their numbers in the buffer, and the sums of sizes up to their last selection."""

    batch: EditBatch
    numbers: np.ndarray
    earlier: np.ndarray

    def ratios(self) -> np.ndarray:
        """Sums of ‖Δh‖ / ‖h‖ of all rows, those that have left included."""
        total = self.earlier.copy()
        np.add.at(total, self.numbers, self.batch.ratio.sum((0, 1)).double().cpu().numpy())
        return total


def _as_indices(rows: Sequence[int] | Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(torch.as_tensor(rows).cpu(), dtype=np.int64)
