"""Common parts of the tiny models: sizes, a prompt with image tokens, random pixels, and the register of families."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForImageTextToText,
    LlamaConfig,
    PixtralVisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

VOCABULARY, IMAGE, WIDTH, LAYERS = 160, 150, 32, 4

Built = tuple[nn.Module, dict[str, Tensor]]
Described = tuple[PreTrainedConfig, dict[str, Tensor]]


@dataclass(frozen=True)
class Family:
    """Builder of one family's tiny model.

    `name`: as in the table that ``mllm-probe families`` prints. `kind`: how images and words meet in it. `make`:
    returns the configuration, and processed tensors of one image with a prompt; without ``input_ids`` the prompt gets
    as many image tokens as the image has features.
    """

    name: str
    kind: str
    make: Callable[[], Described]


FAMILIES: dict[str, Family] = {}


def family(kind: str) -> Callable[[Callable[[], Described]], Callable[[], Described]]:
    """Register the decorated builder under its own name."""

    def register(make: Callable[[], Described]) -> Callable[[], Described]:
        FAMILIES[make.__name__] = Family(make.__name__, kind, make)
        return make

    return register


def build(one: Family, seed: int = 0) -> Built:
    """Build a tiny model in float32 on the CPU with inputs for one sample; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config, inputs = one.make()
        torch.manual_seed(seed)  # the weights do not depend on the size of the inputs
        hf = AutoModelForImageTextToText.from_config(config).eval().float()
        enliven(hf)
        if "input_ids" not in inputs:
            inputs = {"input_ids": prompt(count_image_tokens(hf, inputs))} | inputs
    return hf, {"attention_mask": torch.ones_like(inputs["input_ids"])} | inputs


def enliven(hf: nn.Module) -> None:
    """Spread weights out that are initialised so small that a random model would hardly depend on its input."""
    for parameter in hf.parameters():
        if parameter.dim() > 1 and parameter.std() < 0.05:
            nn.init.normal_(parameter, std=0.15)


@torch.no_grad()
def count_image_tokens(hf: PreTrainedModel, pixels: Mapping[str, Tensor]) -> int:
    """Number of image tokens of an image, measured on the model's features."""
    features = hf.get_image_features(**pixels)
    for name in ("pooler_output", "last_hidden_state"):
        features = getattr(features, name, None) if getattr(features, name, None) is not None else features
    parts = features if isinstance(features, (list, tuple)) else [features]
    return sum(math.prod(part.shape[:-1]) for part in parts)


def text(config: type | None = None, **changes: Any) -> PreTrainedConfig:
    """A small text configuration of class ``config`` (Llama's by default)."""
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 8,
    }
    return (config or LlamaConfig)(**sizes | changes)


def own_text(config: type, **changes: Any) -> dict[str, Any]:
    """A small text configuration of the class that a composite configuration names for its text part."""
    return text(config.sub_configs["text_config"], **changes).to_dict()  # type: ignore[attr-defined]


def vision(**changes: Any) -> dict[str, Any]:
    """Sizes of a small vision transformer: 28 × 28 pixels in 16 patches."""
    sizes = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 7,
    }
    return sizes | changes


def pixtral() -> PreTrainedConfig:
    """Vision configuration of the Pixtral kind."""
    return PixtralVisionConfig(**vision(head_dim=8))


def prompt(image_tokens: int, before: int = 3, after: int = 6, token: int = IMAGE) -> Tensor:
    """Ids [1, tokens]: some words, the image tokens, more words."""
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(5, 100, (1, before + after), generator=generator)
    return torch.cat([words[:, :before], torch.full((1, image_tokens), token), words[:, before:]], 1)


def of_image(ids: Tensor, token: int = IMAGE) -> Tensor:
    """Token types: 1 at image tokens, 0 elsewhere."""
    return (ids == token).long()
