"""Tables of cells hold what the effect holds, and leave out what was not run."""

import numpy as np

import mllm_probe as mp
from mllm_probe.studies.clear_cells import best_cell_table, best_cells, cell_table, short_columns
from tests.studies.test_best_cell import grid
from tests.widgets.test_heatmap import raw_grid


def test_a_row_for_each_cell_with_every_control():
    effect = mp.effect(raw_grid(), "logprob")
    table = cell_table(effect)
    assert len(table) == 3 * 2 * 3 and list(table.columns[:3]) == ["concept", "layer", "strength"]
    cell = effect.sel(concept="tree", layer=5, strength=1)
    (row,) = table[(table.concept == "tree") & (table.layer == 5) & (table.strength == 1)].to_dict("records")
    assert row["category"] == "entity" and row["relative_depth"] == 0.75
    assert row["difference"] == float(cell.difference) and row["clear_in_grid"] == bool(cell.clear_in_grid)
    for kind in effect.control.values:
        for name in ("control_mean", "control_low", "difference_high", "p"):
            assert row[f"{name}_{kind}"] == float(cell[name].sel(control=kind)), name


def test_cells_that_were_not_run_are_left_out():
    data = raw_grid()
    data["logprob"][0, 1] = np.nan  # "cat" at the second layer
    data["logprob"][1, 0, 2, 1:] = np.nan  # controls of "tree" at the first layer and the last strength
    table = cell_table(mp.effect(data, "logprob"))
    assert len(table) == 18 - 3 - 1 and not ((table.concept == "cat") & (table.layer == 5)).any()
    assert not ((table.concept == "tree") & (table.layer == 2) & (table.strength == 1)).any()


def test_scores_of_other_concepts_are_cells_of_their_own():
    table = cell_table(mp.effect(raw_grid(off_target=True), "off_target"))
    assert len(table) == 18 * 3 and list(table.columns[:4]) == ["concept", "layer", "strength", "scored_concept"]


def test_best_cells_with_their_score_and_controls():
    data = grid(samples=16)
    best = best_cells(data, mp.effect(data, "score"))
    table = best_cell_table(best).set_index("concept")
    assert {name: (row.layer, row.strength) for name, row in table.iterrows()} == {
        name: (cell.layer, cell.strength) for name, cell in best.cells.items()
    }
    reported = best.reported.sel(concept="cat", layer=2, strength=2)
    assert table.score["cat"] == best.cells["cat"].score
    assert table.difference["cat"] == float(reported.difference)
    assert table.control_mean_random["cat"] == float(reported.control_mean.sel(control="random"))
    assert table.kept["cat"] == float(best.kept.sel(concept="cat", layer=2, strength=2))


def test_a_concept_without_a_cell_has_no_row():
    data = grid(samples=16)
    data["named"][1] = np.nan
    assert list(best_cell_table(best_cells(data, mp.effect(data, "score"))).concept) == ["cat"]


def test_the_short_table_has_the_effect_and_every_control():
    columns = short_columns(cell_table(mp.effect(raw_grid(), "logprob")).columns)
    assert columns[:5] == ["concept", "layer", "strength", "value", "difference"]
    assert columns[-4:-2] == ["control_mean_random", "control_mean_shuffled"] and columns[-2:] == [
        "p_random",
        "p_shuffled",
    ]
