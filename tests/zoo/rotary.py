"""Families whose image tokens have position ids with several axes (M-RoPE), with and without DeepStack."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf
from transformers import PreTrainedConfig

from tests.zoo.common import (
    IMAGE,
    ROTARY,
    WIDTH,
    Described,
    family,
    gridded,
    of_image,
    own_text,
    prompt,
)

_TOKENS = {
    "image_token_id": IMAGE,
    "video_token_id": IMAGE + 1,
    "vision_start_token_id": IMAGE + 2,
    "vision_end_token_id": IMAGE + 3,
}
_MARKED = {
    "image_token_id": IMAGE,
    "video_token_id": IMAGE + 1,
    "image_start_token_id": IMAGE + 2,
    "image_end_token_id": IMAGE + 3,
    "video_start_token_id": IMAGE + 4,
    "video_end_token_id": IMAGE + 5,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


def _tower(**changes: Any) -> dict[str, Any]:
    sizes = {"depth": 2, "hidden_size": WIDTH, "out_hidden_size": WIDTH, "num_heads": 4, "intermediate_size": 64}
    return sizes | changes


def _deep_tower() -> dict[str, Any]:
    return _tower(depth=4, patch_size=14, num_position_embeddings=16, deepstack_visual_indexes=[1, 2, 3])


def _inputs() -> dict[str, torch.Tensor]:
    ids = prompt(4)
    return {"input_ids": ids, "mm_token_type_ids": of_image(ids)} | gridded()


@family("M-RoPE")
def qwen2_vl() -> Described:
    """Qwen2-VL."""
    return hf.Qwen2VLConfig(
        text_config=own_text(hf.Qwen2VLConfig, rope_parameters=ROTARY, sliding_window=None),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": WIDTH, "num_heads": 4, "mlp_ratio": 2},
        **_TOKENS,
    ), _inputs()


@family("M-RoPE")
def qwen2_5_vl() -> Described:
    """Qwen2.5-VL: windowed attention in the tower."""
    return hf.Qwen2_5_VLConfig(
        text_config=own_text(hf.Qwen2_5_VLConfig, rope_parameters=ROTARY, sliding_window=None),
        vision_config=_tower(fullatt_block_indexes=[1]),
        **_TOKENS,
    ), _inputs()


@family("M-RoPE, DeepStack")
def qwen3_vl() -> Described:
    """Qwen3-VL: features of the tower are added after the first blocks."""
    return hf.Qwen3VLConfig(
        text_config=own_text(hf.Qwen3VLConfig, rope_parameters=ROTARY), vision_config=_deep_tower(), **_TOKENS
    ), _inputs()


@family("M-RoPE, DeepStack, mixture of experts")
def qwen3_vl_moe() -> Described:
    """Qwen3-VL with a mixture of experts."""
    return hf.Qwen3VLMoeConfig(
        text_config=own_text(hf.Qwen3VLMoeConfig, rope_parameters=ROTARY, **_EXPERTS),
        vision_config=_deep_tower(),
        **_TOKENS,
    ), _inputs()


def _linear(config: type[PreTrainedConfig], **experts: int) -> Described:
    settings = config(
        text_config=own_text(
            config,
            rope_parameters=ROTARY | {"partial_rotary_factor": 1.0},
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
            **experts,
        ),
        vision_config=_tower(patch_size=14, num_position_embeddings=16),
        **_TOKENS,
    )
    return settings, _inputs()


@family("M-RoPE, hybrid: linear attention")
def qwen3_5() -> Described:
    """Qwen3.5: gated linear attention in three of four blocks."""
    return _linear(hf.Qwen3_5Config)


@family("M-RoPE, hybrid: linear attention, mixture of experts")
def qwen3_5_moe() -> Described:
    """Qwen3.5 with a mixture of experts."""
    experts = _EXPERTS | {"shared_expert_intermediate_size": 16}
    return _linear(hf.Qwen3_5MoeConfig, **experts)


def _glm(config: type[PreTrainedConfig]) -> Described:
    tower = hf.Glm4vConfig.sub_configs["vision_config"](**_tower(image_size=56))
    settings = config(
        text_config=own_text(hf.Glm4vConfig, rope_parameters=ROTARY | {"partial_rotary_factor": 1.0}),
        vision_config=tower.to_dict(),
        **_MARKED,
    )
    return settings, _inputs()


@family("M-RoPE")
def glm4v() -> Described:
    """GLM-4.1V."""
    return _glm(hf.Glm4vConfig)


@family("M-RoPE")
def glm46v() -> Described:
    """GLM-4.6V."""
    return _glm(hf.Glm46VConfig)


@family("M-RoPE, mixture of experts by modality")
def ernie4_5_vl_moe() -> Described:
    """ERNIE 4.5 VL: text and image tokens have separate experts."""
    config = hf.Ernie4_5_VLMoeConfig(
        text_config=own_text(
            hf.Ernie4_5_VLMoeConfig,
            rope_parameters=ROTARY,
            moe_num_experts=4,
            moe_k=2,
            moe_num_shared_experts=1,
            moe_intermediate_size=[16, 16],
            mlp_layer_types=["dense"] + ["sparse"] * 3,
        ),
        vision_config={"depth": 2, "hidden_size": WIDTH, "num_heads": 4, "intermediate_size": 64},
        **_MARKED,
    )
    inputs = _inputs() | {"pixel_values": torch.randn(16, 3 * 14 * 14)}
    return config, inputs | {"moe_mm_token_type_ids": inputs["mm_token_type_ids"]}
