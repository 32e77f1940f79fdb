"""What ran before on a model changes neither how a sweep shares the prompt nor its values."""

import gc
import weakref

import numpy as np
import pytest

from mllm_probe.decoding.depth import DepthPrefix
from mllm_probe.decoding.paths import known_path
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.resume import Resume
from mllm_probe.generation import Live, generate, stream
from mllm_probe.generation.decoders import prompts_of
from mllm_probe.steering import Steering
from mllm_probe.sweeps import plan, sweep
from tests.conftest import put
from tests.sweeps.helpers import random_vectors, same
from tests.zoo import tiny_llava

NEXT = ("last_prompt", "generated")
PROMPT = "what do you see ?"
METRICS = ("logprob", "kl", "perplexity")
SETTINGS = {"strengths": (-1, 1), "draws": 4, "max_new_tokens": 3, "progress": False, "metrics": METRICS}


def run(model, picture, tokens):
    return sweep(model, random_vectors(model), [picture], PROMPT, tokens=tokens, **SETTINGS)


@pytest.mark.parametrize("first", ["image", "text", "all", [2, 5]])
def test_a_sweep_over_the_prompt_leaves_later_sweeps_on_their_path(pictures, device, first):
    fresh, used = put(tiny_llava(), device), put(tiny_llava(), device)
    expected = run(fresh, pictures[0], NEXT)
    before = run(used, pictures[0], first)
    assert before.attrs["path"] == Resume.path and "refused_paths" not in before.attrs
    planned = plan(used, random_vectors(used), [pictures[0]], PROMPT, tokens=NEXT, **SETTINGS)
    found = run(used, pictures[0], NEXT)
    assert planned.path == found.attrs["path"] == expected.attrs["path"] == DepthPrefix.path
    same(found, expected, rtol=0, atol=0)
    again = run(used, pictures[0], first)
    assert again.attrs["path"] == before.attrs["path"]
    np.testing.assert_array_equal(again.logprob, before.logprob)


def test_live_and_stream_share_their_prompt_after_a_sweep_over_image_tokens(pictures, device):
    model = put(tiny_llava(), device)
    run(model, pictures[0], "image")
    cat = random_vectors(model).sel(concept="cat")
    rows = [None, Steering(cat, [1], 1.0)]
    live = Live(model, pictures[0], PROMPT, rows=2, max_new_tokens=3)
    assert live.path == DepthPrefix.path
    expected = generate(model, pictures[0], PROMPT, steering=rows, max_new_tokens=3)
    answered = stream(model, pictures[0], PROMPT, steering=rows, max_new_tokens=3)
    list(answered)
    assert answered.text == expected.text
    kept = prompts_of(model).of(model, model.samples(pictures[0], PROMPT)[0], None)
    assert isinstance(kept.shared(), SharedPrefix)


def test_verdicts_are_the_models_and_go_with_it(pictures, device):
    model, other = put(tiny_llava(), device), put(tiny_llava(), device)
    run(model, pictures[0], "image")
    encoded = model.encode([pictures[0]], PROMPT)
    assert known_path(model, encoded, prompt_edited=True) is not None
    assert known_path(other, encoded, prompt_edited=True) is None
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_answers_read_without_their_picture_are_read_by_a_path_tried_without_one(pictures, device):
    model = put(tiny_llava(), device)
    run(model, pictures[0], NEXT)
    assert known_path(model, model.encode([[]], PROMPT), prompt_edited=False) is not None
