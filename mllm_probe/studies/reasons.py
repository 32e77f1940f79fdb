"""Why a cell of an effect does not pass: the first reason that applies, and the control that it is about."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.registry import direction_of
from mllm_probe.studies.answer_score import SCORE
from mllm_probe.studies.cell_scores import CELL, takes_away

REASONS = (
    "passes",
    "not_tested",
    "few_images",
    "equals_controls",
    "against_intention",
    "interval_includes_0",
    "control_reaches",
    "control_may_reach",
    "not_clear",
    "not_in_grid",
    "clear_alone",
    "reached_alone",
)
"""Names of the reasons. ``control_may_reach``: one more draw may, by p, though its limits do not show it, as where few
images or equal draws leave it open. ``not_clear``: of an effect without numbers by kind of control. ``clear_alone``,
``reached_alone``: of cells that are not tested in a grid, such as those of a single image."""
_BY_CONTROL = ("control_reaches", "control_may_reach", "reached_alone")


def reasons(effect: xr.Dataset, against: str = "random") -> xr.Dataset:
    """The reason of every cell.

    `effect`: from `mllm_probe.effect` or `mllm_probe.studies.one_picture.summarised`. `against`: the kind of control
    whose difference and interval are shown with the reason. Returns: ``reason``: place in `REASONS`, NaN where nothing
    was run. ``reached_by``: place along ``control`` of the kind that reaches as far; NaN for the other reasons.
    """
    difference, low, high = _shown(effect, against)
    single = effect.attrs.get("average") == "single"
    alone = single or "q" not in effect
    tested = np.isfinite(_values(effect, "q", np.nan))
    intended = _intended(effect)
    untested = effect.attrs.get("average") == "median" or not (alone or intended.any() or tested.any())
    clear, failing = _values(effect, "clear_in_grid", 0) == 1, _failing(effect, single)
    worst = _worst(effect, failing)
    # In the order in which they are looked for.
    found = {
        "clear_alone": alone & clear,
        "passes": clear,
        "not_tested": np.full(difference.shape, untested),
        "few_images": _values(effect, "n", np.inf) < int(effect.attrs.get("least_images", 0)),
        "reached_alone": alone & failing.any(-1),
        "equals_controls": ~tested & (difference == 0),
        "against_intention": tested & (intended != 0) & (np.sign(difference) == -intended),
        "interval_includes_0": (low <= 0) & (high >= 0),
        "control_may_reach": failing.any(-1) & _is_beyond(effect, difference, worst),
        "control_reaches": failing.any(-1),
        "not_in_grid": tested & (_values(effect, "clear_of_controls", 0) == 1),
        "not_clear": tested | alone,
    }
    reason = np.select(list(found.values()), [REASONS.index(name) for name in found], REASONS.index("not_tested"))
    by_control = np.isin(reason, [REASONS.index(name) for name in _BY_CONTROL])
    run = np.isfinite(difference)
    variables = {
        "reason": (CELL, np.where(run, reason, np.nan)),
        "reached_by": (CELL, np.where(run & by_control, worst, np.nan)),
    }
    coords = {name: coord for name, coord in effect.coords.items() if set(coord.dims) <= set(CELL)}
    return xr.Dataset(variables, coords)


def _shown(effect: xr.Dataset, against: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The difference from one kind of control and the ends of its interval."""
    names = ["difference", "low", "high"]
    if against != "random":
        effect = effect.sel({schema.CONTROL: against})
        names = ["difference_from", "difference_low", "difference_high"]
    value, low, high = (_values(effect, name, np.nan) for name in names)
    return value, low, high


def _intended(effect: xr.Dataset) -> np.ndarray:
    """Sign of an effect as the metric and the dose intend it [strength]; 0 where none is known."""
    metric, strengths = str(effect.attrs.get("metric", "")), effect.sizes[schema.STRENGTH]
    if metric == SCORE:  # which counts what the dose intends
        return np.ones(strengths)
    scored = effect["mean" if "mean" in effect else "difference"]
    return direction_of(xr.Dataset({metric: scored}), metric) * np.where(takes_away(effect), -1.0, 1.0)


def _failing(effect: xr.Dataset, single: bool) -> np.ndarray:
    """Kinds of control that a cell is not clear of, bool [*cell, control]."""
    mean = _values(effect, "mean", np.nan)[..., None]
    if single:  # lies within the interval of the draws, as in `summarised`
        return (mean >= _by_control(effect, "control_low")) & (mean <= _by_control(effect, "control_high"))
    clear = _by_control(effect, "clear")
    return np.isfinite(clear) & (clear == 0)


def _worst(effect: xr.Dataset, failing: np.ndarray) -> np.ndarray:
    """Of the kinds that a cell is not clear of, the place of the one that it is least far from [*cell]."""
    p = _by_control(effect, "p")
    distance = np.abs(_values(effect, "mean", np.nan)[..., None] - _by_control(effect, "control_mean"))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = distance / (_by_control(effect, "control_high") - _by_control(effect, "control_low"))
    near = np.where(np.isfinite(p), p, -np.nan_to_num(share, nan=np.inf))
    return np.where(failing, near, -np.inf).argmax(-1)


def _is_beyond(effect: xr.Dataset, difference: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Whether a cell lies beyond the limit, on its side, of one more draw of a kind of control [*cell]."""
    value = _values(effect, "mean", np.nan)
    low, high = (
        np.take_along_axis(_by_control(effect, name), kind[..., None], -1)[..., 0]
        for name in ("control_low", "control_high")
    )
    return np.where(difference > 0, value > high, value < low)


def _by_control(effect: xr.Dataset, name: str) -> np.ndarray:
    return _array(effect, name, (*CELL, schema.CONTROL), np.nan)


def _values(effect: xr.Dataset, name: str, otherwise: float) -> np.ndarray:
    return _array(effect, name, CELL, otherwise)


def _array(effect: xr.Dataset, name: str, dims: tuple[str, ...], otherwise: float) -> np.ndarray:
    """A variable as float, repeated along the dimensions that it lacks; ``otherwise`` where the effect has none."""
    sizes = {dim: effect.sizes.get(dim, 1) for dim in dims}
    if name not in effect:
        return np.full(list(sizes.values()), otherwise)
    variable = effect.variables[name]
    missing = {dim: size for dim, size in sizes.items() if dim not in variable.dims}
    return np.asarray(variable.set_dims(missing | dict(variable.sizes)).transpose(*dims).values, np.float64)
