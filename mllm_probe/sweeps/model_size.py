"""Numbers of a model that decide its costs, from its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, PretrainedConfig

from mllm_probe.models.argument_checks import described
from mllm_probe.models.layout import find_layout, text_config


@dataclass(frozen=True)
class ModelSize:
    """Numbers of a model that decide its costs.

    Attributes
    ----------
    name : str
    blocks, width, vocabulary : int
    block_parameters, vision_parameters, head_parameters, parameters : int
        Of all blocks, of vision tower and projector, of the head, and of the whole.
    weight_bytes : int
    cache_bytes : int
        Keys and values of one token in all blocks.
    width_of_attention : int
        Heads × their width.
    image_patches : int
        Patches that the vision tower reads of one image.
    """

    name: str
    blocks: int
    width: int
    vocabulary: int
    block_parameters: int
    vision_parameters: int
    head_parameters: int
    parameters: int
    weight_bytes: int
    cache_bytes: int
    width_of_attention: int
    image_patches: int


def size_of(
    model: str | Path | PretrainedConfig | nn.Module, dtype: torch.dtype | None = None, image_tokens: int = 0
) -> ModelSize:
    """Sizes of a model, from its configuration alone: it is built on the meta device, without weights.

    Parameters
    ----------
    model : str, Path, PretrainedConfig or PreTrainedModel
        A name on the Hub or a folder, of which ``config.json`` is read; or a configuration; or a model.
    dtype : torch.dtype, optional
        That of the configuration (or the model) by default, else bfloat16.
    image_tokens : int
        Of one image; where the configuration does not say how many patches an image has.
    """
    if isinstance(model, nn.Module):
        hf: Any = model
        dtype = dtype or hf.dtype
    else:
        config = AutoConfig.from_pretrained(str(model)) if isinstance(model, (str, Path)) else model
        if not isinstance(config, PretrainedConfig):
            raise ValueError(f"expected a configuration, a name on the Hub or a folder; got {described(model)}.")
        dtype = dtype or getattr(config, "dtype", None) or torch.bfloat16
        with torch.device("meta"):
            hf = AutoModelForImageTextToText.from_config(config)
    layout, text = find_layout(hf), text_config(hf)
    heads = getattr(text, "num_attention_heads", None) or 16
    width = int(getattr(text, "hidden_size", None) or text.d_model)
    key_heads, head_width = getattr(text, "num_key_value_heads", None) or heads, getattr(text, "head_dim", None)
    head_width = head_width or width // heads
    vision = [module for module in (layout.vision_tower, layout.projector) if module is not None]
    return ModelSize(
        name=getattr(hf.config, "_name_or_path", "") or type(hf).__name__,
        blocks=len(layout.blocks),
        width=width,
        vocabulary=text.vocab_size,
        block_parameters=_parameters(*layout.blocks),
        vision_parameters=_parameters(*vision),
        head_parameters=_parameters(layout.head),
        parameters=_parameters(hf),
        weight_bytes=_parameters(hf) * dtype.itemsize,
        cache_bytes=2 * len(layout.blocks) * key_heads * head_width * dtype.itemsize,
        width_of_attention=heads * head_width,
        image_patches=_patches(hf.config, image_tokens),
    )


def _parameters(*modules: nn.Module) -> int:
    return sum({id(p): p.numel() for module in modules for p in module.parameters()}.values())


def _patches(config: PretrainedConfig, image_tokens: int) -> int:
    """Patches of an image: of the size that the tower was made for, else those that its tokens are merged from."""
    vision = getattr(config, "vision_config", config)
    side, patch = getattr(vision, "image_size", None), getattr(vision, "patch_size", None)
    if isinstance(side, int) and isinstance(patch, int):
        return (side // patch) ** 2
    return image_tokens * (getattr(vision, "spatial_merge_size", None) or 1) ** 2
