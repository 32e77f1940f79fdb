"""The kind of a position: image, text, last prompt token or generated; it decides which vector and norm apply there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.models.roles import IMAGE as IMAGE_ROLE

KINDS = ("last_prompt", "image", "text")
"""Kinds at which vectors and residual norms are measured."""

POSITION_KINDS = (*KINDS, "generated")
"""Every kind of position."""

LAST_PROMPT, IMAGE, TEXT, GENERATED = range(4)
_MEASURED_AT = np.array([LAST_PROMPT, IMAGE, TEXT, LAST_PROMPT], np.int8)


def position_kinds(roles: np.ndarray, last: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Kind of every position of a batch: the only place where it is decided.

    `roles` (int8 array [rows, columns]): indices into ``schema.ROLES``. `last` (int array [rows]): column of the last
    prompt token. `generated` (bool array [columns]): columns after the prompt. Returns int8 array [rows, columns]:
    indices into ``POSITION_KINDS``; special tokens (and padding) count as text.
    """
    kinds = np.where(roles == IMAGE_ROLE, IMAGE, TEXT).astype(np.int8)
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
