"""NaN and infinity: in which layer of a model and on which image they begin, and whether its weights hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name, stacked_on_host
from mllm_probe.activations.hooks import run_forward
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.schema import ROLES
from mllm_probe.typing import Edits


@dataclass(frozen=True)
class Fault:
    """Where numbers that are not finite begin.

    `sample`: content hash of the image.
    `row`: its row in the batch.
    `layer`: the first layer that is not finite; ``schema.INPUT`` for what enters block 0, None for what follows the
        last.
    `count`: positions of the row that are not finite at that layer.
    `weight`: name of a weight that holds NaN or infinity, where there is one.
    `given`: name of a processed tensor that does.
    """

    sample: str
    row: int
    layer: int | None
    count: int
    weight: str = ""
    given: str = ""

    @property
    def site(self) -> str:
        """The layer, in words."""
        return "what follows the last block (final norm and output head)" if self.layer is None else (
            schema.site_name(self.layer)
        )  # fmt: skip

    @property
    def cause(self) -> str:
        """Cause of the fault, weights or activations, and what to do."""
        if self.given:
            return f"The processed tensors hold NaN or infinity ('{self.given}'): process the image again."
        if self.weight:
            return f"Weights hold NaN or infinity ('{self.weight}'): load the model again, or from another file."
        return (
            "All weights are finite, so that activations overflow there: load the model in bfloat16 or float32, or "
            "leave the image out."
        )


def is_finite(logits: Tensor) -> Tensor:
    """Whether rows of logits [..., vocabulary] are numbers, bool [...]: tokens that a family masks may be -infinity."""
    return torch.isfinite(logits.amax(-1))


def find_fault(model: ProbeModel, encoded: Encoded, steering: Edits | None = None) -> Fault | None:
    """Run a batch once more and find the first layer that is not finite; None where all are.

    `encoded`: padding is not looked at. `steering`: edits applied while reading.
    """
    real = encoded.roles != ROLES.index("padding")
    layers = [schema.INPUT, *model.layers]
    wrong: dict[int, Tensor] = {}

    def read(layer: int, hidden: Tensor) -> None:
        wrong[layer] = (~torch.isfinite(hidden)).any(-1) & real.to(hidden.device)

    run_forward(model, encoded, read, layers, steering=steering)
    counts = np.stack([count.sum(-1) for count in stacked_on_host([wrong[layer] for layer in layers])])
    for layer, of_rows in zip(layers, counts, strict=True):
        if of_rows.any():
            row = int(of_rows.argmax())
            return _explained(model, encoded, row, layer, int(of_rows[row]))
    weight = next(_not_finite(_outside(model)), "")
    return Fault(encoded.sample_ids[0], 0, None, 0, weight=weight) if weight else None


def _explained(model: ProbeModel, encoded: Encoded, row: int, layer: int, count: int) -> Fault:
    sample = encoded.sample_ids[row]
    given = "" if layer != schema.INPUT else next(_not_finite(encoded.tensors.items()), "")
    if given:
        return Fault(sample, row, layer, count, given=given)
    block_tensors = [] if layer == schema.INPUT else _tensors(model.layout.blocks[layer])
    names = {id(tensor): name for name, tensor in _tensors(model.hf)}
    inside = ((names.get(id(tensor), name), tensor) for name, tensor in block_tensors)
    weight = next(_not_finite(inside), "") or next(_not_finite(_outside(model)), "")
    return Fault(sample, row, layer, count, weight=weight)


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _outside(model: ProbeModel) -> list[tuple[str, Tensor]]:
    """Weights of the model that are in none of its blocks."""
    inside = {id(tensor) for block in model.layout.blocks for _, tensor in _tensors(block)}
    return [(name, tensor) for name, tensor in _tensors(model.hf) if id(tensor) not in inside]


def _not_finite(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[str]:
    """Names of tensors that hold NaN or infinity; weights that are packed or elsewhere are not looked at."""
    for name, tensor in tensors:
        if tensor.device.type == "meta" or not tensor.is_floating_point() or tensor.dtype.itemsize < 2:
            continue
        if not bool(torch.isfinite(tensor.detach()).all()):
            yield name


def require_finite(
    model: ProbeModel, encoded: Encoded, steering: Edits | None = None, *, number: int | None = None
) -> None:
    """Raise an error that names the first layer and image whose numbers are not finite.

    `number`: place among all images of the first row of the batch. Raises ValueError if a number is not finite.
    """
    fault = find_fault(model, encoded, steering)
    if fault is not None:
        raise ValueError(fault_text(model, fault, number, steering=steering))


def fault_text(model: ProbeModel, fault: Fault, number: int | None = None, *, steering: Edits | None = None) -> str:
    """A fault in words."""
    image = f"image {fault.sample}" if number is None else f"image {number + fault.row} ({fault.sample})"
    at = f", at {fault.count} of its positions" if fault.count else ""
    steered = "" if steering is None else f" This is with {steering}: a smaller strength may be finite."
    return (
        f"{model.name} ({dtype_name(model.dtype)}) gives NaN or infinity on {image}, first in "
        f"{fault.site}{at}. {fault.cause}{steered}"
    )


def unexplained(model: ProbeModel, what: str) -> str:
    """Error text for numbers that are not finite though a forward of the model is."""
    return (
        f"{model.name} ({dtype_name(model.dtype)}) gives NaN or infinity {what}, though a plain forward of it does "
        "not: run model.verify(), and load the model in float32."
    )


class FiniteCounts:
    """Activations of many batches, asked at the end whether all are finite: one wait for all of them."""

    def __init__(self) -> None:
        self._counts: list[dict[int, Tensor]] = []
        self._expected: list[np.ndarray] = []
        self._starts: list[int] = []

    def add(self, start: int, counts: dict[int, Tensor], expected: np.ndarray) -> None:
        """Add a batch.

        `start`: number of its first row. `counts` (dict of int to Tensor [rows]): by layer, how many numbers of each
        row are finite, or whether all are, on the layer's device. `expected` (int array [rows]): how many there are, or
        1.
        """
        self._starts.append(start)
        self._counts.append(counts)
        self._expected.append(expected)

    def first_other(self) -> int | None:
        """Number of the first row that is not finite, None where all are."""
        if not self._counts:
            return None
        layers = list(self._counts[0])
        joined = [torch.cat([counts[layer] for counts in self._counts]) for layer in layers]
        numbers = np.concatenate(
            [start + np.arange(len(counts)) for start, counts in zip(self._starts, self._expected, strict=True)]
        )
        wrong = (stacked_on_host(joined) != np.concatenate(self._expected)).any(0)
        return int(numbers[wrong.argmax()]) if wrong.any() else None
