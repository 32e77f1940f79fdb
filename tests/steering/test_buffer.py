"""Edits as data in fixed tensors, against the editor that reads positions."""

import dataclasses

import numpy as np
import pytest
import torch

from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.shared_prompt import WholeForwards
from mllm_probe.steering import Editor, Steering, compose
from mllm_probe.steering.buffer import EditBuffer
from tests.hooks import active_hooks
from tests.steering.reference import PROMPT, made_vectors

FED = torch.tensor([[11, 12, 13, 14], [14, 11, 12, 12], [15, 15, 16, 11], [12, 17, 11, 13]])


@pytest.fixture(scope="module")
def vectors(tiny):
    return made_vectors(tiny)


@pytest.fixture
def rows(vectors):
    cat, dog = vectors.sel(concept="cat"), vectors.sel(concept="dog")
    steered = Steering(cat, [1, 3], 1.5)
    return {
        "add": [None, steered, steered.control("random"), steered.control("shuffled", draw=1)],
        "scopes": [
            Steering(cat, [1], 2.0, tokens="last_prompt"),
            Steering(cat, [1], 2.0, tokens="generated"),
            Steering(dog, "all", -0.5, unit="vector"),
            Steering(dog, [2], 0.0),
        ],
        "exchange": [
            Steering(cat, [0, 2], 0.7, operation="ablate"),
            Steering(cat, [1], 1.0, operation="replace", to=dog),
            Steering(cat, [1], 1.0, operation="replace", to=dog).control("random"),
            steered,
        ],
        "composed": [
            compose(steered, Steering(dog, [3], 1.0, operation="ablate", tokens="generated"), Steering(dog, [3], 0.5)),
            compose(Steering(dog, [3], 1.0, operation="ablate", tokens="generated"), steered),
            compose(Steering(dog, [0], 0.0, tokens="last_prompt"), Steering(cat, [2], 1.0, tokens="last_prompt")),
            None,
        ],
    }


def run(editor, shared, count=4, fed=FED):
    """Logits of the last prompt token, of two single steps and of two tokens at once."""
    with editor.attached():
        rows = shared.start(count)
        found = [rows.logits[:, None]]
        found += [rows.feed(fed[:count, i : i + n]) for i, n in ((0, 1), (1, 1), (2, 2))]
    return torch.cat(found, 1)


def same(mine, theirs):
    """Equal receipts; relative sizes within rounding."""
    for a, b in zip(mine, theirs, strict=True):
        assert a.relative_size == pytest.approx(b.relative_size, rel=1e-5, nan_ok=True)
        assert dataclasses.replace(a, relative_size=0.0) == dataclasses.replace(b, relative_size=0.0)


@pytest.mark.parametrize("kind", ["add", "scopes", "exchange", "composed"])
@pytest.mark.parametrize("way", [SharedPrefix, WholeForwards])
def test_rows_and_receipts_are_those_of_the_editor(tiny, pictures, rows, kind, way):
    encoded = tiny.encode([pictures[0]], PROMPT)
    shared = way(tiny, encoded)
    editor, buffer = Editor(tiny, rows[kind], prompt=encoded), EditBuffer(tiny, 4)
    buffer.write(rows[kind])
    expected, found = run(editor, shared), run(buffer, shared)
    plain = run(Editor(tiny, [None] * 4, prompt=encoded), shared)
    assert (found - expected).abs().max() <= 1e-5
    assert ((found - plain).abs().amax((1, 2)) > 1e-3).sum() >= 3 - (kind == "scopes")
    same(buffer.receipt(), editor.receipt())
    assert active_hooks(tiny) == 0


def test_rows_without_an_edit_are_the_baseline_bit_for_bit(tiny, pictures, rows):
    shared = SharedPrefix(tiny, tiny.encode([pictures[0]], PROMPT))
    buffer = EditBuffer(tiny, 4, projects=True)
    buffer.write([None] * 4)
    base = run(buffer, shared)
    buffer.write(rows["add"])
    found = run(buffer, shared)
    assert torch.equal(found[0], base[0]) and not torch.equal(found[1], base[1])
    buffer.write([rows["scopes"][3]] * 4)
    assert torch.equal(run(buffer, shared), base)


def test_writing_changes_data_in_place(tiny, vectors, rows):
    buffer = EditBuffer(tiny, 4)
    where = [t.data_ptr() for t in (buffer.batch.direction, buffer.batch.numbers, buffer.batch.ratio)]
    size = buffer.nbytes
    for strength, layers in ((1.0, [1]), (-2.0, [0, 3]), (0.5, "all")):
        buffer.write([Steering(vectors.sel(concept="dog"), layers, strength)] * 4)
        batch = buffer.batch
        assert [t.data_ptr() for t in (batch.direction, batch.numbers, batch.ratio)] == where
        assert batch.direction[0, 3, 0].norm() > 0 or layers == [1]
    assert buffer.batch.along is None and buffer.nbytes == size
    buffer.write(rows["exchange"])
    assert buffer.batch.along is not None and buffer.nbytes > size
    buffer.write(rows["composed"])
    assert buffer.batch.direction.shape == (3, 4, 4, tiny.hidden_size)


def test_rows_that_leave_take_their_edits_along(tiny, pictures, rows):
    encoded = tiny.encode([pictures[0]], PROMPT)
    shared = SharedPrefix(tiny, encoded)
    editor, buffer = Editor(tiny, rows["add"], prompt=encoded), EditBuffer(tiny, 6)
    buffer.write(rows["add"])
    found = []
    for edits in (editor, buffer):
        with edits.attached():
            decoded = shared.start(4)
            decoded.feed(FED[:, :1])
            for kept in ([3, 1, 2], [1, 0]):
                decoded = decoded.fork(kept)
                edits.keep(kept)
                decoded.feed(FED[: len(kept), 1:3])
        found.append(decoded.logits)
    assert (found[0] - found[1]).abs().max() <= 1e-5
    same(buffer.receipt(), editor.receipt())
    assert [row.steps for row in buffer.receipt()] == [0, 5, 3, 5]
    with pytest.raises(ValueError, match=r"keep: expected rows 0 … 1 of the current batch; got \[2\]"):
        buffer.keep([2])


def test_some_rows_again_are_edited_alike_and_not_counted(tiny, pictures, rows):
    encoded = tiny.encode([pictures[0]], PROMPT)
    shared = SharedPrefix(tiny, encoded)
    buffer = EditBuffer(tiny, 4)
    buffer.write(rows["add"])
    with buffer.attached():
        decoded = shared.start(4)
    told = str(buffer.receipt())
    index = [2, 0, 2]
    with buffer.attached("generated", rows=index):
        found = decoded.fork(index).feed(FED[index])
    with buffer.attached("generated", counted=False):
        decoded.fork().feed(FED)
    with Editor(tiny, [rows["add"][i] for i in index], prompt=encoded).attached():
        expected = decoded.fork(index).feed(FED[index])
    assert (found - expected).abs().max() <= 1e-5
    assert str(buffer.receipt()) == told
    with buffer.attached("generated"):
        decoded.feed(FED[:, :2])
    assert buffer.receipt()[1].steps == 2 and "0 generated" in told


def test_a_receipt_of_generated_positions_ends_with_the_answer(tiny, pictures, rows):
    encoded = tiny.encode([pictures[0]], PROMPT)
    shared, fed = SharedPrefix(tiny, encoded), FED.clone()
    fed[1, 2] = fed[2, 0] = min(tiny.eos_token_ids)
    editor, buffer = Editor(tiny, rows["add"], prompt=encoded), EditBuffer(tiny, 4)
    buffer.write(rows["add"])
    run(editor, shared, fed=fed), run(buffer, shared, fed=fed)
    assert [row.steps for row in buffer.receipt()] == [0, 2, 0, 4]
    same(buffer.receipt(), editor.receipt())


def test_what_is_generated_after_an_edited_prompt(tiny, pictures, vectors):
    encoded = tiny.encode([pictures[0]], PROMPT)
    cat = vectors.sel(concept="cat")
    rows = [Steering(cat, [1], 1.5, tokens="all"), Steering(cat, [1], 1.5, tokens="image")]
    buffer = EditBuffer(tiny, 2, prompt=encoded)
    buffer.write(rows)
    with pytest.raises(ValueError, match=r"from the last prompt token on, but 'cat' has the scope all: run the prompt"):
        run(buffer, WholeForwards(tiny, encoded), count=2)
    shared, found = SharedPrefix(tiny, encoded), []
    for edits, options in ((Editor(tiny, rows, prompt=encoded), {}), (buffer, {"phase": "generated"})):
        with Editor(tiny, rows, prompt=encoded).attached():
            decoded = shared.start(2)
        with edits.attached(**options):
            found.append(decoded.feed(FED[:2]))
    assert (found[0] - found[1]).abs().max() <= 1e-5
    decoded = WholeForwards(tiny, encoded).start(2)
    with (
        pytest.raises(ValueError, match="attach the buffer for cached calls after it"),
        buffer.attached("generated"),
    ):
        decoded.feed(FED[:2])


def test_a_traced_call_edits_what_it_is_told(tiny, pictures, rows):
    encoded = tiny.encode([pictures[0]], PROMPT)
    shared = SharedPrefix(tiny, encoded)
    editor, buffer = Editor(tiny, rows["scopes"], prompt=encoded), EditBuffer(tiny, 4, prompt=encoded)
    buffer.write(rows["scopes"])
    expected = run(editor, shared)
    with buffer.attached(traceable=True):
        buffer.begin("last_prompt")
        decoded = shared.start(4)
        found = [decoded.logits[:, None]]
        for i, n in ((0, 1), (1, 1), (2, 2)):
            buffer.begin("generated", FED[:, i : i + n])
            found.append(decoded.feed(FED[:, i : i + n]))
    assert (torch.cat(found, 1) - expected).abs().max() <= 1e-5
    same(buffer.receipt(), editor.receipt())


def test_half_precision_is_edited_in_float32(tiny, pictures, rows, vectors):
    buffer = EditBuffer(tiny, 4)
    buffer.write(rows["exchange"])
    hidden = torch.randn(4, 2, tiny.hidden_size).to(tiny.device, torch.bfloat16)
    (change,) = buffer.batch.changes(1, phase=0)
    found = change.apply(hidden)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[0], hidden[0])
    exact = change.apply(hidden.float())
    assert torch.equal(found, exact.to(torch.bfloat16)) and not torch.equal(found[3], hidden[3])


def test_what_cannot_be_is_refused(tiny, tiny_mrope, pictures, vectors, rows):
    cat = vectors.sel(concept="cat")
    buffer = EditBuffer(tiny, 2, layers=[1, 2])
    with pytest.raises(ValueError, match="this buffer has room for 2 rows; got 4"):
        buffer.write(rows["add"])
    with pytest.raises(ValueError, match="layer 3 is not among the layers of this buffer: 1, 2"):
        buffer.write([Steering(cat, [3])])
    with pytest.raises(ValueError, match="tokens='generated' can never be edited.*at least two tokens"):
        buffer.write([Steering(cat, [1], tokens="generated")], steps=0)
    with pytest.raises(ValueError, match="the vectors of 'cat'"):
        EditBuffer(tiny_mrope, 1).write([Steering(cat, [1])])
    with (
        pytest.raises(ValueError, match="phase: expected one of last_prompt, generated; got 'later'"),
        buffer.attached("later"),
    ):
        pass
    buffer.write([Steering(cat, [1]), None])
    encoded = tiny.encode([pictures[0]], PROMPT)
    shared = SharedPrefix(tiny, encoded)
    with pytest.raises(ValueError, match="called with 3 lines, but the buffer was attached for 2"), buffer.attached():
        shared.start(3)
    decoded = WholeForwards(tiny, encoded).start(2)
    with pytest.raises(RuntimeError, match="the start of the answer is unknown"), buffer.attached("generated"):
        decoded.feed(FED[:2])
    assert active_hooks(tiny) == 0


def test_rows_say_what_they_leave_alone(tiny, pictures, rows):
    encoded = tiny.encode([pictures[0]], PROMPT)
    buffer = EditBuffer(tiny, 4, prompt=encoded)
    buffer.write(rows["add"])
    assert buffer.unedited_part.rows == (4, 1, 1, 1)
    assert (buffer.unedited_part.layer, buffer.unedited_part.column) == (1, encoded.length - 1)
    assert np.isnan(buffer.receipt()[1].relative_size) and buffer.receipt()[1].selected == (encoded.length - 1,)
