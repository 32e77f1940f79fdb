"""Clear cells of effects made by hand."""

import numpy as np
import xarray as xr

from mllm_probe.studies.clear_cells import clear_cells, strongest_cell


def test_clear_cells_come_by_the_size_of_their_effect_and_leave_out_what_was_not_run():
    difference = np.array([[[1.0, -3.0], [np.nan, 2.0]], [[5.0, 0.5], [3.0, 0.0]]])
    clear = np.array([[[1, 1], [1, 0]], [[0, 1], [1, 0]]], bool)
    dims = ("concept", "layer", "strength")
    effect = xr.Dataset({"difference": (dims, difference), "clear_in_grid": (dims, clear)})
    expected = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert clear_cells(effect).tolist() == expected
    assert clear_cells(effect.transpose("strength", "concept", "layer")).tolist() == expected


def test_the_strongest_cell_is_clear_and_brings_the_concept_where_there_are_any():
    dims, coords = (
        ("concept", "layer", "strength"),
        {"concept": ["cat", "dog"], "layer": [3, 7], "strength": [-1.0, 1.0]},
    )
    difference = np.array([[[9.0, 1.0], [0.0, 2.0]], [[0.0, np.nan], [0.0, -4.0]]])
    clear = np.zeros((2, 2, 2), bool)
    effect = xr.Dataset({"difference": (dims, difference), "clear_in_grid": (dims, clear)}, coords)
    assert strongest_cell(effect) == ("dog", 7, 1.0)
    effect["clear_in_grid"][0, 0] = True
    assert strongest_cell(effect) == strongest_cell(effect.transpose("strength", "layer", "concept")) == ("cat", 3, 1.0)
    assert strongest_cell(effect.isel(strength=[0])) == ("cat", 3, -1.0)
    assert strongest_cell(effect.where(False).fillna({"clear_in_grid": False})) == ("cat", 3, -1.0)
