"""One setting of the panel's controls and the steering it defines, how fluent its doses are, and pinned answers."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import traitlets
import xarray as xr

from mllm_probe.schema import CONCEPT
from mllm_probe.steering import Composition, Steering, compose
from mllm_probe.studies.cell_scores import fluent_range, perplexity_by_dose
from mllm_probe.studies.recommendation import Recommended
from mllm_probe.tokens import scope_choices, scope_label
from mllm_probe.tokens.selection import parse_scope
from mllm_probe.typing import TokenScope, Traits

PAINTED = "painted"
SELECTED = "selected"
_DEFAULT_SCOPE = "last_prompt+generated"
_CHOSEN_BY_HAND = {PAINTED: "patches", SELECTED: "positions"}
"""Scopes that are chosen by hand, with the control that holds the choice."""
_WITHOUT = {PAINTED: ("image", "the whole image"), SELECTED: (_DEFAULT_SCOPE, "the end of the prompt and the answer")}
"""Scope that takes the place of one whose choice is empty, and its description."""


_SHOWN_BESIDE = {"window": "layer", "patches": "scope", "positions": "scope"}
"""Control beside which errors of another one are shown."""


class SettingError(ValueError):
    """A value of one control that cannot be used.

    `control`: name of the setting.
    """

    def __init__(self, control: str, message: str) -> None:
        super().__init__(message)
        self.control = control


def _control(trait: traitlets.TraitType) -> dict[str, traitlets.TraitType]:
    return {"trait": trait.tag(sync=True)}


@dataclass(frozen=True)
class Setting:
    """Settings of one generation; the panel has a trait for each field.

    `picture`: number of the image.
    `concept`, `second`: ``second`` is empty for one concept alone.
    `layer`: first layer of the window.
    `window`: first and last layer.
    `scope`: names of tokens joined by ``+``, ``"painted"`` for ``patches`` or ``"selected"`` for ``positions``.
    `patches`: mask over the picture's patches [rows][columns].
    `positions`: positions of the prompt.
    `seed`: of the random direction.
    """

    picture: int = field(metadata=_control(traitlets.Int(0)))
    prompt: str = field(metadata=_control(traitlets.Unicode("")))
    concept: str = field(metadata=_control(traitlets.Unicode("")))
    second: str = field(metadata=_control(traitlets.Unicode("")))
    second_strength: float = field(metadata=_control(traitlets.Float(1.0)))
    layer: int = field(metadata=_control(traitlets.Int(0)))
    window: tuple[int, ...] = field(metadata=_control(traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2)))
    strength: float = field(metadata=_control(traitlets.Float(1.0)))
    scope: str = field(metadata=_control(traitlets.Unicode(_DEFAULT_SCOPE)))
    patches: tuple[tuple[bool, ...], ...] = field(metadata=_control(traitlets.List(traitlets.List(traitlets.Bool()))))
    positions: tuple[int, ...] = field(metadata=_control(traitlets.List(traitlets.Int())))
    seed: int = field(metadata=_control(traitlets.Int(0)))

    @classmethod
    def of(cls, panel: object, **other: object) -> Setting:
        """Read the setting from the traits of a panel, with some values in place of its own."""
        values: Traits = {name: _frozen(other.get(name, getattr(panel, name))) for name in SETTINGS}
        return cls(**values)

    @property
    def tokens(self) -> TokenScope:
        """The scope as `Steering` takes it."""
        if self.scope == PAINTED:
            return np.array(self.patches, dtype=bool)
        return list(self.positions) if self.scope == SELECTED else tuple(self.scope.split("+"))

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

        Raises ValueError if a concept, a layer or the scope does not exist.
        """
        layers = self.layers(known)
        parts = [
            Steering(vectors[name], layers, strength, unit=unit, tokens=self.tokens) for name, strength in self.concepts
        ]
        return parts[0] if len(parts) == 1 else compose(*parts)

    def plain(self) -> Traits:
        """Values by name, as lists and scalars that JSON takes."""
        return {name: thawed(getattr(self, name)) for name in SETTINGS}


SETTINGS = tuple(field.name for field in fields(Setting))
SettingTraits: Any = types.new_class(
    "SettingTraits",
    (traitlets.HasTraits,),
    exec_body=lambda body: body.update({field.name: field.metadata["trait"] for field in fields(Setting)}),
)
"""A synchronised trait for each field of `Setting`."""


class ByConcept:
    """Vectors of one concept at a time; repeated calls return the same dataset, so its cached readings stay valid."""

    def __init__(self, vectors: xr.Dataset) -> None:
        self._vectors = vectors
        self._known: dict[str, xr.Dataset] = {}

    def __getitem__(self, name: str) -> xr.Dataset:
        """Vectors of a concept; a SettingError if there are none."""
        if name not in self._known:
            if name not in self._vectors[CONCEPT].values:
                raise SettingError("concept", f"there is no vector for concept '{name}'; choose one of the list.")
            self._known[name] = self._vectors.sel({CONCEPT: name})
        return self._known[name]


def scopes_for(setting: Setting) -> list[list[str]]:
    """Value and label of each scope to choose from: the usual ones, those chosen by hand, and the present one."""
    known = scope_choices()
    known += [[scope, scope] for scope, held in _CHOSEN_BY_HAND.items() if chosen_any(getattr(setting, held))]
    if setting.scope not in {*dict(known), *_CHOSEN_BY_HAND}:
        known.append([setting.scope, scope_label(setting.scope)])
    return known


def controls_at(recommended: Recommended) -> Traits:
    """Controls of a recommended setting."""
    layer = recommended.layer
    return {
        "layer": layer,
        "window": [layer, layer],
        "strength": recommended.strength,
        "scope": recommended.scope,
    }


def advice_for(setting: Setting, recommended: Mapping[str, Recommended]) -> str:
    """Text about the recommended setting of the concept on display; empty where there is none."""
    best = recommended.get(setting.concept)
    if best is None or setting.second:
        return ""
    if _is_at(setting, best):
        return (
            f"Recommended setting for {setting.concept}: score {best.score:.2f} on {best.n} other images "
            "(1: every answer names it, is fluent and keeps the image's content)."
        )
    return (
        f"Recommended for {setting.concept}: {scope_label(best.scope)}, layer {best.layer}, strength {best.strength:g}."
    )


def _is_at(setting: Setting, recommended: Recommended | None) -> bool:
    if recommended is None or setting.second:
        return False
    place = setting.scope, setting.window, setting.strength
    return place == (recommended.scope, (recommended.layer,) * 2, recommended.strength)


def following_from(
    state: Traits, before: Setting, recommended: Mapping[str, Recommended] = types.MappingProxyType({})
) -> Traits:
    """A change of the controls with everything that follows from it.

    A window decides the layer; a layer that is not the window's first makes a window of one. Painted patches and
    selected tokens choose the scope, and lose their meaning with another image; selected tokens with another prompt.

    `state`: controls that change. `before`: the setting before the change. `recommended`: by concept. A panel at the
    recommended setting of one concept goes to that of the next. Returns: controls, and the panel's ``scopes`` and
    ``scope_note``.
    """
    following = dict(state)
    if set(state) == {"concept"} and _is_at(before, recommended.get(before.concept)):
        state = state | (controls_at(recommended[state["concept"]]) if state["concept"] in recommended else {})
        following = dict(state)
    if "window" in state:
        following["window"] = sorted(state["window"])
        following["layer"] = following["window"][0]
    elif "layer" in state and state["layer"] != before.window[0]:
        following["window"] = [state["layer"]] * 2
    note = ""
    for scope, held in _CHOSEN_BY_HAND.items():
        lost = _lost(scope, state, before)
        if lost:
            following[held] = []
        if held not in following:
            continue
        present = following.get("scope", before.scope)
        if chosen_any(following[held]):
            following.setdefault("scope", scope)
        elif present == scope:
            following["scope"], edited = _WITHOUT[scope]
            note = f"{lost} {edited.capitalize()} {'is' if scope == PAINTED else 'are'} steered now." if lost else ""
    if {"scope", "picture", "prompt", *_CHOSEN_BY_HAND.values()} & set(following):
        following["scope_note"] = note
        following["scopes"] = scopes_for(replace(before, **{n: following[n] for n in SETTINGS if n in following}))
    return following


def _lost(scope: str, state: Traits, before: Setting) -> str:
    """Why a choice by hand has no meaning after this change; empty if it has."""
    held = _CHOSEN_BY_HAND[scope]
    if held in state or not chosen_any(getattr(before, held)):
        return ""
    if state.get("picture", before.picture) != before.picture:
        return f"The {'painted patches' if scope == PAINTED else 'selected tokens'} belonged to the previous image."
    if scope == SELECTED and state.get("prompt", before.prompt) != before.prompt:
        return "The selected tokens belonged to the previous prompt."
    return ""


def _frozen(value: object) -> object:
    """A value with tuples in place of its lists."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def thawed(value: object) -> object:
    """A value with lists in place of its tuples."""
    return [thawed(each) for each in value] if isinstance(value, (list, tuple)) else value


def chosen_any(chosen: Sequence[object]) -> bool:
    """Whether a mask has a painted patch, or a list of positions a token."""
    return any(any(row) if isinstance(row, Sequence) else True for row in chosen)


MOST = 4

Pin = dict[str, Any]


def with_pin(
    pins: Sequence[Pin],
    setting: Setting,
    picture: str,
    answers: Traits,
    read: Traits,
    code: str,
) -> list[Pin]:
    """The pins with one more; a setting that is pinned already is not pinned twice.

    `picture`: its label.
    `answers`: by name of the row, and what is known of them.
    `read`: their spans and facts, by name of the row.
    `code`: code that reproduces them.

    Raises ValueError if there are four already.
    """
    if any(old["setting"] == setting.plain() for old in pins):
        return list(pins)
    if len(pins) >= MOST:
        raise ValueError(f"{MOST} settings are pinned already; remove one first.")
    number = 1 + max((old["id"] for old in pins), default=0)
    entry = {"id": number, "setting": setting.plain(), "picture": picture, "code": code}
    return [*pins, entry | {"answers": answers} | read]


def without_pin(pins: Sequence[Pin], number: int) -> list[Pin]:
    """The pins but one."""
    return [old for old in pins if old["id"] != number]


def weighed(grid: xr.Dataset | None, setting: Setting, unit: str) -> Traits:
    """Doses of a setting that a grid has run, with their perplexity ratio, and the fluent range.

    `grid`: from `mllm_probe.sweep`, whole or still filling. `setting`: a window of several layers, a second concept,
    another prompt or another scope than the grid's was not run. `unit`: of the setting's strength.
    """
    doses = []
    if grid is not None and _same(grid, setting, unit):
        doses = perplexity_by_dose(grid, setting.concept, setting.layer)
    low, high = fluent_range(doses)
    return {"doses": doses, "safe_low": low, "safe_high": high}


def _same(grid: xr.Dataset, setting: Setting, unit: str) -> bool:
    first, last = setting.window
    attrs = grid.attrs
    return (
        first == last
        and not setting.second
        and attrs.get("prompt", setting.prompt) == setting.prompt
        and attrs.get("scope") == str(parse_scope(setting.tokens))
        and attrs.get("unit") == unit
        and attrs.get("operation", "add") == "add"
    )


def cause_of(error: Exception, setting: Setting, before: Setting | None, concepts: Sequence[str]) -> str:
    """Control that an error is about: the one it names, else the only one moved since the last answers."""
    if isinstance(error, SettingError):
        return "second" if error.control == "concept" and setting.concept in concepts else error.control
    if not isinstance(error, ValueError) or before is None:
        return ""
    old, new = before.plain(), setting.plain()
    moved = {_SHOWN_BESIDE.get(name, name) for name in SETTINGS if old[name] != new[name]}
    return moved.pop() if len(moved) == 1 else ""
