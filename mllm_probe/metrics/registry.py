"""The built-in metrics by name: every module of this package that declares a ``METRIC``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import xarray as xr

from mllm_probe.metrics.metric import READS, Metric
from mllm_probe.schema import did_you_mean


@cache
def built_in() -> dict[str, Metric]:
    """All built-in metrics, those that cost least first."""
    names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = [importlib.import_module(f"{__package__}.{name}") for name in names]
    metrics = [module.METRIC for module in modules if hasattr(module, "METRIC")]
    order = list(READS)
    return {metric.name: metric for metric in sorted(metrics, key=lambda m: (order.index(m.reads), m.name))}


def as_metrics(given: Iterable[str | Metric] | str | Metric) -> tuple[Metric, ...]:
    """The metrics that a ``metrics`` argument means, with those that they bring, each once.

    Raises ValueError for an unknown name, anything that is neither a name nor a :class:`Metric`, or two metrics of one
    name.
    """
    listed = [given] if isinstance(given, (str, Metric)) else list(given)
    metrics = [_as_metric(one) for one in listed]
    metrics += [built_in()[name] for metric in metrics for name in metric.brings]
    by_name: dict[str, Metric] = {}
    for metric in metrics:
        if by_name.setdefault(metric.name, metric) != metric:
            raise ValueError(f"metrics: two different metrics have the name '{metric.name}'; rename one of them.")
    return tuple(by_name.values())


def _as_metric(one: str | Metric) -> Metric:
    if isinstance(one, Metric):
        return one
    if isinstance(one, str) and one in built_in():
        return built_in()[one]
    raise ValueError(
        f"unknown metric {one!r}{did_you_mean(one, built_in())}; there are {', '.join(built_in())}, or an mp.Metric."
    )


def metrics_of(grid: xr.Dataset) -> list[str]:
    """Names of the metrics that a grid holds, built-in ones first.

    A user's metric is known by the attributes that its variable was written with, also in a grid read from a file.
    """
    known = [name for name in built_in() if name in grid and not built_in()[name].every_concept]
    own = [str(name) for name, variable in grid.data_vars.items() if variable.attrs.get("reads") in READS]
    return known + [name for name in own if name not in built_in()]


def label_of(grid: xr.Dataset, name: str) -> str:
    """Axis label of a metric: that of its variable, else its name."""
    label = grid[name].attrs.get("label") if name in grid else None
    known = built_in().get(name)
    return str(label or (known.label if known else name))


def scale_of(grid: xr.Dataset, name: str) -> str:
    """``"ratio"`` (effects in doublings), ``"share"`` (0 or 1) or ``"difference"``: as the grid says, else by name."""
    known = built_in().get(name)
    scale = grid[name].attrs.get("scale") or (known.attributes["scale"] if known else "difference")
    return str(scale)


def direction_of(grid: xr.Dataset, name: str) -> int:
    """Whether more of a concept means a larger (1) or smaller (-1) score, or neither (0), as a grid says or by name."""
    known = built_in().get(name)
    return int(grid[name].attrs.get("direction", known.direction if known else 0))
