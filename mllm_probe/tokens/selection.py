"""A ``tokens=`` argument, read once and selected once for reading and editing; named scopes, one declaration each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from torch import Tensor

from mllm_probe import schema
from mllm_probe.models.argument_checks import shortened
from mllm_probe.models.inputs import IMAGE, TEXT
from mllm_probe.tokens.positions import POSITION_KINDS, PromptPositions, of_encoded
from mllm_probe.typing import TokenScope

if TYPE_CHECKING:
    from mllm_probe.models import Encoded


Select = Callable[[PromptPositions, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class NamedScope:
    """One name that ``tokens=`` takes.

    `select`: ``select(where, lines)`` gives a bool array [len(lines), columns]: the columns of these lines of the
        batch.
    `early`: it can have positions before the last prompt token, so that rows steered there do not share their prompt.
    `last`: it always has the last prompt token.
    `generated`: it has every generated token.
    `needs_roles`: it is undefined where the model is called with embeddings, which do not tell image from text tokens.
    `norm`: kind of position whose residual norm belongs to vectors captured here, ``"all"`` for every kind; None where
        ``concept_vectors`` cannot average over the scope.
    `choice`: value (names joined by ``+``) and label of the button with which the panel offers it.
    """

    name: str
    select: Select
    early: bool = False
    last: bool = False
    generated: bool = False
    needs_roles: bool = False
    norm: str | None = None
    choice: tuple[str, str] | None = None

    @property
    def in_prompt(self) -> bool:
        """True if it has positions of the prompt."""
        return self.early or self.last


def _last_prompt(where: PromptPositions, lines: np.ndarray) -> np.ndarray:
    return np.arange(where.columns)[None] == where.last[lines, None]


def _generated(where: PromptPositions, lines: np.ndarray) -> np.ndarray:
    return where.real[lines] & where.is_generated


def _with_role(role: int) -> Select:
    """Positions of the prompt with a role; an answer's tokens are text too, but belong to ``generated``."""
    return lambda where, lines: (where.roles[lines] == role) & ~where.is_generated


def _all(where: PromptPositions, lines: np.ndarray) -> np.ndarray:
    return where.real[lines] & ~where.begin[lines]


SCOPES = {
    scope.name: scope
    for scope in (
        NamedScope("last_prompt", _last_prompt, last=True, norm="last_prompt", choice=("last_prompt", "last token")),
        NamedScope("generated", _generated, generated=True, choice=("last_prompt+generated", "prompt end + answer")),
        NamedScope("image", _with_role(IMAGE), early=True, needs_roles=True, norm="image", choice=("image", "image")),
        NamedScope("text", _with_role(TEXT), early=True, needs_roles=True, norm="text", choice=("text", "text")),
        NamedScope("all", _all, early=True, last=True, generated=True, norm="all", choice=("all", "all")),
    )
}
"""Scopes by name, in the order in which they are offered and listed."""


def vector_scopes() -> tuple[str, ...]:
    """Names of the scopes at which concept vectors can be captured."""
    return tuple(name for name, scope in SCOPES.items() if scope.norm is not None)


def scope_label(scope: str) -> str:
    """Label of a scope, which is the panel's where it offers it: names joined by ``+``; other words as they are."""
    labels = dict(scope_choices())
    return labels.get(scope) or " + ".join(labels.get(name, name) for name in scope.split("+"))


def scope_choices() -> list[list[str]]:
    """Value and label of each scope that the panel offers."""
    return [list(scope.choice) for scope in SCOPES.values() if scope.choice is not None]


_SHOWN = 80


@dataclass(frozen=True)
class Scope:
    """A parsed token scope; exactly one of the three fields is filled.

    `names`: of ``SCOPES``; their union is selected. `numbers`: positions of the unpadded prompt, negative ones from its
    end. `mask`: [positions] of the prompt, [patch rows, patch columns] of the image, or [images, patch rows, patch
    columns] of several.
    """

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    mask: tuple[Any, ...] | None = None

    @property
    def parts(self) -> list[NamedScope]:
        """Declarations of the names."""
        return [SCOPES[name] for name in self.names]

    @property
    def generated(self) -> bool:
        """True if generated positions are selected."""
        return any(part.generated for part in self.parts)

    @property
    def last_prompt(self) -> bool:
        """True if the last prompt position is always selected."""
        return any(part.last for part in self.parts)

    @property
    def only_generated(self) -> bool:
        """True if nothing but generated positions is selected."""
        return bool(self.names) and not any(part.in_prompt for part in self.parts)

    @property
    def touches_prompt(self) -> bool:
        """True if positions before the last prompt token may be selected."""
        return not self.names or any(part.early for part in self.parts)

    def require_steps(self, steps: int | None) -> None:
        """Raise if only generated tokens are edited and none will be fed back (``steps`` is 0)."""
        if steps == 0 and self.only_generated:
            raise ValueError(
                "tokens='generated' can never be edited: no generated token is fed back to the model. Generate at "
                "least two tokens (the first comes from the last prompt position), or add 'last_prompt'."
            )

    def without_effect(self, began: bool, answered: bool) -> list[str]:
        """Names that edited nothing in a run that fed the last prompt token (``began``) or an answer (``answered``).

        Names whose positions all come before the last prompt token are left out.
        """
        late = [part for part in self.parts if part.last or part.generated]
        return [part.name for part in late if not (part.last and began or part.generated and answered)]

    def __str__(self) -> str:
        if self.mask is not None:
            mask = np.array(self.mask)
            shape = "×".join(map(str, mask.shape))
            return f"{mask.sum()} of {shape} {'positions' if mask.ndim == 1 else 'patches'}"
        return "+".join(self.names) if self.names else f"positions {', '.join(map(str, self.numbers))}"

    def plain(self) -> list[Any]:
        """Names, numbers or mask as lists that can be written as JSON."""
        return list(self.names or self.numbers) if self.mask is None else np.array(self.mask).tolist()

    def select(self, where: PromptPositions, lines: np.ndarray, samples: Sequence[str] | None = None) -> np.ndarray:
        """Mask of the selected columns.

        `lines`: lines of the batch that have this scope. `samples`: names of the samples, one per line of the batch,
        where positions are read. Without it they are edited: errors then name the row, and numbers end at the prompt.
        Returns bool array [len(lines), columns]. Raises ValueError if a part of the scope has no position in one of the
        prompts.
        """
        if self.mask is not None:
            mask = np.array(self.mask)
            return (_by_position if mask.ndim == 1 else _by_patch)(mask, where, lines, samples)
        chosen = np.zeros((len(lines), where.columns), dtype=bool)
        if self.numbers:
            chosen[np.arange(len(lines))[:, None], columns_of(self.numbers, where, lines, samples)] = True
        for part in self.parts:
            chosen |= _by_name(part, where, lines, samples)
        return chosen


def parse_scope(tokens: TokenScope | Scope) -> Scope:
    """Read a ``tokens=`` argument.

    `tokens` (str, sequence of str, int, sequence of int, or bool array): names of scopes; positions in the unpadded
    prompt (negative ones from its end); or a mask [positions], [patch rows, patch columns] or [images, patch rows,
    patch columns]. Raises ValueError if it is none of these, or selects nothing.
    """
    if isinstance(tokens, Scope):
        return tokens
    if isinstance(tokens, str):
        tokens = (tokens,)
    if isinstance(tokens, Sequence) and tokens and all(isinstance(t, str) for t in tokens):
        unknown = [t for t in tokens if t not in SCOPES]
        if unknown:
            _unreadable(f"'{unknown[0]}'")
        return Scope(names=tuple(dict.fromkeys(str(t) for t in tokens)))
    return _parse_array(tokens)


def parse_vector_scopes(tokens: TokenScope) -> tuple[str, ...]:
    """Names of the scopes at which vectors are captured, or a ValueError that lists them."""
    given = (tokens,) if isinstance(tokens, str) else tuple(tokens) if isinstance(tokens, (list, tuple)) else ()
    known = vector_scopes()
    unknown = [scope for scope in given if scope not in known]
    if unknown or not given or len(set(given)) != len(given):
        raise ValueError(
            f"tokens: expected one or several different ones of {', '.join(known)}; "
            f"got {(unknown[0] if unknown else tokens)!r}."
        )
    return tuple(map(str, given))


def _unreadable(got: str) -> NoReturn:
    raise ValueError(
        f"tokens: expected one or several of {', '.join(SCOPES)}, a list of different positions, or a bool mask "
        f"[positions], [patch rows, patch columns] or [images, patch rows, patch columns]; got {got}."
    )


def _parse_array(tokens: object) -> Scope:
    try:
        array = np.asarray(tokens.detach().cpu() if isinstance(tokens, Tensor) else tokens)
    except (ValueError, TypeError):
        _unreadable(shortened(repr(tokens), _SHOWN))
    if array.dtype == bool and array.ndim in (1, 2, 3) and array.size:
        if not array.any():
            what = "the mask selects no position" if array.ndim == 1 else "the patch mask selects no patch"
            raise ValueError(f"tokens: {what}, so it can never be edited or read.")
        return Scope(mask=_nested(array.tolist()))
    if array.ndim < 2 and array.size and np.issubdtype(array.dtype, np.integer):
        numbers = tuple(int(n) for n in array.reshape(-1))
        if len(set(numbers)) == len(numbers):
            return Scope(numbers=numbers)
    _unreadable(shortened(repr(tokens), _SHOWN))


def require_image_at_input(names: Sequence[str], layers: Iterable[int], what: str) -> None:
    """Raise a ValueError if named scopes other than ``"image"`` are asked for at the input of block 0.

    `names`: of scopes or kinds of position. `layers`: Coordinates. `what`: beginning of the message: the argument, and
    what was given.
    """
    others = [name for name in names if name != "image"]
    if others and schema.INPUT in layers:
        raise ValueError(
            f"{what}: at 'input', the input of block 0, a text position holds its token's own embedding, whatever the "
            f"image is, so that '{others[0]}' has no direction there. Give the scope 'image' alone, or leave 'input' "
            "out of layers."
        )


def _nested(values: object) -> Any:
    return tuple(map(_nested, values)) if isinstance(values, list) else values


def _subject(line: int, samples: Sequence[str] | None) -> str:
    return f"row {line}" if samples is None else f"sample {samples[line]}"


def _never(samples: Sequence[str] | None) -> str:
    return "can never be edited" if samples is None else "cannot be read"


def _by_name(part: NamedScope, where: PromptPositions, lines: np.ndarray, samples: Sequence[str] | None) -> np.ndarray:
    if part.needs_roles and not where.roles_known:
        raise ValueError(
            f"tokens='{part.name}' cannot be found: the model is called with embeddings, which do not say what is "
            "image and what is text. Use mp.generate, which knows the prompt."
        )
    chosen = part.select(where, lines)
    if part.early and not part.last:
        empty = np.flatnonzero(~chosen.any(1))
        if len(empty):
            line = int(lines[empty[0]])
            raise ValueError(
                f"tokens='{part.name}' {_never(samples)}: the prompt of {_subject(line, samples)} has no {part.name} "
                f"tokens. It has {where.counts(line)}."
            )
    return chosen


def columns_of(
    numbers: Sequence[int], where: PromptPositions, lines: np.ndarray, samples: Sequence[str] | None = None
) -> np.ndarray:
    """Columns of numbered positions, int [len(lines), numbers].

    See ``Scope.select``; positions that are read may lie in the text after the prompt.
    """
    asked, lengths, before = np.array(numbers)[None], where.lengths[lines], where.before[lines]
    ends = lengths if samples is None else before + where.real[lines].sum(1)
    counted = np.where(asked < 0, asked + lengths[:, None], asked)
    outside = np.argwhere((counted < before[:, None]) | (counted >= ends[:, None]))
    if len(outside):
        row, slot = outside[0]
        raise ValueError(
            f"tokens: position {numbers[slot]} {_never(samples)}: the prompt of {_subject(int(lines[row]), samples)} "
            f"has {lengths[row]} positions, {before[row]} … {ends[row] - 1} (negative ones count from its end)."
        )
    place = where.place[lines]
    return np.argmax(place[:, None, :] == counted[:, :, None], axis=-1)


def _by_position(
    mask: np.ndarray, where: PromptPositions, lines: np.ndarray, samples: Sequence[str] | None
) -> np.ndarray:
    wrong = np.flatnonzero(where.lengths[lines] != len(mask))
    if len(wrong):
        line = int(lines[wrong[0]])
        raise ValueError(
            f"tokens: a mask of {len(mask)} positions does not fit: the prompt of {_subject(line, samples)} has "
            f"{where.lengths[line]}."
        )
    place = where.place[lines]
    return (place >= 0) & ~where.is_generated & mask[place.clip(0, len(mask) - 1)]


def _by_patch(mask: np.ndarray, where: PromptPositions, lines: np.ndarray, samples: Sequence[str] | None) -> np.ndarray:
    several = mask if mask.ndim == 3 else mask[None]
    shape = "×".join(map(str, mask.shape))
    for line in map(int, lines):
        grids = where.grids(line)
        whose = _subject(line, samples)
        if not grids:
            raise ValueError(
                f"tokens: a patch mask {_never(samples)}: the patches of the image in {whose} are not known. "
                "Name 'image', or give positions."
            )
        if mask.ndim == 2 and len(grids) > 1:
            raise ValueError(
                f"tokens: a mask [patch rows, patch columns] does not say which of the {len(grids)} images of "
                f"{whose} it means: give one mask for each, [images, patch rows, patch columns], or positions."
            )
        if len(grids) != len(several) or any(grid != several.shape[1:] for grid in grids):
            shapes = ", ".join(f"{rows}×{columns}" for rows, columns in grids)
            images = "the image of {} has {} patches" if len(grids) == 1 else "the images of {} have {} patches"
            raise ValueError(f"tokens: the patch mask is {shape}, but {images.format(whose, shapes)}.")
    image, rows, columns = where.image[lines], where.patch_row[lines], where.patch_column[lines]
    return (rows >= 0) & several[image.clip(0), rows.clip(0), columns.clip(0)]


ABSENT: Mapping[str, str | int] = {
    schema.TOKEN_TEXT: "",
    schema.ROLE: "padding",
    schema.KIND: "padding",
    schema.IMAGE: -1,
    schema.PATCH_ROW: -1,
    schema.PATCH_COLUMN: -1,
    schema.STEP: -1,
}
"""Coordinates of a position, and their values where a sample has no such position."""


@dataclass(frozen=True)
class Places:
    """Chosen positions of one batch.

    `labels`: one per slot: position in the unpadded prompt, or the negative number that was asked for. `columns` (int64
    array [rows, slots]): column of the batch, -1 where the row has no such position.
    """

    labels: list[int]
    columns: np.ndarray


def find_places(encoded: Encoded, scope: Scope) -> Places:
    """Columns of a batch that a scope selects.

    Raises ValueError: naming the sample that has no such position.
    """
    where, everyone = of_encoded(encoded), np.arange(encoded.rows)
    if scope.names == ("last_prompt",):  # one label for prompts of all lengths
        return Places([-1], where.last[:, None])
    if scope.numbers:
        return Places(list(scope.numbers), columns_of(scope.numbers, where, everyone, encoded.sample_ids))
    chosen = scope.select(where, everyone, encoded.sample_ids)
    empty = np.flatnonzero(~chosen.any(1))
    if empty.size:
        advice = "; give continuation= to have generated tokens" if scope.only_generated else ""
        raise ValueError(f"sample {encoded.sample_ids[empty[0]]} has no token of the scope '{scope}'{advice}.")
    rows, columns = np.nonzero(chosen)
    labels, slots = np.unique(where.place[rows, columns], return_inverse=True)
    table = np.full((encoded.rows, len(labels)), -1)
    table[rows, slots] = columns
    return Places(labels.tolist(), table)


def companions(encoded: Encoded, places: Places) -> dict[str, np.ndarray]:
    """Coordinates of the chosen positions, arrays [rows, slots] by the names of ``ABSENT``."""
    columns, rows = places.columns.clip(0), np.arange(encoded.rows)[:, None]
    step = columns - encoded.prompt_length
    values = {
        schema.TOKEN_TEXT: np.array(encoded.token_text, dtype=object)[rows, columns],
        schema.ROLE: np.array(schema.ROLES)[encoded.roles.numpy()[rows, columns]],
        schema.KIND: np.array(POSITION_KINDS)[of_encoded(encoded).position_kind[rows, columns]],
        schema.IMAGE: encoded.image[rows, columns],
        schema.PATCH_ROW: encoded.patch_row[rows, columns],
        schema.PATCH_COLUMN: encoded.patch_column[rows, columns],
        schema.STEP: np.where(step >= 0, step, -1),
    }
    return {name: np.where(places.columns < 0, ABSENT[name], value) for name, value in values.items()}


def as_coordinate(name: str, table: np.ndarray) -> np.ndarray:
    """A table of companions in the type of their coordinate: text or int64."""
    return table.astype(np.str_ if isinstance(ABSENT[name], str) else np.int64)
