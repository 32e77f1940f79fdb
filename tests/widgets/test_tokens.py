"""The strip: tokens with roles, projections and logit-lens words of every layer, and a selection that steers."""

from __future__ import annotations

import functools
import itertools
import threading

import numpy as np
import pytest
import torch

from mllm_probe.activations import capture
from mllm_probe.generation import generate
from mllm_probe.metrics import concept_projection
from mllm_probe.widgets import TokenStrip
from mllm_probe.widgets.inside import token_strip as module
from tests.widgets import fakes

SOON = 60
PROMPT = "what is it ?"


@pytest.fixture
def picture(library):
    return library["cat"].positive[0]


@pytest.fixture
def strip(tiny, vectors, picture):
    made = TokenStrip(tiny, vectors, picture, PROMPT, "a cat", concept="cat")
    assert made.wait(SOON), made.message
    return made


def lens_of(strip):
    return np.frombuffer(strip.lens, "<f4").reshape(len(strip.layers), len(strip.tokens), module.WORDS, 2)


def image_places(strip):
    return [(row, column) for _, role, _, row, column, _ in strip.tokens if role == "image"]


def roles(strip):
    return [role for _, role, *_ in strip.tokens]


def test_every_token_has_its_role_and_position(strip, tiny, picture):
    acts = capture(tiny, [picture], PROMPT, tokens="all", continuation="a cat")
    assert [token[2] for token in strip.tokens] == acts.token.values.tolist()
    assert roles(strip).count("image") == 16 and roles(strip)[-1] == "answer"
    answer = [text.strip() for text, role, *_ in strip.tokens if role == "answer"]
    assert answer == [str(t).strip() for t, s in zip(acts.token_text.values, acts.step.values, strict=True) if s >= 0]
    assert all(text == "" for text, role, *_ in strip.tokens if role == "image")
    assert image_places(strip) == list(itertools.product(range(4), range(4)))


def test_projections_are_those_of_the_capture(strip, tiny, vectors, picture):
    acts = capture(tiny, [picture], PROMPT, tokens="all", continuation="a cat")
    expected = concept_projection(acts, vectors.sel(concept="cat")).isel(sample=0).values
    found = np.frombuffer(strip.values, "<f4").reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert strip.lens == b""


def test_the_scale_is_made_from_tokens_that_0_and_1_were_measured_for(strip, monkeypatch):
    given = []
    monkeypatch.setattr(module, "scale_limit", lambda values, unit: given.append((values, unit)) or 2.5)
    strip.concept = "neon"
    assert strip.wait(SOON), strip.message
    own = [scope == "" for *_, scope in strip.tokens]
    assert 0 < sum(own) < len(own)
    ((values, unit),) = given
    shown = np.frombuffer(strip.values, "<f4").reshape(len(strip.layers), -1)
    np.testing.assert_allclose(values, shown[:, own], rtol=1e-6)
    assert (unit, strip.limit) == (strip.unit, 2.5)
    assert next(iter(strip.recordings())).shown["limit"] == 2.5


def test_tokens_that_borrow_a_vector_say_so_and_another_prompt_is_named(strip):
    borrowed = {role: scope for _, role, _, _, _, scope in strip.tokens}
    assert borrowed["answer"] == borrowed["text"] == "last_prompt" and borrowed["image"] == ""
    end = [token for token in strip.tokens if token[1] != "answer"][-1]
    assert end[-1] == ""
    assert strip.meaning.endswith(f"both measured with the prompt “{strip.model.default_prompt}”")
    strip.prompt = strip.model.default_prompt
    assert strip.wait(SOON) and strip.meaning.endswith("1 = mean of images with it")


def test_without_an_answer_the_models_own_is_read_token_by_token(tiny, vectors, picture):
    strip = TokenStrip(tiny, vectors, picture, PROMPT, max_new_tokens=5)
    assert strip.wait(SOON), strip.message
    out = generate(tiny, picture, PROMPT, max_new_tokens=5)
    assert strip.answer == out.text[0]
    ids = [i for i in out.tokens[0].tolist() if i not in tiny.eos_token_ids]
    assert [t for t, role, *_ in strip.tokens if role == "answer"] == [tiny.tokenizer.decode([i]) for i in ids]
    strip.answer = "a cat"
    assert strip.wait(SOON) and strip.answer == "a cat" and roles(strip).count("answer") == 2
    strip.answer = ""
    assert strip.wait(SOON) and strip.answer == out.text[0]


def test_an_answer_of_image_tokens_is_read(tiny, vectors, picture, monkeypatch):
    image = tiny.layout.image_token_id
    others = [i for i in range(tiny.hf.get_output_embeddings().weight.shape[0]) if i != image]
    monkeypatch.setattr(module, "generate", functools.partial(generate, suppress_tokens=others))
    strip = TokenStrip(tiny, vectors, picture, PROMPT, max_new_tokens=3)
    assert strip.wait(SOON), strip.message
    text = tiny.tokenizer.decode([image])
    assert [token[:2] for token in strip.tokens[-3:]] == [[text, "answer"]] * 3
    assert image_places(strip) == list(itertools.product(range(4), range(4)))
    assert np.isfinite(np.frombuffer(strip.values, "<f4")).all()


def test_the_lens_of_the_last_layer_says_what_the_model_says(tiny, picture):
    strip = TokenStrip(tiny, images=picture, prompt=PROMPT, answer="a cat")
    assert strip.wait(SOON) and strip.mode == "lens" and strip.values == b""
    out = generate(tiny, picture, PROMPT, max_new_tokens=1)
    last = len([r for r in roles(strip) if r != "answer"]) - 1
    best = lens_of(strip)[-1, last]
    chances = torch.softmax(out.logits[0, 0].float(), -1)
    assert strip.lens_words[int(best[0, 0])] == tiny.tokenizer.decode([int(chances.argmax())])
    np.testing.assert_allclose(best[:, 1], chances.topk(3).values.numpy(), rtol=1e-3)


def test_the_lens_reads_image_tokens_only_when_they_are_opened(strip):
    fakes.select(strip, mode="lens")
    assert strip.wait(SOON), strip.message
    image = np.array(roles(strip)) == "image"
    assert np.isnan(lens_of(strip)[:, image]).all() and np.isfinite(lens_of(strip)[:, ~image]).all()
    fakes.select(strip, opened=True)
    assert strip.wait(SOON), strip.message
    assert np.isfinite(lens_of(strip)).all()


def test_a_lens_of_another_prompt_is_not_kept(strip):
    strip.mode = "lens"
    assert strip.wait(SOON) and strip.lens
    strip.mode = "projection"
    assert strip.wait(SOON) and strip.lens
    strip.prompt = "what else ?"
    assert strip.wait(SOON) and strip.lens == b"" and strip.lens_words == []


def test_selected_tokens_steer_and_those_that_are_gone_are_let_go(strip, tiny, picture):
    with pytest.raises(ValueError, match="no token is selected"):
        strip.steering()
    chosen = [token[2] for token in strip.tokens if token[1] == "text"][:2]
    fakes.select(strip, positions=chosen, layer=1)
    steering = strip.steering(strength=0.5)
    assert steering.scope.numbers == tuple(chosen) and steering.layers == (1,)
    generate(tiny, picture, PROMPT, steering=steering, max_new_tokens=2)
    strip.positions = [*chosen, strip.tokens[-1][2], 999]
    strip.run()
    assert strip.wait(SOON) and strip.positions == chosen


def test_another_concept_runs_the_model_no_more_and_another_layer_nothing(strip, monkeypatch):
    monkeypatch.setattr(module, "capture", None)
    strip.comm.sent.clear()
    strip.layer = 3
    assert not fakes.updates(strip, "status")
    before = strip.values
    strip.concept = "neon"
    assert strip.wait(SOON) and strip.values != before and strip.shown["concept"] == "neon"


def test_a_prompt_without_picture(tiny):
    strip = TokenStrip(tiny, images=[], prompt=PROMPT, answer="a cat")
    assert strip.wait(SOON), strip.message
    assert "image" not in roles(strip) and np.isfinite(lens_of(strip)).all()


def test_a_cancelled_generation_stops_within_a_step(tiny, vectors, picture, monkeypatch):
    steps, started = [], threading.Event()

    def slow(*arguments, **settings):
        class Counting(module.StoppingCriteria):
            def __call__(self, ids, scores, **more):
                steps.append(ids.shape[1])
                started.set()
                threading.Event().wait(0.02)
                return torch.zeros(len(ids), dtype=torch.bool)

        settings["stopping_criteria"].append(Counting())
        return generate(*arguments, **settings, eos_token_id=-1)

    monkeypatch.setattr(module, "generate", slow)
    strip = TokenStrip(tiny, vectors, picture, PROMPT, max_new_tokens=40)
    assert started.wait(SOON)
    strip.answer = "a cat"
    assert strip.wait(SOON), strip.message
    assert len(steps) < 40 and strip.answer == "a cat" and roles(strip).count("answer") == 2


def test_errors_end_as_one_sentence(strip, caplog):
    strip.prompt = "what " * 5000
    assert not strip.wait(SOON) and strip.status == "error"
    assert strip.message.endswith(".") and "\n" not in strip.message and "Traceback" in caplog.text


@pytest.mark.parametrize("mode", ["projection", "lens"])
def test_a_saved_page_holds_the_tokens_of_every_concept(strip, monkeypatch, mode):
    strip.mode = mode
    assert strip.wait(SOON)
    monkeypatch.setattr(module, "capture", None)
    monkeypatch.setattr(module, "top_words", None)
    found = {one.when["concept"]: one.shown for one in strip.recordings()}
    assert set(found) == set(strip.concepts) and found["cat"]["values"] == strip.values
    strip.concept = "neon"
    assert strip.wait(SOON) and strip.values == found["neon"]["values"]


def test_a_picture_of_a_strip_waits_for_its_tokens(tiny, tmp_path):
    strip = TokenStrip(tiny)
    strip.to_svg(tmp_path / "strip.svg")
    assert strip.status == "idle" and strip.tokens
    assert f"{len(strip.tokens)} tokens" in (tmp_path / "strip.svg").read_text()
