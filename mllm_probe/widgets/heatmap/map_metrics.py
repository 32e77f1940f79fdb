"""Metrics that a map offers for a grid, the one to look at first before the others, and their names in its menu."""

from __future__ import annotations

import xarray as xr

from mllm_probe.metrics.registry import label_of, metrics_of
from mllm_probe.studies.answer_score import SCORE, content_checked, has_score

SCREEN = "logprob"
_SCREEN_LABEL = "log-probability (fast screen)"


def shown_metrics(grid: xr.Dataset) -> list[str]:
    """Names of the metrics of a grid: the score of its answers first, where it holds what that is made of."""
    return [*[SCORE] * has_score(grid), *metrics_of(grid)]


def first_metric(grid: xr.Dataset) -> str:
    """The metric to look at first: the score of answers, else log-probability, else the first that is there.

    A grid without metrics is given log-probability, whose absence is then reported.
    """
    shown = shown_metrics(grid)
    return SCORE if SCORE in shown else SCREEN if SCREEN in shown or not shown else shown[0]


def metric_label(grid: xr.Dataset, metric: str) -> str:
    """Label of a metric of a grid or effect in the menu of a map.

    Log-probability is called a fast screen where no answers were generated: it says which cells move the concept's
    words, not which answers name it.
    """
    if metric == SCORE:
        return "score of answers" if content_checked(grid) else "score of answers (content not checked)"
    answered = "text" in grid or "never_named" in grid
    return label_of(grid, metric) if answered or metric != SCREEN else _SCREEN_LABEL
