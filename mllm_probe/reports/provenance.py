"""How a grid or a study was made, as rows of names and values."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONTROL, DRAW, SAMPLE, SPLIT, STRENGTH
from mllm_probe.widgets.base.numbers import dose, words

_LABELS = {
    "model": "model",
    "weights": "weights fingerprint",
    "prompt": "prompt",
    "answer_prefix": "answer begins with",
    "scope": "edited tokens",
    "site": "edited site",
    "operation": "operation",
    "to": "in place of the concept",
    "unit": "unit of strength",
    "seed": "seed",
    "max_new_tokens": "longest answer, tokens",
    "concepts": "concept set",
    "interval": "interval",
    "path": "computed by",
    "refused_paths": "cheaper ways that were not exact",
}
_VERSION = "version_"
_LEFT_OUT = {"controls", "metrics", "progress", "metric", "summary"}


def provenance_rows(data: xr.Dataset) -> list[tuple[str, object]]:
    """Rows for every attribute of a grid, effect or study, those that matter first, and for its images and controls."""
    attrs = data.attrs
    rows: list[tuple[str, object]] = [
        (label, _said(attrs[name])) for name, label in _LABELS.items() if name in attrs and name != "path"
    ]
    rows += _measured(data) if STRENGTH in data.coords else []
    rows += [(_LABELS[name], _said(attrs[name])) for name in ("path",) if name in attrs]
    known = {*_LABELS, *_LEFT_OUT}
    rest = [name for name in attrs if name not in known and not str(name).startswith(_VERSION)]
    rows += [(words(str(name)), _said(attrs[name])) for name in rest]
    versions = [f"{str(name).removeprefix(_VERSION)} {attrs[name]}" for name in attrs if str(name).startswith(_VERSION)]
    return [*rows, ("versions", ", ".join(versions))] if versions else rows


def unfinished(data: xr.Dataset) -> str:
    """Sentence about a sweep that has not ended; empty for one that has."""
    progress = float(data.attrs.get("progress", 1.0))
    return "" if progress >= 1 else f"This sweep is not finished: {progress:.0%} of its cells were run."


def _measured(data: xr.Dataset) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [("strengths", ", ".join(dose(float(one)) for one in data[STRENGTH].values))]
    if SAMPLE in data.dims:
        count = data.sizes[SAMPLE]
        splits = (
            dict(zip(*np.unique(data[SPLIT].values, return_counts=True), strict=True)) if SPLIT in data.coords else {}
        )
        shares = ", ".join(f"{number} {words(str(name))}" for name, number in splits.items() if str(name))
        rows.append(("images", f"{count} ({shares})" if shares else count))
    kinds = [str(kind) for kind in data[CONTROL].values if str(kind) != "concept"] if CONTROL in data.coords else []
    draws = f", {data.sizes[DRAW]} draws each" if DRAW in data.dims else ""
    rows.append(("controls", ", ".join(kinds) + draws))
    return rows


def _said(value: object) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(str(one) for one in value)
    return "(nothing)" if value == "" else str(value)
