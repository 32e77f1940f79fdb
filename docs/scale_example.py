"""The worked example of docs/scale.md: six models, 48 concepts, 1,000 images; prints its table."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import (
    AutoModelForImageTextToText,
    Gemma3Config,
    Idefics3Config,
    PretrainedConfig,
    Qwen2_5_VLConfig,
)

from mllm_probe.models.layout import find_layout

STRENGTHS = (-2, -1.5, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 1.5, 2)
CONCEPTS, IMAGES, DRAWS, TEXT_TOKENS = 48, 1000, 10, 32
CONTROLS, NEW_TOKENS, BYTES = ("random", "on_manifold"), 8, 2
SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}


def qwen(width: int, blocks: int, heads: int, key_heads: int, inner: int, tied: bool = False) -> PretrainedConfig:
    """Qwen2.5-VL, which differs between sizes in its text model alone."""
    text = {
        "hidden_size": width, "num_hidden_layers": blocks, "num_attention_heads": heads, "intermediate_size": inner,
        "num_key_value_heads": key_heads, "vocab_size": 151936 if tied else 152064, "tie_word_embeddings": tied,
    }  # fmt: skip
    vision = {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": width,
        "patch_size": 14, "spatial_merge_size": 2,
    }  # fmt: skip
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)


def smolvlm() -> PretrainedConfig:
    """SmolVLM-Instruct, an Idefics 3."""
    text = {
        "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32,
        "num_key_value_heads": 32, "intermediate_size": 8192, "vocab_size": 49155,
    }  # fmt: skip
    vision = {**SIGLIP, "image_size": 384, "patch_size": 14}
    return Idefics3Config(text_config=text, vision_config=vision, scale_factor=3, tie_word_embeddings=False)


def gemma() -> PretrainedConfig:
    """Gemma-3-12B."""
    text = {
        "hidden_size": 3840, "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 256, "intermediate_size": 15360, "vocab_size": 262208,
    }  # fmt: skip
    vision = {**SIGLIP, "image_size": 896, "patch_size": 14}
    return Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=256)


MODELS: dict[str, tuple[Callable[[], PretrainedConfig], int]] = {
    "SmolVLM-2.2B": (smolvlm, 81),
    "Qwen2.5-VL-3B": (lambda: qwen(2048, 36, 16, 2, 11008, tied=True), 256),
    "Qwen2.5-VL-7B": (lambda: qwen(3584, 28, 28, 4, 18944), 256),
    "Gemma-3-12B": (gemma, 256),
    "Qwen2.5-VL-32B": (lambda: qwen(5120, 64, 40, 8, 27648), 256),
    "Qwen2.5-VL-72B": (lambda: qwen(8192, 80, 64, 8, 29568), 256),
}
"""Configuration, with the numbers of each model's own config.json, and tokens of an image: one tile of SmolVLM, a
square of 448 pixels of Qwen2.5-VL."""


def counted(name: str) -> tuple[str, ...]:
    """Cells of a model's row of the table."""
    config, image_tokens = MODELS[name]
    with torch.device("meta"):  # no weights: parameters are counted, not stored
        hf = AutoModelForImageTextToText.from_config(config())
    layout, text = find_layout(hf), hf.config.get_text_config()
    blocks = len(layout.blocks)
    steered = [strength for strength in STRENGTHS if strength]
    # Both controls are shared by all concepts, and opposite draws of a strength are those of the opposite strength.
    runs = blocks * len(steered) * (CONCEPTS + len(CONTROLS) * DRAWS // 2)
    heads = text.num_key_value_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    key_value = 2 * blocks * heads * width * BYTES
    in_blocks = sum(parameter.numel() for block in layout.blocks for parameter in block.parameters())
    per_token = 2 * (in_blocks + sum(parameter.numel() for parameter in layout.head.parameters()))
    cells = CONCEPTS * blocks * len(STRENGTHS) * (1 + len(CONTROLS) * DRAWS) * IMAGES
    prompt = image_tokens + TEXT_TOKENS
    return (
        name,
        f"{sum(parameter.numel() for parameter in hf.parameters()) / 1e9:.1f} billion",
        f"{runs:,}",
        f"{runs * IMAGES * NEW_TOKENS * per_token / 1e15:,.0f}",
        f"{key_value * prompt / 1e6:,.0f} MB",
        f"{key_value * NEW_TOKENS / 1e6:,.1f} MB",
        f"{cells / 1e6:,.0f} million",
    )


def table() -> str:
    """The table in Markdown."""
    head = ("model", "parameters", "runs of an image", "10¹⁵ operations", "prompt", "row", "cells")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(counted(name))} |" for name in MODELS)])


if __name__ == "__main__":
    print(table())
