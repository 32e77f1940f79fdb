"""Lower bound on the cost of the work: the same prefill and row decode with the same kernels alone, and a roofline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from common.measuring import seconds
from common.peers import Prepared, prefilled
from common.work import IMAGE, Answers, Cell, Work
from mllm_probe.activations.hooks import attached
from mllm_probe.decoding.attention import sharing_attention
from mllm_probe.decoding.rows import share_layer, share_rows
from mllm_probe.models.inputs import prompt_positions
from mllm_probe.models.layout import cache_argument, text_config


@torch.no_grad()
def decoded_rows(work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
    """One prefill, then as many unedited rows as there are cells, all at once, that share it."""
    hf = work.subject.model.hf
    cache = share_rows(prefilled(work), len(cells), work.doses.device)
    tokens = work.tensors["input_ids"][:, -1:].expand(len(cells), 1)
    with sharing_attention(work.subject.model):
        return greedy(work, cells, lambda ids: hf(input_ids=ids, **cache_argument(hf, cache)).logits[:, -1], tokens)


def greedy(work: Work, cells: Sequence[Cell], step: Callable[[Tensor], Tensor], tokens: Tensor) -> Answers:
    """Logits of every step from the first tokens on, each step fed with the best token of the one before."""
    chosen, logits = [], []
    for _ in range(work.steps):
        logits.append(step(tokens))
        tokens = logits[-1].argmax(-1, keepdim=True)
        chosen.append(tokens)
    stacked = torch.stack(logits, 1)
    return Answers(list(cells), torch.cat(chosen, 1).cpu(), work.logprob(stacked[:, 0]), stacked)


class Roomy(DynamicLayer):
    """A cache layer that was given its room at once, so that a step writes in place and copies nothing."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.filled = room, 0
        self.is_initialized: bool

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **named: Any) -> tuple[Tensor, Tensor]:
        """Write behind what is there."""
        if not self.is_initialized:
            self.is_initialized, self.device = True, key_states.device
            self.keys = key_states.new_empty(*key_states.shape[:2], self.room, key_states.shape[3])
            self.values = value_states.new_empty(*value_states.shape[:2], self.room, value_states.shape[3])
        end = self.filled + key_states.shape[2]
        self.keys[:, :, self.filled : end] = key_states
        self.values[:, :, self.filled : end] = value_states
        self.filled = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        """Positions that are filled."""
        return self.filled


@torch.no_grad()
def resumed_rows(work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
    """One prefill; then per layer, as unedited rows, the blocks above it on the whole prompt, and the decoding.

    The picture stands behind the first token, so that the whole prompt is what follows the first edited position.
    """
    model = work.subject.model
    streams: dict[int, Tensor] = {}
    cache = DynamicCache(config=text_config(model.hf))
    with attached(model, lambda layer, hidden: streams.update({layer: hidden}), layers=list(work.layers)):
        model.hf(**work.tensors, **cache_argument(model.hf, cache), logits_to_keep=1)
    positions = prompt_positions(model, model.encode(work.subject.pictures[:1], work.subject.prompt))
    parts = []
    for layer in work.layers:
        mine = [cell for cell in cells if cell[0] == layer]
        if mine:
            parts.append(_resumed(work, mine, streams[layer], cache, positions))
    logits = torch.cat([part.logits for part in parts])  # type: ignore[misc]
    tokens = torch.cat([part.tokens for part in parts])  # type: ignore[misc]
    return Answers([c for part in parts for c in part.cells], tokens, work.logprob(logits[:, 0]), logits)


def _resumed(work: Work, cells: Sequence[Cell], stream: Tensor, cache: Any, positions: Tensor) -> Answers:
    model, layer, rows = work.subject.model, cells[0][0], len(cells)
    blocks, length, norm = model.layout.blocks, stream.shape[1], model.layout.final_norm
    rotary: Any = model.layout.backbone.rotary_emb
    assert norm is not None
    index = torch.zeros(rows, dtype=torch.long, device=stream.device)
    own = DynamicCache(config=text_config(model.hf))
    own.layers = [
        share_layer(held, index) if number <= layer else Roomy(length + work.steps)
        for number, held in enumerate(cache.layers)
    ]
    hidden = stream.expand(rows, -1, -1)
    embeddings = rotary(hidden, positions)
    for number in range(layer + 1, len(blocks)):
        block: Any = blocks[number]
        hidden = block(hidden, position_embeddings=embeddings, **cache_argument(block.self_attn, own))
    first = model.layout.head(norm(hidden[:, -1]))

    def step(ids: Tensor) -> Tensor:
        if ids.shape[1] == 0:
            return first
        return model.hf(input_ids=ids, **cache_argument(model.hf, own)).logits[:, -1]

    with sharing_attention(model):
        return greedy(work, cells, step, torch.zeros(rows, 0, dtype=torch.long, device=stream.device))


@dataclass(frozen=True)
class Rates:
    """Peak rates of the machine for this dtype.

    Attributes
    ----------
    flops : float
        Floating-point operations per second, of the fastest of some matrix products.
    bytes : float
        Bytes read per second.
    """

    flops: float
    bytes: float


_STRETCH = 0.05
"""Seconds: clocks of CPU time may go in steps of 10 milliseconds."""


def machine_rates(device: str, dtype: torch.dtype, width: int) -> Rates:
    """Measure matrix products of the model's width and reading a large tensor."""
    inner, best = 11 * width // 4, 0.0
    for rows in (144, 600, 1200):
        left = torch.randn(rows, width, device=device, dtype=dtype)
        right = torch.randn(width, inner, device=device, dtype=dtype)
        best = max(best, 2 * rows * width * inner / _per_run(partial(torch.mm, left, right), device))
    large = torch.zeros(2**26, device=device, dtype=torch.float32)
    return Rates(best, large.numel() * 4 / _per_run(lambda: large.sum(), device))


def _per_run(job: Callable[[], object], device: str) -> float:
    """Seconds of one run, the best of a few hundred milliseconds; a stretch is long beside the steps of the clock."""
    job()
    runs = 5

    def stretch() -> float:
        return seconds(lambda: [job() for _ in range(runs)], device)

    while (took := stretch()) < _STRETCH:
        runs *= 2
    best, end = took, time.perf_counter() + 0.3
    while time.perf_counter() < end:
        best = min(best, stretch())
    return best / runs


def roofline(work: Work, run: Callable[[Work, Prepared, Sequence[Cell]], Answers], rates: Rates) -> dict[str, float]:
    """Least seconds by counted operations and bytes: weights once per prefill and step, the prompt's keys per step.

    Where the prompt is edited, each layer's rows decode apart and every row has keys of its own.
    """
    model, apart = work.subject.model, work.tokens == IMAGE
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
        run(work, None, work.cells)
    text = [*model.layout.blocks, model.layout.head]
    weights = sum(p.numel() * p.element_size() for module in text for p in module.parameters())
    config = text_config(model.hf)
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or model.hidden_size // heads
    size = torch.empty((), dtype=model.dtype).element_size()
    prompt = 2 * len(model.layers) * config.num_key_value_heads * width * work.subject.tokens * size
    batches, copies = (len(work.layers), len(work.cells)) if apart else (1, 1)
    moved = weights * (1 + work.steps * batches) + prompt * work.steps * copies
    flops = counter.get_total_flops()
    by_flops, by_bytes = flops / rates.flops, moved / rates.bytes
    return {
        "flops": flops, "bytes": moved, "flops_per_second": rates.flops, "bytes_per_second": rates.bytes,
        "seconds_by_flops": by_flops, "seconds_by_bytes": by_bytes, "seconds": max(by_flops, by_bytes),
    }  # fmt: skip


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **named: Any) -> int:
    """Products of queries with keys and of weights with values; a causal mask halves a square."""
    batch, heads, count, width = query
    causal = len(_) > 1 and bool(_[1])
    total = 2 * batch * heads * count * key[2] * (width + value[3])
    return total // 2 if causal and count > 1 else total


_CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
