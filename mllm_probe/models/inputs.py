"""Samples as one left-padded batch that knows the role of every token and its position ids."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mllm_probe.models.argument_checks import described
from mllm_probe.models.images import as_image, content_hash
from mllm_probe.models.layout import configured_ids, family_of, text_config, why_no_image_tokens
from mllm_probe.schema import ROLES
from mllm_probe.typing import Picture

if TYPE_CHECKING:
    from mllm_probe.models.probe_model import ProbeModel


PER_TOKEN = frozenset(
    {
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "mm_token_type_ids",
        "moe_mm_token_type_ids",
        "image_embeds_position_mask",
        "cross_attention_mask",
        "image_attention_mask",
        "decoder_input_ids",
    }
)
"""Tensors [rows, tokens, …] aligned with the tokens; their padding is 0, but for token ids."""
CROSS_MASKS = ("cross_attention_mask", "image_attention_mask")
"""Those of them that say which images a token reads."""


@dataclass(frozen=True)
class Request:
    """One sample: its images as given (read when needed) and its prompt, or tensors that are processed already."""

    images: tuple[Any, ...] = ()
    prompt: str | None = None
    inputs: Mapping[str, Tensor] | None = None

    @cached_property
    def id(self) -> str:
        """Hash of the content: of the image, of all images in order, of the tensors, or of a prompt alone."""
        if self.inputs is not None:
            digest = hashlib.sha256()
            for name in sorted(self.inputs):
                digest.update(name.encode() + self.inputs[name].detach().float().cpu().numpy().tobytes())
            return digest.hexdigest()[:16]
        return _joined_hash(self.images) if self.images else _text_hash(self.prompt or "")

    def read(self) -> list[Image.Image]:
        """Its images as RGB images; hashed for `id` on the way, so that none is decoded or drawn a second time."""
        images = [as_image(image) for image in self.images]
        if "id" not in self.__dict__:
            self.__dict__["id"] = _joined_hash(images) if images else _text_hash(self.prompt or "")
        return images


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _joined_hash(images: Sequence[Picture]) -> str:
    hashes = [content_hash(image) for image in images]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Encoded:
    """One left-padded batch, ready for the model.

    `tensors`: exactly what ``hf.forward`` and ``hf.generate`` take, on the model's device. Where an encoder reads the
        prompt, the sequence of the probed blocks is ``decoder_input_ids``, and all else here is about that one.
    `roles` (Tensor [rows, tokens] int8, on the CPU): indices into ``schema.ROLES``.
    `padding` (Tensor [rows] int64): number of padding positions on the left.
    `prompt_length`: columns of the prompt; a continuation follows it and counts as generated.
    `begin` (bool array [rows, tokens]): begin-of-sequence tokens in front of a row.
    `image` (int32 array [rows, tokens]): which image of its prompt an image token belongs to, 0 is the first; -1
        elsewhere.
    `patch_row`, `patch_column` (int32 array [rows, tokens]): place of an image token in its image, -1 elsewhere.
    """

    tensors: dict[str, Tensor]
    roles: Tensor
    padding: Tensor
    prompt_length: int
    token_text: list[list[str]]
    begin: np.ndarray
    image: np.ndarray
    patch_row: np.ndarray
    patch_column: np.ndarray
    sample_ids: list[str]

    @property
    def sequence(self) -> Tensor:
        """Ids [rows, tokens] that run through the probed blocks."""
        return self.tensors.get("decoder_input_ids", self.tensors["input_ids"])

    @property
    def rows(self) -> int:
        """Number of samples."""
        return self.roles.shape[0]

    @property
    def length(self) -> int:
        """Number of columns, padding and continuation included."""
        return self.roles.shape[1]


def split_inputs(inputs: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]]) -> list[Request]:
    """Processed tensors as one request per sample: a dict that holds a batch, or a list of dicts."""
    if isinstance(inputs, (list, tuple)):
        if not inputs:
            raise ValueError("inputs= expects processed tensors of at least one sample; got an empty list.")
        return [request for item in inputs for request in split_inputs(item)]
    expected = "inputs= expects processed tensors with 'input_ids' [rows, tokens]"
    if not isinstance(inputs, Mapping):
        raise ValueError(f"{expected}, or a list of such dicts; got {described(inputs)}.")
    if isinstance(inputs.get("input_ids"), str):
        raise ValueError(f"{expected}; the ids are text: pass it as prompt=.")
    tensors = {name: torch.as_tensor(value) for name, value in inputs.items() if value is not None}
    if "input_ids" not in tensors or tensors["input_ids"].ndim != 2:
        raise ValueError(f"{expected}; got {sorted(map(str, inputs))}.")
    ids = tensors["input_ids"]
    if not ids.numel() or ids.is_floating_point():
        held = f"type {ids.dtype}" if ids.numel() else f"shape {tuple(ids.shape)}"
        raise ValueError(f"{expected}, whole numbers and at least one token; the ids have {held}.")
    rows = ids.shape[0]
    parts = [_rows_of(name, value, rows, tensors) for name, value in tensors.items()]
    return [Request(inputs=dict(zip(tensors, row, strict=True))) for row in zip(*parts, strict=True)]


def _rows_of(name: str, value: Tensor, rows: int, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    if rows == 1:
        return [value]
    # Qwen-VL packs the patches of all images along axis 0; (frames, rows, columns) of each say how many are whose.
    grid = tensors.get("image_grid_thw")
    if name == "pixel_values" and grid is not None and len(grid) == rows:
        return list(value.split(grid.prod(-1).tolist()))
    if value.ndim and value.shape[0] == rows:
        return list(value.split(1))
    raise ValueError(
        f"inputs= holds {rows} rows but '{name}' has shape {tuple(value.shape)}, which cannot be shared "
        "out among them. Give a list of dicts instead, one per sample."
    )


def join_inputs(samples: Sequence[Mapping[str, Tensor]], pad_token_id: int) -> dict[str, Tensor]:
    """Processed tensors of several samples as one left-padded batch; other tensors are put one after another."""
    trimmed = [_without_padding(sample) for sample in samples]
    names = set(trimmed[0])
    if any(set(sample) != names for sample in trimmed):
        raise ValueError(f"inputs= expects the same tensors for every sample; got {[sorted(s) for s in trimmed]}.")
    joined = {}
    for name in trimmed[0]:
        parts = [sample[name] for sample in trimmed]
        if name in PER_TOKEN:  # the decoder's ids have another length
            along = name if name == "decoder_input_ids" else "input_ids"
            longest = max(sample[along].shape[1] for sample in trimmed)
            parts = [_pad_left(part, longest, pad_token_id if name == "input_ids" else 0) for part in parts]
        joined[name] = torch.cat(parts)
    return joined


def _without_padding(sample: Mapping[str, Tensor]) -> dict[str, Tensor]:
    ids = sample["input_ids"]
    kept = sample.get("attention_mask", torch.ones_like(ids))[0].bool()
    whole = {"attention_mask": torch.ones_like(ids)} | dict(sample)
    along = PER_TOKEN - {"decoder_input_ids"}
    return {name: value[:, kept] if name in along else value for name, value in whole.items()}


def _pad_left(value: Tensor, length: int, pad: int) -> Tensor:
    missing = length - value.shape[1]
    return torch.cat([value.new_full((value.shape[0], missing, *value.shape[2:]), pad), value], 1) if missing else value


def append_tokens(
    tensors: Mapping[str, Tensor], continuation: Sequence[Sequence[int]], pad_token_id: int, token_type: int = 0
) -> dict[str, Tensor]:
    """The batch with text appended to every prompt; shorter texts are padded on the right.

    `tensors`: a left-padded batch. With ``decoder_input_ids``, the text is the decoder's and the rest stays.
    `continuation`: token ids for each row. `token_type`: ``token_type_ids`` of the new tokens.
    """
    grown = {"decoder_input_ids"} if "decoder_input_ids" in tensors else PER_TOKEN & tensors.keys()
    added = max(map(len, continuation))
    ids = torch.full((len(continuation), added), pad_token_id, dtype=torch.long)
    for row, tokens in enumerate(continuation):
        ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
    real = torch.arange(added)[None] < torch.tensor([len(tokens) for tokens in continuation])[:, None]
    types = torch.full_like(ids, token_type)
    known = {"input_ids": ids, "decoder_input_ids": ids, "attention_mask": real, "token_type_ids": types}
    extended = dict(tensors)
    for name in grown:
        old = tensors[name]
        if name in known:
            new = known[name]
        # Text after the prompt sees the images that its last token saw.
        elif name in CROSS_MASKS:
            new = old[:, -1:].expand(-1, added, *old.shape[2:])
        else:
            new = torch.zeros((len(ids), added, *old.shape[2:]))
        extended[name] = torch.cat([old, new.to(old)], 1)
    return extended


def prompt_positions(model: ProbeModel, encoded: Encoded) -> Tensor:
    """Position ids of a batch, as the model itself would set them.

    Returns: [rows, tokens], or [axes, rows, tokens] for families with rotary axes. Padding gets 0.
    """
    ids = encoded.tensors["input_ids"]
    mask = encoded.tensors.get("attention_mask", torch.ones_like(ids))
    plain = (mask.long().cumsum(-1) - 1).clamp(min=0).masked_fill(mask == 0, 0)
    indexer = _indexer(model)
    # The model's own indexer, called alone, leaves its stored offset (rope_deltas) as it is; a forward overwrites it.
    if indexer is None:
        first = text_config(model.hf).pad_token_id + 1 if family_of(model.hf.config).positions_from_ids else 0
        return plain + first
    if encoded.tensors.get("image_grid_thw") is None:
        return plain[None].expand(3, -1, -1)
    accepted = inspect.signature(indexer).parameters
    given = {name: value for name, value in encoded.tensors.items() if name in accepted and name != "input_ids"}
    return indexer(ids, **given)[0]


def continuation_positions(positions: Tensor, start: int, tokens: int = 1) -> Tensor:
    """Position ids of tokens that follow a prompt.

    `positions` (Tensor [rows, prompt] or [axes, rows, prompt]): from ``prompt_positions``, without a continuation.
    `start`: how many tokens came after the prompt already. `tokens`: how many come now. Returns Tensor [rows, tokens]
    or [axes, rows, tokens]: one more than the largest position of the row's prompt, and counting; the same on all axes.
    """
    # The largest position, not the number of tokens: under M-RoPE an image takes as many positions as its longer side,
    # so that text goes on from the largest on any axis.
    largest = positions.amax(-1) if positions.ndim == 2 else positions.amax((0, -1))[None].expand(len(positions), -1)
    steps = torch.arange(start + 1, start + tokens + 1, device=positions.device)
    return largest[..., None] + steps


def _indexer(model: ProbeModel) -> Any:
    inner = getattr(model.hf, "model", None)
    return getattr(inner, "get_rope_index", None)


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
    """Image, row and column of every image token.

    `roles` (int array [tokens]): of one sample. `pictures`: how many images the sample has; None where that is not
    known, which is read as one if the grid of one fits. `grids`: sizes of the token grid of each image, where the
    processor gives them. Returns int32 array [3, tokens]: number of the image in its prompt (0 is the first), row and
    column in it. -1 for other tokens and for what cannot be known. Without ``grids``, runs of image tokens of equal
    length are rows of an image (families that close each row with a token); an image in one run is taken as square.
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


def _guess_sizes(where: np.ndarray, images: int) -> list[int]:
    """Image tokens of each image: a run of them each, else an equal share."""
    runs = _runs(where)
    each, rest = divmod(len(where), images)
    return runs if len(runs) == images else [each] * images if rest == 0 else []


def _guess_grids(where: np.ndarray, images: int) -> list[tuple[int, int]]:
    runs = _runs(where)
    if len(runs) > images and len(runs) % images == 0 and len(set(runs)) == 1:
        return [(len(runs) // images, runs[0])] * images
    sizes = _guess_sizes(where, images)
    sides = [round(size**0.5) for size in sizes]
    return [(s, s) for s in sides] if all(s * s == size for s, size in zip(sides, sizes, strict=True)) else []
