"""From widgets to a page that opens without a kernel: layout, state, bundles, links and recorded settings."""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from types import SimpleNamespace
from typing import TYPE_CHECKING

import ipywidgets

from mllm_probe import schema
from mllm_probe.typing import JsonObject, Traits
from mllm_probe.widgets.base.numbers import dose, strength_unit
from mllm_probe.widgets.pages import saved_page
from mllm_probe.widgets.panel.setting import Setting, weighed

if TYPE_CHECKING:
    from mllm_probe.widgets.panel.setting import Setting


MOST = 256

LARGEST = 6_000_000
"""Bytes of numbers that the recordings of one widget hold at most."""


@dataclass(frozen=True)
class Recording:
    """One setting that was run.

    `when`: traits that make up the setting. `shown`: traits that are shown for it. `label`: the setting in words, for a
    list to choose from; empty where the widget's own controls do.
    """

    when: Traits
    shown: Traits
    label: str = ""


@dataclass
class Recordings:
    """The newest recordings of a widget, each setting once.

    `keys`: traits that make up a setting.
    """

    keys: Sequence[str] = ()
    _kept: OrderedDict[str, Recording] = field(default_factory=OrderedDict)

    def add(self, recording: Recording) -> None:
        """Keep a recording in place of an older one of the same setting; the oldest of many are dropped."""
        name = json.dumps(recording.when, sort_keys=True, default=str)
        self._kept.pop(name, None)
        self._kept[name] = recording
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def changed(self, change: Callable[[Recording], Traits]) -> Recordings:
        """The same settings, each shown with the traits that ``change`` gives for it."""
        kept = OrderedDict(
            (name, replace(recording, shown=change(recording))) for name, recording in self._kept.items()
        )
        return Recordings(self.keys, kept)

    def __iter__(self) -> Iterator[Recording]:
        return iter(list(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)


def recorded_within(keys: Sequence[str], recordings: Iterable[Recording], largest: int) -> Recordings:
    """Keep recordings in their order until their numbers take more than ``largest`` bytes; the rest is not made."""
    kept = Recordings(keys)
    for recording in recordings:
        largest -= sum(len(value) for value in recording.shown.values() if isinstance(value, bytes))
        if largest < 0:
            break
        kept.add(recording)
    return kept


def answered(setting: Setting, picture: str, unit: str, outcome: Traits) -> Recording:
    """Record the answers of a panel's setting.

    `picture`: label of the image. `unit`: what one unit of strength means. `outcome`: traits that the panel showed when
    the answers were finished.
    """
    first, last = setting.window
    concepts = " with ".join(f"{name} {dose(strength)}" for name, strength in setting.concepts)
    layers = f"layer {first}" if first == last else f"layers {first} to {last}"
    scope = setting.scope.replace("+", " + ")
    label = " · ".join((f"{concepts} {strength_unit(unit)}", layers, scope, picture, setting.prompt))
    shown = {name: value for name, value in outcome.items() if name in ("answers", "receipt", "code", "rate", "advice")}
    return Recording(setting.plain(), shown, label)


_MOUNT = "mp-widgets"
_NOT_STATE = {"layout", "tabbable", "tooltip", "style"}
_DIRECTIONS = {ipywidgets.VBox: "column", ipywidgets.HBox: "row"}
_SELECTION = (schema.CONCEPT, schema.LAYER)
_STUDY = "study"
"""Trait by which a view of a study is told from other widgets."""


@dataclass
class Collected:
    """Widgets of a page as plain data.

    `widgets`: in the order in which the page counts them. `models`: for each widget its module's number, state, buffers
    and recordings. `modules`: bundles, each once.
    """

    widgets: list[ipywidgets.DOMWidget] = field(default_factory=list)
    models: list[JsonObject] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)

    def add(self, widget: ipywidgets.DOMWidget) -> int:
        """Take a widget in, once, and return its number."""
        if widget in self.widgets:
            return self.widgets.index(widget)
        module = str(widget._esm)
        if module not in self.modules:
            self.modules.append(module)
        state, buffers = _state(widget)
        number = self.modules.index(module)
        self.widgets.append(widget)
        self.models.append({"module": number, "state": state, "buffers": buffers, "recorded": _recorded(widget)})
        return len(self.widgets) - 1

    def tree(self, widget: ipywidgets.DOMWidget) -> JsonObject:
        """Layout of a widget: boxes with their children, leaves with the number of their model."""
        style = _style(widget)
        if not isinstance(widget, ipywidgets.Box):
            return {"model": self.add(widget), "style": style}
        direction = next((way for kind, way in _DIRECTIONS.items() if isinstance(widget, kind)), "row")
        style = {"display": "flex", "flex-direction": direction} | style
        children = [self.tree(child) for child in widget.children if hasattr(child, "_esm") or _is_box(child)]
        return {"classes": list(widget._dom_classes), "style": style, "children": children}

    def links(self) -> list[JsonObject]:
        """Selections that go from one widget to another: a map's with strength and tokens, any other's without.

        What is linked together goes together or not at all. A study's concept and layer go apart: it may have the
        concept of another widget and not its layer.
        """
        linked = []
        for (source, first), (target, other) in permutations(enumerate(self.widgets), 2):
            names = [*_SELECTION, *(["strength"] if first.has_trait("strengths") else [])]
            names += ["scope"] if first.has_trait("strengths") and first.scope else []
            if shared := [name for name in names if _chooses(first, name) and _chooses(other, name)]:
                separate = first.has_trait(_STUDY) or other.has_trait(_STUDY)
                together = [[name] for name in shared] if separate else [shared]
                linked += [{"from": source, "to": target, "names": names} for names in together]
        return linked


def to_html(widget: ipywidgets.DOMWidget, path: str | os.PathLike[str], title: str | None = None) -> saved_page.Written:
    """Write a widget, or boxes of widgets, as one page that opens offline.

    `title`: heading of the page; by default the kind of widget. Returns: with ``path`` and ``size`` in bytes.
    """
    collected = Collected()
    tree = collected.tree(widget)
    heading = title if title is not None else _title(widget)
    place = f'<div id="{_MOUNT}" class="page-widgets"></div>'
    state = {
        "models": collected.models,
        "mounts": [{"at": _MOUNT, "tree": tree}],
        "links": collected.links(),
        "answers": None,
    }
    document = saved_page.document(heading, _lead(collected), [saved_page.Section("", place)], state, collected.modules)
    return saved_page.write(path, document)


def _chooses(widget: ipywidgets.DOMWidget, name: str) -> bool:
    """Whether a widget has something to choose by this name: a study may be of no layer, or of no concept."""
    return widget.has_trait(name) and bool(getattr(widget, f"{name}s", True))


def _title(widget: ipywidgets.DOMWidget) -> str:
    """Words of a widget's class: "Steering panel"; boxes that hold widgets have no name of their own."""
    if type(widget).__module__.startswith("ipywidgets."):
        return "Saved widgets"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(widget).__name__).capitalize()


def _lead(collected: Collected) -> str:
    runs = sum(1 for model in collected.models for recording in model["recorded"]["recordings"] if recording["label"])
    lead = "Saved snapshot. Explore the recorded results; running new settings needs the notebook."
    return lead + (f" {runs} settings with answers are recorded." if runs > 1 else "")


def _is_box(widget: ipywidgets.DOMWidget) -> bool:
    return isinstance(widget, ipywidgets.Box)


def _style(widget: ipywidgets.DOMWidget) -> dict[str, str]:
    layout = widget.layout
    names = [name for name in layout.trait_names() if not name.startswith("_") and name in layout.keys]
    rules = {name.replace("_", "-"): getattr(layout, name) for name in names}
    return {name: str(value) for name, value in rules.items() if value is not None}


def _state(widget: ipywidgets.DOMWidget) -> tuple[JsonObject, list[list[object]]]:
    """A widget's traits as the page restores them, with binary values apart."""
    names = [name for name in widget.keys if not name.startswith("_") and name not in _NOT_STATE]
    state = {name: getattr(widget, name) for name in names}
    if state.get("status") in ("running", "cancelled"):
        state["status"] = "idle"
    if "step" in state:  # what a bar says is being done, which nobody does on a page
        state["step"] = ""
    return apart(state)


def apart(state: Traits) -> tuple[JsonObject, list[list[object]]]:
    """Split binary values off a state: the remaining state, and for each value its path and its base64 text."""
    buffers: list[list[object]] = []

    def taken(value: object, path: list[str | int]) -> object:
        if isinstance(value, (bytes, bytearray, memoryview)):
            buffers.append([path, saved_page.base64_of(value)])
            return None
        if isinstance(value, dict):
            return {str(key): taken(item, [*path, str(key)]) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [taken(item, [*path, number]) for number, item in enumerate(value)]
        return value

    return {name: taken(value, [name]) for name, value in state.items()}, buffers


def _fluency(widget: ipywidgets.DOMWidget, when: Traits) -> JsonObject:
    """Fluency of the recorded settings of a panel, as measured so far."""
    if not widget.has_trait("doses"):
        return {}
    return weighed(widget.grid, Setting.of(SimpleNamespace(**when)), widget.strength_unit)


def _recorded(widget: ipywidgets.DOMWidget) -> JsonObject:
    recordings: Recordings = widget.recordings() if hasattr(widget, "recordings") else Recordings()
    rows = []
    for recording in recordings:
        shown, buffers = apart(recording.shown | _fluency(widget, recording.when))
        rows.append({"label": recording.label, "when": recording.when, "shown": shown, "buffers": buffers})
    return {"keys": list(recordings.keys), "recordings": rows}
