"""Clear cells of effects made by hand."""

import numpy as np
import xarray as xr

from mllm_probe.studies.clear_cells import clear_cells


def test_clear_cells_come_by_the_size_of_their_effect_and_leave_out_what_was_not_run():
    difference = np.array([[[1.0, -3.0], [np.nan, 2.0]], [[5.0, 0.5], [3.0, 0.0]]])
    clear = np.array([[[1, 1], [1, 0]], [[0, 1], [1, 0]]], bool)
    dims = ("concept", "layer", "strength")
    effect = xr.Dataset({"difference": (dims, difference), "clear_of_controls": (dims, clear)})
    expected = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert clear_cells(effect).tolist() == expected
    assert clear_cells(effect.transpose("strength", "concept", "layer")).tolist() == expected
