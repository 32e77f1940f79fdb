"""Runs batches of a sweep: prompts that are kept, rows of one image or several, and how many run together."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.decoding.paths import PromptBatch, can_batch
from mllm_probe.decoding.shared_prompt import Shared
from mllm_probe.sweeps.cells import Block, Cell, scored_pairs, take_chunk
from mllm_probe.sweeps.grid import Part, Scores
from mllm_probe.sweeps.job import SweepJob
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.scoring import Baseline, ReadingContext
from mllm_probe.typing import Attributes

_FEWEST_ROWS = 16
_HELPS = 0.75


@dataclass(frozen=True)
class Limits:
    """Bounds of a chunk.

    `rows`: most rows of a chunk.
    `row_share`: share of the free memory that the rows of a chunk take at most.
    `prompt_share`: share of the free memory in which prompts are kept for later chunks.
    `packed_rows`: rows up to which samples share a chunk: with more, a batch costs as much as its rows would alone.
    `seconds`: a chunk that takes longer keeps a person at a slider waiting, so that the next ones are made smaller.
    `unit_seconds`: least and most work of a unit of a stored sweep: what is lost when a process dies, and what others
        wait for.
    """

    rows: int = 256
    row_share: float = 0.25
    prompt_share: float = 0.2
    packed_rows: int = 128
    seconds: float = 2.0
    unit_seconds: tuple[float, float] = (3.0, 60.0)

    def chunk_rows(self, row_bytes: int, free: int) -> int:
        """Rows of ``row_bytes`` each that fit into a share of ``free`` bytes, at least one."""
        return int(min(max(self.row_share * free // row_bytes, 1), self.rows))

    def kept_prompts(self, nbytes: int, free: int) -> int:
        """Prompts of ``nbytes`` that are kept in a share of ``free`` bytes, at least one."""
        return max(int(self.prompt_share * free // max(nbytes, 1)), 1)


DEFAULT = Limits()


class ChunkSize:
    """Rows of the next chunk.

    `rows`: most rows of the next chunk. `halved`: how often a chunk was halved because the GPU ran out of memory.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits, self.rows, self.halved = limits, 1, 0
        self._longer: tuple[int, float] | None = None
        self._shrinks = True

    def plan(self, row_bytes: int, free: int) -> None:
        """Fit the rows into the free memory."""
        self.rows = self.limits.chunk_rows(row_bytes, free)

    def halve(self, ran: int) -> bool:
        """Halve after a chunk of ``ran`` rows did not fit; False where one row is the least already."""
        size = min(self.rows, ran)
        if size <= 1:
            return False
        self.rows, self.halved = size // 2, self.halved + 1
        return True

    def shorten(self, ran: int, seconds: float) -> None:
        """Halve after a full chunk of ``ran`` rows took too long, as long as halving makes chunks shorter.

        The last halving is taken back, and none follows, where it saved less than a quarter of the time: the
        rest is a cost of every call whatever its rows, which smaller chunks only pay more often.
        """
        if seconds <= self.limits.seconds or ran < self.rows or ran <= _FEWEST_ROWS or not self._shrinks:
            return
        if self._longer is not None and seconds > _HELPS * self._longer[1]:
            self.rows, self._shrinks = self._longer[0], False
            return
        self._longer = (ran, seconds)
        self.rows = max(ran // 2, _FEWEST_ROWS)


class Stopped(Exception):
    """Leaves a chunk in flight."""


class _OpenPrompts:
    """Prompts that later chunks go on from, each with its unsteered run; the one opened first is dropped first.

    `most`: prompts that are kept at a time. `baselines`: unsteered runs by sample, where these are not run in every
    chunk.
    """

    def __init__(self, job: SweepJob) -> None:
        self.most, self.baselines = len(job.samples), dict[int, Baseline]()
        self._job, self._shared = job, OrderedDict[int, Shared]()

    def open(self, sample: int) -> Shared:
        """State that the rows of a sample share, computed where it is not kept."""
        if sample not in self._shared:
            # Room is made before the next prompt is computed, so that never more than ``most`` are in memory.
            while len(self._shared) >= self.most:
                self.baselines.pop(self._shared.popitem(last=False)[0], None)
            self._shared[sample] = self._job.open(self._job.encoded(sample))
        return self._shared[sample]


class Runner:
    """Runs a job's rows and fills its grid.

    `recorder`: from :meth:`begin` on, where something is recorded. `size`: rows of the next chunk. `chunks`,
    `together`: how many chunks were run, and how many samples shared one at most.
    """

    def __init__(self, job: SweepJob, limits: Limits) -> None:
        self.job, self.limits, self.grid = job, limits, job.grid()
        self.recorder: Recorder | None = None
        self.size, self.chunks, self.together = ChunkSize(limits), 0, 1
        self._prompts, self._stop = _OpenPrompts(job), threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    @property
    def kept_prompts(self) -> int:
        """Prompts that are kept at a time."""
        return self._prompts.most

    @property
    def halved(self) -> int:
        """Number of batches (of rows, or of answers to score) that were halved because the GPU ran out of memory."""
        reference = self.job.scorer.reference
        return self.size.halved + (0 if reference is None else reference.halved)

    def stop(self) -> None:
        """End from any thread: a chunk in flight is left before its next step."""
        self._stop.set()

    def resume(self) -> None:
        """Go on after :meth:`stop`; what was finished stays in the grid."""
        self._stop.clear()

    def begin(self) -> None:
        """Make room for what is recorded."""
        if self.job.settings.record and self.recorder is None:
            self.recorder = Recorder(self.job)

    def forget(self) -> None:
        """Go on with an empty grid; prompts stay open, and their unsteered runs are recorded anew."""
        self.grid, self.recorder = self.job.grid(), None
        self._prompts.baselines.clear()
        self.begin()

    def prepare(self, first: int) -> Attributes:
        """Open the first sample, and plan chunks and prompts that are kept against the memory that is there.

        Chunks that were halved since stay as small as they are.

        Returns: attributes of the grid.
        """
        job = self.job
        encoded = job.encoded(first)
        with job.computing():
            nbytes = self._prompts.open(first).nbytes
            attributes = job.attributes() | {"bytes_per_image": nbytes, "bytes_per_row": job.row_bytes(encoded)}
        free = free_bytes(job.model.device)
        if job.model.device.type == "cpu" and attributes["bytes_per_row"] > free:
            raise self._too_large()  # the system would end the process instead
        if not self.size.halved:
            self.size.plan(attributes["bytes_per_row"], free)
        self._prompts.most = self.limits.kept_prompts(nbytes, free)
        return attributes

    def run_batches(
        self, work: deque[Block], cells: Sequence[Cell], *, adapts: bool, unsteered: bool
    ) -> Iterator[list[Block]]:
        """Run blocks, chunk after chunk; ends early where the runner is stopped.

        `work`: its numbers are places in ``cells``. `adapts`: whether chunks that take long are made smaller, and few
        rows are packed; else chunks are as full as can be. `unsteered`: whether the unsteered run of a sample goes into
        the grid with its first chunk. Yields: what each chunk has finished.
        """
        while work and not self.stopped:
            together = self._prompts.most if self.job.packs else 1
            packed = self.limits.packed_rows if adapts else self.size.rows
            blocks = take_chunk(work, self.size.rows, together, packed)
            began = time.perf_counter()
            try:
                with self.job.computing(), before_backbone(self.job.model, self._leave_if_stopped):
                    done = self._compute(blocks, cells, unsteered)
            except Stopped:
                return
            except torch.OutOfMemoryError as error:
                # `extendleft` reverses: the blocks go back to the front in their order, to be taken in smaller chunks.
                work.extendleft(reversed(blocks))
                torch.cuda.empty_cache()
                if not self.size.halve(sum(len(block.cells) for block in blocks)):
                    raise self._too_large() from error
                continue
            work.extendleft(reversed(blocks[len(done) :]))
            self.chunks, self.together = self.chunks + 1, max(self.together, len(done))
            # Only where the prompt is run in one piece: between the steps of an answer a chunk gives way by itself.
            if adapts and self.job.scope.touches_prompt:
                self.size.shorten(len(done[0].cells), time.perf_counter() - began)
            yield done

    def baselines(self, samples: Sequence[int]) -> Iterator[tuple[int, Baseline]]:
        """Unsteered runs of samples, packed where they can be; ends early where the runner is stopped."""
        missing = list(samples)
        while missing and not self.stopped:
            try:
                with self.job.computing(), before_backbone(self.job.model, self._leave_if_stopped):
                    baselines = self._run_unsteered(missing)
            except Stopped:
                return
            except torch.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                if not self.size.halve(self._unsteered_together(missing)):
                    raise self._too_large() from error
                continue
            yield from zip(missing, baselines, strict=False)
            missing = missing[len(baselines) :]

    def put_unsteered(self, sample: int, baseline: Baseline) -> None:
        """Write the unsteered run of a sample and what its answer says about eligibility; the first one stays."""
        job = self.job
        if self.grid.has_unsteered[sample]:
            return
        self.grid.put_unsteered(sample, baseline.scores)
        self.grid.put_eligible(sample, job.scorer.reader.names(baseline.answer, sample), job.settings.takes_away)

    def _leave_if_stopped(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self.stopped:
            raise Stopped

    def _compute(self, blocks: list[Block], cells: Sequence[Cell], unsteered: bool) -> list[Block]:
        """Run the first block and, in one batch, those that can be packed with it; gives the blocks that were run."""
        members = self._packed([block.sample for block in blocks])
        done = blocks[: len(members)]
        parts = [self._part(block, cells, answered=not unsteered) for block in done]
        shared = members[0] if len(parts) == 1 else PromptBatch(members, [1 + len(part.steerings) for part in parts])
        for part, scores in zip(parts, self._run(shared, parts, unsteered), strict=True):
            self.grid.put(part.pairs, part.sample, scores)
        return done

    def _packed(self, samples: Sequence[int]) -> list[Shared]:
        """The prompt of the first sample, and of those after it that can be packed with it."""
        # Opening may drop the prompt that was opened first; `members` holds what this chunk needs all the same.
        members = [self._prompts.open(samples[0])]
        for sample in samples[1:]:
            member = self._prompts.open(sample)
            if not can_batch(members[0], member):
                break
            members.append(member)
        return members

    def _part(self, block: Block, cells: Sequence[Cell], *, answered: bool) -> Part:
        chosen = [cells[number] for number in block.cells]
        pairs = scored_pairs(self.job.settings.axes, chosen)
        steerings = [self.job.steering(cell) for cell in chosen]
        return Part(block.sample, steerings, pairs, answered=answered or bool(self.grid.has_unsteered[block.sample]))

    def _run(self, shared: Shared, parts: list[Part], unsteered: bool) -> list[Scores]:
        """Scores of rows.

        Where rows share the prompt the unsteered row is in every chunk, for next to nothing, so that a chunk gives the
        same whatever ran before; else it is run once.
        """
        first, known = parts[0], None
        if not self.job.unsteered_in_chunks:
            known = self._alone(shared, first.sample)
            if unsteered:
                self.put_unsteered(first.sample, known)
            if not first.steerings:
                return [{}]
        results = self.job.scorer.run(shared, parts, known, self._reading(shared, first))
        if unsteered:
            # The first one stays: later chunks give it again with other rounding.
            for part, (baseline, _) in zip(parts, results, strict=True):
                self.put_unsteered(part.sample, baseline)
        return [scores for _, scores in results]

    def _alone(self, shared: Shared, sample: int) -> Baseline:
        """The unsteered run of a sample by itself, where it is not kept."""
        known = self._prompts.baselines.get(sample)
        if known is None:
            alone = Part(sample, [], scored_pairs(self.job.settings.axes, []))
            [(known, _)] = self.job.scorer.run(shared, [alone], None, self._reading(shared, alone, unsteered=True))
            self._prompts.baselines[sample] = known
        return known

    def _run_unsteered(self, samples: Sequence[int]) -> list[Baseline]:
        """Unsteered runs of the first sample, and of those that can be packed with it."""
        if not self.job.unsteered_in_chunks:
            return [self._alone(self._prompts.open(samples[0]), samples[0])]
        # Chunks run the unsteered row once more, beside the rows that it is compared with.
        members = self._packed(samples[: self._unsteered_together(samples)])
        shared = members[0] if len(members) == 1 else PromptBatch(members, [1] * len(members))
        parts = [Part(sample, [], scored_pairs(self.job.settings.axes, [])) for sample in samples[: len(members)]]
        return [baseline for baseline, _ in self.job.scorer.run(shared, parts)]

    def _unsteered_together(self, samples: Sequence[int]) -> int:
        """Number of unsteered runs of these samples in one batch."""
        together = min(self._prompts.most, self.size.rows, self.limits.packed_rows) if self.job.packs else 1
        return min(max(together, 1), len(samples))

    def _reading(self, shared: Shared, part: Part, *, unsteered: bool = False) -> ReadingContext:
        return nullcontext if self.recorder is None else self.recorder.reading(shared, part, unsteered=unsteered)

    def _too_large(self) -> MemoryError:
        return MemoryError(
            f"one row of this sweep does not fit on {self.job.model.device}: use fewer new tokens, a shorter prompt or "
            "smaller images, leave 'kl' out, or load the model in a smaller type."
        )
