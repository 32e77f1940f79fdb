"""Cost of a sweep on a model that is not there yet: from its configuration, and what a machine does in a second."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn
from transformers import PretrainedConfig

from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.registry import DEFAULT_METRICS, as_metrics
from mllm_probe.models.argument_checks import described
from mllm_probe.steering.controls import CONCEPT, CONTROLS, DEFAULT_CONTROLS, is_antithetic, is_shared
from mllm_probe.sweeps.cells import Axes, plan_cells
from mllm_probe.sweeps.grid_size import bytes_of
from mllm_probe.sweeps.machines import Machine, machine_of
from mllm_probe.sweeps.model_size import ModelSize, size_of
from mllm_probe.sweeps.readable_sizes import duration_text, size_text
from mllm_probe.sweeps.reference_scorer import BATCH

PlannedModel: TypeAlias = str | Path | PretrainedConfig
"""What stands for a model before it has weights."""
NIGHT_HOURS = 10.0
_ROWS = 256


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, bytes of memory that are read, calls of a block, and runs that are kept count of."""

    flops: float = 0.0
    bytes: float = 0.0
    calls: float = 0.0
    runs: float = 0.0

    def __mul__(self, times: float) -> Cost:
        return Cost(self.flops * times, self.bytes * times, self.calls * times, self.runs * times)

    def seconds(self, machine: Machine) -> dict[str, float]:
        """Of the computation, of reading memory, and of the calls."""
        return {
            "compute": self.flops / machine.flops,
            "memory bandwidth": self.bytes / machine.bandwidth,
            "calls": self.calls * machine.call_seconds,
            "interpreter": self.runs * machine.run_seconds,
        }

    def slowest(self, machine: Machine) -> tuple[str, float]:
        """What takes longest, and how long: they go on at the same time."""
        return max(self.seconds(machine).items(), key=lambda one: one[1])


@dataclass(frozen=True)
class CostEstimate:
    """What a sweep costs by a model of its operations; nothing of it is measured.

    Attributes
    ----------
    size : ModelSize
    machine : Machine
    devices : int
        Devices of one worker: as many as its weights and a prompt need.
    cells, samples, rows, chunk_rows, chunks : int
        As in ``SweepPlan``.
    kinds : dict of str to int
        Runs on each image, of the concepts and of each control.
    costs : dict of str to Cost
        By part of the work.
    bytes_of_grid : int
        Of all arrays before compression: on the disk, and in the memory of every worker.
    bytes_per_row, bytes_per_image : int
        Keys and values of a row's own tokens, and of a prompt.
    """

    size: ModelSize
    machine: Machine
    devices: int
    cells: int
    samples: int
    rows: int
    chunk_rows: int
    chunks: int
    kinds: dict[str, int]
    costs: dict[str, Cost]
    bytes_of_grid: int
    bytes_per_row: int
    bytes_per_image: int
    seconds_by_part: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        seconds = {name: cost.slowest(self.machine)[1] for name, cost in self.costs.items()}
        object.__setattr__(self, "seconds_by_part", seconds)

    @property
    def seconds(self) -> float:
        """Of one worker. Blocks of a model on several devices run one after the other."""
        return sum(self.seconds_by_part.values())

    @property
    def device_hours(self) -> float:
        """Hours of one device, those that wait for another one counted."""
        return self.seconds / 3600 * self.devices

    @property
    def bottleneck(self) -> str:
        """Part that takes longest, and what it waits for."""
        part = max(self.seconds_by_part, key=self.seconds_by_part.__getitem__)
        return f"{part}: {self.costs[part].slowest(self.machine)[0]}"

    @property
    def workers_for_a_night(self) -> int:
        """Workers that are done in ten hours."""
        return max(1, math.ceil(self.seconds / 3600 / NIGHT_HOURS))

    def __str__(self) -> str:
        size, parts = self.size, self.seconds_by_part
        kinds = ", ".join(f"{name} {runs:,}" for name, runs in self.kinds.items())
        return "\n".join(
            [
                f"{size.name}: {size.parameters / 1e9:.3g} billion parameters, {size.blocks} blocks × {size.width}, "
                f"{size_text(size.weight_bytes)} of weights: {self.devices} × {self.machine.name} for each worker",
                f"{self.cells:,} cells: {self.rows:,} steered runs on each of {self.samples:,} images ({kinds})",
                f"memory    {size_text(self.bytes_per_image)} of the prompt + {self.chunk_rows} rows × "
                f"{size_text(self.bytes_per_row)} of keys and values; {size_text(self.bytes_of_grid)} of the grid",
                f"disk      {size_text(self.bytes_of_grid)} before compression",
                f"time      about {duration_text(self.seconds)} of one worker ("
                + ", ".join(f"{name} {duration_text(s)}" for name, s in parts.items() if s)
                + f"), {self.device_hours:,.3g} hours of {self.machine.name}",
                f"limit     {self.bottleneck}",
                f"workers   {self.workers_for_a_night} for one night of {NIGHT_HOURS:g} hours",
            ]
        )

    def __repr__(self) -> str:
        return f"<CostEstimate\n{self}>"


def estimate(
    model: str | Path | PretrainedConfig | nn.Module,
    *,
    concepts: int = 1,
    images: int = 1,
    prompt_tokens: int,
    image_tokens: int = 0,
    layers: int | None = None,
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    controls: Sequence[str] = DEFAULT_CONTROLS,
    draws: int = 8,
    metrics: Sequence[str | Metric] = DEFAULT_METRICS,
    max_new_tokens: int = 8,
    machine: Machine | str | None = None,
    dtype: torch.dtype | None = None,
) -> CostEstimate:
    """Cost of a sweep before there are weights, vectors or images: last prompt token and answer edited.

    Runs are counted by the code that counts them for a loaded model. Time is that of a model of the operations: in each
    part, the longest of computing, of reading memory and of calling the blocks. The two last ones are the same for few
    rows as for many. On a CPU it gave half of what was measured; ``mp.plan`` on the loaded model measures.

    Parameters
    ----------
    model : str, Path, PretrainedConfig or PreTrainedModel
        A name on the Hub or a folder, of which ``config.json`` is read; or a configuration; or a model.
    concepts, images : int
    prompt_tokens : int
        Length of a prompt with its image.
    image_tokens : int
        Of these, those of the image; needed where the configuration does not say how many patches an image has.
    layers : int, optional
        Blocks that are edited, one at a time; all by default.
    strengths, controls, draws, metrics, max_new_tokens
        As for ``sweep``, in unit ``residual`` with operation ``add``. Of ``shuffled``, as many draws as of the others.
    machine : Machine or str, optional
        A name of :data:`mllm_probe.sweeps.MACHINES`; this CPU, measured, by default.
    dtype : torch.dtype, optional
        That of the configuration by default.

    Returns
    -------
    CostEstimate

    Examples
    --------
    >>> sweeps.estimate("org/name", concepts=48, images=1000, prompt_tokens=400, image_tokens=256, machine="H100")
    """
    size = size_of(model, dtype, image_tokens)
    known = machine_of(machine)
    edited = size.blocks if layers is None else layers
    names = tuple(f"concept {number}" for number in range(concepts))
    counts = {CONCEPT: 1} | dict.fromkeys(_known_controls(controls), draws)
    axes = Axes(names, tuple(range(edited)), tuple(dict.fromkeys(strengths)), counts)
    # Runs of one layer are those of any other.
    one = Axes(names, (0,), axes.strengths, counts)
    cells = plan_cells(one, shared=list(filter(is_shared, counts)), opposite=list(filter(is_antithetic, counts)))
    kinds = {name: edited * runs for name, runs in Counter(cell.control for cell in cells).items()}
    chosen = as_metrics(metrics)
    decodes = any(metric.reading.decodes for metric in chosen)
    rows = sum(kinds.values())
    work = _Work(size, rows, images, prompt_tokens, max_new_tokens, chosen)
    per_row = size.cache_bytes * max_new_tokens
    needed = size.weight_bytes + size.cache_bytes * prompt_tokens + per_row * work.chunk_rows
    return CostEstimate(
        size=size,
        machine=known,
        devices=max(1, math.ceil(needed / known.memory)),
        cells=axes.cells * images,
        samples=images,
        rows=rows,
        chunk_rows=work.chunk_rows,
        chunks=work.chunks,
        kinds=kinds,
        costs=work.costs(),
        bytes_of_grid=bytes_of(axes, chosen, images, steps=max_new_tokens, answers=decodes),
        bytes_per_row=per_row,
        bytes_per_image=size.cache_bytes * prompt_tokens,
    )


def estimate_sweep(model: PlannedModel, settings: Mapping[str, Any], machine: Machine | str | None) -> CostEstimate:
    """As :func:`estimate`, from the arguments of ``sweep`` with numbers in place of vectors, images and prompt.

    Raises
    ------
    ValueError
        If one of them is no number, or a setting is one that the model of costs says nothing about.
    """
    counts = {"vectors": "concepts", "images": "images", "prompt": "tokens of a prompt with its image"}
    for name, what in counts.items():
        if type(settings[name]) is not int or settings[name] < 1:
            raise ValueError(
                f"{name}: before a model has weights, expected the number of {what}, from 1 on; got "
                f"{described(settings[name])}."
            )
    known = {"tokens": ("last_prompt", "generated"), "unit": "residual", "operation": "add", "to": None}
    known |= {"record": None, "inputs": None, "answer_prefix": None}
    for name, only in known.items():
        given = settings[name]
        if (tuple(given) if isinstance(given, list) else given) != only:
            raise ValueError(f"{name}: costs before a model has weights are those of {only!r}; got {described(given)}.")
    layers, controls = settings["layers"], settings["controls"]
    return estimate(
        model,
        concepts=settings["vectors"],
        images=settings["images"],
        prompt_tokens=settings["prompt"],
        image_tokens=settings["prompt"],
        layers=None if isinstance(layers, str) and layers == "all" else len(layers),
        strengths=settings["strengths"],
        controls=DEFAULT_CONTROLS if controls is None else [controls] if isinstance(controls, str) else controls,
        draws=settings["draws"],
        metrics=settings["metrics"],
        max_new_tokens=settings["max_new_tokens"],
        machine=machine,
    )


class _Work:
    """Operations of a sweep by its parts."""

    def __init__(
        self, size: ModelSize, rows: int, images: int, prompt: int, steps: int, metrics: Sequence[Metric]
    ) -> None:
        self.size, self.rows, self.images, self.prompt, self.steps, self.metrics = (
            size, rows, images, prompt, steps, metrics,
        )  # fmt: skip
        self.chunk_rows = min(_ROWS, max(rows, 1))
        self.chunks = images * math.ceil(rows / _ROWS)

    def costs(self) -> dict[str, Cost]:
        """By part; parts that the metrics do not need are left out."""
        reads = {metric.reads for metric in self.metrics}
        per_call = self.chunk_rows
        # An edit leaves the blocks below it to all rows together: half of them, over all layers. So it stays along the
        # unsteered answer; answers of their own part after the first token.
        first, later = self._tokens(0.5, per_call), self._tokens(1.0, per_call)
        parts = {
            "images": self._vision() * self.images,
            "prompts": self._prompt() * self.images,
            "first token": first * self.chunks,
            "bookkeeping": Cost(runs=self.rows * self.images),
        }
        if any(metric.reading.decodes for metric in self.metrics):
            parts["answers"] = later * (self.chunks * (self.steps - 1))
        if "forced" in reads:
            parts["unsteered answer"] = self._tokens(0.5, per_call, self.steps - 1) * self.chunks
        if "reference" in reads:
            batches = math.ceil(self.rows * self.images / BATCH)
            parts["perplexity"] = self._tokens(1.0, BATCH, self.steps) * batches
        return parts

    def _vision(self) -> Cost:
        size = self.size
        return Cost(2.0 * size.vision_parameters * size.image_patches, 0.0, size.blocks)

    def _prompt(self) -> Cost:
        size = self.size
        products = 2.0 * size.block_parameters * self.prompt
        attention = 2.0 * size.blocks * size.width_of_attention * self.prompt**2
        return Cost(products + attention, self._weights, size.blocks)

    def _tokens(self, share: float, rows: int, tokens: int = 1) -> Cost:
        """Some tokens fed to rows that share a prompt, of which a share of the blocks is computed."""
        size = self.size
        products = 2.0 * size.block_parameters * share + 2.0 * size.head_parameters
        attention = 4.0 * size.blocks * size.width_of_attention * self.prompt * share
        cache = size.cache_bytes * (self.prompt + share * rows * self.steps / 2)
        return Cost((products + attention) * rows * tokens, self._weights + cache, size.blocks)

    @property
    def _weights(self) -> float:
        size = self.size
        return (size.block_parameters + size.head_parameters) * size.weight_bytes / size.parameters


def _known_controls(controls: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in controls if name not in CONTROLS]
    if unknown:
        raise ValueError(f"controls: expected some of {', '.join(CONTROLS)}; got '{unknown[0]}'.")
    return tuple(controls)
