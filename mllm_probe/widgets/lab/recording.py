"""Records what a lab shows: vectors, effects of every metric, and the answers at each cell of its map."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import ipywidgets

from mllm_probe.concepts import ConceptLibrary, neutral_images
from mllm_probe.concepts.drawn import library_call, map_settings
from mllm_probe.metrics.statistics import LEAST_IMAGES
from mllm_probe.models import ProbeModel
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.schema import DRAW, package_version
from mllm_probe.studies.effect import effect
from mllm_probe.studies.study_runs import check, fitness_text, unfit_concepts
from mllm_probe.sweeps import sweep
from mllm_probe.vectors import concept_vectors
from mllm_probe.widgets.heatmap.map_cells import metric_label, shown_metrics
from mllm_probe.widgets.lab.explore_widget import Explore
from mllm_probe.widgets.lab.exploring import open_lab
from mllm_probe.widgets.lab.record_file import (
    WEIGHTS,
    LabRecord,
    State,
    hash_of,
    key_of,
    packed,
    plain,
    read,
    renamed,
    restored,
    stored,
    write,
)
from mllm_probe.widgets.lab.recorded_lab import BUNDLE, STATIC, tree_of
from mllm_probe.widgets.panel.setting import controls_at

logger = logging.getLogger(__name__)

METRICS = ("logprob", "named", "kept", "perplexity")
_LIBRARIES = ("numpy", "torch", "transformers", "xarray")
_MOVING = ("serial", "picked", "progress", "rate")
"""Traits that count or measure time, and say nothing about a setting."""
Changes = dict[int, State]


def recorded_lab_of(model: ProbeModel, work: Path) -> LabRecord:
    """The record of a bundled model's lab as it opens without further arguments.

    `work`: folder of what is finished, from which the same call goes on.
    """
    work.mkdir(parents=True, exist_ok=True)
    library = library_call(model.name)()
    fit, held_out = library.split(seed=0)
    bare = open_lab(model, begin=False)
    assert isinstance(bare, Explore) and bare._recipe is not None
    of_vectors, of_grid = bare._recipe.vectors, bare._recipe.grid
    bare.close()
    logger.info("%s: vectors", model.name)
    file = work / "vectors.npz"
    if not file.exists():
        measured = concept_vectors(model, fit, **of_vectors)
        own = packed(measured.drop_vars("shuffled", errors="ignore"))
        write(LabRecord({"package": package_version()}, [], {}, {"vectors": own}), file)
    vectors = read(file).dataset("vectors")
    logger.info("%s: sweep", model.name)
    neutral = neutral_images(held_out, map_settings(model.name).neutral)
    grid = sweep(model, vectors, neutral, **of_grid | {"metrics": METRICS}, store=work / "grid.zarr")
    logger.info("%s: check", model.name)
    seen = check(model, _few(held_out), model.default_prompt)
    folder = bundled_folder(model.name)
    facts: State = {
        "model": model.name,
        "weights": model.fingerprint,
        "file": "" if folder is None else hash_of(folder / WEIGHTS),
        "package": package_version(),
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "prompt": model.default_prompt,
        "draws": grid.sizes[DRAW],
        "check": fitness_text(seen),
        "unfit": unfit_concepts(seen),
        "metrics": {name: metric_label(grid, name) for name in shown_metrics(grid)},
    }
    datasets = {f"effect_{name}": packed(effect(grid, name)) for name in facts["metrics"]}
    results = LabRecord(facts, [], {}, datasets | {"vectors": packed(vectors)})
    lab = open_lab(model, record=results)
    assert isinstance(lab, Explore)
    try:
        return _with_answers(lab, results, work)
    finally:
        lab.close()


def _few(library: ConceptLibrary) -> ConceptLibrary:
    """As many pairs as a lab checks a model on."""
    pairs = min(min(len(concept.positive), len(concept.negative)) for concept in library.values())
    return library.subset(pairs=min(pairs, LEAST_IMAGES))


def _with_answers(lab: Explore, results: LabRecord, work: Path) -> LabRecord:
    """A record with the frame of a lab that shows its results, and what each cell of the map changes in it."""
    _settled(lab)
    widgets = tree_of(lab)
    first = [plain_state(widget) for widget in widgets]
    # Answers are kept for a lab of these widgets, which opens at this setting.
    shape = [(state["_model_name"], sorted(state)) for state in first]
    opening = key_of(first[widgets.index(lab.panel)])
    file = work / f"answers-{hashlib.sha256(json.dumps([shape, opening]).encode()).hexdigest()[:12]}.jsonl"
    done = {}
    if file.exists():
        lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        done = {key_of(controls): dict(restored(changes)) for controls, changes in lines}
    with file.open("a", encoding="utf-8") as finished:
        for controls in settings_of(lab):
            if (key := key_of(controls)) not in done:
                done[key] = shown_at(lab, widgets, first, controls)
                finished.write(json.dumps([controls, stored(list(done[key].items()))]) + "\n")
                finished.flush()
    names = {widget.model_id: str(place) for place, widget in enumerate(widgets)}
    frame = [renamed(state, names) for state in first]
    places = {"panel": lab.panel, "heatmap": lab.heatmap, "bar": lab.bar}
    facts = results.facts | {"widgets": {name: widgets.index(widget) for name, widget in places.items()}}
    return LabRecord(facts, frame, done, results.datasets)


def settings_of(lab: Explore) -> Iterator[State]:
    """Controls of the panel at each cell of the map, and at each concept's recommended setting."""
    heatmap, panel = lab.heatmap, lab.panel
    for concept in heatmap.concepts:
        best = panel.recommended.get(concept)
        places = [] if best is None else [controls_at(best)]
        places += [
            {"window": [layer, layer], "strength": strength, "scope": heatmap.scope}
            for strength in heatmap.strengths
            for layer in heatmap.layers
        ]
        yield from ({"concept": concept, **place} for place in places)


def shown_at(lab: Explore, widgets: Sequence[ipywidgets.Widget], first: Sequence[State], controls: State) -> Changes:
    """What a setting changes in the state of each widget, by its place."""
    lab.panel.choose(**controls)
    _settled(lab)
    if lab.panel.status != "idle":
        raise RuntimeError(f"the lab cannot be recorded: {controls} ended with {lab.panel.message!r}.")
    changed = {}
    for place, (widget, before) in enumerate(zip(widgets, first, strict=True)):
        now = {name: value for name, value in plain_state(widget).items() if name not in _MOVING}
        changed[place] = {name: value for name, value in now.items() if value != before[name]}
    return {place: state for place, state in changed.items() if state}


def _settled(lab: Explore) -> None:
    """Wait until answers and fluent doses are there, and nothing else comes."""
    if lab._fluent is not None:
        lab._fluent.stop()
    lab.panel.wait_until_free()


def plain_state(widget: ipywidgets.Widget) -> State:
    """State of a widget, with the name of its bundle in place of the bundle."""
    state: State = plain(widget.get_state())
    if state.get(BUNDLE):
        state[BUNDLE] = next(file.name for file in STATIC.glob("*.js") if file.read_text("utf-8") == state[BUNDLE])
    return state
