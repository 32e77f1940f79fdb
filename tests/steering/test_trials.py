"""Trial rows are edited so that it shows: a way of sharing a prompt that loses their edits is then refused."""

import pytest
import torch

from mllm_probe.decoding.rows import whole_forward
from mllm_probe.decoding.shared_prompt import difference, tolerance
from mllm_probe.steering.tensors import _following_trial, _prompt_trial


@pytest.mark.parametrize("make", [_following_trial, _prompt_trial])
def test_edits_of_trial_rows_are_far_above_the_tolerance(make, tiny, pictures):
    encoded = tiny.encode_samples(tiny.samples(pictures[:1], None, None))
    trial = make(tiny, encoded)
    tokens = encoded.tensors["input_ids"][:, -1:].repeat(trial.rows, 1)
    with torch.no_grad():
        plain = whole_forward(tiny, encoded, tokens[:1])[:, -2:]
        with trial.edits(range(trial.rows)):
            logits = whole_forward(tiny, encoded, tokens)[:, -2:]
    sizes = sorted(difference(row[None], plain) for row in logits)
    assert sizes[0] < tolerance(tiny.dtype) and sizes[1] > 100 * tolerance(tiny.dtype), sizes
    assert {row for rows, _ in trial.batches for row in rows} == set(range(trial.rows))
