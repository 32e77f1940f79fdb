"""Cells of an effect as a table: one row for each cell that was run, with its controls in columns."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from mllm_probe.schema import CONCEPT, CONTROL, LAYER, SCORED_CONCEPT, STRENGTH, WORDS
from mllm_probe.studies.answer_score import SCORE
from mllm_probe.studies.best_cell import BestCells
from mllm_probe.studies.cell_scores import CELL

_FIRST = (*CELL, SCORED_CONCEPT, SCORE, "kept", "value", "difference", "low", "high", "n", "q", "clear_in_grid")
_OF_CONTROLS = ("control_mean", "p")
"""What the short table shows of each kind of control."""


def cell_table(effect: xr.Dataset) -> pd.DataFrame:
    """Cells of an effect that were run, beside their controls.

    `effect` (Dataset (concept, layer, strength[, scored_concept])): from :func:`mllm_probe.effect`. Returns a row for
    each cell; cells that were not run, or whose controls were not, are left out. Columns are those dimensions with
    their companions (``category``, ``relative_depth``), and the effect's variables; those by control have a column for
    each kind, such as ``control_mean_random``.
    """
    cell = [dim for dim in (*CELL, SCORED_CONCEPT) if dim in effect.dims]
    effect = effect.drop_vars(WORDS, errors="ignore")
    columns = effect.drop_dims(CONTROL)
    for name in (name for name, variable in effect.data_vars.items() if CONTROL in variable.dims):
        by_kind = {f"{name}_{kind}": effect[name].sel({CONTROL: kind}, drop=True) for kind in effect[CONTROL].values}
        columns = columns.assign(by_kind)
    rows = columns.to_dataframe(dim_order=cell).reset_index()
    return rows[np.isfinite(rows["difference"])].reset_index(drop=True)


def best_cell_table(best: BestCells) -> pd.DataFrame:
    """The best cell of each concept, beside its controls.

    `best`: from :func:`mllm_probe.studies.best_cell.best_cells`. Returns: as `cell_table` of the images that the cells
    are reported on, a row for each concept, with ``score``: what its cell was chosen by; and ``kept`` where that was
    run. Concepts without a cell are left out.
    """
    rows = cell_table(best.reported if best.kept is None else best.reported.assign(kept=best.kept))
    places = zip(rows[CONCEPT], rows[LAYER], rows[STRENGTH], strict=True)
    here = [(layer, strength) == _place(best, concept) for concept, layer, strength in places]
    rows = rows[here].reset_index(drop=True)
    rows.insert(len(CELL), SCORE, [best.cells[name].score for name in rows[CONCEPT]])
    return rows


def short_columns(columns: Iterable[str]) -> list[str]:
    """Columns of such a table that fit on a screen: the cell, its effect, and the mean and p of every control."""
    known = list(columns)
    controls = [name for name in known if name.startswith(tuple(f"{one}_" for one in _OF_CONTROLS))]
    return [name for name in _FIRST if name in known] + controls


def _place(best: BestCells, concept: str) -> tuple[int, float] | None:
    cell = best.cells.get(concept)
    return None if cell is None else (cell.layer, cell.strength)
