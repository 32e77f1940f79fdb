"""Invariant 4: a cell equals the same cell run alone through plain hooks; of all families, see ``test_families``."""

import numpy as np
import pytest
import torch

import mllm_probe.sweeps as sweeps
from mllm_probe.steering.operations import random_direction
from tests.sweeps.helpers import plain_edit, plain_logits, random_vectors, wrapped_family

NEXT = ("last_prompt", "generated")
WORDS = {"cat": [7, [8, 9]], "dog": [11, 12]}
STEPS = 3
PREFIX_PATH, RESUME_PATH = "shared prefix", "resumed at the edited layer"
CASES = [
    ("llava", NEXT, "add", PREFIX_PATH),
    ("llava", NEXT, "ablate", PREFIX_PATH),
    ("llava", NEXT, "replace", PREFIX_PATH),
    ("llava", "image", "add", RESUME_PATH),
    ("llava", "image", "ablate", RESUME_PATH),
    ("llava", "image", "replace", RESUME_PATH),
    ("llava", "all", "add", RESUME_PATH),
    ("llava", "text", "add", RESUME_PATH),
    ("qwen2_5_vl", NEXT, "add", PREFIX_PATH),
    ("qwen2_5_vl", "all", "replace", RESUME_PATH),
]


@pytest.fixture(scope="module")
def family(device):
    """Models are built once for all cases of their family."""
    known = {}

    def get(name):
        if name not in known:
            model, inputs = wrapped_family(name, device)
            known[name] = model, inputs, random_vectors(model, words=WORDS, norm=1.5)
        return known[name]

    return get


def word_logprob(model, encoded, edits, words):
    """Log-probability of the words at the first position, each sub-token by a forward of its own."""
    total = []
    for word in words:
        word = [word] if isinstance(word, int) else word
        logits = plain_logits(model, encoded, word[:-1], edits)[0].log_softmax(-1)
        total.append(sum(logits[i, token] for i, token in enumerate(word)))
    return torch.stack(total).logsumexp(0).item()


def assert_cell(model, encoded, cell, unsteered, edits, concept):
    """Tokens, word score and KL of a cell against plain forwards."""
    tokens = [int(t) for t in cell.tokens.values if t >= 0]
    logits = plain_logits(model, encoded, tokens[:-1], edits)[0]
    scale = logits.abs().max().item()
    best = logits.topk(2).values
    for step, (first, second) in enumerate(best.tolist()):
        assert first - second < 1e-3 * scale or int(logits[step].argmax()) == tokens[step]
    assert float(cell.logprob) == pytest.approx(word_logprob(model, encoded, edits, WORDS[concept]), abs=1e-4 * scale)
    plain = plain_logits(model, encoded, unsteered[:-1], [])[0].log_softmax(-1)
    steered = plain_logits(model, encoded, unsteered[:-1], edits)[0].log_softmax(-1)
    kl = (plain.exp() * (plain - steered)).sum(-1).cpu().numpy()
    np.testing.assert_allclose(cell.kl_step.values[: len(kl)], kl, atol=1e-4 * scale)


@pytest.mark.parametrize(("name", "tokens", "operation", "path"), CASES)
def test_cells_equal_plain_hooks(family, name, tokens, operation, path):
    model, inputs, vectors = family(name)
    strength = 1.0 if operation == "add" else 0.8
    grid = sweeps.sweep(
        model, vectors, inputs=inputs, tokens=tokens, operation=operation, to="dog" if operation == "replace" else None,
        layers=[0, 2], strengths=(0, strength), metrics=("logprob", "kl", "tokens"), controls=("random",), draws=4,
        seed=5, max_new_tokens=STEPS, progress=False,
    )  # fmt: skip
    assert grid.attrs["path"].startswith(path), grid.attrs
    encoded = model.encode(None, inputs=inputs)
    unsteered = [int(t) for t in grid.tokens_unsteered.values[0] if t >= 0]
    steered = grid.sel(strength=strength).isel(sample=0)
    assert_cell(model, encoded, grid.sel(concept="cat", strength=0, layer=2, control="concept", draw=0).isel(sample=0),
                unsteered, [], "cat")  # fmt: skip
    for layer in (0, 2):
        edits = plain_edit(model, vectors, encoded, "cat", layer, strength, tokens, operation, "dog")
        cell = steered.sel(concept="cat", layer=layer, control="concept", draw=0)
        assert_cell(model, encoded, cell, unsteered, edits, "cat")
    if operation == "add":
        drawn = random_direction(5, 0, model.hidden_size)
        edits = plain_edit(model, vectors, encoded, "cat", 2, strength, tokens, direction=drawn)
        for concept in WORDS:
            cell = steered.sel(concept=concept, layer=2, control="random", draw=0)
            assert_cell(model, encoded, cell, unsteered, edits, concept)
    assert float(grid.logprob.sel(control="concept", draw=0).std()) > 1e-3


def test_bf16_agrees_to_its_precision(device):
    model, inputs = wrapped_family("llava", device)
    model.hf.to(torch.bfloat16)
    vectors = random_vectors(model, words=WORDS)
    grid = sweeps.sweep(
        model, vectors, inputs=inputs, layers=[1], strengths=(1,), metrics=("logprob",), controls=(), progress=False
    )
    encoded = model.encode(None, inputs=inputs)

    def rounded(hidden, change, column):
        return change(hidden.float(), column).to(hidden.dtype)

    [(layer, columns, goes_on, change)] = plain_edit(model, vectors, encoded, "cat", 1, 1, NEXT)
    edits = [(layer, columns, goes_on, lambda hidden, column: rounded(hidden, change, column))]
    expected = word_logprob(model, encoded, edits, [7])
    single = np.logaddexp(expected, word_logprob(model, encoded, edits, [[8, 9]]))
    assert grid.attrs["path"].startswith(PREFIX_PATH)
    assert grid.logprob.sel(concept="cat", control="concept").isel(draw=0).item() == pytest.approx(single, abs=0.1)
