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
from mllm_probe.decoding.packing import Pack, can_pack
from mllm_probe.decoding.shared import Shared
from mllm_probe.sweeps.batches import Part, Scores
from mllm_probe.sweeps.cells import Pairs, no_pairs, scored_pairs
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.order import Block, plan_order, take_chunk
from mllm_probe.sweeps.persisting import Persisted
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.scoring import Baseline, Reading

PATIENCE = 2.0
"""Seconds after which a chunk is long for a person who waits at a slider: the next ones are made smaller."""
_FEWEST_ROWS = 16
_HELPS = 0.75


class Stopped(Exception):
    """Leaves a chunk in flight."""


class Engine:
    """Runs a job.

    Parameters
    ----------
    job : Job
    store : str or Path, optional
        Where finished chunks are written as they come, and from where a sweep that was stopped goes on.
    coarse : bool
        Whether a coarse map is made first, see :func:`mllm_probe.sweeps.order.plan_order`.

    Raises
    ------
    ValueError
        If the store holds a sweep with other settings, which are named.

    Attributes
    ----------
    grid : Grid
        Fills while :meth:`run` is iterated.
    chunks, halved, together : int
        How many chunks were run, how often one was halved because the GPU ran out of memory, and how many samples
        shared a chunk at most.
    """

    def __init__(self, job: Job, *, store: str | Path | None = None, coarse: bool = False) -> None:
        self.job, self.grid, self.coarse = job, job.grid(), coarse
        self.persisted = None if store is None else Persisted(store, job)
        self.recorder: Recorder | None = None
        self.rows, self.chunks, self.halved, self.together = 1, 0, 0, 1
        self._baselines: dict[int, Baseline] = {}
        self._shared: OrderedDict[int, Shared] = OrderedDict()
        self._kept_samples = job.samples
        self._attributes: dict[str, Any] = {}
        self._longer: tuple[int, float] | None = None
        self._shrinks = True
        self._stop = threading.Event()
        self._saved: set[int] = set()
        self._unsteered: set[int] = set()
        pairs = scored_pairs(job.settings.axes, job.cells)
        self._where = tuple(axis[np.unique(pairs.row, return_index=True)[1]] for axis in pairs.index)

    @property
    def total(self) -> int:
        """Number of runs, over all samples."""
        return len(self.job.cells) * self.job.samples

    @property
    def done(self) -> int:
        """Number of runs that are finished, over all samples."""
        return int(self._finished().sum())

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

    def attributes(self) -> dict[str, Any]:
        """Attributes of the grid as it is now."""
        attrs = self._attributes | {
            "chunk_rows": self.rows,
            "chunks": self.chunks,
            "images_together": self.together,
        }
        if self.halved:
            attrs["halved"] = f"chunks were halved {self.halved} times because the GPU ran out of memory"
        return attrs

    def _resume(self, held: ExitStack) -> int:
        """Bring back what the store holds; the number of runs that are done."""
        if self.job.settings.record:
            self.recorder = Recorder(self.job)
        attrs = None
        if self.persisted is not None:
            attrs = held.enter_context(self.persisted.resumed(self.grid, self.recorder))
        if attrs is not None:
            self.rows, self.chunks = attrs.pop("chunk_rows"), attrs.pop("chunks")
            self.together = attrs.pop("images_together")
            self._attributes = attrs
        self._unsteered = set(np.flatnonzero(self.grid.done.any(axis=tuple(range(self.grid.done.ndim - 1)))).tolist())
        return int(self._finished().sum())

    def _chunks(self, held: ExitStack) -> Iterator[list[Block]]:
        """Run chunk after chunk of what is missing."""
        work = self._remaining(self.job.samples)
        if work:
            work = self._prepare(work[0].sample)
            if self.persisted is not None:
                empty = self.job.grid().dataset(self.job.coordinates(), self.attributes())
                held.enter_context(self.persisted.created(empty, self.recorder, self.total))
        while work and not self._stop.is_set():
            blocks = take_chunk(work, self.rows, self._kept_samples if self.job.packs else 1)
            began = time.perf_counter()
            try:
                with self.job.computing(), before_backbone(self.job.model, self._leave_if_stopped):
                    done = self._compute(blocks)
            except Stopped:
                return
            except torch.OutOfMemoryError:
                work.extendleft(reversed(blocks))
                self._halve(blocks)
                continue
            work.extendleft(reversed(blocks[len(done) :]))
            self.chunks, self.together = self.chunks + 1, max(self.together, len(done))
            for block in done:
                self._save(block)
            self._keep_short(done[0], time.perf_counter() - began)
            yield done

    def _leave_if_stopped(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self._stop.is_set():
            raise Stopped

    def _prepare(self, first: int) -> deque[Block]:
        """Open the first sample, and plan chunks and prompts that are kept against the memory that is there."""
        job, resumed = self.job, self._attributes
        encoded = job.encoded(first)
        with job.computing():
            nbytes = self._open(first).nbytes
            self._attributes = job.attributes() | {"bytes_per_image": nbytes, "bytes_per_row": job.row_bytes(encoded)}
        free = free_bytes(job.model.device)
        if job.model.device.type == "cpu" and self._attributes["bytes_per_row"] > free:
            raise self._too_large()  # the system would end the process instead
        fit = job.chunk_rows(encoded, free)
        self.rows = min(self.rows, fit) if resumed else fit
        self._attributes |= resumed
        self._kept_samples = job.kept_samples(nbytes, free)
        return self._remaining(self._kept_samples)

    def _remaining(self, kept: int) -> deque[Block]:
        """What is to be run, in its order."""
        job = self.job
        order = plan_order(
            job.settings.axes,
            job.cells,
            job.samples,
            coarse=self.coarse,
            one_layer=job.scope.touches_prompt,
            kept=kept,
        )
        if not job.cells:
            return deque(block for block in order if not self.grid.done[..., block.sample].any())
        finished = self._finished()
        left = (Block(b.sample, tuple(c for c in b.cells if not finished[c, b.sample])) for b in order)
        return deque(block for block in left if block.cells)

    def _finished(self) -> np.ndarray:
        """Which runs are done, bool [cells, samples]."""
        finished: np.ndarray = self.grid.done[self._where]
        return finished

    def _compute(self, blocks: list[Block]) -> list[Block]:
        """Run the first block and, in one batch, those that can be packed with it; gives the blocks that were run."""
        members = [self._open(blocks[0].sample)]
        for block in blocks[1:]:
            member = self._open(block.sample)
            if not can_pack(members[0], member):
                break
            members.append(member)
        done = blocks[: len(members)]
        parts = [self._part(block) for block in done]
        shared = members[0] if len(parts) == 1 else Pack(members, [1 + len(part.steerings) for part in parts])
        for part, scores in zip(parts, self._run(shared, parts), strict=True):
            self.grid.put(part.pairs, part.sample, scores)
        return done

    def _part(self, block: Block) -> Part:
        cells = [self.job.cells[number] for number in block.cells]
        pairs = scored_pairs(self.job.settings.axes, cells)
        return Part(block.sample, [self.job.steering(cell) for cell in cells], pairs)

    def _run(self, shared: Shared, parts: list[Part]) -> list[Scores]:
        """Scores of rows.

        Where rows share the prompt the unsteered row is in every chunk, for next to nothing, so that a chunk gives the
        same whatever ran before; else it is run once.
        """
        first, known = parts[0], None
        if not self.job.unsteered_in_chunks:
            known = self._baselines.get(first.sample)
            if known is None:
                alone = Part(first.sample, [], no_pairs())
                [(known, _)] = self.job.scorer.run(shared, [alone], None, self._reading(shared, first.sample, None))
                self._baselines[first.sample] = known
                self._put_unsteered(first.sample, known)
            if not first.steerings:
                return [{}]
        reading = self._reading(shared, first.sample, first.pairs)
        found = self.job.scorer.run(shared, parts, known, reading)
        for part, (baseline, _) in zip(parts, found, strict=True):
            self._put_unsteered(part.sample, baseline)
        return [scores for _, scores in found]

    def _reading(self, shared: Shared, sample: int, pairs: Pairs | None) -> Reading:
        return nullcontext if self.recorder is None else self.recorder.reading(shared, sample, pairs)

    def _save(self, block: Block) -> None:
        """Write what a chunk has filled; the unsteered run of its sample once."""
        if self.persisted is None:
            return
        if block.sample not in self._saved:
            self.persisted.write_unsteered(self.grid, self.recorder, block.sample)
            self._saved.add(block.sample)
        pairs = scored_pairs(self.job.settings.axes, [self.job.cells[number] for number in block.cells])
        self.persisted.write_cells(self.grid, self.recorder, pairs, block.sample)
        done = int(self._finished().sum())
        self.persisted.commit(self.grid, block.sample, self.attributes(), done, self.total)

    def _put_unsteered(self, sample: int, baseline: Baseline) -> None:
        job = self.job
        if sample in self._unsteered:
            return
        self._unsteered.add(sample)
        self.grid.put_unsteered(sample, baseline.scores)
        if "named" in baseline.scores:
            labels = job.subjects.labels[sample]
            names = np.array([labels is None or name not in labels for name in job.settings.axes.concepts])
            named = baseline.scores["named"] == 1
            takes_away = [job.settings.takes_away(s) for s in job.settings.axes.strengths]
            self.grid.put_eligible(sample, names & ~named, named, takes_away)

    def _open(self, sample: int) -> Shared:
        if sample not in self._shared:
            while len(self._shared) >= self._kept_samples:
                self._baselines.pop(self._shared.popitem(last=False)[0], None)
            self._shared[sample] = self.job.open(self.job.encoded(sample))
        return self._shared[sample]

    def _halve(self, blocks: list[Block]) -> None:
        torch.cuda.empty_cache()
        size = min(self.rows, sum(len(block.cells) for block in blocks))
        if size <= 1:
            raise self._too_large()
        self.rows, self.halved = size // 2, self.halved + 1

    def _too_large(self) -> MemoryError:
        return MemoryError(
            f"one row of this sweep does not fit on {self.job.model.device}: use fewer new tokens, a shorter prompt or "
            "smaller pictures, leave 'kl' out, or load the model in a smaller type."
        )

    def _keep_short(self, block: Block, seconds: float) -> None:
        """Halve chunks that keep a person waiting, as long as halving makes them shorter.

        Only where the prompt is run in one piece: between the steps of an answer a chunk gives way by itself.
        """
        done = len(block.cells)
        if not self.job.scope.touches_prompt:
            return
        if seconds <= PATIENCE or done < self.rows or done <= _FEWEST_ROWS or not self._shrinks:
            return
        if self._longer is not None and seconds > _HELPS * self._longer[1]:
            self.rows, self._shrinks = self._longer[0], False
            return
        self._longer = (done, seconds)
        self.rows = max(done // 2, _FEWEST_ROWS)
