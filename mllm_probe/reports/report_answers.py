"""The answers of a sweep as compact plain data: every text once, and for each cell which one it was."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.metrics.words import words_of
from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, STEP, STRENGTH
from mllm_probe.studies.one_picture import sample_labels
from mllm_probe.typing import JsonObject
from mllm_probe.widgets.base.marks import Marks, marks
from mllm_probe.widgets.pages.saved_page import base64_of

MOST = 200_000
"""Answers that are kept of the concept, and as many of the random direction."""

_NONE = np.empty(0, np.int32)
_CELL = (CONCEPT, LAYER, STRENGTH)


def answers_of(grid: xr.Dataset, most: int = MOST) -> JsonObject | None:
    """Collect what the page's search reads.

    `grid`: of a sweep; with ``text``, or None comes back. `most`: answers to keep at most; pictures beyond are left
    out. Returns: ``texts`` and, as base64 of int32 [concept, layer, strength, sample], indices of them: ``steered`` and
    ``random`` (its first draw), −1 where nothing was run; ``unsteered`` as a list; ``spans``, for each concept the
    mentions (see `marks`) in those of its texts that have any, by index.
    """
    if "text" not in grid or "text_unsteered" not in grid:
        return None
    cells = int(np.prod([grid.sizes[dim] for dim in _CELL]))
    count = max(1, min(grid.sizes[SAMPLE], most // max(1, cells)))
    grid = grid.isel({SAMPLE: slice(count)})
    known: dict[str, int] = {}
    unsteered = _numbered(grid["text_unsteered"].values, known)
    kinds = [str(kind) for kind in grid[CONTROL].values]
    found = {
        name: _indices(grid.isel({CONTROL: kinds.index(kind), DRAW: 0}), known) if kind in kinds else _NONE
        for name, kind in (("steered", "concept"), ("random", "random"))
    }
    texts = list(known)
    return {
        "concepts": [str(name) for name in grid[CONCEPT].values],
        "spans": _spans(grid, texts, unsteered, found),
        "layers": [int(layer) for layer in grid[LAYER].values],
        "strengths": [float(strength) for strength in grid[STRENGTH].values],
        "unit": str(grid.attrs.get("unit", "residual")),
        "samples": sample_labels(grid),
        "texts": texts,
        "unsteered": unsteered.tolist(),
        **{name: base64_of(values.tobytes()) for name, values in found.items()},
    }


def _spans(
    grid: xr.Dataset, texts: list[str], unsteered: np.ndarray, cells: dict[str, np.ndarray]
) -> list[dict[str, Marks]]:
    """Mentions of each concept in the texts that a page shows beside it: its own cells and the unsteered answers."""
    words, marked_texts = words_of(grid), []
    for number, name in enumerate(map(str, grid[CONCEPT].values)):
        own = [values[number].ravel() for values in cells.values() if values.size]
        shown = np.unique(np.concatenate([unsteered, *own]))
        marked = {str(i): marks(texts[i], [words[name]]) for i in shown.tolist() if i >= 0}
        marked_texts.append({i: spans for i, spans in marked.items() if spans})
    return marked_texts


def _indices(one: xr.Dataset, known: dict[str, int]) -> np.ndarray:
    numbers = _numbered(one["text"].transpose(*_CELL, SAMPLE).values, known)
    if "tokens" not in one:
        return numbers
    run = one["tokens"].transpose(*_CELL, SAMPLE, STEP).values[..., 0] >= 0
    return np.where(run, numbers, -1).astype(np.int32)


def _numbered(texts: np.ndarray, known: dict[str, int]) -> np.ndarray:
    """Give every text its number in ``known``, which grows."""
    flat = [known.setdefault(str(text), len(known)) for text in texts.ravel()]
    return np.array(flat, np.int32).reshape(texts.shape)
