"""The one selection of a lab: read, set, written as a line of Python, taken back and done again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import traitlets
from traitlets.utils.bunch import Bunch

from mllm_probe.models.argument_checks import described, finite_number, require_one_of, whole_number
from mllm_probe.schema import UNITS
from mllm_probe.studies.recommendation import Recommended
from mllm_probe.tokens.selection import parse_scope
from mllm_probe.typing import TokenScope, Traits
from mllm_probe.widgets.lab.lab_bar import LabBar
from mllm_probe.widgets.panel.setting import PAINTED, SELECTED, Setting, controls_at, thawed
from mllm_probe.widgets.panel.steering_panel import SteeringPanel

_CONTROLS = {
    "concept": "concept",
    "second_concept": "second",
    "second_dose": "second_strength",
    "layers": "window",
    "dose": "strength",
    "unit": "strength_unit",
    "tokens": "scope",
    "picture": "picture",
    "prompt": "prompt",
    "seed": "seed",
}
"""Control of the panel for each key of a selection."""
_BY_HAND = (PAINTED, SELECTED)
_ALWAYS = ("dose", "tokens", "picture")
"""Keys that the line of Python has whether or not they are as the lab opened with."""
PAUSE = 0.5
"""Seconds within which moves of the same control are one step: a slider sends about twenty a second."""
LONGEST = 200
"""Steps that are remembered."""


def selection_of(panel: SteeringPanel) -> Traits:
    """The selection of a panel's present setting; tokens chosen by hand are positions, or a mask over patches."""
    chosen = {key: thawed(getattr(panel, control)) for key, control in _CONTROLS.items()}
    if panel.scope in _BY_HAND:
        chosen["tokens"] = thawed(panel.patches if panel.scope == PAINTED else panel.positions)
    return chosen


def controls_of(selection: Mapping[str, object], panel: SteeringPanel) -> Traits:
    """Controls of a panel that a selection, or a part of one, sets.

    Raises ValueError for an unknown key, and for a value that the panel cannot take.
    """
    state: Traits = {}
    for key, value in selection.items():
        if key not in _CONTROLS:
            raise ValueError(
                f"selection: expected keys of {', '.join(_CONTROLS)}; got {described(key)}. Give what lab.selection "
                "returns, or a part of it."
            )
        state |= _tokens(value) if key == "tokens" else {_CONTROLS[key]: _READ[key](key, value, panel)}
    return state


def _concept(key: str, value: object, panel: SteeringPanel) -> object:
    if not panel.concepts:
        raise ValueError(
            f"{key}: expected a concept of the lab; got {described(value)} before there are any: call lab.wait()."
        )
    require_one_of(key, value, panel.concepts if key == "concept" else ["", *panel.concepts])
    return value


def _layers(key: str, value: object, panel: SteeringPanel) -> list[int]:
    """First and last layer; negative ones count from the last block."""
    given = list(value) if isinstance(value, (list, tuple)) else []
    total = len(panel.model.layers)
    whole = [int(layer) for layer in given if isinstance(layer, (int, np.integer)) and not isinstance(layer, bool)]
    window = [layer + total if layer < 0 else layer for layer in whole]
    if len(given) != 2 or len(window) != 2 or not set(window) <= set(panel.layers):
        known = ", ".join(map(str, panel.layers))
        raise ValueError(f"{key}: expected the first and the last of layers {known}; got {described(value)}.")
    return sorted(window)


def _text(key: str, value: object, _panel: SteeringPanel) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected text; got {described(value)}.")
    return value


def _unit(key: str, value: object, _panel: SteeringPanel) -> object:
    require_one_of(key, value, UNITS)
    return value


def _picture(key: str, value: object, panel: SteeringPanel) -> int:
    number = whole_number(key, value)
    panel.chosen(number)
    return number


_READ: dict[str, Callable[[str, object, SteeringPanel], object]] = {
    "concept": _concept,
    "second_concept": _concept,
    "second_dose": lambda key, value, _panel: finite_number(key, value),
    "layers": _layers,
    "dose": lambda key, value, _panel: finite_number(key, value),
    "unit": _unit,
    "picture": _picture,
    "prompt": _text,
    "seed": lambda key, value, _panel: whole_number(key, value),
}
"""What checks the value of each key, and returns it as the panel takes it."""


def _tokens(value: object) -> Traits:
    """Controls that steer at a scope, at positions, or at patches of a mask [rows, columns]."""
    given = value.split("+") if isinstance(value, str) else value
    scope = parse_scope(given)  # type: ignore[arg-type]
    if scope.names:
        return {"scope": "+".join(scope.names)}
    array = np.atleast_1d(np.asarray(given))
    if array.dtype != bool:
        return {"scope": SELECTED, "positions": array.tolist()}
    if array.ndim != 2:
        raise ValueError(
            f"tokens: expected a mask [patch rows, patch columns] of one image; got one of {array.ndim} dimensions."
        )
    return {"scope": PAINTED, "patches": array.tolist()}


def python_line(selection: Traits, opening: Traits) -> str:
    """Line of Python that selects this in a lab that opened with ``opening``; empty while there is no concept.

    Concept, layers, dose, tokens and picture are always in it, the rest where it differs.
    """
    if not selection["concept"]:
        return ""
    first, last = selection["layers"]
    layers = f"layer={first}" if first == last else f"layers=({first}, {last})"
    rest = [key for key in selection if key not in ("concept", "layers", *_ALWAYS) and selection[key] != opening[key]]
    more = ", ".join(f"{key}={selection[key]!r}" for key in (*_ALWAYS, *rest))
    return f"lab.select({selection['concept']!r}, {layers}, {more})"


@dataclass(frozen=True)
class Step:
    """A setting with its unit, and whether somebody chose its image."""

    setting: Setting
    unit: str
    image_chosen: bool

    @classmethod
    def of(cls, panel: SteeringPanel) -> Step:
        """The present one of a panel."""
        return cls(Setting.of(panel), panel.strength_unit, panel.image_chosen)

    def state(self) -> Traits:
        """Controls of the panel."""
        return {**self.setting.plain(), "strength_unit": self.unit}

    def moved(self, other: Step) -> set[str]:
        """Controls that differ; a window stands for its layer, too."""
        before, after = self.state(), other.state()
        return {name for name in before if before[name] != after[name]} - {"layer"}


class History:
    """Steps to go back and forth between; successive moves of one control without a pause are one step."""

    def __init__(self, first: Step) -> None:
        self._steps, self._at = [first], 0
        self._moved: set[str] = set()
        self._when = 0.0
        self._changing = threading.Lock()

    @property
    def can_undo(self) -> bool:
        """Whether there is a step before the present one."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a step after the present one."""
        return self._at < len(self._steps) - 1

    def add(self, step: Step) -> None:
        """Add a step, which drops those that were taken back; one that changes nothing is none.

        A setting without a concept is that of a lab that has no vectors yet: nobody goes back to it.
        """
        with self._changing:
            moved, now = self._steps[self._at].moved(step), time.monotonic()
            if not moved:
                return
            goes_on = len(moved) == 1 and moved == self._moved and now - self._when < PAUSE
            opens = not self._steps[self._at].setting.concept
            self._moved, self._when = set() if opens else moved, now
            kept = self._at + (not goes_on and not opens)
            self._steps = [*self._steps[:kept], step][-LONGEST - 1 :]
            self._at = len(self._steps) - 1

    def go(self, by: int) -> Step:
        """The step before (−1) or after (1) that differs, which becomes the present one; the last one stays."""
        with self._changing:
            before, self._moved = self._steps[self._at], set()
            while 0 <= self._at + by < len(self._steps) and not before.moved(self._steps[self._at]):
                self._at += by
            return self._steps[self._at]


class Selecting(traitlets.HasTraits):
    """Mixed into the lab: its selection, and the ways to set it, take it back and leave it to chance."""

    panel: SteeringPanel
    bar: LabBar
    selection = traitlets.Dict(help="What is steered, as plain values; setting it moves panel, map and parts.")

    def _begin_selecting(self) -> None:
        self._history = History(Step.of(self.panel))
        self._opening = self.selection = selection_of(self.panel)
        self._chance = np.random.default_rng(self.panel.seed)
        for call in (self.undo, self.redo, self.recommended, self.surprise):
            self.bar.calls[call.__name__] = call

    def select(
        self,
        concept: str | None = None,
        *,
        layer: int | None = None,
        layers: Sequence[int] | None = None,
        dose: float | None = None,
        unit: str | None = None,
        tokens: TokenScope | None = None,
        second_concept: str | None = None,
        second_dose: float | None = None,
        picture: int | None = None,
        prompt: str | None = None,
        seed: int | None = None,
    ) -> None:
        """Set part of the selection; what is not given stays, or follows as it does when a control is moved.

        Parameters
        ----------
        concept : str, optional
            One of ``lab.panel.concepts``. Until an image is chosen, another concept brings one that suits its dose.
        layer : int, optional
            The layer that is steered; a negative one counts from the last block.
        layers : (int, int), optional
            First and last layer of a window, in place of ``layer``; each gets the full dose.
        dose : float, optional
            Signed strength, in ``unit``.
        unit : {"residual", "vector", "raw"}, optional
            What one unit of dose means.
        tokens : str, sequence or mask, optional
            As for `Steering`: ``"last_prompt"``, names in a sequence or joined by ``+``, positions of the prompt, or
            a mask [patch rows, patch columns].
        second_concept : str, optional
            Added to the first; ``""`` for none.
        second_dose : float, optional
            Its dose.
        picture : int, optional
            Number of the image, from 0.
        prompt : str, optional
            The question.
        seed : int, optional
            Of the random direction.

        Raises
        ------
        ValueError
            If a value cannot be steered with, or both ``layer`` and ``layers`` are given. Nothing is set then.

        Examples
        --------
        >>> lab.select("umbrella", layer=5, dose=1, tokens="last_prompt")  # doctest: +SKIP
        """
        if layer is not None and layers is not None:
            raise ValueError(f"select: expected layer or layers; got layer={layer!r} and layers={layers!r}.")
        given = {
            "concept": concept,
            "second_concept": second_concept,
            "second_dose": second_dose,
            "layers": layers if layer is None else [layer, layer],
            "dose": dose,
            "unit": unit,
            "tokens": tokens,
            "picture": picture,
            "prompt": prompt,
            "seed": seed,
        }
        self.selection = {key: value for key, value in given.items() if value is not None}

    @property
    def selection_code(self) -> str:
        """One line of Python that restores the selection in a lab that was opened alike; `selection` has all of it."""
        return python_line(self.selection, self._opening)

    def undo(self) -> None:
        """Go back to the selection before the last change; a slider that was dragged is one change."""
        self._go(-1)

    def redo(self) -> None:
        """Go forward again after `undo`, until something else is selected."""
        self._go(1)

    def recommended(self) -> None:
        """Go to the recommended setting of the concept in hand.

        Raises
        ------
        ValueError
            If there is none.
        """
        concept = self.panel.concept
        if concept not in self.panel.recommended:
            raise ValueError(
                f"recommended: expected a setting for {concept or 'a concept'}; there is none. mp.recommend(model, "
                "vectors, library) looks for it; set lab.panel.recommended to its settings."
            )
        self._go_to(concept, self.panel.recommended[concept])

    def surprise(self, seed: int | None = None) -> None:
        """Go to the recommended setting of another concept that the model distinguishes and names.

        Parameters
        ----------
        seed : int, optional
            Of the choice; without it the next one of the lab's own, which begin with the seed of `explore`.

        Raises
        ------
        ValueError
            If no other concept has a recommended setting.
        """
        chance = self._chance if seed is None else np.random.default_rng(whole_number("seed", seed))
        panel = self.panel
        others = [name for name in panel.concepts if name in panel.recommended and name not in panel.unfit]
        others = [name for name in others if name != panel.concept]
        if not others:
            raise ValueError(
                "surprise: expected another concept with a recommended setting; there is none. mp.recommend(model, "
                "vectors, library) looks for them; set lab.panel.recommended to its settings."
            )
        concept = others[chance.integers(len(others))]
        self._go_to(concept, panel.recommended[concept])

    def _go_to(self, concept: str, best: Recommended) -> None:
        self.panel.choose(concept=concept, second="", strength_unit="residual", **controls_at(best))

    def _go(self, by: int) -> None:
        step = self._history.go(by)
        if step.moved(Step.of(self.panel)):
            self.panel.choose(**step.state())
            self.panel.image_chosen = step.image_chosen
        self._on_asked()

    def _on_asked(self, _change: Bunch | None = None) -> None:
        """A change of the panel, whoever made it, is one step and one change of the selection."""
        self._history.add(Step.of(self.panel))
        self.selection = selection_of(self.panel)
        self.bar.publish_changed({"can_undo": self._history.can_undo, "can_redo": self._history.can_redo})

    @traitlets.validate("selection")
    def _chosen(self, proposal: Bunch) -> Traits:
        """Move the panel to a selection that is not its own, and return all that the panel then has."""
        if proposal.value != selection_of(self.panel):
            self.panel.choose(**controls_of(proposal.value, self.panel))
        return selection_of(self.panel)
