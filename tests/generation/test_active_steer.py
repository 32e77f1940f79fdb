"""Inside ``mp.steer`` the package's own functions are refused, so that nothing steered is taken for unsteered."""

import threading

import pytest
import torch

import mllm_probe as mp
from mllm_probe.concepts import Concept, ConceptLibrary, Picture
from mllm_probe.generation import Live
from mllm_probe.steering import Steering
from tests.hooks import active_hooks
from tests.steering.reference import PROMPT, made_vectors

REFUSED = "inside a `with mp.steer.*Leave the with block first.*steering="


@pytest.fixture(scope="module")
def vectors(tiny):
    return made_vectors(tiny)


@pytest.fixture(scope="module")
def cat(vectors):
    return Steering(vectors.sel(concept="cat"), [1], 2.0)


def library(pictures):
    classes = ([Picture(picture) for picture in some] for some in (pictures[:3], pictures[3:6]))
    return ConceptLibrary([Concept("cat", "entity", ("cat",), *classes, False)])


def sweep_into(store):
    return lambda m, v, p, s: mp.sweep(
        m, v, p[:1], PROMPT, strengths=(1,), metrics=("kl",), progress=False, store=store
    )


CALLS = {
    "generate": lambda m, v, p, s: mp.generate(m, p[0], PROMPT, max_new_tokens=2),
    "generate, steered": lambda m, v, p, s: mp.generate(
        m, p[0], PROMPT, steering=Steering(v.sel(concept="dog"), [1]), max_new_tokens=2
    ),
    "stream": lambda m, v, p, s: list(mp.stream(m, p[0], PROMPT, max_new_tokens=2)),
    "Live": lambda m, v, p, s: Live(m, p[0], PROMPT),
    "Live.run": lambda m, v, p, s: list(s.run(None)),
    "Live.first_token": lambda m, v, p, s: s.first_token(None),
    "capture": lambda m, v, p, s: mp.capture(m, p[:1], PROMPT),
    "concept_vectors": lambda m, v, p, s: mp.concept_vectors(m, library(p), PROMPT, shuffled_draws=0),
    "plan": lambda m, v, p, s: mp.plan(m, v, p[:1], PROMPT, strengths=(1,)),
    "sweep": sweep_into(None),
    "sweep_iter": lambda m, v, p, s: list(mp.sweep_iter(m, v, p[:1], PROMPT, strengths=(1,), progress=False)),
    "verify": lambda m, v, p, s: m.verify(quick=True),
}


def test_a_stream_cannot_be_read_where_its_model_is_held(tiny, cat, pictures):
    with tiny.lock.held():
        run = mp.stream(tiny, pictures[0], PROMPT, steering=cat, max_new_tokens=2)
        with pytest.raises(RuntimeError, match="would never end.*Leave the with block"):
            next(run)
    assert [(row, step) for row, step, _ in run] == [(0, 0), (0, 1)]


@pytest.mark.parametrize("name", CALLS)
def test_functions_of_the_package_are_refused_inside_steer(tiny, vectors, cat, pictures, name):
    live = Live(tiny, pictures[0], PROMPT, rows=1, max_new_tokens=2)
    calls = []
    with mp.steer(tiny, cat):
        handle = tiny.layout.caller.register_forward_pre_hook(lambda *_: calls.append(1))
        try:
            with pytest.raises(RuntimeError, match=REFUSED):
                CALLS[name](tiny, vectors, pictures, live)
        finally:
            handle.remove()
    assert not calls and active_hooks(tiny) == 0
    CALLS[name](tiny, vectors, pictures, live)


def test_a_sweep_that_was_refused_leaves_no_store(tiny, vectors, cat, pictures, tmp_path):
    store = tmp_path / "store"
    with mp.steer(tiny, cat), pytest.raises(RuntimeError, match=REFUSED):
        sweep_into(store)(tiny, vectors, pictures, None)
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_is_under_way_is_refused_too(tiny, vectors, cat, pictures):
    grids = mp.sweep_iter(tiny, vectors, pictures[:1], PROMPT, strengths=(-1, 1), metrics=("kl",), progress=False)
    next(grids)
    with mp.steer(tiny, cat), pytest.raises(RuntimeError, match=REFUSED):
        next(grids)


def test_other_threads_wait_and_are_clean(tiny, cat, pictures):
    expected, found = mp.generate(tiny, pictures[0], PROMPT, max_new_tokens=3), []
    thread = threading.Thread(target=lambda: found.append(mp.generate(tiny, pictures[0], PROMPT, max_new_tokens=3)))
    with mp.steer(tiny, cat):
        thread.start()
        thread.join(0.1)
        assert not found
    thread.join()
    assert torch.equal(found[0].tokens, expected.tokens) and torch.equal(found[0].logits, expected.logits)


def test_calls_of_the_model_itself_and_nested_blocks_go_on(tiny, vectors, cat, pictures):
    encoded = tiny.encode([pictures[0]], PROMPT)
    dog = Steering(vectors.sel(concept="dog"), [2], -1.0)
    both = mp.generate(tiny, pictures[0], PROMPT, steering=mp.compose(cat, dog), max_new_tokens=3)
    with mp.steer(tiny, cat), mp.steer(tiny, dog):
        plain = tiny.hf.generate(**encoded.tensors, max_new_tokens=3, do_sample=False)
        with pytest.raises(RuntimeError, match=REFUSED):
            mp.capture(tiny, pictures[:1], PROMPT)
    assert torch.equal(plain[0, encoded.length :].cpu(), both.tokens[0])
    with pytest.raises(KeyError), mp.steer(tiny, cat):
        raise KeyError
    mp.generate(tiny, pictures[0], PROMPT, max_new_tokens=1)
