"""Low-rank adapters of a frozen decoder: the little that is trained of it, and that can be switched off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from mllm_probe.loading.assembling import DECODER, DOWN, UP, Assembly


class LowRank(nn.Module):
    """A frozen linear layer plus ``scale · up · down`` (Hu et al. 2021, LoRA).

    `base`: frozen, without a bias.
    """

    def __init__(self, base: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.base, self.scale, self.on = base.requires_grad_(False), scale, True
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.empty(base.out_features, rank))
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Set the adapter to one that changes nothing yet."""
        self.down.normal_(0, 1 / math.sqrt(self.base.in_features))
        self.up.zero_()

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the layer's output, in the dtype of ``hidden``."""
        out = self.base(hidden)
        if not self.on:
            return out
        low = F.linear(hidden, self.down.to(hidden.dtype))
        return out + F.linear(low, self.up.to(hidden.dtype)) * self.scale


def add_adapters(decoder: LlamaForCausalLM, assembly: Assembly) -> None:
    """Freeze a decoder and put an adapter that changes nothing yet on the weights that ``assembly`` names."""
    decoder.requires_grad_(False)
    for block in decoder.model.layers:
        for name in assembly.adapted:
            layer = getattr(block.self_attn, name)
            setattr(block.self_attn, name, LowRank(layer, assembly.rank, assembly.scale))


def adapters(decoder: LlamaForCausalLM) -> dict[str, LowRank]:
    """Adapters of a decoder by the names of their layers in an assembled model."""
    return {
        DECODER + name.removeprefix("model."): module
        for name, module in decoder.named_modules()
        if isinstance(module, LowRank)
    }


def adapter_weights(decoder: LlamaForCausalLM) -> dict[str, Tensor]:
    """Weights of the adapters by their names in ``parts.safetensors``, float32."""
    weights = {}
    for name, adapter in adapters(decoder).items():
        weights[name + DOWN], weights[name + UP] = adapter.down.detach(), adapter.up.detach()
    return weights


@torch.no_grad()
def load_adapter_weights(decoder: LlamaForCausalLM, weights: dict[str, Tensor]) -> None:
    """Restore what ``adapter_weights`` returned; KeyError where one is missing."""
    for name, adapter in adapters(decoder).items():
        adapter.down.copy_(weights[name + DOWN])
        adapter.up.copy_(weights[name + UP])


@contextmanager
def without_adapters(decoder: LlamaForCausalLM) -> Iterator[None]:
    """The decoder as it was before it was adapted."""
    switched = list(adapters(decoder).values())
    for adapter in switched:
        adapter.on = False
    try:
        yield
    finally:
        for adapter in switched:
            adapter.on = True
