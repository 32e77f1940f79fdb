"""Answers from a prompt that was prefilled once, against the model's own generation under an editor."""

import gc
import weakref

import numpy as np
import pytest
import torch

from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.shared_prompt import WholeForwards
from mllm_probe.generation import Live, generate, stream
from mllm_probe.generation import decoders as of_decoders
from mllm_probe.generation import decoders as of_prompt_cache
from mllm_probe.generation.decoders import MOST_PROMPTS, prompts_of
from mllm_probe.loading import wrap
from mllm_probe.steering import Steering, compose
from mllm_probe.steering import tensors as of_trials
from tests.conftest import noise_picture, put
from tests.hooks import active_hooks
from tests.steering.reference import PROMPT, made_vectors
from tests.zoo import FAMILIES, build, tiny_llava
from tests.zoo.library_faults import expect_library_fault

STEPS = 6


@pytest.fixture
def model(device):
    return put(tiny_llava(), device)


@pytest.fixture
def rows(model):
    cat = made_vectors(model).sel(concept="cat")
    steering = Steering(cat, [1], 2.0)
    ablated = Steering(cat, [2], 1.0, operation="ablate", tokens="generated")
    return [None, steering, steering.control("random"), compose(steering, ablated), Steering(cat, "all", 0.0)]


@pytest.fixture
def calls(model):
    """Shapes [rows, tokens] of the calls that the model was made with."""
    seen = []

    def note(_module, _arguments, named):
        seen.append(tuple(named["input_ids"].shape))

    model.hf.register_forward_pre_hook(note, with_kwargs=True)
    return seen


def test_a_session_gives_what_generate_gives(model, pictures, rows):
    live = Live(model, pictures[0], PROMPT, rows=5, max_new_tokens=STEPS)
    for chosen in (rows, rows[::-1], [rows[1], rows[3]]):
        out = generate(model, pictures[0], PROMPT, steering=chosen, max_new_tokens=STEPS)
        texts = {}
        for row, step, text in live.run(chosen):
            assert text == model.decode(out.tokens[row, : step + 1])
            texts[row] = text
        assert [texts[row] for row in range(len(chosen))] == out.text
        assert str(live.receipt) == str(out.receipt)
        assert torch.equal(live.first_token(chosen).cpu(), out.tokens[:, 0])
    assert live.path.startswith("shared prefix")
    assert active_hooks(model) == 0


def test_steering_anew_only_decodes(model, pictures, rows, calls):
    live = Live(model, pictures[0], PROMPT, rows=3, max_new_tokens=3)
    calls.clear()
    live.first_token(rows[:3])
    assert calls == [(3, 1)]
    list(live.run(rows[1:4]))
    assert calls == [(3, 1)] * 4
    first = list(stream(model, pictures[0], PROMPT, steering=rows, max_new_tokens=3))
    calls.clear()
    second = list(stream(model, pictures[0], PROMPT, steering=rows, max_new_tokens=3))
    assert calls == [(5, 1)] * 3 and second == first


def test_a_session_that_is_begun_anew_ends_the_run_before(model, pictures, rows):
    live = Live(model, pictures[0], PROMPT, rows=2, max_new_tokens=STEPS)
    run = live.run(rows[:2])
    next(run), next(run)
    assert active_hooks(model) == 0
    with model.lock.held():
        fresh = list(live.run(rows[:1]))
    assert list(run) == []
    assert [row for row, _, _ in fresh] == [0] * len(fresh)


def test_an_answer_prefix_counts_as_generated(model, pictures, rows):
    prefix = model.decode(generate(model, pictures[0], PROMPT, max_new_tokens=2).tokens[0])
    options = {"steering": rows, "max_new_tokens": 4, "answer_prefix": prefix}
    out = generate(model, pictures[0], PROMPT, **options)
    run = stream(model, pictures[0], PROMPT, **options)
    list(run)
    assert run.text == out.text
    assert str(run.receipt) == str(out.receipt)
    live = Live(model, pictures[0], PROMPT, rows=5, answer_prefix=prefix)
    assert torch.equal(live.first_token(rows).cpu(), out.tokens[:, 0])


def test_the_models_own_penalty_and_ends_are_followed(model, pictures, rows):
    base = generate(model, pictures[0], PROMPT, steering=rows, max_new_tokens=STEPS, min_new_tokens=STEPS)
    model.hf.generation_config.eos_token_id = int(base.tokens[1, 2])
    model.hf.generation_config.repetition_penalty = 1.3
    out = generate(model, pictures[0], PROMPT, steering=rows, max_new_tokens=STEPS)
    assert not torch.equal(out.tokens, base.tokens[:, : out.tokens.shape[1]])
    run = stream(model, pictures[0], PROMPT, steering=rows, max_new_tokens=STEPS)
    list(run)
    assert run.text == out.text
    assert str(run.receipt) == str(out.receipt)
    model.hf.generation_config.no_repeat_ngram_size = 2
    with pytest.raises(ValueError, match="ask for more than the best token of each step.*no_repeat_ngram_size"):
        Live(model, pictures[0], PROMPT)


@pytest.mark.parametrize("case", ["prompt scope", "option", "setting", "samples"])
def test_other_streams_run_as_generate_does(model, pictures, rows, calls, case):
    images, steering, options = pictures[0], rows[:2], {}
    if case == "prompt scope":
        steering = [Steering(rows[1].vectors, [1], tokens="all"), None]
    elif case == "option":
        options = {"min_new_tokens": 3}
    elif case == "setting":
        model.hf.generation_config.no_repeat_ngram_size = 2
    else:
        images = pictures[:2]
    out = generate(model, images, PROMPT, steering=steering, max_new_tokens=3, **options)
    for _ in range(2):
        calls.clear()
        run = stream(model, images, PROMPT, steering=steering, max_new_tokens=3, **options)
        list(run)
        assert calls[0][1] > 1
        assert run.text == out.text and str(run.receipt) == str(out.receipt)


def test_a_model_that_cannot_share_a_prompt_streams_as_generate_does(model, pictures, rows, monkeypatch):
    monkeypatch.setattr(of_trials, "choose_path", lambda *_, **__: of_trials.DecodingPath(WholeForwards))
    out = generate(model, pictures[0], PROMPT, steering=rows, max_new_tokens=3)
    run = stream(model, pictures[0], PROMPT, steering=rows, max_new_tokens=3)
    list(run)
    assert run.text == out.text and str(run.receipt) == str(out.receipt)
    with pytest.raises(NotImplementedError, match="cannot share a prompt; use mp.stream"):
        Live(model, pictures[0], PROMPT)


def test_an_unsteered_answer_alone_waits_for_no_trial_of_ways_to_share_a_prompt(model, pictures, rows, calls):
    out = generate(model, pictures[0], PROMPT, max_new_tokens=STEPS)
    plain = len(calls)
    calls.clear()
    run = stream(model, pictures[0], PROMPT, max_new_tokens=STEPS)
    list(run)
    assert run.text == out.text and len(calls) == plain
    list(stream(model, pictures[0], PROMPT, steering=rows[:2], max_new_tokens=STEPS))
    calls.clear()
    again = stream(model, pictures[0], PROMPT, max_new_tokens=STEPS)
    list(again)
    assert again.text == out.text and set(calls) == {(1, 1)}


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_streams_as_it_is_generated(model, pictures, rows, prompt):
    for steering in (None, rows):
        out = generate(model, pictures[0], prompt, steering=steering, max_new_tokens=STEPS)
        run = stream(model, pictures[0], prompt, steering=steering, max_new_tokens=STEPS)
        list(run)
        assert run.text == out.text and str(run.receipt) == str(out.receipt)


@pytest.mark.parametrize("shares", [True, False])
def test_prompts_of_unsteered_answers_are_not_kept_without_bound(shares, monkeypatch, device):
    model = put(tiny_llava(), device)
    if not shares:
        monkeypatch.setattr(of_trials, "choose_path", lambda *_, **__: of_trials.DecodingPath(WholeForwards))
    cat = None if shares else Steering(made_vectors(model).sel(concept="cat"), [1])
    for seed in range(MOST_PROMPTS + 2):
        list(stream(model, noise_picture(seed), PROMPT, steering=cat, max_new_tokens=1))
    assert len(prompts_of(model)) == MOST_PROMPTS


def test_few_prompts_are_kept_and_go_with_the_model(monkeypatch, device):
    model = put(tiny_llava(), device)
    kept = prompts_of(model)
    for seed in range(MOST_PROMPTS + 2):
        list(stream(model, noise_picture(seed), PROMPT, max_new_tokens=2))
    assert len(kept) == MOST_PROMPTS
    monkeypatch.setattr(of_prompt_cache, "free_bytes", lambda device: 0)
    list(stream(model, noise_picture(99), PROMPT, max_new_tokens=2))
    assert len(kept) == 1
    gone = weakref.ref(model)
    del model, kept
    gc.collect()
    assert gone() is None


def test_a_prompt_is_prefilled_again_when_the_model_was_changed(model, pictures, rows):
    def told(chosen=rows[:2]):
        run = stream(model, pictures[0], PROMPT, steering=chosen, max_new_tokens=STEPS)
        list(run)
        return run.text

    before = told()
    shared = prompts_of(model).of(model, model.samples(pictures[0], PROMPT)[0], None)._shared
    assert isinstance(shared, SharedPrefix)
    block = model.layout.blocks[0]
    handle = block.register_forward_hook(lambda m, a, out: (out[0] * -1, *out[1:]) if isinstance(out, tuple) else -out)
    assert told() == generate(model, pictures[0], PROMPT, steering=rows[:2], max_new_tokens=STEPS).text != before
    handle.remove()
    assert told() == before
    with torch.no_grad():
        block.mlp.down_proj.weight.mul_(-3)
    again = [None, Steering(made_vectors(model).sel(concept="cat"), [1], 2.0)]
    assert told(again) == generate(model, pictures[0], PROMPT, steering=again, max_new_tokens=STEPS).text != before


def test_a_stream_from_a_kept_prompt_stops_within_one_step(model, pictures, rows, calls):
    model.hf.generation_config.eos_token_id = None
    run = stream(model, pictures[0], PROMPT, steering=rows[:3], max_new_tokens=500)
    for _ in range(9):
        next(run)
    before = len(calls)
    run.close()
    stopped = len(calls)
    assert not run._thread.is_alive()
    assert list(run) == [] and len(calls) == stopped and stopped - before <= 2
    assert active_hooks(model) == 0
    edited = str(run.receipt)
    list(stream(model, pictures[0], PROMPT, steering=rows[:3], max_new_tokens=2))
    assert str(run.receipt) == edited


def test_a_session_refuses_what_it_cannot_do(model, pictures, rows):
    live = Live(model, pictures[0], PROMPT, rows=2, max_new_tokens=1)
    with pytest.raises(ValueError, match="Live answers one prompt; got 2 samples"):
        Live(model, pictures[:2], PROMPT)
    with pytest.raises(ValueError, match="a buffer edits from the last prompt token on"):
        live.first_token([Steering(rows[1].vectors, [1], tokens="image")])
    with pytest.raises(ValueError, match="tokens='generated' can never be edited"):
        live.first_token([Steering(rows[1].vectors, [1], tokens="generated")])
    with pytest.raises(ValueError, match="room for 2 rows; got 5"):
        live.first_token(rows)


def test_rotary_axes(tiny_mrope, pictures):
    cat = made_vectors(tiny_mrope).sel(concept="cat")
    rows = [None, Steering(cat, [1], 2.0), Steering(cat, [0, 3], -1.0, tokens="generated")]
    out = generate(tiny_mrope, pictures[1], PROMPT, steering=rows, max_new_tokens=STEPS)
    run = stream(tiny_mrope, pictures[1], PROMPT, steering=rows, max_new_tokens=STEPS)
    list(run)
    assert run.text == out.text and str(run.receipt) == str(out.receipt)
    assert np.unique(out.tokens.numpy()).size > 1


class Counting:
    """A compiler that counts the graphs it is given and runs them as they are."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, step):
        return torch.compile(step, backend=self.backend, fullgraph=True, dynamic=False)

    def backend(self, graph, _inputs):
        self.graphs += 1
        return graph.forward


def test_a_compiled_session_gives_what_generate_gives(compiles, model, pictures, rows):
    compiler = Counting()
    live = Live(model, pictures[0], PROMPT, rows=5, max_new_tokens=STEPS, compiler=compiler)
    assert live.not_compiled == ""
    graphs = compiler.graphs
    for chosen in (rows[:3], rows[1:3], [rows[4], rows[2], rows[1], None, None]):
        out = generate(model, pictures[0], PROMPT, steering=chosen, max_new_tokens=STEPS)
        texts = {row: text for row, _, text in live.run(chosen)}
        assert [texts[row] for row in range(len(chosen))] == out.text
        assert str(live.receipt) == str(out.receipt)
        assert torch.equal(live.first_token(chosen).cpu(), out.tokens[:, 0])
    assert compiler.graphs == graphs == 1
    assert live.decoder.static.compiled and active_hooks(model) == 0


def test_streams_share_a_compiled_step(compiles, model, pictures, rows, monkeypatch):
    compiler = Counting()
    monkeypatch.setattr(of_decoders, "default_compiler", lambda model: compiler)
    prefix = model.decode(generate(model, pictures[0], PROMPT, max_new_tokens=2).tokens[0])
    told = []
    for picture, prompt, chosen, begun in (
        (pictures[0], PROMPT, rows[:3], None),
        (pictures[1], "describe", rows[1:4], None),
        (pictures[0], PROMPT, rows[2:5], prefix),
    ):
        options = {"steering": chosen, "max_new_tokens": STEPS, "answer_prefix": begun}
        out = generate(model, picture, prompt, **options)
        run = stream(model, picture, prompt, **options)
        list(run)
        assert run.text == out.text
        told.append((run, str(out.receipt)))
    assert all(str(run.receipt) == receipt for run, receipt in told)
    assert isinstance(model.state.of(of_decoders.CompiledDecoders).by_size[3, 1], of_decoders.CompiledDecoder)
    assert compiler.graphs <= 2


def test_a_step_that_is_not_exact_is_not_used_and_why_is_told(model, pictures, rows, caplog, device):
    def wrong(step):
        return lambda *inputs: step(*inputs) + 1

    live = Live(model, pictures[0], PROMPT, rows=3, max_new_tokens=STEPS, compiler=wrong)
    assert "logits differ from those of growing caches by" in live.not_compiled
    assert "decodes with growing caches" in caplog.text
    out = generate(model, pictures[0], PROMPT, steering=rows[:3], max_new_tokens=STEPS)
    assert torch.equal(live.first_token(rows[:3]).cpu(), out.tokens[:, 0])
    hf, inputs = build(FAMILIES["qwen3_5"])
    other = Live(put(wrap(hf), device), inputs=inputs, compiler=Counting())
    assert "has no fixed shapes here" in other.not_compiled and other.first_token(None).shape == (1,)


def test_nothing_is_compiled_on_the_cpu(pictures):
    assert "nothing is compiled on cpu" in Live(tiny_llava(), pictures[0], PROMPT).not_compiled


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_streams_what_it_generates(name, device):
    hf, inputs = build(FAMILIES[name])
    expect_library_fault(name, hf, inputs)
    model = put(wrap(hf, name=name), device)
    cat = made_vectors(model).sel(concept="cat")
    middle = len(model.layers) // 2
    rows = [None, Steering(cat, [middle], 1.0), Steering(cat, [1], -1.0, tokens="generated")]
    out = generate(model, inputs=inputs, steering=rows, max_new_tokens=4)
    for _ in range(2):
        run = stream(model, inputs=inputs, steering=rows, max_new_tokens=4)
        list(run)
        assert run.text == out.text and str(run.receipt) == str(out.receipt)
