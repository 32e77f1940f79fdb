"""Targets of the projector: where a language model's own input embeddings put the words for what a picture shows."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

EMBEDDINGS = "embed_tokens.weight"
"""Name of the embedding matrix in its file, or the end of its name in a whole model's."""


def read_embeddings(path: Path) -> Tensor:
    """Return a decoder's input embeddings, float32 [vocabulary, hidden], from a safetensors file.

    Raises ValueError if the file holds no embedding matrix, or several.
    """
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.endswith(EMBEDDINGS)]  # noqa: SIM118
        if len(names) != 1:
            raise ValueError(f"{path} should hold one tensor that ends in {EMBEDDINGS}, and holds {len(names)}")
        return file.get_tensor(names[0]).float()


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the decoder's tokenizer from its folder."""
    return AutoTokenizer.from_pretrained(folder)


class WordVectors(nn.Module):
    """Directions of words in the decoder's embedding space, seen from the mean of the vocabulary.

    `embeddings`: the decoder's input embeddings, float32 [vocabulary, hidden]. `words`: lists of words by the kind of
    thing that they name.
    """

    centre: Tensor
    norm: Tensor

    def __init__(self, tokenizer: PreTrainedTokenizerBase, embeddings: Tensor, words: dict[str, Sequence[str]]) -> None:
        super().__init__()
        self.kinds = tuple(words)
        centre = embeddings.mean(0)
        self.register_buffer("centre", centre, persistent=False)
        lengths = []
        for kind, members in words.items():
            # With a space in front, as a word stands within a sentence; the mean of its tokens if it has several.
            ids = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in members]
            vectors = torch.stack([embeddings[one].mean(0) for one in ids]) - centre
            self.register_buffer(f"of_{kind}", F.normalize(vectors, dim=1), persistent=False)
            lengths.append(vectors.norm(dim=1).mean())
        self.register_buffer("norm", lengths[0], persistent=False)

    def cosines(self, projected: Tensor, kind: str) -> Tensor:
        """Return the cosine of projected image tokens [..., hidden] to each word of a kind, [..., words]."""
        return F.normalize(projected - self.centre, dim=-1) @ getattr(self, f"of_{kind}").T

    def relative_norm(self, projected: Tensor) -> Tensor:
        """Return the length of projected image tokens, seen from the mean, as a multiple of the words' mean length."""
        return (projected - self.centre).norm(dim=-1) / self.norm
