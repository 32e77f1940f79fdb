"""Families with projected image features in the sequence and causal attention throughout."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

from mllm_probe.apps.zoo.common import IMAGE, WIDTH, Built, family, own_text, pixels, pixtral, prompt, text, vision

KIND = "causal, image tokens in the sequence"
PICTURE = (1, 3, 28, 28)


def _clip() -> Any:
    return hf.CLIPVisionConfig(**vision(num_hidden_layers=3, projection_dim=WIDTH))


def _siglip() -> Any:
    return hf.SiglipVisionConfig(**vision(num_hidden_layers=3))


def _seen(tokens: int) -> dict[str, torch.Tensor]:
    return {"input_ids": prompt(tokens), "pixel_values": pixels(*PICTURE)}


@family(KIND)
def llava() -> Built:
    """LLaVA 1.5: CLIP tower, Llama decoder."""
    config = hf.LlavaConfig(vision_config=_clip(), text_config=text(), image_token_index=IMAGE)
    return hf.LlavaForConditionalGeneration(config), _seen(16)


@family(KIND)
def llava_pixtral() -> Built:
    """Pixtral 12B: the LLaVA class with a Pixtral tower and a Mistral decoder."""
    config = hf.LlavaConfig(
        vision_config=pixtral(),
        text_config=text(hf.MistralConfig),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return hf.LlavaForConditionalGeneration(config), _seen(16) | {"image_sizes": torch.tensor([[28, 28]])}


@family(KIND)
def llava_next() -> Built:
    """LLaVA-NeXT: a picture as tiles, with a learned line end after each row."""
    config = hf.LlavaNextConfig(
        vision_config=_clip(),
        text_config=text(),
        image_token_index=IMAGE,
        image_grid_pinpoints=[[28, 56]],
        vision_feature_select_strategy="default",
    )
    inputs = {"pixel_values": pixels(1, 3, 3, 28, 28), "image_sizes": torch.tensor([[28, 56]])}
    return hf.LlavaNextForConditionalGeneration(config), inputs


@family(KIND)
def llava_onevision() -> Built:
    """LLaVA-OneVision: SigLIP tiles, Qwen2 decoder."""
    config = hf.LlavaOnevisionConfig(
        vision_config=_siglip(),
        text_config=text(hf.Qwen2Config),
        image_token_index=IMAGE,
        video_token_index=IMAGE + 1,
        image_grid_pinpoints=[[28, 56]],
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    inputs = {"pixel_values": pixels(1, 3, 3, 28, 28), "image_sizes": torch.tensor([[28, 56]])}
    return hf.LlavaOnevisionForConditionalGeneration(config), inputs


@family(KIND)
def vipllava() -> Built:
    """ViP-LLaVA: features from several layers of the tower."""
    config = hf.VipLlavaConfig(
        vision_config=_clip(), text_config=text(), image_token_index=IMAGE, vision_feature_layers=[0, 0, 1, 1, 0]
    )
    return hf.VipLlavaForConditionalGeneration(config), _seen(16)


@family(KIND)
def mistral3() -> Built:
    """Mistral Small 3.1: Pixtral tower with merged patches."""
    config = hf.Mistral3Config(
        vision_config=pixtral(),
        text_config=text(hf.MistralConfig),
        image_token_index=IMAGE,
        spatial_merge_size=2,
        vision_feature_layer=-1,
    )
    return hf.Mistral3ForConditionalGeneration(config), _seen(4) | {"image_sizes": torch.tensor([[28, 28]])}


@family(KIND)
def lighton_ocr() -> Built:
    """LightOnOCR: Pixtral tower, Qwen3 decoder."""
    config = hf.LightOnOcrConfig(
        text_config=text(hf.Qwen3Config).to_dict(),
        vision_config=pixtral().to_dict(),
        image_token_id=IMAGE,
        spatial_merge_size=2,
    )
    return hf.LightOnOcrForConditionalGeneration(config), _seen(4) | {"image_sizes": torch.tensor([[28, 28]])}


@family(KIND)
def internvl() -> Built:
    """InternVL 3: pixel shuffle before the projector."""
    config = hf.InternVLConfig(
        text_config=text(hf.Qwen2Config),
        vision_config=vision(image_size=[28, 28], patch_size=[7, 7]),
        image_token_id=IMAGE,
        downsample_ratio=0.5,
    )
    return hf.InternVLForConditionalGeneration(config), _seen(4)


@family(KIND)
def aya_vision() -> Built:
    """Aya Vision: SigLIP tower, Cohere2 decoder with sliding layers."""
    config = hf.AyaVisionConfig(
        text_config=text(hf.Cohere2Config, layer_types=["sliding_attention"] * 3 + ["full_attention"]),
        vision_config=_siglip(),
        image_token_index=IMAGE,
        downsample_factor=2,
        adapter_layer_norm_eps=1e-6,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        alignment_intermediate_size=64,
    )
    return hf.AyaVisionForConditionalGeneration(config), _seen(4)


@family(KIND)
def cohere2_vision() -> Built:
    """Command A Vision: SigLIP tower, Cohere2 decoder."""
    config = hf.Cohere2VisionConfig(
        text_config=text(hf.Cohere2Config, layer_types=["sliding_attention"] * 3 + ["full_attention"]),
        vision_config=_siglip(),
        image_token_id=IMAGE,
        downsample_factor=2,
        alignment_intermediate_size=64,
    )
    return hf.Cohere2VisionForConditionalGeneration(config), _seen(4)


@family(KIND)
def janus() -> Built:
    """Janus: understanding path only; its image generator is built but not used."""
    generator = {
        "embed_dim": 8, "num_embeddings": 16, "latent_channels": 8, "base_channels": 32, "channel_multiplier": [1, 1],
        "num_res_blocks": 1, "image_token_embed_dim": 32, "projection_dim": 32, "num_patches": 4,
        "num_hidden_layers": 1, "hidden_size": 32,
    }  # fmt: skip
    config = hf.JanusConfig(
        text_config=text().to_dict(),
        vision_config=vision(projection_dim=32, num_image_tokens=16, mlp_ratio=2),
        vq_config=generator,
        image_token_id=IMAGE,
    )
    return hf.JanusForConditionalGeneration(config), _seen(16)


@family(KIND)
def deepseek_vl() -> Built:
    """DeepSeek-VL: SigLIP tower, Llama decoder."""
    config = hf.DeepseekVLConfig(text_config=text().to_dict(), vision_config=_siglip().to_dict(), image_token_id=IMAGE)
    return hf.DeepseekVLForConditionalGeneration(config), _seen(16)


@family(KIND)
def ovis2() -> Built:
    """Ovis2: soft entries of a visual vocabulary."""
    config = hf.Ovis2Config(
        text_config=text(hf.Qwen2Config).to_dict(),
        vision_config=vision(vocab_size=64, hidden_stride=1, num_visual_indicator_tokens=5),
        image_token_id=IMAGE,
        visual_indicator_token_ids=[151, 152, 153, 154, 155],
        vocab_size=160,
        hidden_size=WIDTH,
    )
    return hf.Ovis2ForConditionalGeneration(config), {"pixel_values": pixels(*PICTURE)}


@family(KIND)
def got_ocr2() -> Built:
    """GOT-OCR 2: SAM-like tower, Qwen2 decoder."""
    tower = {
        "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 128, "patch_size": 8,
        "output_channels": 16, "mlp_dim": 64, "global_attn_indexes": [1], "window_size": 4,
    }  # fmt: skip
    config = hf.GotOcr2Config(text_config=text(hf.Qwen2Config).to_dict(), vision_config=tower, image_token_id=IMAGE)
    return hf.GotOcr2ForConditionalGeneration(config), {"pixel_values": pixels(1, 3, 128, 128)}


@family(KIND)
def perception_lm() -> Built:
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
    inputs = {"input_ids": prompt(4), "pixel_values": pixels(1, 1, 3, 56, 56)}
    return hf.PerceptionLMForConditionalGeneration(config), inputs


@family(KIND)
def video_llama_3() -> Built:
    """VideoLLaMA 3: patches of any resolution."""
    config = hf.VideoLlama3Config(
        text_config=text(hf.Qwen2Config).to_dict(),
        vision_config=vision(patch_size=14),
        image_token_id=IMAGE,
        video_token_id=IMAGE + 1,
    )
    inputs = {
        "input_ids": prompt(4),
        "pixel_values": pixels(16, 3 * 14 * 14),
        "image_grid_thw": torch.tensor([[1, 4, 4]]),
        "image_merge_sizes": torch.tensor([2]),
    }
    return hf.VideoLlama3ForConditionalGeneration(config), inputs


@family(KIND)
def idefics2() -> Built:
    """Idefics2: a perceiver turns the picture into few latents."""
    perceiver = {
        "hidden_size": WIDTH, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2,
        "num_key_value_heads": 1, "resampler_head_dim": 8,
    }  # fmt: skip
    config = hf.Idefics2Config(
        text_config=text(hf.MistralConfig), vision_config=vision(), perceiver_config=perceiver, image_token_id=IMAGE
    )
    return hf.Idefics2ForConditionalGeneration(config), {"input_ids": prompt(4), "pixel_values": pixels(1, *PICTURE)}


@family(KIND)
def idefics3() -> Built:
    """Idefics3: pixel shuffle, Llama decoder."""
    config = hf.Idefics3Config(text_config=text(), vision_config=vision(), scale_factor=2, image_token_id=IMAGE)
    return hf.Idefics3ForConditionalGeneration(config), {"input_ids": prompt(4), "pixel_values": pixels(1, *PICTURE)}


@family(KIND)
def smolvlm() -> Built:
    """SmolVLM."""
    config = hf.SmolVLMConfig(text_config=text(), vision_config=vision(), scale_factor=2, image_token_id=IMAGE)
    return hf.SmolVLMForConditionalGeneration(config), {"input_ids": prompt(4), "pixel_values": pixels(1, *PICTURE)}


@family("causal, query tokens of a Q-Former in the sequence")
def blip2() -> Built:
    """BLIP-2: Q-Former, OPT decoder with learned positions."""
    decoder = hf.OPTConfig(
        vocab_size=160, hidden_size=WIDTH, ffn_dim=64, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=128, word_embed_proj_dim=WIDTH,
    )  # fmt: skip
    config = hf.Blip2Config(
        vision_config=vision(),
        qformer_config=_former(),
        text_config=decoder.to_dict(),
        num_query_tokens=4,
        image_token_index=IMAGE,
    )
    return hf.Blip2ForConditionalGeneration(config), _seen(4)


@family("causal, query tokens of a Q-Former in the sequence")
def instructblip() -> Built:
    """InstructBLIP: the Q-Former reads the instruction too."""
    config = hf.InstructBlipConfig(
        vision_config=vision(),
        qformer_config=_former() | {"vocab_size": 160},
        text_config=text().to_dict(),
        num_query_tokens=4,
        image_token_index=IMAGE,
    )
    inputs = _seen(4) | {"qformer_input_ids": torch.randint(5, 100, (1, 4))}
    return hf.InstructBlipForConditionalGeneration(config), inputs


def _former() -> dict[str, int]:
    return {
        "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "encoder_hidden_size": WIDTH,
    }  # fmt: skip


@family("causal, patches of the picture enter without a tower")
def fuyu() -> Built:
    """Fuyu: linear patches straight into a Persimmon decoder."""
    sizes = {
        "vocab_size": 160, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 4,
        "num_attention_heads": 4,
    }  # fmt: skip
    config = hf.FuyuConfig(
        **sizes,
        max_position_embeddings=128,
        image_size=28,
        patch_size=7,
        image_token_id=IMAGE,
        text_config=hf.PersimmonConfig(**sizes).to_dict(),
    )
    return hf.FuyuForCausalLM(config), {"input_ids": prompt(4), "image_patches": pixels(1, 4, 147)}


@family("causal, pictures become discrete tokens")
def chameleon() -> Built:
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
    return hf.ChameleonForConditionalGeneration(config), {"pixel_values": pixels(*PICTURE)}


@family("causal, latent queries of the image connector in the sequence")
def kosmos2() -> Built:
    """Kosmos-2: image positions are marked by a mask, not by an id."""
    decoder = {
        "vocab_size": 160, "embed_dim": WIDTH, "layers": 4, "ffn_dim": 64, "attention_heads": 4,
        "max_position_embeddings": 128,
    }  # fmt: skip
    config = hf.Kosmos2Config(text_config=decoder, vision_config=vision(), latent_query_num=4)
    inputs = _seen(4)
    mask = (inputs["input_ids"] == IMAGE).long()
    return hf.Kosmos2ForConditionalGeneration(config), inputs | {"image_embeds_position_mask": mask}


@family("causal, hybrid: short convolutions and attention")
def lfm2_vl() -> Built:
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
        "pixel_values": pixels(1, 16, 147),
        "spatial_shapes": torch.tensor([[4, 4]]),
        "pixel_attention_mask": torch.ones(1, 16).long(),
    }
    return hf.Lfm2VlForConditionalGeneration(config), inputs


@family("causal, mixture of experts")
def aria() -> Built:
    """Aria: mixture of experts in every block."""
    config = hf.AriaConfig(
        text_config=own_text(hf.AriaConfig, moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1),
        vision_config={"model_type": "idefics3_vision"} | vision(),
        image_token_index=IMAGE,
        projector_patch_to_query_dict={16: 4},
    )
    return hf.AriaForConditionalGeneration(config), _seen(4)


@family("causal, mixture of experts, chunked attention")
def llama4() -> Built:
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
    return hf.Llama4ForConditionalGeneration(config), {"pixel_values": pixels(*PICTURE)}


@family("causal, mixture of experts, latent attention")
def kimi_k25() -> Built:
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
    inputs = {"pixel_values": pixels(16, 3, 14, 14), "image_grid_thw": torch.tensor([[1, 4, 4]])}
    return hf.Kimi_K25ForConditionalGeneration(config), inputs
