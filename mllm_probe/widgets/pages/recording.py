"""Recorded settings of a widget with their results, for pages without a kernel."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import dose, strength_unit

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
        kept = OrderedDict((name, replace(one, shown=change(one))) for name, one in self._kept.items())
        return Recordings(self.keys, kept)

    def __iter__(self) -> Iterator[Recording]:
        return iter(list(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)


def recorded_within(keys: Sequence[str], recordings: Iterable[Recording], largest: int) -> Recordings:
    """Keep recordings in their order until their numbers take more than ``largest`` bytes; the rest is not made."""
    kept = Recordings(keys)
    for one in recordings:
        largest -= sum(len(value) for value in one.shown.values() if isinstance(value, bytes))
        if largest < 0:
            break
        kept.add(one)
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
