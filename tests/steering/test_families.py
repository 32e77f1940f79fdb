"""Families that are fed in unusual ways: an answer generated step by step equals the same answer read at once."""

import numpy as np
import pytest
import torch

from mllm_probe.generation import generate, stream
from mllm_probe.loading import wrap
from mllm_probe.steering import Steering, editing
from mllm_probe.vectors import vectors_from
from tests.conftest import put
from tests.steering.reference import close
from tests.zoo import FAMILIES, build

STEPS = 4
UNUSUAL = {
    "blip2": "image",
    "kosmos2": "image",
    "florence2": "all",
    "mllama": "all",
    "paligemma": "image",
    "gemma3n": "all",
    "qwen3_vl": "image",
    "qwen3_5": "all",
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_stepwise_equals_at_once(name, device):
    hf, inputs = build(FAMILIES[name])
    model = put(wrap(hf, name=name), device)
    rng = np.random.default_rng(0)
    vectors = vectors_from(model, {"any": 3 * rng.standard_normal((len(model.layers), model.hidden_size))})
    tokens = (UNUSUAL[name], "last_prompt", "generated")
    row = Steering(vectors.sel(concept="any"), [len(model.layers) // 2], 1.0, unit="raw", tokens=tokens)
    settings = {"inputs": inputs, "max_new_tokens": STEPS, "min_new_tokens": STEPS}
    out = generate(model, steering=[None, row], **settings)
    answer = out.tokens[1, :-1].tolist()
    encoded = model.encode_samples(model.samples(None, inputs=inputs), [answer])
    with torch.no_grad(), editing(row, model, encoded) as receipt:
        logits = model.hf(**encoded.tensors).logits[:, -STEPS:]
    assert close(out.logits[1], logits[0])
    assert str(receipt[0]) == str(out.receipt[1])
    assert not close(out.logits[1], out.logits[0], 0.01)
    run = stream(model, steering=[None, row], **settings)
    list(run)
    assert run.text == out.text
