"""Read-out profiles of effects made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.readout import (
    NO_CAUSE,
    NOT_DISTINGUISHABLE,
    causal_verdict,
    read_out,
    read_out_of,
    read_out_of_patches,
)

LAYERS = 8
ONE_BLOCK = np.eye(LAYERS)[5]
EQUAL = np.full(LAYERS, 1 / LAYERS)


def values(shares, scope="image", images=12, noise=0.0, seed=0, input_site=True):
    """Effects (concept, layer, sample) of edits of a scope, if each block reads such a share (concept, block)."""
    shares = np.atleast_2d(shares)
    read = np.concatenate([np.zeros((len(shares), 1)), shares.cumsum(1)], 1)
    effect = shares.sum(1, keepdims=True) - read if scope == "image" else read
    cells = effect[..., None] + noise * np.random.default_rng(seed).standard_normal((*effect.shape, images))
    layers = np.arange(-1, shares.shape[1])
    array = xr.DataArray(
        cells,
        {"layer": layers, "relative_depth": ("layer", (layers + 1) / shares.shape[1])},
        ("concept", "layer", "sample"),
    )
    return array if input_site else array.isel(layer=slice(1, None))


@pytest.mark.parametrize("scope", ["image", "last_prompt"])
def test_one_block_and_equal_shares_are_told_apart_at_both_scopes(scope):
    result = read_out_of(values([ONE_BLOCK, EQUAL], scope), scope)
    np.testing.assert_allclose(result["read_out"], [ONE_BLOCK, EQUAL], atol=1e-12)
    np.testing.assert_allclose(result["effective_layers"], [1, LAYERS])
    np.testing.assert_allclose(result["effective_share"], [1 / LAYERS, 1])
    np.testing.assert_allclose(result["agreement"], 1)
    assert result["peak_layer"].values[0] == 5
    np.testing.assert_allclose(result["centre_of_gravity"], [5, 3.5])
    np.testing.assert_allclose(result["centre_depth"], [6 / 8, 4.5 / 8])
    assert result["n"].values.tolist() == [12, 12]
    assert result["layer"].values.tolist() == list(range(LAYERS))
    np.testing.assert_allclose(result["relative_depth"], np.arange(1, LAYERS + 1) / LAYERS)


def test_the_first_block_is_seen_through_its_input_alone():
    first = values(np.eye(LAYERS)[0], input_site=False)
    assert not first.any(), "no edit after a block has any effect"
    with pytest.raises(ValueError, match=r"read-out of block 0 needs the effect of an edit of its input.*at_input="):
        read_out_of(first, "image")
    result = read_out_of(first, "image", at_input=1.0)
    assert result["effective_layers"] == 1 and result["peak_layer"] == 0
    several = values([ONE_BLOCK, 2 * EQUAL])
    given = read_out_of(several.isel(layer=slice(1, None)), "image", at_input=several.mean("sample").sel(layer=-1))
    xr.testing.assert_allclose(given, read_out_of(several, "image"))


@pytest.mark.parametrize(("shares", "noise", "layers"), [(ONE_BLOCK, 0.5, 1), (EQUAL, 0.25, LAYERS)])
def test_noise_of_the_images_does_not_bias_the_number_of_layers(shares, noise, layers):
    result = read_out_of(values(np.tile(shares, (200, 1)), noise=noise, images=24), "image")
    mean = result["read_out"]
    rectified = mean.clip(min=0)
    ratios = {
        "plain": (mean.sum("layer") ** 2 / (mean**2).sum("layer")).median(),
        "rectified": (rectified.sum("layer") ** 2 / (rectified**2).sum("layer")).median(),
    }
    assert max(abs(float(ratio) / layers - 1) for ratio in ratios.values()) > 0.1, "noise biases participation ratios"
    assert float(result["effective_layers"].median()) == pytest.approx(layers, rel=0.05)


def test_without_agreement_of_the_halves_there_is_no_number():
    result = read_out_of(values(np.zeros((200, LAYERS)), noise=1.0, images=24), "image")
    agreed = result["agreement"] >= 0.5
    assert float(agreed.mean()) < 0.1
    for name in ("effective_layers", "centre_of_gravity", "peak_layer"):
        assert (np.isnan(result[name]) == ~agreed).all()
    assert np.isfinite(result["read_out"]).all()
    nothing = read_out_of(values(np.zeros(LAYERS)), "image")
    assert np.isnan(nothing["effective_layers"]) and np.isnan(nothing["agreement"])


def test_two_images_are_the_two_halves():
    a, b = np.array([1.0, 0.0, 2.0, -1.0]), np.array([2.0, 1.0, 1.0, 0.0])
    both = xr.concat([values(a, images=1), values(b, images=1)], "sample").squeeze("concept")
    result = read_out_of(both, "image", halvings=3)
    assert float(result["effective_layers"]) == pytest.approx(a.sum() * b.sum() / (a * b).sum())
    size = ((a**2).sum() + (b**2).sum()) / 2  # over the halvings either image is the first half
    assert float(result["agreement"]) == pytest.approx((a * b).sum() / size, rel=0.1)
    mean = (a + b) / 2
    np.testing.assert_allclose(result["read_out"], mean)
    assert float(result["centre_of_gravity"]) == pytest.approx((np.arange(4) * mean).sum() / mean.sum())
    assert np.isnan(read_out_of(values(a, images=1), "image")["effective_layers"])


def test_a_concept_that_lowers_the_score_has_the_profile_of_one_that_raises_it():
    up, down = values(ONE_BLOCK + 0.2 * EQUAL), -values(ONE_BLOCK + 0.2 * EQUAL)
    result, other = read_out_of(up, "image"), read_out_of(down, "image")
    for name in ("effective_layers", "centre_of_gravity", "peak_layer", "agreement"):
        np.testing.assert_allclose(result[name], other[name])


def test_images_that_do_not_count_are_left_out_and_cells_do_not_depend_on_each_other():
    shares = np.array([ONE_BLOCK, EQUAL, ONE_BLOCK + EQUAL])
    whole = values(shares, noise=0.1)
    part = whole.copy(data=whole.values.copy())
    part[1, 3, 0] = part[1, :, 4] = np.nan
    result = read_out_of(part, "image")
    assert result["n"].values.tolist() == [12, 10, 12]
    kept = whole.isel(concept=[1], sample=[i for i in range(12) if i not in (0, 4)])
    xr.testing.assert_allclose(result.isel(concept=[1]), read_out_of(kept, "image"))
    turned = part.isel(concept=[2, 0, 1], layer=slice(None, None, -1)).transpose("sample", "layer", "concept")
    xr.testing.assert_allclose(read_out_of(turned, "image"), result.isel(concept=[2, 0, 1]))


def test_blocks_that_are_missing_and_other_scopes_are_refused():
    whole = values([ONE_BLOCK])
    with pytest.raises(ValueError, match=r"after every block, 0 … 7; it is there for \[-1, 0, 2, 3, 4, 5, 6, 7\]"):
        read_out_of(whole.isel(layer=[0, 1, 3, 4, 5, 6, 7, 8]), "image")
    with pytest.raises(ValueError, match=r"after every block, 0 … 7; it is there for \[-1, 0, 1\]"):
        read_out_of(whole.isel(layer=slice(3)), "image")
    with pytest.raises(ValueError, match="there is none"):
        read_out_of(whole.isel(layer=[0]), "image")
    with pytest.raises(ValueError, match="expected 'image' or 'last_prompt'; got 'text'"):
        read_out_of(whole, "text")
    with pytest.raises(ValueError, match="expected a DataArray with dimensions 'layer'"):
        read_out_of(whole.mean("sample"), "image")


def grid(shares, scope="image", noise=0.02):
    """A sweep of such effects, with random directions that do little, at strengths 0 and 1."""
    own = values(shares, scope, noise=noise)
    rng = np.random.default_rng(1)
    base = rng.normal(-5, 1, own.sizes["sample"])
    cells = np.full((len(own), own.sizes["layer"], 2, 2, 4, own.sizes["sample"]), np.nan)
    cells[:, :, 0] = base
    cells[:, :, 1, 0, 0] = base + own.values
    cells[:, :, 1, 1] = base + 0.05 * rng.standard_normal((*cells.shape[:2], 4, 1))
    cells[:, :, :, 0, 1:] = np.nan
    coords = {name: own[name] for name in ("layer", "relative_depth")}
    coords |= {"concept": [f"c{i}" for i in range(len(own))], "strength": [0.0, 1.0], "control": ["concept", "random"]}
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    unsteered = (("concept", "sample"), np.tile(base, (len(own), 1)))
    return xr.Dataset({"logit": (dims, cells), "logit_unsteered": unsteered}, coords, {"scope": scope})


@pytest.mark.parametrize("scope", ["image", "last_prompt", "last_prompt+generated"])
def test_a_sweep_has_a_profile_for_every_strength(scope):
    data = grid([ONE_BLOCK, EQUAL], scope.split("+")[0]).assign_attrs(scope=scope)
    result = read_out(data, "logit")
    assert result["effective_layers"].dims == ("concept", "strength")
    assert np.isnan(result["effective_layers"].sel(strength=0)).all()
    np.testing.assert_allclose(result["effective_layers"].sel(strength=1), [1, LAYERS], rtol=0.05)
    assert mp.studies.read_out is read_out


def test_the_profile_of_a_sweep_is_taken_from_the_value_not_the_difference_from_controls():
    data = grid([ONE_BLOCK], noise=0.0)
    loud = data.copy(deep=True)
    loud["logit"][:, :, 1, 1] += 3 * np.random.default_rng(0).standard_normal((1, LAYERS + 1, 4, 1))
    xr.testing.assert_allclose(read_out(loud, "logit"), read_out(data, "logit"))


def test_sweeps_of_other_tokens_or_without_controls_are_refused():
    data = grid([ONE_BLOCK])
    with pytest.raises(ValueError, match=r"this grid steers 'text\+image'.*tokens='image' or tokens='last_prompt'"):
        read_out(data.assign_attrs(scope="text+image"), "logit")
    with pytest.raises(ValueError, match="never reported without its controls"):
        read_out(data.sel(control=["concept"]), "logit")
    with pytest.raises(ValueError, match="no metric 'named'"):
        read_out(data, "named")


def test_verdicts_need_an_effect_that_is_clear_of_controls():
    data = grid([ONE_BLOCK, EQUAL, np.zeros(LAYERS)], noise=0.001)
    profile, effect = read_out(data, "logit"), mp.effect(data, "logit")
    verdicts = causal_verdict(profile, effect).sel(strength=1)
    assert verdicts.values.tolist() == ["block 5", "8.0 of 8 blocks", NOT_DISTINGUISHABLE]
    unclear = effect.assign(clear_of_controls=xr.zeros_like(effect["clear_of_controls"]))
    assert set(causal_verdict(profile, unclear.drop_vars(SHARE, errors="ignore")).values.ravel()) == {
        NOT_DISTINGUISHABLE
    }
    with pytest.raises(ValueError, match="the read-out profile lacks variable 'effective_layers'"):
        causal_verdict(effect, effect)
    with pytest.raises(ValueError, match="the effect lacks variable 'clear_of_controls'"):
        causal_verdict(profile, profile)


def patches(shares, pairs=8, gap=2.0):
    """A patch of the image tokens and of the last prompt token with such recovered shares, in both directions."""
    rng = np.random.default_rng(0)
    gaps = gap + rng.uniform(0, 1, (len(shares), pairs))
    base = rng.normal(size=(len(shares), pairs))
    by_group = [values(shares, group, images=pairs).values for group in ("image", "last_prompt")]
    moved = np.stack(by_group, 2) * gaps[:, None, None]  # concept, layer, group, sample
    sign = np.array([1.0, -1.0])[:, None, None]
    patched = base[:, None, None, None, None] + np.stack([moved, 0 * moved], -2)[:, :, :, None] * sign
    dims = ("concept", "layer", "group", "direction", "control", "sample")
    layers = np.arange(-1, LAYERS)
    return xr.Dataset(
        {
            "logit": (dims, patched, {"direction": 1}),
            "logit_base": (dims, np.broadcast_to(base[:, None, None, None, None], patched.shape)),
            "logit_source": (("concept", "direction", "sample"), base[:, None] + gaps[:, None] * sign[..., 0]),
        },
        {
            "concept": [f"c{i}" for i in range(len(shares))],
            "layer": layers,
            "relative_depth": ("layer", (layers + 1) / LAYERS),
            "group": ["image", "last_prompt"],
            "direction": ["insert", "remove"],
            "control": ["pair", "identity"],
        },
        {"minimum_gap": 0.5},
    )


@pytest.mark.parametrize("group", ["image", "last_prompt"])
def test_patches_have_the_differences_of_their_recovered_share(group):
    data = patches([ONE_BLOCK, EQUAL])
    result = read_out_of_patches(data, "logit", group=group)
    shares = mp.recovered(data, "logit").recovered.sel(control="pair", group=group).transpose(..., "layer")
    sign = -1 if group == "image" else 1
    np.testing.assert_allclose(result["read_out"], sign * np.diff(shares.transpose(*result["read_out"].dims)))
    for direction in ("insert", "remove"):
        np.testing.assert_allclose(result["effective_layers"].sel(direction=direction), [1, LAYERS])
    assert (result["n"] == 8).all()


def test_patches_of_few_pairs_or_small_gaps_have_no_profile():
    few = read_out_of_patches(patches([ONE_BLOCK], pairs=5), "logit")
    assert np.isnan(few["read_out"]).all() and np.isnan(few["effective_layers"]).all()
    small = read_out_of_patches(patches([ONE_BLOCK]), "logit", minimum_gap=2.6)
    assert int(small["n"].max()) < 8
    with pytest.raises(ValueError, match="no group 'image'; it has last_prompt"):
        read_out_of_patches(patches([ONE_BLOCK]).sel(group=["last_prompt"]), "logit")
    with pytest.raises(ValueError, match="group: expected one of image, last_prompt"):
        read_out_of_patches(patches([ONE_BLOCK]), "logit", group="text")
    with pytest.raises(ValueError, match="the grid of mp.patch lacks"):
        read_out_of_patches(grid([ONE_BLOCK]), "logit")


def test_the_number_of_layers_lies_where_numbers_of_layers_lie():
    """Shares of both signs, or noise, carry the ratio beyond: a tenth of a block, or 9 blocks of 8."""
    cancelling = np.zeros(LAYERS)
    cancelling[[2, 5]] = 1, -0.8
    assert read_out_of(values(cancelling), "image")["effective_layers"] == 1
    noisy = read_out_of(values(np.tile(EQUAL, (200, 1)), noise=0.1, images=6), "image")["effective_layers"]
    one = read_out_of(values(np.tile(ONE_BLOCK, (200, 1)), noise=0.3, images=6), "image")["effective_layers"]
    for found in (noisy.values, one.values):
        known = found[np.isfinite(found)]
        assert len(known) > 50 and (known >= 1).all() and (known <= LAYERS).all()
    assert (noisy == LAYERS).any() and (one == 1).any(), "some would have lain beyond"


SHARE = ["gap_share", "gap_share_low", "gap_share_high"]


def test_no_cause_is_said_only_where_the_whole_interval_of_the_gap_share_is_near_zero():
    """A decoy whose controls reach as far, since only part of its vector is causal, has an effect and no verdict."""
    data = grid([ONE_BLOCK, EQUAL, np.zeros(LAYERS)], noise=0.001)
    profile, effect = read_out(data, "logit"), mp.effect(data, "logit")
    none = xr.zeros_like(effect["difference"])

    def verdicts(low, high, clear=False):
        shares = {"gap_share_low": none + low, "gap_share_high": none + high}
        found = effect.assign(**shares, clear_of_controls=(none + clear).fillna(0).astype(bool))
        return causal_verdict(profile, found).sel(strength=1).values.tolist()

    assert verdicts(-0.09, 0.1) == [NO_CAUSE] * 3
    assert verdicts(-0.09, 0.11) == verdicts(-0.2, 0.05) == verdicts(0.2, 0.6) == [NOT_DISTINGUISHABLE] * 3
    assert verdicts(np.nan, np.nan) == [NOT_DISTINGUISHABLE] * 3
    assert verdicts(-0.05, 0.05, clear=True) == ["block 5", "8.0 of 8 blocks", NOT_DISTINGUISHABLE]
    once = none.where(none["layer"] != 3, 0.5)
    found = effect.assign(gap_share_low=none, gap_share_high=once, clear_of_controls=none.astype(bool))
    assert set(causal_verdict(profile, found).values.ravel()) == {NOT_DISTINGUISHABLE}
