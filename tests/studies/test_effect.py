"""Effects beside their controls, on grids made by hand."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mllm_probe.studies.effect import effect, value_by_image

CONTROLS, DRAWS, IMAGES = ["concept", "random", "shuffled"], 6, 12


def grid(concept=2.0, random=0.0, shuffled=0.0, noise=0.1, spread=0.3, metric="logprob", seed=0):
    """A grid of one concept, two layers (the second without effect) and strengths 0 and 1."""
    rng = np.random.default_rng(seed)
    values = np.full((1, 2, 2, 3, DRAWS, IMAGES), np.nan)
    base = rng.normal(-5, 1, IMAGES)
    values[:, :, 0] = base
    for layer, here in ((0, concept), (1, 0.0)):
        values[0, layer, 1, 0, 0] = base + here + noise * rng.normal(size=IMAGES)
        for control, there in ((1, random), (2, shuffled)):
            offset = there + spread * rng.normal(size=(DRAWS, 1))
            values[0, layer, 1, control] = base + offset + noise * rng.normal(size=(DRAWS, IMAGES))
    values[:, :, :, 0, 1:] = np.nan
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    return xr.Dataset(
        {metric: (dims, values, {"units": "nats"}), f"{metric}_unsteered": (("concept", "sample"), base[None])},
        {
            "concept": ["cat"],
            "category": ("concept", ["entity"]),
            "layer": [2, 3],
            "relative_depth": ("layer", [0.75, 1.0]),
            "strength": [0.0, 1.0],
            "control": CONTROLS,
            "sample": [f"i{i}" for i in range(IMAGES)],
            "split": ("sample", ["fit", "held_out"] * (IMAGES // 2)),
        },
        {"unit": "residual"},
    )


def test_difference_is_concept_minus_the_mean_of_random_draws():
    data = grid(random=0.5)
    found = effect(data, "logprob").sel(concept="cat", layer=2, strength=1)
    values = data.logprob.sel(concept="cat", layer=2, strength=1)
    own, draws = values.sel(control="concept", draw=0), values.sel(control="random")
    assert float(found.difference) == pytest.approx(float(own.mean() - draws.mean()))
    assert float(found.low) < float(found.difference) < float(found.high)
    assert float(found.value) == pytest.approx(float((own - data.logprob_unsteered.sel(concept="cat")).mean()))
    assert int(found.n) == IMAGES
    means = draws.mean("sample")
    half = stats.t.ppf(0.975, DRAWS - 1) * means.std(ddof=1) * np.sqrt(1 + 1 / DRAWS)
    assert float(found.control_low.sel(control="random")) == pytest.approx(float(means.mean() - half))
    assert float(found.p.sel(control="random")) < 0.002 and float(found.q) < 0.01


@pytest.mark.parametrize("average", ["mean", "median"])
def test_the_value_is_the_average_of_what_it_is_for_every_image(average):
    data = grid(random=0.5)
    own = {"layer": 1, "strength": 1, "control": 0, "draw": 0}
    data.logprob[own] = data.logprob_unsteered[0] * (1 + 5e-7)  # no more than float32 rounds
    value, by_image = effect(data, "logprob", average=average).value, value_by_image(data, "logprob")
    xr.testing.assert_allclose(value, getattr(by_image, average)("sample"), rtol=1e-12)
    assert value.sel(concept="cat", layer=3).values.tolist() == [0, 0]


def test_a_median_is_not_moved_by_one_image():
    data = grid(random=0.5)
    data.logprob[{"strength": 1, "control": 0, "draw": 0, "sample": 0}] = 500.0
    found = effect(data, "logprob", average="median").sel(concept="cat", layer=2, strength=1)
    values = data.logprob.sel(concept="cat", layer=2, strength=1)
    paired = values.sel(control="concept", draw=0) - values.sel(control="random").mean("draw")
    assert float(found.difference) == pytest.approx(float(paired.median()))
    assert float(found["mean"]) == pytest.approx(float(values.sel(control="concept", draw=0).median()))
    ordered = np.sort(paired.values)
    assert (float(found.low), float(found.high)) == pytest.approx((ordered[2], ordered[-3]))
    assert np.isnan(found.p).all() and not found.clear_of_controls
    assert float(effect(data).sel(concept="cat", layer=2, strength=1).difference) > 20
    with pytest.raises(ValueError, match="expected one of mean, median, got 'mode'"):
        effect(data, average="mode")


def test_a_median_of_missing_images_is_nan():
    data = grid()
    data["logprob"] = data.logprob.where(data.layer != 3)
    data.logprob[{"layer": 0, "control": 0, "sample": slice(1, 3)}] = np.nan
    found = effect(data, average="median").sel(concept="cat", strength=1)
    assert np.isnan(found.difference.sel(layer=3)).all() and found.n.values.tolist() == [IMAGES - 2, 0]
    own = data.logprob.sel(concept="cat", layer=2, strength=1, control="concept").isel(draw=0)
    assert float(found["mean"].sel(layer=2)) == pytest.approx(float(own.median()), abs=1e-12)


def test_a_strong_effect_is_clear_and_none_is_not():
    found = effect(grid(), "logprob")
    assert found.clear_of_controls.sel(concept="cat", strength=1).values.tolist() == [True, False]
    assert not found.clear_of_controls.sel(strength=0).any() and np.isnan(found.q.sel(strength=0)).all()
    assert (found.clear_in_grid == found.clear_of_controls).all()
    assert (found.difference.sel(strength=0) == 0).all()
    assert found.relative_depth.values.tolist() == [0.75, 1.0] and found.category.item() == "entity"


def test_every_kind_of_control_must_be_cleared():
    found = effect(grid(shuffled=2.0), "logprob").sel(concept="cat", layer=2, strength=1)
    assert found.clear.sel(control="random") and not found.clear.sel(control="shuffled")
    assert not found.clear_of_controls


def test_within_the_spread_of_draws_is_not_clear_even_when_the_images_agree():
    found = effect(grid(concept=0.9, spread=1.0, noise=0.01, seed=1), "logprob").sel(concept="cat", layer=2, strength=1)
    assert float(found.value) > 0.8 and (found.p > 0.05).any("control")
    assert not found.clear_of_controls


def test_outside_of_the_draws_is_not_clear_when_the_images_disagree():
    data = grid(concept=0.0, spread=0.001, noise=0.001)
    data.logprob[0, 0, 1, 0, 0, :] += np.where(np.arange(IMAGES) % 2, 5.0, -4.0)
    found = effect(data, "logprob").sel(concept="cat", layer=2, strength=1)
    assert float(found["mean"]) > float(found.control_high.sel(control="random"))
    assert not found.clear_of_controls


def test_one_image_or_one_draw_is_never_clear():
    few = effect(grid().isel(sample=slice(5)), "logprob")
    assert not few.clear_of_controls.any() and np.isnan(few.low).all() and np.isnan(few.p).all()
    assert (few.n == 5).all() and np.isfinite(few.difference).all() and few.attrs["least_images"] == 6
    assert not effect(grid().isel(draw=[0]), "logprob").clear_of_controls.any()


def test_an_effect_against_the_dose_is_not_clear():
    for concept, takes_away, clear in (
        (2.0, False, True),
        (-2.0, False, False),
        (2.0, True, False),
        (-2.0, True, True),
    ):
        data = grid(concept=concept).assign_coords(takes_away=("strength", [False, takes_away]))
        found = effect(data, "logprob").sel(concept="cat", layer=2, strength=1)
        assert bool(found.clear_of_controls) == clear and float(found.p.max()) < 0.01


def test_the_sign_of_a_dose_follows_its_operation_where_the_grid_does_not_say():
    down = grid(concept=-2.0)
    assert effect(down.assign_attrs(operation="ablate")).sel(layer=2, strength=1).clear_of_controls.all()
    assert not effect(down.assign_attrs(operation="add")).sel(layer=2, strength=1).clear_of_controls.any()


def test_a_metric_without_direction_has_an_interval_and_no_verdict():
    data = grid()
    data.logprob.attrs["direction"] = 0
    found = effect(data, "logprob").sel(strength=1)
    assert np.isfinite(found.low).all() and np.isnan(found.p).all() and np.isnan(found.q).all()
    assert not found.clear_of_controls.any()


def test_a_cell_passes_in_the_grid_at_a_false_discovery_rate():
    rng = np.random.default_rng(3)
    cells = [
        grid(concept=0.3 * rng.normal(), seed=seed)
        .sel(control=["concept", "random"])
        .assign_coords(concept=[f"c{seed}"])
        for seed in range(200)
    ]
    found = effect(xr.concat(cells, "concept").isel(layer=[0]), "logprob").sel(strength=1)
    assert 4 <= int((found.p <= 0.05).sum()) <= 20
    assert int(found.clear_in_grid.sum()) <= 2
    p = found.p.max("control").values
    expected = np.full(p.shape, np.nan)
    expected[np.isfinite(p)] = stats.false_discovery_control(p[np.isfinite(p)])
    np.testing.assert_allclose(found.q, expected)


def test_pairs_of_opposite_draws_are_averaged_first():
    data = grid(spread=2.0, noise=0.01)
    values = data.logprob.values
    values[..., 1, 1::2, :] = 2 * data.logprob_unsteered.values - values[..., 1, 0::2, :]
    apart, together = effect(data), effect(data.assign_attrs(antithetic=["random"]))
    cell = {"concept": "cat", "layer": 2, "strength": 1}
    width = [float(one.high.sel(cell) - one.low.sel(cell)) for one in (apart, together)]
    assert width[1] < 0.1 * width[0]
    beyond = together.control_high - together.control_mean
    assert float(beyond.sel(cell | {"control": "random"})) > 1


def test_from_99_draws_on_there_is_a_p_by_ranks():
    data = grid()
    many = data.isel(draw=np.arange(102) % DRAWS)
    moved = xr.DataArray(0.001 * np.arange(102), dims="draw") * (many.control != "concept")
    many["logprob"] = (many.logprob + moved).transpose(*data.logprob.dims)
    assert "rank_p" not in effect(data) and float(effect(many).rank_p.sel(layer=2, strength=1).max()) == 1 / 103


def test_eligible_images_count_for_every_metric():
    data = grid(metric="logprob")
    counts = np.zeros((1, 2, IMAGES), dtype=bool)
    counts[:, 1, :5] = True
    data["eligible"] = (("concept", "strength", "sample"), counts)
    found = effect(data, "logprob").sel(concept="cat", layer=2)
    assert found.n.values.tolist() == [0, 5] and np.isnan(found.difference.sel(strength=0))
    own = data.logprob.sel(concept="cat", layer=2, strength=1, control="concept", draw=0)[:5]
    assert float(found["mean"].sel(strength=1)) == pytest.approx(float(own.mean()))


def test_a_split_can_be_chosen():
    assert (effect(grid(), "logprob", split="held_out").n == IMAGES // 2).all()
    with pytest.raises(ValueError, match=r"no image of this grid is in split 'test'.*library\.split"):
        effect(grid(), "logprob", split="test")


def test_a_grid_that_is_still_filling_gives_nan_where_nothing_ran():
    data = grid()
    data.logprob[0, 1, 1] = np.nan
    found = effect(data, "logprob").sel(concept="cat", strength=1)
    assert np.isfinite(found.difference[0]) and np.isnan(found.difference[1]) and not found.clear_of_controls[1]


def test_without_controls_there_is_no_effect():
    for kept in (["concept"], ["concept", "shuffled"]):
        with pytest.raises(ValueError, match=r"never reported without its controls.*controls=None"):
            effect(grid().sel(control=kept), "logprob")


def test_an_unknown_metric_is_named():
    with pytest.raises(ValueError, match=r"no metric 'kl'; it has logprob"):
        effect(grid(), "kl")


def test_a_run_whose_scope_did_not_fire_is_not_counted():
    data = grid()
    data["edited"] = xr.where(data.sample == "i3", 0, 2).broadcast_like(data.logprob).transpose(*data.logprob.dims)
    found = effect(data, "logprob").sel(concept="cat", layer=2)
    assert found.n.values.tolist() == [IMAGES, IMAGES - 1]
    assert float(found.difference.sel(strength=1)) == pytest.approx(
        float(effect(data.drop_sel(sample="i3"), "logprob").difference.sel(concept="cat", layer=2, strength=1))
    )


def test_a_ratio_is_given_in_doublings():
    data = grid(metric="logprob")
    ratios = 2 ** (data.logprob - data.logprob_unsteered)
    ratios.attrs = {"units": "1", "long_name": "perplexity as a ratio"}
    data = data.assign(
        perplexity=ratios.transpose(*data.logprob.dims), perplexity_unsteered=data.logprob_unsteered * 0 + 1
    )
    nats, found = effect(data, "logprob"), effect(data, "perplexity")
    for name in ("difference", "low", "high", "value", "control_mean"):
        shift = -float(data.logprob_unsteered.mean()) if name == "control_mean" else 0.0
        np.testing.assert_allclose(found[name], nats[name] + shift, atol=1e-6, err_msg=name)
    assert found.difference.attrs["units"] == "doublings" and "log2" in found["mean"].attrs["long_name"]


def shares(concepts=1, draws=DRAWS, unit="residual", metric="named"):
    """A grid of answers of which no draw names anything, and every one under the first concept names it at layer 2."""
    one = grid(metric="named").drop_vars("named_unsteered").isel(draw=np.arange(draws) % DRAWS)
    data = xr.concat([one.assign_coords(concept=[f"c{number}"]) for number in range(concepts)], "concept")
    data["named"][:] = 0.0
    data["named"] = data.named.where((data.control != "concept") | (data.draw == 0))
    data.named[{"concept": 0, "strength": 1, "layer": 0, "control": 0, "draw": 0}] = 1.0
    data["named_unsteered"] = (("concept", "sample"), np.zeros((concepts, IMAGES)))
    data["perplexity"], data["perplexity_unsteered"] = xr.ones_like(data.named), xr.ones_like(data.named_unsteered)
    data["repetition"], data["repetition_unsteered"] = xr.zeros_like(data.named), xr.zeros_like(data.named_unsteered)
    return effect(data.assign_attrs(unit=unit), metric)


@pytest.mark.parametrize("metric", ["score", "named"])
def test_draws_that_all_score_nothing_are_no_proof_that_the_next_one_must(metric):
    few = shares(metric=metric).sel(concept="c0", layer=2, strength=1)
    assert few.p.values == pytest.approx([1 / 13] * 2) and not few.clear_of_controls  # two cells of six draws
    assert str(few.reason.values) == "needs 10 draws"
    many = shares(concepts=5, metric=metric).sel(concept="c0", layer=2, strength=1)
    assert many.p.values == pytest.approx([1 / 61] * 2) and many.n_draws.values.tolist() == [6, 6]
    assert many.clear_of_controls and 0.5 < float(many.low) < float(many.high) <= 1
    apart = shares(concepts=5, unit="vector", metric=metric).sel(concept="c0", layer=2, strength=1)
    assert apart.p.values == pytest.approx([1 / 61] * 2)


def test_cells_in_which_nothing_names_the_concept_stay_in_the_family_and_have_a_band():
    found = shares(concepts=5).sel(strength=1)
    assert (found.p.isel(concept=slice(1, None)) == 1).all()
    assert float(found.q.max()) == 1 and float(found.q[0, 0]) == pytest.approx(10 / 61)
    assert str(found.reason[0, 0].values) == "clear, not in the grid (q .16; needs 20 draws)"
    assert (found.control_high - found.control_low > 0.1).all() and float(found.control_low.min()) == 0
    none = found.isel(concept=1)
    assert ((none.low < 0) & (none.high > 0)).all()


def library_grid(positive=3.0):
    """A grid on six images with the concept and six without it."""
    data = grid(spread=0.1)
    shown = np.repeat([1, -1], IMAGES // 2)[None]
    data["logprob_unsteered"] = data.logprob_unsteered * 0 - 5.0 + positive * (shown == 1)
    return data.assign_coords(shown=(("concept", "sample"), shown))


def test_an_effect_is_a_share_of_the_concepts_own_gap():
    data = library_grid()
    found = effect(data).sel(concept="cat", layer=2, strength=1)
    for name, number in (("gap_share", "difference"), ("gap_share_low", "low"), ("gap_share_high", "high")):
        assert float(found[name]) == pytest.approx(float(found[number]) / 3)
    assert np.isnan(effect(library_grid(0.4)).gap_share).all()
    assert np.isnan(effect(grid()).gap_share).all()
    checked = xr.Dataset({"gap": ("concept", [2.0])}, {"concept": ["cat"]})
    for gaps in ({"cat": 2.0}, checked, checked.gap):
        given = effect(data, gaps=gaps).sel(concept="cat", layer=2, strength=1)
        assert float(given.gap_share) == pytest.approx(float(given.difference) / 2)
    with pytest.raises(ValueError, match=r"gaps: expected numbers by concept, or what mp\.check .* got 3"):
        effect(data, gaps=3)
