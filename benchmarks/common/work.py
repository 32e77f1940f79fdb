"""The work that every side does: steered cells of one picture; and whether two sides came to the same answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

import mllm_probe as mp
from common.models import Subject
from mllm_probe import schema
from mllm_probe.activations.device_array import lazy
from mllm_probe.vectors.directions import SCOPE_NORM

Cell = tuple[int, float]
CONCEPT, WORDS = "w25", ("w25", "w26")
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.05
LAST, IMAGE = ("last_prompt", "generated"), "image"


def strengths(count: int) -> tuple[float, ...]:
    """Doses between -2 and 2 without 0, so that every cell is a run of its own on every side."""
    steps = np.linspace(-2, 2, count + 1 - count % 2)
    return tuple(float(s) if s else 0.25 for s in steps)[:count]


@dataclass(frozen=True, eq=False)
class Work:
    """Cells of a layer × strength map on one picture.

    Attributes
    ----------
    subject : Subject
    layers : tuple of int
    strengths : tuple of float
    steps : int
        New tokens, greedy; no token ends an answer.
    tokens : scope as in ``Steering``
        ``LAST`` or ``IMAGE``.
    """

    subject: Subject
    layers: tuple[int, ...]
    strengths: tuple[float, ...]
    steps: int
    tokens: Any = LAST

    @cached_property
    def cells(self) -> list[Cell]:
        """(layer, strength), layer by layer."""
        return [(layer, strength) for layer in self.layers for strength in self.strengths]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Inputs of the model, one row."""
        return self.subject.tensors()

    @cached_property
    def vectors(self) -> xr.Dataset:
        """One random concept with eight shuffled draws."""
        model, generator = self.subject.model, torch.Generator().manual_seed(1)
        count, width = len(model.layers), model.hidden_size
        directions = torch.randn(count, width, generator=generator)
        vectors = mp.vectors_from(model, {CONCEPT: directions}, self.subject.pictures[:1], self.subject.prompt)
        dims = (schema.CONCEPT, schema.SCOPE, schema.DRAW, schema.LAYER, schema.HIDDEN)
        shuffled = torch.randn(1, 1, 8, count, width, generator=generator)
        return vectors.assign(
            shuffled=lazy(dims, shuffled.to(model.device)), words=(schema.CONCEPT, [json.dumps(WORDS)])
        )

    @cached_property
    def doses(self) -> Tensor:
        """Vector that strength 1 adds at each layer, [layers of the model, width], in the model's dtype."""
        name = SCOPE_NORM.format("image" if self.tokens == IMAGE else "last_prompt")
        vector = torch.from_numpy(np.array(self.vectors["vector"].values))[0, 0]
        norms = torch.from_numpy(np.array(self.vectors[name].values)).to(vector)
        model = self.subject.model
        return (vector / vector.norm(dim=-1, keepdim=True) * norms[:, None]).to(model.device, model.dtype)

    def added(self, cell: Cell) -> Tensor:
        """Vector that a cell adds at the output of its layer, [width]."""
        return self.doses[cell[0]] * cell[1]

    @cached_property
    def columns(self) -> Tensor:
        """Columns of the prompt that are edited."""
        ids = self.tensors["input_ids"][0]
        if self.tokens == IMAGE:
            return torch.eq(ids, self.subject.model.layout.image_token_id or 0).nonzero()[:, 0]
        return torch.tensor([len(ids) - 1], device=ids.device)

    def logprob(self, logits: Tensor) -> Tensor:
        """Log-probability that the answer begins with the concept, from logits [rows, vocabulary]."""
        ids = [self.subject.model.text_ids(word, leading_space=False)[0] for word in WORDS]
        return torch.log_softmax(logits.float(), -1)[:, ids].logsumexp(-1).cpu()


@dataclass(frozen=True)
class Answers:
    """Answers of one side for some cells.

    Attributes
    ----------
    cells : sequence of Cell
    tokens : Tensor [cells, steps] or None
    logprob : Tensor [cells]
    logits : Tensor [cells, steps, vocabulary] or None
        That predict each token, where the side gives them out.
    """

    cells: Sequence[Cell]
    tokens: Tensor | None
    logprob: Tensor
    logits: Tensor | None = None


def joined(parts: Sequence[Answers]) -> Answers:
    """Answers of several chunks as one."""

    def together(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else torch.cat(values)

    cells = [cell for part in parts for cell in part.cells]
    return Answers(cells, together("tokens"), together("logprob"), together("logits"))


@dataclass(frozen=True)
class Agreement:
    """Agreement of a side's answers with the reference.

    Attributes
    ----------
    cells : int
        Compared.
    unequal : int
        With other tokens, ties of the reference left out.
    difference : float
        Largest difference of log-probabilities (and logits, as long as the tokens are the same), in units of the
        largest logit.
    tolerance : float
    """

    cells: int
    unequal: int
    difference: float
    tolerance: float

    @property
    def same(self) -> bool:
        """Whether times of the two sides may be compared."""
        return self.cells > 0 and self.difference <= self.tolerance and (not self.unequal or self.tolerance > TOLERANCE)

    def __str__(self) -> str:
        tokens = "tokens equal" if not self.unequal else f"tokens differ in {self.unequal}"
        return f"{tokens} of {self.cells} cells, {self.difference:.0e} of scale"


def compare(reference: Answers, other: Answers, dtype: torch.dtype) -> Agreement:
    """Compare on the cells that both have; the reference gives logits."""
    assert reference.logits is not None
    place = {cell: i for i, cell in enumerate(other.cells)}
    common = [(i, place[cell]) for i, cell in enumerate(reference.cells) if cell in place]
    scale = float(reference.logits.abs().max())
    tolerance = TOLERANCE if dtype in (torch.float32, torch.float64) else HALF_TOLERANCE
    worst, unequal = 0.0, 0
    for mine, yours in common:
        worst = max(worst, float((reference.logprob[mine] - other.logprob[yours]).abs()) / scale)
        logits = reference.logits[mine].float()
        same = logits.shape[0]
        if other.tokens is not None and reference.tokens is not None:
            differ = (reference.tokens[mine] != other.tokens[yours]).nonzero()
            if len(differ):
                same = int(differ[0])
                best = logits[same].topk(2).values
                unequal += int(float(best[0] - best[1]) > tolerance * scale)
        if other.logits is not None:
            theirs = other.logits[yours].float()
            worst = max(worst, float((logits - theirs)[: same + 1].abs().max()) / scale)
    return Agreement(len(common), unequal, worst, tolerance)
