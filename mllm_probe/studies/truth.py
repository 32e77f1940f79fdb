"""Planted truth: models whose causal effects are known in closed form, to test a method of localization on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from PIL import Image
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

from mllm_probe import schema
from mllm_probe.concepts import Concept, ConceptLibrary, Picture
from mllm_probe.loading.loaded_model import Model
from mllm_probe.loading.pretrained import wrap
from mllm_probe.models.argument_checks import described, finite_number, listed, whole_number
from mllm_probe.vectors.construction import vectors_from

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
    """Effect of one block on one signal: every token gets the signal's mean over its past along a direction.

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


KINDS = ("local", "distributed", "null", "decoy")

_CATEGORY = "planted"
_SCOPES = ("image", "last_prompt")
_MOST_SUPERPOSITION = 0.95
_LEAST_EMBEDDINGS, _MORE_EMBEDDINGS = 4, 28


@dataclass(frozen=True)
class PlantedTruth:
    """A model with its concepts, and what is true of them.

    Attributes
    ----------
    model : Model
        A ``LlavaForConditionalGeneration`` with a processor, float32, on the CPU; ``model.hf`` saves and loads as any
        other.
    library : ConceptLibrary
        One concept per kind, in counterfactual pairs of images.
    truth : Dataset (concept, scope, layer), float64
        The closed forms; along ``layer``, -1 is the input of block 0. ``direction`` (…, hidden), float32: at ``image``,
        in which the concept arrives with strength 1; at ``last_prompt``, what blocks have moved there of it by then.
        ``effect``: change of the logit of the concept's word when one ``direction`` is added to all tokens of the scope
        after the block; an interchange of the scope's tokens recovers ``effect / gain``. ``read_out`` (concept, layer),
        from block 0: the share of the effect that the block moves. ``present`` (bool): whether the stream at the scope
        tells images with the concept from others. ``effective_layers`` (concept): of ``read_out``; NaN without effect.
    """

    model: Model
    library: ConceptLibrary
    truth: xr.Dataset

    def vectors(self, scope: str = "image") -> xr.Dataset:
        """The true directions at a scope, as vectors for ``Steering`` and ``sweep`` in unit ``raw``.

        Parameters
        ----------
        scope : {"image", "last_prompt"}

        Returns
        -------
        Dataset
            As from :func:`mllm_probe.vectors_from`, with every concept's word; residual norms measured on the library.
            Of ``image`` at the input of block 0 too; of ``last_prompt`` zero where nothing has arrived yet.

        Raises
        ------
        ValueError
            If the scope is another.
        """
        if scope not in _SCOPES:
            raise ValueError(f"scope: expected one of {', '.join(_SCOPES)}; got {described(scope)}.")
        # At the input of block 0 the last prompt token is its own embedding: no image has reached it.
        first = 0 if scope == "image" else 1
        directions = self.truth["direction"].sel({schema.SCOPE: scope}).isel({schema.LAYER: slice(first, None)})
        names = list(self.library)
        return vectors_from(
            self.model,
            {name: directions.sel({schema.CONCEPT: name}).values for name in names},
            self.library.pictures,
            scope=scope,
            layers=schema.layer_names(directions[schema.LAYER].values),
            words={name: self.library[name].words for name in names},
            category=_CATEGORY,
        )


def plant(
    layers: int = 8,
    block: int = 5,
    *,
    gain: float = 4.0,
    width: int = 64,
    kinds: str | Sequence[str] = KINDS,
    superposition: float = 0.0,
    distractors: int = 2,
    pixel_noise: float = 4.0,
    pairs: int = 24,
    seed: int = 0,
) -> PlantedTruth:
    """Build, without training, a Llava in which it is known which block moves which concept to the last prompt token.

    Parameters
    ----------
    layers : int
        Decoder blocks.
    block : int
        The block that moves the concepts of one block, 0 … layers - 1.
    gain : float
        Logit of a concept's word that one unit of the concept in the image brings.
    width : int
        Of the residual stream, even.
    kinds : str or sequence of str
        Concepts to plant. ``local``: ``block`` moves it. ``distributed``: each block moves an equal share. ``null``:
        ``block`` moves it to a direction that nothing reads, so that a probe finds it and it has no effect; its word is
        answered because of a distractor. ``decoy``: block 0 moves it to a direction that nothing reads, ``block`` to
        the one that is read, so that a probe finds it everywhere and its cause is one block.
    superposition : float
        Cosine between any two of the directions in which concepts and distractors arrive, 0 … 0.95; each is read by its
        dual direction, which no other one moves.
    distractors : int
        Other contents that the images bring, equal in both images of a pair; block 0 moves them all to directions that
        no concept but ``null`` is read from. Up to 189 together with the concepts; the more, the more dimensions
        activations have. Images have 16 × 16 pixels up to 45 contents, else 32 × 32.
    pixel_noise : float
        Standard deviation of the noise on each image's pixels, in 8-bit levels, 0 … 32. It differs within a pair:
        without any, nothing at the last prompt token tells the images of a pair apart below the block that moves their
        concept, and a mean difference there has length 0.
    pairs : int
        Pairs of images of each concept.
    seed : int
        Of directions and images.

    Returns
    -------
    PlantedTruth

    Raises
    ------
    ValueError
        For a number out of range, an unknown kind, or a width with too few dimensions for so many directions.

    Notes
    -----
    ``truth.effect`` is exact for the metric ``logit``, doses in unit ``raw`` with :meth:`PlantedTruth.vectors` (or in
    ``vector`` with a mean difference, up to its noise), prompts as long as the default one and the first position of
    the answer: attention is uniform over the prompt, so that another length changes every gain. It does not hold for
    ``logprob``, which the softmax compresses, nor in unit ``residual``: a mean difference holds, beside the part that
    is read, what blocks have written on the image tokens themselves, and most of it is inert.

    Examples
    --------
    >>> planted = mp.studies.truth.plant(layers=8, block=5)
    >>> grid = mp.sweep(planted.model, planted.vectors(), planted.library["local"].negative, strengths=(1,),
    ...                 tokens="image", unit="raw", metrics=("logit",))
    >>> planted.truth.effect.sel(concept="local", scope="image")  # 4 up to block 4, 0 from block 5 on
    """
    layers = _whole_in("layers", layers, 1, 512)
    block = _whole_in("block", block, 0, layers - 1)
    gain = _number_in("gain", gain, 0.01, 1000)
    noise = _number_in("pixel_noise", pixel_noise, 0, 32)
    cosine = _number_in("superposition", superposition, 0, _MOST_SUPERPOSITION)
    names = _checked_kinds(kinds)
    contents = len(names) + _whole_in("distractors", distractors, 1, MOST_SIGNALS - len(names))
    seed, pairs = whole_number("seed", seed), _whole_in("pairs", pairs, 2, 10_000)
    axes = _Axes(_whole_in("width", width, 2, 4096), names, contents, cosine, seed)
    moves = _moves(names, contents, layers, block, gain, axes)
    heads = {name: axes.read[name] for name in names}
    hf = planted_llava(layers, axes.signals, moves, heads, axes.turn, axes.end, axes.rest, confidence=gain / 2)
    facts = {"default_prompt": PROMPT, "suggestions": (PROMPT,)}
    model = wrap(hf, processor(names, contents), name=f"planted-{layers}l", facts=facts)
    concepts = (planted_pairs(name, names, contents, noise, pairs, seed) for name in names)
    settings = {"gain": gain, "block": block, "superposition": cosine, "pixel_noise": noise, "seed": seed}
    return PlantedTruth(
        model, ConceptLibrary(concepts, source="planted truth"), _truth(model, names, moves, axes, settings)
    )


class _Axes:
    """Directions of the residual stream; all but the signals, which may lean on each other, are orthonormal."""

    def __init__(self, width: int, names: Sequence[str], contents: int, cosine: float, seed: int) -> None:
        hidden = [*(name for name in names if name in ("null", "decoy")), *range(len(names), contents)]
        seen = [name for name in names if name != "null"]
        needed = contents + 1 + len(hidden) + len(seen) + 2 + _LEAST_EMBEDDINGS
        if width % 2 or width < needed:
            raise ValueError(
                f"width: expected an even number of at least {needed}, for the directions of {len(names)} concepts and "
                f"{contents - len(names)} distractors; got {width}."
            )
        axes = min(width, needed + _MORE_EMBEDDINGS)
        random = np.random.default_rng([seed, width]).standard_normal((width, axes))
        basis = iter(np.linalg.qr(random)[0].T)
        shared, unique = next(basis), np.array([next(basis) for _ in range(contents)])
        self.signals = cosine**0.5 * shared + (1 - cosine) ** 0.5 * unique
        self.inert: dict[str | int, np.ndarray] = {name: next(basis) for name in hidden}
        self.read: dict[str, np.ndarray] = {name: next(basis) for name in seen}
        self.turn, self.end = next(basis), next(basis)
        self.rest = np.array(list(basis))
        if "null" in names:
            self.read["null"] = self.inert[len(names)]


def _moves(names: Sequence[str], contents: int, layers: int, block: int, gain: float, axes: _Axes) -> list[Move]:
    moves = [Move(0, number, axes.inert[number], gain) for number in range(len(names), contents)]
    for number, name in enumerate(names):
        if name == "distributed":
            moves += [Move(each, number, axes.read[name], gain / layers) for each in range(layers)]
        elif name == "null":
            moves.append(Move(block, number, axes.inert[name], gain))
        else:
            moves.append(Move(block, number, axes.read[name], gain))
        if name == "decoy":
            moves.append(Move(0, number, axes.inert[name], gain))
    return moves


def _truth(
    model: Model, names: Sequence[str], moves: Iterable[Move], axes: _Axes, settings: dict[str, Any]
) -> xr.Dataset:
    """Closed forms: an edit of the image after block l is read by the later blocks; one block's share is its gain."""
    layers = len(model.layers)
    share = np.zeros((len(names), layers))
    moved = np.zeros((len(names), layers + 1, model.hidden_size))
    present = np.zeros((len(names), layers + 1), bool)
    for move in moves:
        if move.signal < len(names):
            share[move.signal, move.block] += move.gain * (axes.read[names[move.signal]] @ move.to)
            moved[move.signal, move.block + 1 :] += move.gain * move.to
            present[move.signal, move.block + 1 :] = True
    # Directions are orthonormal up to the rounding of float64.
    share[np.abs(share) < 1e-12 * settings["gain"]] = 0.0
    last = np.concatenate([np.zeros((len(names), 1)), share.cumsum(1)], 1)
    arrives = np.broadcast_to(axes.signals[: len(names), None], moved.shape)
    dims = (schema.CONCEPT, schema.SCOPE, schema.LAYER)
    units = {"units": "logits"}
    square = (share**2).sum(1)
    with np.errstate(invalid="ignore"):
        effective = np.where(square > 0, share.sum(1) ** 2 / square, np.nan)
    whole = share.sum(1, keepdims=True)
    read_out = np.concatenate([np.full((len(names), 1), np.nan), share], 1)
    return xr.Dataset(
        {
            "direction": ((*dims, schema.HIDDEN), np.stack([arrives, moved], 1).astype(np.float32)),
            "effect": (dims, np.stack([whole - last, last], 1), units),
            "present": (dims, np.stack([np.ones_like(present), present], 1)),
            "read_out": ((schema.CONCEPT, schema.LAYER), read_out, units),
            "effective_layers": (schema.CONCEPT, effective, {"units": "layers"}),
        },
        {
            schema.CONCEPT: list(names),
            schema.SCOPE: list(_SCOPES),
            **schema.layer_coordinates(range(schema.INPUT, layers), layers),
        },
        schema.provenance(model, **settings),
    )


def planted_pairs(name: str, names: Sequence[str], contents: int, noise: float, pairs: int, seed: int) -> Concept:
    """Pairs that differ in one concept and in noise; other concepts are there in half of them, distractors vary."""
    sides: tuple[list[Picture], list[Picture]] = ([], [])
    index, pixels = names.index(name), image_side(contents)
    for number in range(pairs):
        rng = np.random.default_rng([seed, index, number])
        strengths = np.concatenate([rng.integers(0, 2, len(names)), rng.uniform(-1, 1, contents - len(names))])
        for side, strength in zip(sides, (1.0, 0.0), strict=True):
            strengths[index] = strength
            drawn = image(strengths, noise * rng.standard_normal((pixels, pixels, 3)))
            shown = frozenset(other for other, shown_strength in zip(names, strengths, strict=False) if shown_strength)
            side.append(Picture(Image.fromarray(drawn), labels=shown, pair=number))
    return Concept(name, _CATEGORY, (name,), *sides, paired=True)


def _whole_in(name: str, value: object, low: int, high: int) -> int:
    number = whole_number(name, value, low)
    if number > high:
        raise ValueError(f"{name}: expected {low} … {high}; got {number}.")
    return number


def _number_in(name: str, value: object, low: float, high: float) -> float:
    number = finite_number(name, value)
    if not low <= number <= high:
        raise ValueError(f"{name}: expected {low:g} … {high:g}; got {number:g}.")
    return number


def _checked_kinds(kinds: object) -> tuple[str, ...]:
    asked = [kinds] if isinstance(kinds, str) else listed(kinds)
    if not asked or len(set(map(str, asked))) != len(asked) or any(kind not in KINDS for kind in asked):
        raise ValueError(f"kinds: expected one or more different ones of {', '.join(KINDS)}; got {described(kinds)}.")
    return tuple(asked)
