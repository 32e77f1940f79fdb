"""Families whose image tokens have position ids with several axes (M-RoPE), with and without DeepStack."""

from __future__ import annotations

from functools import partial

import torch

from tests.zoo.common import FAMILIES, Described, Family, of_image, prompt
from tests.zoo.shrink import PATCH, small_config

KINDS = {
    "qwen2_vl": "M-RoPE",
    "qwen2_5_vl": "M-RoPE",
    "qwen3_vl": "M-RoPE, DeepStack",
    "qwen3_vl_moe": "M-RoPE, DeepStack, mixture of experts",
    "qwen3_5": "M-RoPE, hybrid: linear attention",
    "qwen3_5_moe": "M-RoPE, hybrid: linear attention, mixture of experts",
    "glm4v": "M-RoPE",
    "glm46v": "M-RoPE",
    "ernie4_5_vl_moe": "M-RoPE, mixture of experts by modality",
}
"""All work with their default configuration made small."""


def _by_default(name: str) -> Described:
    """An image as a list of 4 × 4 patches and its grid; ERNIE takes patches of one frame, and types for its experts."""
    ids, own = prompt(4), name == "ernie4_5_vl_moe"
    kinds = ("mm_token_type_ids", "moe_mm_token_type_ids") if own else ("mm_token_type_ids",)
    pixels = torch.randn(16, 3 * (1 if own else 2) * PATCH**2)
    inputs = {"input_ids": ids, "pixel_values": pixels, "image_grid_thw": torch.tensor([[1, 4, 4]])}
    return small_config(name), inputs | dict.fromkeys(kinds, of_image(ids))


for _name, _kind in KINDS.items():
    FAMILIES[_name] = Family(_name, _kind, partial(_by_default, _name))
