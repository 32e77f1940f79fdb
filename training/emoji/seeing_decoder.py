"""The emoji model as it is trained: eyes in float32, and a frozen decoder with adapters in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mllm_probe.loading.assembling import (
    AFTER_IMAGE,
    ANSWER,
    END,
    IMAGE_TOKENS,
    PROJECTOR,
    TOWER,
    USER,
    Assembly,
    tokenizer,
)
from training.emoji.low_rank_adapters import adapter_weights, add_adapters
from training.emoji.vision import Eyes
from training.scenes.question_packing import Pack, Turn
from training.scenes.tower import pixel_values

_WEIGHTS = {"see": 1.5, "describe": 1.5, "style": 1.5, "where": 1.5, "relation": 1.5}


@dataclass(frozen=True)
class ChatTokens:
    """Token ids of the chat template's pieces, and the tokenizer."""

    words: PreTrainedTokenizerFast

    @cached_property
    def encode(self) -> Callable[[str], list[int]]:
        """Function from text to token ids that remembers what it has seen."""
        seen: dict[str, list[int]] = {}

        def encode(text: str) -> list[int]:
            if text not in seen:
                if len(seen) > 100_000:
                    seen.clear()
                seen[text] = self.words(text, add_special_tokens=False)["input_ids"]
            return seen[text]

        return encode

    @cached_property
    def end(self) -> int:
        """Id that ends an answer."""
        return int(self.words.convert_tokens_to_ids(END))

    @cached_property
    def turn(self) -> Turn:
        """What is around the questions about one image."""
        prefix = len(self.encode(USER)) + IMAGE_TOKENS + len(self.encode(AFTER_IMAGE))
        return Turn(prefix, (), self.encode(ANSWER), self.end, _WEIGHTS, 0.5)

    def chat(self, text: str) -> list[int]:
        """Ids of a prompt without an image."""
        return [*self.encode(USER), *self.encode(text), *self.encode(ANSWER)]

    def about_image(self, text: str) -> list[int]:
        """Ids of a prompt about an image; ``IMAGE_TOKENS`` places for the image are marked by -1."""
        image = [-1] * IMAGE_TOKENS
        return [*self.encode(USER), *image, *self.encode(AFTER_IMAGE), *self.encode(text), *self.encode(ANSWER)]


@dataclass
class SeeingDecoder:
    """The parts that are trained, and the decoder that they are trained for.

    `decoder`: with adapters.
    """

    eyes: Eyes
    decoder: LlamaForCausalLM
    tokens: ChatTokens
    assembly: Assembly

    @property
    def device(self) -> torch.device:
        """Device of the decoder."""
        return self.decoder.model.embed_tokens.weight.device

    def look(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the tower's output [n, 16, width] and the image tokens [n, 16, hidden], bfloat16, of uint8 images."""
        seen, tokens = self.eyes(pixel_values(torch.from_numpy(images).to(self.device)))
        return seen, tokens.to(torch.bfloat16)

    def packed_logits(self, image: Tensor, packed: Pack, chosen: Tensor) -> Tensor:
        """Return the next-token logits at the chosen places of packed questions.

        `image`: image tokens [n, 16, hidden]. `packed`: questions about each image. `chosen`: where to predict, bool
        [n, room]. Returns: float32 [chosen, vocabulary].
        """
        embed = self.decoder.model.embed_tokens
        rows = len(image)
        before, after = (
            embed(torch.tensor(self.tokens.encode(text), device=self.device)).expand(rows, -1, -1)
            for text in (USER, AFTER_IMAGE)
        )
        inputs = torch.cat([before, image, after, embed(packed.ids.to(self.device))], 1)
        mask = packed.mask.to(self.device)
        added = torch.zeros(mask.shape, dtype=inputs.dtype, device=self.device)
        hidden = self.decoder.model(
            inputs_embeds=inputs,
            attention_mask=added.masked_fill_(~mask, torch.finfo(inputs.dtype).min),
            position_ids=packed.positions.to(self.device),
            use_cache=False,
        ).last_hidden_state[:, self.tokens.turn.prefix :]
        return self.decoder.lm_head(hidden[chosen.to(self.device)]).float()

    def row_logits(self, image: Tensor, rows: Sequence[Sequence[int]], chosen: Sequence[range]) -> Tensor:
        """Return the next-token logits at the chosen places of rows of their own.

        `image`: image tokens [images, 16, hidden] of the rows that have places for an image, in their order. `rows`:
        token ids; -1 is a place for an image token. `chosen`: positions of each row to predict the next token from.
        Returns: float32 [all chosen places, vocabulary], row after row.
        """
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[self.tokens.end] * (longest - len(row))] for row in rows], device=self.device)
        inputs = self.decoder.model.embed_tokens(ids.clamp(min=0))
        places = (ids == -1)[..., None].expand_as(inputs)
        inputs = inputs.masked_scatter(places, image.to(inputs.dtype))
        # Rows end in padding, which no causal position before it sees: they need no mask.
        hidden = self.decoder.model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        picked = torch.cat([hidden[row, places.start : places.stop] for row, places in enumerate(chosen)])
        return self.decoder.lm_head(picked).float()

    def parts(self) -> dict[str, Tensor]:
        """Return what is shipped, by its names in ``parts.safetensors``."""
        groups = self.eyes.weights()
        named = {TOWER + name: tensor for name, tensor in groups["tower"].items()}
        named |= {PROJECTOR + name: tensor for name, tensor in groups["projector"].items()}
        return named | adapter_weights(self.decoder)


def seeing_decoder(folder: Path, assembly: Assembly, device: torch.device) -> SeeingDecoder:
    """Return an untrained model on a cached decoder.

    `folder`: of the decoder. `device`: torch.device.
    """
    decoder = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True).eval()
    if device.type == "cpu":
        decoder.set_attn_implementation("eager")  # its gradients cost less there than those of the fused kernel
    add_adapters(decoder, assembly)
    eyes = Eyes(decoder.config.hidden_size)
    return SeeingDecoder(eyes.to(device), decoder.to(device), ChatTokens(tokenizer(folder)), assembly)
