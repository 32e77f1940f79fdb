"""A Llava whose weights are set by hand: which block moves what from the image tokens to which direction is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import hadamard
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

PROMPT, NOTHING = "What do you see?", "nothing"
PATCHES = 4
"""Patches along each side of an image."""
IMAGE_TOKENS = PATCHES**2
PROMPT_TOKENS = 1 + IMAGE_TOKENS + 5
"""Tokens of ``PROMPT`` with an image: begin-of-sequence, image tokens, four words and the question mark."""

_SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<image>")
_PAD, _BOS, _EOS, _, _IMAGE = range(5)
_PROMPT_WORDS = ("what", "do", "you", "see", "is", "there", "in", "the", "image", "describe", "a", ".", ",", "?")
_COLOURS = 3
_PATCH_SIDES = (4, 8)
_MIDDLE, _HALF_RANGE = 128, 127.5
_MOST_CONTRAST, _MOST_LEVEL = 112, 32

# RMSNorm is h · weight / √(mean(h²) + ε). With these powers of two the sum is ε itself in float32 up to mean(h²) = 64,
# and weight / √ε is exactly 1, so that the norm changes nothing and the stream needs no large constant component.
_EPSILON, _NORM_WEIGHT = 2.0**30, 2.0**15


@dataclass(frozen=True)
class Move:
    """What one block does with one signal: every token gets the mean of the signal over its past along a direction.

    `signal`: number of the signal that is read. `to` (ndarray [width]): unit vector that is written. `gain`: the last
    prompt token gets ``gain`` times the signal's mean over the image tokens.
    """

    block: int
    signal: int
    to: np.ndarray
    gain: float


def _most_signals(patch_side: int) -> int:
    return (patch_side**2 - 1) * _COLOURS


MOST_SIGNALS = _most_signals(_PATCH_SIDES[-1])


def patch_side(signals: int) -> int:
    """Pixels along each side of a patch: 4 up to 45 signals, 8 up to 189."""
    return next(side for side in _PATCH_SIDES if signals <= _most_signals(side))


def image_side(signals: int) -> int:
    """Pixels along each side of an image."""
    return PATCHES * patch_side(signals)


def patterns(signals: int) -> np.ndarray:
    """Orthogonal patterns of a patch, one for each signal, that leave its mean colour alone.

    Returns ndarray of float64 [signals, side, side, 3]: in -1, 0 and 1; of the pixels of `patch_side`.
    """
    side = patch_side(signals)
    spatial = hadamard(side**2)[1:].reshape(-1, side, side)
    result = np.zeros((signals, side, side, _COLOURS))
    for number in range(signals):
        result[number, :, :, number % _COLOURS] = spatial[number // _COLOURS]
    return result


def level(signals: int) -> int:
    """8-bit levels by which a signal of 1 changes a pixel, so that all signals together stay in range."""
    return min(_MOST_LEVEL, _MOST_CONTRAST // -(-signals // _COLOURS))


def image(strengths: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
    """An image that brings signals of given strengths.

    `strengths`: ndarray of float [signals]. `noise` (ndarray of float [side, side, 3] or float): added to the pixels,
    in 8-bit levels. Returns ndarray of uint8 [side, side, 3]: of the pixels of `image_side`.
    """
    patch = level(len(strengths)) * np.tensordot(strengths, patterns(len(strengths)), 1)
    pixels = _MIDDLE + np.tile(patch, (PATCHES, PATCHES, 1)) + noise
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@torch.no_grad()
def planted_llava(
    layers: int,
    signals: np.ndarray,
    moves: Iterable[Move],
    heads: Mapping[str, np.ndarray],
    turn: np.ndarray,
    end: np.ndarray,
    embeddings: np.ndarray,
    *,
    confidence: float,
) -> LlavaForConditionalGeneration:
    """Build the model, in float32 on the CPU.

    Attention is uniform over all tokens up to and including a token's own (queries and keys are 0) and MLPs are 0, so
    that the stream is a linear function of the signals. Each signal is a pattern of the patches' pixels.

    `layers`: decoder blocks.
    `signals` (ndarray [signals, width]): directions, of any angles, along which the signals arrive at the image tokens.
    `heads` (mapping of str to ndarray [width]): answer words and the direction that each one's logit is read from.
    `turn`, `end` (ndarray [width]): unit vectors, orthogonal to all others: part of the embeddings of the prompt's
        words and of the answers'. The first is answered with ``nothing``, the second with the end of the answer.
    `embeddings` (ndarray [rest, width]): orthonormal vectors, orthogonal to all others, for what else the embeddings
        hold.
    `confidence`: logit of ``nothing``; the end of the answer has eight times as much.
    """
    width = signals.shape[1]
    hf = LlavaForConditionalGeneration(_config(layers, width, len(signals), len(_words(heads)))).eval().float()
    for parameter in hf.parameters():
        parameter.zero_()
    vision, language = hf.model.vision_tower, hf.model.language_model
    pixels = torch.from_numpy(patterns(len(signals))).permute(0, 3, 1, 2)
    scale = _HALF_RANGE / level(len(signals)) / patch_side(len(signals)) ** 2
    tower = getattr(vision, "vision_model", vision)
    tower.embeddings.patch_embedding.weight.copy_(pixels * scale)
    projector = hf.model.multi_modal_projector
    projector.linear_1.weight[: len(signals)] = torch.eye(len(signals))
    projector.linear_2.weight[:, : len(signals)] = _float(signals).T
    # Dual directions: each reader finds its own signal with weight 1 and no other, whatever angle they have.
    readers = np.linalg.pinv(signals).T
    for norm in (*(m for b in language.layers for m in (b.input_layernorm, b.post_attention_layernorm)), language.norm):
        norm.weight.fill_(_NORM_WEIGHT)
    for block in language.layers:
        block.self_attn.v_proj.weight[: len(signals)] = _float(readers)
    for move in moves:
        # Uniform attention takes the mean over the whole prompt, not over the image alone.
        written = move.gain * PROMPT_TOKENS / IMAGE_TOKENS * _float(move.to)
        language.layers[move.block].self_attn.o_proj.weight[:, move.signal] += written
    _set_words(hf, heads, turn, end, embeddings, confidence)
    return hf


def processor(answers: Iterable[str], signals: int) -> LlavaProcessor:
    """Processor of the model: a word-level tokenizer without case, and images of `image_side` pixels from -1 to 1."""
    words = {word: number for number, word in enumerate(_words(answers))}
    fast = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    fast.normalizer = normalizers.Lowercase()
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", _BOS)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )
    side = {"height": image_side(signals), "width": image_side(signals)}
    pixels = SiglipImageProcessorPil(size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return LlavaProcessor(
        image_processor=pixels,
        tokenizer=tokenizer,
        patch_size=patch_side(signals),
        vision_feature_select_strategy="full",
    )


def _words(answers: Iterable[str]) -> tuple[str, ...]:
    return (*_SPECIAL, *_PROMPT_WORDS, NOTHING, *answers)


def _config(layers: int, width: int, signals: int, words: int) -> LlavaConfig:
    vision = SiglipVisionConfig(
        hidden_size=signals, intermediate_size=1, num_hidden_layers=1, num_attention_heads=1,
        image_size=image_side(signals), patch_size=patch_side(signals), vision_use_head=False,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=words, hidden_size=width, intermediate_size=2, num_hidden_layers=layers, num_attention_heads=1,
        num_key_value_heads=1, head_dim=signals + signals % 2, max_position_embeddings=512, rms_norm_eps=_EPSILON,
        tie_word_embeddings=False, pad_token_id=_PAD, bos_token_id=_BOS, eos_token_id=_EOS,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=_IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=IMAGE_TOKENS,
        projector_hidden_act="linear",
        tie_word_embeddings=False,
    )


def _set_words(
    hf: LlavaForConditionalGeneration,
    heads: Mapping[str, np.ndarray],
    turn: np.ndarray,
    end: np.ndarray,
    embeddings: np.ndarray,
    confidence: float,
) -> None:
    """Set embeddings and head: the strongest concept's word is the whole answer, and ``nothing`` without one."""
    words: Sequence[str] = _words(heads)
    parts = np.random.default_rng(len(words)).standard_normal((len(words), len(embeddings))) / len(embeddings) ** 0.5
    table = parts @ embeddings
    first = words.index(NOTHING)
    table[len(_SPECIAL) : first] += turn
    table[first:] += end
    hf.model.language_model.embed_tokens.weight.copy_(_float(table))
    for word, direction in heads.items():
        hf.lm_head.weight[words.index(word)] = _float(direction)
    hf.lm_head.weight[first] = confidence * _float(turn)
    hf.lm_head.weight[_EOS] = 8 * confidence * _float(end)
    hf.generation_config.update(pad_token_id=_PAD, bos_token_id=_BOS, eos_token_id=_EOS)


def _float(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()
