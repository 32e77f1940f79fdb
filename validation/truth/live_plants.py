"""Models with planted causes in a decoder that lives: RMSNorm, sharp random attention, random SwiGLU MLPs.

`mllm_probe.studies.truth.plant` leaves norms and MLPs out, so that effects have closed forms. Here only the block of
each cause is known: what random heads and MLPs write is orthogonal to every direction that a planted part reads.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.loading.loaded_model import Model
from mllm_probe.loading.pretrained import wrap
from mllm_probe.studies.truth import (
    IMAGE_TOKENS,
    NOTHING,
    PROMPT,
    PROMPT_TOKENS,
    planted_llava,
    planted_pairs,
    processor,
)

KINDS = ("mlp", "late", "spread", "decoy", "idle")
LAYERS, WIDTH, HEADS, INNER, DISTRACTORS, PAIRS = 8, 96, 4, 192, 6, 24
SHARES = (0.2, 0.3, 0.5)
"""Of the blocks that move ``spread``, the first one first."""
GAP, CALM = 3.0, 2.0
"""Mean difference of a word's logit within pairs, and mean logit of ``nothing``: all heads are scaled to these."""
GROUND = 3.0
"""Length of what all image tokens have in common, so that a norm depends little on what an image shows."""
INERT = 0.6
"""How much of ``decoy`` block 0 moves to a direction that nothing reads, beside what its own block moves."""
# Random writes so large that mean differences grow to lengths of 1 to 4, of which only 1 has an effect.
_SHARP, _HEAD_WRITES, _MLP_WRITES = 3.0, 0.22, 0.18
_OPEN = 6.0
"""Gate of the MLP that turns one direction into another, at text tokens."""


@dataclass(frozen=True)
class LivePlants:
    """A model, its concepts, and the last block that reads each from the image (−2: none does)."""

    model: Model
    library: ConceptLibrary
    read_by: Mapping[str, int]

    def caused(self, concept: str, layer: int) -> bool:
        """Whether an edit of the image tokens after a block can reach the concept's word."""
        return layer < self.read_by[concept]


class _Axes:
    """Orthonormal directions of the residual stream."""

    def __init__(self, rng: np.random.Generator) -> None:
        contents = len(KINDS) + DISTRACTORS
        basis = iter(np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].T)
        self.signals = np.array([next(basis) for _ in range(contents)])
        self.read = {name: next(basis) for name in KINDS}
        self.between, self.inert, self.ground = next(basis), next(basis), next(basis)
        self.turn, self.end = next(basis), next(basis)
        self.rest = np.array([next(basis) for _ in range(32)])
        self.free = np.array(list(basis))

    @property
    def writable(self) -> np.ndarray:
        """Projection [width, width] onto what no planted part and no word reads."""
        kept = np.concatenate([self.rest, self.free, self.ground[None], self.inert[None]])
        projection: np.ndarray = kept.T @ kept
        return projection


def live_plants(seed: int) -> LivePlants:
    """Build the model of a seed, which also draws the blocks.

    ``mlp``: a head of one block moves it from the image, an MLP of a later block turns it into what its word reads.
    ``late``: one block moves it. ``spread``: three blocks move .2, .3 and .5 of it. ``decoy``: one block moves it, and
    block 0 to a direction that nothing reads. ``idle``: nothing moves it; its word follows a distractor.
    """
    rng = np.random.default_rng([seed, LAYERS])
    axes = _Axes(rng)
    blocks = {name: int(rng.integers(*ends)) for name, ends in (("mlp", (1, 5)), ("late", (4, 8)), ("decoy", (2, 8)))}
    turning = int(rng.integers(blocks["mlp"] + 1, LAYERS))
    spread = sorted(map(int, rng.choice(LAYERS, 3, replace=False)))
    places = {name: number for number, name in enumerate(KINDS)}
    moves = [(blocks["mlp"], places["mlp"], axes.between, 1.0)]
    moves += [(blocks[name], places[name], axes.read[name], 1.0) for name in ("late", "decoy")]
    moves += [
        (block, places["spread"], axes.read["spread"], share) for block, share in zip(spread, SHARES, strict=True)
    ]
    moves += [(0, places["decoy"], axes.inert, INERT), (0, len(KINDS), axes.read["idle"], 1.0)]
    hf = _decoder(axes, rng)
    with torch.no_grad():
        _plant(hf, axes, moves, turning)
    names, contents = list(KINDS), len(axes.signals)
    library = ConceptLibrary(
        (planted_pairs(name, names, contents, 4.0, PAIRS, seed) for name in names), source="planted truth"
    )
    _scale_heads(hf, axes, library)
    read_by = {**blocks, "spread": spread[-1], "idle": -2}
    return LivePlants(_wrapped(hf, axes, f"live-plants-{seed}"), library, read_by)


def _wrapped(hf: LlavaForConditionalGeneration, axes: _Axes, name: str) -> Model:
    facts = {"default_prompt": PROMPT, "suggestions": (PROMPT,)}
    return wrap(hf, processor(KINDS, len(axes.signals)), name=name, facts=facts)


def _decoder(axes: _Axes, rng: np.random.Generator) -> LlavaForConditionalGeneration:
    """Tower, projector and words of a planted Llava around a random decoder whose first head is left empty."""
    heads = {name: axes.read[name] for name in KINDS}
    planted = planted_llava(1, axes.signals, (), heads, axes.turn, axes.end, axes.rest, confidence=1.0)
    config = copy.deepcopy(planted.config)
    text = config.text_config
    text.num_hidden_layers, text.num_attention_heads, text.num_key_value_heads = LAYERS, HEADS, HEADS
    text.head_dim, text.intermediate_size, text.rms_norm_eps = WIDTH // HEADS, INNER, 1e-5
    hf = LlavaForConditionalGeneration(config).eval().float()
    decoder = ("model.language_model.layers.", "model.language_model.norm.")
    around = {name: values for name, values in planted.state_dict().items() if not name.startswith(decoder)}
    hf.load_state_dict(around, strict=False)
    size, writable = WIDTH // HEADS, torch.from_numpy(axes.writable).float()

    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape)).float() / WIDTH**0.5

    with torch.no_grad():
        hf.model.multi_modal_projector.linear_2.bias.copy_(GROUND * torch.from_numpy(axes.ground))
        for block in hf.model.language_model.layers:
            attention, mlp = block.self_attn, block.mlp
            # Scores are products of two such sums over `size` dimensions, divided by √size.
            attention.q_proj.weight.copy_(_SHARP**0.5 * normal(WIDTH, WIDTH))
            attention.k_proj.weight.copy_(_SHARP**0.5 * normal(WIDTH, WIDTH))
            attention.v_proj.weight.copy_(normal(WIDTH, WIDTH))
            attention.o_proj.weight.copy_(_HEAD_WRITES * writable @ normal(WIDTH, WIDTH))
            # Queries of 0: the first head's attention is uniform over all earlier tokens.
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
                projection.weight[:size] = 0
            attention.o_proj.weight[:, :size] = 0
            mlp.gate_proj.weight.copy_(2 * normal(INNER, WIDTH))
            mlp.up_proj.weight.copy_(normal(INNER, WIDTH))
            mlp.down_proj.weight.copy_(_MLP_WRITES * writable @ normal(WIDTH, INNER))
            for norm in (block.input_layernorm, block.post_attention_layernorm):
                norm.weight.fill_(1.0)
        hf.model.language_model.norm.weight.fill_(1.0)
    return hf


def _plant(
    hf: LlavaForConditionalGeneration, axes: _Axes, moves: Sequence[tuple[int, int, np.ndarray, float]], turning: int
) -> None:
    """Write the moves of the first heads, and the MLP that turns ``between`` into what the word of ``mlp`` reads."""
    layers = hf.model.language_model.layers
    signals = torch.from_numpy(axes.signals).float()
    for block in layers:
        block.self_attn.v_proj.weight[: len(signals)] = signals
    for block, signal, to, gain in moves:
        # Uniform attention takes the mean over the whole prompt, not over the image alone.
        written = gain * PROMPT_TOKENS / IMAGE_TOKENS * torch.from_numpy(to).float()
        layers[block].self_attn.o_proj.weight[:, signal] += written
    mlp = layers[turning].mlp
    mlp.gate_proj.weight[0] = _OPEN * torch.from_numpy(axes.turn).float()
    mlp.up_proj.weight[0] = torch.from_numpy(axes.between).float()
    mlp.down_proj.weight[:, 0] = torch.from_numpy(axes.read["mlp"]).float()


def _scale_heads(hf: LlavaForConditionalGeneration, axes: _Axes, library: ConceptLibrary) -> None:
    """Scale each word's row of the head by what the last block has of it."""
    model = _wrapped(hf, axes, "unscaled")

    def read(pictures: Sequence[object]) -> np.ndarray:
        """Last prompt tokens [image, width] after the last norm."""
        last = mp.capture(model, list(pictures), layers=[-1], tokens="last_prompt")
        hidden = np.asarray(last["activation"].values, np.float64).reshape(len(pictures), WIDTH)
        normed: np.ndarray = hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + 1e-5)
        return normed

    tokenizer = processor(KINDS, len(axes.signals)).tokenizer
    with torch.no_grad():
        for name, concept in library.items():
            gap = float(((read(concept.positive) - read(concept.negative)) @ axes.read[name]).mean())
            word = tokenizer.convert_tokens_to_ids(name)
            # Nothing reads an idle concept: its word is scaled by the distractor that it follows.
            hf.lm_head.weight[word] *= 1.0 if name == "idle" else GAP / gap
        calm = float((read(library["late"].negative) @ axes.turn).mean())
        for word, share in ((tokenizer.convert_tokens_to_ids(NOTHING), 1.0), (tokenizer.eos_token_id, 8.0)):
            hf.lm_head.weight[word] *= share * CALM / calm / float(hf.lm_head.weight[word].norm())
