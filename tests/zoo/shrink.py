"""Tiny models of families without a builder: the default configuration with every size reduced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel

from mllm_probe.models.layout import accepted_inputs
from tests.zoo.common import IMAGE, LAYERS, VOCABULARY, count_image_tokens, enliven, of_image, prompt

LARGEST = 10_000_000
SIDE, PATCH = 56, 14

_NAMES: tuple[tuple[Any, str], ...] = (
    (
        32,
        "hidden_size d_model embed_dim out_hidden_size projection_dim width n_embd model_dim hidden_dim output_dim "
        "vision_hidden_size text_hidden_size projector_hidden_size projection_hidden_size vision_output_dim "
        "proj_dim encoder_hidden_size adapter_hidden_dim",
    ),
    (3 * PATCH * PATCH, "patch_embed_hidden_size"),
    (
        64,
        "intermediate_size ffn_dim mlp_dim d_ff dense_intermediate_size encoder_ffn_dim decoder_ffn_dim sliding_window",
    ),
    (
        16,
        "moe_intermediate_size shared_expert_intermediate_size qk_head_dim mamba_head_dim num_position_embeddings "
        "index_topk",
    ),
    (LAYERS, "num_hidden_layers num_layers decoder_layers"),
    (
        2,
        "depth encoder_layers num_key_value_heads num_experts_per_tok moe_k moe_topk linear_num_key_heads "
        "index_n_heads",
    ),
    (
        4,
        "num_attention_heads num_heads attention_heads n_head encoder_attention_heads decoder_attention_heads "
        "num_experts n_routed_experts num_local_experts moe_num_experts linear_num_value_heads mamba_num_heads "
        "num_query_tokens num_latents latent_query_num mm_tokens_per_image pos_emb_height pos_emb_width",
    ),
    (
        8,
        "head_dim d_kv global_head_dim kv_lora_rank q_lora_rank qk_rope_head_dim qk_nope_head_dim v_head_dim "
        "linear_key_head_dim linear_value_head_dim ssm_state_size mamba_d_state hidden_size_per_layer_input "
        "index_head_dim",
    ),
    (1, "n_group topk_group n_shared_experts first_k_dense_replace n_groups"),
    (VOCABULARY, "vocab_size vocab_size_per_layer_input"),
    (512, "max_position_embeddings"),
    (0, "num_nextn_predict_layers num_kv_shared_layers"),
    (SIDE, "image_size"),
    (PATCH, "patch_size"),
    ([0, 1], "deepstack_visual_indexes"),
    ([1], "fullatt_block_indexes"),
    ([1, 1, 2], "mrope_section"),
    ([[SIDE, 2 * SIDE]], "image_grid_pinpoints"),
    (-1, "vision_feature_layer vision_feature_layers"),
    (3, "num_channels"),
    (1.0, "logit_scale"),
)
"""Sizes, and the names under which configurations keep them; and a scale of 1, so that edits show in the logits."""
_SIZES = {name: size for size, names in _NAMES for name in names.split()}
_TOWERS = ("vision", "audio", "vq", "vit", "sam")
_IN_VISION = {"num_hidden_layers": 2, "num_layers": 2, "num_key_value_heads": 4}


class TooLarge(ValueError):
    """Shrinking the sizes did not make the model small."""


def small_config(model_type: str) -> PreTrainedConfig:
    """The default configuration of a family with every known size made small."""
    default = AutoConfig.for_model(model_type)
    return type(default).from_dict(_smaller(default.to_dict()))


def shrunk(model_type: str) -> nn.Module:
    """A tiny random model of a family from its default configuration.

    Raises TooLarge if more than ten million parameters remain. Raises Exception: whatever the family raises for such
    sizes.
    """
    config = small_config(model_type)
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in AutoModelForImageTextToText.from_config(config).parameters())
    if count > LARGEST:
        raise TooLarge(f"{count / 1e6:.0f} million parameters remain after every known size was made small")
    hf = AutoModelForImageTextToText.from_config(config).eval().float()
    enliven(hf)
    return hf


def sample(hf: PreTrainedModel, picture: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs for one sample: the tensors of ``picture`` that the model accepts, and a prompt with image tokens."""
    accepted = accepted_inputs(hf)
    inputs = {name: value for name, value in picture.items() if name in accepted}
    tokens = count_image_tokens(hf, inputs) if hasattr(hf, "get_image_features") else 4
    ids = prompt(tokens, token=getattr(hf.config, "image_token_id", None) or IMAGE)
    if "image_embeds_position_mask" in accepted:
        inputs["image_embeds_position_mask"] = of_image(ids)
    return {"input_ids": ids} | inputs


def pictures(hf: PreTrainedModel) -> Iterator[dict[str, Tensor]]:
    """One random image in each of the ways that families take one."""
    vision = getattr(hf.config, "vision_config", hf.config)
    patch, side = _first(vision, "patch_size", PATCH), _first(vision, "image_size", SIDE)
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


def _first(config: PreTrainedConfig, name: str, default: int) -> int:
    value = getattr(config, name, None)
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
            several = isinstance(old, list) and not isinstance(known, list)
            small[key] = [known] * min(len(old), layers) if several else known
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
