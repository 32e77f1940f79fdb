"""Reverse steering: whether steering against a concept keeps it out of the answer, and what grows inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.library import showing_images
from mllm_probe.metrics.statistics import bootstrap_interval, sign_flip_test
from mllm_probe.models import ProbeModel
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DEPTH,
    DRAW,
    EDIT,
    HALF,
    HIDDEN,
    LAYER,
    READ_ALONG,
    READ_LAYER,
    SAMPLE,
    SCOPE,
    STRENGTH,
    TOKEN,
)
from mllm_probe.steering import Steering
from mllm_probe.steering.operations import CONCEPT as CONCEPT_DIRECTION
from mllm_probe.steering.operations import Affine, Number, Operation
from mllm_probe.studies.baselines import baseline_lines, baselines
from mllm_probe.studies.effect import effect
from mllm_probe.studies.multiverse import ANSWERING, PLACES, REVERSE, asked, counted
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts
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
    grid whose ``sample`` counts the images of each concept, with what `LensReading` gives in place of activations.
    """

    def compute(store: Path | None) -> xr.Dataset:
        library = shown_images(run)
        groups = _groups(run, library, RUNS[name])
        parts = [
            _group(run, library.subset(concepts=group), place, name, probes, store and store / f"{number}.zarr")
            for number, group in enumerate(groups)
        ]
        return joined(parts)

    return run.grid(f"{place}, {name}", compute)


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
    steered, before = (
        _on_host(grid[name].isel({TOKEN: 0}, drop=True)) for name in (_ACTIVATION, f"{_ACTIVATION}_unsteered")
    )
    names = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    dropped = [_ACTIVATION, f"{_ACTIVATION}_unsteered", "text", "tokens"]
    lens = {name: _on_host(grid[name].isel({TOKEN: 0}, drop=True)) for name in (_LENS, f"{_LENS}_unsteered")}
    rest = grid.drop_vars([*dropped, *lens, TOKEN], errors="ignore").assign(lens)
    parts = []
    for name, concept in library.items():
        positives = {SAMPLE: [names[image.id] for image in concept.positive]}
        reading = LensReading(vectors.sel({CONCEPT: [name]}), probes.sel({CONCEPT: name}), grid, seed)
        inside = reading.of(steered.sel({CONCEPT: name}).isel(positives), before, before.isel(positives))
        part = rest.sel({CONCEPT: [name]}).isel(positives)
        part = part.assign({key: value.expand_dims({CONCEPT: [name]}) for key, value in inside.items()})
        parts.append(part.drop_vars(SAMPLE).assign_coords({SAMPLE: np.arange(len(positives[SAMPLE]))}))
    return joined(parts)


class LensReading:
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

    def of(self, steered: xr.DataArray, every: xr.DataArray, before: xr.DataArray) -> dict[str, xr.DataArray]:
        """Measures of `read_inside`, from steered and unsteered activations and those of every image."""
        itself = {CONTROL: CONCEPT_DIRECTION, DRAW: 0}
        change = steered - before
        spread = _along(every, self.along_edit.sel(itself, drop=True)).std(SAMPLE, ddof=1)
        at_block = _along(every, self.along_block.sel(itself, drop=True)).std(SAMPLE, ddof=1)
        of_probe = _along(every, self.weight).std(SAMPLE, ddof=1)
        variables = {
            "change": _along(change, self.along_edit),
            "change_at_block": _along(change, self.along_block),
            "spread": spread,
            "spread_at_block": at_block,
            "norm": _length(steered) / _length(before),
            "probe": (_along(steered, self.weight) - self.threshold) / of_probe,
            "probe_unsteered": (_along(before, self.weight) - self.threshold) / of_probe,
        }
        return {name: variable.reset_coords(drop=True) for name, variable in variables.items()}


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
    directions = np.full(shape, np.nan)
    for row, name in enumerate(names):
        steering = Steering(vectors.sel({CONCEPT: name}), chosen)
        for column, layer in enumerate(chosen):
            for place, kind in enumerate(kinds):
                for draw in range(1 if kind == CONCEPT_DIRECTION else grid.sizes[DRAW]):
                    direction = steering.control(kind, seed, draw).direction(LAST_PROMPT, layer)
                    directions[row, column, place, draw] = direction.double().cpu().numpy()
    coords = {CONCEPT: names, LAYER: chosen, CONTROL: kinds}
    return xr.DataArray(directions, coords, (CONCEPT, LAYER, CONTROL, DRAW, HIDDEN))


def _along(activation: xr.DataArray, direction: xr.DataArray) -> xr.DataArray:
    return xr.dot(activation.astype(np.float64), direction, dim=HIDDEN)


def _on_host(array: xr.DataArray) -> xr.DataArray:
    return array.copy(data=array.values)


def _length(activation: xr.DataArray) -> xr.DataArray:
    return (activation.astype(np.float64) ** 2).sum(HIDDEN, skipna=False) ** 0.5


SURGE = 1.2
"""How many times that of its control a change at the last block must be to be called a surge; fixed beforehand."""
_HEADLINE = REVERSE.headline[EDIT]
_CHANGES = dict(zip(REVERSE.aspects[READ_ALONG], ("change", "change_at_block"), strict=True))


def reverse_steering(
    model: ProbeModel,
    library: ConceptLibrary | None = None,
    *,
    vectors: xr.Dataset | None = None,
    grids: Mapping[str, xr.Dataset] | None = None,
    prompt: str | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Ask whether steering against a concept keeps it out of the answer, and whether it grows inside meanwhile.

    On images that show the concept, its vector is subtracted or ablated at one block, at the image tokens or at the
    last prompt token. Beside the answer stands what every later block holds at the last prompt token. Every number has
    that of random directions of the same size beside it, and of random directions without their component along the
    concept's vector, each read along its own direction. Images that show several concepts serve all of them.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary, optional
        That of a bundled model by default. Concepts that the model does not tell apart are left out.
    vectors : Dataset, optional
        From :func:`mllm_probe.concept_vectors` with scopes ``"image"`` and ``"last_prompt"``; made of half of the
        library's images by default.
    grids : mapping of str to Dataset, optional
        What was run already, by the names in ``GRIDS``.
    prompt : str, optional
    seed : int
        Of the split and the random directions.
    store : str or Path, optional
        Folder for the grids, from which a stopped study goes on.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        By (scope, edit_kind, concept, layer), ``scope`` being the tokens that are edited and ``layer`` the block:

        ``named`` (share of freely generated answers that name the concept) with ``named_unsteered`` and
        ``named_random``, ``named_orthogonal``; ``logprob`` (concept minus random directions, nats, after the model's
        answer prefix, which is held fixed) with ``low``, ``high`` and ``clear`` (of both controls); ``n`` images whose
        unsteered answer names the concept.

        By read_layer too, at the last prompt token: ``change`` along the direction of the edit, in the residual
        stream's units, negative where the edit points, and ``change_size``, the mean of its size, with
        ``change_random``, ``change_orthogonal``, that of a control along itself; both in standard deviations of
        unsteered images (``change_in_spreads``, ``size_in_spreads``); ``change_at_block`` and
        ``change_at_block_in_spreads``, along the vector of the block that is read; ``probe``, decision value of a probe
        for the concept, from the mean of its negatives and in standard deviations of unsteered images, with
        ``probe_unsteered``; ``lens``, ``lens_unsteered`` (log-probability of the concept's words by the logit lens,
        nats); ``norm`` (length of the residual stream over the unsteered one); of the last three ``_random`` and
        ``_orthogonal`` too.

        ``surge`` (scope, edit_kind, layer): size of ``change`` at the last block over that of random directions,
        geometric mean over concepts, with ``surge_low``, ``surge_high`` (95 % bootstrap over concepts), and
        ``surge_orthogonal`` with its own. ``log_ratio`` (…, concept, layer, read_along, control, half): what it is made
        of. ``verdict`` (specification), with ``setting``: log of the ratio over 1.2, by every combination of
        :data:`mllm_probe.studies.multiverse.REVERSE`. Attributes ``headline``, its place, and ``headline_p`` (exchange
        of signs over concepts); ``summary`` and ``n_concepts``. Baselines (concept), on images that show it and with a
        sentence that denies it, as :func:`mllm_probe.studies.baselines.baselines` gives them.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, or vectors or grids are of another model.

    Notes
    -----
    A surge is |change| at the last block above 1.2 times its control's, with an interval that excludes 1. It is read
    along the direction that was edited in, the same at every block: along each block's own concept vector a push that
    persists unchanged would look as if it faded, since these vectors turn from block to block. An edit of the last
    prompt token alone is no removal: later blocks go on reading the image, which the edit of image tokens shows.

    References
    ----------
    Question: Deng et al., arXiv 2605.05593, finding 3, whose measure of a surge is not known to us. Logit lens:
    nostalgebraist (2020).
    """
    run = StudyRuns(
        "reverse_steering", GRIDS, model, library, vectors=vectors, grids=grids, prompt=prompt, seed=seed, store=store,
        progress=progress,
    )  # fmt: skip
    nothing = run.nothing()
    if nothing is not None:
        return nothing
    rows = [_measured_at(run, place) for place in PLACES]
    result = xr.concat(rows, xr.DataArray(list(PLACES), dims=SCOPE, name=SCOPE))
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    ways, p = _in_every_way(run, result["log_ratio"])
    result = result.merge(_surges(result, seed)).merge(ways)
    block = edited_blocks(run)[REVERSE.headline[DEPTH]]
    beside = baselines(run, run.vectors(IMAGE, LAST_PROMPT), ANSWERING.split("+"), block, strength=-1.0)
    result = result.merge(beside).assign_attrs(run.facts, **beside.attrs)
    result = result.assign_attrs(surge_above=SURGE, headline=ways.attrs["headline"], headline_p=p)
    return result.assign_attrs(summary=summary_of(result))


def _measured_at(run: StudyRuns, place: str) -> xr.Dataset:
    """Effects of every kind of edit of these tokens (edit_kind, concept, layer[, read_layer])."""
    probes = run.vectors(LAST_PROMPT, layers=read_blocks(run), method="probe", shuffled_draws=0)
    parts: dict[str, xr.Dataset] = {}
    for name, edits in RUNS.items():
        grid = reverse_grid(run, place, name, probes)
        parts |= {edit: _measured(grid.sel({STRENGTH: [dose]})) for edit, dose in edits.edits.items()}
    return xr.concat([parts[edit] for edit in EDITS], xr.DataArray(list(EDITS), dims=EDIT, name=EDIT))


def _measured(grid: xr.Dataset) -> xr.Dataset:
    """Effects of one kind of edit on answers and on later blocks (concept, layer[, read_layer])."""
    measured = effect(grid, "logprob").isel({STRENGTH: 0}, drop=True)
    named = effect(grid, "named").isel({STRENGTH: 0}, drop=True)
    before = grid["named_unsteered"].where(grid["eligible"].isel({STRENGTH: 0}, drop=True)).mean(SAMPLE)
    outside = {
        "named": named["mean"],
        "named_unsteered": before,
        "logprob": measured["difference"],
        "low": measured["low"],
        "high": measured["high"],
        "clear": measured["clear_of_controls"],
        "n": measured["n"],
    }
    for kind in KINDS:
        outside[f"named_{kind}"] = named["control_mean"].sel({CONTROL: kind}, drop=True)
    result = xr.Dataset({name: variable.reset_coords(drop=True) for name, variable in outside.items()})
    grid = grid.isel({STRENGTH: 0}, drop=True)
    return result.merge(_inside(grid), combine_attrs="drop").merge(_ratios(grid), combine_attrs="drop")


def _inside(grid: xr.Dataset) -> xr.Dataset:
    """Measures of later blocks at the last prompt token, images averaged."""
    concept = {CONTROL: CONCEPT_DIRECTION, DRAW: 0}
    moved, at_block = (grid[name].sel(concept, drop=True) for name in ("change", "change_at_block"))
    variables = {
        "change": moved.mean(SAMPLE),
        "change_size": abs(moved).mean(SAMPLE),
        "change_in_spreads": moved.mean(SAMPLE) / grid["spread"],
        "size_in_spreads": abs(moved).mean(SAMPLE) / grid["spread"],
        "change_at_block": at_block.mean(SAMPLE),
        "change_at_block_in_spreads": at_block.mean(SAMPLE) / grid["spread_at_block"],
        "lens_unsteered": grid["logit_lens_unsteered"].mean(SAMPLE),
        "probe_unsteered": grid["probe_unsteered"].mean(SAMPLE),
    }
    for name, source in (("lens", "logit_lens"), ("norm", "norm"), ("probe", "probe")):
        variables[name] = grid[source].sel(concept, drop=True).mean(SAMPLE)
        for kind in KINDS:
            variables[f"{name}_{kind}"] = grid[source].sel({CONTROL: kind}, drop=True).mean((DRAW, SAMPLE))
    for kind in KINDS:
        variables[f"change_{kind}"] = abs(grid["change"].sel({CONTROL: kind}, drop=True)).mean((DRAW, SAMPLE))
    return xr.Dataset(
        {name: variable.reset_coords(drop=True).astype(np.float64) for name, variable in variables.items()}
    )


def _ratios(grid: xr.Dataset) -> xr.Dataset:
    """Log of the change at the last block over that of a control (concept, layer, control, read_along, half)."""
    last, count = grid.isel({READ_LAYER: -1}, drop=True), grid.sizes[SAMPLE]
    halves = dict(zip(REVERSE.aspects[HALF], (slice(0, count // 2), slice(count // 2, count)), strict=True))
    changes = xr.concat([last[name].transpose(CONCEPT, LAYER, ...) for name in _CHANGES.values()], READ_ALONG)
    parts = []
    for half in halves.values():
        some = changes.isel({SAMPLE: half})
        caused = abs(some.sel({CONTROL: CONCEPT_DIRECTION, DRAW: 0}, drop=True).mean(SAMPLE))
        drawn = abs(some.sel({CONTROL: list(KINDS)})).mean((DRAW, SAMPLE))
        parts.append(xr.apply_ufunc(np.log, caused / drawn))
    ratio = xr.concat(parts, HALF).assign_coords({READ_ALONG: list(_CHANGES), HALF: list(halves)})
    return xr.Dataset({"log_ratio": ratio.astype(np.float64)})


def _in_every_way(run: StudyRuns, ratio: xr.DataArray) -> tuple[xr.Dataset, float]:
    """Whether there is a surge, by every combination of settings, and the p of the headline over concepts."""
    blocks = edited_blocks(run)

    def over(depth: float, **way: str) -> np.ndarray:
        return ratio.sel({LAYER: blocks[depth], **way}).values - np.log(SURGE)

    ways = asked(REVERSE, lambda **way: float(over(**way).mean()))
    return ways, sign_flip_test(over(**REVERSE.headline), seed=run.seed)


def _surges(result: xr.Dataset, seed: int) -> xr.Dataset:
    """Size of the change at the last block over that of each control, over concepts."""
    last = result.isel({READ_LAYER: -1}, drop=True)
    dims = (SCOPE, EDIT, LAYER)
    ratios: dict[str, np.ndarray] = {}
    for kind, name in zip(KINDS, ("surge", *(f"surge_{kind}" for kind in KINDS[1:])), strict=True):
        ratio = np.log((abs(last["change"]) / last[f"change_{kind}"]).transpose(*dims, CONCEPT).values)
        low, high = bootstrap_interval(ratio, seed=seed)
        ratios |= {name: ratio.mean(-1), f"{name}_low": low, f"{name}_high": high}
    return xr.Dataset({name: (dims, np.exp(values)) for name, values in ratios.items()})


def summary_of(study: xr.Dataset) -> str:
    """Say what a study of reverse steering shows, and what cannot be concluded from it.

    `study`: from :func:`reverse_steering`.
    """
    lines = [f"{study.attrs['n_concepts']} concepts that the model tells apart, on images that show them."]
    for place in PLACES:
        lines += [_blocked(study.sel({SCOPE: place, EDIT: edit}), place, edit) for edit in EDITS]
    lines += [_grown(study), counted(study), _probed(study), _read_again(study), *baseline_lines(study)]
    return "\n".join(lines + few_concepts(list(study[CATEGORY].values.astype(str))))


def _blocked(some: xr.Dataset, place: str, edit: str) -> str:
    layer = some[LAYER].values[int(np.nanargmin(some["logprob"].mean(CONCEPT).values))]
    at = some.sel({LAYER: layer})
    named, before, random = (float(at[name].mean()) for name in ("named", "named_unsteered", "named_random"))
    clear = int((at["clear"] & (at["logprob"] < 0)).sum())
    return (
        f"{place}, {edit}, block {layer}: answers name the concept in {named:.2f} (unsteered {before:.2f}, random "
        f"directions {random:.2f}); log-probability {float(at['logprob'].mean()):+.1f} nats against random, lower and "
        f"clear of them for {clear} of {at.sizes[CONCEPT]} concepts."
    )


def surging(study: xr.Dataset) -> xr.DataArray:
    """Where there is a surge by the definition, bool (scope, edit_kind, layer).

    `study`: from :func:`reverse_steering`.
    """
    return (study["surge"] > study.attrs["surge_above"]) & (study["surge_low"] > 1)


def _grown(study: xr.Dataset) -> str:
    last = study.sel({SCOPE: ANSWERING})
    above, cell = surging(last), last.sel({EDIT: _HEADLINE})
    middle = cell.isel({LAYER: cell.sizes[LAYER] // 2})
    share = float(above.mean())
    verdict = "a surge" if share >= 0.8 else "no surge" if share <= 0.2 else "the settings disagree"
    return (
        f"Inside, edited at the last prompt token ({_HEADLINE}, block {int(middle[LAYER])}): at the last block "
        f"the change along the edit's own direction is {float(middle['surge']):.2f} times that of a random direction "
        f"[{float(middle['surge_low']):.2f}, {float(middle['surge_high']):.2f}]; above {SURGE} in {int(above.sum())} "
        f"of {above.size} settings: {verdict}."
    )


def _probed(study: xr.Dataset) -> str:
    """Line about the probe at the last block."""
    middle = study.sel({SCOPE: ANSWERING, EDIT: _HEADLINE})
    middle = middle.isel({LAYER: middle.sizes[LAYER] // 2, READ_LAYER: -1})
    probe, before, random, orthogonal = (
        float(middle[name].mean()) for name in ("probe", "probe_unsteered", "probe_random", "probe_orthogonal")
    )
    return (
        f"Probe at the last block after the same edit: {probe:+.1f} standard deviations of unsteered images from "
        f"images without the concept (unsteered {before:+.1f}, random directions {random:+.1f}, orthogonal ones "
        f"{orthogonal:+.1f})."
    )


def _read_again(study: xr.Dataset) -> str:
    """Line about the lens of later blocks after ablation of the last token, and of the image tokens."""
    some = study.sel({EDIT: "ablation"}).isel({LAYER: 0})
    block = int(some[LAYER])
    words = []
    for place in (ANSWERING, IMAGE):
        lens = some.sel({SCOPE: place})["lens"].mean(CONCEPT)
        words.append(f"{float(lens.sel({READ_LAYER: block})):.1f} to {float(lens[-1]):.1f} ({place} edited)")
    unsteered = float(some["lens_unsteered"].isel({SCOPE: 0, READ_LAYER: -1}).mean())
    return (
        f"Logit lens after ablation at block {block}, from there to the last block: {', '.join(words)}; unsteered "
        f"{unsteered:.1f} nats. What rises again after an edit of the last token alone is read from the image."
    )
