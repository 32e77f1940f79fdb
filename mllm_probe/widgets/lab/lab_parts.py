"""Parts of the lab that open on demand, links between widgets, and code that reproduces the view."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ipywidgets
import numpy as np
import xarray as xr
from traitlets.utils.bunch import Bunch

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.drawn import LibraryCall
from mllm_probe.models import ProbeModel
from mllm_probe.models.argument_checks import described
from mllm_probe.plots.charts import of_study
from mllm_probe.schema import CONCEPT, LAYER, require_same_model
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.choices import python
from mllm_probe.widgets.base.numbers import words
from mllm_probe.widgets.base.probe_widget import ProbeWidget, guarded
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.inside.inside_widget import InsideWidget
from mllm_probe.widgets.inside.pair_gallery import PairGallery
from mllm_probe.widgets.inside.patch_overlay import PatchOverlay
from mllm_probe.widgets.inside.token_strip import TokenStrip
from mllm_probe.widgets.panel.setting import Setting, chosen_any, thawed
from mllm_probe.widgets.panel.steering_panel import SteeringPanel
from mllm_probe.widgets.study.study_view import StudyView

_SELECTION = ["concept", "layer", "window"]
_SELECTED = [CONCEPT, LAYER]


class OneWay:
    """Passes changes on between widgets; what is passed on in a thread is not passed back in it.

    `what`: what the log calls a change that could not be passed on. `say`: called with the error in one sentence.
    """

    def __init__(self, what: str, say: Callable[[str], object]) -> None:
        self._here, self._what, self._say = threading.local(), what, say

    def __call__(self, pass_on: Callable[[], object]) -> None:
        """Pass a change on, unless this thread is passing one on already."""
        if not getattr(self._here, "passing", False):
            self._here.passing = True
            try:
                guarded(pass_on, self._what, self._say)
            finally:
                self._here.passing = False


def link(
    heatmap: LayerConceptHeatmap | StudyView,
    panel: SteeringPanel | LayerConceptHeatmap | StudyView,
    say: Callable[[str], object] = lambda _sentence: None,
) -> None:
    """Let selected cells set the panel, and the panel's concept and layers move the selection.

    A selected cell sets the panel's concept, layers, strength and tokens to what the map steered. The panel moves the
    selection; its strength moves the map's where that was swept. A study shares its concept and its layer, as far as
    both have them.

    Parameters
    ----------
    heatmap : LayerConceptHeatmap or StudyView
    panel : SteeringPanel; beside a study also LayerConceptHeatmap or StudyView
    say : callable, optional
        Called with one sentence about what could not be passed on; the traceback goes to the log.

    Raises
    ------
    TypeError
        If the first is neither a heatmap nor a study, or the second cannot be linked with it.
    """
    if isinstance(heatmap, StudyView) and isinstance(panel, (SteeringPanel, LayerConceptHeatmap, StudyView)):
        link_study(heatmap, panel, say)
    elif isinstance(heatmap, LayerConceptHeatmap) and isinstance(panel, SteeringPanel):
        _link_map(heatmap, panel, say)
    else:
        raise TypeError(
            "link: expected a LayerConceptHeatmap and a SteeringPanel, or a StudyView and one of these or another "
            f"StudyView; got {described(heatmap)} and {described(panel)}."
        )


def link_study(
    study: StudyView, other: SteeringPanel | LayerConceptHeatmap | StudyView, say: Callable[[str], object]
) -> Callable[[], None]:
    """Let a study and another widget share the concept and the layer that are selected; returns the way to part them.

    `say`: called with one sentence about what could not be passed on.
    """
    pass_on = OneWay("a selection could not be passed between a study and another part", say)

    def to_other() -> None:
        chosen = _accepted(other, study)
        if isinstance(other, SteeringPanel):
            other.choose(**{name: value for name, value in chosen.items() if value != getattr(other, name)})
        else:
            other.publish_changed(chosen)

    def from_study(_change: object) -> None:
        pass_on(to_other)

    def from_other(_change: object) -> None:
        pass_on(lambda: study.publish_changed(_accepted(study, other)))

    study.observe(from_study, _SELECTED)
    other.observe(from_other, _SELECTED)

    def part() -> None:
        study.unobserve(from_study, _SELECTED)
        other.unobserve(from_other, _SELECTED)

    return part


def _accepted(target: ProbeWidget, source: ProbeWidget) -> Traits:
    """Concept and layer of one widget, as far as another offers them."""
    return {name: getattr(source, name) for name in _SELECTED if getattr(source, name) in getattr(target, f"{name}s")}


def _link_map(heatmap: LayerConceptHeatmap, panel: SteeringPanel, say: Callable[[str], object]) -> None:
    pass_on = OneWay("a selection could not be passed between the map and the panel", say)

    last: Traits = {}  # a click sets several traits, each of which comes here

    def to_panel() -> None:
        window = sorted(heatmap.window)
        chosen: Traits = {"concept": heatmap.concept, "window": window, **_steered(heatmap, panel)}
        clicked = chosen | {"picked": heatmap.picked}
        known = heatmap.concept in panel.concepts and set(window) <= set(panel.layers)
        if clicked != last and heatmap.layer == window[0] and known:
            last.update(clicked)
            panel.choose(**chosen)

    def to_heatmap() -> None:
        window = list(panel.window)
        last.clear()
        chosen: Traits = {}
        if panel.layer == window[0] and (not heatmap.layers or set(window) <= set(heatmap.layers)):
            chosen = {"concept": panel.concept, "window": window, "layer": panel.layer}
        if panel.strength in heatmap.strengths:
            chosen["strength"] = panel.strength
        heatmap.publish_changed(chosen)

    heatmap.observe(lambda _change: pass_on(to_panel), [*_SELECTION, "strength", "picked"])
    panel.observe(lambda _change: pass_on(to_heatmap), [*_SELECTION, "strength"])


def _steered(heatmap: LayerConceptHeatmap, panel: SteeringPanel) -> Traits:
    """Dose and tokens of the map as the panel takes them; without those that the panel cannot steer with."""
    steered: Traits = {"strength": heatmap.strength} if heatmap.strength_unit == panel.strength_unit else {}
    if heatmap.scope:
        steered["scope"] = heatmap.scope
    return steered


def verdict(heatmap: LayerConceptHeatmap, panel: SteeringPanel) -> str:
    """What the map says of the panel's setting, in one line; empty while it holds no numbers of the concept."""
    shape = len(heatmap.concepts), len(heatmap.layers), len(heatmap.strengths)
    # The traits of a map come one after the other: they are read when all have come.
    whole = len(heatmap.values) == 4 * math.prod(shape) and len(heatmap.reason) in (0, 2 * math.prod(shape))
    if panel.concept not in heatmap.concepts or not whole:
        return ""
    if panel.window[0] != panel.window[1] or panel.second:
        return "no verdict: the map steers one concept at one layer"
    tested = panel.layer in heatmap.layers and panel.strength in heatmap.strengths
    if not tested or heatmap.scope not in ("", panel.scope) or heatmap.strength_unit != panel.strength_unit:
        doses = ", ".join(f"{dose:g}" for dose in heatmap.strengths)
        at = heatmap.tokens_label or "its tokens"
        return f"no verdict at this dose and these tokens: the map has {doses} × at {at}"
    cell = heatmap.concepts.index(panel.concept), heatmap.layers.index(panel.layer)
    place = (*cell, heatmap.strengths.index(panel.strength))
    value = np.frombuffer(heatmap.values, np.float32).reshape(shape)[place]
    if not np.isfinite(value):
        return "no verdict yet: not run"
    reason = ""
    if heatmap.reason:
        reason = heatmap.reasons[np.frombuffer(heatmap.reason, np.uint16).reshape(shape)[place]]
    said = "passes every control" if reason == "passes" else words(reason)
    unit = f" {heatmap.unit}" if heatmap.unit else ""
    effect = f"{value:+.1f}{unit} beyond {words(heatmap.against)}".replace("-", "−", 1)
    return f"{effect} · {said}" if said else effect


LABELS = {"pairs": "Pairs", "tokens": "Tokens", "patches": "Patches"}
STUDY = "study"
_OVERLAY = "patches"
_STRIP = "tokens"
_SHARED = ("concept", "layer", "prompt")
_BY_HAND = {"mask": "patches", "positions": "positions"}
"""Traits of the overlay and the strip that hold a manual selection, with the panel's control for it."""
_FOLLOWED = [*_SHARED, "picture", *_BY_HAND.values()]


class LabParts:
    """The parts of a lab that can be opened, linked with its panel both ways.

    `panel`: whose image, prompt, concept and layer the parts show.
    `library`: for the gallery of pairs; without it there is none.
    `say`: called with one sentence about what could not be passed on; the traceback goes to the log.
    `places`: where each is shown.
    `widgets`: parts that have been opened at least once.
    `studies`: studies that the lab was given, by name.
    """

    def __init__(self, panel: SteeringPanel, library: ConceptLibrary | None, say: Callable[[str], object]) -> None:
        self.places = {name: stage(name) for name in (*LABELS, STUDY)}
        self.panel, self.library = panel, library
        self.widgets: dict[str, InsideWidget] = {}
        self.studies: dict[str, StudyView] = {}
        self._partings: dict[str, Callable[[], None]] = {}
        self.opened: list[str] = []
        self._pictures: dict[str, int] = {}
        self._say = say
        self._pass_on = OneWay("a change could not be passed between the parts of the lab", say)
        self._changing = threading.RLock()
        panel.observe(self._on_panel, _FOLLOWED)
        self._open = True

    @property
    def offered(self) -> list[list[str]]:
        """Name and label of each part that there is something to show in."""
        parts = [[name, label] for name, label in LABELS.items() if name != "pairs" or self.library is not None]
        return [*parts, [STUDY, "Study"]] if self.studies else parts

    def add_study(self, study: xr.Dataset) -> StudyView:
        """Take a study in, in the place of one of the same name, and let it share the panel's selection.

        ValueError if it is of another model than the panel's.
        """
        _require_of(of_study(study), self.panel.model)
        with self._changing:
            view = StudyView(study)
            self._leave(view.study)
            for name in (CONCEPT, LAYER):
                if getattr(self.panel, name) in getattr(view, f"{name}s"):
                    setattr(view, name, getattr(self.panel, name))
            self._partings[view.study] = link_study(view, self.panel, self._say)
            self.studies[view.study] = view
            self.refresh()
            return view

    def _leave(self, name: str) -> None:
        """Close the study of a name, if there is one."""
        if name in self.studies:
            self._partings.pop(name)()
            self.studies.pop(name).close()

    def open_only(self, names: list[str]) -> None:
        """Show these parts and fold the others; parts that need vectors wait for those of the panel."""
        with self._changing:
            self.opened = [name for name, _ in self.offered if name in names]
            self.refresh()

    def refresh(self) -> None:
        """Create the open parts where possible, and synchronise them with the panel."""
        with self._changing:
            inside = [name for name in self.opened if name in LABELS and self.panel.vectors is not None]
            if inside:
                self._follow_all()
            self.widgets |= {name: self._make(name) for name in inside if name not in self.widgets}
            for name in inside:
                self.places[name].children = (self.widgets[name],)
            self.places[STUDY].children = tuple(self.studies.values())

    def close(self) -> None:
        """End the threads of all parts, release their tensors and remove them."""
        if self.__dict__.pop("_open", False):
            self.panel.unobserve(self._on_panel, _FOLLOWED)
            for part in self.widgets.values():
                part.close()
                part._vectors = None
            for name in list(self.studies):
                self._leave(name)
            self.widgets, self.opened = {}, []
            for place in self.places.values():
                place.close()

    def _make(self, name: str) -> InsideWidget:
        panel = self.panel
        self._pictures[name] = panel.picture
        image, shared = panel.chosen(panel.picture).image, {"prompt": panel.prompt, "concept": panel.concept}
        part: InsideWidget
        if name == _OVERLAY:
            part = PatchOverlay(panel.model, panel.vectors, image, mask=panel.patches, **shared)
        elif name == _STRIP:
            part = TokenStrip(panel.model, panel.vectors, image, positions=panel.positions, **shared)
        else:
            assert self.library is not None
            part = PairGallery(panel.model, self.library, panel.vectors, **shared)
        part.show(layer=panel.layer)
        part.observe(lambda change: self._on_part(name, change), list(_SHARED))
        for trait in _BY_HAND:
            if part.has_trait(trait):
                part.observe(self._on_chosen, trait)
        return part

    def _on_panel(self, _change: Bunch) -> None:
        self._pass_on(self._follow_all)

    def _on_part(self, source: str, change: Bunch) -> None:
        def pass_on() -> None:
            if change.name != "concept" or change.new in self.panel.concepts:
                self.panel.choose(**{change.name: change.new})
            self._follow_all(but=source)

        self._pass_on(pass_on)

    def _on_chosen(self, change: Bunch) -> None:
        """Patches that are painted, and tokens that are selected, are those that the panel steers."""
        control = _BY_HAND[change.name]
        if chosen_any(change.new) or chosen_any(getattr(self.panel, control)):
            self._pass_on(lambda: self.panel.choose(**{control: thawed(change.new)}))

    def _follow_all(self, but: str = "") -> None:
        for name in self.opened:
            if name in self.widgets and name != but:
                self._follow(name)

    def _follow(self, name: str) -> None:
        """Synchronise a part with the panel; only a change starts a reading."""
        part, panel = self.widgets[name], self.panel
        if panel.vectors is not None and part.vectors is not panel.vectors:
            part.vectors = panel.vectors
        image = None
        if name != "pairs" and self._pictures[name] != panel.picture:
            image, self._pictures[name] = panel.chosen(panel.picture).image, panel.picture
        part.show(image, **{name: getattr(panel, name) for name in _SHARED})
        self._choose(part)

    def _choose(self, part: InsideWidget) -> None:
        """Show the panel's painted patches or selected tokens, where they fit the part."""
        panel = self.panel
        if isinstance(part, TokenStrip) and panel.positions != part.positions:
            part.publish(positions=list(panel.positions))
        if isinstance(part, PatchOverlay) and part.rows:
            wanted = [list(row) for row in panel.patches] or [[False] * part.columns for _ in range(part.rows)]
            if wanted != part.mask and (len(wanted), len(wanted[0])) == (part.rows, part.columns):
                part.publish(mask=wanted)


def _require_of(study: xr.Dataset, model: ProbeModel) -> None:
    """Raise a ValueError that names both unless a model is the one, or one of those, that a study is of."""
    if "weights" in study.attrs:
        return require_same_model(study, model, what="the numbers of this study")
    given = study.attrs.get("model", [])
    names = [given] if isinstance(given, str) else [str(name) for name in given]
    if model.name not in names:
        raise ValueError(
            f"this study is of {', '.join(names) or 'no model'}, but the lab of {model.name}: open it alone with "
            "mp.explore(study)."
        )


def stage(name: str, *parts: ipywidgets.Widget) -> ipywidgets.Box:
    """Where the part of a tab is shown; the front-end shows that of the tab that is chosen."""
    return ipywidgets.Box(parts, _dom_classes=["mp-stage", f"mp-stage-{name}"])


Settings: TypeAlias = dict[str, Any]
"""Keyword arguments by name."""
_MOST = 24
"""Number of library images that a panel offers."""


@dataclass(frozen=True)
class LabRecipe:
    """Arguments with which `explore` built a lab.

    `model`, `library`: lines that make them, or a comment that says which are meant; ``model`` then keeps its name.
    `images`: how many images the panel was opened with from the library; 0 where they were given.
    `vectors`, `grid`: keyword arguments of `concept_vectors` and `sweep`.
    `seed`: of the split.
    `neutral`: how many images of the held-out half that are steered for the grid lack each concept, at least.
    """

    model: str
    library: str
    images: int
    vectors: Settings
    grid: Settings
    prompt: str | None
    seed: int
    neutral: int


def library_line(call: LibraryCall) -> str:
    """Line that makes the library that a model comes with."""
    return f"library = mp.concepts.{call.function}({_keywords(call.arguments)})"


def python_of(panel: SteeringPanel, recipe: LabRecipe | None) -> str:
    """Python that computes vectors and grid with the lab's settings and gives the answers on the screen.

    `recipe`: None for a lab whose vectors and grid were given to it: the code then begins with them.
    """
    steering = _steering(panel, recipe)
    if recipe is None:
        return steering
    lines = [recipe.model, recipe.library, f"fit, held_out = library.split(seed={recipe.seed})"]
    lines += [
        "concepts = list(held_out.values())",
        f"images = [c.negative[i] for i in range({_MOST}) for c in concepts if i < len(c.negative)][:{_MOST}]",
    ]
    if not recipe.images:
        lines.append("# images: the images that were given to explore")
    lines += [
        f"vectors = mp.concept_vectors(model, fit, {recipe.prompt!r}, {_keywords(recipe.vectors)})",
        f"neutral = mp.concepts.neutral_images(held_out, {recipe.neutral})",
        f"grid = mp.sweep(model, vectors, neutral, {recipe.prompt!r}, {_keywords(recipe.grid)})",
    ]
    if not steering:
        return "\n".join(["import mllm_probe as mp", "", *lines, ""])
    head, _, rest = steering.partition("\n\n")
    chosen = [line for line in rest.splitlines() if not line.startswith("# model:")]
    return "\n".join([head, "", *lines, "", "# the selected steering", *chosen, ""])


def _steering(panel: SteeringPanel, recipe: LabRecipe | None) -> str:
    """The recipe of the panel's present setting, answered or not."""
    if not panel.concept or panel.vectors is None:
        return ""
    image = panel.chosen(panel.picture).code
    if recipe is not None and panel.picture < recipe.images:
        image = f"image = images[{panel.picture}]"
    return python(
        Setting.of(panel),
        panel.strength_unit,
        panel.layers,
        model=panel.model.name,
        picture=image,
        max_new_tokens=panel.max_new_tokens,
    )


def _keywords(settings: Settings) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
