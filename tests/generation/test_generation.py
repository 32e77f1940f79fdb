"""Whole answers, streams and receipts."""

import threading
import time

import numpy as np
import pytest
import torch

from mllm_probe.generation import generate, steer, stream
from mllm_probe.steering import Steering, editing
from tests.hooks import active_hooks
from tests.steering.reference import PROMPT, close, made_vectors


@pytest.fixture(scope="module")
def cat(tiny):
    return made_vectors(tiny).sel(concept="cat")


@pytest.fixture
def rows(cat):
    steering = Steering(cat, [1], 2.0)
    return [None, steering, steering.control("random")]


def test_generate_equals_the_models_own(tiny, pictures):
    encoded = tiny.encode([pictures[0]], PROMPT)
    plain = tiny.hf.generate(**encoded.tensors, max_new_tokens=6, do_sample=False)[0, encoded.length :].cpu()
    out = generate(tiny, pictures[0], PROMPT, max_new_tokens=6)
    assert torch.equal(out.tokens[0], plain)
    assert out.text == [tiny.decode(plain)]
    assert out.logits.shape == (1, len(plain), tiny.hf.config.text_config.vocab_size)
    assert torch.equal(out.logits.argmax(-1).cpu(), out.tokens)
    assert out.receipt[0].baseline


def test_rows_and_samples_stretch_to_fit(tiny, pictures, rows):
    assert len(generate(tiny, pictures[:3], PROMPT, max_new_tokens=2).text) == 3
    assert len(generate(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=2).text) == 3
    assert len(generate(tiny, pictures[:3], PROMPT, steering=rows, max_new_tokens=2).receipt) == 3
    encoded = tiny.encode(pictures[:2], PROMPT)
    given = generate(tiny, inputs=encoded.tensors, steering=rows[1], max_new_tokens=3)
    assert torch.equal(given.tokens, generate(tiny, pictures[:2], PROMPT, steering=rows[1], max_new_tokens=3).tokens)
    with pytest.raises(ValueError, match="max_new_tokens: expected 1 or more; got 0"):
        generate(tiny, pictures[0], PROMPT, max_new_tokens=0)
    with pytest.raises(ValueError, match="steering: expected a Steering.*got str"):
        generate(tiny, pictures[0], PROMPT, steering=["cat"])


def test_an_answer_prefix_counts_as_generated(tiny, pictures, cat):
    row = Steering(cat, [1], 1.5, tokens="generated")
    free = generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=4, min_new_tokens=4)
    prefix = tiny.decode(free.tokens[0, :2])
    out = generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=2, min_new_tokens=2, answer_prefix=prefix)
    assert torch.equal(out.tokens[0], free.tokens[0, 2:])
    assert close(out.logits[0], free.logits[0, 2:])
    assert out.receipt[0].steps == free.receipt[0].steps == 3
    only = generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=1, answer_prefix=prefix)
    assert only.receipt[0].steps == 2


def test_receipt_of_generated_positions_ends_with_the_answer(tiny, pictures, cat):
    loud = Steering(cat, [1], 1.0, tokens=("last_prompt", "generated"))
    base = generate(tiny, pictures[0], PROMPT, steering=loud, max_new_tokens=6, min_new_tokens=6)
    stop = int(base.tokens[0, 2])
    kept = tiny.hf.generation_config.eos_token_id, tiny.hf.config.text_config.eos_token_id
    tiny.hf.generation_config.eos_token_id = stop
    try:
        out = generate(tiny, pictures[:2], PROMPT, steering=loud, max_new_tokens=6)
        alone = generate(tiny, pictures[0], PROMPT, steering=loud, max_new_tokens=6)
    finally:
        tiny.hf.generation_config.eos_token_id, tiny.hf.config.text_config.eos_token_id = kept
    first = base.tokens[0].tolist().index(stop)
    assert alone.receipt[0].steps == first
    assert out.receipt[0].steps == first
    assert alone.tokens.shape[1] == first + 1
    assert alone.text[0] == tiny.decode(base.tokens[0, :first])


def test_a_scope_that_can_never_fire_raises_and_one_that_did_not_is_marked(tiny, pictures, cat):
    with pytest.raises(ValueError, match="tokens='generated' can never be edited.*at least two tokens"):
        generate(tiny, pictures[0], PROMPT, steering=Steering(cat, [1], tokens="generated"), max_new_tokens=1)
    with pytest.raises(ValueError, match=r"tokens='image' can never be edited: .* no image tokens. It has \d+ text"):
        generate(tiny, None, PROMPT, steering=Steering(cat, [1], tokens=("last_prompt", "image")))
    with pytest.raises(ValueError, match=r"position 99 can never be edited: .* row 0 has 24 positions, 0 … 23"):
        generate(tiny, pictures[0], PROMPT, steering=Steering(cat, [1], tokens=[99]))
    with pytest.raises(ValueError, match=r"patch mask is 3×4, but the image of row 0 has 4×4 patches"):
        generate(tiny, pictures[0], PROMPT, steering=Steering(cat, [1], tokens=np.ones((3, 4), bool)))
    row = Steering(cat, [1], tokens=("last_prompt", "generated"))
    out = generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=1)
    assert out.receipt[0].unfired == ("generated",) and out.receipt[0].fired
    assert "did not fire: generated" in str(out.receipt)
    encoded = tiny.encode([pictures[0]], PROMPT)
    with steer(tiny, Steering(cat, [1], tokens="generated")) as receipt:
        tiny.hf(**encoded.tensors)
    assert not receipt.fired and "DID NOT FIRE" in str(receipt)
    table = receipt.to_dataset()
    assert not table.fired.item() and not table.baseline.item() and table.steps.item() == 0


def test_receipt_counts_what_was_edited(tiny, pictures, cat):
    row = Steering(cat, [0, 2], 1.0, tokens=("image", "generated"))
    out = generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=5, min_new_tokens=5)
    (found,) = out.receipt
    image = np.flatnonzero(tiny.encode([pictures[0]], PROMPT).roles[0] == 1)
    assert found.layers == (0, 2)
    assert found.selected == found.edited == tuple(image)
    assert found.steps == 4
    assert 0 < found.relative_size < 2
    assert out.receipt.to_dataset().edited.item() == 16
    assert str(out.receipt).startswith("row 0: cat: layers 0, 2, 16 of 16 prompt positions, 4 generated, ‖Δh‖/‖h‖ = ")


def test_relative_size_is_that_of_the_edits(tiny, pictures, cat):
    encoded = tiny.encode([pictures[0]], PROMPT)
    h = tiny.hf(**encoded.tensors, output_hidden_states=True).hidden_states[2][0, -1]
    with editing(Steering(cat, [1], -0.7, tokens="last_prompt"), tiny, encoded) as receipt:
        tiny.hf(**encoded.tensors)
    dose = 0.7 * float(cat.residual_norm.sel(layer=1, scope="last_prompt"))
    assert receipt[0].relative_size == pytest.approx(dose / float(h.norm()), rel=1e-4)


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_in_a_window_a_control_changes_every_layer_by_the_same_length_and_the_receipt_says_of_what(
    tiny, pictures, cat, tokens
):
    """‖Δh‖ is equal, ‖Δh‖/‖h‖ is not: after the first edited layer h is each row's own."""
    row = Steering(cat, [1, 2], 2.0, tokens=tokens)
    rows = [row, row.control("random", seed=3)]
    list(stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=3))  # the way is tried first, by other rows
    before, after, blocks = {1: [], 2: []}, {1: [], 2: []}, tiny.layout.blocks
    handles = []
    for layer in before:  # registered first, the hook of a block sees its output as it was before the edit
        given, taken = before[layer], after[layer]
        handles += [
            blocks[layer].register_forward_hook(
                lambda _module, _given, out, given=given: given.append(
                    (out[0] if isinstance(out, tuple) else out).clone()
                )
            ),
            blocks[layer + 1].register_forward_pre_hook(
                lambda _module, args, kwargs, taken=taken: taken.append(
                    (args[0] if args else kwargs["hidden_states"]).clone()
                ),
                with_kwargs=True,
            ),
        ]
    try:
        running = stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=3)
        list(running)
    finally:
        for handle in handles:
            handle.remove()
    edits = 0
    for layer in before:
        for old, new in zip(before[layer], after[layer], strict=True):
            if old.shape == new.shape and len(old) == 2:
                concept, control = (new - old).norm(dim=-1)
                torch.testing.assert_close(control, concept, rtol=1e-4, atol=1e-4)
                edits += int((concept > 0.1).any())
    assert edits >= 2
    concept, control = running.receipt
    assert concept.relative_size != pytest.approx(control.relative_size, rel=1e-3)
    assert str(control).startswith("random (seed 3, draw 0) for cat: layers 1, 2, ")
    assert all(str(one).endswith(", h being this row's own") for one in (concept, control))


def test_where_every_row_has_the_same_h_the_receipt_says_nothing_of_it(tiny, pictures, cat):
    row = Steering(cat, [1], 1.0, tokens="last_prompt")
    out = generate(tiny, pictures[0], PROMPT, steering=[row, row.control("random")], max_new_tokens=2)
    concept, control = out.receipt
    assert concept.relative_size == pytest.approx(control.relative_size, rel=1e-5) and "own" not in str(control)


def test_a_second_prompt_in_one_block_gets_its_own_receipt(tiny, pictures, cat):
    row = Steering(cat, [1], 2.0, tokens="last_prompt")
    with steer(tiny, row) as receipt:
        first = tiny.hf.generate(**tiny.encode([pictures[0]], PROMPT).tensors, max_new_tokens=3, do_sample=False)
        second = tiny.hf.generate(**tiny.encode(pictures[1:3], "describe").tensors, max_new_tokens=3, do_sample=False)
    lengths = [tiny.encode([pictures[0]], prompt).length for prompt in (PROMPT, "describe", "describe")]
    assert [r.edited for r in receipt] == [(length - 1,) for length in lengths]
    for made, images, prompt in ((first, pictures[:1], PROMPT), (second, pictures[1:3], "describe")):
        alone = generate(tiny, images, prompt, steering=row, max_new_tokens=3)
        assert torch.equal(made[:, -alone.tokens.shape[1] :].cpu(), alone.tokens)


def test_stream_gives_what_generate_gives(tiny, pictures, rows):
    out = generate(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=6)
    run = stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=6)
    seen = list(run)
    assert run.text == [tiny.decode(row) for row in out.tokens]
    assert str(run.receipt) == str(out.receipt)
    for row in range(3):
        steps = [(step, text) for r, step, text in seen if r == row]
        assert [step for step, _ in steps] == list(range(len(steps)))
        assert all(text == tiny.decode(out.tokens[row, : step + 1]) for step, text in steps)
    assert active_hooks(tiny) == 0
    assert list(run) == []


def test_close_stops_within_one_step(tiny, pictures, rows):
    calls = []
    handle = tiny.hf.register_forward_pre_hook(lambda *_: calls.append(threading.current_thread()) or time.sleep(0.01))
    try:
        run = stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=200, min_new_tokens=200)
        for _ in range(6):
            next(run)
        before = len(calls)
        run.close()
        stopped = len(calls)
        assert stopped - before <= 2
        assert not calls[0].is_alive()
        time.sleep(0.05)
        assert len(calls) == stopped < 100
        assert list(run) == []
        assert active_hooks(tiny) == 0
        run.close()
    finally:
        handle.remove()
    with tiny.lock.held():
        assert generate(tiny, pictures[0], PROMPT, max_new_tokens=2).text


def test_a_forgotten_stream_is_cancelled(tiny, pictures, rows):
    run = stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=400, min_new_tokens=400)
    next(run)
    thread = run._thread
    del run
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_errors_of_the_run_are_raised_to_the_reader(tiny, pictures, rows):
    def fails(*_):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("broken on purpose")

    handle = tiny.layout.blocks[2].register_forward_pre_hook(fails)
    try:
        run = stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=4)
        with pytest.raises(RuntimeError, match="broken on purpose"):
            list(run)
    finally:
        handle.remove()
    assert list(run) == []
    assert active_hooks(tiny) == 0
    with pytest.raises(ValueError, match="stream gives one answer per row"):
        stream(tiny, pictures[0], PROMPT, num_beams=2)


def test_a_closed_stream_that_waited_for_the_model_never_runs(tiny, pictures, rows):
    with tiny.lock.held():
        run = stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=4)
        run.close()
    run._thread.join(timeout=30)
    assert run.receipt[1].edited == ()
    assert not run._thread.is_alive()


def test_runs_wait_for_each_other(tiny, pictures, rows):
    order = []
    with tiny.lock.held():
        run = stream(tiny, pictures[0], PROMPT, max_new_tokens=3)
        time.sleep(0.05)
        order.append("mine")
        assert run._items.empty()
    order.extend("theirs" for _ in run)
    assert order[0] == "mine" and "theirs" in order
