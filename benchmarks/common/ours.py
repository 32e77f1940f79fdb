"""The side of this package: one call of ``mp.sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import xarray as xr

import mllm_probe as mp
from common.peers import Prepared, Side
from common.work import Answers, Cell, Work
from mllm_probe import schema

METRICS = ("logprob", "tokens")


def grid(
    work: Work, metrics: Sequence[str] = METRICS, controls: Sequence[str] = (), pictures: slice = slice(1)
) -> xr.Dataset:
    """The sweep of the work's cells."""
    subject = work.subject
    return mp.sweep(
        subject.model, work.vectors, subject.pictures[pictures], subject.prompt, layers=list(work.layers),
        strengths=work.strengths, tokens=work.tokens, metrics=metrics, controls=controls, max_new_tokens=work.steps,
        progress=False,
    )  # fmt: skip


def swept(work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
    """The whole grid, whatever cells are asked for."""
    return answers(work, grid(work))


def answers(work: Work, grid: xr.Dataset) -> Answers:
    """A grid of one concept and one picture as answers, cell by cell."""
    first = grid.isel({schema.CONCEPT: 0, schema.CONTROL: 0, schema.DRAW: 0, schema.SAMPLE: 0})
    first = first.transpose(schema.LAYER, schema.STRENGTH, ...).sel(
        {schema.LAYER: list(work.layers), schema.STRENGTH: list(work.strengths)}
    )
    tokens = None
    if "tokens" in first:
        tokens = torch.from_numpy(first["tokens"].values.reshape(len(work.cells), -1)).long()
    return Answers(work.cells, tokens, torch.from_numpy(first["logprob"].values.reshape(-1)))


def forgotten(work: Work) -> Work:
    """The same work with a model that nothing is remembered of; vectors and inputs are there already."""
    assert work.vectors is not None and work.doses is not None and work.tensors is not None
    fresh = replace(work, subject=work.subject.wrapped_again())
    fresh.__dict__.update({name: work.__dict__[name] for name in ("vectors", "doses", "tensors")})
    return fresh


STEADY = Side("mllm_probe.sweep", swept)
FIRST = Side("mllm_probe.sweep, first call on a model", swept, setup=forgotten)
