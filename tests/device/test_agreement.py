"""Invariant 4 on any device: held to a bound in float32, reported in bfloat16."""

import math

import pytest
import torch

from tests.device.agreement import CASES, agreement

BOUND = 1e-4


@pytest.mark.parametrize(("family", "scope"), CASES)
def test_a_sweep_agrees_with_plain_hooks(family, scope, device, dtype, record_property):
    found = agreement(family, scope, device, dtype)
    record_property("agreement", f"{device} {dtype} {family} {scope}: {found}")
    print(f"{device} {dtype} {family} {scope}: {found}")
    assert math.isfinite(found.error) and math.isfinite(found.gap) and found.tokens > 0
    if dtype == torch.float32:
        assert found.error < BOUND and found.gap < 10 * BOUND
