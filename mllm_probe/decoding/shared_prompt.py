"""The ways in which rows share a prompt: base class, memory per row, the call for many rows, and tolerances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from mllm_probe.activations.device_memory import block_row_bytes, vision_row_bytes
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.decoding.rows import CachedRows, RecomputedRows, Rows, empty_cache, logits_kept, whole_forward
from mllm_probe.models.inputs import PER_TOKEN, Encoded, prompt_positions
from mllm_probe.models.layout import CACHE_NAMES, cache_argument, forward_arguments, text_config
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import CallArguments

_COPIES = 3
"""Copies of keys and values that exist while a batch is forked and its caches grow."""


def cache_row_bytes(model: ProbeModel, tokens: int) -> int:
    """Keys and values of ``tokens`` tokens in all blocks."""
    config = text_config(model.hf)
    heads = getattr(config, "num_attention_heads", None) or 16
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or model.hidden_size // heads
    return 2 * len(model.layers) * key_heads * width * tokens * model.dtype.itemsize


def logit_row_bytes(model: ProbeModel, tokens: int) -> int:
    """Logits of ``tokens`` tokens in the model's type, and of one in float32 with its softmax."""
    return text_config(model.hf).vocab_size * (16 + tokens * model.dtype.itemsize)


def following_row_bytes(model: ProbeModel, prompt: int, steps: int) -> int:
    """A row that decodes ``steps`` tokens after a prompt that is stored once for all rows."""
    suffix = _COPIES * cache_row_bytes(model, steps)
    return suffix + block_row_bytes(model, 1, prompt + steps) + logit_row_bytes(model, steps)


def prompt_row_bytes(model: ProbeModel, prompt: int, steps: int) -> int:
    """A row that holds and runs the whole prompt itself."""
    whole = prompt + steps
    return (
        _COPIES * cache_row_bytes(model, whole) + block_row_bytes(model, whole, whole) + logit_row_bytes(model, steps)
    )


def resumed_row_bytes(model: ProbeModel, prompt: int, steps: int, columns: int, blocks: int) -> int:
    """A row that runs the last ``columns`` of a prompt through the last ``blocks``, then decodes ``steps`` tokens."""
    cached = _COPIES * cache_row_bytes(model, columns) * blocks // len(model.layers)
    return cached + block_row_bytes(model, columns, prompt) + following_row_bytes(model, prompt, steps)


def image_row_bytes(model: ProbeModel, encoded: Encoded, steps: int) -> int:
    """A row that runs image and prompt at every step, with logits everywhere."""
    whole = encoded.length + steps
    return block_row_bytes(model, whole, whole) + vision_row_bytes(model, encoded) + logit_row_bytes(model, whole)


@dataclass(frozen=True)
class SharedPrefixSpan:
    """Blocks and columns that no row of a batch edits, so that they may be taken from the unsteered run.

    `layer`: blocks below this one are not edited; ``schema.INPUT`` where the input of block 0 is. `column`: neither are
    columns of the prompt before this one, at any block. `rows`: for every row, the first block whose output is edited,
    and the number of blocks for a row without edits; empty where that is not known.
    """

    layer: int = 0
    column: int = 0
    rows: tuple[int, ...] = ()


UNEDITED_NONE = SharedPrefixSpan()


class Shared:
    """State that all rows of one sample share.

    `encoded`: one sample: image and prompt.
    `token_by_token`: whether rows must take several tokens as single steps.
    `read_layers`: blocks whose output is to be kept in ``unedited`` where rows do not compute it; ``schema.INPUT`` for
        what enters block 0.
    `path`: name of the way, for attributes.
    `nbytes`: memory on the device.
    `unedited`: outputs of blocks [1, tokens, width] on the columns that no row computes.
    """

    path = ""

    def __init__(
        self, model: ProbeModel, encoded: Encoded, token_by_token: bool = False, read_layers: Iterable[int] = ()
    ) -> None:
        self.model, self.encoded, self.token_by_token = model, encoded, token_by_token
        self.positions = prompt_positions(model, encoded)
        self.unedited: dict[int, Tensor] = {}
        self.nbytes = sum(t.nbytes for t in encoded.tensors.values())

    def _take_positions(self, named: CallArguments) -> None:
        """Use the positions that the text model was given, where they have one axis: some families count from 1."""
        positions = named.get("position_ids")
        if isinstance(positions, Tensor) and positions.ndim == 2 and self.positions.ndim == 2:
            missing = self.positions.shape[1] - positions.shape[1]
            following = positions[:1, -1:] + torch.arange(1, missing + 1, device=positions.device)
            self.positions = torch.cat([positions[:1], following], 1)

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> Rows:
        """``rows`` rows at the end of the prompt; edits of hooks that are attached apply to what is computed here."""
        raise NotImplementedError

    @classmethod
    def planned_row_bytes(
        cls, model: ProbeModel, encoded: Encoded, steps: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE
    ) -> int:
        """Estimated memory of one row with ``steps`` tokens after the prompt, on the safe side."""
        return prompt_row_bytes(model, encoded.length, steps)


class WholeForwards(Shared):
    """Nothing is shared: every row runs image and prompt, at every step. The reference, exact for every family."""

    path = "whole forwards"

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> RecomputedRows:
        """Run image and prompt ``rows`` times."""
        none = torch.zeros(rows, 0, dtype=torch.long, device=self.model.device)
        logits = whole_forward(self.model, self.encoded, none, last=1)[:, -1]
        return RecomputedRows(self.model, self.encoded, logits, none)

    @classmethod
    def planned_row_bytes(
        cls, model: ProbeModel, encoded: Encoded, steps: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE
    ) -> int:
        """Estimated memory of one row with ``steps`` tokens after the prompt, on the safe side."""
        return image_row_bytes(model, encoded, steps)


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


class Replay(Shared):
    """The text model's call is kept (image encoded once) and replayed with as many rows as are wanted."""

    path = "replayed text model"

    def __init__(
        self, model: ProbeModel, encoded: Encoded, token_by_token: bool = False, read_layers: Iterable[int] = ()
    ) -> None:
        super().__init__(model, encoded, token_by_token)
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

        def keep(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls.append((arguments, dict(named)))

        with before_backbone(model, keep):
            model.hf(**encoded.tensors, use_cache=False, **logits_kept(model.hf, 1))
        if len(calls) != 1:
            raise ValueError(f"the text model was called {len(calls)} times in one forward, so it cannot be replayed.")
        self.arguments, self.named = calls[0]
        self._take_positions(self.named)
        self.nbytes = bytes_of([self.arguments, self.named])

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> CachedRows:
        """Run the whole prompt as ``rows`` rows through the text model."""
        model, encoded = self.model, self.encoded
        cache = empty_cache(model)

        def replay(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            expanded = {name: repeated(name, value, rows) for name, value in self.named.items()}
            changed = {**dict.fromkeys(CACHE_NAMES, cache), "use_cache": True}
            positional = tuple(repeated("", value, rows) for value in self.arguments)
            return positional, expanded | {
                name: value for name, value in changed.items() if name in named or name in expanded
            }

        with before_backbone(model, replay):
            logits = model.hf(**self._outer(rows), **cache_argument(model.hf, cache), **logits_kept(model.hf, 1)).logits
        return CachedRows(model, encoded, self.positions, cache, logits[:, -1], 0, self.token_by_token)

    def _outer(self, rows: int) -> dict[str, Tensor]:
        """Arguments of the whole model's call without the image."""
        outer = {n: repeated(n, v, rows) for n, v in self.encoded.tensors.items() if n in PER_TOKEN}
        if "position_ids" in forward_arguments(self.model.hf):
            outer["position_ids"] = repeated("position_ids", self.positions, rows)
        return outer


PATH_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6, torch.float16: 0.05, torch.bfloat16: 0.05}
"""Of a way of sharing a prompt against whole forwards, by dtype, in units of the reference's largest value."""
# A path that disagrees is replaced by a slower one; a model that fails its verification is refused. So verification
# distinguishes the two half precisions by their rounding (10 and 7 bits of mantissa).
VERIFICATION_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8, torch.float16: 2e-2, torch.bfloat16: 8e-2}
"""Of the checks of a loaded model, by dtype, in the same unit."""
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""Errors of a model that cannot be run in some way; ``OutOfMemoryError``, a RuntimeError, is to be raised again."""
_MASKED = 1e30


def tolerance(dtype: torch.dtype) -> float:
    """Largest difference allowed of a path; in half precision it shows a wrong mask or position but not rounding."""
    return PATH_TOLERANCE.get(dtype, PATH_TOLERANCE[torch.bfloat16])


def difference(values: Tensor, reference: Tensor) -> float:
    """Largest difference in units of the reference's largest value; infinite for other shapes and NaN.

    Logits that a family masks with the smallest number of the dtype (tokens that it never generates) must be masked in
    both, and do not count for the scale.
    """
    if values.shape != reference.shape:
        return float("inf")
    values, reference = values.float(), reference.float()
    if values.isnan().any() or reference.isnan().any():  # neither masked nor equal to anything
        return float("inf")
    unmasked = reference.abs() < _MASKED
    if not torch.equal(unmasked, values.abs() < _MASKED):
        return float("inf")
    values, reference = values.where(unmasked, 0), reference.where(unmasked, 0)
    scale = reference.abs().max().clamp_min(1e-12)
    return float((values - reference).abs().max() / scale)
