"""The role of each position of an encoded prompt, and the picture, row and column of each image token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mllm_probe.models.families import why_no_image_tokens
from mllm_probe.models.layout import configured_ids, text_config
from mllm_probe.schema import ROLES

if TYPE_CHECKING:
    from mllm_probe.models.probe_model import ProbeModel


TEXT, IMAGE, SPECIAL, PADDING = (ROLES.index(name) for name in ("text", "image", "special", "padding"))


def special_ids(model: ProbeModel) -> set[int]:
    """Ids of special tokens (begin, end, padding, chat markers), from the tokenizer or else from the configuration."""
    if model.tokenizer is not None:
        return set(model.tokenizer.all_special_ids)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {number for name in names for number in configured_ids(text_config(model.hf), name)}


def token_roles(model: ProbeModel, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """Role of every position.

    `input_ids`: Tensor [rows, tokens]. `attention_mask` (Tensor [rows, tokens]): 0 marks padding. Returns Tensor [rows,
    tokens] int8: indices into ``schema.ROLES``, on the device of ``input_ids``.
    """
    roles = torch.full(input_ids.shape, TEXT, dtype=torch.int8, device=input_ids.device)
    roles[torch.isin(input_ids, torch.tensor(sorted(special_ids(model)), device=input_ids.device))] = SPECIAL
    if model.layout.image_token_id is not None:
        in_sequence = not why_no_image_tokens(model.hf.config)
        roles[input_ids == model.layout.image_token_id] = IMAGE if in_sequence else SPECIAL
    if attention_mask is not None:
        roles[attention_mask == 0] = PADDING
    return roles


def begin_of_sequence(model: ProbeModel, input_ids: Tensor, roles: Tensor) -> np.ndarray:
    """Positions that hold the begin-of-sequence token in front of everything else of their row.

    `input_ids`, `roles`: Tensor [rows, tokens]. Returns bool array [rows, tokens].
    """
    begin = getattr(model.tokenizer, "bos_token_id", None)
    begin = getattr(text_config(model.hf), "bos_token_id", None) if begin is None else begin
    if begin is None:
        return np.zeros(tuple(roles.shape), bool)
    real = roles.cpu() != PADDING
    return (real & (real.cumsum(1) == 1) & (input_ids.cpu() == int(begin))).numpy()


def patch_positions(roles: np.ndarray, pictures: int | None, grids: list[tuple[int, int]] | None = None) -> np.ndarray:
    """Picture, row and column of every image token.

    `roles` (int array [tokens]): of one sample. `pictures`: how many pictures the sample has; None where that is not
    known, which is read as one if the grid of one fits. `grids`: sizes of the token grid of each picture, where the
    processor gives them. Returns int32 array [3, tokens]: number of the picture in its prompt (0 is the first), row and
    column in it. -1 for other tokens and for what cannot be known. Without ``grids``, runs of image tokens of equal
    length are rows of a picture (families that close each row with a token); a picture in one run is taken as square.
    """
    places = np.full((3, len(roles)), -1, dtype=np.int32)
    where = np.flatnonzero(roles == IMAGE)
    if not len(where) or pictures == 0:
        return places
    grids = grids or _guess_grids(where, pictures or 1)
    sizes = [rows * columns for rows, columns in grids] or _guess_sizes(where, pictures or 1)
    if sum(sizes) > len(where) or (pictures is None and not grids):
        return places
    bounds = np.cumsum([0, *sizes])
    for number, start in enumerate(bounds[:-1]):
        inside = where[start : bounds[number + 1]]
        places[0, inside] = number
        if grids and grids[number][1] > 0:
            places[1:, inside] = np.divmod(np.arange(len(inside)), grids[number][1])
    return places


def _runs(where: np.ndarray) -> list[int]:
    return [len(run) for run in np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)]


def _guess_sizes(where: np.ndarray, pictures: int) -> list[int]:
    """Image tokens of each picture: a run of them each, else an equal share."""
    runs = _runs(where)
    each, rest = divmod(len(where), pictures)
    return runs if len(runs) == pictures else [each] * pictures if rest == 0 else []


def _guess_grids(where: np.ndarray, pictures: int) -> list[tuple[int, int]]:
    runs = _runs(where)
    if len(runs) > pictures and len(runs) % pictures == 0 and len(set(runs)) == 1:
        return [(len(runs) // pictures, runs[0])] * pictures
    sizes = _guess_sizes(where, pictures)
    sides = [round(size**0.5) for size in sizes]
    return [(s, s) for s in sides] if all(s * s == size for s, size in zip(sides, sizes, strict=True)) else []
