"""Reliability: on which share of the images steering works at all, what foretells it, and whether prompts share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe.activations import capture
from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.metrics.metric import chance, signed
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
from mllm_probe.studies.baselines import baseline_rows, baselines
from mllm_probe.studies.effect import LARGEST_P
from mllm_probe.studies.multiverse import (
    PERMUTATIONS,
    RELIABILITY,
    Pairing,
    asked,
    conclusion,
    found,
    in_half,
    in_words,
    multiverse_rows,
)
from mllm_probe.studies.readout import LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts, mean_text
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
        layer): ``split_half_cosine``, ``pair_cosine`` (mean cosine of the differences of two pairs), ``separation`` (d′
        along the vector, on images that did not make it) and ``norm`` (over the residual stream's). By predictor, at
        the ``headline_layer``: ``foretells`` (Spearman's ρ with steerability over concepts) with ``rho_low``,
        ``rho_high`` (95 % of each by itself), ``foretells_p`` (by permutation of the largest of the four, so that of
        four predictors of nothing one has p ≤ .05 in one study of twenty), and ``foretells_anti`` (with the share of
        anti-steerable images). ``transfer`` (asked): Spearman's ρ over concepts and images between slopes under the
        study's prompt and under another one. ``style_transfer`` (style): ρ over concepts between mean slopes on images
        in a style and on images in other ones. ``verdict`` (specification): ρ of predictors with steerability, in every
        way of :data:`mllm_probe.studies.multiverse.RELIABILITY`, with what :func:`mllm_probe.studies.multiverse.asked`
        gives beside it. Attributes ``headline_layer``, ``summary``, ``details``, ``n_concepts``. Baselines (concept) as
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
    result = result.merge(_foretold(result.sel({LAYER: layer}), seed))
    slopes = result["slope"].sel({LAYER: layer})
    result = result.assign(transfer=_transfer(run, vectors, layer, slopes))
    result = result.assign(style_transfer=_between_styles(run, slopes))
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    beside = baselines(run, vectors, (LAST_PROMPT,), layer)
    ways = _in_every_way(run, result)
    result = result.merge(beside).merge(ways)
    result = result.assign_attrs(run.facts | beside.attrs | ways.attrs, headline_layer=layer)
    return result.assign_attrs(words_of(result))


def _in_every_way(run: StudyRuns, result: xr.Dataset) -> xr.Dataset:
    """Rank correlation of every predictor with the mean slope of half of the images, in every way."""

    def both(predictor: str, depth: float, half: str) -> np.ndarray:
        layer = run.blocks_at((depth,))[0]
        slopes = result["slope"].sel({LAYER: layer}).transpose(CONCEPT, SAMPLE).values
        chosen = in_half(slopes.shape[1], half, run.seed)
        return np.stack([result[predictor].sel({LAYER: layer}).values, mean(slopes[:, chosen])])

    return asked(RELIABILITY, both, Pairing(_FEWEST_RANKED), seed=run.seed)


def slope_over_doses(scores: xr.DataArray, unsteered: xr.DataArray) -> xr.DataArray:
    """Slope of the straight line through a score at several doses, by least squares.

    `unsteered`: the score at dose 0; dimensions of ``scores`` without the dose. Returns: without dimension strength;
    NaN where a score is missing.
    """
    at_zero = xr.zeros_like(scores.isel({STRENGTH: [0]})).assign_coords({STRENGTH: [0.0]}) + unsteered
    whole = xr.concat([scores, at_zero], STRENGTH, coords="minimal", compat="override", join="override")
    dose = whole[STRENGTH] - whole[STRENGTH].mean()
    return (whole.astype(np.float64) * dose).sum(STRENGTH, skipna=False) / (dose**2).sum()


def _every_slope(grid: xr.Dataset) -> xr.DataArray:
    """Slopes of the images on which a concept is steered, of vectors and controls."""
    scores, unsteered = grid[_METRIC], grid[f"{_METRIC}_unsteered"]
    if "eligible" in grid:
        scores = scores.where(grid["eligible"].any(STRENGTH))
    return slope_over_doses(scores, unsteered)


def _own(slope: xr.DataArray) -> xr.DataArray:
    return slope.sel({CONTROL: CONCEPT_DIRECTION, DRAW: 0}, drop=True).transpose(CONCEPT, LAYER, SAMPLE)


def _slopes(grid: xr.Dataset) -> xr.Dataset:
    slope = _every_slope(grid)
    steered = _own(slope)
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


def _foretold(here: xr.Dataset, seed: int) -> xr.Dataset:
    """Rank correlation over concepts of each predictor with steerability, and with anti-steerable images."""
    both = np.stack([np.stack([here[name].values, here["steerability"].values]) for name in PREDICTORS])
    drawn = np.abs(Pairing(_FEWEST_RANKED).drawn(both, PERMUTATIONS, seed))
    # Westfall and Young, "Resampling-Based Multiple Testing" (1993): the largest of all under each permutation.
    largest = np.nan_to_num(drawn).max(1)
    p = np.where(np.isfinite(drawn[0]), (largest[:, None] >= drawn[0] - 1e-9).mean(0), np.nan)
    rows = []
    for name in PREDICTORS:
        rho, low, high = rank_correlation(here[name].values, here["steerability"].values)
        anti, _, _ = rank_correlation(here[name].values, here["anti_steerable"].values)
        rows.append((rho, low, high, anti))
    columns = np.array(rows).T
    names = ("foretells", "rho_low", "rho_high", "foretells_anti")
    data = {name: (PREDICTOR, column) for name, column in zip(names, columns, strict=True)}
    data["foretells_p"] = (PREDICTOR, p)
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
            tokens=(LAST_PROMPT,), metrics=(_METRIC,), controls=(), seed=run.seed, progress=run.progress,
        ).sel({CONCEPT: run.concepts})  # fmt: skip
        again = _own(_every_slope(grid)).isel({LAYER: 0})
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


def _styles_text(study: xr.Dataset) -> str:
    known = study["style_transfer"].dropna(STYLE)
    if not known.sizes[STYLE]:
        return "not known: the library has no two styles whose images say so, or too few other concepts"
    shared = ", ".join(f"{float(rho):.2f} ({rho[STYLE].item()})" for rho in known)
    return f"slopes correlate over concepts with those on images in other styles by ρ {shared}"


def words_of(study: xr.Dataset) -> dict[str, str]:
    """Attributes ``summary`` and ``details``: how reliable steering is, what foretells it, and what is open.

    `study`: from :func:`reliability`.
    """
    layer = study.attrs["headline_layer"]
    here = study.sel({LAYER: layer})
    anti, random = here["anti_steerable"], float(here["anti_random"].mean())
    often = [str(name) for name in study[CONCEPT].values[anti.values > 0.1]]
    sentences = [
        f"Asked of {study.attrs['n_concepts']} concepts that the model tells apart, last prompt token: on how many "
        "images steering works the wrong way, and whether what is known of a vector before foretells its steerability.",
        f"Wrong way on {float(anti.mean()):.1%} of the images on average (random directions {random:.0%}), on more "
        f"than one in ten for {len(often)} concepts; {found(study, capital=False)}",
        conclusion(study),
    ]
    rows = [
        ("block", f"{layer}, the one with the largest mean slope"),
        ("mean slope", f"{mean_text(here['steerability'].values, 'nats per residual norm')}; random directions "
         f"{float(here['slope_random'].mean()):+.1f}"),
    ]  # fmt: skip
    rows += [("wrong way on more than one image in ten", ", ".join(often))] if often else []
    rows += [(name, _foretelling(study.sel({PREDICTOR: name}))) for name in PREDICTORS]
    if study.sizes.get(PROMPT):
        shared = ", ".join(
            f"{signed(float(study['transfer'].sel({PROMPT: p})), 2)} ({p})" for p in study[PROMPT].values
        )
        rows.append(("other prompts", f"slopes correlate with these by ρ {shared}"))
    rows += [("other styles", _styles_text(study)), *multiverse_rows(study), *baseline_rows(study)]
    return in_words(sentences, rows + few_concepts(list(study[CATEGORY].values.astype(str))))


def _foretelling(row: xr.Dataset) -> str:
    """What one predictor says of steerability, with its p among the four."""
    rho, p = float(row["foretells"]), float(row["foretells_p"])
    if not np.isfinite(rho):
        return f"not known, fewer than {_FEWEST_RANKED} concepts have it, or all have the same"
    interval = f"[{float(row['rho_low']):+.2f}, {float(row['rho_high']):+.2f}]"
    verdict = "does not foretell steerability"
    if p <= LARGEST_P:
        verdict = "foretells steerability" if rho > 0 else "foretells the opposite of steerability"
    return f"{verdict} (Spearman's ρ {rho:+.2f} {interval}, p {chance(p)} as one of {len(PREDICTORS)})"
