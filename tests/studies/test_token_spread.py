"""How many image tokens carry a concept: on made-up shares, with noise, and on planted truth."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.readout import effective_tokens

PAIRS, TOKENS = 8, 25


def patched(shares, noise=0.0, seed=0):
    """A patch of single image tokens with given recovered shares [pair, token] and a gap of 4 nats."""
    rng = np.random.default_rng(seed)
    dims = ("concept", "layer", "group", "direction", "control", "sample")
    moved = np.stack([4 * (shares.T + noise * rng.standard_normal(shares.T.shape)) * sign for sign in (1, -1)], 1)
    patched = moved[None, None, :, :, None]
    coords = {
        "concept": ["cat"], "layer": [-1], "group": [f"patch {n // 5},{n % 5}" for n in range(TOKENS)],
        "direction": ["insert", "remove"], "control": ["pair"], "sample": range(len(shares)),
    }  # fmt: skip
    source = np.broadcast_to(np.array([4.0, -4.0])[None, :, None], (1, 2, len(shares)))
    data = {
        "logprob": (dims, patched, {"direction": 1}),
        "logprob_base": (dims, np.zeros_like(patched)),
        "logprob_source": (("concept", "direction", "sample"), source),
    }
    return xr.Dataset(data, coords)


def carried(count):
    """Shares of ``count`` tokens, other ones in every pair."""
    shares = np.zeros((PAIRS, TOKENS))
    for pair in range(PAIRS):
        shares[pair, np.random.default_rng(pair).permutation(TOKENS)[:count]] = 1 / count
    return shares


@pytest.mark.parametrize("count", [1, 4, 25])
def test_it_is_the_number_of_tokens_that_carry_equal_shares(count):
    found = effective_tokens(patched(carried(count)))
    assert found.effective_tokens == pytest.approx(count) and found.token_agreement == pytest.approx(1)


def test_noise_does_not_widen_it_as_it_widens_a_participation_ratio():
    found = [effective_tokens(patched(carried(2), noise=0.1, seed=seed)).effective_tokens for seed in range(40)]
    assert np.mean(found) == pytest.approx(2, abs=0.2)
    noisy = carried(2) + 0.1 * np.random.default_rng(0).standard_normal((PAIRS, TOKENS))
    assert (abs(noisy).sum(1) ** 2 / (noisy**2).sum(1)).mean() > 4


def test_directions_that_disagree_give_no_number():
    found = effective_tokens(patched(np.zeros((PAIRS, TOKENS)), noise=0.1))
    assert np.isnan(found.effective_tokens) and abs(found.token_agreement) < 0.5


def test_pairs_that_the_model_does_not_tell_apart_do_not_count():
    grid = patched(carried(4))
    grid["logprob_source"] = grid.logprob_source.where(grid.sample > 0, 0.1 * grid.logprob_source)
    grid["logprob"] = grid.logprob.where(grid.sample > 0, 7.0)
    assert effective_tokens(grid).effective_tokens == pytest.approx(4)


def test_planted_truth_is_in_every_image_token():
    planted = mp.studies.truth.plant(layers=4, block=2, kinds=("local", "distributed"), pairs=6)
    grid = mp.patch(
        planted.model, planted.library.subset(pairs=3), layers=["input"], groups="patches", controls=(), progress=False
    )
    np.testing.assert_allclose(effective_tokens(grid).effective_tokens, grid.sizes["group"], rtol=0.02)


def test_another_patch_is_refused():
    grid = patched(carried(4))
    with pytest.raises(ValueError, match=r"expected a patch of single image tokens .* groups='patches'"):
        effective_tokens(grid.assign_coords(group=["image"] * TOKENS).isel(group=[0]))
    with pytest.raises(ValueError, match="in both directions; it has groups patch 0,0"):
        effective_tokens(grid.sel(direction=["insert"]))


def test_the_number_of_tokens_lies_within_those_that_there_are():
    noisy = [effective_tokens(patched(carried(25), noise=0.02, seed=seed)).effective_tokens for seed in range(40)]
    assert (np.array(noisy) <= TOKENS).all() and (np.array(noisy) == TOKENS).any()
    cancelling = np.zeros((PAIRS, TOKENS))
    cancelling[:, :2] = 1, -0.8
    assert effective_tokens(patched(cancelling)).effective_tokens == 1
