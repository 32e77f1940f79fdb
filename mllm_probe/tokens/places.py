"""Chosen positions of a batch as columns with labels in the unpadded prompt, and the coordinates of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mllm_probe import schema
from mllm_probe.tokens.kinds import POSITION_KINDS
from mllm_probe.tokens.positions import of_encoded
from mllm_probe.tokens.selection import Scope, columns_of

if TYPE_CHECKING:
    from mllm_probe.models import Encoded

ABSENT: Mapping[str, str | int] = {
    schema.TOKEN_TEXT: "",
    schema.ROLE: "padding",
    schema.KIND: "padding",
    schema.IMAGE: -1,
    schema.PATCH_ROW: -1,
    schema.PATCH_COLUMN: -1,
    schema.STEP: -1,
}
"""Coordinates of a position, and their values where a sample has no such position."""


@dataclass(frozen=True)
class Places:
    """Chosen positions of one batch.

    `labels`: one per slot: position in the unpadded prompt, or the negative number that was asked for. `columns` (int64
    array [rows, slots]): column of the batch, -1 where the row has no such position.
    """

    labels: list[int]
    columns: np.ndarray


def find_places(encoded: Encoded, scope: Scope) -> Places:
    """Columns of a batch that a scope selects.

    Raises ValueError: naming the sample that has no such position.
    """
    where, everyone = of_encoded(encoded), np.arange(encoded.rows)
    if scope.names == ("last_prompt",):  # one label for prompts of all lengths
        return Places([-1], where.last[:, None])
    if scope.numbers:
        return Places(list(scope.numbers), columns_of(scope.numbers, where, everyone, encoded.sample_ids))
    chosen = scope.select(where, everyone, encoded.sample_ids)
    empty = np.flatnonzero(~chosen.any(1))
    if empty.size:
        advice = "; give continuation= to have generated tokens" if scope.only_generated else ""
        raise ValueError(f"sample {encoded.sample_ids[empty[0]]} has no token of the scope '{scope}'{advice}.")
    rows, columns = np.nonzero(chosen)
    labels, slots = np.unique(where.place[rows, columns], return_inverse=True)
    table = np.full((encoded.rows, len(labels)), -1)
    table[rows, slots] = columns
    return Places(labels.tolist(), table)


def companions(encoded: Encoded, places: Places) -> dict[str, np.ndarray]:
    """Coordinates of the chosen positions, arrays [rows, slots] by the names of ``ABSENT``."""
    columns, rows = places.columns.clip(0), np.arange(encoded.rows)[:, None]
    step = columns - encoded.prompt_length
    values = {
        schema.TOKEN_TEXT: np.array(encoded.token_text, dtype=object)[rows, columns],
        schema.ROLE: np.array(schema.ROLES)[encoded.roles.numpy()[rows, columns]],
        schema.KIND: np.array(POSITION_KINDS)[of_encoded(encoded).position_kind[rows, columns]],
        schema.IMAGE: encoded.image[rows, columns],
        schema.PATCH_ROW: encoded.patch_row[rows, columns],
        schema.PATCH_COLUMN: encoded.patch_column[rows, columns],
        schema.STEP: np.where(step >= 0, step, -1),
    }
    return {name: np.where(places.columns < 0, ABSENT[name], value) for name, value in values.items()}


def as_coordinate(name: str, table: np.ndarray) -> np.ndarray:
    """A table of companions in the type of their coordinate: text or int64."""
    return table.astype(np.str_ if isinstance(ABSENT[name], str) else np.int64)
