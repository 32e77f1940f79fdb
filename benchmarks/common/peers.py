"""The other ways to do the work: hooks and ``generate``, rows batched by hand, nnsight, steering-vectors."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from common.work import IMAGE, Answers, Cell, Work
from mllm_probe.models.inputs import PER_TOKEN
from mllm_probe.models.layout import cache_argument, text_config

Prepared = Any
MOST_PREFILLED = 9


@dataclass(frozen=True)
class Side:
    """One way to do the work.

    Attributes
    ----------
    name : str
    run : callable
        ``run(work, prepared, cells)`` gives the answers of some cells.
    prepare : callable, optional
        ``prepare(work)``, what is done once for a picture; its result goes to ``run``.
    chunk : int or None
        Cells per call of ``run``; None is all of them.
    missing : str
        Why the side cannot run here; empty if it can.
    setup : callable, optional
        ``setup(work)`` gives the work to be timed; what it does is not timed.
    unedited : bool
        Whether its rows are not edited, so that every one is the unsteered answer.
    """

    name: str
    run: Callable[[Work, Prepared, Sequence[Cell]], Answers]
    prepare: Callable[[Work], Prepared] | None = None
    chunk: int | None = None
    missing: str = ""
    setup: Callable[[Work], Work] | None = None
    unedited: bool = False

    @property
    def one_cell(self) -> bool:
        """Whether it runs one cell at a time."""
        return self.chunk == 1


def _generate_options(work: Work) -> dict[str, Any]:
    return {
        "max_new_tokens": work.steps, "do_sample": False, "output_logits": True, "return_dict_in_generate": True,
    }  # fmt: skip


def _answers(work: Work, cells: Sequence[Cell], output: Any) -> Answers:
    logits = torch.stack(list(output.logits), 1)
    return Answers(list(cells), output.sequences[:, -work.steps :].cpu(), work.logprob(logits[:, 0]), logits)


def blocks_of(work: Work) -> Sequence[nn.Module]:
    """Decoder blocks."""
    return work.subject.model.layout.blocks


def added_per_block(work: Work, cells: Sequence[Cell]) -> dict[int, Tensor]:
    """For every layer among the cells what is added there, [rows, 1, width]; 0 for rows of other layers."""
    by_layer: dict[int, Tensor] = {}
    for row, cell in enumerate(cells):
        if cell[0] not in by_layer:
            by_layer[cell[0]] = work.doses.new_zeros(len(cells), 1, work.doses.shape[1])
        by_layer[cell[0]][row, 0] = work.added(cell)
    return by_layer


@contextmanager
def hooks(work: Work, cells: Sequence[Cell]) -> Iterator[None]:
    """The plain hooks that anybody would write."""
    columns = work.columns

    def hook(added: Tensor) -> Callable[..., Tensor | None]:
        def edit(module: nn.Module, arguments: Any, output: Tensor) -> Tensor | None:
            if work.tokens == IMAGE:
                if output.shape[1] <= int(columns[-1]):
                    return None
                edited = output.clone()
                edited[:, columns] += added
            else:
                edited = output.clone()
                edited[:, -1:] += added
            return edited

        return edit

    handles = [
        blocks_of(work)[layer].register_forward_hook(hook(added))
        for layer, added in added_per_block(work, cells).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _expanded(work: Work, rows: int) -> dict[str, Tensor]:
    """The prompt once per row. Pixels of Qwen's pictures lie one after another, so they are repeated."""
    return {
        name: value.repeat(rows, *[1] * (value.ndim - 1)) if rows > 1 else value for name, value in work.tensors.items()
    }


@torch.no_grad()
def with_hooks(work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
    """Hooks and ``generate``; with several cells they are rows of one batch, and each prefills the whole prompt."""
    with hooks(work, cells):
        output = work.subject.model.hf.generate(**_expanded(work, len(cells)), **_generate_options(work))
    return _answers(work, cells, output)


@torch.no_grad()
def prefilled(work: Work) -> Prepared:
    """One prefill of the prompt without its last token."""
    hf = work.subject.model.hf
    cache = DynamicCache(config=text_config(hf))
    first = {name: value[:, :-1] if name in PER_TOKEN else value for name, value in work.tensors.items()}
    hf(**first, **cache_argument(hf, cache), logits_to_keep=1)
    return cache


@torch.no_grad()
def with_copied_caches(work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
    """Rows that decode from copies of one prefill, written by hand."""
    hf, rows = work.subject.model.hf, len(cells)
    cache = copy.deepcopy(prepared)
    cache.reorder_cache(torch.zeros(rows, dtype=torch.long, device=work.doses.device))
    tokens = work.tensors["input_ids"][:, -1:].expand(rows, 1)
    chosen, logits = [], []
    with hooks(work, cells):
        for _ in range(work.steps):
            logits.append(hf(input_ids=tokens, **cache_argument(hf, cache)).logits[:, -1])
            tokens = logits[-1].argmax(-1, keepdim=True)
            chosen.append(tokens)
    stacked = torch.stack(logits, 1)
    return Answers(list(cells), torch.cat(chosen, 1).cpu(), work.logprob(stacked[:, 0]), stacked)


class Nnsight:
    """nnsight on a copy of the model: it changes the modules that it wraps."""

    def __init__(self) -> None:
        self._wrapped: dict[int, Any] = {}

    @cached_property
    def missing(self) -> str:
        """Why it cannot run, empty if it can."""
        return "" if importlib.util.find_spec("nnsight") else "not installed"

    def wrapped(self, work: Work) -> tuple[Any, list[Any]]:
        """Its model, and its decoder blocks."""
        from nnsight import NNsight

        subject = work.subject
        if id(subject) not in self._wrapped:
            self._wrapped[id(subject)] = NNsight(copy.deepcopy(subject.model.hf))
        whole = self._wrapped[id(subject)]
        blocks = whole
        for part in subject.model.layout.paths["blocks"].split("."):
            blocks = getattr(blocks, part)
        return whole, list(blocks)

    def ready(self, work: Work) -> Work:
        """Wrap the copy before anything is measured."""
        self.wrapped(work)
        return work

    @torch.no_grad()
    def run(self, work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
        """One cell through its traced ``generate``."""
        (cell,) = cells
        whole, blocks = self.wrapped(work)
        block, added, columns = blocks[cell[0]], work.added(cell), work.columns
        options = _generate_options(work)
        if work.tokens == IMAGE:
            with whole.trace(fn="generate", **work.tensors, **options) as tracer:
                block.output[:, columns] += added
                output = tracer.result.save()
        else:
            with whole.trace(fn="generate", **work.tensors, **options) as tracer:
                for _ in tracer.iter[: work.steps]:
                    block.output[:, -1] += added
                output = tracer.result.save()
        return _answers(work, cells, output)


class SteeringVectors:
    """steering-vectors through its ``apply``."""

    @cached_property
    def missing(self) -> str:
        """Why it cannot run, empty if it can."""
        return "" if importlib.util.find_spec("steering_vectors") else "not installed"

    @torch.no_grad()
    def run(self, work: Work, prepared: Prepared, cells: Sequence[Cell]) -> Answers:
        """One cell; image tokens without a cache, since its mask is as long as the sequence of every call."""
        from steering_vectors import SteeringVector

        ((layer, strength),) = cells
        hf = work.subject.model.hf
        vector = SteeringVector({layer: work.doses[layer]})
        where: dict[str, Any] = {"min_token_index": -1}
        options = _generate_options(work)
        if work.tokens == IMAGE:
            where, options = (
                {"min_token_index": None, "token_indices": work.columns.tolist()},
                options | {"use_cache": False},
            )
        config = {"decoder_block": work.subject.model.layout.paths["blocks"] + ".{num}"}
        with vector.apply(hf, layer_config=config, multiplier=strength, **where):
            output = hf.generate(**work.tensors, **options)
        return _answers(work, cells, output)


def peers(rows_by_hand: int, *, prompt_edited: bool = False) -> list[Side]:
    """Every peer, slowest way first; rows that prefill the whole prompt each gain nothing from larger batches."""
    nnsight, steering_vectors = Nnsight(), SteeringVectors()
    whole = rows_by_hand if prompt_edited else min(rows_by_hand, MOST_PREFILLED)
    sides = [
        Side("hooks + generate, one cell at a time", with_hooks, chunk=1),
        Side("nnsight, one cell at a time", nnsight.run, chunk=1, missing=nnsight.missing, setup=nnsight.ready),
        Side(
            "steering-vectors, one cell at a time" + (" (no cache)" if prompt_edited else ""),
            steering_vectors.run,
            chunk=1,
            missing=steering_vectors.missing,
        ),
        Side(
            f"hooks + generate, rows {'of one layer' if prompt_edited else f'{whole} at a time'}",
            with_hooks,
            chunk=whole,
        ),
    ]
    if not prompt_edited:
        name = f"one prefill, copied caches, rows {rows_by_hand} at a time"
        sides.append(Side(name, with_copied_caches, prefilled, chunk=rows_by_hand))
    return sides
