"""A decode step of fixed shapes: compiled once, whatever is fed and edited, and equal to rows that grow their cache."""

import gc
import weakref

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mllm_probe.activations.hooks import attached
from mllm_probe.decoding.compiled import StaticDecoder
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.loading import wrap
from mllm_probe.steering import EditBuffer, Steering
from tests.conftest import put
from tests.hooks import active_hooks
from tests.steering.reference import PROMPT, made_vectors
from tests.zoo import FAMILIES, build, tiny_llava

ROWS, STEPS = 3, 8
FED = torch.tensor([[11, 12, 13, 14], [14, 11, 12, 12], [15, 15, 16, 11]])


class Counting:
    """A compiler that counts the graphs it is given and runs them as they are; a break in a graph raises."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, step):
        return torch.compile(step, backend=self.backend, fullgraph=True, dynamic=False)

    def backend(self, graph, _inputs):
        self.graphs += 1
        return graph.forward


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def shared(tiny, pictures):
    return SharedPrefix(tiny, tiny.encode([pictures[0]], PROMPT))


def settings(vectors):
    """Rows that differ in concept, layer, strength, scope and operation."""
    cat, dog = vectors.sel(concept="cat"), vectors.sel(concept="dog")
    made = [
        Steering(cat, [1], 1.5),
        Steering(cat, [1], -0.5),
        Steering(dog, [2], 1.5),
        Steering(dog, "all", 0.3, unit="vector"),
        Steering(cat, [3], 2.0, tokens="generated"),
        Steering(cat, [0], 0.7, operation="ablate"),
        Steering(cat, [0, 2], 1.0, operation="replace", to=dog, tokens="last_prompt"),
    ]
    return [[None, one, one.control("random")] for one in made]


def by_growing(shared, buffer, rows):
    """Logits [rows, 5, vocabulary] and the receipt of rows whose cache grows."""
    buffer.write(rows)
    with buffer.attached():
        decoded = shared.start(ROWS)
        logits = [decoded.logits[:, None], *[decoded.feed(column) for column in FED.split(1, 1)]]
    return torch.cat(logits, 1), str(buffer.receipt())


def by_static(decoder, buffer, rows):
    """The same of rows of a decoder."""
    buffer.write(rows)
    with buffer.attached(traceable=True):
        buffer.begin("last_prompt")
        decoded = decoder.start(ROWS)
        logits = [decoded.logits[:, None]]
        for column in FED.split(1, 1):
            buffer.begin("generated", column)
            logits.append(decoded.feed(column))
    return torch.cat(logits, 1), str(buffer.receipt())


def test_nothing_is_compiled_anew_and_results_are_those_of_growing_rows(compiles, tiny, pictures, shared):
    compiler, vectors = Counting(), made_vectors(tiny)
    decoder = StaticDecoder(tiny, shared, ROWS, STEPS, compiler)
    buffer = EditBuffer(tiny, ROWS, prompt=shared.encoded, projects=True)
    for rows in settings(vectors):
        found, expected = by_static(decoder, buffer, rows), by_growing(shared, buffer, rows)
        assert (found[0] - expected[0]).abs().max() <= 1e-5
        assert found[1] == expected[1]
        assert decoder.compiled
    assert compiler.graphs == 1
    for prompt in ("describe", "is there a cat in the image ? yes or no"):
        other = SharedPrefix(tiny, tiny.encode([pictures[1]], prompt))
        told = EditBuffer(tiny, ROWS, prompt=other.encoded)
        decoder.load(other)
        found, expected = by_static(decoder, buffer, rows), by_growing(other, told, rows)
        assert (found[0] - expected[0]).abs().max() <= 1e-5
    assert compiler.graphs == 1
    assert active_hooks(tiny) == 0


def test_each_decoder_is_compiled_for_itself(compiles, tiny, shared):
    vectors, found = made_vectors(tiny), []
    for rows in settings(vectors)[:2]:
        compiler = Counting()
        decoder = StaticDecoder(tiny, shared, ROWS, STEPS, compiler)
        buffer = EditBuffer(tiny, ROWS, prompt=shared.encoded)
        logits, _ = by_static(decoder, buffer, rows)
        assert (logits - by_growing(shared, buffer, rows)[0]).abs().max() <= 1e-5
        found.append(compiler.graphs)
    assert found == [1, 1]


def test_a_step_compiled_for_other_hooks_runs_uncompiled(compiles, tiny, shared):
    compiler, (rows, *_) = Counting(), settings(made_vectors(tiny))
    decoder = StaticDecoder(tiny, shared, ROWS, STEPS, compiler)
    buffer, other = (EditBuffer(tiny, ROWS, prompt=shared.encoded) for _ in range(2))
    by_static(decoder, buffer, [None] * ROWS)
    found, _ = by_static(decoder, other, rows)
    assert not decoder.compiled
    assert (found - by_growing(shared, other, rows)[0]).abs().max() <= 1e-5
    with attached(tiny, lambda layer, hidden: -hidden, layers=[1]):
        negated, _ = by_static(decoder, buffer, rows)
        assert not decoder.compiled
        assert (negated - by_growing(shared, buffer, rows)[0]).abs().max() <= 1e-5
    assert (negated - found).abs().max() > 0.1
    by_static(decoder, buffer, rows)
    assert decoder.compiled and compiler.graphs == 1


def test_a_longer_prompt_gets_more_room(compiles, tiny, pictures, shared):
    compiler = Counting()
    decoder = StaticDecoder(tiny, shared, ROWS, STEPS, compiler)
    buffer = EditBuffer(tiny, ROWS, prompt=shared.encoded)
    by_static(decoder, buffer, [None] * ROWS)
    assert decoder.state.capacity == 64
    longer = SharedPrefix(tiny, tiny.encode([[pictures[1]] * 4], PROMPT))
    assert longer.encoded.length > 64
    decoder.load(longer)
    assert decoder.state.capacity == 128
    found, _ = by_static(decoder, buffer, [None] * ROWS)
    told = EditBuffer(tiny, ROWS, prompt=longer.encoded)
    assert (found - by_growing(longer, told, [None] * ROWS)[0]).abs().max() <= 1e-5
    assert compiler.graphs == 2


def test_rows_fork_and_take_turns(tiny, shared):
    decoder = StaticDecoder(tiny, shared, 4, STEPS)
    mine, theirs = decoder.start(ROWS), shared.start(ROWS)
    mine.feed(FED[:, :2]), theirs.feed(FED[:, :2])
    index = [2, 0, 2, 1]
    branches = mine.fork(index), theirs.fork(index)
    fed = torch.tensor([[17, 11], [12, 16], [13, 13], [11, 15]])
    assert (branches[0].feed(fed) - branches[1].feed(fed)).abs().max() <= 1e-5
    assert (mine.feed(FED[:, 2:]) - theirs.feed(FED[:, 2:])).abs().max() <= 1e-5
    fresh = decoder.start(1)
    assert (fresh.logits - shared.start(1).logits).abs().max() <= 1e-5
    assert (branches[0].feed(fed[:, :1]) - branches[1].feed(fed[:, :1])).abs().max() <= 1e-5
    assert (mine.logits - theirs.logits).abs().max() <= 1e-5
    assert mine.feed(FED[:, :0]).shape == theirs.feed(FED[:, :0]).shape


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "internvl", "idefics3", "ovis2"])
def test_families_of_plain_attention_are_exact(name, device):
    hf, inputs = build(FAMILIES[name])
    model = put(wrap(hf, name=name), device)
    shared = SharedPrefix(model, model.encode(None, inputs=inputs))
    mine, theirs = StaticDecoder(model, shared, ROWS, STEPS).start(ROWS), shared.start(ROWS)
    scale = theirs.logits.abs().max()
    assert (mine.logits - theirs.logits).abs().max() <= 1e-5 * scale
    for column in FED.split(1, 1):
        assert (mine.feed(column) - theirs.feed(column)).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("name", ["qwen3_5", "aya_vision", "mllama"])
def test_families_without_fixed_shapes_are_refused(name, device):
    hf, inputs = build(FAMILIES[name])
    model = put(wrap(hf, name=name), device)
    shared = SharedPrefix(model, model.encode(None, inputs=inputs))
    with pytest.raises(NotImplementedError, match="has no fixed shapes here"):
        StaticDecoder(model, shared, ROWS, STEPS)


def test_what_cannot_be_is_refused(tiny, pictures, shared):
    decoder = StaticDecoder(tiny, shared, ROWS, 3)
    with pytest.raises(ValueError, match="this decoder computes 3 rows; got 4"):
        decoder.start(4)
    rows = decoder.start(2)
    with pytest.raises(ValueError, match="room for 3 tokens after the prompt, and all are in use"):
        rows.feed(FED[:2])
    decoder.load(SharedPrefix(tiny, tiny.encode([pictures[1]], PROMPT)))
    with pytest.raises(RuntimeError, match="went on to another prompt, so these rows have ended"):
        rows.feed(FED[:2, :1])
    assert not [name for name in ALL_ATTENTION_FUNCTIONS if name.startswith("static_prefix")]


def test_a_decoder_goes_with_its_model(pictures, device):
    model = put(tiny_llava(), device)
    shared = SharedPrefix(model, model.encode([pictures[0]], PROMPT))
    StaticDecoder(model, shared, 1, 2).start(1)
    gone = weakref.ref(model)
    del model, shared
    gc.collect()
    assert gone() is None
