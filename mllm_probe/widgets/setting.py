"""One setting of the panel's controls: what it steers with, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT
from mllm_probe.steering import Composition, Steering, compose
from mllm_probe.tokens import scope_choices

SETTINGS = (
    "picture",
    "prompt",
    "concept",
    "second",
    "second_strength",
    "layer",
    "window",
    "strength",
    "scope",
    "patches",
    "seed",
)
PAINTED = "painted"


def scopes_for(scope: str, painted: bool) -> list[list[str]]:
    """Value and label of each scope to choose from: the usual ones, painted patches if there are any, and ``scope``."""
    known = scope_choices() + ([[PAINTED, PAINTED]] if painted else [])
    return known if scope in dict(known) or scope == PAINTED else [*known, [scope, scope]]


class ByConcept:
    """Vectors of one concept at a time; asked again it gives the same dataset, so that what was read of it is kept.

    Parameters
    ----------
    vectors : Dataset
    """

    def __init__(self, vectors: xr.Dataset) -> None:
        self._vectors = vectors
        self._known: dict[str, xr.Dataset] = {}

    def __getitem__(self, name: str) -> xr.Dataset:
        """Vectors of a concept; a ValueError if there are none."""
        if name not in self._known:
            if name not in self._vectors[CONCEPT].values:
                raise ValueError(f"there is no vector for concept '{name}'; choose one of the list.")
            self._known[name] = self._vectors.sel({CONCEPT: name})
        return self._known[name]


@dataclass(frozen=True)
class Setting:
    """What one generation is made with.

    Attributes
    ----------
    picture : int
    prompt : str
    concept, second : str
        ``second`` is empty for one concept alone.
    strength, second_strength : float
    layer : int
        First layer of the window.
    window : tuple of int
        First and last layer.
    scope : str
        Names of tokens joined by ``+``, or ``"painted"``.
    patches : tuple of tuple of bool
        Mask over the picture's patches, for ``"painted"``.
    seed : int
        Of the random direction.
    """

    picture: int
    prompt: str
    concept: str
    second: str
    second_strength: float
    layer: int
    window: tuple[int, ...]
    strength: float
    scope: str
    patches: tuple[tuple[bool, ...], ...]
    seed: int

    @classmethod
    def of(cls, panel: Any) -> Setting:
        """The setting that a panel's traits say now."""
        values = {name: getattr(panel, name) for name in SETTINGS}
        values["window"] = tuple(values["window"]) or (values["layer"], values["layer"])
        values["patches"] = tuple(tuple(bool(cell) for cell in row) for row in values["patches"])
        return cls(**values)

    @property
    def tokens(self) -> Any:
        """The scope as `Steering` takes it."""
        return np.array(self.patches, dtype=bool) if self.scope == PAINTED else tuple(self.scope.split("+"))

    @property
    def concepts(self) -> list[tuple[str, float]]:
        """Concepts with their strengths."""
        return [(self.concept, self.strength)] + ([(self.second, self.second_strength)] if self.second else [])

    def layers(self, known: list[int]) -> list[int]:
        """Layers of the window, of those that there are vectors for."""
        first, last = self.window
        return [layer for layer in known if first <= layer <= last] or [first]

    def steering(self, vectors: ByConcept, unit: str, known: list[int]) -> Steering | Composition:
        """The steering of this setting.

        Raises
        ------
        ValueError
            If a concept, a layer or the scope is none.
        """
        layers = self.layers(known)
        parts = [
            Steering(vectors[name], layers, strength, unit=unit, tokens=self.tokens) for name, strength in self.concepts
        ]
        return parts[0] if len(parts) == 1 else compose(*parts)

    def said(self) -> dict[str, Any]:
        """The setting as plain data, as it is kept beside a pinned answer."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return values | {"window": list(self.window), "patches": [list(row) for row in self.patches]}


def following_from(state: dict[str, Any], window: list[int], scope: str) -> dict[str, Any]:
    """A change of the controls with what follows from it.

    Parameters
    ----------
    state : dict
        Controls that change. A window decides the layer; a layer that is not the window's first makes a window of one;
        painted patches choose the scope, and without any left the whole picture is edited.
    window : list of int
        First and last layer so far.
    scope : str
        So far.
    """
    following = dict(state)
    if "window" in state:
        following["window"] = sorted(state["window"])
        following["layer"] = following["window"][0]
    elif "layer" in state and state["layer"] != window[0]:
        following["window"] = [state["layer"]] * 2
    if "patches" in state:
        painted = any(map(any, state["patches"]))
        following.setdefault("scope", PAINTED if painted else "image" if scope == PAINTED else scope)
        following["scopes"] = scopes_for(following["scope"], painted)
    return following
