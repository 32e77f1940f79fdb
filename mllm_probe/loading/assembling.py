"""A vision-language model put together from a cached decoder and the parts that were trained for it.

The parts lie in a model's folder: ``assembly.json`` says what they are, ``parts.safetensors`` holds the vision tower,
the projector and the low-rank adapters of the decoder, which are merged into its weights when the model is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import AddedToken
from torch import Tensor
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from mllm_probe.loading.decoder_cache import cached_decoder, known_decoder
from mllm_probe.loading.efficientnet_lite import EfficientNetLiteConfig
from mllm_probe.models.bundled import ASSEMBLY
from mllm_probe.models.prompts import image_processor
from mllm_probe.typing import JsonObject

PARTS = "parts.safetensors"
IMAGE_SIDE, GRID = 128, 4
"""Side of the pictures in pixels, and image tokens in a row."""
IMAGE_TOKENS = GRID**2
DECODER, TOWER, PROJECTOR = "model.language_model.", "model.vision_tower.", "model.multi_modal_projector."
DOWN, UP = ".down", ".up"
"""Endings of the two matrices of an adapter, after the name of the weight's module."""
USER, AFTER_IMAGE, ANSWER = "<|im_start|>user\n", "\n", "<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>"
_IMAGE = "<image>"
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] if c['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Assembly:
    """Parts that a model is put together from.

    `decoder`: name of a cached decoder.
    `rank`: of the adapters.
    `scale`: of their product, which is added to the decoder's weights.
    `adapted`: modules of each block's attention that have an adapter.
    """

    decoder: str = "smollm2-135m-instruct"
    rank: int = 8
    scale: float = 2.0
    adapted: tuple[str, ...] = ("q_proj", "v_proj")


def vision_config() -> EfficientNetLiteConfig:
    """Configuration of the vision tower."""
    return EfficientNetLiteConfig(image_size=IMAGE_SIDE, grid=GRID)


def tokenizer(decoder: Path) -> PreTrainedTokenizerFast:
    """Tokenizer of a cached decoder, with one token more, for images."""
    words = AutoTokenizer.from_pretrained(decoder, local_files_only=True)
    words.add_tokens([AddedToken(_IMAGE, special=True, normalized=False)])
    words.image_token, words.image_token_id = _IMAGE, words.convert_tokens_to_ids(_IMAGE)
    words.padding_side, words.pad_token = "left", END
    words.chat_template = _CHAT
    return words


def processor(words: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Processor of an assembled model with this tokenizer."""
    return LlavaProcessor(
        image_processor=image_processor(IMAGE_SIDE),
        tokenizer=words,
        patch_size=IMAGE_SIDE // GRID,
        vision_feature_select_strategy="full",
        image_token=_IMAGE,
        num_additional_image_tokens=0,
        chat_template=_CHAT,
    )


def configuration(decoder: Path, words: PreTrainedTokenizerFast) -> LlavaConfig:
    """Configuration of an assembled model: the decoder's own, with one more entry of its vocabulary."""
    text = LlamaConfig.from_pretrained(decoder, local_files_only=True)
    text.vocab_size = len(words)
    return LlavaConfig(
        vision_config=vision_config(),
        text_config=text,
        image_token_id=words.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=IMAGE_TOKENS,
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
    )


def decoder_weights(decoder: Path, entries: int) -> dict[str, Tensor]:
    """Weights of a cached decoder by their names in an assembled model, bfloat16 on the CPU.

    `decoder`: its folder. `entries`: of the vocabulary. The embedding of those that the decoder lacks is the mean of
    the others, so that an image token is never the likeliest word.
    """
    with safe_open(decoder / "model.safetensors", "pt") as file:
        weights = {DECODER + name.removeprefix("model."): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = f"{DECODER}embed_tokens.weight"
    matrix = weights[name]
    mean = matrix.float().mean(0, keepdim=True).to(matrix.dtype)
    weights[name] = torch.cat([matrix, mean.expand(entries - len(matrix), -1)])
    return weights


def build(
    decoder: Path, parts: Mapping[str, Tensor], scale: float, dtype: torch.dtype | str, **placing: Any
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor, JsonObject]:
    """Assembled model, its processor, and which weights are missing or left over, as Transformers reports it.

    `decoder`: folder of the cached decoder.
    `parts`: vision tower, projector and adapters, by their names in ``parts.safetensors``.
    `scale`: of the adapters.
    `dtype`: bfloat16 if ``"auto"``.
    `**placing`: ``device_map=`` of Transformers.
    """
    kind = dtype if isinstance(dtype, torch.dtype) else torch.bfloat16
    words = tokenizer(decoder)
    config = configuration(decoder, words)
    merged = merge(decoder_weights(decoder, len(words)), parts, scale, kind)
    hf, info = LlavaForConditionalGeneration.from_pretrained(
        None,
        config=config,
        state_dict=merged,
        dtype=kind,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **placing,
    )
    hf.generation_config.bos_token_id = words.convert_tokens_to_ids("<|im_start|>")
    hf.generation_config.eos_token_id = hf.generation_config.pad_token_id = words.convert_tokens_to_ids(END)
    return hf, processor(words), info


def merge(
    decoder: Mapping[str, Tensor], parts: Mapping[str, Tensor], scale: float, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Weights of decoder and parts together, with the adapters in the decoder's weights.

    `decoder`: of ``decoder_weights``. `parts`: of ``parts.safetensors``. An adapter of the weight ``W [out, in]`` is
    ``down [rank, in]`` and ``up [out, rank]``; ``W`` becomes ``W + scale · up · down`` (Hu et al. 2021, LoRA), summed
    up in float32. `dtype`: of the weights that an adapter changes. Raises ValueError if an adapter belongs to no weight
    of the decoder, or does not fit it.
    """
    merged = dict(decoder)
    for name, tensor in parts.items():
        if name.endswith(DOWN):
            weight, up = f"{name.removesuffix(DOWN)}.weight", parts.get(name.removesuffix(DOWN) + UP)
            if weight not in decoder or up is None or (len(up), tensor.shape[1]) != tuple(decoder[weight].shape):
                raise ValueError(
                    f"{PARTS}: expected the adapter {name.removesuffix(DOWN)} to fit a weight of the decoder; got "
                    f"{list(tensor.shape)} without a weight and a second matrix that fit it. Get the model again."
                )
            merged[weight] = (decoder[weight].float() + scale * up.float() @ tensor.float()).to(dtype)
        elif not name.endswith(UP):
            merged[name] = tensor
    return merged


def write_parts(folder: Path, parts: Mapping[str, Tensor], assembly: Assembly) -> None:
    """Write ``assembly.json`` and ``parts.safetensors``, in bfloat16, into a folder that exists."""
    from safetensors.torch import save_file

    small = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in parts.items()}
    save_file(small, folder / PARTS)
    (folder / PARTS).chmod(0o644)
    (folder / ASSEMBLY).write_text(json.dumps(asdict(assembly), indent=1) + "\n", encoding="utf-8")


def read_assembly(folder: Path) -> Assembly:
    """Read ``assembly.json``; ValueError where it is none that this version can put together."""
    path = folder / ASSEMBLY
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        read = Assembly(**{**content, "adapted": tuple(content["adapted"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} does not say what the model is put together from ({error}).") from error
    known_decoder(str(folder), read.decoder)
    return read


def read_parts(folder: Path) -> dict[str, Tensor]:
    """Read ``parts.safetensors``; ValueError where it is no whole safetensors file."""
    path = folder / PARTS
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as safetensors ({error}): get the file again.") from error


def assemble(
    folder: Path, dtype: torch.dtype | str, **placing: Any
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor, JsonObject, str]:
    """Model, processor, loading report, and where the weights are from, of a folder with parts.

    `folder`: with ``assembly.json`` and ``parts.safetensors``. `dtype`: bfloat16 if ``"auto"``. `**placing`:
    ``device_map=`` of Transformers. Raises FileNotFoundError if the decoder is not in the user's cache, with the
    command that brings it. Raises ValueError if a file is not what it should be.
    """
    assembly = read_assembly(folder)
    decoder = cached_decoder(folder.name, assembly.decoder)
    hf, processor, info = build(decoder, read_parts(folder), assembly.scale, dtype, **placing)
    title = known_decoder(folder.name, assembly.decoder).title
    return hf, processor, info, f"{title}; with a vision tower, a projector and adapters that were trained here"
