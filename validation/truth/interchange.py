"""Interchange interventions on a Llava's decoder, differentiable, block by block: for training and as a reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from training.scenes.architecture import ASSISTANT, BOS, USER, tokenizer
from training.scenes.tower import features

PROMPT = "What is the style?"
GROUPS = ("image", "last_prompt")


def pixels_to_input(model: LlavaForConditionalGeneration, images: Tensor) -> Tensor:
    """Input of block 0 [n, tokens, width] for pictures as bytes [n, 64, 64, 3] and the prompt."""
    embed = model.get_input_embeddings()
    image = model.model.multi_modal_projector(features(model, images))
    words = torch.tensor([USER, *tokenizer()(PROMPT, add_special_tokens=False)["input_ids"], ASSISTANT])
    first, last = (embed(ids).expand(len(images), -1, -1) for ids in (torch.tensor([BOS]), words))
    return torch.cat([first, image, last], 1)


def positions(hidden: Tensor, group: str, words: int = 6) -> slice:
    """Positions of a group of tokens: begin-of-sequence, the image's, six of the prompt."""
    return slice(1, hidden.shape[1] - words) if group == "image" else slice(hidden.shape[1] - 1, None)


def through_blocks(model: LlavaForConditionalGeneration, hidden: Tensor, first: int = 0) -> Iterator[Tensor]:
    """Output of every block from ``first`` on, for its input [n, tokens, width]."""
    decoder = model.model.language_model
    places = torch.arange(hidden.shape[1])[None]
    rotary = decoder.rotary_emb(hidden, places)
    for block in decoder.layers[first:]:
        hidden = block(hidden, attention_mask=None, position_ids=places, position_embeddings=rotary)
        yield hidden


def answer(model: LlavaForConditionalGeneration, hidden: Tensor) -> Tensor:
    """Logits of the answer's first token [n, words] from the last block's output."""
    return model.lm_head(model.model.language_model.norm(hidden[:, -1]))


def interchanged(
    model: LlavaForConditionalGeneration, streams: Sequence[Tensor], layer: int, group: str, source: Tensor
) -> Tensor:
    """Logits when a group of tokens takes, after a block, what it is in other rows.

    Parameters
    ----------
    model : LlavaForConditionalGeneration
    streams : sequence of Tensor [n, tokens, width]
        Input of block 0, then the output of every block.
    layer : int
        Block after which the rows are interchanged, -1 for the input of block 0.
    group : {"image", "last_prompt"}
    source : Tensor of int [n]
        The row that each row takes the group from.
    """
    hidden = streams[layer + 1]
    chosen = positions(hidden, group)
    patched = torch.cat([hidden[:, : chosen.start], hidden[source, chosen]], 1)
    if chosen.stop is not None:
        patched = torch.cat([patched, hidden[:, chosen.stop :]], 1)
    for after in through_blocks(model, patched, layer + 1):
        patched = after
    return answer(model, patched)


def carries(layer: int, group: str, block: int) -> bool:
    """Whether the group holds the concept after a block, if ``block`` is the one that reads the image."""
    return layer < block if group == "image" else layer >= block
