"""Fluent doses, on perplexity ratios made by hand."""

import numpy as np
import pytest
import xarray as xr

from mllm_probe.studies.cell_scores import fluent_range, perplexity_by_dose


def grid():
    """Two images at three strengths, in the order in which they were asked for; random rows have other ratios."""
    ratios = np.full((1, 2, 3, 2, 2, 2), 9.0)
    ratios[0, 1, :, 0, 0] = [[1.0, 4.0], [np.nan, np.nan], [np.nan, 1.5]]
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    coords = {"concept": ["cat"], "layer": [2, 5], "strength": [2.0, 1.0, -1.0], "control": ["concept", "random"]}
    return xr.Dataset({"perplexity": (dims, ratios)}, coords)


def test_a_dose_has_the_geometric_mean_of_the_finite_ratios_of_the_concept_itself():
    assert perplexity_by_dose(grid(), "cat", 5) == [[-1.0, pytest.approx(1.5)], [2.0, pytest.approx(2.0)]]


def test_what_was_not_run_has_no_doses():
    assert perplexity_by_dose(grid(), "dog", 5) == perplexity_by_dose(grid(), "cat", 3) == []
    assert perplexity_by_dose(grid().drop_vars("perplexity"), "cat", 5) == []


def test_the_fluent_range_ends_at_the_last_dose_before_one_that_is_not():
    assert fluent_range([[-2, 3.0], [-1, 1.2], [1, 1.1], [2, 1.9], [3, 2.0]]) == (-1, 2)
    assert fluent_range([[1, 2.5], [2, 1.0]]) == (0, 0)
    assert fluent_range([[-2, 1.0], [-1, 2.5]]) == (0, 0)
    assert fluent_range([]) == (0, 0)
