"""Perplexity: an answer scores the same bits in any company, and all under one condition are read together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mllm_probe.decoding.rows import whole_forward
from mllm_probe.models import Request
from mllm_probe.sweeps.reference_scorer import BATCH, ReferenceScorer
from tests.conftest import noise_picture

STEPS, PROMPT, IMAGES = 6, "what is it ?", 3
PREFIX = [9, 10]


def scorer_of(model: Any, prefix: list[int] | None = None, examples: dict[str, Any] | None = None) -> ReferenceScorer:
    requests = [Request((noise_picture(seed, (32, 32)),), PROMPT) for seed in range(IMAGES)]
    samples: Any = SimpleNamespace(requests=requests, examples=examples or {})
    return ReferenceScorer(model, samples, ["cat", "dog"], PREFIX if prefix is None else prefix, STEPS)


def asked(count: int = 41, seed: int = 0) -> list[tuple[int, int, tuple[int, ...]]]:
    """Answers of all lengths, for both concepts and all images; some are empty, and some come twice."""
    drawn = np.random.default_rng(seed)
    answers = [tuple(drawn.integers(5, 40, drawn.integers(0, STEPS + 1)).tolist()) for _ in range(count)]
    return [(n % 2, n % IMAGES, answers[n % (count - 4)]) for n in range(count)]


def scores(scorer: ReferenceScorer, which: list[Any]) -> list[np.ndarray]:
    with torch.no_grad():
        return scorer.logprobs(which)


@pytest.mark.parametrize("examples", [{}, {"cat": noise_picture(7, (32, 32))}], ids=["no picture", "a picture"])
def test_an_answer_scores_the_same_bits_alone_and_in_any_company(tiny: Any, examples: dict[str, Any]) -> None:
    every = asked()
    together = scores(scorer_of(tiny, examples=examples), every)
    order = np.random.default_rng(1).permutation(len(every)).tolist()
    mixed = scores(scorer_of(tiny, examples=examples), [every[n] for n in order])
    one_by_one = scorer_of(tiny, examples=examples)
    for place, n in enumerate(order):
        np.testing.assert_array_equal(mixed[place], together[n])
        np.testing.assert_array_equal(scores(one_by_one, [every[n]])[0], together[n])
    assert [len(values) for values in together] == [len(answer) for _, _, answer in every]


def test_all_answers_under_one_condition_are_read_in_few_calls(tiny: Any) -> None:
    scorer, every, calls = scorer_of(tiny), asked(), []
    assert scorer.reads_text_alone  # learned, and the way chosen, once
    scores(scorer_of(tiny), every[:1])

    def count(module: Any, arguments: Any, named: Any) -> None:
        calls.append(next(v for v in (*arguments, *named.values()) if isinstance(v, torch.Tensor)).shape[0])

    handle = tiny.layout.backbone.register_forward_pre_hook(count, with_kwargs=True)
    try:
        scores(scorer, every)
        first = len(calls)
        scores(scorer, every)
    finally:
        handle.remove()
    by_length: dict[int, set[Any]] = {}
    for _, _, answer in every:
        if answer:
            by_length.setdefault(scorer._length(answer), set()).add(answer)
    batches = sum(-(-len(own) // BATCH) for length, own in by_length.items() if length > 1)
    assert set(by_length) == {1, 2, 4, STEPS}
    # The prompt, its last token and the prefix once; then a call for each batch, none for answers of one token.
    assert first == 3 + batches and len(calls) == first


def test_scores_equal_whole_forwards(tiny: Any) -> None:
    every = [one for one in asked() if one[2]][:6]
    found = scores(scorer_of(tiny), every)
    encoded = tiny.encode_samples([Request((), PROMPT)])
    for values, (_, _, answer) in zip(found, every, strict=True):
        fed = torch.tensor([[*PREFIX, *answer]], device=tiny.device)
        with torch.no_grad():
            logits = whole_forward(tiny, encoded, fed)[0, -len(answer) - 1 : -1].float().log_softmax(-1)
        expected = logits.gather(-1, fed[0, -len(answer) :, None])[:, 0].cpu().numpy()
        np.testing.assert_allclose(values, expected, atol=1e-4)
