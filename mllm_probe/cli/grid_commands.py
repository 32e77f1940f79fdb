"""Commands that read the store of a sweep or a study: effect, export, report; and the studies of bundled models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import mllm_probe as mp
from mllm_probe.cli.commands_common import (
    DONE,
    INCOMPLETE,
    AsJson,
    Config,
    Names,
    alone_on_stdout,
    note,
    provenance_of,
    settings_beside,
    show,
    table_text,
    write_settings,
)
from mllm_probe.models.argument_checks import writable_path_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EXPORTED = (".csv", ".html")
"""Endings of what ``export`` writes."""


def effect(
    store: str,
    /,
    *,
    metric: str | None = None,
    split: Literal["fit", "held_out"] | None = None,
    average: Literal["mean", "median"] = "mean",
    seed: int = 0,
    best: bool = False,
    passing: bool = False,
    csv: bool = False,
    as_json: AsJson = False,
) -> int:
    """Print what steering does to a score, against what its controls do, cell by cell.

    The table shows means and p of every control; --csv and --json have all columns, without rounding.

    Parameters
    ----------
    store
        The folder that a sweep wrote, whole or half filled.
    metric
        One of its metrics, or score; the score of answers where there are any, else logprob, if not given.
    split
        Use only the images of one split.
    average
        How images are summarised.
    seed
        Of the resamples behind the intervals of skewed scores.
    best
        Only the best cell of each concept: of the largest mean score of its answers, or the largest effect where
        answers have no score.
    passing
        Only cells that are clear of every control at a false discovery rate of .05 over the grid.
    csv
        Print comma-separated values.

    Examples
    --------
    $ mllm-probe effect cats-sweep.zarr
    $ mllm-probe effect cats-sweep.zarr --best --csv
    """
    if csv and as_json:
        raise ValueError("csv: expected --csv or --json, not both.")
    grid = mp.sweeps.open_grid(store)  # before PyTorch is imported
    from mllm_probe.plots.effects import grid_caption
    from mllm_probe.studies.clear_cells import cell_table, short_columns

    shown = _effect(grid, metric, split=split, average=average, seed=seed)
    caption = grid_caption(shown)
    if best:
        shown, table, caption = _best(grid, shown)
    else:
        table = cell_table(shown)
    table = table[table["clear_in_grid"]] if passing else table
    untested = table["q"].isna()
    if untested.any():  # no verdict, which is another thing than a cell that does not pass
        table = table.assign(clear_in_grid=table["clear_in_grid"].astype(object).where(~untested, None))
        caption += " · without q: no verdict, and the reason says why"
    if table.empty:
        caption += " · no cell passes" if passing else " · no cell was run with its controls"
    if csv:
        print(table.to_csv(index=False), end="", flush=True)
        note(caption)
    else:
        document = {"metric": shown.attrs["metric"], "cells": table.to_dict("records"), "caption": caption}
        about = f"{shown.attrs['metric']} [{shown['difference'].attrs['units']}] · {caption}"
        text = about if table.empty else f"{table_text(table[short_columns(table)])}\n\n{about}"
        show(text, document | {"attributes": provenance_of(shown.attrs)}, as_json)
    return _status(grid)


def export(store: str, out: str, *, metric: str | None = None, config: Config = None, as_json: AsJson = False) -> int:
    """Write the effects of a sweep to a file that other programs read.

    Parameters
    ----------
    store
        The folder that a sweep wrote, whole or half filled.
    out
        The file to write: *.csv has a row for each metric and cell that was run, with all controls; *.html is the
        offline page of report.
    metric
        Of *.csv, one metric in place of all; of *.html, the one that the page begins with.

    Examples
    --------
    $ mllm-probe export cats-sweep.zarr cats.csv
    """
    path = writable_path_of("out", out)
    if path.suffix not in EXPORTED:
        raise ValueError(f"{path.name}: sweeps are exported as {' or '.join(f'*{ending}' for ending in EXPORTED)}.")
    settings_beside(path)
    grid = mp.sweeps.open_grid(store)
    if path.suffix == ".html":
        mp.report(grid, path, metric=metric)
    else:
        _write_csv(grid, metric, path)
    _wrote("export", path, {"store": store, "out": out, "metric": metric}, as_json)
    return _status(grid)


def report(
    grid: str,
    page: str,
    *,
    metric: str | None = None,
    title: str | None = None,
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """Write one offline page from the store of a sweep or a study.

    Parameters
    ----------
    grid
        The folder that a sweep wrote, whole or half filled, or that of a study.
    page
        The file to write, for instance report.html.
    metric
        The metric that the page begins with.
    title
        Heading of the page.

    Examples
    --------
    $ mllm-probe report cats-sweep.zarr cats.html --title "Cats by layer"
    """
    settings_beside(page)
    data = mp.sweeps.open_grid(grid)
    written = mp.report(data, page, metric=metric, title=title)
    _wrote("report", written.path, {"grid": grid, "page": page, "metric": metric, "title": title}, as_json)
    return _status(data)


def _effect(grid: xr.Dataset, metric: str | None, **how: Any) -> xr.Dataset:
    from mllm_probe.studies.effect import effect as effect_of
    from mllm_probe.widgets.heatmap.map_cells import first_metric

    return effect_of(grid, first_metric(grid) if metric is None else metric, **how)


def _best(grid: xr.Dataset, shown: xr.Dataset) -> tuple[xr.Dataset, pd.DataFrame, str]:
    """The effect that best cells are reported with, their table, and how they were chosen."""
    from mllm_probe.reports.sweep_report import choice_of
    from mllm_probe.studies.clear_cells import best_cell_table, best_cells

    best = best_cells(grid, shown)
    return best.reported, best_cell_table(best), choice_of(best, grid)


def _write_csv(grid: xr.Dataset, metric: str | None, path: Path) -> None:
    import pandas as pd

    from mllm_probe.studies.clear_cells import cell_table
    from mllm_probe.widgets.heatmap.map_cells import shown_metrics

    metrics = shown_metrics(grid) if metric is None else [metric]
    tables = {name: cell_table(_effect(grid, name)) for name in metrics}
    partial = path.with_name(f"{path.name}.partial")
    pd.concat(tables, names=["metric"]).reset_index("metric").to_csv(partial, index=False)
    partial.replace(path)


def _wrote(command: str, path: Path, settings: dict[str, Any], as_json: bool) -> None:
    size = path.stat().st_size
    file = write_settings(command, path, settings)
    show(f"{path} ({size / 1e6:.1f} MB)", {"path": path, "bytes": size, "settings": file}, as_json)


def _status(data: xr.Dataset) -> int:
    """0 for a whole grid; 3, and a message, for one that is still filling."""
    from mllm_probe.reports.study_report import unfinished

    if notice := unfinished(data):
        note(f"{notice} Run the sweep again to finish it.")
        return INCOMPLETE
    return DONE


def bundled_studies(
    *,
    out: str = "report.html",
    work: str | None = None,
    processes: int = 2,
    model: Names = None,
    only: Names = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Run every study on every bundled model and write one offline page. Started again, it goes on where it stopped.

    Parameters
    ----------
    out
        The page to write.
    work
        Folder where runs and results are kept; in the user's cache by default.
    processes
        Of one thread each.
    model
        Some of the models; all by default.
    only
        Some of the studies; all by default.

    Examples
    --------
    $ mllm-probe studies bundled --out studies.html --only atlas
    """
    from mllm_probe.reports.bundled_studies import default_work, run_bundled_studies

    settings_beside(out)
    folder = default_work() if work is None else work
    with alone_on_stdout(as_json):
        lines = run_bundled_studies(folder, out, processes=processes, models=model, only=only)
    settings = {"out": out, "work": work, "processes": processes, "model": model, "only": only}
    written = write_settings("studies bundled", out, settings)
    show("\n".join(lines), {"page": out, "settings": written, "summary": lines}, as_json)
