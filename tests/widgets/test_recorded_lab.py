"""The lab of a bundled model opens with recorded results, chooses among them, and goes on with its model."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe import loading
from mllm_probe.concepts import neutral_images
from mllm_probe.concepts.drawn import library_call, map_settings
from mllm_probe.models import ProbeModel
from mllm_probe.models.bundled import bundled_folder, bundled_names
from mllm_probe.widgets.lab.exploring import open_lab
from mllm_probe.widgets.lab.record_file import FILE, LabRecord, RecordError, key_of, read, record_for, write
from mllm_probe.widgets.lab.recorded_lab import LOADING, WAITS, RecordedLab, tree_of
from mllm_probe.widgets.lab.recording import METRICS, plain_state, shown_at
from tests.widgets import fakes

NAME, SEED, SOON = "scenes-4l", 30, 120.0
RECORDED = [name for name in bundled_names() if (Path(str(bundled_folder(name))) / FILE).is_file()]
MOST = {"scenes-16l": 8_000_000}
CELL = {"concept": "cat", "layer": 2, "window": [2, 2], "strength": 2.0}
ROWS = ("baseline", "steered", "random")
Opened = tuple[RecordedLab, Callable[[], Any]]


@pytest.fixture(scope="module")
def model() -> ProbeModel:
    return mp.load(NAME)


@pytest.fixture(scope="module")
def record() -> LabRecord:
    found = record_for(NAME)
    assert found is not None
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, model: ProbeModel) -> Iterator[Opened]:
    """A recorded lab whose model is loaded when the second part is called."""
    with held(monkeypatch, model, lambda: mp.explore(NAME)) as made:
        yield made


class held:
    """A lab that is opened while loading is held back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, model: ProbeModel, explore: Callable[[], Any]) -> None:
        self.go = threading.Event()
        monkeypatch.setattr(loading, "load", lambda name: (self.go.wait(SOON), model)[1])
        self.lab = explore()
        assert isinstance(self.lab, RecordedLab)

    def __enter__(self) -> Opened:
        return self.lab, lambda: (self.go.set(), self.lab.live)[1]

    def __exit__(self, *_error: object) -> None:
        self.go.set()
        self.lab._thread.join()
        self.lab.close()


def texts(state: dict[str, Any]) -> list[str]:
    return [state["answers"][row] for row in ROWS]


def test_the_first_frame_has_picture_answers_and_the_whole_map(opened: Opened, record: LabRecord) -> None:
    lab, _ = opened
    panel, heatmap, bar = lab._panel.state, lab._heatmap.state, lab._bar.state
    assert panel["pictures"][panel["picture"]]["png"].startswith(b"\x89PNG") and all(texts(panel))
    values = np.frombuffer(heatmap["values"], np.float32)
    assert values.size == 48 * 4 * 3 and np.isfinite(values).all() and "score" in heatmap["metrics"]
    assert "recorded" in bar["title"] and bar["step"] == LOADING
    view = lab._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == lab._stills[0].comm.comm_id
    assert lab._stills[0].get_state()["_model_name"] == "VBoxModel"


def test_clicks_choose_among_recorded_answers_and_what_is_not_recorded_waits(opened: Opened, record: LabRecord) -> None:
    lab, load = opened
    fakes.select(lab._heatmap, **CELL, picked=1)
    panel = lab._panel.state
    assert [panel[name] for name in CELL] == list(CELL.values()) and panel["scope"] == "last_prompt"
    assert texts(panel) == texts(record.answers["cat", 2, 2, 2.0, "last_prompt"][lab._stills.index(lab._panel)])
    assert fakes.updates(lab._panel, "answers")[-1]["generation"] > 0
    echo = next(data for data, _ in lab._heatmap.comm.sent if data["method"] == "echo_update")
    assert echo["state"]["concept"] == "cat"
    fakes.set_by_hand(lab._panel, 1, concept="neon")
    assert panel["concept"] == "neon" and panel["window"] == [2, 2] and panel["answers"]["serial"] == 1
    shown = texts(panel)
    fakes.set_by_hand(lab._panel, 2, strength=2.25)
    assert (panel["activity"], texts(panel), panel["strength"]) == (WAITS, shown, 2.25)
    fakes.set_by_hand(lab._panel, 3, prompt="What is the style?")
    fakes.set_by_hand(lab._panel, 4, strength=2.0)
    assert panel["activity"] == WAITS  # the prompt is another one
    live = load()
    assert live.panel.wait(SOON) and live.panel.prompt == "What is the style?" and live.panel.activity == ""
    assert (live.panel.concept, live.panel.strength, live.panel.answers["serial"]) == ("neon", 2.0, 4)


def test_the_concept_menu_goes_from_one_recommended_setting_to_the_next(opened: Opened, model: ProbeModel) -> None:
    lab, _ = opened
    fakes.set_by_hand(lab._panel, 1, concept="umbrella")
    best = mp.studies.recommendation.stored_settings(model)["umbrella"]
    assert lab._panel.state["scope"] == best.scope and lab._panel.state["window"] == [best.layer] * 2
    assert "Recommended setting for umbrella" in lab._panel.state["advice"] and not lab._panel.state["activity"]


def test_the_live_lab_takes_the_views_over_and_sends_only_what_differs(opened: Opened) -> None:
    lab, load = opened
    fakes.select(lab._heatmap, **CELL, picked=1)
    comms = [still.comm for still in lab._stills]
    shown, sent = texts(lab._panel.state), [len(comm.sent) for comm in comms]
    live = load()
    assert [widget.comm for widget in tree_of(live)] == comms
    assert live.model_id == lab._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert live.panel.wait(SOON)
    again = {name for comm, before in zip(comms, sent, strict=True) for data, _ in comm.sent[before:]
             if data["method"] == "update" for name in data["state"]}  # fmt: skip
    assert not again & {"pictures", "values", "_esm", "layout", "children", "concept", "window", "strength"}
    assert [live.panel.answers[row] for row in ROWS] == shown
    assert (live.heatmap.concept, live.heatmap.window, live.heatmap.strength) == ("cat", [2, 2], 2.0)
    assert live.wait(SOON) and live.bar.step == "" and live.bar.resume == "Measure again" and live.grid is None
    live.heatmap.metric = "logprob"
    assert live.heatmap.unit == "nats" and live.heatmap.metric_labels["score"] == "Δ score of answers"
    fakes.select(live.heatmap, concept="tree", picked=2)
    assert live.panel.wait(SOON) and live.panel.concept == "tree" and lab.panel is live.panel


def test_what_waited_is_done_by_the_live_lab(opened: Opened) -> None:
    lab, load = opened
    offered = len(lab._panel.state["pictures"])
    fakes.select(lab._bar, opened=["code"])
    fakes.say(lab._panel, "scene", seed=7)
    live = load()
    assert live.panel.wait(SOON) and len(live.panel.pictures) == offered + 1 and live.panel.picture == offered
    assert live.bar.opened == ["code"] and "mp.Steering" in live.bar.code


def test_a_record_of_other_weights_is_not_used_and_says_so(
    monkeypatch: pytest.MonkeyPatch, model: ProbeModel, record: LabRecord
) -> None:
    other = replace(record, facts=record.facts | {"weights": "0" * 12})
    with held(monkeypatch, model, lambda: RecordedLab(NAME, other)) as (_, load):
        live = load()
        live.stop()
        assert "of weights 000000000000, and the loaded model has" in live.bar.message
        assert live.heatmap.grid is None or live.grid is not None  # nothing recorded is shown


def test_a_model_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch, record: LabRecord) -> None:
    monkeypatch.setattr(loading, "load", lambda name: (_ for _ in ()).throw(OSError("the disk is gone")))
    lab = RecordedLab(NAME, record)
    lab._thread.join()
    assert lab._bar.state["status"] == "error" and "the disk is gone" in lab._bar.state["message"]
    with pytest.raises(RuntimeError, match="has no model: the disk is gone; open another"):
        lab.panel  # noqa: B018
    lab.close()


def test_a_lab_that_was_closed_while_it_loads_stays_closed(opened: Opened) -> None:
    lab, load = opened
    lab.close()
    with pytest.raises(RuntimeError, match="it was closed"):
        load()


def test_a_damaged_record_and_one_of_another_version_are_refused(
    record: LabRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / FILE
    write(record, file)
    assert read(file).answers == record.answers and read(file).frame == record.frame
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(RecordError, match="cannot be read"):
        read(file)
    write(replace(record, facts=record.facts | {"package": "0.0.0"}), file)
    with pytest.raises(RecordError, match=r"of mllm_probe 0\.0\.0; expected"):
        read(file)
    monkeypatch.setattr("mllm_probe.widgets.lab.record_file.WEIGHTS", "config.json")
    with pytest.raises(RecordError, match=r"is of other weights than .*config\.json"):
        record_for(NAME)
    monkeypatch.setattr("mllm_probe.widgets.lab.exploring.open_lab", lambda name, *_rest, **_more: name)
    assert mp.explore(NAME) == NAME and "is of other weights" in caplog.text


def test_other_settings_open_a_lab_that_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mllm_probe.widgets.lab.exploring.open_lab", lambda name, *_rest, **more: more)
    assert mp.explore(NAME, seed=1)["seed"] == 1 and mp.explore(NAME, strengths=(1,))["strengths"] == (1,)


@pytest.mark.parametrize("name", RECORDED)
def test_a_record_is_small_and_of_the_model_it_lies_beside(name: str) -> None:
    made = record_for(name)
    assert made is not None and made.facts["model"] == name
    assert (Path(str(bundled_folder(name))) / FILE).stat().st_size <= MOST.get(name, 4_000_000)
    layers, strengths = (made.frame[made.facts["widgets"]["heatmap"]][key] for key in ("layers", "strengths"))
    cells = {(concept, layer, layer, strength, "last_prompt") for concept in library_call(name)()
             for layer in layers for strength in strengths}  # fmt: skip
    assert cells <= made.answers.keys() and set(METRICS) <= made.effects().keys()
    assert made.facts["libraries"].keys() == {"numpy", "torch", "transformers", "xarray"}


def test_the_frame_has_the_widgets_of_todays_lab(model: ProbeModel, record: LabRecord) -> None:
    lab = open_lab(model, record=record)
    try:
        lab.panel.wait_until_free()
        today = [(state["_model_name"], sorted(state)) for state in map(plain_state, tree_of(lab))]
        recorded = [(state["_model_name"], sorted(state)) for state in record.frame]
        assert today == recorded, f"record it again: python -m training record {NAME} --work FOLDER"
    finally:
        lab.close()


def require_answers(model: ProbeModel, record: LabRecord, share: float) -> int:
    """Compare a seeded share of the recorded answers with live ones."""
    lab = open_lab(model, record=record)
    lab.panel.wait_until_free()
    widgets, place = tree_of(lab), record.facts["widgets"]["panel"]
    first = [plain_state(widget) for widget in widgets]
    chosen = random.Random(SEED).sample(list(record.answers), round(share * len(record.answers)))
    for concept, begin, end, strength, scope in chosen:
        recorded = record.frame[place] | record.answers[concept, begin, end, strength, scope].get(place, {})
        controls = {"concept": concept, "window": [begin, end], "strength": strength, "scope": scope}
        live = first[place] | shown_at(lab, widgets, first, controls | {"picture": recorded["picture"]}).get(place, {})
        assert key_of(live) == (concept, begin, end, strength, scope)
        assert texts(live) == texts(recorded), (concept, begin, strength, scope)
    lab.close()
    return len(chosen)


def require_effects(model: ProbeModel, record: LabRecord, metrics: tuple[str, ...]) -> None:
    """Compare the effects of one seeded layer, at every dose, with a sweep of it alone.

    All concepts stay: `kept` counts an image's content by the words of all of them.
    """
    vectors, recorded = record.dataset("vectors"), record.effects()
    layer = random.Random(SEED).choice(list(model.layers))
    _, held_out = library_call(model.name)().split(seed=0)
    usual = map_settings(model.name)
    images = neutral_images(held_out, usual.neutral)
    settings = {"strengths": usual.strengths, "tokens": usual.tokens, "metrics": metrics, "seed": 0, "progress": False}
    grid = mp.sweep(model, vectors, images, layers=[layer], draws=record.facts["draws"], **settings)
    for metric in metrics:
        live, kept = mp.effect(grid, metric), recorded[metric].sel(layer=[layer])
        for part in ("value", "difference", "control_mean", "n"):
            np.testing.assert_allclose(live[part], kept[part], rtol=2e-3, atol=2e-3, err_msg=f"{metric}: {part}")


def test_a_few_recorded_results_are_those_of_the_model(model: ProbeModel, record: LabRecord) -> None:
    assert require_answers(model, record, 0.02) >= 12
    require_effects(model, record, ("logprob",))


@pytest.mark.parametrize("recorded_name", RECORDED)
def test_a_tenth_of_the_recorded_results_is_that_of_the_model(recorded_name: str) -> None:
    model, record = mp.load(recorded_name), record_for(recorded_name)
    assert record is not None and require_answers(model, record, 0.1) >= 57
    require_effects(model, record, METRICS)
