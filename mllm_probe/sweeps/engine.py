"""The engine: works through a sweep in chunks, lets interactive jobs go between them, and fills the grid."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.decoding.prompt_batch import PromptBatch, can_batch
from mllm_probe.decoding.shared import Shared
from mllm_probe.sweeps import chunk_size
from mllm_probe.sweeps.batches import Part, Scores
from mllm_probe.sweeps.cells import no_pairs, scored_pairs
from mllm_probe.sweeps.chunk_size import ChunkSize, Limits
from mllm_probe.sweeps.grid import eligible_doses
from mllm_probe.sweeps.identity import identity
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.order import Block, plan_order, take_chunk
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.requirements import least_images, warn_of_too_few
from mllm_probe.sweeps.scoring import Answer, Baseline, Reading
from mllm_probe.sweeps.sweep_store import SweepStore
from mllm_probe.typing import Attributes


class Stopped(Exception):
    """Leaves a chunk in flight."""


class _OpenPrompts:
    """Prompts that later chunks go on from, each with its unsteered run; the one opened first is dropped first.

    Parameters
    ----------
    job : Job

    Attributes
    ----------
    most : int
        Prompts that are kept at a time.
    baselines : dict of int to Baseline
        Unsteered runs by sample, where these are not run in every chunk.
    """

    def __init__(self, job: Job) -> None:
        self.most, self.baselines = len(job.samples), dict[int, Baseline]()
        self._job, self._shared = job, OrderedDict[int, Shared]()

    def open(self, sample: int) -> Shared:
        """What the rows of a sample share, computed where it is not kept."""
        if sample not in self._shared:
            # Room is made before the next prompt is computed, so that never more than ``most`` are in memory.
            while len(self._shared) >= self.most:
                self.baselines.pop(self._shared.popitem(last=False)[0], None)
            self._shared[sample] = self._job.open(self._job.encoded(sample))
        return self._shared[sample]


class Engine:
    """Runs a job.

    Parameters
    ----------
    job : Job
    store : str or Path, optional
        Where finished chunks are written as they come, and from where a sweep that was stopped goes on.
    coarse : bool
        Whether a coarse map is made first, see :func:`mllm_probe.sweeps.order.plan_order`.
    limits : Limits, optional
        Bounds of a chunk; ``chunk_size.DEFAULT`` if None.

    Raises
    ------
    ValueError
        If the store holds a sweep with other settings, which are named.

    Attributes
    ----------
    grid : Grid
        Fills while :meth:`run` is iterated.
    size : ChunkSize
        Rows of the next chunk.
    chunks, together : int
        How many chunks were run, and how many samples shared one at most.
    """

    def __init__(
        self, job: Job, *, store: str | Path | None = None, coarse: bool = False, limits: Limits | None = None
    ) -> None:
        self.job, self.grid, self.coarse = job, job.grid(), coarse
        self.store = None if store is None else SweepStore(store, identity(job))
        self.recorder: Recorder | None = None
        self.limits = limits or chunk_size.DEFAULT
        self.size, self.chunks, self.together = ChunkSize(self.limits), 0, 1
        self._prompts = _OpenPrompts(job)
        self._attributes: Attributes = {}
        self._stop = threading.Event()

    @property
    def total(self) -> int:
        """Number of runs, over all samples."""
        return int((~self.job.skipped).sum())

    @property
    def done(self) -> int:
        """Number of runs that are finished, over all samples."""
        return int((self._finished() & ~self.job.skipped).sum())

    def stop(self) -> None:
        """End the sweep from any thread: a chunk in flight is left before its next step. What is finished stays."""
        self._stop.set()

    def run(self) -> Iterator[int]:
        """Work until done; yields the number of runs that each step has finished. Stopping keeps what is there.

        With a store that exists, what it holds comes first, as one step; if it holds everything, no forward is run.
        """
        with ExitStack() as held:
            known = self._resume(held)
            if known:
                yield known
            yield from (sum(len(block.cells) for block in blocks) for blocks in self._chunks(held))

    def dataset(self) -> xr.Dataset:
        """The grid as it is now."""
        grid = self.grid.dataset(self.job.coordinates(), self.attributes())
        if self.recorder is None:
            return grid
        return grid.assign(self.recorder.variables()).assign_coords(self.recorder.coordinates())

    def attributes(self) -> Attributes:
        """Attributes of the grid as it is now."""
        attrs = self._attributes | {
            "chunk_rows": self.size.rows,
            "chunks": self.chunks,
            "images_together": self.together,
        }
        if self.size.halved:
            attrs["halved"] = f"chunks were halved {self.size.halved} times because the GPU ran out of memory"
        return attrs

    def _resume(self, held: ExitStack) -> int:
        """Bring back what the store holds; the number of runs that are done."""
        if self.job.settings.record:
            self.recorder = Recorder(self.job)
        attrs = None
        if self.store is not None:
            attrs = held.enter_context(self.store.resumed(self.grid, self.recorder))
        if attrs is not None:
            self.size.rows, self.chunks = attrs.pop("chunk_rows"), attrs.pop("chunks")
            self.together = attrs.pop("images_together")
            self._attributes = attrs
        return self.done

    def _chunks(self, held: ExitStack) -> Iterator[list[Block]]:
        """Run chunk after chunk of what is missing."""
        work = self._remaining(len(self.job.samples))
        if work:
            work = self._prepare(work[0].sample)
            self._warn_of_too_few_eligible()
            if self.store is not None:
                empty = self.job.grid().dataset(self.job.coordinates(), self.attributes())
                held.enter_context(self.store.created(empty, self.recorder, self.total))
        while work and not self._stop.is_set():
            blocks = take_chunk(
                work, self.size.rows, self._prompts.most if self.job.packs else 1, self.limits.packed_rows
            )
            began = time.perf_counter()
            try:
                with self.job.computing(), before_backbone(self.job.model, self._leave_if_stopped):
                    done = self._compute(blocks)
            except Stopped:
                return
            except torch.OutOfMemoryError as error:
                work.extendleft(reversed(blocks))
                torch.cuda.empty_cache()
                if not self.size.halve(sum(len(block.cells) for block in blocks)):
                    raise self._too_large() from error
                continue
            work.extendleft(reversed(blocks[len(done) :]))
            self.chunks, self.together = self.chunks + 1, max(self.together, len(done))
            for block in done:
                self._save(block)
            # Only where the prompt is run in one piece: between the steps of an answer a chunk gives way by itself.
            if self.job.scope.touches_prompt:
                self.size.shorten(len(done[0].cells), time.perf_counter() - began)
            yield done

    def _leave_if_stopped(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self._stop.is_set():
            raise Stopped

    def _prepare(self, first: int) -> deque[Block]:
        """Open the first sample, and plan chunks and prompts that are kept against the memory that is there."""
        job, resumed = self.job, self._attributes
        encoded = job.encoded(first)
        with job.computing():
            nbytes = self._prompts.open(first).nbytes
            self._attributes = job.attributes() | {"bytes_per_image": nbytes, "bytes_per_row": job.row_bytes(encoded)}
        free = free_bytes(job.model.device)
        if job.model.device.type == "cpu" and self._attributes["bytes_per_row"] > free:
            raise self._too_large()  # the system would end the process instead
        self.size.plan(self._attributes["bytes_per_row"], free, resumed=bool(resumed))
        self._attributes |= resumed
        self._prompts.most = self.limits.kept_prompts(nbytes, free)
        return self._remaining(self._prompts.most)

    def _remaining(self, kept: int) -> deque[Block]:
        """What is to be run, in its order."""
        job = self.job
        order = plan_order(
            job.settings.axes,
            job.cells,
            len(job.samples),
            coarse=self.coarse,
            one_layer=job.scope.touches_prompt,
            kept=kept,
        )
        if not job.cells:
            return deque(block for block in order if not self.grid.done[..., block.sample].any())
        finished = self._finished() | job.skipped
        left = (Block(b.sample, tuple(c for c in b.cells if not finished[c, b.sample])) for b in order)
        return deque(block for block in left if block.cells)

    def _finished(self) -> np.ndarray:
        """Which runs are done, bool [cells, samples]."""
        finished: np.ndarray = self.grid.done[self.job.places]
        return finished

    def _compute(self, blocks: list[Block]) -> list[Block]:
        """Run the first block and, in one batch, those that can be packed with it; gives the blocks that were run."""
        members = [self._prompts.open(blocks[0].sample)]
        for block in blocks[1:]:
            member = self._prompts.open(block.sample)
            if not can_batch(members[0], member):
                break
            members.append(member)
        done = blocks[: len(members)]
        parts = [self._part(block) for block in done]
        shared = members[0] if len(parts) == 1 else PromptBatch(members, [1 + len(part.steerings) for part in parts])
        for part, scores in zip(parts, self._run(shared, parts), strict=True):
            self.grid.put(part.pairs, part.sample, scores)
        return done

    def _part(self, block: Block) -> Part:
        cells = [self.job.cells[number] for number in block.cells]
        pairs = scored_pairs(self.job.settings.axes, cells)
        steerings = [self.job.steering(cell) for cell in cells]
        return Part(block.sample, steerings, pairs, answered=bool(self.grid.has_unsteered[block.sample]))

    def _run(self, shared: Shared, parts: list[Part]) -> list[Scores]:
        """Scores of rows.

        Where rows share the prompt the unsteered row is in every chunk, for next to nothing, so that a chunk gives the
        same whatever ran before; else it is run once.
        """
        first, known = parts[0], None
        if not self.job.unsteered_in_chunks:
            known = self._unsteered(shared, first.sample)
            if not first.steerings:
                return [{}]
        reading = self._reading(shared, first)
        results = self.job.scorer.run(shared, parts, known, reading)
        for part, (baseline, _) in zip(parts, results, strict=True):
            self._put_unsteered(part.sample, baseline)
        return [scores for _, scores in results]

    def _unsteered(self, shared: Shared, sample: int) -> Baseline:
        """The unsteered run of a sample by itself, where it is not kept."""
        known = self._prompts.baselines.get(sample)
        if known is None:
            alone = Part(sample, [], no_pairs())
            [(known, _)] = self.job.scorer.run(shared, [alone], None, self._reading(shared, alone, unsteered=True))
            self._prompts.baselines[sample] = known
            self._put_unsteered(sample, known)
        return known

    def _warn_of_too_few_eligible(self) -> None:
        """Before the first steered run, read the unsteered answers of images that come without a library.

        Without controls no verdict is to be had, so that there is nothing to warn of.
        """
        job, count = self.job, len(self.job.samples)
        alone = len(job.settings.axes.controls) == 1
        if alone or job.samples.of_library or not job.cells or count < least_images(job.settings):
            return
        eligible = self.grid.eligible.copy()
        missing = [sample for sample in range(count) if not self.grid.has_unsteered[sample]]
        with job.computing(), before_backbone(job.model, self._leave_if_stopped):
            while missing:
                answers = self._answers(missing)
                for sample, answer in zip(missing, answers, strict=False):
                    names = job.scorer.reader.names(answer, sample)
                    eligible[..., sample] = eligible_doses(job.may_count[..., sample], names, job.settings.takes_away)
                missing = missing[len(answers) :]
        warn_of_too_few(job.settings, job.may_count, eligible)

    def _answers(self, samples: list[int]) -> list[Answer]:
        """Unsteered answers of the first sample, and of those that can be packed with it."""
        members = [self._prompts.open(samples[0])]
        if not self.job.unsteered_in_chunks:
            return [self._unsteered(members[0], samples[0]).answer]
        # Chunks run the unsteered row once more, beside the rows that it is compared with.
        together = min(self._prompts.most, self.size.rows, self.limits.packed_rows) if self.job.packs else 1
        for sample in samples[1:together]:
            member = self._prompts.open(sample)
            if not can_batch(members[0], member):
                break
            members.append(member)
        shared = members[0] if len(members) == 1 else PromptBatch(members, [1] * len(members))
        parts = [Part(sample, [], no_pairs()) for sample in samples[: len(members)]]
        return [baseline.answer for baseline, _ in self.job.scorer.run(shared, parts)]

    def _reading(self, shared: Shared, part: Part, *, unsteered: bool = False) -> Reading:
        return nullcontext if self.recorder is None else self.recorder.reading(shared, part, unsteered=unsteered)

    def _save(self, block: Block) -> None:
        """Write the cells of a chunk, and the unsteered run of its sample, to the store."""
        if self.store is None:
            return
        pairs = scored_pairs(self.job.settings.axes, [self.job.cells[number] for number in block.cells])
        self.store.write(self.grid, self.recorder, pairs, block.sample)
        self.store.commit(self.grid, block.sample, self.attributes(), self.done, self.total)

    def _put_unsteered(self, sample: int, baseline: Baseline) -> None:
        job = self.job
        # The first one stays: later chunks give it again with other rounding, and a store has it already.
        if self.grid.has_unsteered[sample]:
            return
        self.grid.put_unsteered(sample, baseline.scores)
        self.grid.put_eligible(sample, job.scorer.reader.names(baseline.answer, sample), job.settings.takes_away)

    def _too_large(self) -> MemoryError:
        return MemoryError(
            f"one row of this sweep does not fit on {self.job.model.device}: use fewer new tokens, a shorter prompt or "
            "smaller images, leave 'kl' out, or load the model in a smaller type."
        )
