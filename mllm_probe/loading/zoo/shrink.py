"""Tiny models of families without a builder of their own: the default configuration with every size made small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from mllm_probe.loading.zoo.common import IMAGE, LAYERS, VOCABULARY, count_image_tokens, enliven, of_image, prompt
from mllm_probe.models.layout import accepted_inputs

LARGEST = 10_000_000
SIDE, PATCH = 56, 14

_SIZES: dict[str, Any] = {
    "hidden_size": 32, "d_model": 32, "embed_dim": 32, "out_hidden_size": 32, "projection_dim": 32, "width": 32,
    "n_embd": 32, "model_dim": 32, "hidden_dim": 32, "output_dim": 32, "vision_hidden_size": 32, "text_hidden_size": 32,
    "projector_hidden_size": 32, "patch_embed_hidden_size": 3 * PATCH * PATCH, "projection_hidden_size": 32, "vision_output_dim": 32, "proj_dim": 32, "encoder_hidden_size": 32,
    "intermediate_size": 64, "ffn_dim": 64, "mlp_dim": 64, "d_ff": 64, "moe_intermediate_size": 16, "adapter_hidden_dim": 32,
    "shared_expert_intermediate_size": 16, "dense_intermediate_size": 64, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "num_hidden_layers": LAYERS, "depth": 2, "num_layers": LAYERS, "encoder_layers": 2, "decoder_layers": LAYERS,
    "num_attention_heads": 4, "num_heads": 4, "num_key_value_heads": 2, "attention_heads": 4, "n_head": 4,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "head_dim": 8, "d_kv": 8, "global_head_dim": 8,
    "num_experts": 4, "n_routed_experts": 4, "num_local_experts": 4, "moe_num_experts": 4, "n_group": 1, "topk_group": 1,
    "num_experts_per_tok": 2, "moe_k": 2, "moe_topk": 2, "n_shared_experts": 1, "first_k_dense_replace": 1,
    "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "qk_head_dim": 16,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "mamba_d_state": 8, "n_groups": 1,
    "vocab_size": VOCABULARY, "vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8,
    "max_position_embeddings": 512, "num_position_embeddings": 16, "sliding_window": 64, "num_nextn_predict_layers": 0,
    "image_size": SIDE, "patch_size": PATCH, "num_query_tokens": 4, "num_latents": 4, "deepstack_visual_indexes": [0, 1],
    "fullatt_block_indexes": [1], "mm_tokens_per_image": 4, "pos_emb_height": 4, "pos_emb_width": 4, "index_topk": 16,
    "index_n_heads": 2, "index_head_dim": 8, "mrope_section": [1, 1, 2], "num_kv_shared_layers": 0,
    "image_grid_pinpoints": [[SIDE, 2 * SIDE]], "vision_feature_layer": -1, "num_channels": 3,
}  # fmt: skip
_TOWERS = ("vision", "audio", "vq", "vit", "sam")
_IN_VISION = {"num_hidden_layers": 2, "num_layers": 2, "num_key_value_heads": 4}


class TooLarge(ValueError):
    """Shrinking the sizes did not make the model small."""


def uncovered(built: set[str]) -> list[str]:
    """Model types of Transformers' image-text-to-text mapping that are not among ``built``."""
    return sorted(set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES) - built)


def shrunk(model_type: str) -> nn.Module:
    """A tiny random model of a family from its default configuration.

    Raises
    ------
    TooLarge
        If more than ten million parameters remain.
    Exception
        Whatever the family raises for such sizes.
    """
    default = transformers.AutoConfig.for_model(model_type)
    config = type(default).from_dict(_smaller(default.to_dict()))
    model_class = getattr(transformers, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[model_type])
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in model_class(config).parameters())
    if count > LARGEST:
        raise TooLarge(f"{count / 1e6:.0f} million parameters remain after every known size was made small")
    hf = model_class(config).eval().float()
    enliven(hf)
    return hf


def sample(hf: Any, picture: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs for one sample: what the model's forward takes of ``picture``, and a prompt with room for it."""
    accepted = accepted_inputs(hf)
    inputs = {name: value for name, value in picture.items() if name in accepted}
    tokens = count_image_tokens(hf, inputs) if hasattr(hf, "get_image_features") else 4
    ids = prompt(tokens, token=getattr(hf.config, "image_token_id", None) or IMAGE)
    if "image_embeds_position_mask" in accepted:
        inputs["image_embeds_position_mask"] = of_image(ids)
    return {"input_ids": ids} | inputs


def pictures(hf: Any) -> Iterator[dict[str, Tensor]]:
    """One random picture in each of the ways that families take one."""
    vision = getattr(hf.config, "vision_config", hf.config)
    patch, side = (_first(getattr(vision, name, None), default) for name, default in (("patch_size", PATCH), ("image_size", SIDE)))
    volume = 3 * patch * patch * (getattr(vision, "temporal_patch_size", None) or 1)
    grid = {"image_grid_thw": torch.tensor([[1, 4, 4]]), "image_grid_hw": torch.tensor([[4, 4]])}
    grid |= {"target_sizes": torch.tensor([[4, 4]]), "image_sizes": torch.tensor([[side, side]])}
    if "flattened_patches" in accepted_inputs(hf):
        places = torch.stack([torch.arange(16) // 4 + 1, torch.arange(16) % 4 + 1], 1)
        yield {"flattened_patches": torch.cat([places, torch.randn(16, 3 * patch * patch)], 1)[None]}
    if {"image_grid_thw", "image_grid_hw"} & accepted_inputs(hf):
        yield {"pixel_values": torch.randn(16, volume)} | grid
        yield {"pixel_values": torch.randn(16, 2 * volume)} | grid
        yield {"pixel_values": torch.randn(16, 3, patch, patch)} | grid
        yield {"pixel_values": torch.randn(1, 16, 3, patch, patch)} | grid
    yield {"pixel_values": torch.randn(1, 3, side, side)} | grid
    yield {"pixel_values": torch.randn(1, 1, 3, side, side)} | grid
    yield {"pixel_values": torch.randn(1, 3, 3, side, side)} | grid | {"image_sizes": torch.tensor([[side, 2 * side]])}
    yield {"pixel_values": torch.randn(1, 3, patch, 16 * patch)} | grid


def _first(value: Any, default: int) -> int:
    return int(value[0] if isinstance(value, (list, tuple)) else value or default)


def _smaller(value: dict[str, Any], vision: bool = False) -> dict[str, Any]:
    """A configuration with every known size replaced, layer lists cut and token ids moved into the small vocabulary."""
    small: dict[str, Any] = {}
    layers = 2 if vision else LAYERS
    for position, (key, old) in enumerate(value.items()):
        if key in ("id2label", "label2id", "per_layer_config"):
            continue
        if isinstance(old, dict):
            small[key] = _smaller(old, vision or any(word in key for word in _TOWERS))
        elif key in _SIZES and old is not None:
            known = (_IN_VISION if vision else {}).get(key, _SIZES[key])
            small[key] = [known] * min(len(old), layers) if isinstance(old, list) and not isinstance(known, list) else known
        elif str(key).endswith(("token_id", "token_index")) and isinstance(old, int):
            small[key] = _token(key, old, position)
        else:
            small[key] = old[-layers:] if isinstance(old, list) and len(old) > layers else old
    if "rope_theta" in small and not vision:
        small |= {"mrope_section": [1, 1, 2], "partial_rotary_factor": 1.0}
    return small


def _token(key: str, old: int, position: int) -> int:
    if key.startswith("image_token"):
        return IMAGE
    known = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return known.get(key, old if 0 <= old < IMAGE else 100 + position % 40)
