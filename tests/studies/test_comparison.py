"""Models side by side: nearest blocks, and grids that are not comparable."""

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.plots import study
from tests.studies.test_scaling import made_grid


def grid(name, layers, **attrs):
    own = np.arange(layers, dtype=float)[:, None, None] + np.random.default_rng(layers).normal(0, 0.1, (layers, 2, 12))
    made = made_grid(own, samples=12).assign_attrs(model=name, unit="residual", scope="last_prompt", prompt="?")
    depth = ("layer", (np.arange(layers) + 1) / layers)
    return made.assign_coords(relative_depth=depth, category=("concept", ["entity"])).assign_attrs(attrs)


def test_blocks_at_the_nearest_relative_depth_stand_side_by_side():
    small, large = grid("small", 4), grid("large", 10)
    both = mp.compare([small, large])
    np.testing.assert_allclose(both.depth, [0.25, 0.5, 0.75, 1])
    assert both.layer.sel(rung="large").values.tolist() in ([1, 4, 6, 9], [1, 4, 7, 9], [2, 4, 7, 9])
    expected = mp.effect(large, "logprob").difference.sel(layer=4, strength=2.0)
    assert both.difference.sel(rung="large", depth=0.5, concept="cat") == pytest.approx(expected.item())
    assert both.attrs["strength"] == 2.0 and both.attrs["model"] == ["small", "large"]
    assert both.difference.attrs["units"] == "nats"
    lower = mp.compare([small, large], strength=0.5)
    assert lower.difference.sel(rung="small", depth=1.0) == pytest.approx(
        mp.effect(small, "logprob").difference.sel(layer=3, strength=0.5).item()
    )


def test_a_comparison_has_a_figure():
    figure = study(mp.compare([grid("small", 4), grid("large", 8)]))
    lines = [one for one in figure.renderers if str(one.name).startswith("mean ")]
    assert [one.name for one in lines] == ["mean small", "mean large"]


def test_grids_that_are_not_comparable_are_refused_by_what_differs():
    small, large = grid("small", 4), grid("large", 8)
    with pytest.raises(ValueError, match="different models; got small, small"):
        mp.compare([small, small])
    with pytest.raises(ValueError, match="two or more different models; got small"):
        mp.compare([small])
    with pytest.raises(ValueError, match="different settings of scope: image, last_prompt"):
        mp.compare([small, grid("large", 8, scope="image")])
    with pytest.raises(ValueError, match=r"a dose that all grids have \(0.5, 2\); got 1"):
        mp.compare([small, large], strength=1.0)
    with pytest.raises(ValueError, match="no concept in common"):
        mp.compare([small, large.assign_coords(concept=["dog"])])
    with pytest.raises(TypeError, match="expected a list of grids"):
        mp.compare(small)
