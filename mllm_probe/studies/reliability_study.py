"""Reliability: on which share of the images steering works at all, what foretells it, and whether prompts share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe.activations import capture
from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.metrics.metric import signed
from mllm_probe.metrics.statistics import LEVEL, mean, wilson_interval
from mllm_probe.models import ProbeModel
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DRAW,
    HIDDEN,
    LAYER,
    PREDICTOR,
    PROMPT,
    SAMPLE,
    SCOPE,
    STRENGTH,
    STYLE,
)
from mllm_probe.steering.operations import CONCEPT as CONCEPT_DIRECTION
from mllm_probe.studies.baselines import baseline_lines, baselines
from mllm_probe.studies.multiverse import RELIABILITY, asked, counted, in_half
from mllm_probe.studies.readout import LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts
from mllm_probe.sweeps import sweep

DOSES = "doses"
GRIDS = (DOSES,)
"""Names under which ``grids=`` takes what was run already."""
STRENGTHS = (-1.0, -0.5, 0.5, 1.0)
"""In residual norms; the unsteered score is the fifth point of the line."""
PREDICTORS = ("split_half_cosine", "pair_cosine", "separation", "norm")
_IMAGES, _DRAWS, _METRIC = 12, 8, "logprob"
_PROMPTS, _FEWEST_RANKED = 3, 4
STYLES = "visual_style"
"""Category whose concepts are styles of whole images."""


def reliability(
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
    """Ask of how many images the mean effect of steering speaks, and what foretells it.

    On every image without the concept, the log-probability of the concept's words is a line over the doses; its slope
    is how far that image is steered. Images with a negative slope are anti-steerable: a mean effect hides them.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary, optional
        That of a bundled model by default. Concepts that the model does not tell apart are left out.
    vectors : Dataset, optional
        From :func:`mllm_probe.concept_vectors` with scope ``"last_prompt"``; made of half of the library's images by
        default.
    grids : mapping of str to Dataset, optional
        What was run already: ``"doses"``, of :func:`mllm_probe.sweep` with negative and positive strengths.
    prompt : str, optional
    seed : int
        Of the split and the random directions.
    store : str or Path, optional
        Folder for the grid, from which a stopped study goes on.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        ``slope`` (concept, layer, sample), nats per residual norm, of the last prompt token; ``slope_random`` (concept,
        layer, draw, sample), that of random directions. Per (concept, layer): ``steerability`` (mean slope),
        ``anti_steerable`` (share of images with a negative slope) with ``anti_low``, ``anti_high`` (95 % Wilson), and
        ``anti_random``, the same share of random directions. What is known of a vector before steering (concept,
        layer): ``split_half_cosine``, ``pair_cosine`` (mean cosine of the differences of two pairs), ``separation``
        (d′ along the vector, on images that did not make it) and ``norm`` (over the residual stream's). By predictor,
        at the ``headline_layer``: ``foretells`` (Spearman's ρ with steerability over concepts) with ``rho_low``,
        ``rho_high``, and ``foretells_anti`` (with the share of anti-steerable images). ``transfer`` (asked): Spearman's
        ρ over concepts and images between slopes under the study's prompt and under another one. ``style_transfer``
        (style): ρ over concepts between mean slopes on images in a style and on images in other ones. ``verdict``
        (specification), with ``setting``: ρ of predictors with steerability, in every way of
        :data:`mllm_probe.studies.multiverse.RELIABILITY`. Attributes
        ``headline_layer``, ``summary``, ``n_concepts``. Baselines (concept) as
        :func:`mllm_probe.studies.baselines.baselines` gives them.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, or vectors or grids are of another model.

    References
    ----------
    Tan et al., "Analysing the Generalisation and Reliability of Steering Vectors", arXiv 2407.12404: slopes by example
    and anti-steerable examples (figure 1), and predictors of steerability.
    """
    run = StudyRuns(
        "reliability", GRIDS, model, library, vectors=vectors, grids=grids, prompt=prompt, seed=seed, store=store,
        progress=progress,
    )  # fmt: skip
    nothing = run.nothing()
    if nothing is not None:
        return nothing
    vectors = run.vectors(LAST_PROMPT)
    grid = run.swept(
        DOSES, vectors, run.images_without(_IMAGES), strengths=STRENGTHS, tokens=(LAST_PROMPT,), metrics=(_METRIC,),
        controls=("random",), draws=_DRAWS,
    )  # fmt: skip
    result = xr.merge([_slopes(grid), _known_before(run, vectors)], combine_attrs="drop", join="left")
    # The layer is that of the largest mean slope: chosen on the mean, and reported on the spread around it.
    layer = int(result["steerability"].mean(CONCEPT).idxmax(LAYER))
    result = result.merge(_foretold(result.sel({LAYER: layer})))
    slopes = result["slope"].sel({LAYER: layer})
    result = result.assign(transfer=_transfer(run, vectors, layer, slopes))
    result = result.assign(style_transfer=_between_styles(run, slopes))
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    beside = baselines(run, vectors, (LAST_PROMPT,), layer)
    ways = _in_every_way(run, result)
    result = result.merge(beside).merge(ways)
    result = result.assign_attrs(run.facts | beside.attrs | ways.attrs, headline_layer=layer)
    return result.assign_attrs(summary=summary_of(result))


def _in_every_way(run: StudyRuns, result: xr.Dataset) -> xr.Dataset:
    """Rank correlation of every predictor with the mean slope of half of the images, in every way."""

    def both(predictor: str, depth: float, half: str) -> tuple[np.ndarray, np.ndarray]:
        layer = run.blocks_at((depth,))[0]
        slopes = result["slope"].sel({LAYER: layer}).transpose(CONCEPT, SAMPLE).values
        chosen = in_half(slopes.shape[1], half)
        return result[predictor].sel({LAYER: layer}).values, mean(slopes[:, chosen])

    ways = asked(RELIABILITY, lambda **way: rank_correlation(*both(**way))[0])
    return ways.assign_attrs(headline_p=rank_permutation_p(*both(**RELIABILITY.headline), seed=run.seed))


def rank_permutation_p(left: np.ndarray, right: np.ndarray, *, permutations: int = 9999, seed: int = 0) -> float:
    """Two-sided p of Spearman's ρ of 0, by permutation.

    `left`, `right` (float array [concept]): pairs with NaN do not count. Returns: NaN where ρ is.
    """
    known = np.isfinite(left) & np.isfinite(right)
    ranks = [stats.rankdata(side[known]) for side in (left, right)]
    if known.sum() < _FEWEST_RANKED or any(np.ptp(side) == 0 for side in ranks):
        return np.nan
    first, second = (side - side.mean() for side in ranks)
    drawn = np.random.default_rng(seed).permuted(np.tile(second, (permutations, 1)), axis=1) @ first
    return float((1 + (np.abs(drawn) >= abs(first @ second) - 1e-9).sum()) / (1 + permutations))


def slope_over_doses(scores: xr.DataArray, unsteered: xr.DataArray) -> xr.DataArray:
    """Slope of the straight line through a score at several doses, by least squares.

    `unsteered`: the score at dose 0; dimensions of ``scores`` without the dose. Returns: without dimension strength;
    NaN where a score is missing.
    """
    at_zero = xr.zeros_like(scores.isel({STRENGTH: [0]})).assign_coords({STRENGTH: [0.0]}) + unsteered
    whole = xr.concat([scores, at_zero], STRENGTH, coords="minimal", compat="override", join="override")
    dose = whole[STRENGTH] - whole[STRENGTH].mean()
    return (whole.astype(np.float64) * dose).sum(STRENGTH, skipna=False) / (dose**2).sum()


def _slopes(grid: xr.Dataset) -> xr.Dataset:
    scores, unsteered = grid[_METRIC], grid[f"{_METRIC}_unsteered"]
    if "eligible" in grid:
        scores = scores.where(grid["eligible"].any(STRENGTH))
    slope = slope_over_doses(scores, unsteered)
    steered = slope.sel({CONTROL: CONCEPT_DIRECTION, DRAW: 0}, drop=True).transpose(CONCEPT, LAYER, SAMPLE)
    drawn = slope.sel({CONTROL: "random"}, drop=True).transpose(CONCEPT, LAYER, DRAW, SAMPLE)
    n, anti = steered.notnull().sum(SAMPLE), (steered < 0).sum(SAMPLE)
    low, high = wilson_interval(anti.values, n.values)
    variables = {
        "slope": steered,
        "slope_random": drawn,
        "steerability": steered.mean(SAMPLE),
        "anti_steerable": anti / n,
        "anti_low": (anti.dims, np.asarray(low)),
        "anti_high": (anti.dims, np.asarray(high)),
        "anti_random": (drawn < 0).sum((DRAW, SAMPLE)) / drawn.notnull().sum((DRAW, SAMPLE)),
    }
    return xr.Dataset({name: variable.reset_coords(drop=True) if isinstance(variable, xr.DataArray) else variable
                       for name, variable in variables.items()})  # fmt: skip


def _known_before(run: StudyRuns, vectors: xr.Dataset) -> xr.Dataset:
    """Measures of every vector before any steering (concept, layer)."""
    here = vectors.sel({SCOPE: LAST_PROMPT}, drop=True)
    vector = here["vector"].copy(data=here["vector"].values).astype(np.float64)
    length = (vector**2).sum(HIDDEN) ** 0.5
    unit = vector / length
    pairs, apart = [], []
    for name, concept in run.others.items():
        with_it, without = (_activations(run, side) for side in (concept.positive, concept.negative))
        pairs.append(_pair_cosine(with_it, without))
        along = [(side * unit.sel({CONCEPT: name}, drop=True)).sum(HIDDEN) for side in (with_it, without)]
        pooled = sum(side.var(SAMPLE, ddof=1) for side in along) / 2
        apart.append((along[0].mean(SAMPLE) - along[1].mean(SAMPLE)) / pooled**0.5)
    names = xr.DataArray(list(run.others), dims=CONCEPT, name=CONCEPT)
    variables = {
        "split_half_cosine": here["split_half_cosine"],
        "pair_cosine": xr.concat(pairs, names),
        "separation": xr.concat(apart, names),
        "norm": length / here["residual_norm"],
    }
    return xr.Dataset(
        {name: variable.reset_coords(drop=True).astype(np.float64) for name, variable in variables.items()}
    )


def _activations(run: StudyRuns, images: Sequence[Picture]) -> xr.DataArray:
    """At the last prompt token (sample, layer, hidden), float64."""
    acts = capture(run.model, images, run.prompt, tokens=LAST_PROMPT)["activation"]
    values = np.asarray(acts.values, np.float64)
    array = xr.DataArray(values, dims=acts.dims, coords={LAYER: acts[LAYER].values})
    return array.squeeze([dim for dim in array.dims if dim not in (SAMPLE, LAYER, HIDDEN)], drop=True)


def _pair_cosine(with_it: xr.DataArray, without: xr.DataArray) -> xr.DataArray:
    """Mean cosine between the differences of two pairs (layer); NaN for images that are no pairs."""
    if with_it.sizes[SAMPLE] != without.sizes[SAMPLE]:
        return xr.full_like(with_it.isel({SAMPLE: 0, HIDDEN: 0}, drop=True), np.nan)
    difference = with_it - without
    unit = difference / (difference**2).sum(HIDDEN) ** 0.5
    count, total = unit.sizes[SAMPLE], unit.sum(SAMPLE)
    return ((total**2).sum(HIDDEN) - count) / (count * (count - 1))


def _foretold(here: xr.Dataset) -> xr.Dataset:
    """Rank correlation over concepts of each predictor with steerability, and with anti-steerable images."""
    rows = []
    for name in PREDICTORS:
        rho, low, high = rank_correlation(here[name].values, here["steerability"].values)
        anti, _, _ = rank_correlation(here[name].values, here["anti_steerable"].values)
        rows.append((rho, low, high, anti))
    columns = np.array(rows).T
    names = ("foretells", "rho_low", "rho_high", "foretells_anti")
    data = {name: (PREDICTOR, column) for name, column in zip(names, columns, strict=True)}
    return xr.Dataset(data, {PREDICTOR: list(PREDICTORS)})


def rank_correlation(first: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Spearman's ρ with its 95 % interval by Fisher's transformation.

    `first`, `other` (float array [n]): pairs with a NaN do not count. Returns: NaN with fewer than four pairs, or where
    one side does not vary.

    Bonett and Wright, Psychometrika 65 (2000): variance (1 + ρ²/2) / (n − 3).
    """
    known = np.isfinite(first) & np.isfinite(other)
    first, other = first[known], other[known]
    if len(first) < _FEWEST_RANKED or np.ptp(first) == 0 or np.ptp(other) == 0:
        return np.nan, np.nan, np.nan
    rho = float(stats.spearmanr(first, other).statistic)
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt((1 + rho**2 / 2) / (len(first) - 3))
    middle = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    return rho, float(np.tanh(middle - half)), float(np.tanh(middle + half))


def _transfer(run: StudyRuns, vectors: xr.Dataset, layer: int, slopes: xr.DataArray) -> xr.DataArray:
    """Rank correlation of the slopes under the study's prompt with those under other prompts (asked)."""
    default = run.model.default_prompt if run.prompt is None else run.prompt
    prompts = [prompt for prompt in run.model.suggestions if prompt != default][:_PROMPTS]
    correlations = []
    for other in prompts:
        grid = sweep(
            run.model, vectors, run.images_without(_IMAGES), other, layers=[layer], strengths=STRENGTHS,
            tokens=(LAST_PROMPT,), metrics=(_METRIC,), controls=("random",), draws=4, seed=run.seed,
            progress=run.progress,
        ).sel({CONCEPT: run.concepts})  # fmt: skip
        again = _slopes(grid)["slope"].isel({LAYER: 0})
        correlations.append(rank_correlation(slopes.values.ravel(), again.values.ravel())[0])
    return xr.DataArray(np.array(correlations, np.float64), {PROMPT: prompts}, (PROMPT,))


def _between_styles(run: StudyRuns, slopes: xr.DataArray) -> xr.DataArray:
    """Rank correlation over concepts of mean slopes on images in a style with those on images in others (style).

    Styles are the library's concepts of that category; of the concepts that are steered, these themselves do not count.
    """
    images = run.images_without(_IMAGES)
    pictures = images.pictures if isinstance(images, ConceptLibrary) else images
    styles = [name for name in run.concepts if run.others[name].category == STYLES]
    labels = {image.id: image.labels or frozenset() for image in pictures}
    shown = [labels.get(str(name), frozenset()) for name in slopes[SAMPLE].values]
    others = slopes.sel({CONCEPT: [name for name in run.concepts if name not in styles]})
    correlations = []
    for style in styles:
        inside = [style in image_styles for image_styles in shown]
        outside = [style not in image_styles and bool(image_styles & set(styles)) for image_styles in shown]
        means = [others.isel({SAMPLE: np.flatnonzero(side)}).mean(SAMPLE).values for side in (inside, outside)]
        correlations.append(rank_correlation(*means)[0])
    return xr.DataArray(np.array(correlations, np.float64), {STYLE: styles}, (STYLE,))


def _styles_line(study: xr.Dataset) -> str:
    known = study["style_transfer"].dropna(STYLE)
    if not known.sizes[STYLE]:
        return (
            "Transfer to other styles is not known: the library has no two styles whose images say so, or too few "
            "other concepts."
        )
    shared = ", ".join(f"{float(rho):.2f} ({rho[STYLE].item()})" for rho in known)
    return f"Slopes on images in one style correlate over concepts with those in other styles by ρ {shared}."


def summary_of(study: xr.Dataset) -> str:
    """Say how reliable steering is, what foretells it, and what cannot be concluded.

    `study`: from :func:`reliability`.
    """
    layer = study.attrs["headline_layer"]
    here = study.sel({LAYER: layer})
    anti, random = here["anti_steerable"], here["anti_random"]
    often = [str(name) for name in study[CONCEPT].values[anti.values > 0.1]]
    lines = [
        f"{study.attrs['n_concepts']} concepts that the model tells apart, last prompt token, block {layer}: mean "
        f"slope {float(here['steerability'].mean()):+.1f} nats per residual norm (over concepts "
        f"{float(here['steerability'].min()):+.1f} to {float(here['steerability'].max()):+.1f}; random directions "
        f"{float(here['slope_random'].mean()):+.1f}).",
        f"Anti-steerable: {float(anti.mean()):.1%} of the images on average (random directions "
        f"{float(random.mean()):.0%}), more than one in ten for {len(often)} concepts"
        + (f" ({', '.join(often[:8])})." if often else "."),
    ]
    for name in PREDICTORS:
        row = study.sel({PREDICTOR: name})
        low, high = float(row["rho_low"]), float(row["rho_high"])
        if not np.isfinite(row["foretells"]):
            lines.append(f"{name}: not known, fewer than {_FEWEST_RANKED} concepts have it, or all have the same.")
            continue
        verdict = "foretells steerability" if low > 0 else "foretells its opposite" if high < 0 else "foretells nothing"
        lines.append(f"{name}: {verdict} (Spearman's ρ {float(row['foretells']):+.2f} [{low:+.2f}, {high:+.2f}]).")
    if study.sizes.get(PROMPT):
        shared = ", ".join(
            f"{signed(float(study['transfer'].sel({PROMPT: p})), 2)} ({p})" for p in study[PROMPT].values
        )
        lines.append(f"Slopes under other prompts correlate with these by ρ {shared}.")
    lines += [_styles_line(study), counted(study), *baseline_lines(study)]
    return "\n".join(lines + few_concepts(list(study[CATEGORY].values.astype(str))))
