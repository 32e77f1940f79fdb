"""Columns of a batch: roles, padding, the kind of each position, patches and generated tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.models.inputs import IMAGE, PADDING, begin_of_sequence, patch_positions, token_roles
from mllm_probe.models.inputs import IMAGE as IMAGE_ROLE
from mllm_probe.schema import ROLES
from mllm_probe.typing import CallArguments

if TYPE_CHECKING:
    from mllm_probe.models import Encoded, ProbeModel


KINDS = ("last_prompt", "image", "text")
"""Kinds at which vectors and residual norms are measured."""

POSITION_KINDS = (*KINDS, "generated")
"""Every kind of position."""

LAST_PROMPT, IMAGE_KIND, TEXT_KIND, GENERATED = range(4)
_MEASURED_AT = np.array([LAST_PROMPT, IMAGE_KIND, TEXT_KIND, LAST_PROMPT], np.int8)


def position_kinds(roles: np.ndarray, last: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Kind of every position of a batch: the only place where it is decided.

    `roles` (int8 array [rows, columns]): indices into ``schema.ROLES``. `last` (int array [rows]): column of the last
    prompt token. `generated` (bool array [columns]): columns after the prompt. Returns int8 array [rows, columns]:
    indices into ``POSITION_KINDS``; special tokens (and padding) count as text.
    """
    kinds = np.where(roles == IMAGE_ROLE, IMAGE_KIND, TEXT_KIND).astype(np.int8)
    kinds[:, generated] = GENERATED
    kinds[np.arange(len(roles)), last] = LAST_PROMPT
    return kinds


def measured_kinds(kinds: np.ndarray) -> np.ndarray:
    """Kinds whose vector and norm positions use, as indices into ``KINDS``: a generated one uses last_prompt's."""
    return _MEASURED_AT[kinds]


def captured_kinds(activations: xr.Dataset) -> list[str]:
    """Name of the kind of each token of a capture (of ``POSITION_KINDS``).

    Raises ValueError if the samples have different kinds at the same token, or the dataset lacks the coordinate.
    """
    if schema.KIND not in activations.coords:
        raise ValueError(
            f"these activations have no coordinate '{schema.KIND}', which says what each token is (image, text, "
            "last_prompt or generated): capture them again with mp.capture."
        )
    kinds = activations[schema.KIND].values
    if kinds.ndim > 1:
        raise ValueError(
            "projections need samples whose tokens are of the same kinds (image, text, last_prompt, generated) at the "
            "same positions: capture them one by one."
        )
    return [str(kind) for kind in np.atleast_1d(kinds)]


def measured_names(kinds: Sequence[str]) -> list[str]:
    """Names of the kinds whose vector and norm positions use; see ``measured_kinds``."""
    return [KINDS[_MEASURED_AT[POSITION_KINDS.index(kind)]] for kind in kinds]


@dataclass(frozen=True)
class PromptPositions:
    """Known columns of a batch: its prompt, and the teacher-forced text after it.

    `roles` (int8 array [lines, columns]): indices into ``schema.ROLES``.
    `begin` (bool array [lines, columns]): begin-of-sequence tokens.
    `prompt_length`: columns of the prompt; the rest is generated.
    `image`, `patch_row`, `patch_column` (int array [lines, columns]): number of an image token's image in the prompt,
        and its place there; -1 elsewhere.
    `offset`: number of the first known column in the sequence (the length of the cache before the call).
    `before` (int array [lines]): positions without padding that were in the cache before.
    `roles_known`: False where the model was called with embeddings only.
    """

    roles: np.ndarray
    begin: np.ndarray
    prompt_length: int
    image: np.ndarray
    patch_row: np.ndarray
    patch_column: np.ndarray
    before: np.ndarray
    offset: int = 0
    roles_known: bool = True

    @property
    def lines(self) -> int:
        """Number of lines of the batch."""
        return self.roles.shape[0]

    @property
    def columns(self) -> int:
        """Number of known columns."""
        return self.roles.shape[1]

    @cached_property
    def real(self) -> np.ndarray:
        """Columns that are not padding, bool [lines, columns]."""
        return self.roles != PADDING

    @cached_property
    def is_generated(self) -> np.ndarray:
        """Columns after the prompt, bool [columns]."""
        return np.arange(self.columns) >= self.prompt_length

    @cached_property
    def place(self) -> np.ndarray:
        """Position in the unpadded prompt, -1 at padding, int [lines, columns]."""
        return np.where(self.real, self.before[:, None] + self.real.cumsum(1) - 1, -1)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of prompt positions without padding, int [lines]."""
        return self.before + self.real[:, : self.prompt_length].sum(1)

    @cached_property
    def last(self) -> np.ndarray:
        """Column of the last prompt position, int [lines]."""
        prompt = self.real[:, : self.prompt_length]
        return self.prompt_length - 1 - prompt[:, ::-1].argmax(1)

    @cached_property
    def position_kind(self) -> np.ndarray:
        """Index into ``POSITION_KINDS``, int8 [lines, columns]."""
        return position_kinds(self.roles, self.last, self.is_generated)

    @cached_property
    def kind(self) -> np.ndarray:
        """Index into ``KINDS``, int8 [lines, columns]: the kind whose vector and norm a position uses."""
        return measured_kinds(self.position_kind)

    def grids(self, line: int) -> list[tuple[int, int]]:
        """Rows and columns of patches of each image of a prompt; empty where they are not known."""
        image, rows, columns = self.image[line], self.patch_row[line], self.patch_column[line]
        return [
            (int(rows[image == number].max()) + 1, int(columns[image == number].max()) + 1)
            for number in range(int(image.max(initial=-1)) + 1)
            if (rows[image == number] >= 0).any()
        ]

    def has_role(self, name: str) -> np.ndarray:
        """Columns with a role, bool [lines, columns]."""
        return self.roles == ROLES.index(name)

    def counts(self, line: int) -> str:
        """Numbers of tokens by role in a prompt, as text."""
        roles = self.roles[line, : self.prompt_length]
        return ", ".join(f"{(roles == i).sum()} {name}" for i, name in enumerate(ROLES) if name != "padding")

    def expanded(self, lines: int) -> PromptPositions:
        """Positions of one prompt, repeated for every line."""
        if self.lines == lines:
            return self
        grow = {n: np.repeat(getattr(self, n), lines // self.lines, axis=0) for n in _ARRAYS}
        return PromptPositions(
            prompt_length=self.prompt_length, offset=self.offset, roles_known=self.roles_known, **grow
        )


_ARRAYS = ("roles", "begin", "image", "patch_row", "patch_column", "before")


def of_encoded(encoded: Encoded) -> PromptPositions:
    """Positions of a batch that the package encoded."""
    return PromptPositions(
        roles=encoded.roles.numpy(),
        begin=encoded.begin,
        prompt_length=encoded.prompt_length,
        image=encoded.image,
        patch_row=encoded.patch_row,
        patch_column=encoded.patch_column,
        before=np.zeros(encoded.rows, int),
    )


def of_call(model: ProbeModel, arguments: CallArguments, offset: int) -> PromptPositions:
    """Positions of a prompt that is only known from the model's own call.

    `arguments`: the call's ``input_ids`` (or ``inputs_embeds``, which leave the roles unknown) and ``attention_mask``.
    `offset`: number of positions in the cache before this call.
    """
    ids, columns = sequence_of(arguments)
    lines, width = columns
    whole = arguments.get("decoder_attention_mask" if "decoder_input_ids" in arguments else "attention_mask")
    whole = whole.cpu() if isinstance(whole, Tensor) and whole.ndim == 2 and whole.shape[1] >= width else None
    mask = None if whole is None else whole[:, -width:]
    # Positions count real tokens alone: padding in the cached part is in the mask, and only there.
    before = np.full(lines, offset) if whole is None else whole[:, :-width].sum(1).numpy()
    if ids is None:
        roles = np.zeros((lines, width), np.int8)
        if mask is not None:
            roles[(mask == 0).numpy()] = PADDING
        nowhere = np.full((lines, width), -1, np.int32)
        begin = np.zeros((lines, width), bool)
        return PromptPositions(roles, begin, width, nowhere, nowhere, nowhere, before, offset, roles_known=False)
    ids = ids.cpu()
    roles = token_roles(model, ids, mask).numpy()
    marked = arguments.get("image_embeds_position_mask")
    if isinstance(marked, Tensor) and tuple(marked.shape) == roles.shape:
        roles[marked.bool().cpu().numpy()] = IMAGE
    places = np.stack([_places(row) for row in roles], 1)
    starts = "decoder_input_ids" not in arguments and not offset
    begin = begin_of_sequence(model, ids, torch.from_numpy(roles)) if starts else np.zeros(roles.shape, bool)
    return PromptPositions(roles, begin, width, places[0], places[1], places[2], before, offset)


def sequence_of(arguments: CallArguments) -> tuple[Tensor | None, tuple[int, int]]:
    """Token ids that the decoder blocks see in this call (None for embeddings), and their shape (lines, tokens)."""
    for name in ("decoder_input_ids", "input_ids"):
        if isinstance(arguments.get(name), Tensor):
            ids = arguments[name]
            return ids, (ids.shape[0], ids.shape[1])
    for name in ("decoder_inputs_embeds", "inputs_embeds"):
        if isinstance(arguments.get(name), Tensor):
            return None, (arguments[name].shape[0], arguments[name].shape[1])
    raise ValueError(f"the model was called without input_ids or inputs_embeds; it got {', '.join(arguments)}.")


def _places(roles: np.ndarray) -> np.ndarray:
    """Image, row and column of image tokens where the number of images is not known: one, or one per run."""
    whole = patch_positions(roles, None)
    runs = 1 + int((np.diff(np.flatnonzero(roles == IMAGE)) > 1).sum())
    return whole if runs == 1 or (whole >= 0).any() else patch_positions(roles, runs)
