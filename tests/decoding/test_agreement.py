"""Ways agree by the largest difference in units of the scale, whatever a family never says."""

import torch

from mllm_probe.decoding.shared_prompt import difference, tolerance


def test_difference_is_relative_to_the_scale():
    assert abs(difference(torch.tensor([1.0, -40.0]), torch.tensor([1.4, -40.0])) - 0.01) < 1e-6


def test_other_shapes_and_nan_never_agree():
    assert difference(torch.zeros(2), torch.zeros(3)) == float("inf")
    assert difference(torch.tensor([1.0, torch.nan]), torch.tensor([1.0, 2.0])) == float("inf")
    assert difference(torch.tensor([1.0, torch.nan]), torch.tensor([1.0, torch.nan])) == float("inf")


def test_tokens_that_are_never_said_do_not_hide_a_difference():
    never = torch.finfo(torch.float32).min
    assert difference(torch.tensor([1.0, never]), torch.tensor([2.0, never])) == 0.5
    assert difference(torch.tensor([1.0, 3.0]), torch.tensor([1.0, never])) == float("inf")


def test_half_precision_may_differ_by_rounding():
    assert tolerance(torch.bfloat16) == 0.05 and tolerance(torch.float32) == 1e-4 and tolerance(torch.float64) == 1e-6
