"""Concepts, draws and doses whose edits are the same, so that they are run once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import parts_of, stacked_on_host
from mllm_probe.steering.controls import CONTROLS, is_antithetic, is_seeded
from mllm_probe.steering.operations import OPERATIONS
from mllm_probe.sweeps.cells import Axes
from mllm_probe.sweeps.settings import OWN_PROJECTION, Settings

_OF_CONCEPT = ("vector", "raw_norm", "negative_projection")


def find_duplicates(vectors: xr.Dataset, axes: Axes) -> dict[tuple[str, int, int], tuple[int, int]]:
    """Runs whose edit equals that of an earlier run.

    `vectors`: with dimension ``concept``. Returns: (control, concept, draw) → (concept, draw) of the first with the
    same content, only where it is another one. Concepts are compared by their vectors at every layer and scope,
    shuffled draws of one concept by theirs: few pairs can be swapped in few ways, so that several draws give one
    direction. A concept with the vectors of another shares its random draws too.
    """
    whole = _contents(vectors, _OF_CONCEPT, (schema.CONCEPT,))
    same = _first_alike(whole, _sums(whole))
    known = range(len(same))
    duplicates = {("concept", c, 0): (same[c], 0) for c in known if same[c] != c}
    for name, count in axes.controls.items():
        if name not in CONTROLS:
            continue
        if is_seeded(name):
            duplicates |= {(name, c, d): (same[c], d) for c in known if same[c] != c for d in range(count)}
            continue
        drawn = _contents(vectors, CONTROLS[name].variables, (schema.CONCEPT, schema.DRAW))
        if not drawn:
            continue
        sums = _sums(drawn)
        for concept in known:
            begin = concept * vectors.sizes[schema.DRAW]
            own = slice(begin, begin + count)
            alike = _first_alike(drawn[own], sums[own])
            duplicates |= {(name, concept, d): (concept, alike[d]) for d in range(count) if alike[d] != d}
    return duplicates


def opposite_controls(settings: Settings) -> tuple[str, ...]:
    """Controls of which draw 2j at a strength is the same edit as draw 2j + 1 at the opposite one, to the bit.

    So it is where the change is the strength times a length times the direction that was drawn, as for ``add`` in every
    unit: of a product of numbers the sign is exact. What is recorded along a row's own direction has another sign for
    each of the two, so that both are run then.
    """
    if settings.operation is not OPERATIONS["add"] or OWN_PROJECTION in settings.recorded:
        return ()
    return tuple(name for name in settings.axes.controls if is_antithetic(name))


def _contents(vectors: xr.Dataset, names: Iterable[str], dims: tuple[str, ...]) -> list[list[Tensor]]:
    """For each element along ``dims``, its part of every variable."""
    parts: list[Tensor] = []
    for array in (vectors[name] for name in names if name in vectors and set(dims) <= set(vectors[name].dims)):
        ordered = array.transpose(*dims, ...)
        parts += [part.flatten(0, len(dims) - 1) for part in parts_of(ordered)]
    return [list(part) for part in zip(*parts, strict=True)]


def _sums(contents: list[list[Tensor]]) -> np.ndarray:
    """Sums [element, variable and part] of all tensors, in one copy for each device."""
    sums = stacked_on_host([torch.nansum(t.double()) for tensors in contents for t in tensors])
    return sums.reshape(len(contents), -1)


def _first_alike(contents: list[list[Tensor]], sums: np.ndarray) -> list[int]:
    """For each element, the first one with equal tensors; sums are compared before the tensors themselves."""

    def alike(left: int, right: int) -> bool:
        # NaN, where nothing was measured, is unequal to itself in `torch.equal`.
        pairs = zip(contents[left], contents[right], strict=True)
        return np.array_equal(sums[left], sums[right]) and all(
            torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs
        )

    return [next(i for i in range(number + 1) if i == number or alike(i, number)) for number in range(len(contents))]
