"""The arguments of the text model's call with one row, for many rows or for its last columns only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from mllm_probe.typing import CallArguments

_BY_IMAGE_TOKEN = "deepstack_visual_embeds"
_IMAGE_TOKENS = "visual_pos_masks"
_SECOND_LAST = ("position_embeddings",)


def repeated(name: str, value: Any, rows: int) -> Any:
    """An argument with one row, for ``rows`` rows; tensors become views where they can."""
    if isinstance(value, Tensor):
        # M-RoPE (Qwen2-VL, GLM-4V …) has ids [axes, rows, tokens]: the first axis is not that of the rows.
        if name == "position_ids" and value.ndim == 3:
            return value.expand(value.shape[0], rows, value.shape[2])
        return value.expand(rows, *value.shape[1:]) if value.ndim and value.shape[0] == 1 else value
    if isinstance(value, Mapping):
        return {key: repeated(str(key), item, rows) for key, item in value.items()}
    # DeepStack's features [image tokens, width] have no row axis: they are scattered to the image tokens of all rows in
    # turn.
    if name == _BY_IMAGE_TOKEN and value is not None:
        return [item.repeat(rows, 1) for item in value]
    if isinstance(value, (list, tuple)):
        return type(value)(repeated(name, item, rows) for item in value)
    return value


def can_start_later(named: CallArguments) -> bool:
    """Whether a call may be restricted to its last columns: without a mask, or with one that hides nothing."""
    masks = [value for name, value in named.items() if "mask" in name and name != _IMAGE_TOKENS]
    plain = all(m is None or (isinstance(m, Tensor) and m.ndim == 2 and bool(m.bool().all())) for m in masks)
    return plain and not any(isinstance(value, (Mapping, tuple)) for value in named.values())


def from_column(named: CallArguments, column: int, length: int) -> dict[str, Any]:
    """The named arguments of a call with ``length`` columns, for the columns from ``column`` on.

    A mask that hides nothing is left out, because a family with several rotary axes mistakes one that is longer than
    the call.
    """
    if column == 0:
        return dict(named)
    seen = named.get(_IMAGE_TOKENS)
    earlier = 0 if seen is None else int(seen[:, :column].sum())
    later: dict[str, Any] = {}
    for name, value in named.items():
        if name == _BY_IMAGE_TOKEN and value is not None:
            later[name] = [item[earlier:] for item in value]
        elif name == "attention_mask":
            later[name] = None
        else:
            later[name] = last_columns(name, value, column, length)
    return later


def last_columns(name: str, value: Any, column: int, length: int) -> Any:
    """An argument of a call with ``length`` columns from ``column`` on; values without such an axis are unchanged."""
    if isinstance(value, (tuple, list)):
        return type(value)(last_columns(name, item, column, length) for item in value)
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    # Arguments do not say which axis is that of the columns: it is told by name and number of axes (masks [rows, heads,
    # queries, keys] lose queries, not keys), and must be as long as the call. A wrong guess fails the trial of the way.
    if name == "position_ids" or value.ndim == 1:
        axis = value.ndim - 1
    else:
        axis = value.ndim - 2 if name in _SECOND_LAST or value.ndim == 4 and "mask" in name else 1
    return value.narrow(axis, column, length - column) if value.shape[axis] == length else value


def bytes_of(value: object) -> int:
    """Memory of the tensors of a call's arguments."""
    return sum(leaf.nbytes for leaf in tree_leaves(value) if isinstance(leaf, Tensor))
