"""Token scopes: which positions are edited, by name, by number or by a mask over the picture's patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mllm_probe.schema import EDIT_SCOPES
from mllm_probe.tokens.positions import PromptPositions

Tokens = str | Sequence[str] | Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Scope:
    """A parsed token scope; exactly one of the three fields is filled.

    Parameters
    ----------
    names : tuple of str
        Of ``schema.EDIT_SCOPES``; the union is edited.
    numbers : tuple of int
        Positions of the unpadded prompt, negative ones from its end.
    patches : tuple of tuple of bool, optional
        Mask [rows, columns] over the patches of the picture (of every picture of the prompt).
    """

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    patches: tuple[tuple[bool, ...], ...] | None = None

    @property
    def generated(self) -> bool:
        """Whether generated positions are edited."""
        return "generated" in self.names or "all" in self.names

    @property
    def only_generated(self) -> bool:
        """Whether nothing but generated positions is edited."""
        return self.names == ("generated",)

    @property
    def touches_prompt(self) -> bool:
        """Whether anything before the last prompt token is edited."""
        return not self.names or not set(self.names) <= {"last_prompt", "generated"}

    def require_steps(self, steps: int | None) -> None:
        """Raise if only generated tokens are edited and none will be fed back (``steps`` is 0)."""
        if steps == 0 and self.only_generated:
            raise ValueError(
                "tokens='generated' can never be edited: no generated token is fed back to the model. Generate at "
                "least two tokens (the first comes from the last prompt position), or add 'last_prompt'."
            )

    def __str__(self) -> str:
        if self.patches is not None:
            grid = np.array(self.patches)
            return f"{grid.sum()} of {grid.shape[0]}×{grid.shape[1]} patches"
        return "+".join(self.names) if self.names else f"positions {', '.join(map(str, self.numbers))}"

    def select(self, where: PromptPositions, lines: np.ndarray) -> np.ndarray:
        """Which of the known columns are edited.

        Parameters
        ----------
        where : PromptPositions
        lines : int array
            Lines of the batch that have this scope.

        Returns
        -------
        bool array [len(lines), columns]

        Raises
        ------
        ValueError
            If a part of the scope can never fire on one of the prompts.
        """
        if self.patches is not None:
            return _by_patch(np.array(self.patches), where, lines)
        if self.numbers:
            return _by_number(self.numbers, where, lines)
        chosen = np.zeros((len(lines), where.columns), dtype=bool)
        for name in self.names:
            chosen |= _by_name(name, where, lines)
        return chosen


def parse_scope(tokens: Tokens | Scope) -> Scope:
    """Read the ``tokens`` argument of a steering.

    Parameters
    ----------
    tokens : str, tuple of str, list of int or bool array [rows, columns]

    Raises
    ------
    ValueError
        Naming what was expected.
    """
    if isinstance(tokens, Scope):
        return tokens
    expected = (
        f"tokens: expected one or several of {', '.join(EDIT_SCOPES)}, a list of positions, or a bool mask "
        "[patch rows, patch columns]"
    )
    if isinstance(tokens, str):
        tokens = (tokens,)
    if isinstance(tokens, Sequence) and tokens and all(isinstance(t, str) for t in tokens):
        unknown = [t for t in tokens if t not in EDIT_SCOPES]
        if unknown:
            raise ValueError(f"{expected}; got '{unknown[0]}'.")
        return Scope(names=tuple(dict.fromkeys(str(t) for t in tokens)))
    return _parse_array(tokens, expected)


def _parse_array(tokens: Any, expected: str) -> Scope:
    try:
        array = np.asarray(tokens)
    except ValueError as error:
        raise ValueError(f"{expected}; got {tokens!r}.") from error
    if array.ndim == 2 and array.dtype == bool:
        if not array.any():
            raise ValueError("tokens: the patch mask selects no patch, so it can never be edited.")
        return Scope(patches=tuple(tuple(map(bool, row)) for row in array))
    if array.ndim == 1 and array.size and np.issubdtype(array.dtype, np.integer):
        return Scope(numbers=tuple(dict.fromkeys(array.tolist())))
    raise ValueError(f"{expected}; got {tokens!r}.")


def _by_name(name: str, where: PromptPositions, lines: np.ndarray) -> np.ndarray:
    real = where.real[lines]
    if name == "generated":
        return real & where.is_generated
    if name == "last_prompt":
        return np.arange(where.columns)[None] == where.last[lines, None]
    if name == "all":
        return real & ~where.begin[lines]
    if not where.roles_known:
        raise ValueError(
            f"tokens='{name}' cannot be found: the model is called with embeddings, which do not say what is image and "
            "what is text. Use mp.generate, which knows the prompt."
        )
    chosen = where.has_role(name)[lines] & ~where.is_generated
    empty = np.flatnonzero(~chosen.any(1))
    if len(empty):
        raise ValueError(
            f"tokens='{name}' can never be edited: the prompt of row {lines[empty[0]]} has no {name} tokens. "
            f"It has {where.counts(lines[empty[0]])}."
        )
    return chosen


def _by_number(numbers: tuple[int, ...], where: PromptPositions, lines: np.ndarray) -> np.ndarray:
    lengths, before = where.lengths[lines], where.before[lines]
    for number in numbers:
        counted = number + lengths if number < 0 else np.full(len(lines), number)
        outside = np.flatnonzero((counted >= lengths) | (counted < before))
        if len(outside):
            raise ValueError(
                f"tokens: position {number} can never be edited: the prompt of row {lines[outside[0]]} has "
                f"{lengths[outside[0]]} positions, {before[outside[0]]} … {lengths[outside[0]] - 1} "
                "(negative ones count from its end)."
            )
    wanted = np.array(numbers)[None] % lengths[:, None]
    place = where.place[lines]
    inside = (place >= 0) & ~where.is_generated
    return inside & (place[:, :, None] == wanted[:, None, :]).any(-1)


def _by_patch(mask: np.ndarray, where: PromptPositions, lines: np.ndarray) -> np.ndarray:
    rows, columns = where.patch_row[lines], where.patch_column[lines]
    for line, r, c in zip(lines, rows, columns, strict=True):
        if (r < 0).all():
            raise ValueError(
                f"tokens: a patch mask can never be edited: the patches of the picture in row {line} are not known. "
                "Name 'image', or give positions."
            )
        grid = (int(r.max()) + 1, int(c.max()) + 1)
        if grid != mask.shape:
            raise ValueError(
                f"tokens: the patch mask is {mask.shape[0]}×{mask.shape[1]}, but the picture of row {line} has "
                f"{grid[0]}×{grid[1]} patches."
            )
    return (rows >= 0) & mask[rows.clip(0), columns.clip(0)]
