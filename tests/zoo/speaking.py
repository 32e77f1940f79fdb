"""Tiny random models with a real processor and a word-level tokenizer, for tests that go from picture to text."""

from __future__ import annotations

import torch
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from mllm_probe.models import ProbeModel
from mllm_probe.reports.bundled_studies import VOCABULARY, text_configuration, with_processor, word_tokenizer
from tests.zoo.common import enliven


def tiny_llava(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Llava with 16 image tokens per picture (4 × 4), float32, on the CPU.

    `layers`: decoder blocks. `width`: of the residual stream; a multiple of 8. `seed`: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vision = SiglipVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32,
            patch_size=8, vision_use_head=False,
        )  # fmt: skip
        config = LlavaConfig(
            vision_config=vision,
            text_config=LlamaConfig(**text_configuration(layers, width)),
            image_token_index=VOCABULARY["<image>"],
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            image_seq_length=16,
            tie_word_embeddings=False,
        )
        hf = LlavaForConditionalGeneration(config)
    tokenizer = word_tokenizer("<image>")
    resize = SiglipImageProcessorPil(size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = LlavaProcessor(
        image_processor=resize,
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="full",
        chat_template=tokenizer.chat_template,
    )
    return with_processor(hf, processor, "tiny-llava")


def tiny_gemma(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Gemma 3 with 16 image tokens per picture, which see each other in both directions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kinds = ["sliding_attention", "full_attention"]
        text = text_configuration(layers, width) | {
            "head_dim": width // 4, "query_pre_attn_scalar": width // 4, "sliding_window": 64,
            "layer_types": [kinds[number % 2] for number in range(layers)],
        }  # fmt: skip
        config = Gemma3Config(
            text_config=text,
            vision_config={
                "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                "image_size": 32, "patch_size": 8,
            },
            mm_tokens_per_image=16,
            image_token_index=VOCABULARY["<image>"],
            boi_token_index=VOCABULARY["<vision_start>"],
            eoi_token_index=VOCABULARY["<vision_end>"],
            tie_word_embeddings=False,
        )  # fmt: skip
        hf = Gemma3ForConditionalGeneration(config)
        enliven(hf)  # its projector begins at zero
    tokenizer = word_tokenizer("<vision_start>")
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
        image_seq_length=16,
    )
    return with_processor(hf, processor, "tiny-gemma")
