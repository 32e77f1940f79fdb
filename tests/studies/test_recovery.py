"""The recovered share of a patch: ratio of sums, pairs that count, intervals over pairs and over concepts."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.metrics.statistics import ratio_interval

CONCEPTS = {"cat": "entity", "dog": "entity", "star": "entity", "neon": "visual_style"}
SHARES = np.array([1.0, 0.5, 0.0])


def grid_of(pairs=8, gap=4.0, noise=0.0, seed=0, direction=schema.DIRECTIONS):
    """A grid of which a share 1, ½, 0 is recovered at three layers."""
    rng = np.random.default_rng(seed)
    names = list(CONCEPTS)
    dims = (schema.CONCEPT, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL, schema.SAMPLE)
    base = rng.normal(-9, 1, (len(names), 1, 1, len(direction), 1, pairs))
    signs = np.array([1 if name == "insert" else -1 for name in direction])
    size = gap * rng.uniform(0.8, 1.2, (len(names), len(direction), pairs)) * signs[:, None]
    source = base[:, 0, 0, :, 0] + size
    share = SHARES[None, :, None, None, None, None]
    moved = size[:, None, None, :, None] * share + rng.normal(0, noise, (len(names), 3, 1, len(direction), 1, pairs))
    whole = np.broadcast_to(base, moved.shape)
    return xr.Dataset(
        {
            "logprob": (dims, (whole + moved).astype(np.float32), {"long_name": "log-probability", "direction": 1}),
            "logprob_base": (dims, whole.astype(np.float32)),
            "logprob_source": ((schema.CONCEPT, schema.DIRECTION, schema.SAMPLE), source.astype(np.float32)),
        },
        coords=schema.layer_coordinates([schema.INPUT, 0, 1], 2)
        | {
            schema.CONCEPT: names,
            schema.CATEGORY: (schema.CONCEPT, list(CONCEPTS.values())),
            schema.GROUP: ["image"],
            schema.DIRECTION: list(direction),
            schema.CONTROL: ["pair"],
            schema.SAMPLE: np.arange(pairs),
            schema.PAIR: ((schema.CONCEPT, schema.SAMPLE), np.tile(np.arange(pairs), (len(names), 1))),
        },
        attrs={"minimum_gap": 0.5, "model": "made"},
    )


def test_the_share_is_a_ratio_of_sums():
    grid = grid_of(noise=1.0)
    found = mp.recovered(grid)
    assert found.recovered.dims == (schema.CONCEPT, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL)
    one = grid.sel(concept="dog", layer=0, group="image", direction="remove", control="pair")
    expected = float((one.logprob - one.logprob_base).sum() / (one.logprob_source - one.logprob_base).sum())
    cell = found.sel(concept="dog", layer=0, group="image", direction="remove", control="pair")
    assert float(cell.recovered) == pytest.approx(expected, abs=1e-5)
    assert float(cell.low) < expected < float(cell.high)
    assert (found.n == 8).all() and (found.below_gap == 0).all()
    assert found.attrs["interval"].startswith("studentised bootstrap over pairs") and found.attrs["model"] == "made"
    assert found.relative_depth.values.tolist() == [0, 0.5, 1]


def test_exact_shares_have_intervals_of_no_length():
    found = mp.recovered(grid_of())
    for name in ("recovered", "low", "high"):
        np.testing.assert_allclose(found[name].squeeze().transpose("concept", "direction", "layer"),
                                   np.broadcast_to(SHARES, (4, 2, 3)), atol=1e-5)  # fmt: skip


def test_pairs_without_a_gap_are_counted_and_left_out():
    grid = grid_of(pairs=9)
    source = grid.logprob_source.copy()
    base = grid.logprob_base.isel(layer=0, group=0, control=0)
    source[{"sample": 0}] = (base.isel(sample=0) + 0.4 * xr.DataArray([1, -1], dims="direction")).transpose(
        *source.isel(sample=0).dims
    )
    source[{"sample": 1}] = (base.isel(sample=1) - 5 * xr.DataArray([1, -1], dims="direction")).transpose(
        *source.isel(sample=1).dims
    )
    found = mp.recovered(grid.assign(logprob_source=source))
    assert (found.n == 7).all() and (found.below_gap == 2).all()
    np.testing.assert_allclose(found.recovered.sel(layer=0), 0.5, atol=1e-5)
    lower = mp.recovered(grid.assign(logprob_source=source), minimum_gap=0.3)
    assert (lower.n == 8).all() and lower.attrs["minimum_gap"] == 0.3


def test_under_six_pairs_nothing_is_concluded():
    found = mp.recovered(grid_of(pairs=5))
    assert np.isnan(found.recovered).all() and np.isnan(found.low).all() and (found.n == 5).all()


def test_pairs_that_a_concept_lacks_are_neither_counted_nor_excluded():
    grid = grid_of(pairs=8).copy(deep=True)
    for name in ("logprob", "logprob_base", "logprob_source"):
        grid[name].loc[{"concept": "cat", "sample": 7}] = np.nan
    found = mp.recovered(grid)
    assert found.n.sel(concept="cat").values.tolist() == [7, 7] and (found.below_gap == 0).all()
    assert np.isfinite(found.recovered).all()


def test_a_metric_that_falls_with_the_concept_is_read_the_other_way_round():
    grid = grid_of(noise=0.5)
    turned = grid.assign(
        {name: (-variable).assign_attrs(variable.attrs | {"direction": -1}) for name, variable in grid.items()}
    )
    np.testing.assert_allclose(mp.recovered(turned).recovered, mp.recovered(grid).recovered, atol=1e-5)


def test_a_category_is_the_mean_of_its_concepts_with_a_t_interval():
    grid = grid_of(noise=1.5)
    single, found = mp.recovered(grid), mp.recovered(grid, by="category")
    assert found.category.values.tolist() == ["entity", "visual_style"]
    own = single.recovered.sel(concept=["cat", "dog", "star"])
    mean, error = own.mean("concept"), own.std("concept", ddof=1) / np.sqrt(3)
    entity = found.sel(category="entity")
    np.testing.assert_allclose(entity.recovered, mean.transpose(*entity.recovered.dims))
    np.testing.assert_allclose(entity.high - entity.recovered, 4.3027 * error.transpose(*entity.high.dims), rtol=1e-3)
    assert (entity.concepts == 3).all() and (entity.n == 24).all()
    style = found.sel(category="visual_style")
    assert np.isfinite(style.recovered).all() and np.isnan(style.low).all() and (style.concepts == 1).all()


def test_what_is_no_patch_is_refused():
    with pytest.raises(ValueError, match="the grid of mp.patch lacks variable 'logit'"):
        mp.recovered(grid_of(), "logit")
    with pytest.raises(ValueError, match="by: expected one of concept, category; got 'layer'"):
        mp.recovered(grid_of(), by="layer")
    odd = grid_of(direction=("insert",)).assign_coords(direction=["in"])
    with pytest.raises(ValueError, match="'in' is no value of dimension 'direction'"):
        mp.recovered(odd)


@pytest.mark.parametrize("images", [6, 12])
def test_the_interval_of_a_ratio_covers_what_it_should(images):
    rng, hits, trials = np.random.default_rng(images), 0, 400
    for trial in range(trials):
        below = rng.uniform(3, 9, images)
        above = 0.5 * below + rng.normal(0, 1, images)
        _, low, high = ratio_interval(above[:, None], below, resamples=400, seed=trial)
        hits += bool(low[0] <= 0.5 <= high[0])
    assert 0.915 < hits / trials < 0.985, hits / trials


def test_a_ratio_of_one_image_has_no_interval():
    ratio, low, high = ratio_interval([[2.0, 1.0]], [4.0])
    assert ratio.tolist() == [0.5, 0.25] and np.isnan(low).all() and np.isnan(high).all()
