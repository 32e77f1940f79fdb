"""What is readable of a concept at each layer by the logit lens, without any edit."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.models import ProbeModel
from mllm_probe.schema import CONCEPT, LAYER, READ_LAYER, SAMPLE, TOKEN
from mllm_probe.sweeps import sweep
from mllm_probe.vectors import vectors_from


def lens_gap(
    model: ProbeModel, library: ConceptLibrary, prompt: str | None = None, progress: bool = False
) -> xr.DataArray:
    """Log-probability of each concept's words that the logit lens reads, on images with it minus images without.

    Returns: in nats, at the last prompt token.

    nostalgebraist, "interpreting GPT: the logit lens" (2020): the final norm and the head applied to every layer.
    """
    directions = {name: np.ones(model.hidden_size, np.float32) for name in library}
    vectors = vectors_from(model, directions, words={name: concept.words for name, concept in library.items()})
    grid = sweep(
        model, vectors, library.pictures, prompt, layers=[0], strengths=(0,), unit="raw", controls=(),
        metrics=("logprob",), record="logit_lens", read_tokens="last_prompt", progress=progress,
    )  # fmt: skip
    read = grid["logit_lens_unsteered"].isel({TOKEN: 0}).transpose(CONCEPT, SAMPLE, READ_LAYER)
    place = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    gaps = []
    for number, concept in enumerate(library.values()):
        sides = [[place[picture.id] for picture in side] for side in (concept.positive, concept.negative)]
        positive, negative = (read.values[number, side].astype(np.float64).mean(0) for side in sides)
        gaps.append(positive - negative)
    coords = {CONCEPT: list(library), LAYER: read[READ_LAYER].values}
    return xr.DataArray(
        np.stack(gaps), coords, (CONCEPT, LAYER), attrs={"units": "nats", "long_name": "logit-lens gap"}
    )
