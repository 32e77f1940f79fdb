"""Random models with a processor: small ones for the CPU, and full-size configurations in bfloat16 for a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

import mllm_probe as mp
from mllm_probe.concepts import Picture
from mllm_probe.models import ProbeModel

SPECIAL = ("<pad>", "<bos>", "<unk>", "<image>", "<video>", "<vision_start>", "<vision_end>")
NO_END = None


@dataclass(frozen=True)
class Place:
    """Device and dtype of a model."""

    device: str
    dtype: torch.dtype


FULL_SIZE = Place("cuda", torch.bfloat16)


@dataclass(frozen=True)
class Subject:
    """A model with pictures and a prompt of a known length.

    Attributes
    ----------
    name : str
    model : ProbeModel
    pictures : list of Picture
        Noise, with labels that are words of the tokenizer.
    prompt : str
    tokens : int
        Length of the prompt with its image tokens.
    """

    name: str
    model: ProbeModel
    pictures: list[Picture]
    prompt: str
    tokens: int

    def tensors(self, picture: int = 0) -> dict[str, torch.Tensor]:
        """Inputs of ``hf.forward`` for one image and the prompt."""
        return dict(self.model.encode([self.pictures[picture]], self.prompt).tensors)

    def wrapped_again(self) -> Subject:
        """The same with a model that nothing is remembered of: no path has been chosen yet."""
        fresh = mp.wrap(self.model.hf, self.model.processor, name=self.name)
        return Subject(self.name, fresh, self.pictures, self.prompt, self.tokens)


def words_tokenizer(size: int, picture: str, before: int) -> PreTrainedTokenizerFast:
    """A tokenizer with ``size`` entries: special ones, then words w0, w1, …; no token ends an answer.

    Its chat template puts ``before`` tokens in front of the picture.
    """
    entries = [*SPECIAL, *(f"w{i}" for i in range(size - len(SPECIAL)))]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(entries)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<bos>",
        unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>",
            "video_token": "<video>",
            "vision_bos_token": "<vision_start>",
            "vision_eos_token": "<vision_end>",
        },
        padding_side="left",
    )
    first = " ".join(f"w{i}" for i in range(before - 1))
    tokenizer.chat_template = (
        "{{ bos_token }} " + first + " {% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        f"{picture} "
        "{% endif %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    return tokenizer


def noise(seed: int, side: int) -> Picture:
    """A square picture of noise that truly shows two words."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Picture(Image.fromarray(pixels), labels=frozenset({"w20", "w21"}))


def llava(
    tokens: int,
    *,
    width: int = 512,
    layers: int = 16,
    vocabulary: int = 2000,
    dtype: torch.dtype = torch.float32,
    pictures: int = 1,
    picture_first: bool = False,
) -> Subject:
    """A random Llava on the CPU whose prompt has ``tokens`` tokens, nearly all of them of the picture.

    With ``picture_first`` only the beginning of the sequence stands before the picture.
    """
    side = math.isqrt(int(0.96 * tokens))
    heads = max(width // 64, 2)
    vision = CLIPVisionConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4, image_size=7 * side,
        patch_size=7,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=11 * width // 4, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=2048, pad_token_id=0,
        bos_token_id=1, eos_token_id=NO_END, tie_word_embeddings=False,
    )  # fmt: skip
    name = f"random Llava, width {width}, {layers} blocks"
    return _llava_subject(name, vision, text, tokens, Place("cpu", dtype), pictures, picture_first)


def qwen(
    tokens: int,
    *,
    width: int = 512,
    layers: int = 16,
    vocabulary: int = 2000,
    dtype: torch.dtype = torch.float32,
    pictures: int = 1,
    picture_first: bool = False,
) -> Subject:
    """A random Qwen2.5-VL on the CPU: the same code as at full size, with the sizes of :func:`llava`."""
    heads = max(width // 64, 2)
    half = width // heads // 2
    text = {
        "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": 11 * width // 4,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads // 2,
        "rope_parameters": _mrope(half // 4, 3 * half // 8),
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": width,
        "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    name = f"random Qwen2.5-VL, width {width}, {layers} blocks"
    return _qwen_subject(name, vision, text, tokens, Place("cpu", dtype), pictures, picture_first)


def llava_7b(tokens: int, *, pictures: int = 1, picture_first: bool = False) -> Subject:
    """Llava-1.5-7B's configuration with random weights, bfloat16 on CUDA; the picture alone takes 576 tokens."""
    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14, projection_dim=768,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=32, max_position_embeddings=4096, rms_norm_eps=1e-5, pad_token_id=0, bos_token_id=1,
        eos_token_id=NO_END, tie_word_embeddings=False,
    )  # fmt: skip
    return _llava_subject("random Llava-1.5-7B", vision, text, max(tokens, 600), FULL_SIZE, pictures, picture_first)


def qwen_7b(tokens: int, *, pictures: int = 1, picture_first: bool = False) -> Subject:
    """Qwen2.5-VL-7B's configuration with random weights, bfloat16 on CUDA."""
    text = {
        "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000,
        "rope_parameters": _mrope(16, 24),
    }  # fmt: skip
    vision = {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
        "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
    }  # fmt: skip
    return _qwen_subject("random Qwen2.5-VL-7B", vision, text, tokens, FULL_SIZE, pictures, picture_first)


def _mrope(time: int, side: int) -> dict[str, Any]:
    """Rotary positions whose frequencies are divided between time, height and width."""
    return {"rope_type": "default", "mrope_section": [time, side, side], "rope_theta": 1e6}


def _qwen_subject(
    name: str,
    vision: dict[str, Any],
    text: dict[str, Any],
    tokens: int,
    place: Place,
    pictures: int,
    picture_first: bool,
) -> Subject:
    text |= {
        "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": NO_END,
    }  # fmt: skip
    vision |= {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    ids = {f"{name}_token_id": SPECIAL.index(f"<{name}>") for name in ("image", "video", "vision_start", "vision_end")}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)
    hf = _random(lambda: Qwen2_5_VLForConditionalGeneration(config), text["hidden_size"], place)
    side = 28 * math.isqrt(int(0.96 * tokens))
    of_picture = (side // 28) ** 2 + 2
    before = 1 if picture_first else (tokens - of_picture) // 2
    tokenizer = words_tokenizer(text["vocab_size"], "<vision_start> <image> <vision_end>", before)
    size = {"shortest_edge": side * side, "longest_edge": side * side}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(size=size), tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(), chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return _subject(name, hf, processor, tokens, tokens - of_picture - before, side, pictures)


def _llava_subject(
    name: str,
    vision: CLIPVisionConfig,
    text: LlamaConfig,
    tokens: int,
    place: Place,
    pictures: int,
    picture_first: bool,
) -> Subject:
    image, of_picture = SPECIAL.index("<image>"), (vision.image_size // vision.patch_size) ** 2
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=image, image_seq_length=of_picture,
        tie_word_embeddings=False,
    )  # fmt: skip
    hf = _random(lambda: LlavaForConditionalGeneration(config), text.hidden_size, place)
    before = 1 if picture_first else (tokens - of_picture) // 2
    tokenizer = words_tokenizer(text.vocab_size, "<image>", before)
    side = {"height": vision.image_size, "width": vision.image_size}
    processor = LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3),
        tokenizer=tokenizer,
        patch_size=vision.patch_size,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        chat_template=tokenizer.chat_template,
    )
    return _subject(name, hf, processor, tokens, tokens - of_picture - before, vision.image_size, pictures)


def _random(build: Callable[[], Any], width: int, place: Place) -> Any:
    """Random weights with which answers vary with small edits: with the usual 0.02 all answers would be alike."""
    torch.manual_seed(0)
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(place.dtype)
    try:
        with torch.device(place.device):
            hf = build()
    finally:
        torch.set_default_dtype(dtype)
    for parameter in hf.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.04 * math.sqrt(512 / width))
    hf.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=NO_END)
    return hf


def _subject(name: str, hf: Any, processor: Any, tokens: int, words: int, pixels: int, pictures: int) -> Subject:
    model = mp.wrap(hf, processor, name=name)
    prompt = " ".join(f"w{30 + i}" for i in range(words))
    subject = Subject(name, model, [noise(seed, pixels) for seed in range(pictures)], prompt, tokens)
    count = subject.tensors()["input_ids"].shape[1]
    if count != tokens:
        raise RuntimeError(f"the prompt of {name} should have {tokens} tokens and has {count}.")
    return subject
