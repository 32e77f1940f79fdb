"""Tiny random models with a real processor and a word-level tokenizer, for tests that go from picture to text."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from mllm_probe.apps.zoo.common import enliven
from mllm_probe.models import ProbeModel

SPECIAL = (
    "<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<user>", "<assistant>", "<video>", "<vision_start>", "<vision_end>",
)  # fmt: skip
WORDS = """
    a an the of in on and with to or is are it there this that not no yes what how which where do you see describe
    image picture drawing photo scene show shows word words left right above below inside larger than
    cat dog bird fish tree house star moon circle square red green blue yellow happy sad calm angry
    sketch painting pixel cartoon order chaos symmetry one two three many , . ? !
""".split()  # noqa: SIM905
VOCABULARY = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}PICTURE{% endif %}"
    "{% endfor %}<{{ m['role'] }}>{% for c in m['content'] %}{% if c['type'] == 'text' %} {{ c['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} <assistant>{% endif %}"
)


def word_tokenizer(picture: str) -> PreTrainedTokenizerFast:
    """A word-level tokenizer without case; ``picture`` is the text of the chat template for an image."""
    words = Tokenizer(models.WordLevel(dict(VOCABULARY), unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>",
            "video_token": "<video>",
            "user_token": "<user>",
            "assistant_token": "<assistant>",
            "vision_bos_token": "<vision_start>",
            "vision_eos_token": "<vision_end>",
            "boi_token": "<vision_start>",
            "eoi_token": "<vision_end>",
        },
        padding_side="left",
    )
    tokenizer.chat_template = TEMPLATE.replace("PICTURE", picture)
    return tokenizer


def _text(layers: int, width: int) -> dict[str, object]:
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def tiny_llava(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Llava with 16 image tokens per picture (4 × 4), float32, on the CPU.

    Parameters
    ----------
    layers : int
        Decoder blocks.
    width : int
        Of the residual stream; a multiple of 8.
    seed : int
        Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vision = SiglipVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32,
            patch_size=8, vision_use_head=False,
        )  # fmt: skip
        config = LlavaConfig(
            vision_config=vision,
            text_config=LlamaConfig(**_text(layers, width)),
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
    return _model(hf, processor, "tiny-llava")


def tiny_qwen(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Qwen2.5-VL (M-RoPE: position ids with three axes); the number of image tokens depends on the picture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = _text(layers, width) | {
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4},
        }
        config = Qwen2_5_VLConfig(
            text_config=text,
            vision_config={
                "depth": 2, "hidden_size": 32, "out_hidden_size": width, "num_heads": 4, "intermediate_size": 64,
                "fullatt_block_indexes": [1], "patch_size": 14, "initializer_range": 0.2,
            },
            image_token_id=VOCABULARY["<image>"],
            video_token_id=VOCABULARY["<video>"],
            vision_start_token_id=VOCABULARY["<vision_start>"],
            vision_end_token_id=VOCABULARY["<vision_end>"],
            tie_word_embeddings=False,
        )  # fmt: skip
        hf = Qwen2_5_VLForConditionalGeneration(config)
    tokenizer = word_tokenizer("<vision_start><image><vision_end>")
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=tokenizer.chat_template,
    )
    return _model(hf, processor, "tiny-qwen")


def tiny_gemma(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Gemma 3 with 16 image tokens per picture, which see each other in both directions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kinds = ["sliding_attention", "full_attention"]
        text = _text(layers, width) | {
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
    return _model(hf, processor, "tiny-gemma")


def _model(hf: PreTrainedModel, processor: object, name: str) -> ProbeModel:
    from mllm_probe.loading.pretrained import wrap

    hf.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    facts = {"suggestions": ("What do you see?", "Describe the picture."), "default_prompt": "What do you see?"}
    return wrap(hf, processor, name=name, facts=facts)
