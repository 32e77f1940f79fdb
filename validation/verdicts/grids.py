"""Grids made by hand, as a sweep writes them, for tables in which the truth of every cell is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from mllm_probe import schema


def grid_of(
    scores: Mapping[str, np.ndarray], metric: str, unit: str = "residual", attrs: Mapping[str, object] | None = None
) -> xr.Dataset:
    """A grid of dose 1 in which every image counts and unsteered scores are 0.

    `scores`: of ``"concept"`` [concept, layer, 1, image], and of each kind of control [concept, layer, draw, image],
    whose draws 2j and 2j + 1 are opposite directions. `attrs`: of the metric, where it is none of the built-in ones.
    """
    concepts, layers, _, images = scores["concept"].shape
    draws = max(values.shape[2] for values in scores.values())
    values = np.full((concepts, layers, 1, len(scores), draws, images), np.nan)
    for place, kind in enumerate(scores):
        values[:, :, 0, place, : scores[kind].shape[2]] = scores[kind]
    dims = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    return xr.Dataset(
        {
            metric: (dims, values, dict(attrs or {})),
            f"{metric}_unsteered": ((schema.CONCEPT, schema.SAMPLE), np.zeros((concepts, images))),
            "eligible": ((schema.CONCEPT, schema.STRENGTH, schema.SAMPLE), np.ones((concepts, 1, images), bool)),
        },
        {
            schema.CONCEPT: [f"concept {number}" for number in range(concepts)],
            **schema.layer_coordinates(range(layers), layers),
            schema.STRENGTH: [1.0],
            schema.CONTROL: list(scores),
            schema.DRAW: np.arange(draws),
            schema.SAMPLE: [f"image {number}" for number in range(images)],
            schema.TAKES_AWAY: (schema.STRENGTH, [False]),
        },
        {"unit": unit, "operation": "add", schema.ANTITHETIC: [kind for kind in scores if kind != "concept"]},
    )
