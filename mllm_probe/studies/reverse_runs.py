"""What reverse steering runs: sweeps that concepts share, read inside along the edit, the concept and its probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.showing import showing_images
from mllm_probe.schema import (
    CONCEPT,
    CONTROL,
    DEPTH,
    DRAW,
    EDIT,
    HIDDEN,
    LAYER,
    READ_ALONG,
    READ_LAYER,
    SAMPLE,
    SCOPE,
    TOKEN,
)
from mllm_probe.steering import Steering
from mllm_probe.steering.controls import CONCEPT as ITSELF
from mllm_probe.steering.operations import Affine, Number, Operation
from mllm_probe.studies.multiverse import PLACES, REVERSE
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns
from mllm_probe.sweeps import sweep

EDITS = tuple(REVERSE.aspects[EDIT])
DEPTHS = tuple(REVERSE.aspects[DEPTH])
"""Relative depths of the blocks that are edited."""
KINDS = tuple(REVERSE.aspects[CONTROL])
"""Controls, each read along its own direction."""
ALONG_EDIT, ALONG_BLOCK = REVERSE.aspects[READ_ALONG]
IMAGES, DRAWS = 6, 4
_LONGEST, _MOST_READ, _MOST_BYTES = 8, 8, 2**29
_ACTIVATION, _LENS = "activation", "logit_lens"


def _push_or_ablate(direction: torch.Tensor, dose: Number, negative: Number) -> Affine:
    """H + dose · v for negative doses; for positive ones, ablation: h − (h·v − μ₋) v."""
    size = torch.as_tensor(dose, dtype=direction.dtype, device=direction.device)
    gain = -(size > 0).to(direction.dtype)
    return Affine(direction, constant=size.clamp(max=0), along=direction, gain=gain, mean=negative)


@dataclass(frozen=True)
class EditRun:
    """One sweep, and which strength of it is which kind of edit."""

    edits: Mapping[str, float]
    settings: Mapping[str, Any]


RUNS: Mapping[str, EditRun] = {
    # In residual units random directions are the same edit for every concept, and are run once for all of them.
    "residual": EditRun({"-1 residual norm": -1.0}, {"unit": "residual"}),
    # Subtraction and ablation are rows of one batch: alone, each is as long a chain of forward calls as both.
    "own": EditRun(
        {"-1 vector": -1.0, "ablation": 1.0},
        {
            "unit": "vector",
            "operation": Operation("push_or_ablate", affine=_push_or_ablate, removes=True, uses=("negative",)),
        },
    ),
}
GRIDS = tuple(f"{place}, {name}" for place in PLACES for name in RUNS)
"""Names under which ``grids=`` takes what was run already."""


def edited_blocks(run: StudyRuns) -> dict[float, int]:
    """Block that is edited at each relative depth."""
    return {depth: run.blocks_at((depth,))[0] for depth in DEPTHS}


def read_blocks(run: StudyRuns) -> list[int]:
    """Blocks that are read: all of a shallow model, else the edited ones, the last, and evenly spread ones between."""
    every = list(run.model.layers)
    if len(every) <= _MOST_READ:
        return every
    spread = np.linspace(0, len(every) - 1, _MOST_READ - len(DEPTHS)).round().astype(int)
    return sorted({*edited_blocks(run).values(), every[-1], *(every[place] for place in spread)})


def shown_images(run: StudyRuns) -> ConceptLibrary:
    """Few images besides those of the vectors, each concept shown by as many of them."""
    return showing_images(run.others, IMAGES)


def reverse_grid(run: StudyRuns, place: str, name: str, probes: xr.Dataset) -> xr.Dataset:
    """One of the sweeps, read inside.

    `place`: tokens that are edited, of ``PLACES``. `name`: of ``RUNS``. `probes`: vectors of method ``"probe"`` at the
    last prompt token. Returns Dataset (concept, layer, strength, control, draw, sample[, read_layer]), host memory: a
    grid whose ``sample`` counts the images of each concept, with what `Reading` gives in place of activations.
    """

    def made(store: Path | None) -> xr.Dataset:
        library = shown_images(run)
        groups = _groups(run, library, RUNS[name])
        parts = [
            _group(run, library.subset(concepts=group), place, name, probes, store and store / f"{number}.zarr")
            for number, group in enumerate(groups)
        ]
        return joined(parts)

    return run.grid(f"{place}, {name}", made)


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Datasets of different concepts as one."""
    return xr.concat(parts, CONCEPT, data_vars="minimal", coords="minimal", compat="override", join="override")


def _groups(run: StudyRuns, library: ConceptLibrary, edits: EditRun) -> list[list[str]]:
    """Concepts that share a sweep: all of them where its activations fit into memory.

    Each group has concepts of all categories, since these are shown together.
    """
    rows = len(set(edited_blocks(run).values())) * len(edits.edits) * (1 + len(KINDS)) * DRAWS
    each = rows * len(library.pictures) * len(read_blocks(run)) * run.model.hidden_size
    needed = each * torch.empty((), dtype=run.model.dtype).element_size() * len(library)
    count = min(len(library), -(-needed // _MOST_BYTES))
    return [run.concepts[number::count] for number in range(count)]


def _group(
    run: StudyRuns, library: ConceptLibrary, place: str, name: str, probes: xr.Dataset, store: Path | None
) -> xr.Dataset:
    vectors = run.vectors(IMAGE, LAST_PROMPT).sel({CONCEPT: list(library)})
    edits = RUNS[name]
    grid = sweep(
        run.model, vectors, library, run.prompt, layers=sorted(set(edited_blocks(run).values())),
        tokens=place.split("+"), strengths=tuple(edits.edits.values()), metrics=("logprob", "named"), controls=KINDS,
        draws=DRAWS, seed=run.seed, max_new_tokens=_LONGEST, record=(_ACTIVATION, _LENS),
        read_layers=read_blocks(run), read_tokens=LAST_PROMPT, store=store, progress=run.progress, **edits.settings,
    )  # fmt: skip
    return read_inside(grid, vectors, probes.sel({CONCEPT: list(library)}), library, run.seed)


def read_inside(
    grid: xr.Dataset, vectors: xr.Dataset, probes: xr.Dataset, library: ConceptLibrary, seed: int
) -> xr.Dataset:
    """Put what is along directions in the place of the recorded activations, and number the images of each concept.

    `grid`: of a sweep that recorded activations and the logit lens at the last prompt token.
    `vectors`, `probes`: of the grid's concepts at the last prompt token; by method ``"probe"``.
    `library`: whose images were run.
    `seed`: of the sweep.

    Returns: ``change``, along the direction of a row's own edit; ``change_at_block``, along that direction as it is at
    the block that is read; ``spread`` (concept, layer, read_layer) and ``spread_at_block`` (concept, read_layer),
    standard deviations of the unsteered images along the concept's; ``norm``, length over the unsteered one; ``probe``
    and ``probe_unsteered``, decision value of the probe from the mean of its negatives, in standard deviations of the
    unsteered images.
    """
    told, before = (
        _on_host(grid[name].isel({TOKEN: 0}, drop=True)) for name in (_ACTIVATION, f"{_ACTIVATION}_unsteered")
    )
    names = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    dropped = [_ACTIVATION, f"{_ACTIVATION}_unsteered", "text", "tokens"]
    lens = {name: _on_host(grid[name].isel({TOKEN: 0}, drop=True)) for name in (_LENS, f"{_LENS}_unsteered")}
    rest = grid.drop_vars([*dropped, *lens, TOKEN], errors="ignore").assign(lens)
    parts = []
    for name, concept in library.items():
        own = {SAMPLE: [names[picture.id] for picture in concept.positive]}
        reading = Reading(vectors.sel({CONCEPT: [name]}), probes.sel({CONCEPT: name}), grid, seed)
        inside = reading.of(told.sel({CONCEPT: name}).isel(own), before, before.isel(own))
        one = rest.sel({CONCEPT: [name]}).isel(own)
        one = one.assign({key: value.expand_dims({CONCEPT: [name]}) for key, value in inside.items()})
        parts.append(one.drop_vars(SAMPLE).assign_coords({SAMPLE: np.arange(len(own[SAMPLE]))}))
    return joined(parts)


class Reading:
    """Directions along which the rows of one concept are read at the last prompt token.

    `vectors`: of one concept. `probe`: of the concept. `grid`: whose controls, layers and read layers these are.
    """

    def __init__(self, vectors: xr.Dataset, probe: xr.Dataset, grid: xr.Dataset, seed: int) -> None:
        self._read = [int(layer) for layer in grid[READ_LAYER].values]
        self.along_edit = edited_directions(grid, vectors, seed).isel({CONCEPT: 0}, drop=True)
        at_block = edited_directions(grid, vectors, seed, layers=self._read).isel({CONCEPT: 0}, drop=True)
        self.along_block = at_block.rename({LAYER: READ_LAYER})
        here = probe.sel({SCOPE: LAST_PROMPT, LAYER: self._read})
        weight = here["vector"].transpose(LAYER, HIDDEN).values.astype(np.float64)
        weight = weight / np.linalg.norm(weight, axis=-1, keepdims=True)
        self.weight = xr.DataArray(weight, dims=(READ_LAYER, HIDDEN))
        self.threshold = xr.DataArray(here["negative_projection"].values.astype(np.float64), dims=READ_LAYER)

    def of(self, told: xr.DataArray, every: xr.DataArray, before: xr.DataArray) -> dict[str, xr.DataArray]:
        """What `read_inside` gives of steered and unsteered activations, and of those of every image."""
        itself = {CONTROL: ITSELF, DRAW: 0}
        change = told - before
        spread = _along(every, self.along_edit.sel(itself, drop=True)).std(SAMPLE, ddof=1)
        at_block = _along(every, self.along_block.sel(itself, drop=True)).std(SAMPLE, ddof=1)
        of_probe = _along(every, self.weight).std(SAMPLE, ddof=1)
        found = {
            "change": _along(change, self.along_edit),
            "change_at_block": _along(change, self.along_block),
            "spread": spread,
            "spread_at_block": at_block,
            "norm": _length(told) / _length(before),
            "probe": (_along(told, self.weight) - self.threshold) / of_probe,
            "probe_unsteered": (_along(before, self.weight) - self.threshold) / of_probe,
        }
        return {name: one.reset_coords(drop=True) for name, one in found.items()}


def edited_directions(
    grid: xr.Dataset, vectors: xr.Dataset, seed: int, *, layers: Sequence[int] | None = None
) -> xr.DataArray:
    """Unit vector of every row's edit as it is read at the last prompt token.

    `grid`: of a sweep.
    `vectors`: those it was run with, at the last prompt token.
    `seed`: of the sweep.
    `layers`: where the vectors are taken; the grid's edited layers by default.

    Returns: NaN where there is no row.
    """
    chosen = [int(layer) for layer in grid[LAYER].values] if layers is None else list(layers)
    kinds, names = grid[CONTROL].values.tolist(), vectors[CONCEPT].values.tolist()
    shape = (len(names), len(chosen), len(kinds), grid.sizes[DRAW], vectors.sizes[HIDDEN])
    found = np.full(shape, np.nan)
    for row, name in enumerate(names):
        own = Steering(vectors.sel({CONCEPT: name}), chosen)
        for column, layer in enumerate(chosen):
            for place, kind in enumerate(kinds):
                for draw in range(1 if kind == ITSELF else grid.sizes[DRAW]):
                    direction = own.control(kind, seed, draw).direction(LAST_PROMPT, layer)
                    found[row, column, place, draw] = direction.double().cpu().numpy()
    coords = {CONCEPT: names, LAYER: chosen, CONTROL: kinds}
    return xr.DataArray(found, coords, (CONCEPT, LAYER, CONTROL, DRAW, HIDDEN))


def _along(activation: xr.DataArray, direction: xr.DataArray) -> xr.DataArray:
    return xr.dot(activation.astype(np.float64), direction, dim=HIDDEN)


def _on_host(array: xr.DataArray) -> xr.DataArray:
    return array.copy(data=array.values)


def _length(activation: xr.DataArray) -> xr.DataArray:
    return (activation.astype(np.float64) ** 2).sum(HIDDEN, skipna=False) ** 0.5
