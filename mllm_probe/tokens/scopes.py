"""Named token scopes, one declaration each, from which everything that depends on a scope is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mllm_probe.models.roles import IMAGE, TEXT
from mllm_probe.tokens.positions import PromptPositions

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
