"""The recovered share by layer: its numbers, its donors, and what it refuses."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.plots import recovery_profile

LAYERS, GROUPS = [schema.INPUT, 0, 1, 2], ["changed", "image", "patch 0,1"]


def share(controls=("pair", "identity", "unrelated"), by="concept"):
    dims = (by, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL)
    names = {"concept": ["cat", "neon"], "category": ["entity", "visual_style"]}[by]
    shape = (2, 4, 3, 2, len(controls))
    values = np.random.default_rng(0).uniform(0, 1, shape)
    counts = ((by, schema.DIRECTION), np.array([[12, 12], [9, 12]]))
    return xr.Dataset(
        {
            "recovered": (dims, values, {"long_name": "recovered share of the log-probability"}),
            "low": (dims, values - 0.1),
            "high": (dims, values + 0.1),
            "n": counts,
            "below_gap": ((by, schema.DIRECTION), np.array([[0, 0], [3, 0]])),
        },
        coords=schema.layer_coordinates(LAYERS, 3)
        | {by: names, schema.GROUP: GROUPS, schema.DIRECTION: ["insert", "remove"], schema.CONTROL: list(controls)},
        attrs={"model": "scenes-8l", "operation": "interchange", "prompt": "what do you see ?"},
    )


def data(figure, name):
    (renderer,) = [one for one in figure.renderers if one.name == name]
    return renderer.data_source.data


def texts(figure):
    return " ".join(one.text for one in reversed(figure.above) if hasattr(one, "text"))


def test_lines_are_the_numbers_of_the_share():
    drawn = share()
    figure = recovery_profile(drawn, "neon", "remove")
    for group in ("changed", "image"):
        expected = drawn.sel(concept="neon", direction="remove", group=group)
        np.testing.assert_array_equal(data(figure, f"share {group}")["y"], expected.recovered.sel(control="pair"))
        np.testing.assert_array_equal(data(figure, f"interval {group}")["high"], expected.high.sel(control="pair"))
        np.testing.assert_array_equal(
            data(figure, f"unrelated {group}")["y"], expected.recovered.sel(control="unrelated")
        )
    assert data(figure, "share image")["layer"] == ["input", "0", "1", "2"]
    assert figure.xaxis[0].major_label_overrides == {-1: "input"}
    assert not [one for one in figure.renderers if "patch 0,1" in one.name or "identity" in one.name]


def test_the_caption_says_how_many_pairs_count():
    assert "n = 9 pairs" in texts(recovery_profile(share(), "neon"))
    assert "3 with a smaller gap left out" in texts(recovery_profile(share(), "neon"))
    assert "left out" not in texts(recovery_profile(share(), "cat"))
    assert "scenes-8l" in texts(recovery_profile(share())) and "what do you see ?" in texts(recovery_profile(share()))


def test_categories_and_single_patches_can_be_drawn():
    figure = recovery_profile(share(by="category"), "visual_style", groups=["patch 0,1"], controls="unrelated")
    assert len(data(figure, "share patch 0,1")["y"]) == 4


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="not drawn without another donor: expected 'unrelated'"):
        recovery_profile(share(("pair", "identity")))
    with pytest.raises(ValueError, match="concept 'dog' is not in the recovered share; it has cat, neon"):
        recovery_profile(share(), "dog")
    with pytest.raises(ValueError, match="direction 'in' is not in"):
        recovery_profile(share(), direction="in")
    with pytest.raises(ValueError, match="group 'text' is not in"):
        recovery_profile(share(), groups=["text"])
    with pytest.raises(ValueError, match="control 'other_positive' is not in"):
        recovery_profile(share(), controls=["other_positive"])
    with pytest.raises(TypeError, match="expected the dataset of mp.recovered, got dict"):
        recovery_profile({})
    with pytest.raises(ValueError, match="the recovered share lacks variable 'recovered'"):
        recovery_profile(xr.Dataset())


def test_the_share_of_a_patch_is_drawn(tiny):
    from tests.patching.test_patch import square_pairs

    grid = mp.patch(tiny, {"cat": square_pairs(2)}, layers=["input", 1], progress=False)
    found = mp.recovered(grid)
    np.testing.assert_array_equal(data(recovery_profile(found), "share image")["layer"], ["input", "1"])
