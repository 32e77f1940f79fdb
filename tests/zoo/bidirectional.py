"""Families in which some prompt positions attend to later ones."""

from __future__ import annotations

import torch
import transformers as hf
from transformers import PreTrainedConfig

from tests.zoo.common import (
    IMAGE,
    VOCABULARY,
    WIDTH,
    Described,
    family,
    of_image,
    own_text,
    prompt,
    text,
    vision,
)

_ALTERNATING = ["sliding_attention", "full_attention"] * 2


@family("image tokens see each other in both directions")
def gemma3() -> Described:
    """Gemma 3: needs token types to open attention among image tokens."""
    config = hf.Gemma3Config(
        text_config=text(hf.Gemma3TextConfig, sliding_window=64, layer_types=_ALTERNATING, query_pre_attn_scalar=8),
        vision_config=hf.SiglipVisionConfig(**vision()),
        mm_tokens_per_image=4,
        image_token_index=IMAGE,
        boi_token_index=IMAGE + 1,
        eoi_token_index=IMAGE + 2,
    )
    ids = prompt(4)
    inputs = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 28, 28), "token_type_ids": of_image(ids)}
    return config, inputs


@family("image tokens see each other in both directions (sliding layers)")
def gemma4() -> Described:
    """Gemma 4: opens attention among image tokens in sliding layers only."""
    tower = hf.Gemma4Config.sub_configs["vision_config"](
        hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        head_dim=8, pooling_kernel_size=2, patch_size=14, position_embedding_size=64,
    )  # fmt: skip
    config = hf.Gemma4Config(
        text_config=own_text(
            hf.Gemma4Config,
            sliding_window=64,
            layer_types=_ALTERNATING,
            global_head_dim=8,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=VOCABULARY,
            use_bidirectional_attention="vision",
        ),
        vision_config=tower.to_dict(),
        audio_config=None,
        image_token_id=IMAGE,
        video_token_id=IMAGE + 1,
        boi_token_id=IMAGE + 2,
        eoi_token_id=IMAGE + 3,
        audio_token_id=IMAGE + 4,
        boa_token_id=IMAGE + 5,
        eoa_token_index=IMAGE + 6,
    )
    ids = prompt(4)
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    inputs = {
        "input_ids": ids,
        "pixel_values": torch.rand(1, 16, 3 * 14 * 14),
        "image_position_ids": torch.stack([columns, rows], -1).reshape(1, 16, 2),
        "mm_token_type_ids": of_image(ids),
    }
    return config, inputs


@family("four parallel streams (AltUp), shared keys and values")
def gemma3n() -> Described:
    """Gemma 3n: blocks carry four streams; the last layers share keys and values."""
    config = hf.Gemma3nConfig(
        text_config=own_text(
            hf.Gemma3nConfig,
            sliding_window=64,
            layer_types=_ALTERNATING,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=VOCABULARY,
            num_kv_shared_layers=2,
            laurel_rank=4,
            activation_sparsity_pattern=[0.0] * 4,
            intermediate_size=[64] * 4,
        ),
        vision_config={
            "architecture": "resnet18",
            "hidden_size": 512,
            "vocab_size": 4,
            "vocab_offset": 156,
            "model_args": {},
        },
        audio_config={
            "hidden_size": WIDTH,
            "conf_num_attention_heads": 4,
            "conf_num_hidden_layers": 1,
            "sscp_conv_channel_size": [16, 8],
            "vocab_offset": 158,
            "vocab_size": 2,
        },
        vision_soft_tokens_per_image=4,
        image_token_id=IMAGE,
        boi_token_id=IMAGE + 1,
        eoi_token_id=IMAGE + 2,
        audio_token_id=IMAGE + 3,
        boa_token_id=IMAGE + 4,
        eoa_token_id=IMAGE + 5,
    )
    ids = prompt(4)
    inputs = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 64, 64), "token_type_ids": of_image(ids)}
    return config, inputs


def _paligemma(decoder: PreTrainedConfig) -> Described:
    ids = prompt(16)
    config = hf.PaliGemmaConfig(
        text_config=decoder,
        vision_config=hf.SiglipVisionConfig(**vision()),
        image_token_index=IMAGE,
        projection_dim=WIDTH,
    )
    pixels = torch.randn(1, 3, 28, 28)
    return config, {"input_ids": ids, "pixel_values": pixels, "token_type_ids": torch.zeros_like(ids)}


@family("the whole prompt sees itself in both directions")
def paligemma() -> Described:
    """PaliGemma: a prefix without causal order."""
    return _paligemma(text(hf.GemmaConfig))


@family("the whole prompt sees itself in both directions")
def paligemma2() -> Described:
    """PaliGemma 2: a Gemma 2 decoder, with soft-capped eager attention, and sliding and full layers in turn."""
    return _paligemma(text(hf.Gemma2Config, query_pre_attn_scalar=8))
