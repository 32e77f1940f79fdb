"""Families in which the decoder blocks read the picture by cross-attention."""

from __future__ import annotations

import torch
import transformers as hf

from tests.zoo.common import IMAGE, VOCABULARY, WIDTH, Described, family, own_text, prompt


@family("cross-attention blocks among the decoder blocks")
def mllama() -> Described:
    """Llama 3.2 Vision."""
    config = hf.MllamaConfig(
        text_config=own_text(
            hf.MllamaConfig,
            cross_attention_layers=[1, 3],
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        ),
        vision_config={
            "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_global_layers": 1,
            "attention_heads": 4, "image_size": 28, "patch_size": 7, "vision_output_dim": 64,
            "intermediate_layers_indices": [1], "max_num_tiles": 1, "supported_aspect_ratios": [[1, 1]],
        },
        image_token_index=IMAGE,
    )  # fmt: skip
    ids = prompt(1)
    inputs = {
        "input_ids": ids,
        "pixel_values": torch.randn(1, 1, 1, 3, 28, 28),
        "aspect_ratio_ids": torch.ones(1, 1).long(),
        "aspect_ratio_mask": torch.ones(1, 1, 1).long(),
        "cross_attention_mask": torch.ones(1, ids.shape[1], 1, 1).long(),
    }
    return config, inputs


@family("cross-attention blocks between the decoder blocks")
def idefics() -> Described:
    """IDEFICS 1: a Flamingo-like model."""
    tower = {
        "embed_dim": WIDTH, "image_size": 28, "patch_size": 7, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }  # fmt: skip
    config = hf.IdeficsConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        cross_layer_interval=2, alpha_initializer="ones", vision_config=tower, use_resampler=False,
    )  # fmt: skip
    ids = prompt(1)
    inputs = {
        "input_ids": ids,
        "pixel_values": torch.randn(1, 1, 3, 28, 28),
        "image_attention_mask": torch.ones(1, ids.shape[1], 1).long(),
    }
    return config, inputs


@family("encoder and decoder; the decoder reads picture and prompt by cross-attention")
def florence2() -> Described:
    """Florence-2: the decoder starts from one token."""
    decoder = hf.BartConfig(
        vocab_size=VOCABULARY, d_model=WIDTH, encoder_layers=4, decoder_layers=4, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=128,
    )  # fmt: skip
    tower = {
        "embed_dim": [8] * 4, "depths": [1] * 4, "num_heads": [2] * 4, "num_groups": [2] * 4, "projection_dim": WIDTH,
        "window_size": 4,
    }  # fmt: skip
    return hf.Florence2Config(text_config=decoder.to_dict(), vision_config=tower, image_token_id=IMAGE), {
        "pixel_values": torch.randn(1, 3, 64, 64)
    }
