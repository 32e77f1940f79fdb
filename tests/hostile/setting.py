"""Fixtures of hostile inputs: a loaded model, a library, vectors, a grid and a folder of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr
from PIL import Image

import mllm_probe as mp


@dataclass
class Setting:
    """Made once for all tries but ``folder``, which is empty and new for each."""

    folder: Path

    @cached_property
    def model(self) -> Any:
        return mp.load("scenes-8l")

    @cached_property
    def library(self) -> Any:
        return mp.concepts.scenes(concepts=["cat", "neon"], pairs=4)

    @cached_property
    def held_out(self) -> Any:
        return self.library.split()[1]

    @cached_property
    def vectors(self) -> xr.Dataset:
        return mp.concept_vectors(self.model, self.library.split()[0])

    @cached_property
    def cat(self) -> xr.Dataset:
        return self.vectors.sel(concept="cat")

    @cached_property
    def picture(self) -> Image.Image:
        return self.held_out["cat"].negative[0].image

    @cached_property
    def grid(self) -> xr.Dataset:
        return mp.sweep(
            self.model,
            self.vectors,
            self.held_out.pictures[:3],
            strengths=(-1, 0, 1),
            draws=4,
            layers=[2, 4],
            max_new_tokens=3,
            progress=False,
        ).load()
