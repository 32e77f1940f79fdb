"""The general editor: reads positions from each forward of the model and edits those that each row selects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.hooks import attached, editing
from mllm_probe.decoding.shared_prompt import SharedPrefixSpan
from mllm_probe.models.layout import given_cache
from mllm_probe.steering.edit_plan import Call, EditPlan, Receipt, RowReceipt
from mllm_probe.steering.intervention import Composition, RowEdit, Steering, as_rows, require_vectors_of
from mllm_probe.tokens.positions import PromptPositions, of_call, of_encoded, sequence_of
from mllm_probe.typing import CallArguments

if TYPE_CHECKING:
    from mllm_probe.models import Encoded, ProbeModel


class Editor:
    """Edits the forwards of a model, row by row, whatever way the sequence is fed.

    Positions are read from each call (token ids, length of the cache, attention mask), so that a prompt fed at once or
    in pieces, cached decoding, and calls that feed the whole sequence again without a cache edit the same positions.

    `rows`: one per row, or one for all. `prompt`: the prompt of the rows, or one prompt for all; needed when it is fed
    in pieces. Without it, a call that does not continue the one before is taken as a new prompt, and its last position
    as the last prompt position. `steps`: how many generated positions will be fed, where that is known; a scope that
    then can never fire raises. Raises ValueError if a scope can never fire, a vector or a norm is missing, or vectors
    are another model's. Without ``prompt`` this happens in the first call.

    A batch may hold a multiple of the rows (beams): every row then has that many neighbouring lines.
    """

    def __init__(
        self, model: ProbeModel, rows: Sequence[RowEdit], prompt: Encoded | None = None, steps: int | None = None
    ) -> None:
        self.model, self.rows, self.steps = model, as_rows(rows), steps
        require_vectors_of(model, self.rows)
        self._past_rows: list[RowReceipt] = []
        self._plan: EditPlan | None = None
        self._call: Call | None = None
        self._length = 0
        self._given = prompt is not None
        if self._given:
            where = of_encoded(prompt)  # type: ignore[arg-type]
            lines = max(len(self.rows), where.lines)
            self._plan = EditPlan(model, self._broadcast(lines), _one_line_each(where, lines), steps)

    @property
    def layers(self) -> list[int]:
        """Coordinates of the blocks that are edited; ``schema.INPUT`` for the input of block 0."""
        parts = [part for row in self.rows if row is not None for part in row.parts if part.strength != 0]
        return sorted({layer for part in parts for layer in part.blocks})

    @property
    def unedited_part(self) -> SharedPrefixSpan:
        """Blocks and columns of the given prompt that no row edits, which may be taken from the unsteered run."""
        total = len(self.model.layers)
        parts = [[p for p in row.parts if p.strength != 0] if row is not None else [] for row in self.rows]
        first = tuple(min((layer for part in parts for layer in part.blocks), default=total) for parts in parts)
        column = self._plan.first_column if self._plan is not None else 0
        return SharedPrefixSpan(min(first), column, first)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Edit the calls that this thread makes while the ``with`` block runs."""
        layers = schema.layer_names(self.layers)
        with attached(self.model, self._edit if layers else None, layers=layers or None, on_call=self._begin):
            yield

    def keep(self, indices: Sequence[int] | Tensor | np.ndarray) -> None:
        """Select rows of the current batch, in this order; the others, such as those whose answer ended, leave it."""
        if self._plan is None:
            raise RuntimeError("keep: no prompt is known yet; give prompt= to the editor or call the model first.")
        self._plan.keep(np.asarray(torch.as_tensor(indices).cpu(), dtype=np.int64))

    def receipt(self) -> Receipt:
        """Receipt of the positions selected and edited so far."""
        return self.live_receipt().freeze()

    def live_receipt(self) -> Receipt:
        """A receipt that follows the run."""
        return Receipt(self._receipt_rows)

    def _receipt_rows(self) -> tuple[RowReceipt, ...]:
        return (*self._past_rows, *(self._plan.receipt() if self._plan is not None else ()))

    def _broadcast(self, lines: int) -> list[RowEdit]:
        if lines % len(self.rows):
            raise ValueError(
                f"{len(self.rows)} steerings do not fit a batch of {lines} lines: give one, or one for every row."
            )
        return [row for row in self.rows for _ in range(lines // len(self.rows))]

    def _begin(self, arguments: CallArguments) -> None:
        ids, (lines, width) = sequence_of(arguments)
        past = past_length(arguments, width)
        if not self._given and not self._continues(ids, lines, past, width):
            self._new_prompt(arguments, lines, past)
        plan = self._plan
        assert plan is not None
        if lines % plan.kept_lines:
            raise ValueError(
                f"the model was called with {lines} lines, but the editor was made for {plan.kept_lines} rows: "
                "feed all rows in one batch (or a multiple of it, for beams)."
            )
        self._call = Call(lines, past, width)
        self._length = past + width
        if ids is not None:
            plan.remember_tokens(self._call, ids)

    def _continues(self, ids: Tensor | None, lines: int, past: int, width: int) -> bool:
        """Whether a call continues the previous one, by one cached token or by the whole sequence without a cache."""
        plan = self._plan
        if plan is None or lines % plan.kept_lines or past + width != self._length + 1:
            return False
        # With a cache a continuation feeds one token; without, it feeds the same prompt and one token more. Anything
        # else, a second prompt of equal length among it, is a new prompt.
        return width == 1 if past else ids is not None and plan.starts_like(ids)

    def _new_prompt(self, arguments: CallArguments, lines: int, past: int) -> None:
        if self._plan is not None:
            self._past_rows.extend(self._plan.receipt())
            self._plan = None
        where = of_call(self.model, arguments, past)
        plan = EditPlan(self.model, self._broadcast(lines), where, self.steps)
        plan.prompt_ids = sequence_of(arguments)[0]
        self._plan = plan

    def _edit(self, layer: int, hidden: Tensor) -> Tensor | None:
        if self._call is None or self._plan is None:
            raise RuntimeError(
                "a decoder block ran outside a call of the whole model, so its positions are not known: "
                f"call model.hf (its {type(self.model.layout.caller).__name__}), not a part of it."
            )
        call = self._call
        if hidden.shape[:2] != (call.lines, call.width):
            raise RuntimeError(
                f"{schema.site_name(layer)} of {self.model.name} ({self.model.family}) has "
                f"{tuple(hidden.shape[:2])} lines and positions, but the model "
                f"was called with {(call.lines, call.width)}: this family changes the sequence inside, so positions "
                "of the prompt cannot be found in it."
            )
        return self._plan.edit(layer, hidden, call)


@editing.register(Steering)
@editing.register(Composition)
@editing.register(type(None))
@editing.register(list)
@editing.register(tuple)
@contextmanager
def _edited_forwards(steering: RowEdit | Sequence[RowEdit], model: ProbeModel, encoded: Encoded) -> Iterator[Receipt]:
    """Edit forwards of ``model`` on ``encoded`` while the ``with`` block runs; gives the receipt."""
    editor = Editor(model, as_rows(steering), encoded, steps=encoded.length - encoded.prompt_length)
    with editor.attached():
        yield editor.live_receipt()


def past_length(arguments: CallArguments, width: int) -> int:
    """Number of positions in the cache before a call.

    `arguments`: the call's, of which the cache (else ``attention_mask``) is read. `width`: positions of the call
    itself.
    """
    cache = given_cache(arguments)
    if cache is None:
        return 0
    if hasattr(cache, "get_seq_length"):
        return int(cache.get_seq_length())
    mask = arguments.get("attention_mask")
    return max(mask.shape[-1] - width, 0) if isinstance(mask, Tensor) and mask.ndim == 2 else 0


def _one_line_each(where: PromptPositions, lines: int) -> PromptPositions:
    if lines % where.lines:
        raise ValueError(f"{lines} steerings do not fit {where.lines} prompts: give one prompt, or one for every row.")
    return where.expanded(lines)
