"""Finding the parts of a Hugging Face image-text model: a general rule, and the families that are exceptions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from typing import Any

from torch import nn

from mllm_probe.typing import CallArguments, HfModel


@dataclass(frozen=True)
class Family:
    """Exceptions of one family (a ``config.model_type``) from the general rule.

    `caller`: path of the module whose forward runs once per generated token, where it is not the whole model.
    `prompt_type`: token type of every token of the prompt, where it does not mark the image tokens.
    `continuation_type`: token type of text that follows the prompt.
    `processor_places_images`: the processor itself puts image tokens in front of a prompt that has none.
    `image_tokens_absent`: why the sequence has no image tokens at the probed blocks, in words for a report; empty where
        it has them.
    `discrete_images`: an image becomes entries of a code book, so that another image may share some of them.
    `encoded_image`: argument of the model's forward that takes the image encoded, where it could not be decoded
        without.
    `image_each_step`: the encoded image is an argument of every step.
    `positions_from_ids`: positions count from one past the padding id, and every row is given its own.
    `image_queries`: image tokens are learned queries, each of which reads the whole image: they have no place in it.
    """

    caller: str = ""
    prompt_type: int | None = None
    continuation_type: int = 0
    processor_places_images: bool = False
    image_tokens_absent: str = ""
    discrete_images: bool = False
    encoded_image: str = ""
    image_each_step: bool = False
    positions_from_ids: bool = False
    image_queries: bool = False


_CROSS = "the image enters by cross-attention, so that no position of the sequence belongs to it"

EXCEPTIONS: dict[str, Family] = {
    "paligemma": Family(prompt_type=0, continuation_type=1),
    "blip-2": Family(caller="language_model", processor_places_images=True, image_queries=True),
    "instructblip": Family(caller="language_model", processor_places_images=True, image_queries=True),
    "instructblipvideo": Family(caller="language_model", processor_places_images=True, image_queries=True),
    "kosmos-2": Family(
        caller="text_model",
        processor_places_images=True,
        encoded_image="image_embeds",
        positions_from_ids=True,
        image_queries=True,
    ),
    "kosmos-2.5": Family(encoded_image="image_embeds", positions_from_ids=True, image_queries=True),
    "idefics2": Family(image_queries=True),
    "aria": Family(image_queries=True),
    "florence2": Family(processor_places_images=True),
    "chameleon": Family(discrete_images=True),
    "fuyu": Family(processor_places_images=True),
    "mllama": Family(image_tokens_absent=_CROSS),
    "idefics": Family(image_tokens_absent=_CROSS, encoded_image="image_encoder_embeddings", image_each_step=True),
}


def family_of(config: object) -> Family:
    """Exceptions of the family of a Hugging Face configuration; the general case when there are none."""
    return EXCEPTIONS.get(getattr(config, "model_type", ""), Family())


def why_no_image_tokens(config: object) -> str:
    """Reason why the probed sequence has no image tokens; empty where it has some."""
    if getattr(config, "is_encoder_decoder", False):
        return "image and prompt enter the encoder; the probed decoder blocks read them by cross-attention"
    return family_of(config).image_tokens_absent


_NOT_TEXT = ("vision", "visual", "image", "audio", "protein", "qformer", "perceiver")
_NOT_FINAL = ("per_layer", "embed_norm", "layernorm_embedding")
_PROJECTORS = (
    "multi_modal_projector", "connector", "aligner", "language_projection", "image_to_text_projection", "embed_vision",
    "vision_embed_tokens", "modality_projection", "multimodal_projector", "merger", "perceiver_resampler",
)  # fmt: skip
_PIXELS = ("pixel_values", "image_patches", "flattened_patches", "images")


class LayoutError(ValueError):
    """The parts of a model could not be found; the text lists what was tried and how to pass them by hand."""


@dataclass(frozen=True)
class Layout:
    """Parts of one model.

    `blocks`: decoder blocks in order; the output of block l is "layer" l.
    `backbone`: the text model that owns the blocks.
    `final_norm`: norm after the last block (BERT-style decoders have none).
    `head`: unembedding: residual stream → vocabulary.
    `image_token_id`: placeholder of image positions in ``input_ids``.
    `caller`: the module whose forward runs once per step, the whole model for nearly all families.
    `stream_index`: for blocks whose output is [streams, rows, tokens, width] (gemma3n), the stream that is read and
        edited.
    `paths`: names of the parts in ``hf.named_modules()``.
    """

    blocks: tuple[nn.Module, ...]
    backbone: nn.Module
    final_norm: nn.Module | None
    head: nn.Module
    vision_tower: nn.Module | None
    projector: nn.Module | None
    image_token_id: int | None
    caller: nn.Module
    stream_index: int | None = None
    paths: dict[str, str] = field(default_factory=dict)


def find_layout(hf: nn.Module, blocks: str | Iterable[nn.Module] | None = None) -> Layout:
    """Find the parts of ``hf``.

    `hf`: a model that takes images and text. `blocks`: the decoder blocks, or the path of their list, when the
    general rule does not find them. Raises LayoutError: naming the family, what was tried and what to do.
    """
    _require_vision(hf)
    names = {module: name for name, module in hf.named_modules()}
    decoder_blocks = _given_blocks(hf, blocks) if blocks is not None else _general_blocks(hf)
    backbone = _owner(hf, decoder_blocks, names)
    head = _head(hf)
    parts: dict[str, nn.Module | None] = {
        "backbone": backbone,
        "final_norm": _final_norm(backbone),
        "head": head,
        "vision_tower": _vision_tower(hf),
        "projector": _projector(hf),
    }
    caller = family_of(hf.config).caller
    paths = {part: names[module] for part, module in parts.items() if module is not None and module in names}
    return Layout(
        blocks=decoder_blocks,
        image_token_id=_image_token(hf),
        caller=hf.get_submodule(caller) if caller else hf,
        # Gemma 3n: block input and output are [4, rows, tokens, width] (AltUp), and one of the streams is the active
        # one.
        stream_index=getattr(text_config(hf), "altup_active_idx", None),
        paths=paths | {"blocks": _common_path([names.get(block, "") for block in decoder_blocks])},
        **parts,  # type: ignore[arg-type]
    )


def text_config(hf: HfModel) -> Any:
    """Configuration of the text decoder: layers, width, vocabulary, longest sequence."""
    return hf.config.get_text_config(decoder=True)


def configured_ids(source: object, name: str) -> list[int]:
    """Token ids that a configuration or tokenizer names, which may be one, several or none."""
    value = getattr(source, name, None)
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def accepted_inputs(hf: HfModel) -> set[str]:
    """Names of the tensors that the model's forward takes, whatever has been wrapped around it since."""
    base = hf.get_base_model() if hasattr(hf, "get_base_model") else hf
    return set(inspect.signature(type(base).forward).parameters)


def _family(hf: HfModel) -> str:
    return f"{type(hf).__name__} (family {getattr(hf.config, 'model_type', 'unknown')})"


def _require_vision(hf: HfModel) -> None:
    if accepted_inputs(hf).isdisjoint(_PIXELS):
        raise LayoutError(
            f"{_family(hf)} takes no images: its forward has none of {', '.join(_PIXELS)}. "
            "Load an image-text-to-text model, such as the bundled 'scenes-8l'."
        )


def _general_blocks(hf: HfModel) -> tuple[nn.Module, ...]:
    decoder = hf.get_decoder()
    config = (getattr(decoder, "config", None) or hf.config).get_text_config(decoder=True)
    count = getattr(config, "num_hidden_layers", None)
    lists = {n: m for n, m in decoder.named_modules() if isinstance(m, nn.ModuleList) and len(m)}
    # A vision tower, an encoder or a list of cross-attention layers may have as many modules as the decoder has blocks.
    # The last two filters apply only if a candidate is left.
    candidates = [n for n, m in lists.items() if len(m) == count and not any(word in n for word in _NOT_TEXT)]
    candidates = [n for n in candidates if "decoder" in n] or candidates
    candidates = [n for n in candidates if "cross_attn" not in n] or candidates
    if not candidates:
        seen = ", ".join(f"{n} ({len(m)})" for n, m in lists.items()) or "none"
        raise LayoutError(
            f"{_family(hf)}: no list of decoder blocks was found. Tried: the shallowest ModuleList of length {count} "
            f"(num_hidden_layers) below {type(decoder).__name__}; lists there: {seen}. "
            "Pass the blocks by hand: mp.wrap(hf_model, blocks='path.to.layers') or blocks=hf_model.path.to.layers."
        )
    return tuple(lists[min(candidates, key=lambda name: name.count("."))])


def _given_blocks(hf: HfModel, blocks: str | Iterable[nn.Module]) -> tuple[nn.Module, ...]:
    if isinstance(blocks, str):
        try:
            blocks = hf.get_submodule(blocks)
        except AttributeError as error:
            raise LayoutError(f"{_family(hf)} has no module at blocks='{blocks}' ({error}).") from error
    given: tuple[Any, ...] = tuple(blocks) if isinstance(blocks, Iterable) else ()
    inside = set(hf.modules())
    if not given or not all(isinstance(block, nn.Module) and block in inside for block in given):
        raise LayoutError(
            f"{_family(hf)}: blocks= expects decoder blocks of this very model, in order (a path, an nn.ModuleList "
            f"or a list of modules); got {type(blocks).__name__} with {len(given)} elements."
        )
    return given


def _owner(hf: nn.Module, blocks: tuple[nn.Module, ...], names: dict[nn.Module, str]) -> nn.Module:
    path = _common_path([names[block] for block in blocks])
    owner = hf.get_submodule(path) if path else hf
    while isinstance(owner, (nn.ModuleList, nn.Sequential)):
        path = path.rpartition(".")[0]
        owner = hf.get_submodule(path) if path else hf
    return owner


def _common_path(paths: list[str]) -> str:
    split = [path.split(".")[:-1] for path in paths]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*split, strict=False))
    return ".".join(parts[0] for parts in shared)


def _head(hf: HfModel) -> nn.Module:
    head = hf.get_output_embeddings()
    if head is not None:
        return head
    named = [module for name, module in hf.named_modules() if name.rpartition(".")[2] == "lm_head"]
    if len(named) != 1:
        raise LayoutError(
            f"{_family(hf)}: no head was found. Tried: get_output_embeddings() and one module named lm_head. "
            "Let the model's get_output_embeddings() return the module that turns hidden states into logits."
        )
    return named[0]


def _final_norm(backbone: nn.Module) -> nn.Module | None:
    norms = [
        module
        for name, module in backbone.named_children()
        if "norm" in type(module).__name__.lower() and not any(word in name for word in _NOT_FINAL)
    ]
    return norms[-1] if norms else None


def _vision_tower(hf: HfModel) -> nn.Module | None:
    try:
        tower = hf.get_encoder(modality="image")
    except (AttributeError, TypeError, ValueError):
        return None
    itself = tower is hf or tower is getattr(hf, "model", None)
    return tower if isinstance(tower, nn.Module) and not itself else None


def _projector(hf: nn.Module) -> nn.Module | None:
    named = [(name, module) for name, module in hf.named_modules() if name.rpartition(".")[2] in _PROJECTORS]
    return min(named, key=lambda item: item[0].count("."))[1] if named else None


def _image_token(hf: HfModel) -> int | None:
    for name in ("image_token_id", "image_token_index"):
        value = getattr(hf.config, name, None)
        if isinstance(value, int):
            return value
    return None


def forward_arguments(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    """Parameters of a module's forward by name; those of the class's own method are kept."""
    method = getattr(module.forward, "__func__", None)
    # What was put in a module's place belongs to it and must die with it.
    return inspect.signature(module.forward).parameters if method is None else _of_method(method)


@lru_cache(maxsize=256)
def _of_method(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(method).parameters


CACHE_NAMES = ("cache", "past_key_values")
"""Names of the argument, the newest first."""


def cache_argument(module: nn.Module, cache: object) -> dict[str, Any]:
    """The arguments that give a module its cache and have it filled, under the name that its forward takes."""
    accepted = forward_arguments(module)
    name = next((name for name in CACHE_NAMES if name in accepted), CACHE_NAMES[-1])
    return {name: cache, "use_cache": True}


def given_cache(arguments: CallArguments) -> Any:
    """The cache among the arguments of a call, None where there is none."""
    return next((arguments[name] for name in CACHE_NAMES if arguments.get(name) is not None), None)
