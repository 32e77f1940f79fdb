"""What is said of each answer of a panel, and on which image it is given."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.concepts import Picture
from mllm_probe.scenes import draw, sample
from mllm_probe.widgets import SteeringPanel
from mllm_probe.widgets.panel.answer_facts import AnswerRules, LivePerplexity, broken_answers
from tests.widgets import fakes

SOON = 60
MODEL = fakes.FakeModel()
READING = AnswerRules(
    {"cat": ["cat", "kitten"], "neon": ["neon"], "sketch": ["sketch"], "tree": ["tree"]},
    ("no", "not"),
    {"cat": "entity", "tree": "entity", "neon": "visual_style", "sketch": "visual_style"},
)


def facts(answer, labels=("tree", "sketch"), broken="", **setting):
    return READING.facts({"concept": "cat", "second": ""} | setting, answer, labels, broken)


def test_an_answer_says_what_it_names_and_keeps_and_what_is_not_known():
    assert facts("a kitten, tree") == [["named", "names cat"], ["plain", "kept 1 of 2"]]
    assert facts("no cat, sketch of a tree") == [["plain", "does not name cat"], ["plain", "kept 2 of 2"]]
    named = [["named", "names cat"], ["named", "names neon"]]
    assert facts("cat, neon", second="neon") == [*named, ["plain", "kept 0 of 1"]]
    replaced = facts("neon, tree", concept="neon")
    assert replaced == [["named", "names neon"], ["plain", "kept 1 of 1"]], "what a style replaces is no content"
    assert facts("cat", labels=None)[-1] == ["plain", "content not checked"]
    assert facts("cat", labels=["cat"]) == [["named", "names cat"]]
    assert facts("cat", broken="not checked")[-1] == ["plain", "fluency not checked"]


@pytest.mark.parametrize(
    ("steered", "ratio", "reason"),
    [
        ("tree, dotted, car, umbrella", 3.6, ""),
        ("tree, car", 10.1, "improbable text"),
        ("cat", math.nan, "improbable text"),
        ("rocket, rocket, mushroom rocket rocket", 1.1, "repeats words"),
        (" ", math.nan, "empty"),
    ],
)
def test_an_answer_is_broken_as_in_a_score(steered, ratio, reason):
    texts = {"baseline": "dotted, car, umbrella", "steered": steered, "random": "dotted, car, umbrella"}
    found = broken_answers(texts, [1.0, ratio, 1.0])
    assert found == {"baseline": "", "steered": reason, "random": ""}
    assert facts(steered, broken=reason)[2:] == ([["broken", f"broken: {reason}"]] if reason else [])
    texts = {"baseline": "a tree", "steered": "a a a a", "random": "a tree"}  # without a perplexity
    assert broken_answers(texts, None) == {"baseline": "", "steered": "repeats words", "random": "not checked"}


@pytest.fixture(scope="module")
def drawn():
    """A drawn model, vectors of three of its concepts, and a library of them."""
    model = mp.load("scenes-4l")
    library = mp.concepts.scenes(concepts=["cat", "neon", "tree"], pairs=16)
    fit, held_out = library.split()
    return model, mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False), held_out


def test_live_answers_are_read_as_those_of_a_sweep_and_with_their_own_image(drawn):
    """With an image that has the concept, ratios are those of a sweep's cell; the smaller of both readings counts."""
    model, vectors, held_out = drawn
    grid = mp.sweep(
        model, vectors.sel(concept=["cat"]), held_out.subset(concepts=["cat"]), layers=[1, 3], strengths=(0, 1, 3),
        tokens="last_prompt", metrics=("named", "perplexity"), draws=4, max_new_tokens=12, progress=False,
    )  # fmt: skip
    live = LivePerplexity(model, {"cat": held_out["cat"].positive[0]})
    checked, smaller = 0, set()
    for layer, strength, image in itertools.product((1, 3), (1, 3), held_out["cat"].negative[:4]):
        steering = mp.Steering(vectors.sel(concept="cat"), [layer], strength, tokens="last_prompt")
        running = mp.stream(model, image, model.default_prompt, steering=[None, steering], max_new_tokens=12)
        list(running)
        asked = (vectors, "cat", image, model.default_prompt, running.tokens, 12)
        with_concept, with_own = live.readings(*asked)[:, 1].tolist()
        cell = grid.sel(concept="cat", layer=layer, strength=strength, control="concept").isel(draw=0)
        swept = float(cell.perplexity.sel(sample=image.id))
        assert with_concept == pytest.approx(swept, rel=2e-3, nan_ok=True)
        assert live.ratios(*asked) == [1.0, pytest.approx(np.minimum(with_concept, with_own), rel=1e-5, nan_ok=True)]
        smaller.add(with_own < with_concept)
        checked += 1
    assert checked == 16 and True in smaller


@pytest.mark.parametrize("answer", ["car, mushroom, neon", "tree, cat, neon", "umbrella, mushroom, cat, neon"])
def test_a_good_sentence_about_its_own_image_is_not_broken(answer):
    """Read with an image that has the concept, and other things, these have more than ten times the perplexity."""
    model = mp.load("scenes-8l")
    concept = answer.partition(",")[0]
    fit, held_out = mp.concepts.scenes(concepts=["bird", concept], pairs=24).split()
    vectors = mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False)
    image = held_out["bird"].negative[0]
    [baseline] = mp.generate(model, image, max_new_tokens=12).text
    assert baseline == "mushroom, cat, neon"
    tokens = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (baseline, answer)]
    live = LivePerplexity(model, {concept: held_out[concept].positive[0]})
    ratios = live.ratios(vectors, concept, image, model.default_prompt, tokens, 12)
    texts = {"baseline": baseline, "steered": answer, "random": baseline}
    assert broken_answers(texts, [*ratios, 1.0])["steered"] == ""


def test_what_cannot_be_computed_is_said_and_logged(drawn, caplog):
    model, vectors, held_out = drawn
    panel = SteeringPanel(model, vectors, held_out, prompt="what do you see ?")
    panel._perplexity = LivePerplexity(model, {"cat": "no image"})
    panel.run()
    assert panel.wait(SOON)
    assert panel.answers["facts"]["steered"][-1][1] in ("fluency not checked", "broken: repeats words")
    assert "perplexity of a panel's answers could not be computed" in caplog.text


def labelled(*names):
    return Picture(draw(sample(np.random.default_rng(1)), 64), labels=frozenset(names))


@pytest.fixture
def panel(streams):
    images = [labelled("cat", "tree"), labelled("tree"), labelled("neon"), labelled("cat")]
    made = SteeringPanel(MODEL, fakes.vectors(MODEL), images, concept="neon", layer=5)
    assert made.wait(SOON)
    return made


def moved(panel, **state):
    fakes.set_by_hand(panel, panel.serial + 1, **state)
    assert panel.wait(SOON)
    return panel.picture


def test_a_concept_brings_an_image_that_suits_its_dose_until_somebody_chooses_one(panel):
    assert panel.picture == 0
    assert moved(panel, concept="cat") == 1 and panel.image_note == ""
    assert moved(panel, concept="tree") == 2
    assert moved(panel, concept="neon") == 0
    assert moved(panel, concept="cat", strength=-1.0) == 0 and panel.image_note == ""


def test_a_slider_leaves_the_image(panel):
    assert moved(panel, concept="cat") == 1
    assert moved(panel, strength=-1.0) == 1 and panel.image_note.startswith("The image does not show cat")
    assert moved(panel, strength=0.0) == 1 and panel.image_note == ""


def test_an_image_that_was_chosen_stays_with_a_line_and_an_offer(panel):
    moved(panel, picture=3)
    assert moved(panel, concept="cat") == 3
    assert panel.image_note.startswith("The image shows cat already") and panel.other_image == 1
    fakes.say(panel, "eligible")
    assert panel.wait(SOON) and (panel.picture, panel.image_note) == (1, "")
    assert moved(panel, concept="tree") == 2  # it is chosen by the panel again


def test_a_dose_against_a_concept_wants_an_image_that_has_it(panel):
    moved(panel, picture=1)
    moved(panel, concept="cat", strength=-1.0)
    assert panel.image_note.startswith("The image does not show cat") and panel.other_image == 0
    moved(panel, concept="awe")
    assert panel.image_note.startswith("The image does not show awe") and panel.other_image == -1
    fakes.say(panel, "eligible")
    assert panel.wait(SOON) and panel.picture == 1


def test_an_unsteered_answer_that_names_the_concept_is_said_where_there_are_no_labels(streams):
    image = draw(sample(np.random.default_rng(2)), 64)
    made = SteeringPanel(MODEL, fakes.vectors(MODEL), [image, labelled("cat")], concept="tree", layer=5)
    assert made.wait(SOON)
    assert made.image_note.startswith("The unsteered answer names tree already") and made.other_image == 1


def test_a_click_gives_one_generation_also_where_the_image_changes(panel, streams):
    made = len(streams.made)
    panel.choose(concept="cat", window=[2, 2], strength=1.0)
    assert panel.wait(SOON) and panel.picture == 1 and len(streams.made) == made + 1
