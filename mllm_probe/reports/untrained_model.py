"""A model that was never trained, for studies of what chance alone shows: a tiny random Qwen2.5-VL."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from mllm_probe.loading.pretrained import wrap
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


def text_configuration(layers: int, width: int) -> dict[str, object]:
    """Configuration of a small decoder with the words above."""
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


def untrained_qwen(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Qwen2.5-VL (M-RoPE: position ids with three axes); the number of image tokens depends on the picture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = text_configuration(layers, width) | {
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
    return with_processor(hf, processor, "tiny-qwen")


def with_processor(hf: PreTrainedModel, processor: object, name: str) -> ProbeModel:
    """Wrap a model that speaks the words above."""
    hf.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    facts = {"suggestions": ("What do you see?", "Describe the picture."), "default_prompt": "What do you see?"}
    return wrap(hf, processor, name=name, facts=facts)
