"""Parts of the lab that open on demand: built when first opened, and following the panel only while open."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.widgets.base.probe_widget import sentence
from mllm_probe.widgets.inside.pair_gallery import PairGallery
from mllm_probe.widgets.inside.patch_overlay import PatchOverlay
from mllm_probe.widgets.inside.token_strip import TokenStrip
from mllm_probe.widgets.lab.linking import OneWay
from mllm_probe.widgets.panel.setting import chosen_any
from mllm_probe.widgets.panel.steering_panel import SteeringPanel

logger = logging.getLogger(__name__)

LABELS = {"patches": "Patches", "pairs": "Pairs", "tokens": "Tokens"}
_OVERLAY = "patches"
_STRIP = "tokens"
_SHARED = ("concept", "layer", "prompt")
_BY_HAND = {"mask": "patches", "positions": "positions"}
"""Traits of the overlay and the strip that hold what was chosen by hand, with the panel's control that takes it."""
_FOLLOWED = [*_SHARED, "picture", *_BY_HAND.values()]


class LabParts:
    """The parts of a lab that can be opened, linked with its panel both ways.

    Parameters
    ----------
    panel : SteeringPanel
        Whose image, prompt, concept and layer the parts show.
    library : ConceptLibrary, optional
        For the gallery of pairs; without it there is none.
    say : callable, optional
        Told in one sentence what could not be passed on; the traceback goes to the log.

    Attributes
    ----------
    beside, below : ipywidgets.Box
        Where they are shown: the overlay below the panel, the gallery and the strip across the lab.
    widgets : dict of str to widget
        Parts that have been opened at least once.
    """

    def __init__(
        self, panel: SteeringPanel, library: ConceptLibrary | None = None, say: Callable[[str], Any] | None = None
    ) -> None:
        self.beside, self.below = _empty_box(), _empty_box()
        self.panel, self.library, self._say = panel, library, say
        self.widgets: dict[str, Any] = {}
        self.opened: list[str] = []
        self._pictures: dict[str, int] = {}
        self._one_way = OneWay()
        self._changing = threading.RLock()
        panel.observe(self._on_panel, _FOLLOWED)
        self._open = True

    @property
    def offered(self) -> list[list[str]]:
        """Name and label of each part that there is something to show in."""
        return [[name, label] for name, label in LABELS.items() if name != "pairs" or self.library is not None]

    def open_only(self, names: list[str]) -> None:
        """Show these parts and fold the others; what is not made yet waits for the panel's vectors."""
        with self._changing:
            self.opened = [name for name, _ in self.offered if name in names]
            self.refresh()

    def refresh(self) -> None:
        """Make what is open and can be made, and let it show what the panel shows."""
        with self._changing:
            if self.panel.vectors is None:
                return
            for name in self.opened:
                if name in self.widgets:
                    self._follow(name)
                else:
                    self.widgets[name] = self._make(name)
            _fill(self.beside, [self.widgets[name] for name in self.opened if name == _OVERLAY])
            _fill(self.below, [self.widgets[name] for name in self.opened if name != _OVERLAY])

    def close(self) -> None:
        """End the threads of all parts, let go of their tensors and remove them."""
        if self.__dict__.pop("_open", False):
            self.panel.unobserve(self._on_panel, _FOLLOWED)
            for part in self.widgets.values():
                part.close()
                part._vectors = None
            self.widgets, self.opened = {}, []
            self.beside.close()
            self.below.close()

    def _make(self, name: str) -> Any:
        panel, concept = self.panel, self.panel.concept
        self._pictures[name] = panel.picture
        image = panel.chosen(panel.picture).image
        if name == _OVERLAY:
            chosen: dict[str, Any] = {"concept": concept, "mask": panel.patches}
            part: Any = PatchOverlay(panel.model, panel.vectors, image, panel.prompt, **chosen)
        elif name == _STRIP:
            chosen = {"concept": concept, "positions": panel.positions}
            part = TokenStrip(panel.model, panel.vectors, image, panel.prompt, **chosen)
        else:
            assert self.library is not None
            part = PairGallery(panel.model, self.library, panel.vectors, panel.prompt, concept=concept)
        part.show(layer=panel.layer)
        part.layout.flex, part.layout.min_width = "1 1 100%", "0"
        part.observe(lambda change: self._on_part(name, change), list(_SHARED))
        for trait in _BY_HAND:
            if part.has_trait(trait):
                part.observe(self._on_chosen, trait)
        return part

    def _on_panel(self, _change: Any) -> None:
        def pass_on() -> None:
            for name in self.opened:
                if name in self.widgets:
                    self._follow(name)

        self._pass_on(pass_on)

    def _on_part(self, source: str, change: Any) -> None:
        def pass_on() -> None:
            if change.name != "concept" or change.new in self.panel.concepts:
                self.panel.choose(**{change.name: change.new})
            for name in self.opened:
                if name in self.widgets and name != source:
                    self._follow(name)

        self._pass_on(pass_on)

    def _on_chosen(self, change: Any) -> None:
        """Patches that are painted, and tokens that are selected, are those that the panel steers."""
        control, chosen = _BY_HAND[change.name], [_copied(row) for row in change.new]
        if chosen_any(chosen) or chosen_any(getattr(self.panel, control)):
            self._pass_on(lambda: self.panel.choose(**{control: chosen}))

    def _pass_on(self, call: Callable[[], Any]) -> None:
        with self._one_way() as free:
            if not free:
                return
            try:
                call()
            except Exception as error:
                logger.exception("a change could not be passed between the parts of the lab")
                if self._say is not None:
                    self._say(sentence(error))

    def _follow(self, name: str) -> None:
        """Let a part show what the panel shows; only what is different starts a reading."""
        part, panel = self.widgets[name], self.panel
        if part.vectors is not panel.vectors:
            part.vectors = panel.vectors
        image = None
        if name != "pairs" and self._pictures[name] != panel.picture:
            image, self._pictures[name] = panel.chosen(panel.picture).image, panel.picture
        part.show(image, **{name: getattr(panel, name) for name in _SHARED})
        self._choose(part)

    def _choose(self, part: Any) -> None:
        """Show what the panel steers as painted or selected, where it fits the part."""
        panel = self.panel
        if isinstance(part, TokenStrip) and panel.positions != part.positions:
            part.publish(positions=list(panel.positions))
        if isinstance(part, PatchOverlay) and part.rows:
            wanted = [list(row) for row in panel.patches] or [[False] * part.columns for _ in range(part.rows)]
            if wanted != part.mask and (len(wanted), len(wanted[0])) == (part.rows, part.columns):
                part.publish(mask=wanted)


def _copied(row: Any) -> Any:
    return list(row) if isinstance(row, (list, tuple)) else row


def _empty_box() -> ipywidgets.Box:
    box = ipywidgets.Box([])
    box.layout = ipywidgets.Layout(display="none", flex_flow="row wrap", align_items="stretch", overflow="hidden")
    box.add_class("mp-lab-folds")
    return box


def _fill(box: ipywidgets.Box, parts: list[Any]) -> None:
    """Show parts in a box; an empty one takes no room, not even for its border."""
    box.children = tuple(parts)
    box.layout.display = "flex" if parts else "none"
