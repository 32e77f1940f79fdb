"""Map and panel follow each other, windows of layers too, and nothing goes in circles."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mllm_probe.widgets import LayerConceptHeatmap, SteeringPanel, StudyView, link
from tests.widgets import fakes

SOON = 60
MODEL = fakes.FakeModel()
PARTS = ("concept", "layer", "window")


class Linked:
    """A map and a panel, and what was said when they could not follow."""

    def __init__(self, grid=None):
        self.panel = SteeringPanel(MODEL, fakes.vectors(MODEL), concept="cat", layer=5)
        self.heatmap = LayerConceptHeatmap(fakes.effect() if grid is None else grid, concept="cat", layer=5)
        self.said = []
        link(self.heatmap, self.panel, self.said.append)
        assert self.panel.wait(SOON)

    def select(self, **state):
        """What the front-end of the map sends when cells are selected."""
        fakes.select(self.heatmap, **state)
        assert self.panel.wait(SOON)

    def both(self, *names):
        return [[getattr(widget, name) for name in names or PARTS] for widget in (self.heatmap, self.panel)]


@pytest.fixture
def linked(streams):
    made = Linked()
    return made


def test_a_window_in_the_map_sets_the_panel_with_one_generation(linked, streams):
    linked.heatmap.comm.sent.clear()
    linked.select(concept="neon", layer=2, window=[2, 4])
    assert linked.both() == [["neon", 2, [2, 4]]] * 2
    assert len(streams.made) == 2 and streams.made[1].steering[1].parts[0].layers == (2, 3, 4)
    assert not any(fakes.updates(linked.heatmap, name) for name in PARTS)


def test_a_window_in_the_panel_moves_the_selection_and_comes_back_to_nobody(linked, streams):
    linked.panel.comm.sent.clear()
    fakes.set_by_hand(linked.panel, 1, layer=1, window=[1, 6])
    assert linked.panel.wait(SOON)
    assert linked.both("layer", "window") == [[1, [1, 6]]] * 2
    assert len(streams.made) == 2
    assert not any(fakes.updates(linked.panel, name) for name in PARTS)
    assert fakes.updates(linked.heatmap, "window")[-1] == [1, 6]


def test_the_selection_is_never_sent_half(linked):
    linked.select(concept="cat", layer=2, window=[2, 4])
    linked.heatmap.comm.sent.clear()
    fakes.set_by_hand(linked.panel, 1, layer=6)
    assert linked.panel.wait(SOON)
    assert linked.both("layer", "window") == [[6, [6, 6]]] * 2
    assert set(map(tuple, fakes.updates(linked.heatmap, "window"))) == {(6, 6)}
    assert set(fakes.updates(linked.heatmap, "layer")) == {6}


def test_setting_either_from_python_moves_the_other(linked):
    linked.heatmap.window = [3, 1]
    assert linked.panel.wait(SOON) and linked.both("layer", "window") == [[1, [1, 3]]] * 2
    linked.panel.window = [4, 5]
    assert linked.panel.wait(SOON) and linked.both("layer", "window") == [[4, [4, 5]]] * 2
    linked.panel.layer = 7
    assert linked.panel.wait(SOON) and linked.both("layer", "window") == [[7, [7, 7]]] * 2
    linked.heatmap.layer = 0
    assert linked.panel.wait(SOON) and linked.both("layer", "window") == [[0, [0, 0]]] * 2


def test_a_layer_that_was_not_swept_leaves_the_selection(streams):
    linked = Linked(fakes.effect().isel(layer=[1, 3, 5, 7]))
    fakes.set_by_hand(linked.panel, 1, layer=4)
    assert linked.panel.wait(SOON) and (linked.panel.layer, linked.heatmap.layer) == (4, 5)
    fakes.set_by_hand(linked.panel, 2, layer=3)
    assert linked.panel.wait(SOON) and linked.both("layer", "window") == [[3, [3, 3]]] * 2


def test_what_could_not_be_passed_on_is_said_in_a_sentence(linked, monkeypatch, caplog):
    def broken(**_setting):
        raise RuntimeError("the panel is out of order\nwith details")

    monkeypatch.setattr(linked.panel, "choose", broken)
    linked.select(layer=2, window=[2, 2])
    assert linked.said == ["the panel is out of order."]
    assert "with details" in caplog.text and "Traceback" in caplog.text


def a_study():
    names, categories = fakes.names()
    values = np.ones((1, len(names), 3))
    return xr.Dataset(
        {"read_out": (("measure", "concept", "layer"), values)},
        {"measure": ["interchange, insert"], "concept": names, "category": ("concept", categories), "layer": [1, 3, 5]},
        {"study": "localization", "n_concepts": len(names), "summary": "", "model": "fake-8l"},
    )


def test_a_study_shares_concept_and_layer_with_a_panel_and_with_a_map(streams):
    panel, said = SteeringPanel(MODEL, fakes.vectors(MODEL), concept="cat", layer=5), []
    view = StudyView(a_study(), concept="cat", layer=5)
    link(view, panel, said.append)
    assert panel.wait(SOON)
    made = len(streams.made)
    fakes.select(view, concept="neon", layer=3)
    assert panel.wait(SOON) and (panel.concept, panel.layer) == ("neon", 3)
    fakes.set_by_hand(panel, 1, concept="awe", layer=1)
    assert panel.wait(SOON) and (view.concept, view.layer) == ("awe", 1)
    fakes.set_by_hand(panel, 2, layer=2)
    assert panel.wait(SOON) and view.layer == 1  # the study has no layer 2
    assert len(streams.made) <= made + 4 and said == []
    heatmap = LayerConceptHeatmap(fakes.effect(), concept="awe", layer=5)
    link(view, heatmap, said.append)
    view.concept, view.layer = "neon", 3
    assert (heatmap.concept, heatmap.layer, heatmap.window) == ("neon", 3, [3, 3])
    heatmap.layer = 1
    assert view.layer == 1 and said == []


def test_what_cannot_be_linked_is_said():
    view, heatmap = StudyView(a_study()), LayerConceptHeatmap(fakes.effect())
    with pytest.raises(TypeError, match="a StudyView and one of these.*got a LayerConceptHeatmap and a StudyView"):
        link(heatmap, view)
    with pytest.raises(TypeError, match="got a StudyView and 'panel'"):
        link(view, "panel")


def grid(tokens="last_prompt"):
    return fakes.effect().assign_attrs(scope=tokens)


def test_a_click_sets_concept_layer_dose_and_tokens(streams):
    linked = Linked(grid())
    linked.panel.choose(strength=1.5, scope="image")
    assert linked.panel.wait(SOON)
    made = len(streams.made)
    linked.select(concept="neon", layer=2, window=[2, 2], picked=1)
    panel = linked.panel
    assert (panel.concept, panel.layer, panel.strength, panel.scope) == ("neon", 2, 1.0, "last_prompt")
    assert len(streams.made) == made + 1
    part = streams.made[-1].steering[1].parts[0]
    assert (part.layers, part.strength, part.tokens) == ((2,), 1.0, ("last_prompt",))


def test_a_click_on_the_selected_cell_brings_the_panel_back_to_it(streams):
    linked = Linked(grid())
    linked.select(concept="cat", layer=5, window=[5, 5], picked=1)
    fakes.set_by_hand(linked.panel, 1, strength=-0.75, scope="all")
    assert linked.panel.wait(SOON) and linked.panel.strength == -0.75
    linked.select(picked=2)
    assert (linked.panel.strength, linked.panel.scope) == (1.0, "last_prompt")
    fakes.set_by_hand(linked.panel, 2, scope="image")  # which the map does not follow
    assert linked.panel.wait(SOON) and linked.panel.scope == "image"
    linked.select(picked=3)
    assert linked.panel.scope == "last_prompt"


def test_a_dose_that_was_swept_moves_the_map_and_another_leaves_it(streams):
    linked = Linked(grid())
    fakes.set_by_hand(linked.panel, 1, strength=2.0)
    assert linked.panel.wait(SOON) and linked.heatmap.strength == 2.0
    fakes.set_by_hand(linked.panel, 2, strength=1.75)
    assert linked.panel.wait(SOON) and linked.heatmap.strength == 2.0 and linked.panel.strength == 1.75


def test_what_the_panel_cannot_steer_with_is_left_as_it_is(streams):
    """A map in another unit gives no dose, one over positions no tokens, and an unknown concept nothing."""
    linked = Linked(grid("positions [3, 4]").assign_attrs(unit="vector"))
    fakes.set_by_hand(linked.panel, 1, strength=0.75, scope="image")
    assert linked.panel.wait(SOON)
    linked.select(concept="neon", layer=2, window=[2, 2], picked=1)
    assert (linked.panel.concept, linked.panel.strength, linked.panel.scope) == ("neon", 0.75, "image")
    assert linked.heatmap.tokens_label == "positions [3, 4]"
    for tokens, label in {"last_prompt+generated": "prompt end + answer", "last_prompt": "last token"}.items():
        shown = LayerConceptHeatmap(grid(tokens))
        assert (shown.scope, shown.tokens_label) == (tokens, label)
    made = len(streams.made)
    linked.select(concept="unknown")
    assert linked.panel.concept == "neon" and len(streams.made) == made
