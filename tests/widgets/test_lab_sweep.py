"""The sweep of a lab: its monitor shown and folded, another in its place, and the fluent range that follows it."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Limits
from mllm_probe.widgets import Explore, LayerConceptHeatmap, SteeringPanel
from mllm_probe.widgets.lab import exploring as exploring_module
from tests.conftest import noise_picture
from tests.widgets import fakes
from tests.widgets.test_monitor import Stepped, until

SOON = 60
MODEL = fakes.FakeModel()


@pytest.fixture
def lab(streams):
    """A lab without a sweep."""
    made = Explore(
        MODEL, LayerConceptHeatmap(layer=5), SteeringPanel(MODEL, fakes.vectors(MODEL), concept="cat", layer=5)
    )
    assert made.panel.wait(SOON)
    return made


@pytest.fixture
def real(tiny, library):
    """A filled lab on a real model."""
    made = mp.explore(tiny, library, strengths=(-1, 1), draws=4)
    assert made.wait(SOON), (made.bar.message, made.monitor.message)
    return made


def folded(lab):
    assert ("sweep" in lab.bar.opened) is ("mp-folded" not in lab._sweep._dom_classes)
    return "sweep" not in lab.bar.opened


def reached(widget, name, value):
    """Wait until a trait has a value."""
    there = threading.Event()
    widget.observe(lambda change: change.new == value and there.set(), name)
    assert getattr(widget, name) == value or there.wait(SOON), (name, getattr(widget, name))


def test_the_monitor_opens_with_its_sweep_and_folds_when_it_is_done(lab):
    grids = Stepped(steps=4)
    assert folded(lab)
    lab.bar.opened = ["code"]
    lab.monitor.watch(grids)
    until(lab.monitor, "running")
    grids.let(1)
    reached(lab.heatmap, "progress", 0.25)
    assert not folded(lab) and lab.bar.opened == ["code", "sweep"]
    assert (lab.bar.status, lab.bar.step) == ("running", "steering every concept at every layer")
    grids.let(3)
    assert lab.wait(SOON) and lab.monitor.status == "finished"
    assert folded(lab) and lab.bar.opened == ["code"] and (lab.bar.status, lab.bar.step) == ("idle", "")
    assert lab.grid.attrs["progress"] == lab.bar.progress == 1.0


def test_a_pause_is_said_and_does_not_open_a_folded_monitor(lab):
    grids = Stepped(steps=4)
    lab.monitor.watch(grids)
    until(lab.monitor, "running")
    reached(lab.bar, "opened", ["sweep"])
    lab.bar.opened = []
    fakes.say(lab.monitor, "pause")
    grids.let(1)
    until(lab.monitor, "paused")
    assert lab.bar.step == "the sweep is paused" and not lab.wait(0.2)
    fakes.say(lab.monitor, "resume")
    grids.let(3)
    assert lab.wait(SOON) and folded(lab)
    assert [step for step in fakes.updates(lab.bar, "step") if step].count("steering every concept at every layer") == 2


def test_a_stopped_sweep_stays_open_and_says_so(lab):
    grids = Stepped(steps=4)
    lab.monitor.watch(grids)
    until(lab.monitor, "running")
    grids.let(1)
    reached(lab.heatmap, "progress", 0.25)
    fakes.say(lab.monitor, "stop")
    grids.let(1)
    assert not lab.wait(SOON)
    assert (lab.bar.status, lab.bar.step) == ("cancelled", "stopped") and not folded(lab)
    assert lab.grid.attrs["progress"] <= 0.5 and lab.heatmap.status == "cancelled"
    assert lab.bar.resume == "" and not lab.monitor.resumable, "grids of one's own are not known to go on"
    assert lab.monitor.note == "What was measured stays."
    taken = grids.taken
    for resume in (lab.resume, lab.monitor.resume):
        resume()
        assert lab.bar.status == lab.monitor.status == "cancelled" and grids.taken == taken


def stop_at_once(lab):
    """Stop the sweep as soon as it can be, by its button."""
    reached(lab.monitor, "controllable", True)
    fakes.say(lab.monitor, "stop")
    assert not lab.wait(SOON)


@pytest.mark.parametrize("by_button", [True, False])
def test_a_stopped_lab_says_how_far_it_came_and_goes_on_with_what_is_missing(tiny, library, by_button, monkeypatch):
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=6, packed_rows=1))
    lab = mp.explore(tiny, library, strengths=(-1, 1), draws=4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Too few images")
        stop_at_once(lab)
    reached(lab.heatmap, "status", "cancelled")
    done = lab.monitor.done
    assert done < lab.monitor.total and lab.heatmap.progress == lab.monitor.progress
    assert (lab.bar.status, lab.bar.step, lab.bar.resume) == ("cancelled", "stopped", "Resume")
    assert "Resume runs what is missing" in lab.monitor.note
    vectors = lab.vectors
    if by_button:
        fakes.arrive(lab.bar, {"method": "custom", "content": {"kind": "resume"}})
    else:
        lab.stop()
        lab.resume()
    assert lab.wait(SOON), (lab.bar.message, lab.monitor.message)
    assert lab.monitor.done == lab.monitor.total and lab.vectors is vectors
    assert (lab.bar.status, lab.bar.resume, lab.heatmap.status) == ("idle", "", "idle")
    assert lab.heatmap.progress == lab.grid.attrs["progress"] == 1.0 and lab.panel.doses
    lab.resume()
    assert lab.bar.status == "idle"


def test_vectors_that_were_stopped_are_measured_again(tiny, library, monkeypatch):
    measured, begun = exploring_module.concept_vectors, []

    def stopped_at_first(*arguments, progress, **settings):
        def reported(done, total):
            if len(begun) == 1:
                lab.stop()
            progress(done, total)

        begun.append(1)
        return measured(*arguments, **settings, progress=reported)

    monkeypatch.setattr(exploring_module, "concept_vectors", stopped_at_first)
    with tiny.lock.held():
        lab = mp.explore(tiny, library, strengths=(1,), draws=4)
    assert not lab.wait(SOON)
    reached(lab.bar, "status", "cancelled")
    assert (lab.bar.step, lab.bar.resume, lab.heatmap.status) == ("stopped", "Run again", "cancelled")
    assert lab.vectors is None and lab.panel.activity == "" and lab.panel.answers["baseline"]
    fakes.arrive(lab.bar, {"method": "custom", "content": {"kind": "resume"}})
    assert lab.wait(SOON), (lab.bar.message, lab.monitor.message)
    assert len(begun) == 2 and lab.grid.attrs["progress"] == 1.0 and lab.bar.resume == ""


def test_a_failed_sweep_is_said_once_and_stays_open(lab, caplog):
    def broken():
        yield fakes.effect(done=0.5)
        raise RuntimeError("no memory left\nfor this")

    lab.monitor.watch(broken())
    assert not lab.wait(SOON)
    assert (lab.bar.status, lab.bar.step, lab.bar.message) == ("error", "the sweep failed", "")
    assert lab.monitor.message == "no memory left." and not folded(lab)
    assert "for this" in caplog.text


def test_another_sweep_on_a_real_model_is_what_the_lab_shows(real, tiny, library):
    pictures = list(library["cat"].negative)[:2]
    settings = {"strengths": (0.5, 2), "layers": [1, 2], "draws": 4, "metrics": ("logprob", "perplexity")}
    real.monitor.watch(mp.sweep_iter(tiny, real.vectors, pictures, controls=("random",), progress=False, **settings))
    assert real.wait(SOON)
    assert real.heatmap.strengths == [0.5, 2.0] and real.heatmap.layers == [1, 2]
    assert real.panel.grid is not None and [dose for dose, _ in real.panel.doses] == [0.5, 2.0]


def test_the_fluent_range_is_that_of_a_sweep_with_perplexity(real, tiny, library):
    _, held_out = library.split(seed=0)
    pictures = exploring_module.images_from(held_out)[:8]
    alone = mp.sweep(
        tiny, real.vectors, pictures, strengths=(-1, 1), metrics=("perplexity",), controls=(), progress=False
    )
    cell = alone.perplexity.sel(concept="cat", layer=real.panel.layer, control="concept").isel(draw=0)
    ratios = np.exp(np.log(cell).mean("sample"))
    assert real.panel.concept == "cat"
    assert [dose for dose, _ in real.panel.doses] == [-1.0, 1.0]
    np.testing.assert_allclose([ratio for _, ratio in real.panel.doses], ratios.values, rtol=1e-3)
    assert list(real.panel.grid["concept"].values) == ["cat"]


def test_each_concept_is_tried_when_it_is_looked_at_and_kept(real, monkeypatch):
    asked = []
    original = mp.widgets.panel.fluency.sweep_iter

    def counted(model, vectors, *arguments, **settings):
        asked.extend(map(str, vectors["concept"].values))
        return original(model, vectors, *arguments, **settings)

    monkeypatch.setattr("mllm_probe.widgets.panel.fluency.sweep_iter", counted)
    for concept in ("neon", "cat", "neon"):
        real.panel.choose(concept=concept)
        assert real.wait(SOON) and len(real.panel.doses) == 2
    assert asked == ["neon"] and list(real.panel.grid["concept"].values) == ["cat", "neon"]
    real.panel.choose(window=[1, 2])
    assert real.wait(SOON) and real.panel.doses == []


def test_a_concept_that_is_left_stops_being_tried(real, monkeypatch):
    engines, original = [], mp.widgets.panel.fluency.sweep_iter
    begun = threading.Event()

    def held(*arguments, **settings):
        grids = original(*arguments, **settings)
        engines.append(grids.engine)
        begun.set()
        return grids

    monkeypatch.setattr("mllm_probe.widgets.panel.fluency.sweep_iter", held)
    with real.panel.model.lock.held():
        real.panel.choose(concept="neon")
        assert begun.wait(SOON)
        begun.clear()
        real.panel.choose(concept="symmetry")
    assert real.wait(SOON)
    assert list(real.panel.grid["concept"].values) == ["cat", "symmetry"]
    assert engines[0].done == 0 and engines[1].done == engines[1].total


def test_what_goes_wrong_while_a_concept_is_tried_is_said_in_the_bar(real, monkeypatch, caplog):
    def broken(*_arguments, **_settings):
        raise RuntimeError("no room\nat all")

    monkeypatch.setattr("mllm_probe.widgets.panel.fluency.sweep_iter", broken)
    real.panel.choose(concept="neon")
    assert real.wait(SOON) and real.bar.message == "no room." and real.panel.doses == []
    assert "at all" in caplog.text
    real.panel.choose(strength=0.5)
    assert real.bar.message == ""


def test_waiting_for_a_lab_where_its_model_is_held_is_refused_at_once(tiny, library):
    with tiny.lock.held():
        lab = mp.explore(tiny, library, strengths=(1,), draws=4)
        with pytest.raises(RuntimeError, match="would never end"):
            lab.wait(5)
    assert lab.wait(SOON)
    grids = mp.sweep_iter(tiny, lab.vectors, [noise_picture(0)], strengths=(1,), progress=False)
    with tiny.lock.held():
        monitor = lab.monitor.watch(grids)
        with pytest.raises(RuntimeError, match="would never end"):
            monitor.wait(5)
    assert lab.wait(SOON)


def test_a_stopped_lab_tries_nothing_more(real):
    real.stop()
    before = real.panel.grid
    real.panel.choose(concept="neon")
    assert real.panel.wait(SOON) and real.panel.grid is before
    assert isinstance(before, xr.Dataset)
