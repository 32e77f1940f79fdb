"""Runs a patch: one image after another, all layers and token groups as rows that resume from its unedited run."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name, index_tensors, on_host, stacked_on_host
from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.activations.hooks import attached, run_forward
from mllm_probe.activations.not_finite import require_finite
from mllm_probe.decoding.resume import Shortcuts
from mllm_probe.decoding.rows import Rows
from mllm_probe.decoding.shared_prompt import Shared, SharedPrefixSpan
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.inputs import IMAGE
from mllm_probe.patching.counterfactuals import SIDES, Pair, Side
from mllm_probe.patching.patch_job import CELL, GROUP_SIZE, SOURCE, PatchJob
from mllm_probe.steering.editor import past_length
from mllm_probe.sweeps.runner import DEFAULT, ChunkSize, Limits
from mllm_probe.sweeps.stored.sweep_store import PATCH, SweepStore
from mllm_probe.sweeps.stored.units import Region, run_missing_units, save_when_done
from mllm_probe.tokens.positions import sequence_of
from mllm_probe.typing import Attributes, CallArguments

States = Mapping[int, Tensor]
"""Residual stream [tokens, width] of one run by layer."""
IDENTITY = -1
"""In place of a donor: the run itself, which is row 0 of its batch."""


@dataclass(frozen=True, eq=False)
class PatchRows:
    """Rows of one batch on one prompt: row 0 is left alone, each other one takes some positions from a donor.

    `columns`: of each row but row 0, the positions that it takes. `donors`: of each row but row 0, the number of its
    donor, or ``IDENTITY``.
    """

    columns: Sequence[np.ndarray]
    donors: Sequence[int]
    _on: dict[torch.device, list[Tensor]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of rows, row 0 included."""
        return 1 + len(self.columns)

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """First and last position that any row takes; (0, -1) where none does."""
        taken = np.concatenate([np.zeros(0, np.int64), *self.columns])
        return (int(taken.min()), int(taken.max())) if len(taken) else (0, -1)

    def on(self, device: torch.device) -> list[Tensor]:
        """Line and column of positions from row 0; line, column and donor of the others. One upload per device."""
        if device not in self._on:
            donors = np.repeat(np.asarray(self.donors, np.int64), [len(places) for places in self.columns])
            lines = np.repeat(np.arange(1, self.count), [len(places) for places in self.columns])
            columns = np.concatenate([np.zeros(0, np.int64), *self.columns])
            identity = donors == IDENTITY
            arrays = [lines[identity], columns[identity], lines[~identity], columns[~identity], donors[~identity]]
            self._on[device] = index_tensors(arrays, device)
        return self._on[device]


class Interchange:
    """Edits the forwards of a model so that rows take positions of other runs at some layers.

    `layers`: Coordinates. `donors`: states of each donor, at these layers at least. `edited`: how often each layer was
    edited.
    """

    def __init__(self, model: ProbeModel, rows: PatchRows, layers: Sequence[int], donors: Sequence[States]) -> None:
        self.model, self.rows, self.layers, self.donors = model, rows, list(layers), list(donors)
        self.edited = dict.fromkeys(self.layers, 0)
        self._start = self._width = 0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Edit the calls that this thread makes while the ``with`` block runs."""
        with attached(self.model, self._edit, layers=schema.layer_names(self.layers), on_call=self._begin):
            yield

    def _begin(self, arguments: CallArguments) -> None:
        _, (_, self._width) = sequence_of(arguments)
        self._start = past_length(arguments, self._width)

    def _edit(self, layer: int, hidden: Tensor) -> Tensor | None:
        if hidden.ndim != 3 or tuple(hidden.shape[:2]) != (self.rows.count, self._width):
            raise RuntimeError(
                f"{schema.site_name(layer)} of {self.model.name} ({self.model.family}) has {tuple(hidden.shape)}, "
                f"expected [{self.rows.count}, {self._width}, width]: this family changes the sequence inside, so that "
                "positions of the prompt cannot be found in it."
            )
        first, last = self.rows.bounds
        if last < self._start:  # a later token is fed, or no row takes anything
            # Rows that take nothing (last = −1) count as patched; rows whose positions lie before this call do not.
            self.edited[layer] += last < 0
            return None
        assert first >= self._start, "rows were started behind the first position that they take"
        identity_line, identity_column, line, column, donor = self.rows.on(hidden.device)
        changed = hidden.clone()
        if len(identity_line):
            changed[identity_line, identity_column - self._start] = hidden[0, identity_column - self._start]
        if len(line):
            bank = torch.stack([states[layer].to(hidden) for states in self.donors])
            changed[line, column - self._start] = bank[donor, column]
        self.edited[layer] += 1
        return changed


_FEWEST_IMAGES = 4
"""A pair and the donors of two controls."""
_SECONDS = 10.0
"""Scores of an image are read after this time at the latest, if it has more layers to run."""


@dataclass(eq=False)
class Run:
    """The unedited run of one image.

    `states`: residual stream [tokens, width] at every layer that may be patched. `scores`: raw scores [metrics] by
    concept and counterpart.
    """

    shared: Shared
    states: States
    scores: dict[tuple[int, int | None], Tensor]


class OpenImages:
    """Unedited runs that are kept; the one used longest ago is dropped first."""

    def __init__(self, job: PatchJob) -> None:
        self.most, self._job = _FEWEST_IMAGES, job
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def open(self, side: Side) -> Run:
        """The run of an image, computed where it is not kept."""
        if side.id not in self._runs:
            while len(self._runs) >= self.most:
                self._runs.popitem(last=False)
            self._runs[side.id] = self._run(side)
        self._runs.move_to_end(side.id)
        return self._runs[side.id]

    def _run(self, side: Side) -> Run:
        job = self._job
        encoded = job.model.encode_samples([side.request])
        with job.computing():
            shared = job.open(encoded)
            layers = range(min(job.settings.layers), len(job.model.layers))
            if set(layers) <= set(shared.unedited):
                states = {layer: shared.unedited[layer][0] for layer in layers}
            else:
                states = _read_states(job.model, shared.encoded, list(layers))
        # One wait for an image, which serves many rows: what is patched in from it has to be numbers.
        if not stacked_on_host([torch.isfinite(state).all() for state in states.values()]).all():
            require_finite(job.model, encoded)
        return Run(shared, states, {})


def _read_states(model: ProbeModel, encoded: Encoded, layers: list[int]) -> dict[int, Tensor]:
    """Residual stream [tokens, width] of one sample at some layers, where its unedited run does not keep them."""
    states: dict[int, Tensor] = {}

    def keep(layer: int, hidden: Tensor) -> None:
        states[layer] = hidden[0].clone()  # the model may write into its own

    run_forward(model, encoded, keep, layers)
    return states


@dataclass(frozen=True)
class PatchBatch:
    """Rows that run together, and their places in the grid.

    `group`, `donor` (int array [rows - 1]): places along ``group`` and ``control`` of each row but row 0. `first`:
    first position that a row takes.
    """

    rows: PatchRows
    group: np.ndarray
    donor: np.ndarray
    first: int

    @property
    def sizes(self) -> np.ndarray:
        """Positions that each row but row 0 takes."""
        return np.array([len(columns) for columns in self.rows.columns])


@dataclass(frozen=True)
class Base:
    """An image whose run is patched, a unit of a store: places along ``concept``, ``direction`` and ``sample``."""

    concept: int
    direction: int
    sample: int
    part = 0

    @property
    def name(self) -> str:
        """Under which a store knows it."""
        return f"{self.concept:04d}-{self.sample:05d}-{self.direction}"

    def regions(self, dims: Sequence[str]) -> Iterator[Region]:
        """Where it writes into an array with these dimensions."""
        indices = zip(SOURCE, (self.concept, self.direction, self.sample), strict=True)
        yield {dim: (place, place + 1) for dim, place in indices}


def _chunks(dims: Sequence[str], shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Shape of the chunks of an array: one image's own."""
    return tuple(1 if dim in SOURCE else size for dim, size in zip(dims, shape, strict=True))


@dataclass(frozen=True)
class Pending:
    """Scores of a batch at one layer that are not read yet.

    `layer`: place along ``layer``. `values`: Tensor [metrics, rows]. `layers`: how many layers were patched together.
    """

    layer: int
    batch: PatchBatch
    values: Tensor
    layers: int


class PatchEngine:
    """Runs a job.

    `store`: where every image's scores are written as they come, and from where a patch that was stopped goes on.
    `grid`: fills while :meth:`run` is iterated.
    """

    def __init__(self, job: PatchJob, store: str | Path | None = None, limits: Limits | None = None) -> None:
        self.job, self.grid, self.limits = job, job.grid(), limits or DEFAULT
        self.store = None if store is None else SweepStore(store, job.identity(), CELL, (GROUP_SIZE,), kind=PATCH)
        self.size, self.batches = ChunkSize(self.limits), 0
        self._images, self._attributes = OpenImages(job), Attributes()

    @property
    def total(self) -> int:
        """Number of patched rows, over all images."""
        return self._rows * len(self._bases())

    @property
    def _rows(self) -> int:
        """Patched rows of an image."""
        axes = dict(zip(CELL, self.grid.done.shape, strict=True))
        return int(np.prod([size for dim, size in axes.items() if dim not in SOURCE]))

    def run(self) -> Iterator[int]:
        """Work until done; yields the number of rows that each step has finished."""
        if self.store is None:
            self._prepare()
            for base in self._bases():
                yield from self._run(base)
            return
        if self.store.is_created:
            finished = self.store.finished()
            done = [base for base in self._bases() if base.name in finished]
            self._attributes = self.store.attributes
            if done:
                yield sum(map(self._load, done))
            missing = [base for base in self._bases() if base not in done]
            if not missing:
                return
            self._attributes |= self.store.other_versions()
            self._prepare()
        else:
            self._prepare()
            missing = self._bases()
            self._create(self.store)
        self.store.begin_work(self.job.model.device.type, dtype_name(self.job.model.dtype))
        self.size.rows = min(self.size.rows, self.store.layout["rows"])
        yield from run_missing_units(
            missing, finished=self.store.finished, run=partial(self._run_and_save, self.store), load=self._load,
            stopped=lambda: False, in_order=False,
        )  # fmt: skip

    def _create(self, store: SweepStore) -> None:
        bases = self._bases()
        samples = dict(zip(CELL, self.grid.done.shape, strict=True))[schema.SAMPLE]
        store.create(
            self.grid, self.grid.coordinates, self._attributes, recorder=None, chunks=_chunks,
            runs={base.name: self._rows for base in bases},
            layout={"rows": 1 << (self.size.rows.bit_length() - 1)}, order=range(samples),
        )  # fmt: skip

    def _load(self, base: Base) -> int:
        assert self.store is not None
        self.store.load(base.regions, self.grid, None, range(self.grid.done.shape[CELL.index(schema.SAMPLE)]))
        return self._rows

    def _run_and_save(self, store: SweepStore, base: Base) -> Iterator[int]:
        began = time.perf_counter()
        return save_when_done(self._run(base), lambda: self._save(store, base, began), lambda: False)

    def _save(self, store: SweepStore, base: Base, began: float) -> None:
        model = self.job.model
        saved = store.save(
            base.name, base.regions, self.grid, None, range(self.grid.done.shape[CELL.index(schema.SAMPLE)]),
            runs=self._rows, seconds=time.perf_counter() - began, device=model.device.type,
            dtype=dtype_name(model.dtype), halved=self.size.halved,
        )  # fmt: skip
        if not saved:  # somebody else was first: the grid is what the store holds
            self._load(base)

    def dataset(self) -> xr.Dataset:
        """The grid as it is now."""
        return self.grid.dataset(self._attributes | {"batches": self.batches})

    def _bases(self) -> list[Base]:
        directions = range(len(self.job.settings.directions))
        return [
            Base(concept, direction, pair.number)
            for concept, pairs in enumerate(self.job.pairs)
            for pair in pairs
            for direction in directions
        ]

    def _prepare(self) -> None:
        """Open the first image, and plan batches and kept images against the memory that is there."""
        job = self.job
        first = job.pairs[0][0].positive
        run = self._images.open(first)
        encoded, free = run.shared.encoded, free_bytes(job.model.device)
        nbytes = run.shared.nbytes + sum(state.nbytes for state in run.states.values())
        if not self._attributes:
            self._attributes = job.attributes(job.path(encoded))
        row_bytes = job.row_bytes(encoded)
        if job.model.device.type == "cpu" and row_bytes > free:
            raise self._too_large()
        self.size.plan(row_bytes, free)
        self._images.most = max(_FEWEST_IMAGES, self.limits.kept_prompts(nbytes, free))

    def _run(self, base: Base) -> Iterator[int]:
        """All layers of one image."""
        job, pair = self.job, self.job.pairs[base.concept][base.sample]
        edited, source = (pair.side(name) for name in SIDES[job.settings.directions[base.direction]])
        names = [name for name in job.settings.donors if name != "identity"]
        run = self._images.open(edited)
        donors = [self._images.open(source if name == "pair" else pair.donors[name]) for name in names]
        counterpart = job.counterpart(pair)
        of_source = self._unedited(donors[0], base.concept, counterpart)
        batches, pending, began = self._batched(pair, names), list[Pending](), time.perf_counter()
        for place in range(len(job.settings.layers)):
            while True:
                try:
                    pending += self._layer(run, place, batches, [donor.states for donor in donors], base, counterpart)
                except torch.OutOfMemoryError as error:
                    # Layers that are done stay in `pending`, whose scores hold the batches that they were run in.
                    torch.cuda.empty_cache()
                    if not self.size.halve(max(batch.rows.count for batch in batches) - 1):
                        raise self._too_large() from error
                    batches = self._batched(pair, names)
                    continue
                break
            if time.perf_counter() - began > _SECONDS:
                yield self._put(base, pending, of_source)
                pending, began = [], time.perf_counter()
        if pending:
            yield self._put(base, pending, of_source)

    def _batched(self, pair: Pair, names: Sequence[str]) -> list[PatchBatch]:
        """Rows of every group and donor: those behind the image apart from the others, as they cost far less."""
        job, layout = self.job, pair.positive.layout
        taken = [job.columns(pair, group) for group in job.groups]
        late_from = layout.last
        if (image := np.flatnonzero(layout.roles == IMAGE)).size:
            late_from = min(late_from, int(image[-1]) + 1)
        if not job.model.state.of(Shortcuts).starts_later:
            late_from = len(layout.roles)
        cells = [(g, d) for g in range(len(taken)) for d in range(len(job.settings.donors))]
        firsts = [int(columns[0]) if len(columns) else layout.last for columns in taken]
        early = [cell for cell in cells if firsts[cell[0]] < late_from]
        late = [cell for cell in cells if firsts[cell[0]] >= late_from]
        most = self.size.rows
        parts = [part[i : i + most] for part in (early, late) for i in range(0, len(part), most)]
        numbers = [IDENTITY if name == "identity" else names.index(name) for name in job.settings.donors]
        return [
            PatchBatch(
                PatchRows([taken[g] for g, _ in part], [numbers[d] for _, d in part]),
                group=np.array([g for g, _ in part]),
                donor=np.array([d for _, d in part]),
                first=min(firsts[g] for g, _ in part),
            )
            for part in parts
        ]

    def _layer(
        self,
        run: Run,
        place: int,
        batches: Sequence[PatchBatch],
        donors: Sequence[States],
        base: Base,
        counterpart: int | None,
    ) -> list[Pending]:
        """Run all batches at one layer; nothing is read."""
        job, layer = self.job, self.job.settings.layers[place]
        window = job.settings.window_at(layer, len(job.model.layers))
        done = []
        for batch in batches:
            edits = Interchange(job.model, batch.rows, window, donors)
            with job.computing(), edits.attached():
                rows = run.shared.start(batch.rows.count, SharedPrefixSpan(layer, batch.first))
                values = job.scorer(rows, base.concept, counterpart)
            self._require_edited(edits)
            done.append(Pending(place, batch, values, len(window)))
        self.batches += len(done)
        return done

    def _require_edited(self, edits: Interchange) -> None:
        missed = [layer for layer, times in edits.edited.items() if not times]
        if missed:
            raise RuntimeError(
                f"nothing was patched at layer {missed[0]} of {self.job.model.name} ({self.job.model.family}): the "
                "forward pass never came there. Run model.verify() to see what this family does."
            )

    def _unedited(self, run: Run, concept: int, counterpart: int | None) -> Tensor:
        """Raw scores [metrics] of an unedited run."""
        key = (concept, counterpart)
        if key not in run.scores:
            job = self.job
            with job.computing():
                rows: Rows = run.shared.start(1, SharedPrefixSpan(layer=len(job.model.layers)))
                run.scores[key] = job.scorer(rows, concept, counterpart)[:, 0]
        return run.scores[key]

    def _put(self, base: Base, pending: Sequence[Pending], of_source: Tensor) -> int:
        """Read the scores of several layers at once, and write them to the grid."""
        flat = on_host(torch.cat([of_source, *(item.values.reshape(-1) for item in pending)]))
        metrics, start = len(of_source), len(of_source)
        self.grid.put_source(
            (base.concept, base.direction, base.sample), self._scored(flat[:start, None], base.concept)[:, 0]
        )
        for item in pending:
            raw = flat[start : start + item.values.numel()].reshape(metrics, -1)
            start += raw.size
            scores = self._scored(raw, base.concept)
            self._require_numbers(base, scores)
            count = len(item.batch.group)
            place = [np.full(count, n) for n in (base.concept, item.layer)]
            place += [item.batch.group, np.full(count, base.direction), item.batch.donor, np.full(count, base.sample)]
            self.grid.put(tuple(place), scores[:, 1:], scores[:, :1], item.batch.sizes * item.layers)
        return sum(len(item.batch.group) for item in pending)

    def _scored(self, raw: np.ndarray, concept: int) -> np.ndarray:
        """Scores [metrics, rows] from raw ones; NaN for a concept without words where a metric needs them."""
        known, rows = bool(self.job.scorer.table.variants[concept]), []
        for metric, values in zip(self.job.settings.metrics, raw, strict=True):
            score = (
                np.asarray(metric.score(torch.from_numpy(values)), np.float32) if metric.reads == "words" else values
            )
            rows.append(score if known or metric.needs != "words" else np.full_like(score, np.nan))
        return np.stack(rows)

    def _require_numbers(self, base: Base, scores: np.ndarray) -> None:
        """Raise where a row has no number though its concept has words."""
        job = self.job
        known = bool(job.scorer.table.variants[base.concept])
        for metric, values in zip(job.settings.metrics, scores, strict=True):
            if known and metric.name in ("logprob", "logit") and np.isnan(values).any():
                pair, how = job.pairs[base.concept][base.sample], "without any" if np.isnan(values[0]) else "with a"
                for side in (pair.positive, pair.negative):
                    require_finite(job.model, job.model.encode_samples([side.request]))
                raise ValueError(
                    f"{job.model.name} gives NaN on pair {base.sample} of '{job.concepts[base.concept]}' {how} "
                    f"patch ({metric.name}): run model.verify() to see where its numbers break, and load it in another "
                    "dtype or with other weights."
                )

    def _too_large(self) -> MemoryError:
        return MemoryError(
            f"one row of this patch does not fit on {self.job.model.device}: use a shorter prompt or smaller images, "
            "or load the model in a smaller type."
        )
