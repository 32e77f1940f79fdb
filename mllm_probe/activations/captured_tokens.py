"""Which positions were captured: coordinates along the token axis, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mllm_probe import schema
from mllm_probe.models import Encoded
from mllm_probe.tokens.places import ABSENT, Places, as_coordinate, companions
from mllm_probe.typing import Coordinates


@dataclass(frozen=True)
class BatchTokens:
    """Samples of one batch and the companions of their captured positions.

    `samples`: content hashes. `labels`: one per slot. `columns` (dict of str to array [rows, slots]): by the names of
    ``ABSENT``; a single row where all samples agree.
    """

    samples: list[str]
    labels: list[int]
    columns: dict[str, np.ndarray]


def batch_tokens(encoded: Encoded, places: Places) -> BatchTokens:
    """What to remember of a batch once its tensors are gone."""
    columns = {name: _one_if_equal(values) for name, values in companions(encoded, places).items()}
    return BatchTokens(list(encoded.sample_ids), places.labels, columns)


def joined_labels(labels: list[int], more: Iterable[int]) -> list[int]:
    """Positions along the token axis once further ones are captured: as they are, or sorted where some are new."""
    missing = set(more) - set(labels)
    if not labels or not missing:
        return labels or list(more)
    return sorted(missing.union(labels))


def token_coordinates(batches: Sequence[BatchTokens], labels: Sequence[int], with_steps: bool) -> Coordinates:
    """Companions of the token axis, each (token) where all samples agree and (sample, token) where they do not."""
    slots = {label: slot for slot, label in enumerate(labels)}
    names = [name for name in ABSENT if with_steps or name != schema.STEP]
    coords: Coordinates = {}
    for name in names:
        parts = []
        for batch in batches:
            values = batch.columns[name]
            whole = np.full((len(values), len(slots)), ABSENT[name], dtype=object)
            whole[:, [slots[label] for label in batch.labels]] = values
            parts.append(whole)
        agree = all(len(part) == 1 and (part == parts[0]).all() for part in parts)
        if not agree:
            counts = [len(batch.samples) for batch in batches]
            parts = [np.broadcast_to(p, (n, len(slots))) for p, n in zip(parts, counts, strict=True)]
            agree = bool((np.concatenate(parts) == parts[0][:1]).all())
        table = as_coordinate(name, parts[0][:1] if agree else np.concatenate(parts))
        coords[name] = (schema.TOKEN, table[0]) if agree else ((schema.SAMPLE, schema.TOKEN), table)
    return coords


def _one_if_equal(values: np.ndarray) -> np.ndarray:
    return values[:1].copy() if (values == values[:1]).all() else values
