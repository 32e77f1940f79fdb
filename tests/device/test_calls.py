"""Every call that touches a device, on a simulated accelerator and on two: the CPU's numbers, and no needless wait.

``python -m tests.device.table`` prints what each call waits for and moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.models.fingerprints import _few_values
from tests.accelerator import Traffic, counted
from tests.device.allowed_waits import ALLOWED
from tests.device.calls import CALLS, OPERATIONS, Subject
from tests.device.subjects import on

PLACEMENTS = ("sim", "sharded")
TRIALS = (
    "sweep, last prompt token", "sweep, image tokens", "patch, all layers", "live job of a slider",
    "stream, last prompt token",
)  # fmt: skip
"""Calls that try the ways of a model, or keep a prompt that later calls find."""
GROWS = {"mllm_probe/decoding/rows.py:_rows_of"}
"""Uploads that are allowed once per layer: rows are forked with an index for each block, whose groups differ."""


@cache
def subject(placement: str, layers: int, concepts: int = 2) -> Subject:
    """A model with its vectors and with the trials of its ways behind it, which later calls do not pay."""
    one = on(placement, layers) if concepts == 2 else Subject(subject(placement, layers).model, concepts)
    for name in TRIALS:
        CALLS[name](one)
    return one


@cache
def ran(name: str, placement: str, layers: int = 4, concepts: int = 2) -> tuple[Any, Traffic]:
    """A call's result and traffic."""
    one = subject(placement, layers) if concepts == 2 else subject(placement, layers, concepts)
    with counted() as traffic:
        result = CALLS[name](one)
    return result, traffic


def values(result: Any) -> Mapping[str, Any]:
    """Arrays of a result by name."""
    if isinstance(result, xr.Dataset):
        return {str(name): variable.values for name, variable in result.variables.items()}
    if isinstance(result, xr.DataArray):
        return {"values": result.values}
    return {"values": result.float().cpu().numpy() if isinstance(result, torch.Tensor) else result}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", CALLS)
def test_numbers_are_those_of_the_cpu(name: str, placement: str) -> None:
    expected, found = values(ran(name, "cpu")[0]), values(ran(name, placement)[0])
    assert list(found) == list(expected)
    for key, value in expected.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            scale = max(1.0, float(np.abs(value[np.isfinite(value)]).max(initial=0)))
            # Activations are kept in bfloat16, whose last bit may turn on the smallest difference.
            rtol = 2**-7 if key == "manifold" else 0
            np.testing.assert_allclose(found[key], value, rtol=rtol, atol=1e-4 * scale, err_msg=key)
        else:
            np.testing.assert_array_equal(np.asarray(found[key], object), np.asarray(value, object), err_msg=key)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", CALLS)
def test_every_wait_is_allowed(name: str, placement: str) -> None:
    places = {place for _, place in ran(name, placement)[1].waits if not place.startswith("transformers/")}
    assert places <= set(ALLOWED), "mend it, or give its reason in tests/device/allowed_waits.py"


def test_every_allowed_wait_is_made() -> None:
    made = {place for name in CALLS for placement in PLACEMENTS for _, place in ran(name, placement)[1].waits}
    assert set(ALLOWED) <= made


@pytest.mark.parametrize("name", CALLS)
def test_waits_and_uploads_do_not_grow_with_layers(name: str) -> None:
    few, many = (ran(name, "sim", layers)[1] for layers in (4, 6))
    assert own(many.waits) <= own(few.waits)
    assert own(many.uploads, GROWS) <= own(few.uploads, GROWS)


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith(("sweep", "vectors", "live"))])
def test_waits_and_uploads_do_not_grow_with_concepts(name: str) -> None:
    few, many = (ran(name, "sim", 4, concepts)[1] for concepts in (2, 4))
    assert own(many.waits) <= own(few.waits)
    assert own(many.uploads) <= own(few.uploads)


@pytest.mark.parametrize("tokens", ["text", "all"])
@pytest.mark.parametrize("operation", ["add", "function"])
def test_waits_and_uploads_do_not_grow_with_positions(operation: str, tokens: str) -> None:
    one = subject("sim", 4)
    counts = []
    for prompt in ("what", "what do you see ? " * 4):
        for _ in range(2):
            with counted() as traffic:
                mp.capture(one.model, one.images[:2], prompt, tokens=tokens)
                edit = one.steering(tokens=tokens, **OPERATIONS[operation])
                mp.generate(one.model, one.images[:1], prompt, steering=edit, max_new_tokens=2)
        counts.append((own(traffic.waits), own(traffic.uploads)))
    assert counts[1] <= counts[0]


def own(counted: Counter[tuple[str, str]], without: Collection[str] = ()) -> int:
    """How many of them are the package's own."""
    places = ((place, count) for (_, place), count in counted.items() if not place.startswith("transformers/"))
    return sum(count for place, count in places if place not in without)


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("capture")])
def test_a_capture_brings_nothing_to_the_host_until_it_is_read(name: str) -> None:
    one = subject("sim", 4)
    acts, traffic = ran(name, "sim")
    weights = sum(_few_values(parameter).nbytes for parameter in one.model.hf.parameters())
    checks = traffic.to_host - weights
    assert 0 <= checks <= 128, "values of the weights, for their fingerprint, and the ids of a text that is fed"
    with counted() as reading:
        selected = acts.activation.isel(layer=1, token=slice(0, 3)).values
    assert reading.to_host == selected.nbytes and sum(reading.waits.values()) == 1
