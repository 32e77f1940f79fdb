"""What each position of the sequence is, and where an image token lies in its picture."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.models.families import why_no_image_tokens
from mllm_probe.schema import ROLES

TEXT, IMAGE, SPECIAL, PADDING = (ROLES.index(name) for name in ("text", "image", "special", "padding"))


_WORDS = r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s!-~]"
"""A word, or a character beyond ASCII that belongs to none, such as an emoji."""


def special_ids(model: Any) -> set[int]:
    """Ids of special tokens (begin, end, padding, chat markers), from the tokenizer or else from the configuration."""
    if model.tokenizer is not None:
        return set(model.tokenizer.all_special_ids)
    config = model.hf.config.get_text_config(decoder=True)
    found: set[int] = set()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = getattr(config, name, None)
        found.update(value if isinstance(value, (list, tuple)) else [] if value is None else [value])
    return found


def token_roles(model: Any, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """Role of every position.

    Parameters
    ----------
    model : ProbeModel
    input_ids : Tensor [rows, tokens]
    attention_mask : Tensor [rows, tokens], optional
        0 marks padding.

    Returns
    -------
    Tensor [rows, tokens] int8
        Indices into ``schema.ROLES``, on the device of ``input_ids``.
    """
    roles = torch.full(input_ids.shape, TEXT, dtype=torch.int8, device=input_ids.device)
    roles[torch.isin(input_ids, torch.tensor(sorted(special_ids(model)), device=input_ids.device))] = SPECIAL
    if model.layout.image_token_id is not None:
        in_sequence = not why_no_image_tokens(model.hf.config)
        roles[input_ids == model.layout.image_token_id] = IMAGE if in_sequence else SPECIAL
    if attention_mask is not None:
        roles[attention_mask == 0] = PADDING
    return roles


def patch_positions(roles: np.ndarray, pictures: int, grids: list[tuple[int, int]] | None = None) -> np.ndarray:
    """Row and column of every image token in its picture.

    Parameters
    ----------
    roles : int array [tokens]
        Of one sample.
    pictures : int
        How many pictures the sample has.
    grids : list of (rows, columns), optional
        Sizes of the token grid of each picture, where the processor says so.

    Returns
    -------
    int32 array [2, tokens]
        -1 for other tokens and for pictures whose grid cannot be known. Without ``grids``, runs of image
        tokens of equal length are rows of a picture (families that close each row with a token); a picture
        in one run is taken as square.
    """
    places = np.full((2, len(roles)), -1, dtype=np.int32)
    where = np.flatnonzero(roles == IMAGE)
    if not len(where) or not pictures:
        return places
    start = 0
    for rows, columns in grids or _guess_grids(where, pictures):
        size = rows * columns
        if start + size > len(where):
            return np.full_like(places, -1)
        inside = where[start : start + size]
        if columns > 0:
            places[0, inside], places[1, inside] = np.divmod(np.arange(size), columns)
        start += size
    return places


def _guess_grids(where: np.ndarray, pictures: int) -> list[tuple[int, int]]:
    runs = [len(run) for run in np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)]
    each, rest = divmod(len(where), pictures)
    if len(runs) > pictures and len(runs) % pictures == 0 and len(set(runs)) == 1:
        return [(len(runs) // pictures, runs[0])] * pictures
    sizes = runs if len(runs) == pictures else [each] * pictures if rest == 0 else []
    sides = [round(size**0.5) for size in sizes]
    return [(s, s) for s in sides] if all(s * s == size for s, size in zip(sides, sizes, strict=True)) else []


def warn_unknown_words(tokenizer: Any, texts: Iterable[str]) -> None:
    """Warn, once for all ``texts``, naming the words that the tokenizer does not know."""
    unknown_id = getattr(tokenizer, "unk_token_id", None)
    if unknown_id is None:
        return
    words = dict.fromkeys(word for text in set(texts) for word in re.findall(_WORDS, text))
    unknown = [w for w in words if unknown_id in tokenizer(w, add_special_tokens=False)["input_ids"]]
    if unknown:
        named = ", ".join(f"'{word}'" for word in unknown)
        warnings.warn(
            f"The model does not know the word{'s' if len(unknown) > 1 else ''} {named}: it reads an unknown-word "
            "token instead. model.suggestions lists questions that work.",
            UserWarning,
            stacklevel=6,
        )
