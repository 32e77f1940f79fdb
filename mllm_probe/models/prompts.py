"""Encoding of requests as the tensors of one batch: chat template, processor, token types, continuation, roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from mllm_probe.models.argument_checks import described, listed, warn_caller
from mllm_probe.models.inputs import (
    IMAGE,
    PADDING,
    SPECIAL,
    Encoded,
    Request,
    append_tokens,
    begin_of_sequence,
    join_inputs,
    patch_positions,
    token_roles,
)
from mllm_probe.models.layout import accepted_inputs, family_of, text_config
from mllm_probe.typing import Continuation, Processor

if TYPE_CHECKING:
    from mllm_probe.models.probe_model import ProbeModel


_WORDS = r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s!-~]"
"""A word, or a character beyond ASCII that belongs to none, such as an emoji."""
_TOKEN_TYPES = ("token_type_ids", "mm_token_type_ids", "moe_mm_token_type_ids")


def prompt_per_sample(prompt: str | Iterable[str], samples: int) -> list[str]:
    """Prompts of all samples from one text, or one text for each.

    Raises ValueError for anything but text, text that cannot be encoded, or another number of texts.
    """
    several = listed(prompt)
    prompts: list[Any] = [prompt] * samples if several is None else several
    for text in prompts:
        _require_text(text, "prompt", "text, or one text per sample")
    if len(prompts) != samples:
        raise ValueError(f"Expected one prompt, or one per sample ({samples}); got {len(prompts)}.")
    return prompts


def continuation_per_sample(continuation: str | Sequence[str | Sequence[int]], samples: int) -> list[str | list[int]]:
    """Continuations of all samples, as texts or token ids, from one text or from one for each.

    Raises ValueError for anything else, or another number of them.
    """
    if not isinstance(continuation, Sequence) or not all(isinstance(item, (str, Sequence)) for item in continuation):
        raise ValueError(
            f"continuation: expected a text, or one text (or list of token ids) per sample; got {continuation!r}."
        )
    several = [continuation] * samples if isinstance(continuation, str) else continuation
    texts = [item if isinstance(item, str) else _listed_ids(item, "continuation") for item in several]
    if len(texts) != samples:
        raise ValueError(f"Expected one continuation, or one per sample ({samples}); got {len(texts)}.")
    return texts


def answer_ids(model: ProbeModel, prefix: str | Sequence[int], name: str = "answer_prefix") -> list[int]:
    """Token ids of a text that an answer begins with, or the ids themselves; of an empty text none.

    Raises ValueError for anything but text and ids of the model's vocabulary, or where the text holds an image token.
    """
    if isinstance(prefix, str):
        _require_text(prefix, name, "text or a list of token ids")
        ids = model.text_ids(prefix, leading_space=False) if prefix else []
    else:
        ids = _listed_ids(prefix, name)
        _require_vocabulary(model, torch.tensor(ids, dtype=torch.long), name)
    if model.layout.image_token_id in ids:
        raise ValueError(
            f"{name}: holds the image token {_image_token_text(model)!r}, which is replaced by an image; leave it out."
        )
    return ids


def encode_requests(model: ProbeModel, requests: Sequence[Request], continuation: Continuation) -> Encoded:
    """One left-padded batch of ``requests`` on the model's device."""
    processed = [request.inputs for request in requests if request.inputs is not None]
    if processed and len(processed) != len(requests):
        raise ValueError("Expected samples of one kind in a batch: processed tensors, or images with a prompt.")
    tensors = join_inputs(processed, model.pad_token_id) if processed else processed_tensors(model, requests)
    if processed:
        _require_vocabulary(model, tensors["input_ids"], "inputs")
    tensors = _with_decoder_start(model, with_token_types(model, tensors))
    prompt_length = _sequence(tensors).shape[1]
    if continuation is not None:
        pieces = _continuation_ids(model, continuation, len(requests))
        tensors = append_tokens(tensors, pieces, model.pad_token_id, family_of(model.hf.config).continuation_type)
    _require_room(model, _sequence(tensors).shape[1])
    roles = _roles(model, tensors, prompt_length)
    grids = _grids(model, tensors, len(requests))
    places = [
        patch_positions(row.numpy(), len(request.images) or None, grids[i] if grids else None)
        for i, (row, request) in enumerate(zip(roles, requests, strict=True))
    ]
    return Encoded(
        tensors={n: v.to(model.device, model.dtype if v.is_floating_point() else None) for n, v in tensors.items()},
        roles=roles,
        padding=(roles[:, :prompt_length] == PADDING).sum(1),
        prompt_length=prompt_length,
        token_text=[_token_text(model, row) for row in _sequence(tensors).tolist()],
        begin=_begin(model, tensors, roles),
        image=np.stack([place[0] for place in places]),
        patch_row=np.stack([place[1] for place in places]),
        patch_column=np.stack([place[2] for place in places]),
        sample_ids=[request.id for request in requests],
    )


def _sequence(tensors: dict[str, Tensor]) -> Tensor:
    return tensors.get("decoder_input_ids", tensors["input_ids"])


def _with_decoder_start(model: ProbeModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if not model.hf.config.is_encoder_decoder or "decoder_input_ids" in tensors:
        return tensors
    sources = (model.hf.generation_config, text_config(model.hf))
    names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
    ids = [value for source in sources for name in names if (value := getattr(source, name, None)) is not None]
    start = ids[0] if ids else model.pad_token_id
    return tensors | {"decoder_input_ids": tensors["input_ids"].new_full((len(tensors["input_ids"]), 1), start)}


def _roles(model: ProbeModel, tensors: dict[str, Tensor], prompt_length: int) -> Tensor:
    if "decoder_input_ids" in tensors:
        roles = token_roles(model, tensors["decoder_input_ids"])
        padding = tensors["decoder_input_ids"] == model.pad_token_id
        padding[:, :prompt_length] = False
        roles[padding] = PADDING
        return roles.cpu()
    roles = token_roles(model, tensors["input_ids"], tensors["attention_mask"])
    if "image_embeds_position_mask" in tensors:
        roles[tensors["image_embeds_position_mask"].bool()] = IMAGE
    answer = roles[:, prompt_length:]
    answer[answer == IMAGE] = SPECIAL  # generated by the model: no image belongs to it
    return roles.cpu()


def _begin(model: ProbeModel, tensors: dict[str, Tensor], roles: Tensor) -> np.ndarray:
    if "decoder_input_ids" in tensors:  # the decoder's start token is all the prompt there is
        return np.zeros(tuple(roles.shape), bool)
    return begin_of_sequence(model, tensors["input_ids"], roles)


def with_token_types(model: ProbeModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch with the token types that the family reads.

    Without them some families use a wrong mask or wrong positions without an error.
    """
    accepted = accepted_inputs(model.hf)
    ids, family = tensors["input_ids"], family_of(model.hf.config)
    typed = dict(tensors)
    for name in _TOKEN_TYPES:
        if name in accepted and typed.get(name) is None and model.layout.image_token_id is not None:
            of_image = ids == model.layout.image_token_id
            typed[name] = of_image.long() if family.prompt_type is None else torch.full_like(ids, family.prompt_type)
    return typed


def processed_tensors(model: ProbeModel, requests: Sequence[Request]) -> dict[str, Tensor]:
    """Output of the processor for images and prompts, unchanged, on the CPU."""
    if model.processor is None:
        raise ValueError(
            f"{model.name} was wrapped without a processor, so images and prompts cannot be turned into tensors: "
            "pass inputs= (processed tensors), or mp.wrap(hf_model, processor=…)."
        )
    counts = {bool(request.images) for request in requests}
    if len(counts) > 1:
        raise ValueError("Expected an image with every prompt of a batch or with none; got both kinds.")
    warn_unknown_words(model.tokenizer, [request.prompt or "" for request in requests])
    texts = [render_prompt(model, request.prompt or "", len(request.images)) for request in requests]
    begin = model.tokenizer.bos_token
    options: dict[str, Any] = {"text": texts, "return_tensors": "pt", "padding": True, "padding_side": "left"}
    # Chat templates of many families write the begin-of-sequence token themselves; the tokenizer would add another.
    options["add_special_tokens"] = not (begin and texts[0].startswith(begin))
    if counts == {True}:
        options["images"] = [request.read() for request in requests]
        batch = model.processor(**options)
    else:
        batch = model.tokenizer(**options)
    tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
    tensors.setdefault("attention_mask", torch.ones_like(tensors["input_ids"]))
    accepted = accepted_inputs(model.hf)
    return {name: value for name, value in tensors.items() if name in accepted}


def render_prompt(model: ProbeModel, prompt: str, pictures: int) -> str:
    """The text that the processor gets: by the chat template, else image tokens in front of the prompt.

    Raises ValueError if the prompt holds the image token, the template cannot be rendered, or no place for the image
    is known.
    """
    mark = _image_token_text(model)
    if mark and mark in prompt:
        raise ValueError(
            f"prompt: holds the image token {mark!r}; leave it out, each image gets its own in front of the prompt."
        )
    if getattr(model.processor, "chat_template", None):
        return _from_template(model, [{"type": "image"}] * pictures + [{"type": "text", "text": prompt}])
    if not pictures or family_of(model.hf.config).processor_places_images:
        return prompt
    if mark is None:
        raise ValueError(
            f"{model.name} has neither a chat template nor an image token, so there is no telling where its "
            "image goes: write the prompt through its processor and pass inputs=."
        )
    return f"{mark}" * pictures + prompt


def _from_template(model: ProbeModel, content: list[dict[str, str]]) -> str:
    try:
        return model.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    except Exception as error:  # a template is a program: whatever it raises, it is the template that is wrong
        raise ValueError(
            f"{model.name}: its chat template (chat_template.jinja, or chat_template in tokenizer_config.json) cannot "
            f"be rendered ({type(error).__name__}: {error}). Correct the template, or write the prompt through the "
            "processor and pass inputs=."
        ) from error


def _image_token_text(model: ProbeModel) -> str | None:
    mark = getattr(model.processor, "image_token", None)
    if mark is None and model.layout.image_token_id is not None and model.tokenizer is not None:
        mark = model.tokenizer.convert_ids_to_tokens(model.layout.image_token_id)
    return mark if isinstance(mark, str) else None


def _require_text(text: object, name: str, expected: str) -> None:
    if not isinstance(text, str):
        chat = isinstance(text, Mapping) and "role" in text
        hint = ": pass the text of the message alone, the chat template is applied to it" if chat else ""
        raise ValueError(f"{name}: expected {expected}; got {described(text)}{hint}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: holds {text[error.start]!r}, which is no character; leave it out.") from None


def _listed_ids(ids: object, name: str) -> list[int]:
    given = listed(ids.tolist() if hasattr(ids, "tolist") else ids)
    if given is None or any(isinstance(i, bool) or not isinstance(i, Integral) for i in given):
        raise ValueError(f"{name}: expected text or a list of token ids; got {described(ids)}.")
    return [int(i) for i in given]


def _require_vocabulary(model: ProbeModel, ids: Tensor, name: str) -> None:
    """Raise unless ids are rows of the model's token embeddings, or mark an image."""
    known = model.hf.get_input_embeddings().weight.shape[0]
    wrong = ids[((ids < 0) | (ids >= known)) & (ids != (model.layout.image_token_id or 0))]
    if wrong.numel():
        raise ValueError(
            f"{name}: expected token ids between 0 and {known - 1}, as {model.name} knows them; got {int(wrong[0])}."
        )


def _continuation_ids(
    model: ProbeModel, continuation: str | Sequence[str | Sequence[int]], rows: int
) -> list[list[int]]:
    texts = continuation_per_sample(continuation, rows)
    pieces = [model.text_ids(text, leading_space=False) if isinstance(text, str) else text for text in texts]
    if not any(pieces):
        raise ValueError(f"Expected a continuation with at least one token; got {texts[0]!r}.")
    return pieces


def _require_room(model: ProbeModel, length: int) -> None:
    longest = getattr(text_config(model.hf), "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise ValueError(
            f"The prompt with its image takes {length} tokens but {model.name} reads at most {longest}: "
            "shorten the prompt or give fewer images."
        )


def _token_text(model: ProbeModel, ids: list[int]) -> list[str]:
    if model.tokenizer is None:
        return [str(i) for i in ids]
    return [model.tokenizer.decode([i]) for i in ids]


def _grids(model: ProbeModel, tensors: dict[str, Tensor], rows: int) -> list[list[tuple[int, int]]] | None:
    grid, image_id = tensors.get("image_grid_thw"), model.layout.image_token_id
    if grid is None or image_id is None:
        return None
    merge = int(getattr(model.hf.config.vision_config, "spatial_merge_size", 1))
    sizes = [(int(t * h) // merge, int(w) // merge) for t, h, w in grid.tolist()]
    shared: list[list[tuple[int, int]]] = []
    for count in (tensors["input_ids"] == image_id).sum(1).tolist():
        mine: list[tuple[int, int]] = []
        while sizes and count >= sizes[0][0] * sizes[0][1] > 0:
            count -= sizes[0][0] * sizes[0][1]
            mine.append(sizes.pop(0))
        shared.append(mine)
    return shared if len(shared) == rows else None


def unknown_words(tokenizer: Processor, texts: Iterable[str]) -> list[str]:
    """Words of ``texts``, each once, that the tokenizer reads as an unknown-word token; none where it has none."""
    unknown_id = getattr(tokenizer, "unk_token_id", None)
    if unknown_id is None:
        return []
    words = dict.fromkeys(word for text in set(texts) for word in re.findall(_WORDS, text))
    return [word for word in words if unknown_id in tokenizer(word, add_special_tokens=False)["input_ids"]]


def warn_unknown_words(tokenizer: Processor, texts: Iterable[str]) -> None:
    """Warn, once for all ``texts``, naming the words that the tokenizer does not know."""
    unknown = unknown_words(tokenizer, texts)
    if unknown:
        named = ", ".join(f"'{word}'" for word in unknown)
        warn_caller(
            f"The model does not know the word{'s' if len(unknown) > 1 else ''} {named}: it reads an unknown-word "
            "token instead. model.suggestions lists questions that work."
        )


IMAGE_SIDE = 64


def image_processor(side: int = IMAGE_SIDE) -> SiglipImageProcessorPil:
    """Return the processor that ships with the models: side by side pixels, values from -1 to 1, without torchvision."""
    size = {"height": side, "width": side}
    return SiglipImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)
