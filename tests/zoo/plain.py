"""Families with projected image features in the sequence and causal attention throughout."""

from __future__ import annotations

from functools import partial

import torch
import transformers as hf

from tests.zoo.common import (
    FAMILIES,
    IMAGE,
    WIDTH,
    Described,
    Family,
    family,
    own_text,
    pixtral,
    prompt,
    text,
    vision,
)
from tests.zoo.shrink import SIDE, small_config

KIND = "causal, image tokens in the sequence"
PICTURE = (1, 3, 28, 28)
_SMALL = (1, 3, SIDE, SIDE)
_TILED = (1, 3, 3, SIDE, SIDE)
_SEVERAL = (1, 1, 3, SIDE, SIDE)
BY_DEFAULT: dict[str, tuple[tuple[int, ...], list[int] | None]] = {
    "aya_vision": (_SMALL, None),
    "idefics2": (_SEVERAL, None),
    "idefics3": (_SEVERAL, None),
    "internvl": (_SMALL, None),
    "lighton_ocr": (_SMALL, [SIDE, SIDE]),
    "llava_next": (_TILED, [SIDE, 2 * SIDE]),
    "llava_onevision": (_TILED, [SIDE, 2 * SIDE]),
    "mistral3": (_SMALL, [SIDE, SIDE]),
    "ovis2": (_SMALL, None),
    "smolvlm": (_SEVERAL, None),
    "vipllava": (_SMALL, None),
}
"""Families that work with their default configuration made small: shape of the pixels, and image size if taken."""


def _by_default(name: str) -> Described:
    shape, size = BY_DEFAULT[name]
    sizes = {} if size is None else {"image_sizes": torch.tensor([size])}
    return small_config(name), {"pixel_values": torch.randn(*shape)} | sizes


for _name in BY_DEFAULT:
    FAMILIES[_name] = Family(_name, KIND, partial(_by_default, _name))


def _clip() -> hf.PreTrainedConfig:
    return hf.CLIPVisionConfig(**vision(num_hidden_layers=3, projection_dim=WIDTH))


def _siglip() -> hf.PreTrainedConfig:
    return hf.SiglipVisionConfig(**vision(num_hidden_layers=3))


def _seen(tokens: int) -> dict[str, torch.Tensor]:
    return {"input_ids": prompt(tokens), "pixel_values": torch.randn(*PICTURE)}


@family(KIND)
def llava() -> Described:
    """LLaVA 1.5: CLIP tower, Llama decoder."""
    return hf.LlavaConfig(vision_config=_clip(), text_config=text(), image_token_index=IMAGE), _seen(16)


@family(KIND)
def llava_pixtral() -> Described:
    """Pixtral 12B: the LLaVA class with a Pixtral tower and a Mistral decoder."""
    return hf.LlavaConfig(
        vision_config=pixtral(),
        text_config=text(hf.MistralConfig),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    ), _seen(16) | {"image_sizes": torch.tensor([[28, 28]])}


@family(KIND)
def cohere2_vision() -> Described:
    """Command A Vision: SigLIP tower, Cohere2 decoder."""
    return hf.Cohere2VisionConfig(
        text_config=text(hf.Cohere2Config, layer_types=["sliding_attention"] * 3 + ["full_attention"]),
        vision_config=_siglip(),
        image_token_id=IMAGE,
        downsample_factor=2,
        alignment_intermediate_size=64,
    ), _seen(4)


@family(KIND)
def got_ocr2() -> Described:
    """GOT-OCR 2: SAM-like tower, Qwen2 decoder."""
    tower = {
        "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 128, "patch_size": 8,
        "output_channels": 16, "mlp_dim": 64, "global_attn_indexes": [1], "window_size": 4,
    }  # fmt: skip
    return hf.GotOcr2Config(text_config=text(hf.Qwen2Config).to_dict(), vision_config=tower, image_token_id=IMAGE), {
        "pixel_values": torch.randn(1, 3, 128, 128)
    }


@family(KIND)
def janus() -> Described:
    """Janus: understanding path only; its image generator is built but not used."""
    generator = {
        "embed_dim": 8, "num_embeddings": 16, "latent_channels": 8, "base_channels": 32, "channel_multiplier": [1, 1],
        "num_res_blocks": 1, "image_token_embed_dim": 32, "projection_dim": 32, "num_patches": 4,
        "num_hidden_layers": 1, "hidden_size": 32,
    }  # fmt: skip
    return hf.JanusConfig(
        text_config=text().to_dict(),
        vision_config=vision(projection_dim=32, num_image_tokens=16, mlp_ratio=2),
        vq_config=generator,
        image_token_id=IMAGE,
    ), _seen(16)


@family(KIND)
def deepseek_vl() -> Described:
    """DeepSeek-VL: SigLIP tower, Llama decoder."""
    return hf.DeepseekVLConfig(
        text_config=text().to_dict(), vision_config=_siglip().to_dict(), image_token_id=IMAGE
    ), _seen(16)


@family(KIND)
def perception_lm() -> Described:
    """PerceptionLM: a tower from timm."""
    tower = {
        "embed_dim": WIDTH, "img_size": (56, 56), "depth": 2, "num_heads": 4, "global_pool": "",
        "use_post_transformer_norm": False, "init_values": 0.1, "ref_feat_shape": (1, 1),
    }  # fmt: skip
    config = hf.PerceptionLMConfig(
        text_config=text().to_dict(),
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_core_large_patch14_336",
            "model_args": tower,
        },
        image_token_id=IMAGE,
        video_token_id=IMAGE + 1,
        vision_use_cls_token=True,
        projector_pooling_ratio=2,
    )
    inputs = {"input_ids": prompt(4), "pixel_values": torch.randn(1, 1, 3, 56, 56)}
    return config, inputs


@family(KIND)
def video_llama_3() -> Described:
    """VideoLLaMA 3: patches of any resolution."""
    config = hf.VideoLlama3Config(
        text_config=text(hf.Qwen2Config).to_dict(),
        vision_config=vision(patch_size=14),
        image_token_id=IMAGE,
        video_token_id=IMAGE + 1,
    )
    inputs = {
        "input_ids": prompt(4),
        "pixel_values": torch.randn(16, 3 * 14 * 14),
        "image_grid_thw": torch.tensor([[1, 4, 4]]),
        "image_merge_sizes": torch.tensor([2]),
    }
    return config, inputs


@family("causal, query tokens of a Q-Former in the sequence")
def blip2() -> Described:
    """BLIP-2: Q-Former, OPT decoder with learned positions."""
    decoder = hf.OPTConfig(
        vocab_size=160, hidden_size=WIDTH, ffn_dim=64, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=128, word_embed_proj_dim=WIDTH,
    )  # fmt: skip
    return hf.Blip2Config(
        vision_config=vision(),
        qformer_config=_former(),
        text_config=decoder.to_dict(),
        num_query_tokens=4,
        image_token_index=IMAGE,
    ), _seen(4)


@family("causal, query tokens of a Q-Former in the sequence")
def instructblip() -> Described:
    """InstructBLIP: the Q-Former reads the instruction too."""
    config = hf.InstructBlipConfig(
        vision_config=vision(),
        qformer_config=_former() | {"vocab_size": 160},
        text_config=text().to_dict(),
        num_query_tokens=4,
        image_token_index=IMAGE,
    )
    inputs = _seen(4) | {"qformer_input_ids": torch.randint(5, 100, (1, 4))}
    return config, inputs


def _former() -> dict[str, int]:
    return {
        "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "encoder_hidden_size": WIDTH,
    }  # fmt: skip


@family("causal, patches of the picture enter without a tower")
def fuyu() -> Described:
    """Fuyu: linear patches straight into a Persimmon decoder."""
    sizes = {
        "vocab_size": 160, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 4,
        "num_attention_heads": 4,
    }  # fmt: skip
    return hf.FuyuConfig(
        **sizes,
        max_position_embeddings=128,
        image_size=28,
        patch_size=7,
        image_token_id=IMAGE,
        text_config=hf.PersimmonConfig(**sizes).to_dict(),
    ), {"input_ids": prompt(4), "image_patches": torch.randn(1, 4, 147)}


@family("causal, pictures become discrete tokens")
def chameleon() -> Described:
    """Chameleon: a code book turns the picture into tokens of the vocabulary."""
    words = {"<image>": IMAGE} | {f"IMGIMG{'ABCDEFGHIJ'[i]}Z": 60 + i for i in range(10)}
    coder = {
        "embed_dim": 8, "num_embeddings": 10, "latent_dim": 8, "in_channels": 3, "base_channels": 32,
        "channel_multiplier": [1, 2], "resolution": 28, "num_res_blocks": 1,
    }  # fmt: skip
    config = hf.ChameleonConfig(
        vocab_size=160, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=256, vq_config=coder, vocabulary_map=words,
    )  # fmt: skip
    return config, {"pixel_values": torch.randn(*PICTURE)}


@family("causal, latent queries of the image connector in the sequence")
def kosmos2() -> Described:
    """Kosmos-2: image positions are marked by a mask, not by an id."""
    decoder = {
        "vocab_size": 160, "embed_dim": WIDTH, "layers": 4, "ffn_dim": 64, "attention_heads": 4,
        "max_position_embeddings": 128,
    }  # fmt: skip
    config = hf.Kosmos2Config(text_config=decoder, vision_config=vision(), latent_query_num=4)
    inputs = _seen(4)
    mask = (inputs["input_ids"] == IMAGE).long()
    return config, inputs | {"image_embeds_position_mask": mask}


@family("causal, hybrid: short convolutions and attention")
def lfm2_vl() -> Described:
    """LFM2-VL: short convolutions between attention layers."""
    config = hf.Lfm2VlConfig(
        text_config=text(hf.Lfm2Config, layer_types=["conv", "full_attention"] * 2).to_dict(),
        vision_config={"model_type": "siglip2_vision_model", "num_patches": 16}
        | {k: v for k, v in vision().items() if k != "image_size"},
        image_token_id=IMAGE,
        downsample_factor=2,
        projector_hidden_size=WIDTH,
    )
    inputs = {
        "input_ids": prompt(4),
        "pixel_values": torch.randn(1, 16, 147),
        "spatial_shapes": torch.tensor([[4, 4]]),
        "pixel_attention_mask": torch.ones(1, 16).long(),
    }
    return config, inputs


@family("causal, mixture of experts")
def aria() -> Described:
    """Aria: mixture of experts in every block."""
    return hf.AriaConfig(
        text_config=own_text(hf.AriaConfig, moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1),
        vision_config={"model_type": "idefics3_vision"} | vision(),
        image_token_index=IMAGE,
        projector_patch_to_query_dict={16: 4},
    ), _seen(4)


@family("causal, mixture of experts, chunked attention")
def llama4() -> Described:
    """Llama 4: mixture of experts in every other block, chunked attention."""
    config = hf.Llama4Config(
        text_config=own_text(
            hf.Llama4Config,
            num_local_experts=2,
            num_experts_per_tok=1,
            intermediate_size_mlp=64,
            interleave_moe_layer_step=2,
            attention_chunk_size=64,
        ),
        vision_config=vision(
            intermediate_size=128, vision_output_dim=32, projector_input_dim=32, projector_output_dim=32,
            pixel_shuffle_ratio=0.5,
        ),
        image_token_index=IMAGE,
        boi_token_index=IMAGE + 1,
        eoi_token_index=IMAGE + 2,
    )  # fmt: skip
    return config, {"pixel_values": torch.randn(*PICTURE)}


@family("causal, mixture of experts, latent attention")
def kimi_k25() -> Described:
    """Kimi K2.5: DeepSeek-V3 decoder with latent attention."""
    decoder = hf.DeepseekV3Config(
        vocab_size=160, hidden_size=WIDTH, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, n_shared_experts=1, n_routed_experts=4, kv_lora_rank=8,
        q_lora_rank=8, qk_rope_head_dim=8, v_head_dim=8, qk_nope_head_dim=8, n_group=1, topk_group=1,
        num_experts_per_tok=2, first_k_dense_replace=1, eos_token_id=2,
    )  # fmt: skip
    tower = {k: v for k, v in vision(patch_size=14, pos_emb_height=4, pos_emb_width=4).items() if k != "image_size"}
    config = hf.Kimi_K25Config(
        text_config=decoder.to_dict(), vision_config=tower, image_token_id=IMAGE, video_token_id=IMAGE + 1,
        vision_start_token_id=IMAGE + 2, vision_end_token_id=IMAGE + 3, projection_hidden_size=WIDTH,
    )  # fmt: skip
    inputs = {"pixel_values": torch.randn(16, 3, 14, 14), "image_grid_thw": torch.tensor([[1, 4, 4]])}
    return config, inputs
