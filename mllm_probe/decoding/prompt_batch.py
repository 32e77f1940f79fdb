"""Rows of several prompts in one batch, for prompts with too few rows to fill a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers.cache_utils import DynamicLayer

from mllm_probe.decoding.depth import DepthPrefix, start_rows
from mllm_probe.decoding.rows import CachedRows, steps_know_sample
from mllm_probe.decoding.shared import NOTHING, Shared, UneditedPart


class PromptBatch(Shared):
    """Prompts of one length whose rows decode together; each prompt's keys and values exist once.

    `members`: prompts for which :func:`can_batch` holds. `counts`: rows of each, in this order.
    """

    path = DepthPrefix.path

    def __init__(self, members: Sequence[Shared], counts: Sequence[int]) -> None:
        first = members[0]
        self.members = [member for member in members if isinstance(member, DepthPrefix)]
        if len(self.members) < len(members):
            raise TypeError(
                f"a batch of prompts takes {DepthPrefix.__name__}; got "
                f"{', '.join(sorted({type(m).__name__ for m in members}))}."
            )
        self.owners = np.repeat(np.arange(len(members)), counts)
        self.model, self.encoded, self.one_by_one = first.model, first.encoded, first.one_by_one
        self.positions, self.unedited = first.positions, {}
        self.nbytes = sum(member.nbytes for member in members)

    def start(self, rows: int, unedited_part: UneditedPart = NOTHING) -> CachedRows:
        """Run the last token of every prompt."""
        if rows != len(self.owners) or len(unedited_part.rows) != rows:
            raise ValueError(
                f"this batch has {len(self.owners)} rows; got {rows}, {len(unedited_part.rows)} of them known."
            )
        return start_rows(self.members, self.owners, unedited_part)


def can_batch(first: Shared, other: Shared) -> bool:
    """Whether the rows of two prompts can decode together: same length and positions, full attention alone."""
    if not (isinstance(first, DepthPrefix) and isinstance(other, DepthPrefix)):
        return False
    layers = [*first.cache.layers, *other.cache.layers]
    return (
        first.encoded.prompt_length == other.encoded.prompt_length
        and torch.equal(first.positions, other.positions)
        and set(first.encoded.tensors) == set(other.encoded.tensors)
        and not steps_know_sample(first.model, first.encoded)
        and all(type(layer) is DynamicLayer and layer.is_initialized for layer in layers)
    )
