"""The worked example of docs/scale.md: six models, 48 concepts, 1,000 images; prints its table."""

from __future__ import annotations

from collections.abc import Callable

from transformers import (
    Gemma3Config,
    Idefics3Config,
    PretrainedConfig,
    Qwen2_5_VLConfig,
)

from mllm_probe.sweeps import CostEstimate, estimate

MACHINE = "H100"
STRENGTHS = (-2, -1.5, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 1.5, 2)
CONCEPTS, IMAGES, DRAWS, TEXT_TOKENS = 48, 1000, 10, 32
METRICS = ("logprob", "named", "kl")
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


def costs() -> dict[str, CostEstimate]:
    """The estimate of every model."""
    return {
        name: estimate(
            config(), concepts=CONCEPTS, images=IMAGES, prompt_tokens=tokens + TEXT_TOKENS, image_tokens=tokens,
            strengths=STRENGTHS, draws=DRAWS, metrics=METRICS, machine=MACHINE,
        )
        for name, (config, tokens) in MODELS.items()
    }  # fmt: skip


def table(found: dict[str, CostEstimate]) -> str:
    """The table in Markdown."""
    head = ("model", "parameters", "GPUs of a worker", "runs of an image", "GPU hours", "grid", "limit", "workers")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, one in found.items():
        cells = (
            name, f"{one.size.parameters / 1e9:.1f} billion", one.devices, f"{one.rows:,}",
            f"{one.device_hours:,.0f}", f"{one.bytes_of_grid / 1e9:,.0f} GB", one.bottleneck, one.workers_for_a_night,
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(costs()))
