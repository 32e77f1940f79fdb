"""What machines do in a second, for costs of sweeps that are counted and not measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.models.argument_checks import described

RUN_SECONDS = 3e-4
"""Of a run in the interpreter: 0.24 to 0.34 ms of one core, measured with a random model of width 16."""


@dataclass(frozen=True)
class Machine:
    """What one device does.

    Attributes
    ----------
    name : str
    flops : float
        Floating-point operations in a second that matrix products reach.
    bandwidth : float
        Bytes in a second that are read from its memory.
    memory : float
        Bytes that a model and its rows may take.
    call_seconds : float
        What a call of one block takes beside its computation: the interpreter and the start of kernels.
    run_seconds : float
        What a run takes in the interpreter: its edit is made, its answer read, its scores are written.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    call_seconds: float
    run_seconds: float = RUN_SECONDS

    @classmethod
    def measured(cls, dtype: torch.dtype = torch.float32) -> Machine:
        """The CPU of this machine, by a product of matrices, a copy, and a small block: about a second."""
        a, some = torch.rand(512, 512, dtype=dtype), torch.rand(1 << 23)
        product, copied = _best(lambda: a @ a), _best(some.clone)
        small = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        one = torch.rand(1, 1, 8)
        with torch.no_grad():
            call = _best(lambda: small(one))
        return cls(
            name="this CPU",
            flops=2 * 512**3 / product,
            bandwidth=2 * some.nbytes / copied,
            memory=float(free_bytes(torch.device("cpu"))),
            call_seconds=_BLOCK_CALLS * call,
        )


_BLOCK_CALLS = 3.0
"""Time of a block of a language model in Transformers, with its hooks and its cache, by that of PyTorch's small one."""

MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine("H100", 989e12 * 0.5, 3.35e12 * 0.7, 80e9 * 0.85, 3e-4),
        Machine("A100", 312e12 * 0.5, 2.04e12 * 0.7, 80e9 * 0.85, 3e-4),
        Machine("L40S", 362e12 * 0.5, 0.864e12 * 0.7, 48e9 * 0.85, 3e-4),
    )
}
"""Data sheets (dense bfloat16), of which half the operations, seven tenths of the bandwidth and 85 % of the memory are
counted as reachable. Nothing of it was measured for this package."""


def machine_of(machine: Machine | str | None) -> Machine:
    """A machine, or that of a name; this CPU, measured, for None."""
    if machine is None:
        return Machine.measured()
    if isinstance(machine, Machine):
        return machine
    if machine not in MACHINES:
        raise ValueError(
            f"machine: expected one of {', '.join(MACHINES)}, or a Machine with flops, bandwidth, memory and "
            f"call_seconds; got {described(machine)}."
        )
    return MACHINES[machine]


def _best(job: Callable[[], object]) -> float:
    """Least processor seconds of one call."""
    found = []
    for _ in range(5):
        began, count = time.process_time(), 0
        while time.process_time() - began < 0.02:
            job()
            count += 1
        found.append((time.process_time() - began) / count)
    return min(found)
