"""Reverse steering: whether steering against a concept keeps it out of the answer, and what is left of it inside."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.library import showing_images
from mllm_probe.metrics.statistics import LEAST_OF_MANY, LEVEL, t_interval
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
    READ_LAYER,
    SAMPLE,
    SCOPE,
    STRENGTH,
    TOKEN,
)
from mllm_probe.steering import Steering
from mllm_probe.steering.operations import CONCEPT as CONCEPT_DIRECTION
from mllm_probe.steering.operations import Affine, Number, Operation
from mllm_probe.studies.baselines import baseline_rows, baselines
from mllm_probe.studies.effect import effect
from mllm_probe.studies.multiverse import (
    ANSWERING,
    HALVES,
    PLACES,
    REVERSE,
    Labels,
    asked,
    conclusion,
    found,
    in_half,
    in_words,
    multiverse_rows,
)
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts
from mllm_probe.sweeps import sweep

EDITS = tuple(REVERSE.aspects[EDIT])
DEPTHS = tuple(REVERSE.aspects[DEPTH])
KINDS = tuple(REVERSE.again[CONTROL])
"""Kinds of edit, relative depths of the blocks that are edited, and controls, each read along its own direction."""
IMAGES, DRAWS = 6, 8
_LONGEST, _MOST_READ, _MOST_BYTES = 8, 8, 2**29
_ACTIVATION, _LENS = "activation", "logit_lens"


def _push_or_ablate(direction: torch.Tensor, dose: Number, negative: Number) -> Affine:
    """H + dose · v for negative doses; for positive ones, ablation: h − (h·v − μ₋) v."""
    size = torch.as_tensor(dose, dtype=direction.dtype, device=direction.device)
    gain = -(size > 0).to(direction.dtype)
    return Affine(direction, constant=size.clamp(max=0), along=direction, gain=gain, mean=negative)


_OPERATION = Operation("push_or_ablate", affine=_push_or_ablate, removes=True, uses=("negative",))


@dataclass(frozen=True)
class EditRun:
    """One sweep, and which strength of it is which kind of edit."""

    edits: Mapping[str, float]
    settings: Mapping[str, Any]


RUNS: Mapping[str, EditRun] = {
    # In residual units random directions are the same edit for every concept, and are run once for all of them.
    "residual": EditRun({"-1 residual norm": -1.0}, {"unit": "residual"}),
    # Subtraction and ablation are rows of one batch: alone, each is as long a chain of forward calls as both.
    "own": EditRun({"-1 vector": -1.0, "ablation": 1.0}, {"unit": "vector", "operation": _OPERATION}),
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

    `grid`, `seed`: of a sweep that recorded activations and the logit lens at the last prompt token. `vectors`,
    `probes`: of the grid's concepts there; by method ``"probe"``. `library`: whose images were run.

    Returns: ``change``, along the direction of a row's own edit; ``change_at_block``, along that direction as it is at
    the block that is read; ``spread`` (concept, layer, read_layer), standard deviation of the unsteered images along
    the concept's; ``norm``, length over the unsteered one; ``probe`` and ``probe_unsteered``, decision value of the
    probe from the mean of its negatives, in standard deviations of the unsteered images.
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
        of_probe = _along(every, self.weight).std(SAMPLE, ddof=1)
        variables = {
            "change": _along(change, self.along_edit),
            "change_at_block": _along(change, self.along_block),
            "spread": spread,
            "norm": _length(steered) / _length(before),
            "probe": (_along(steered, self.weight) - self.threshold) / of_probe,
            "probe_unsteered": (_along(before, self.weight) - self.threshold) / of_probe,
        }
        return {name: variable.reset_coords(drop=True) for name, variable in variables.items()}


def edited_directions(
    grid: xr.Dataset, vectors: xr.Dataset, seed: int, *, layers: Sequence[int] | None = None
) -> xr.DataArray:
    """Unit vector of every row's edit as it is read at the last prompt token.

    `grid`, `seed`: of a sweep. `vectors`: those it was run with, at the last prompt token. `layers`: where the vectors
    are taken; the grid's edited layers by default. Returns: NaN where there is no row.
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


PERSISTS, COMPENSATES, GROWS, SHRINKS = "persists", "compensates", "grows", "shrinks"
"""Words for what is left of an edit at the last block; :func:`reverse_steering` defines them."""
NO_SIGN, NOT_KNOWN = "has no sign", "not known"
_HEADLINE = REVERSE.headline[EDIT]
_ABLATION = EDITS[-1]


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
    """Ask whether steering against a concept keeps it out of the answer, and what is left of the edit inside.

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
        Of the split, the halves and the random directions.
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
        stream's units, negative where the edit points, and in standard deviations of unsteered images
        (``change_in_spreads``); ``change_at_block``, along the vector of the block that is read; ``ratio`` (…,
        control): what is left of the edit, positive with it and negative against it, over the mean size of what is left
        of the control's directions, each along itself; ``probe``, decision value of a probe for the concept, from the
        mean of its negatives and in standard deviations of unsteered images, and ``lens``, log-probability of the
        concept's words by the logit lens in nats, both with ``_unsteered``; ``norm`` (length of the residual stream
        over the unsteered one); of the last three ``_random`` and ``_orthogonal`` too.

        Of the last block, over concepts (scope, edit_kind, layer, control): ``ratio_mean`` with ``ratio_low``,
        ``ratio_high``, ``ratio_control``, the same of the control's own directions (1 where all of them keep their
        sign, as after every edit of the last prompt token), and ``outcome`` (scope, edit_kind, layer), in words.
        ``verdict`` (specification): ``ratio_mean - ratio_control`` of edits of the last prompt token, in every way of
        :data:`mllm_probe.studies.multiverse.REVERSE`, with what :func:`mllm_probe.studies.multiverse.asked` gives
        beside it. Attributes ``summary``, ``details`` and ``n_concepts``. Baselines (concept), on images that show it
        and with a sentence that denies it, as :func:`mllm_probe.studies.baselines.baselines` gives them.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, or vectors or grids are of another model.

    Notes
    -----
    What is left of an edit of the last prompt token is a share of its size at the edited block. An edit of the image
    tokens reaches that token later, so that it is given in the residual stream's units, and is not compared with the
    ablation of random directions, which has another size and sign in every image.

    An edit *persists* where the 95 % t interval over concepts of what is left of it at the last block lies above 0, and
    *compensates* where it lies below 0: the model then holds more of the concept than without the edit. Else it has no
    sign. One that persists *grows* where the interval of its ratio lies above that of random directions
    (``ratio_control``), and *shrinks* where it lies below. That interval is Welch's, with the spread over concepts and
    that over pairs ±r of random directions, since all concepts share the directions. Below 3 concepts nothing is said.

    Changes are read along the direction that was edited in, the same at every block: along each block's own concept
    vector a push that persists unchanged would look as if it faded, since these vectors turn from block to block. An
    edit of the last prompt token alone is no removal: later blocks go on reading the image, which the edit of image
    tokens shows.

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
    rows, lefts = zip(*(_measured_at(run, place) for place in PLACES), strict=True)
    result = xr.concat(rows, xr.DataArray(list(PLACES), dims=SCOPE, name=SCOPE))
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    ways = _in_every_way(run, lefts[PLACES.index(ANSWERING)])
    block = edited_blocks(run)[REVERSE.headline[DEPTH]]
    beside = baselines(run, run.vectors(IMAGE, LAST_PROMPT), ANSWERING.split("+"), block, strength=-1.0)
    result = result.merge(ways).merge(beside).assign_attrs(run.facts | ways.attrs | beside.attrs)
    return result.assign_attrs(words_of(result))


def _measured_at(run: StudyRuns, place: str) -> tuple[xr.Dataset, xr.DataArray]:
    """Effects of every kind of edit of these tokens (edit_kind, concept, layer[, read_layer]), and `what_is_left`."""
    probes = run.vectors(LAST_PROMPT, layers=read_blocks(run), method="probe", shuffled_draws=0)
    parts: dict[str, xr.Dataset] = {}
    lefts: dict[str, xr.DataArray] = {}
    for name, edits in RUNS.items():
        grid = reverse_grid(run, place, name, probes)
        for edit, dose in edits.edits.items():
            some = grid.sel({STRENGTH: [dose]})
            lefts[edit] = what_is_left(some.isel({STRENGTH: 0}, drop=True), place, edit, run.seed)
            parts[edit] = xr.merge([_measured(some), ratios(lefts[edit])], combine_attrs="drop")
    by_edit = xr.DataArray(list(EDITS), dims=EDIT, name=EDIT)
    return xr.concat([parts[edit] for edit in EDITS], by_edit), xr.concat([lefts[edit] for edit in EDITS], by_edit)


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
    return result.merge(_inside(grid.isel({STRENGTH: 0}, drop=True)), combine_attrs="drop")


def _inside(grid: xr.Dataset) -> xr.Dataset:
    """Measures of later blocks at the last prompt token, images averaged."""
    concept = {CONTROL: CONCEPT_DIRECTION, DRAW: 0}
    moved, at_block = (grid[name].sel(concept, drop=True).mean(SAMPLE) for name in ("change", "change_at_block"))
    variables = {
        "change": moved,
        "change_in_spreads": moved / grid["spread"],
        "change_at_block": at_block,
        "lens_unsteered": grid["logit_lens_unsteered"].mean(SAMPLE),
        "probe_unsteered": grid["probe_unsteered"].mean(SAMPLE),
    }
    for name, source in {"lens": "logit_lens", "norm": "norm", "probe": "probe"}.items():
        variables[name] = grid[source].sel(concept, drop=True).mean(SAMPLE)
        for kind in KINDS:
            variables[f"{name}_{kind}"] = grid[source].sel({CONTROL: kind}, drop=True).mean((DRAW, SAMPLE))
    return xr.Dataset(
        {name: variable.reset_coords(drop=True).astype(np.float64) for name, variable in variables.items()}
    )


def what_is_left(grid: xr.Dataset, place: str, edit: str, seed: int) -> xr.DataArray:
    """What is left of every row's edit along its own direction, images averaged; positive with the edit.

    `grid`: with ``change`` (concept, layer, control, draw, sample, read_layer), of one kind of edit. `place`: tokens
    that were edited, of ``PLACES``. `seed`: of the halves.

    Returns (half, concept, layer, control, draw, read_layer): of an edit of the last prompt token a share of its size
    there, else in the residual stream's units. NaN for controls of an ablation of the image tokens: an ablation has the
    size and the sign that the image has along a direction, and at the image tokens these are not recorded.
    """
    change = grid["change"].astype(np.float64)
    if place == ANSWERING:
        blocks = change[LAYER].values
        at_edit = xr.concat([change.sel({LAYER: block, READ_LAYER: block}, drop=True) for block in blocks], LAYER)
        at_edit = at_edit.assign_coords({LAYER: blocks})
        size, along = abs(at_edit), change * np.sign(at_edit)
    else:
        size, along = xr.ones_like(change), -change
        if edit == _ABLATION:
            along = along.where(along[CONTROL] == CONCEPT_DIRECTION)
    parts = []
    for half in HALVES:
        chosen = {SAMPLE: in_half(grid.sizes[SAMPLE], half, seed)}
        parts.append(along.isel(chosen).mean(SAMPLE) / size.isel(chosen).mean(SAMPLE))
    return xr.concat(parts, xr.DataArray(list(HALVES), dims=HALF, name=HALF)).reset_coords(drop=True)


def _beside(left: xr.DataArray, kind: str) -> tuple[xr.DataArray, xr.DataArray]:
    """What is left of concepts' edits (concept, …), and of a control's pairs ±r (draw, …), in sizes of the latter."""
    drawn = left.sel({CONTROL: kind}, drop=True)
    size = abs(drawn).mean(DRAW)
    own = left.sel({CONTROL: CONCEPT_DIRECTION, DRAW: 0}, drop=True) / size
    return own, (drawn.drop_vars(DRAW, errors="ignore").coarsen({DRAW: 2}).mean() / size).mean(CONCEPT)


def ratios(left: xr.DataArray) -> xr.Dataset:
    """Variables ``ratio``, ``ratio_mean``, ``ratio_low``, ``ratio_high``, ``ratio_control`` and ``outcome``.

    `left`: from :func:`what_is_left`.
    """
    left, parts = left.sel({HALF: HALVES[0]}, drop=True), []
    for kind in KINDS:
        own, drawn = _beside(left, kind)
        last, control = (part.isel({READ_LAYER: -1}, drop=True) for part in (own, drawn))
        half = _half_width(last.transpose(LAYER, CONCEPT).values, control.transpose(LAYER, DRAW).values)
        mean, half_width = last.mean(CONCEPT), xr.DataArray(half, dims=LAYER)
        ends = {"ratio_low": mean - half_width, "ratio_high": mean + half_width}
        parts.append(xr.Dataset({"ratio": own, "ratio_mean": mean, **ends, "ratio_control": control.mean(DRAW)}))
    result = xr.concat(parts, xr.DataArray(list(KINDS), dims=CONTROL, name=CONTROL))
    here = result.sel({CONTROL: KINDS[0]})
    kept = left.sel({CONTROL: CONCEPT_DIRECTION, DRAW: 0}).isel({READ_LAYER: -1}).transpose(LAYER, CONCEPT).values
    numbers = (*t_interval(kept), *(here[f"ratio_{name}"].values for name in ("low", "high", "control")))
    return result.assign(outcome=(LAYER, [outcome_of(*one) for one in zip(*numbers, strict=True)]))


def _half_width(own: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Half of Welch's 95 % interval of the mean of own [..., concept] minus that of drawn [..., draw]."""
    counts = (own.shape[-1], drawn.shape[-1])
    if counts[0] < LEAST_OF_MANY:
        return np.full(own.shape[:-1], np.nan)
    errors = [part.var(-1, ddof=1) / count for part, count in zip((own, drawn), counts, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        df = sum(errors) ** 2 / sum(error**2 / (count - 1) for error, count in zip(errors, counts, strict=True))
    half: np.ndarray = stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(sum(errors))
    return half


def outcome_of(low: float, high: float, ratio_low: float, ratio_high: float, control: float) -> str:
    """Words by the tests of :func:`reverse_steering`, from the intervals of what is left and of its ratio to random."""
    if not np.isfinite([low, high]).all():
        return NOT_KNOWN
    if low <= 0:
        return COMPENSATES if high < 0 else NO_SIGN
    beside = GROWS if ratio_low > control else SHRINKS if ratio_high < control else ""
    return f"{PERSISTS} and {beside}" if beside else PERSISTS


class _OverConcepts(Labels):
    """Concepts against directions of a control, exchanged with each other; what is concluded rests on the concepts."""

    def units(self, values: np.ndarray) -> int:
        """Concepts with a value."""
        return int(np.isfinite(values[self.first]).sum())


def _in_every_way(run: StudyRuns, left: xr.DataArray) -> xr.Dataset:
    """How much more is left of concepts' edits of the last prompt token than of a control's, in every way."""
    last, blocks = left.isel({READ_LAYER: -1}, drop=True), edited_blocks(run)

    def over(*, edit_kind: str, depth: float, control: str, half: str) -> np.ndarray:
        some = last.sel({EDIT: edit_kind, LAYER: blocks[depth], HALF: half}, drop=True)
        return np.concatenate([part.values for part in _beside(some, control)])

    units = len(run.concepts) + DRAWS // 2
    return asked(REVERSE, over, _OverConcepts(np.arange(units) < len(run.concepts)), seed=run.seed)


def words_of(study: xr.Dataset) -> dict[str, str]:
    """Attributes ``summary`` and ``details``: what a study of reverse steering shows, and what cannot be concluded.

    `study`: from :func:`reverse_steering`.
    """
    middle = study.isel({LAYER: study.sizes[LAYER] // 2}).sel({EDIT: _HEADLINE})
    last, image = (middle.sel({SCOPE: place}) for place in (ANSWERING, IMAGE))
    named, before, random = (float(last[name].mean()) for name in ("named", "named_unsteered", "named_random"))
    sentences = [
        f"Asked of {study.attrs['n_concepts']} concepts that the model tells apart, on images that show them: whether "
        "steering against a concept keeps it out of the answer, and what is left of the edit at the last block.",
        f"By {_HEADLINE} at block {int(middle[LAYER])} of the last prompt token, answers name the concept in "
        f"{named:.2f} (unsteered {before:.2f}, random directions {random:.2f}), and the edit {_left_text(last)}; of "
        f"the image tokens, it {_left_text(image)}; {found(study, capital=False)}",
        f"{conclusion(study).removesuffix('.')}; and nothing about the paper, whose measure of a surge is not known.",
    ]
    rows = [*_edit_rows(study), *_inside_rows(study, last), *multiverse_rows(study), *baseline_rows(study)]
    return in_words(sentences, rows + few_concepts(list(study[CATEGORY].values.astype(str))))


def _left_text(cell: xr.Dataset) -> str:
    """Outcome of one cell over concepts, with the ratio to random directions."""
    at = cell.sel({CONTROL: KINDS[0]})
    mean, low, high, control = (float(at[f"ratio_{name}"]) for name in ("mean", "low", "high", "control"))
    outcome = str(cell["outcome"].values)
    outcome = f"has no outcome below {LEAST_OF_MANY} concepts" if outcome == NOT_KNOWN else outcome
    if not np.isfinite(mean):
        return f"{outcome} (not comparable with random directions)"
    interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
    return f"{outcome}: {mean:+.2f}{interval} of the size that random directions leave (which have {control:+.2f})"


def _edit_rows(study: xr.Dataset) -> Iterator[tuple[str, str]]:
    """Rows about every edit: the answers where it does most to the concept's words, and what is left of it."""
    for place, edit in itertools.product(PLACES, EDITS):
        some = study.sel({SCOPE: place, EDIT: edit})
        at = some.isel({LAYER: int(np.nanargmin(some["logprob"].mean(CONCEPT).values))})
        named, before, random = (float(at[name].mean()) for name in ("named", "named_unsteered", "named_random"))
        clear = int((at["clear"] & (at["logprob"] < 0)).sum())
        yield (
            f"answers, {place}, {edit}",
            f"block {int(at[LAYER])}: name the concept in {named:.2f} (unsteered {before:.2f}, random directions "
            f"{random:.2f}); log-probability {float(at['logprob'].mean()):+.1f} nats against random, lower and clear "
            f"of them for {clear} of {at.sizes[CONCEPT]} concepts",
        )
        cells = (some.isel({LAYER: number}) for number in range(some.sizes[LAYER]))
        text = "; ".join(f"block {int(cell[LAYER])} {_left_text(cell)}" for cell in cells)
        yield f"left at the last block, {place}, {edit}", text


def _inside_rows(study: xr.Dataset, middle: xr.Dataset) -> list[tuple[str, str]]:
    """Rows about the probe at the last block, and the lens after ablation of the last token and of the image."""
    at = middle.isel({READ_LAYER: -1})
    probes = [float(at[f"probe{kind}"].mean()) for kind in ("", "_unsteered", "_random", "_orthogonal")]
    ablated = study.sel({EDIT: _ABLATION}).isel({LAYER: 0})
    block = int(ablated[LAYER])
    ends = ablated["lens"].mean(CONCEPT).sel({READ_LAYER: [block, int(study[READ_LAYER][-1])]})
    curves = [f"{first:.1f} to {last:.1f} ({place})" for place, (first, last) in zip(PLACES, ends.values, strict=True)]
    unsteered = float(ablated["lens_unsteered"].isel({SCOPE: 0, READ_LAYER: -1}).mean())
    return [
        (
            f"probe at the last block, {ANSWERING}, {_HEADLINE}",
            "{:+.1f} standard deviations of unsteered images from those without the concept (unsteered {:+.1f}, random "
            "directions {:+.1f}, orthogonal ones {:+.1f})".format(*probes),
        ),
        (
            f"logit lens after ablation at block {block}",
            f"from there to the last block {', '.join(curves)}; "
            f"unsteered {unsteered:.1f} nats: what rises again after an edit of the last token is read from the image",
        ),
    ]
