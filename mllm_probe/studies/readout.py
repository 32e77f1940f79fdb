"""Read-out profile: which blocks and image tokens move a concept to the answer, and the recovered share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe import schema
from mllm_probe.metrics.statistics import LEVEL, ratio_interval
from mllm_probe.models.argument_checks import described, finite_number, require_one_of, whole_number
from mllm_probe.schema import CONTROL, DIRECTION, DIRECTIONS, GROUP, LAYER, SAMPLE
from mllm_probe.studies.effect import value_by_image
from mllm_probe.typing import DataVariables

FEWEST = 6
"""With fewer pairs (or concepts of a category for an interval, 3) nothing is concluded."""
_FEWEST_CONCEPTS = 3
_CELL = (schema.LAYER, schema.GROUP, schema.CONTROL)


def recovered(
    grid: xr.Dataset,
    metric: str = "logprob",
    *,
    by: str = schema.CONCEPT,
    minimum_gap: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Share of the difference between source and base that a patch recovers: Σ(patched − base) / Σ(source − base).

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.patch`.
    metric : str
        One of its metrics.
    by : {"concept", "category"}
        One ratio per concept, or the mean over the concepts of each category.
    minimum_gap : float, optional
        Pairs whose source and base differ by less than this, in the metric's unit and in the direction of the patch,
        are left out and counted; the grid's own by default.
    seed : int
        Of the resampling.

    Returns
    -------
    Dataset
        ``recovered``, ``low`` and ``high`` (concept or category, layer, group, direction, control), float64: 0 where
        the patch changes nothing, 1 where it brings the whole difference. ``n`` and ``below_gap`` (concept or
        category, direction): pairs that count and that do not; with fewer than 6, the ratio is NaN. Of a category,
        ``concepts`` says how many concepts have a ratio.

    Raises
    ------
    ValueError
        If the dataset is no patch, or lacks the metric.

    Notes
    -----
    Intervals of 95 %. Of a concept: studentised bootstrap over its pairs, both sums resampled together. Of a category:
    t interval of the mean over its concepts, whose spread holds the noise of their pairs too (a bootstrap over few
    concepts is too short); NaN with fewer than 3.
    """
    require_one_of("by", by, (schema.CONCEPT, schema.CATEGORY))
    moved, gap, least = moved_and_gap(grid, metric, minimum_gap)
    result = _by_concept(moved, gap, least, whole_number("seed", seed))
    if by == schema.CATEGORY:
        result = _by_category(result, [str(name) for name in grid[schema.CATEGORY].values])
    label = grid[metric].attrs.get("long_name", metric)
    result["recovered"].attrs |= {"long_name": f"recovered share of the {label}", "units": "1"}
    return result.assign_attrs(
        {**grid.attrs, "metric": metric, "minimum_gap": least, "by": by, "interval": _INTERVALS[by], "level": LEVEL}
    )


def moved_and_gap(
    grid: xr.Dataset, metric: str, minimum_gap: float | None = None
) -> tuple[xr.DataArray, xr.DataArray, float]:
    """Parts of a recovered share: patched − base, source − base, and the least size of the latter.

    `grid`, `metric`, `minimum_gap`: as for :func:`recovered`. Returns `gap`: both positive where the score goes the way
    that the patch is meant to move it. Returns `least`: pairs with a smaller gap do not count.
    """
    names = (metric, f"{metric}_base", f"{metric}_source")
    schema.require(grid, *names, dims=(schema.CONCEPT, schema.GROUP, schema.DIRECTION), what="the grid of mp.patch")
    schema.require_values(grid, schema.DIRECTION, "the grid of mp.patch")
    least = finite_number("minimum_gap", grid.attrs.get("minimum_gap", 0.5) if minimum_gap is None else minimum_gap)
    towards = _sign(grid, metric)
    base = grid[names[1]].mean([dim for dim in _CELL if dim in grid[names[1]].dims])
    gap = ((grid[names[2]] - base) * towards).transpose(schema.CONCEPT, schema.DIRECTION, schema.SAMPLE)
    return (grid[names[0]] - grid[names[1]]) * towards, gap, least


_INTERVALS = {
    schema.CONCEPT: "studentised bootstrap over pairs, both sums resampled together",
    schema.CATEGORY: "t over concepts",
}


def _sign(grid: xr.Dataset, metric: str) -> xr.DataArray:
    """1 where the patch is meant to raise the score, -1 where it is meant to lower it."""
    raises = -1 if grid[metric].attrs.get("direction") == -1 else 1
    signs = [raises if str(name) == schema.DIRECTIONS[0] else -raises for name in grid[schema.DIRECTION].values]
    return xr.DataArray(signs, dims=schema.DIRECTION, coords={schema.DIRECTION: grid[schema.DIRECTION]})


def _by_concept(moved: xr.DataArray, gap: xr.DataArray, least: float, seed: int) -> xr.Dataset:
    dims = (schema.CONCEPT, schema.DIRECTION, *_CELL)
    values = moved.transpose(*dims, schema.SAMPLE).values
    estimates = np.full((3, *values.shape[:-1]), np.nan)
    counts = np.zeros((2, *gap.shape[:2]), np.int64)
    for place in np.ndindex(*gap.shape[:2]):
        gaps = gap.values[place]
        finite = np.isfinite(gaps)
        counted = finite & (gaps >= least)
        counts[(0, *place)], counts[(1, *place)] = counted.sum(), (finite & ~counted).sum()
        if counted.sum() >= FEWEST and gaps[counted].sum() > 0:
            cells = values[place].reshape(-1, values.shape[-1])[:, counted].T
            parts = ratio_interval(cells, gaps[counted], seed=seed)
            estimates[(slice(None), *place)] = np.stack(parts).reshape(3, *values.shape[2:-1])
    coords = moved.drop_vars([n for n, c in moved.coords.items() if schema.SAMPLE in c.dims]).coords
    variables: DataVariables = {
        name: (dims, part) for name, part in zip(("recovered", "low", "high"), estimates, strict=True)
    }
    counted_dims = (schema.CONCEPT, schema.DIRECTION)
    variables |= {name: (counted_dims, part) for name, part in zip(("n", "below_gap"), counts, strict=True)}
    order = (schema.CONCEPT, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL)
    return xr.Dataset(variables, coords).transpose(*order)


def _by_category(by_concept: xr.Dataset, categories: Sequence[str]) -> xr.Dataset:
    names = list(dict.fromkeys(categories))
    parts = []
    for name in names:
        members = by_concept.isel({schema.CONCEPT: [i for i, category in enumerate(categories) if category == name]})
        values = members["recovered"]
        count = values.notnull().sum(schema.CONCEPT)
        mean = values.mean(schema.CONCEPT)
        spread = values.std(schema.CONCEPT, ddof=1) / np.sqrt(count)
        half = spread * stats.t.ppf((1 + LEVEL) / 2, np.maximum(count - 1, 1))
        half = half.where(count >= _FEWEST_CONCEPTS)
        sums = members[["n", "below_gap"]].sum(schema.CONCEPT)
        parts.append(sums.assign(recovered=mean, low=mean - half, high=mean + half, concepts=count))
    return xr.concat(parts, xr.Variable(schema.CATEGORY, names))[
        ["recovered", "low", "high", "n", "below_gap", "concepts"]
    ]


IMAGE, LAST_PROMPT = "image", "last_prompt"
LEAST_AGREEMENT = 0.5
"""Agreement of two halves of the images below which a profile has no effective number of layers."""
NO_CAUSE, NOT_DISTINGUISHABLE = "no cause", "not distinguishable from controls"
LARGEST_SHARE_OF_NO_CAUSE = 0.1
"""Share of a concept's own gap within which the whole interval of its effect must lie for there to be no cause."""

_SINGLE_BLOCK_BELOW = 1.5


def read_out(
    grid: xr.Dataset,
    metric: str = "logprob",
    *,
    at_input: xr.DataArray | float | None = None,
    halvings: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Read-out profile of steering, and over how many blocks it is spread.

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.sweep` with random controls, of ``tokens="image"`` at ``"input"`` and every block, or of
        ``"last_prompt"`` at every block; in unit ``vector``, or ``raw`` with directions of a length that means
        something: in ``residual`` the dose grows with the stream, and differences between blocks show that too.
    metric : str
        One of its metrics. A bounded one saturates, so that the profile moves towards the blocks where it does.
    at_input, halvings, seed
        As for :func:`read_out_of`.

    Returns
    -------
    Dataset
        As from :func:`read_out_of`, with dimension ``strength``.

    Raises
    ------
    ValueError
        As :func:`mllm_probe.effect` and :func:`read_out_of`, and if the grid steers other tokens.
    """
    values = value_by_image(grid, metric)
    result = read_out_of(values, _scope_of(grid), at_input=at_input, halvings=halvings, seed=seed)
    return result.assign_attrs({**grid.attrs, **result.attrs, "metric": metric})


def read_out_of_patches(
    grid: xr.Dataset,
    metric: str = "logprob",
    *,
    group: str = IMAGE,
    minimum_gap: float | None = None,
    halvings: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Read-out profile of interchange interventions, in recovered shares, and over how many blocks it is spread.

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.patch` with the group and ``layers="all"``.
    metric : str
        One of its metrics.
    group : {"image", "last_prompt"}
        The patched tokens.
    minimum_gap : float, optional
        As for :func:`mllm_probe.recovered`.
    halvings, seed
        As for :func:`read_out_of`.

    Returns
    -------
    Dataset
        As from :func:`read_out_of`, with dimension ``direction``: ``read_out`` are the differences over blocks of the
        recovered share. NaN with fewer than 6 pairs whose source and base differ enough; ``n`` says how many do.

    Raises
    ------
    ValueError
        As :func:`mllm_probe.recovered` and :func:`read_out_of`, and if the grid lacks the group.
    """
    require_one_of("group", group, (IMAGE, LAST_PROMPT))
    moved, gap, least = moved_and_gap(grid, metric, minimum_gap)
    if group not in grid[schema.GROUP].values:
        raise ValueError(
            f"this grid has no group '{group}'; it has {', '.join(map(str, grid[schema.GROUP].values))}. "
            f"Run mp.patch with groups=('{group}', …)."
        )
    counted = gap >= least
    gaps = gap.where(counted & (counted.sum(SAMPLE) >= FEWEST))
    cells = moved.sel({schema.GROUP: group, schema.CONTROL: "pair"}, drop=True)
    share = (cells / gaps.mean(SAMPLE)).where(gaps.notnull()).assign_attrs(units="1")
    result = read_out_of(share, group, halvings=halvings, seed=seed)
    return result.assign_attrs({**grid.attrs, **result.attrs, "metric": metric, "minimum_gap": least})


def read_out_of(
    values: xr.DataArray,
    scope: str,
    *,
    at_input: xr.DataArray | float | None = None,
    halvings: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    r"""Read-out profile of effects by image, and over how many blocks it is spread.

    What an edit of the image tokens loses when it comes after a block instead of before it is what that block reads
    out of them: minus the first difference over blocks of the effect, that of an edit of the input of block 0 in front.
    For the last prompt token it is plus the first difference, 0 in front, since no image has reached it there.

    Parameters
    ----------
    values : DataArray (…, layer, sample)
        Effect on every image of an edit after each block: steered minus unsteered, or patched minus base. NaN for an
        image that does not count. ``layer`` runs from -1, the input of block 0, or from 0 to the last block.
    scope : {"image", "last_prompt"}
        The edited tokens. For ``last_prompt`` the edit at each block must be what is there at that block (a mean
        difference in unit ``vector``, a patch): the same direction and length has the same effect at all blocks.
    at_input : DataArray (…) or float, optional
        For ``image``, the effect at the input of block 0, where ``values`` do not have it.
    halvings : int
        Random divisions of the images into halves.
    seed : int
        Of these.

    Returns
    -------
    Dataset, host memory, float64
        ``read_out`` (…, layer), mean over images, layer 0 … L - 1, in the unit of the effect. ``effective_layers`` (…):
        :math:`(\sum a)(\sum b) / \sum ab` of the profiles a, b of two halves of the images, numerator and denominator
        averaged over the halvings, nothing rectified: 1 where one block reads the concept, L where all read equal
        shares. Noise of the images does not bias it, as it biases a participation ratio, because that of the two halves
        is independent. Within 1 … L, where every number of blocks lies: noise, or shares of both signs that cancel, may
        carry the ratio beyond, and then it is the nearer end. ``effective_share``: the same divided by L. ``agreement``
        (…): :math:`\sum ab / \sqrt{\sum a^2 \sum b^2}`, averaged alike; not centred, since equal shares of all blocks
        have no variance over blocks. ``centre_of_gravity`` (…): mean block number, weighted by the profile, and
        ``centre_depth`` the same as relative depth, (block + 1) / L. ``peak_layer`` (…): the block of the largest
        share. ``n`` (…): images that count at every layer. All but ``read_out``, ``agreement`` and ``n`` are NaN where
        the agreement is below .5 or there is no effect at all.

    Raises
    ------
    ValueError
        If the scope is another, blocks are missing, or the effect at the input is.
    """
    if scope not in (IMAGE, LAST_PROMPT):
        raise ValueError(f"scope: expected '{IMAGE}' or '{LAST_PROMPT}'; got {described(scope)}.")
    halvings, seed = whole_number("halvings", halvings, 1), whole_number("seed", seed)
    profiles = _differences(_ordered(values), scope, at_input)
    blocks = profiles.sizes[LAYER]
    outer = [dim for dim in profiles.dims if dim not in (LAYER, SAMPLE)]
    table = profiles.transpose(*outer, SAMPLE, LAYER).values.astype(np.float64)
    shape = table.shape[: len(outer)]
    cells = [_cell_profile(cell, halvings, seed) for cell in table.reshape(-1, *table.shape[len(outer) :])]
    names = ("effective_layers", "agreement", "centre_of_gravity", "peak_layer", "n")
    summary = {
        name: (outer, np.array([cell[1][name] for cell in cells]).reshape(shape), _ATTRS[name]) for name in names
    }
    mean = np.array([cell[0] for cell in cells]).reshape(*shape, blocks)
    units = {"units": values.attrs.get("units", "1"), "long_name": "share of the effect that the block reads"}
    result = xr.Dataset({"read_out": ([*outer, LAYER], mean, units), **summary})
    result["effective_share"] = (result["effective_layers"] / blocks).assign_attrs(units="1")
    result["centre_depth"] = ((result["centre_of_gravity"] + 1) / blocks).assign_attrs(units="1")
    coords = {n: c for n, c in profiles.coords.items() if SAMPLE not in c.dims} | schema.layer_coordinates(
        range(blocks), blocks
    )
    return result.assign_coords(coords).assign_attrs(scope=scope, halvings=halvings, seed=seed)


def causal_verdict(read_out: xr.Dataset, effect: xr.Dataset) -> xr.DataArray:
    """In words, which blocks cause a concept's effect.

    Parameters
    ----------
    read_out : Dataset
        From :func:`read_out`.
    effect : Dataset
        From :func:`mllm_probe.effect` of the same grid and metric; with ``gap_share_low`` and ``gap_share_high``, the
        interval of the effect as a share of the concept's own gap, where that is known.

    Returns
    -------
    DataArray (concept, strength, …) of str
        Where the effect is clear of controls at any layer and the halves of the images agree on its profile:
        ``"block 5"`` where its effective number of layers is below 1.5, else such as ``"7.9 of 8 blocks"``. Of the
        others, ``"no cause"`` where the interval of the gap share lies within ± .1 at every layer. Else, and where no
        gap is known, ``"not distinguishable from controls"``: the controls may reach as far for their length.

    Raises
    ------
    ValueError
        If one of the datasets is another kind.
    """
    schema.require(read_out, "effective_layers", "peak_layer", dims=(LAYER,), what="the read-out profile")
    schema.require(effect, "clear_of_controls", dims=(LAYER,), what="the effect")
    blocks = read_out.sizes[LAYER]

    def in_words(effective: float, peak: float, clear: bool, negligible: bool) -> str:
        if clear and np.isfinite(effective):
            return f"block {peak:.0f}" if effective < _SINGLE_BLOCK_BELOW else f"{effective:.1f} of {blocks} blocks"
        return NO_CAUSE if negligible and not clear else NOT_DISTINGUISHABLE

    clear = effect["clear_of_controls"].any(LAYER)
    profile = read_out["effective_layers"], read_out["peak_layer"]
    return xr.apply_ufunc(in_words, *profile, clear, _negligible(effect), vectorize=True, output_dtypes=[object])


def _negligible(effect: xr.Dataset) -> xr.DataArray:
    """Whether the interval of the gap share lies near 0 at every layer: never where it is not known."""
    ends = [effect[name] for name in ("gap_share_low", "gap_share_high") if name in effect]
    if len(ends) < 2:
        return xr.zeros_like(effect["clear_of_controls"].any(LAYER))
    inside = (abs(ends[0]) <= LARGEST_SHARE_OF_NO_CAUSE) & (abs(ends[1]) <= LARGEST_SHARE_OF_NO_CAUSE)
    return inside.all(LAYER)


_ATTRS = {
    "effective_layers": {"long_name": "effective number of layers", "units": "layers"},
    "agreement": {"long_name": "agreement of the profiles of two halves of the images", "units": "1"},
    "centre_of_gravity": {"long_name": "mean block, weighted by its share", "units": "blocks"},
    "peak_layer": {"long_name": "block of the largest share", "units": "blocks"},
    "n": {"long_name": "images that count", "units": "1"},
}


def _scope_of(grid: xr.Dataset) -> str:
    given = grid.attrs.get("scope")
    names = set(str(given).split("+"))
    if names == {IMAGE}:
        return IMAGE
    if LAST_PROMPT in names and names <= {LAST_PROMPT, "generated"}:
        return LAST_PROMPT
    raise ValueError(
        "a read-out profile needs a sweep of the image tokens or of the last prompt token; this grid steers "
        f"{given!r}. Run the sweep with tokens='image' or tokens='last_prompt'."
    )


def _ordered(values: xr.DataArray) -> xr.DataArray:
    if not isinstance(values, xr.DataArray) or not {LAYER, SAMPLE} <= set(values.dims) or LAYER not in values.coords:
        raise ValueError(
            f"values: expected a DataArray with dimensions '{LAYER}' (with block numbers) and '{SAMPLE}'; "
            f"got {described(getattr(values, 'dims', values))}."
        )
    return values.sortby(LAYER)


def _differences(values: xr.DataArray, scope: str, at_input: xr.DataArray | float | None) -> xr.DataArray:
    """Profile of every image (…, layer 0 … L - 1, sample)."""
    layers = [int(layer) for layer in values[LAYER].values]
    blocks = values.isel({LAYER: [place for place, layer in enumerate(layers) if layer >= 0]})
    total = _blocks_of(blocks)
    if [layer for layer in layers if layer >= 0] != list(range(total)):
        raise ValueError(
            f"a read-out profile needs the effect after every block, 0 … {total - 1}; it is there for {layers}. "
            f"Run it with layers=['{schema.INPUT_NAME}', *range({total})]."
        )
    if scope == LAST_PROMPT:
        with np.errstate(invalid="ignore"):
            return blocks.copy(data=blocks.values - _before(blocks, xr.zeros_like(blocks.isel({LAYER: 0}))))
    if schema.INPUT in layers:
        first = values.sel({LAYER: schema.INPUT})
    elif at_input is not None:
        first = _given_at_input(at_input, blocks.isel({LAYER: 0}))
    else:
        raise ValueError(
            "the read-out of block 0 needs the effect of an edit of its input: run it with "
            f"layers=['{schema.INPUT_NAME}', *range({total})] (and vectors that have them), or give at_input=."
        )
    with np.errstate(invalid="ignore"):
        return blocks.copy(data=_before(blocks, first) - blocks.values)


def _given_at_input(at_input: xr.DataArray | float, like: xr.DataArray) -> xr.DataArray:
    """The effect at the input, of the shape of that after one block."""
    if not isinstance(at_input, xr.DataArray):
        return xr.full_like(like, finite_number("at_input", at_input))
    try:
        with xr.set_options(arithmetic_join="exact"):
            first = xr.zeros_like(like).reset_coords(drop=True) + at_input.reset_coords(drop=True)
    except ValueError as error:
        raise ValueError(f"at_input: expected the coordinates of the effects after blocks ({error}).") from error
    if set(first.dims) != set(like.dims):
        raise ValueError(f"at_input: expected some of the dimensions {like.dims}; got {at_input.dims}.")
    return first


def _before(blocks: xr.DataArray, first: xr.DataArray) -> np.ndarray:
    """Effect before every block: that after the block below, and ``first`` before block 0."""
    axis = blocks.get_axis_num(LAYER)
    front = first.transpose(*(dim for dim in blocks.dims if dim != LAYER)).values
    without_last = np.delete(blocks.values, -1, axis)
    return np.concatenate([np.expand_dims(front, axis), without_last], axis)


def _blocks_of(blocks: xr.DataArray) -> int:
    """Number of blocks of the model: from the relative depth of the last one, else the last one is taken for it."""
    if not blocks.sizes[LAYER]:
        raise ValueError("a read-out profile needs the effect after every block; there is none.")
    last = int(blocks[LAYER][-1])
    if schema.RELATIVE_DEPTH not in blocks.coords:
        return last + 1
    return round((last + 1) / float(blocks[schema.RELATIVE_DEPTH][-1]))


def _cell_profile(profiles: np.ndarray, halvings: int, seed: int) -> tuple[np.ndarray, dict[str, float]]:
    """Mean profile and its summary, of the profiles [sample, layer] of one cell."""
    counted = profiles[np.isfinite(profiles).all(1)]
    n, blocks = counted.shape
    nothing = {"effective_layers": np.nan, "centre_of_gravity": np.nan, "peak_layer": np.nan}
    if n < 2:
        mean = counted.mean(0) if n else np.full(blocks, np.nan)
        return mean, {**nothing, "agreement": np.nan, "n": n}
    mean = counted.mean(0)
    rng = np.random.default_rng(seed)
    chosen = rng.permuted(np.broadcast_to(np.arange(n) < n // 2, (halvings, n)), axis=1).astype(np.float64)
    a, b = chosen @ counted / (n // 2), (1 - chosen) @ counted / (n - n // 2)
    # Noise of two halves is independent: E Σ ab = Σ of the true squares, where Σ a² has the noise's variance on top.
    shared = (a * b).sum(1).mean()
    size = np.sqrt((a**2).sum(1).mean() * (b**2).sum(1).mean())
    agreement = shared / size if size > 0 else np.nan
    if not agreement >= LEAST_AGREEMENT:
        return mean, {**nothing, "agreement": agreement, "n": n}
    total = mean.sum()
    return mean, {
        "effective_layers": float(np.clip((a.sum(1) * b.sum(1)).mean() / shared, 1, blocks)),
        "centre_of_gravity": (np.arange(blocks) * mean).sum() / total if total else np.nan,
        "peak_layer": float(np.argmax(mean * np.sign(total))),
        "agreement": agreement,
        "n": n,
    }


def effective_tokens(grid: xr.Dataset, metric: str = "logprob") -> xr.Dataset:
    r"""Effective number of image tokens that bring a concept along.

    `grid`: from :func:`mllm_probe.patch` with ``groups="patches"``, both directions, at one layer. `metric`: one of its
    metrics. Returns: ``effective_tokens``: :math:`(\sum a)(\sum b) / \sum ab` over image tokens, of the recovered
    shares a and b of each when the pair's concept is inserted and when it is removed, numerator and denominator
    averaged over pairs: 1 where one token carries it, n where n carry equal shares; within 1 and the number of tokens,
    as :func:`mllm_probe.studies.read_out_of` keeps its number within that of the blocks. The two directions are runs on
    different images, so that their noise is independent and does not widen it, as halves do for
    :func:`mllm_probe.studies.read_out`; halves of the pairs cannot, since each pair has its concept elsewhere.
    ``token_agreement``: :math:`\sum ab / \sqrt{\sum a^2 \sum b^2}`; below .5 the number is NaN. Raises ValueError if it
    is no such grid.
    """
    moved, gap, least = moved_and_gap(grid, metric)
    single = [name for name in grid[GROUP].values.tolist() if name.startswith("patch ")]
    if not single or set(grid[DIRECTION].values.tolist()) != set(DIRECTIONS) or grid.sizes[LAYER] != 1:
        raise ValueError(
            "expected a patch of single image tokens at one layer in both directions; it has groups "
            f"{', '.join(map(str, grid[GROUP].values[:3]))} …, directions {', '.join(grid[DIRECTION].values)} and "
            f"{grid.sizes[LAYER]} layers. Run mp.patch(…, groups='patches', layers=['input'])."
        )
    counted = (gap >= least).all(DIRECTION)
    share = (moved.sel({GROUP: single, CONTROL: "pair"}, drop=True).isel({LAYER: 0}, drop=True) / gap).where(counted)
    a, b = (share.sel({DIRECTION: way}, drop=True).astype(np.float64) for way in DIRECTIONS)
    shared, sizes = (a * b).sum(GROUP, skipna=False), [(part**2).sum(GROUP, skipna=False) for part in (a, b)]
    agreement = shared.mean(SAMPLE) / (sizes[0].mean(SAMPLE) * sizes[1].mean(SAMPLE)) ** 0.5
    total = a.sum(GROUP, skipna=False) * b.sum(GROUP, skipna=False)
    number = (total.mean(SAMPLE) / shared.mean(SAMPLE)).clip(1, len(single)).where(agreement >= LEAST_AGREEMENT)
    variables = {"effective_tokens": number.assign_attrs(units="image tokens"), "token_agreement": agreement}
    return xr.Dataset({name: variable.reset_coords(drop=True) for name, variable in variables.items()})
