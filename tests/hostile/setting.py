"""Fixtures of hostile inputs: a loaded model, a library, vectors, a grid, stores and a folder of their own."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe.activations import capturing
from mllm_probe.cli import main
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Limits

MODEL = "scenes-8l"
CELLS: dict[str, Any] = {"layers": [2], "strengths": (0, 1), "draws": 4, "metrics": ("logprob",), "progress": False}
"""Settings of the stored sweep."""
PATCHED: dict[str, Any] = {"layers": [3], "groups": "image", "controls": ("unrelated",), "direction": "insert"}
"""Settings of the patch."""
Printed = tuple[int, str, str]
"""Exit status, standard output and standard error of a command."""


@dataclass
class Setting:
    """Made once for all tries but ``folder``, which is empty and new for each."""

    folder: Path

    @cached_property
    def model(self) -> Any:
        return mp.load(MODEL)

    @cached_property
    def smaller(self) -> Any:
        return mp.load("scenes-4l")

    @cached_property
    def related(self) -> Any:
        return mp.concepts.scenes(concepts=["left", "right"], pairs=2)

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

    @cached_property
    def patched(self) -> xr.Dataset:
        return mp.patch(self.model, self.library, **PATCHED, progress=False)

    @cached_property
    def kept(self) -> Path:
        """Folder of what all tries copy from."""
        self._temporary = tempfile.TemporaryDirectory()
        return Path(self._temporary.name)

    @cached_property
    def vector_file(self) -> Path:
        return mp.save_vectors(self.vectors, self.kept / "vectors.safetensors")

    @cached_property
    def image_file(self) -> Path:
        self.picture.save(self.kept / "picture.png")
        return self.kept / "picture.png"

    def capture_again(self, path: Path, **other: Any) -> xr.Dataset:
        """Two images, a unit each."""
        with patch.object(capturing, "_MOST_IMAGES", 1):
            given = {"images": self.held_out.pictures[:2], "layers": [2, 4]} | other
            return mp.capture(self.model, given.pop("images"), store=path, **given)

    def sweep_again(self, path: Path, **other: Any) -> xr.Dataset:
        """Two images, units of one."""
        with patch.object(runner, "DEFAULT", Limits(unit_seconds=(0, 0))):
            given = CELLS | {"images": self.held_out.pictures[:2]} | other
            return mp.sweep(self.model, self.vectors, given.pop("images"), store=path, **given)

    @cached_property
    def captured(self) -> xr.Dataset:
        return self.capture_again(self.kept / "acts.zarr").load()

    @cached_property
    def swept(self) -> xr.Dataset:
        return self.sweep_again(self.kept / "sweep.zarr").load()

    def capture_store(self) -> Path:
        """A store of activations, of this try alone."""
        assert self.captured.sizes
        return Path(shutil.copytree(self.kept / "acts.zarr", self.folder / "acts.zarr"))

    def sweep_store(self) -> Path:
        """A store of a sweep that is finished, of this try alone."""
        assert self.swept.sizes
        return Path(shutil.copytree(self.kept / "sweep.zarr", self.folder / "sweep.zarr"))

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """The model of these fixtures is there at once, wherever the package loads it by its name."""
        load = mp.loading.load

        def known(name: Any, *arguments: Any, **options: Any) -> Any:
            return self.model if name == MODEL and not any(options.values()) else load(name, *arguments, **options)

        with patch("mllm_probe.loading.load", known), patch("mllm_probe.sweeps.engine.load", known):
            yield

    def command(self, *arguments: str) -> Printed:
        """Run the command line; ``{vectors}``, ``{image}`` and ``{folder}`` are paths of these fixtures."""
        words = [one.replace("{folder}", str(self.folder)) for one in arguments]
        words = [str(self.vector_file) if one == "{vectors}" else one for one in words]
        words = [str(self.image_file) if one == "{image}" else one for one in words]
        out, err = io.StringIO(), io.StringIO()
        with self.loaded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words)
        return status, out.getvalue(), err.getvalue()
