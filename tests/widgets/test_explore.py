"""The lab: a heatmap and a panel that follow each other, filled in the background."""

from __future__ import annotations

import threading

import pytest

import mllm_probe as mp
from mllm_probe.widgets import Explore, LayerConceptHeatmap, SteeringPanel
from tests.widgets import fakes

SOON = 60
MODEL = fakes.FakeModel()


@pytest.fixture
def lab(streams):
    panel = SteeringPanel(MODEL, fakes.vectors(MODEL), concept="cat", layer=5)
    made = Explore(MODEL, LayerConceptHeatmap(fakes.effect(), layer=5), panel)
    assert panel.wait(SOON)
    yield made
    made.close()


def test_a_click_in_the_heatmap_sets_the_panel_with_one_generation(lab, streams):
    lab.heatmap.comm.sent.clear()
    fakes.arrive(lab.heatmap, {"method": "update", "state": {"concept": "neon", "layer": 2}, "buffer_paths": []})
    assert lab.panel.wait(SOON)
    assert (lab.panel.concept, lab.panel.layer, lab.panel.strength) == ("neon", 2, 1.0)
    assert len(streams.made) == 2
    assert lab.panel.answers["steered"] == "a plain picture of a neon (1) and a tree"
    assert (lab.heatmap.concept, lab.heatmap.layer) == ("neon", 2)
    assert not fakes.updates(lab.heatmap, "layer")


def test_a_strength_chip_sets_the_slider(lab):
    fakes.arrive(lab.heatmap, {"method": "update", "state": {"strength": 2.0}, "buffer_paths": []})
    assert lab.panel.wait(SOON) and lab.panel.strength == 2.0


def test_the_panel_moves_the_selection_but_not_the_chip(lab, streams):
    fakes.set_by_hand(lab.panel, 1, concept="awe")
    fakes.set_by_hand(lab.panel, 2, layer=1)
    fakes.set_by_hand(lab.panel, 3, strength=-0.75)
    assert lab.panel.wait(SOON)
    assert (lab.heatmap.concept, lab.heatmap.layer, lab.heatmap.strength) == ("awe", 1, 1.0)
    assert lab.panel.answers["serial"] == 3


def test_a_concept_that_the_panel_has_no_vector_for_is_not_passed_on(lab, streams):
    fakes.arrive(lab.heatmap, {"method": "update", "state": {"concept": "unknown"}, "buffer_paths": []})
    assert lab.panel.wait(SOON) and lab.panel.concept == "cat" and len(streams.made) == 1


def test_another_model_needs_a_library():
    with pytest.raises(ValueError, match="'fake-8l' is not a bundled model.*give library="):
        mp.explore(MODEL)


def test_the_lab_fills_itself_with_a_real_model(tiny):
    library = mp.concepts.scenes(concepts=["cat", "neon", "symmetry"], pairs=4)
    before = set(threading.enumerate())
    lab = mp.explore(tiny, library, strengths=(-1, 1), draws=2)
    assert lab.wait(SOON)
    assert lab.bar.status == "idle" and lab.heatmap.progress == 1.0
    assert list(lab.vectors["concept"].values) == lab.heatmap.concepts == ["cat", "neon", "symmetry"]
    assert mp.effect(lab.grid, "logprob").sizes["layer"] == len(tiny.layers)
    assert lab.panel.answers["baseline"] and lab.panel.answers["generation"] == 1
    fakes.arrive(lab.heatmap, {"method": "update", "state": {"concept": "neon", "layer": 3}, "buffer_paths": []})
    assert lab.panel.wait(SOON) and "neon: layer 3" in lab.panel.receipt[0]
    lab.close()
    assert not [t for t in set(threading.enumerate()) - before if t.name in ("SteeringPanel", "LayerConceptHeatmap")]


def test_what_goes_wrong_in_the_background_is_said_in_the_bar(tiny, monkeypatch, caplog):
    def broken(*_arguments, **_settings):
        raise RuntimeError("no memory left\nfor this")

    monkeypatch.setattr("mllm_probe.widgets.lab.concept_vectors", broken)
    lab = mp.explore(tiny, mp.concepts.scenes(concepts=["cat", "neon"], pairs=2))
    assert not lab.wait(SOON)
    assert (lab.bar.status, lab.bar.message) == ("error", "no memory left.")
    assert "for this" in caplog.text
    lab.close()


def test_its_text_is_the_same_every_time(lab):
    assert repr(lab) == "Explore('fake-8l · 8 layers · cpu · float32')"
