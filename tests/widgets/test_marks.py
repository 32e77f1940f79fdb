"""Where answers name concepts: the metric, the panel, the report and saved pages agree, and edits reach all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe.metrics.text import NEGATIONS, named, spans
from mllm_probe.metrics.words import words_of
from mllm_probe.reports.sweep_report import answers_of
from mllm_probe.widgets import SteeringPanel
from mllm_probe.widgets.base.numbers import marks
from tests.widgets import fakes
from tests.widgets.test_report import grid

SOON = 30
CASES = json.loads((Path(__file__).parents[1] / "naming.json").read_text(encoding="utf-8"))
MODEL = fakes.FakeModel()
CAT = ["cat", "kitten"]


class Said(fakes.FakeStream):
    """Answers the same on every row: ``text``, a character at a time."""

    text = ""

    def _answer(self, row: int) -> list[str]:
        raise AssertionError("not asked")

    def __iter__(self):
        for step in range(len(self.text)):
            for row in range(3):
                yield row, step, self.text[: step + 1]


def saying(monkeypatch, text: str) -> None:
    def stream(model, image, prompt, *, steering, max_new_tokens):
        made = Said(steering, prompt)
        made.text = text
        return made

    monkeypatch.setattr("mllm_probe.widgets.panel.steering_panel.stream", stream)


def vectors(**words: list[str]) -> xr.Dataset:
    found = fakes.vectors(MODEL).sel(concept=list(words))
    found["words"] = ("concept", [json.dumps(own) for own in words.values()])
    return found


@pytest.fixture
def panel_of(monkeypatch):
    """Makes a panel whose answers are ``text``."""
    made = []

    def make(text: str, second: str = "", **words: list[str]) -> SteeringPanel:
        saying(monkeypatch, text)
        panel = SteeringPanel(MODEL, vectors(**words), [Image.new("RGB", (8, 8))], layer=3, second=second)
        made.append(panel)
        assert panel.wait(SOON), panel.message
        return panel

    return make


def saved(widget, folder: Path) -> dict:
    text = widget.to_html(folder / "page.html").path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="mp-page">(.*?)</script>', text, re.DOTALL)[1])["models"][0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["answer"] or "empty")
def test_metric_panel_report_and_page_agree(case, panel_of, tmp_path):
    answer, expected = case["answer"], case["utf16"]
    panel = panel_of(answer, cat=case["words"])
    assert [panel.answers["spans"][row] for row in ("baseline", "steered", "random")] == [expected] * 3
    for message in fakes.messages(panel, "token"):
        assert message["spans"] == marks(message["text"], [case["words"]])
    if answer:
        assert fakes.messages(panel, "token")[-1]["spans"] == expected
    page = saved(panel, tmp_path)
    assert page["state"]["answers"]["spans"]["steered"] == expected
    assert page["recorded"]["recordings"][0]["shown"]["answers"]["spans"]["steered"] == expected

    data = grid(concepts=("cat",)).assign_coords(words=("concept", [json.dumps(case["words"])]))
    data["text_unsteered"].values[:] = data["text"].values[:] = answer
    report = answers_of(data)
    assert report["texts"] == [answer] and report["spans"] == [{"0": expected} if expected else {}]
    assert any(not negated for _, _, negated in expected) == case["named"] == named(answer, case["words"])


def test_an_editor_of_words_sees_streaming_finished_pinned_and_recorded_answers_marked_anew(panel_of, tmp_path):
    panel = panel_of("a feline, no tiger", cat=CAT)
    panel.pin()
    assert panel.answers["spans"]["steered"] == [] == panel.pins[0]["spans"]["steered"]
    fakes.say(panel, "naming", state={"words": {"cat": ["feline", "tiger"]}})
    expected = [[2, 8, 0], [13, 18, 1]]
    assert fakes.updates(panel, "words")[-1] == {"cat": ["feline", "tiger"]}
    sent = fakes.updates(panel, "answers")[-1], fakes.updates(panel, "pins")[-1][0]
    for held in (panel.answers, panel.pins[0], *sent):
        assert held["spans"]["steered"] == expected
    assert next(iter(panel.recordings())).shown["answers"]["spans"]["random"] == expected
    panel.negations = []
    assert panel.answers["spans"]["steered"] == [[2, 8, 0], [13, 18, 0]] == panel.pins[0]["spans"]["steered"]
    assert saved(panel, tmp_path)["state"]["pins"][0]["spans"]["steered"] == [[2, 8, 0], [13, 18, 0]]


def test_answers_that_stream_are_sent_again_when_words_are_edited(streams):
    streams.pause = 0.05
    panel = SteeringPanel(MODEL, fakes.vectors(MODEL), [Image.new("RGB", (8, 8))], concept="cat", layer=3)
    while not any(one["text"].endswith("plain") for one in fakes.messages(panel, "token")):
        pass
    panel.words = panel.words | {"cat": ["plain"]}
    assert panel.wait(SOON)
    sent = [one for one in fakes.messages(panel, "token") if one["row"] == 1]
    first = next(i for i, one in enumerate(sent) if one["spans"])
    assert sent[first]["text"] == sent[first - 1]["text"] and not sent[first - 1]["spans"]
    assert all(one["spans"] == [[2, 7, 0]] for one in sent[first:])
    assert panel.answers["spans"]["steered"] == [[2, 7, 0]]


def test_both_concepts_are_marked_and_mentions_that_overlap_are_one(panel_of):
    panel = panel_of("a black cat, no dog", second="dog", cat=["cat", "black cat"], dog=["dog", "black"])
    assert panel.answers["spans"]["steered"] == [[2, 11, 0], [16, 19, 1]]
    panel.choose(second="")
    assert panel.wait(SOON) and panel.answers["spans"]["steered"] == [[2, 11, 0]]
    assert marks("not sleeping near a black cat", [["cat"], ["black cat"]]) == [[20, 29, 0]]
    assert spans("not sleeping near a black cat", ["black cat"])[0].negated


def test_what_the_front_end_may_not_say_is_refused_and_changes_nothing(panel_of):
    panel = panel_of("a cat", cat=CAT)
    for state in ({"words": {"cat": [5]}}, {"words": ["cat"]}, {"words": {"cat": "feline"}}, {"negations": [None]}):
        before = len(fakes.updates(panel, "message"))
        fakes.say(panel, "naming", state=state)
        assert fakes.updates(panel, "message")[before:] == ["", panel.message] and panel.message
        assert (panel.words, panel.negations, panel.status) == ({"cat": CAT}, list(NEGATIONS), "idle")
        assert panel.answers["spans"]["steered"] == [[2, 5, 0]]


def test_an_update_stays_small(panel_of):
    def size(message: dict) -> int:
        return len(json.dumps(message, separators=(",", ":")))

    panel = panel_of("a plain picture of a cat (2) and a tree , no kitten", cat=CAT)
    for message in fakes.messages(panel, "token"):
        without = {name: value for name, value in message.items() if name != "spans"}
        assert size(message) - size(without) <= 12 + 10 * len(message["spans"])


def test_a_report_marks_synonyms_and_says_when_it_has_only_names(tmp_path):
    def says_so(data):
        text = mp.report(data, tmp_path / "report.html").path.read_text(encoding="utf-8")
        return "The grid does not say which words name a concept" in text

    data = grid(concepts=("left_of", "dog"))
    assert says_so(data)
    data["text_unsteered"].values[:] = "a puppy left of it"
    assert [list(found.values()) for found in answers_of(data)["spans"]] == [[[[8, 15, 0]]], []]
    data = data.assign_coords(words=("concept", ['["beside"]', '["puppy", [7, 8]]']))
    assert [list(found.values()) for found in answers_of(data)["spans"]] == [[], [[[2, 7, 0]]]]
    assert words_of(data)["dog"] == ["puppy"] and not says_so(data)


def test_a_text_is_marked_for_the_concepts_whose_cells_show_it():
    data = grid(concepts=("cat", "dog"))
    data["text"].values[1] = "a dog and a cat"
    data = data.assign_coords(words=("concept", ['["cat"]', '["dog"]']))
    found = answers_of(data)
    cat, dog = ({found["texts"][int(i)]: value for i, value in one.items()} for one in found["spans"])
    assert cat == {"a cat": [[2, 5, 0]]} and dog == {"a dog and a cat": [[2, 5, 0]]}
    assert np.size(found["unsteered"]) == 6
