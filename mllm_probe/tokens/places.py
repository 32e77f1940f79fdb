"""Which positions of a batch are read: scopes, positions and masks as columns with labels in the unpadded prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from mllm_probe import schema
from mllm_probe.models import Encoded, ProbeModel

Tokens: TypeAlias = "str | Sequence[str] | Sequence[int] | Sequence[bool] | np.ndarray | torch.Tensor"

TEXT, IMAGE, PADDING = (schema.ROLES.index(role) for role in ("text", "image", "padding"))


@dataclass(frozen=True)
class TokenChoice:
    """What was asked for: exactly one of scopes, positions, or a mask over positions or patches."""

    scopes: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    mask: np.ndarray | None = None

    def __str__(self) -> str:
        """Name the choice in the way it stands in a dataset's attributes."""
        if self.mask is None:
            return ", ".join(map(str, self.scopes or self.positions))
        kind = "patches" if self.mask.ndim == 2 else "positions"
        return f"{int(self.mask.sum())} of {self.mask.size} {kind}"


@dataclass(frozen=True)
class Places:
    """Chosen positions of one batch.

    Attributes
    ----------
    labels : list of int
        One per slot: position in the unpadded prompt, or the negative number that was asked for.
    columns : int64 array [rows, slots]
        Column of the batch, -1 where the row has no such position.
    """

    labels: list[int]
    columns: np.ndarray


def token_choice(tokens: Tokens) -> TokenChoice:
    """Read a ``tokens=`` argument: a scope, several scopes, positions, or a boolean mask.

    Parameters
    ----------
    tokens : str, sequence of str, sequence of int, bool array
        Scopes are ``"all"``, ``"image"``, ``"text"``, ``"last_prompt"``, ``"generated"``. Positions count in the
        unpadded prompt, negative ones from its end. A boolean array [positions] marks positions of the prompt, one
        [rows, columns] marks patches of the image.

    Raises
    ------
    ValueError
        If it is none of these, or chooses nothing.
    """
    if isinstance(tokens, str):
        tokens = (tokens,)
    if isinstance(tokens, (list, tuple)) and tokens and all(isinstance(t, str) for t in tokens):
        unknown = [t for t in tokens if t not in schema.EDIT_SCOPES]
        if unknown:
            raise ValueError(f"unknown scope '{unknown[0]}': expected one of {', '.join(schema.EDIT_SCOPES)}.")
        return TokenChoice(scopes=tuple(dict.fromkeys(str(t) for t in tokens)))
    array = np.asarray(tokens.cpu() if isinstance(tokens, torch.Tensor) else tokens)
    if array.dtype == bool and array.ndim in (1, 2) and array.any():
        return TokenChoice(mask=array)
    if array.dtype.kind in "iu" and array.ndim in (0, 1) and array.size:
        numbers = tuple(int(n) for n in array.reshape(-1))
        if len(set(numbers)) == len(numbers):
            return TokenChoice(positions=numbers)
    raise ValueError(
        f"tokens: expected a scope ({', '.join(schema.EDIT_SCOPES)}), several scopes, different positions, or a "
        f"boolean mask [positions] or [patch rows, patch columns] with something in it; got {tokens!r}."
    )


def find_places(model: ProbeModel, encoded: Encoded, choice: TokenChoice) -> Places:
    """Columns of a batch that a choice means.

    Raises
    ------
    ValueError
        Naming the sample that has no such position.
    """
    if choice.scopes == ("last_prompt",):
        return Places([-1], np.full((encoded.rows, 1), encoded.prompt_length - 1))
    if choice.positions:
        return Places(list(choice.positions), _numbered(encoded, choice.positions))
    chosen = chosen_columns(model, encoded, choice)
    padding = encoded.padding.numpy()
    empty = np.flatnonzero(~chosen.any(1))
    if empty.size:
        advice = "; give continuation= to have generated tokens" if choice.scopes == ("generated",) else ""
        raise ValueError(f"sample {encoded.sample_ids[empty[0]]} has no token of the scope '{choice}'{advice}.")
    rows, columns = np.nonzero(chosen)
    labels, slots = np.unique(columns - padding[rows], return_inverse=True)
    table = np.full((encoded.rows, len(labels)), -1)
    table[rows, slots] = columns
    return Places(labels.tolist(), table)


def chosen_columns(model: ProbeModel, encoded: Encoded, choice: TokenChoice) -> np.ndarray:
    """Scopes or a mask as a boolean array [rows, columns] of the batch; padding is never chosen."""
    chosen = np.zeros((encoded.rows, encoded.length), dtype=bool)
    for scope in choice.scopes:
        chosen |= _scope(model, encoded, scope)
    if choice.mask is not None:
        chosen |= _masked(encoded, choice.mask)
    return chosen & (encoded.roles.numpy() != PADDING)


def begin_columns(model: ProbeModel, encoded: Encoded) -> np.ndarray:
    """Boolean array [rows, columns], True where a row's first position is the begin-of-sequence token."""
    config = model.hf.config.get_text_config(decoder=True)
    begin = getattr(model.tokenizer, "bos_token_id", None)
    begin = getattr(config, "bos_token_id", None) if begin is None else begin
    if "decoder_input_ids" in encoded.tensors:  # the decoder's start token is all the prompt there is
        return np.zeros((encoded.rows, encoded.length), dtype=bool)
    first = np.arange(encoded.length)[None] == encoded.padding.numpy()[:, None]
    return first & (encoded.tensors["input_ids"].cpu().numpy() == (-1 if begin is None else begin))


def _scope(model: ProbeModel, encoded: Encoded, scope: str) -> np.ndarray:
    roles, columns = encoded.roles.numpy(), np.arange(encoded.length)[None]
    prompt = columns < encoded.prompt_length
    if scope == "all":
        return ~begin_columns(model, encoded)
    if scope == "last_prompt":
        return np.broadcast_to(columns == encoded.prompt_length - 1, roles.shape)
    if scope == "generated":
        return np.broadcast_to(~prompt, roles.shape)
    return prompt & (roles == (IMAGE if scope == "image" else TEXT))


def _masked(encoded: Encoded, mask: np.ndarray) -> np.ndarray:
    padding = encoded.padding.numpy()
    for row, name in enumerate(encoded.sample_ids):
        grid = (int(encoded.patch_row[row].max()) + 1, int(encoded.patch_column[row].max()) + 1)
        fitting = grid if mask.ndim == 2 else (encoded.prompt_length - int(padding[row]),)
        if mask.shape != fitting:
            kind = "[patch rows, patch columns]" if mask.ndim == 2 else "[positions]"
            known = list(fitting) if fitting != (0, 0) else "no known grid of patches"
            raise ValueError(f"a mask {kind} of shape {list(mask.shape)} does not fit: sample {name} has {known}.")
    if mask.ndim == 2:
        return (encoded.patch_row >= 0) & mask[encoded.patch_row, encoded.patch_column]
    positions = np.arange(encoded.length)[None] - padding[:, None]
    inside = (positions >= 0) & (positions < len(mask))
    return inside & mask[np.clip(positions, 0, len(mask) - 1)]


def _numbered(encoded: Encoded, positions: Sequence[int]) -> np.ndarray:
    asked = np.array(positions)[None]
    padding = encoded.padding.numpy()[:, None]
    columns = np.where(asked < 0, encoded.prompt_length, padding) + asked
    roles = encoded.roles.numpy()
    real = (columns >= padding) & (columns < encoded.length)
    real &= np.take_along_axis(roles, np.clip(columns, 0, encoded.length - 1), 1) != PADDING
    if not real.all():
        row, slot = np.argwhere(~real)[0]
        length = int((roles[row] != PADDING).sum())
        raise ValueError(
            f"sample {encoded.sample_ids[row]} has no position {positions[slot]}: it has {length} tokens, "
            f"numbered 0 … {length - 1} (negative numbers count from the end of the prompt)."
        )
    return columns


def companions(encoded: Encoded, places: Places) -> dict[str, Any]:
    """Values that travel with the chosen positions, arrays [rows, slots]; absent positions have the role padding."""
    absent = places.columns < 0
    columns = np.where(absent, 0, places.columns)
    rows = np.arange(encoded.rows)[:, None]
    text = np.array(encoded.token_text, dtype=object)[rows, columns]
    step = np.where(columns >= encoded.prompt_length, columns - encoded.prompt_length, -1)
    return {
        schema.TOKEN_TEXT: np.where(absent, "", text),
        schema.ROLE: np.where(absent, "padding", np.array(schema.ROLES)[encoded.roles.numpy()[rows, columns]]),
        schema.PATCH_ROW: np.where(absent, -1, encoded.patch_row[rows, columns]),
        schema.PATCH_COLUMN: np.where(absent, -1, encoded.patch_column[rows, columns]),
        schema.STEP: np.where(absent, -1, step),
    }
