"""Reverse steering: does steering against a concept keep it out of the answer, and what grows inside meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.statistics import bootstrap_interval
from mllm_probe.models import ProbeModel
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DRAW,
    EDIT,
    HIDDEN,
    LAYER,
    READ_LAYER,
    SAMPLE,
    SCOPE,
    STRENGTH,
    TOKEN,
)
from mllm_probe.steering.controls import CONCEPT as ITSELF
from mllm_probe.steering.controls import random_direction
from mllm_probe.studies.effect import effect
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts
from mllm_probe.sweeps import sweep

ANSWERING = "last_prompt+generated"
PLACES = (IMAGE, ANSWERING)
EDITS: Mapping[str, dict[str, Any]] = {
    "-1 vector": {"strengths": (-1.0,), "unit": "vector"},
    "-1 residual norm": {"strengths": (-1.0,), "unit": "residual"},
    "ablation": {"strengths": (1.0,), "operation": "ablate"},
}
GRIDS = tuple(f"{place}, {edit}" for place in PLACES for edit in EDITS)
DEPTHS = (0.25, 0.5, 0.75)
"""Relative depths of the blocks that are edited."""
SURGE = 1.2
"""How many times that of its control a change at the last block must be to be called a surge; fixed beforehand."""
_IMAGES, _DRAWS, _LONGEST = 8, 8, 8
_ACTIVATION, _LENS = "activation", "logit_lens"
_CHANGE, _ALONG, _NORM = "change", "along", "norm"
_HEADLINE = "-1 residual norm"


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
    that of random directions of the same size beside it, each read along its own direction.

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
        ``named_random``; ``logprob`` (concept minus random directions, nats, after the model's answer prefix, which is
        held fixed) with ``low``, ``high`` and ``clear``; ``n`` images whose unsteered answer names the concept.

        By read_layer too, at the last prompt token: ``change`` along the direction of the edit, in the residual
        stream's units, negative where the edit points, with ``change_random``, the mean size of that of a random
        direction along itself; ``change_in_spreads``, in standard deviations of unsteered images; ``lens``,
        ``lens_random``, ``lens_unsteered`` (log-probability of the concept's words by the logit lens, nats);
        ``norm``, ``norm_random`` (length of the residual stream over the unsteered one).

        ``surge`` (scope, edit_kind, layer): size of ``change`` at the last block over that of random directions,
        geometric mean over concepts, with ``surge_low``, ``surge_high`` (95 % bootstrap over concepts). Attributes
        ``summary`` and ``n_concepts``.

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
    rows = [[_measured(_grid(run, place, edit)) for edit in EDITS] for place in PLACES]
    joined = [xr.concat(row, xr.DataArray(list(EDITS), dims=EDIT, name=EDIT)) for row in rows]
    result = xr.concat(joined, xr.DataArray(list(PLACES), dims=SCOPE, name=SCOPE))
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    result = result.merge(_surges(result, seed)).assign_attrs(run.facts, surge_above=SURGE)
    return result.assign_attrs(summary=summary_of(result))


def _grid(run: StudyRuns, place: str, edit: str) -> xr.Dataset:
    """One kind of edit of every concept at every edited block, on images that show the concept."""

    def made(store: Path | None) -> xr.Dataset:
        parts = [_of_concept(run, one, place, edit, store) for one in run.concepts]
        return xr.concat(parts, CONCEPT, data_vars="minimal", coords="minimal", compat="override", join="override")

    return run.grid(f"{place}, {edit}", made)


def _of_concept(run: StudyRuns, concept: str, place: str, edit: str, store: Path | None) -> xr.Dataset:
    count = min(_IMAGES, *(len(one.positive) for one in run.others.values()))
    vectors = run.vectors(IMAGE, LAST_PROMPT).sel({CONCEPT: [concept]})
    grid = sweep(
        run.model, vectors, run.others[concept].positive[:count], run.prompt, layers=run.blocks_at(DEPTHS),
        tokens=place.split("+"), metrics=("logprob", "named"), controls=("random",), draws=_DRAWS, seed=run.seed,
        max_new_tokens=_LONGEST,
        record=(_ACTIVATION, _LENS), read_tokens=LAST_PROMPT, progress=False,
        store=None if store is None else store / f"{concept}.zarr", **EDITS[edit],
    )  # fmt: skip
    grid = _read_along_the_edit(grid, vectors, run.seed).drop_vars([_ACTIVATION, f"{_ACTIVATION}_unsteered", "text"])
    recorded = {name: (grid[name].dims, grid[name].values) for name in (_LENS, f"{_LENS}_unsteered")}
    return grid.assign(recorded).assign_coords({SAMPLE: np.arange(count)})


def _read_along_the_edit(grid: xr.Dataset, vectors: xr.Dataset, seed: int) -> xr.Dataset:
    """Put what is along the direction of each row's edit, and the length, in the place of the recorded activations."""
    directions = edited_directions(grid, vectors, seed)
    told, before = _on_host(grid[_ACTIVATION]), _on_host(grid[f"{_ACTIVATION}_unsteered"])
    found: dict[str, xr.DataArray] = {
        _CHANGE: ((told - before) * directions).sum(HIDDEN, skipna=False),
        _ALONG: (before * directions).sum(HIDDEN, skipna=False),
        _NORM: _length(told) / _length(before),
    }
    return grid.assign({name: (one.dims, one.values) for name, one in found.items()})


def edited_directions(grid: xr.Dataset, vectors: xr.Dataset, seed: int) -> xr.DataArray:
    """Unit vector of every row's edit as it is read at the last prompt token, the same at every block that is read.

    Parameters
    ----------
    grid : Dataset
        Of a sweep with random controls.
    vectors : Dataset
        Those it was run with: of the edited block, at the last prompt token.
    seed : int
        Of the sweep.

    Returns
    -------
    DataArray (concept, layer, control, draw, hidden), float64
        NaN where there is no row.
    """
    edited = vectors["vector"].sel({SCOPE: LAST_PROMPT, LAYER: grid[LAYER].values}).transpose(CONCEPT, LAYER, HIDDEN)
    own = edited.values.astype(np.float64)
    drawn = [random_direction(seed, draw, own.shape[-1]).numpy() for draw in range(grid.sizes[DRAW])]
    dims = (CONCEPT, LAYER, CONTROL, DRAW, HIDDEN)
    found = np.full((*own.shape[:2], grid.sizes[CONTROL], grid.sizes[DRAW], own.shape[-1]), np.nan)
    kinds = grid[CONTROL].values.tolist()
    found[:, :, kinds.index(ITSELF), 0] = own / np.linalg.norm(own, axis=-1, keepdims=True)
    found[:, :, kinds.index("random")] = np.stack(drawn)
    return xr.DataArray(found, dims=dims)


def _on_host(array: xr.DataArray) -> xr.DataArray:
    return array.copy(data=array.values)


def _length(activation: xr.DataArray) -> xr.DataArray:
    return (activation.astype(np.float64) ** 2).sum(HIDDEN, skipna=False) ** 0.5


def _measured(grid: xr.Dataset) -> xr.Dataset:
    """What one kind of edit does outside and inside (concept, layer[, read_layer])."""
    said = effect(grid, "logprob").isel({STRENGTH: 0}, drop=True)
    named = effect(grid, "named").isel({STRENGTH: 0}, drop=True)
    before = grid["named_unsteered"].where(grid["eligible"].isel({STRENGTH: 0}, drop=True)).mean(SAMPLE)
    outside = {
        "named": named["mean"],
        "named_unsteered": before,
        "named_random": named["control_mean"].sel({CONTROL: "random"}, drop=True),
        "logprob": said["difference"],
        "low": said["low"],
        "high": said["high"],
        "clear": said["clear_of_controls"],
        "n": said["n"],
    }
    found = xr.Dataset({name: one.reset_coords(drop=True) for name, one in outside.items()})
    return found.merge(_inside(grid), combine_attrs="drop")


def _inside(grid: xr.Dataset) -> xr.Dataset:
    """What later blocks hold at the last prompt token, images averaged."""
    grid = grid.isel({STRENGTH: 0, TOKEN: 0}, drop=True)
    change, norm = grid[_CHANGE], grid[_NORM]
    concept, random = {CONTROL: ITSELF, DRAW: 0}, {CONTROL: "random"}
    spread = grid[_ALONG].sel(concept, drop=True).std(SAMPLE, ddof=1)
    moved = change.sel(concept, drop=True)
    found = {
        "change": moved.mean(SAMPLE),
        "change_random": abs(change.sel(random, drop=True)).mean((DRAW, SAMPLE)),
        "change_in_spreads": moved.mean(SAMPLE) / spread,
        "lens": grid[_LENS].sel(concept, drop=True).mean(SAMPLE),
        "lens_random": grid[_LENS].sel(random, drop=True).mean((DRAW, SAMPLE)),
        "lens_unsteered": grid[f"{_LENS}_unsteered"].mean(SAMPLE),
        "norm": norm.sel(concept, drop=True).mean(SAMPLE),
        "norm_random": norm.sel(random, drop=True).mean((DRAW, SAMPLE)),
    }
    return xr.Dataset({name: one.reset_coords(drop=True).astype(np.float64) for name, one in found.items()})


def _surges(result: xr.Dataset, seed: int) -> xr.Dataset:
    """Size of the change at the last block over that of random directions, over concepts."""
    last = result.isel({READ_LAYER: -1}, drop=True)
    dims = (SCOPE, EDIT, LAYER)
    ratio = np.log((abs(last["change"]) / last["change_random"]).transpose(*dims, CONCEPT).values)
    low, high = bootstrap_interval(ratio, seed=seed)
    found = {"surge": ratio.mean(-1), "surge_low": low, "surge_high": high}
    return xr.Dataset({name: (dims, np.exp(values)) for name, values in found.items()})


def summary_of(study: xr.Dataset) -> str:
    """Say what a study of reverse steering shows, and what cannot be concluded from it.

    Parameters
    ----------
    study : Dataset
        From :func:`reverse_steering`.
    """
    lines = [f"{study.attrs['n_concepts']} concepts that the model tells apart, on images that show them."]
    for place in PLACES:
        lines += [_blocked(study.sel({SCOPE: place, EDIT: edit}), place, edit) for edit in EDITS]
    lines += [_grown(study), _read_again(study)]
    return "\n".join(lines + few_concepts(list(study[CATEGORY].values.astype(str))))


def _blocked(some: xr.Dataset, place: str, edit: str) -> str:
    layer = some[LAYER].values[int(np.nanargmin(some["logprob"].mean(CONCEPT).values))]
    one = some.sel({LAYER: layer})
    named, before, random = (float(one[name].mean()) for name in ("named", "named_unsteered", "named_random"))
    clear = int((one["clear"] & (one["logprob"] < 0)).sum())
    return (
        f"{place}, {edit}, block {layer}: answers name the concept in {named:.2f} (unsteered {before:.2f}, random "
        f"directions {random:.2f}); log-probability {float(one['logprob'].mean()):+.1f} nats against random, lower and "
        f"clear of them for {clear} of {one.sizes[CONCEPT]} concepts."
    )


def surging(study: xr.Dataset) -> xr.DataArray:
    """Where there is a surge by the definition, bool (scope, edit_kind, layer).

    Parameters
    ----------
    study : Dataset
        From :func:`reverse_steering`.
    """
    return (study["surge"] > study.attrs["surge_above"]) & (study["surge_low"] > 1)


def _grown(study: xr.Dataset) -> str:
    last = study.sel({SCOPE: ANSWERING})
    found, cell = surging(last), last.sel({EDIT: _HEADLINE})
    middle = cell.isel({LAYER: cell.sizes[LAYER] // 2})
    share = float(found.mean())
    verdict = "a surge" if share >= 0.8 else "no surge" if share <= 0.2 else "the settings disagree"
    return (
        f"Inside, edited at the last prompt token ({_HEADLINE}, block {int(middle[LAYER])}): at the last block "
        f"the change along the edit's own direction is {float(middle['surge']):.2f} times that of a random direction "
        f"[{float(middle['surge_low']):.2f}, {float(middle['surge_high']):.2f}]; above {SURGE} in {int(found.sum())} "
        f"of {found.size} settings: {verdict}."
    )


def _read_again(study: xr.Dataset) -> str:
    """How the lens goes on after ablation of the last token, and of the image tokens."""
    some = study.sel({EDIT: "ablation"}).isel({LAYER: 0})
    block = int(some[LAYER])
    words = []
    for place in (ANSWERING, IMAGE):
        own = some.sel({SCOPE: place})["lens"].mean(CONCEPT)
        words.append(f"{float(own.sel({READ_LAYER: block})):.1f} to {float(own[-1]):.1f} ({place} edited)")
    unsteered = float(some["lens_unsteered"].isel({SCOPE: 0, READ_LAYER: -1}).mean())
    return (
        f"Logit lens after ablation at block {block}, from there to the last block: {', '.join(words)}; unsteered "
        f"{unsteered:.1f} nats. What rises again after an edit of the last token alone is read from the image."
    )
