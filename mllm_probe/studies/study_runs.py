"""What every study runs on: concepts that are fit, vectors, images to report on, and grids when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from mllm_probe.activations.store_places import as_folder
from mllm_probe.concepts import ConceptLibrary, Picture, neutral_images
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import described, path_of, require_one_of, whole_number
from mllm_probe.schema import CONCEPT, SCOPE, provenance, require_same_model
from mllm_probe.studies.multiverse import FEWEST_CONCEPTS
from mllm_probe.studies.subject import Subject, subject_of
from mllm_probe.sweeps import sweep
from mllm_probe.vectors import concept_vectors

_ORIGIN = "concepts"
"""Attribute of vectors and sweeps: hash of the images that the vectors were made with."""


class StudyRuns:
    """One run of a study: its subject, and what it runs or was given.

    `study`: its name. `known`: names under which it takes grids. `model`, `library`, `vectors`, `grids`, `prompt`,
    `seed`, `store`, `progress`: as every study takes them: see :func:`mllm_probe.studies.localization`. Raises
    ValueError if an argument is of another type, vectors or grids are of another model, a grid has a name that the
    study does not know, or there is no library for the model.
    """

    def __init__(
        self,
        study: str,
        known: Sequence[str],
        model: ProbeModel,
        library: ConceptLibrary | None,
        *,
        vectors: xr.Dataset | None,
        grids: Mapping[str, xr.Dataset] | None,
        prompt: str | None,
        seed: int,
        store: str | Path | None,
        progress: bool,
    ) -> None:
        require_model(model)
        _require_arguments(library, vectors, grids, prompt, store)
        seed = whole_number("seed", seed)
        self._grids = dict(grids or {})
        for name, grid in self._grids.items():
            require_one_of("grids", name, known)
            require_same_model(grid, model, what=f"grid {name!r}")
        if vectors is not None:
            require_same_model(vectors, model, what="the vectors")
        _require_one_origin(self._grids, vectors)
        self.study, self.model, self.prompt, self.seed, self.progress = study, model, prompt, seed, progress
        self._given, self._store = vectors, None if store is None else as_folder(store)
        self.subject: Subject = subject_of(
            model, library, vectors, prompt=prompt, seed=seed, store=self._store, progress=progress
        )
        self._made: dict[tuple[Any, ...], xr.Dataset] = {}

    @property
    def concepts(self) -> list[str]:
        """Names of the concepts that are fit."""
        return self.subject.concepts

    @property
    def others(self) -> ConceptLibrary:
        """Images that the vectors were not made with, of the concepts that are fit."""
        assert self.subject.others is not None
        return self.subject.others

    @property
    def categories(self) -> list[str]:
        """Category of each concept that is fit."""
        return [str(self.others[name].category) for name in self.concepts]

    @property
    def facts(self) -> dict[str, Any]:
        """Attributes of the study's dataset."""
        prompt = self.model.default_prompt if self.prompt is None else self.prompt
        return provenance(
            self.model, prompt=prompt, study=self.study, seed=self.seed, n_concepts=len(self.subject.concepts)
        )

    def blocks_at(self, depths: Sequence[float]) -> list[int]:
        """Blocks at some relative depths, each once."""
        return sorted({max(0, round(depth * len(self.model.layers)) - 1) for depth in depths})

    def nothing(self) -> xr.Dataset | None:
        """The study's dataset if the model tells no concept apart, else None."""
        if self.subject.fitted is not None:
            return None
        return xr.Dataset(attrs={**self.facts, "summary": nothing_to_study(self.subject.seen)})

    def vectors(self, *tokens: str, layers: Sequence[int | str] | str = "all", **settings: Any) -> xr.Dataset:
        """Vectors of the concepts that are fit at these tokens: those given, else made once.

        With settings of their own, such as probes, they are always made. ValueError if those given lack the tokens.
        """
        if self._given is not None and not settings:
            there = self._given[SCOPE].values.tolist() if SCOPE in self._given.dims else []
            if not set(tokens) <= set(there):
                raise ValueError(
                    f"the vectors: expected a dimension 'scope' with {', '.join(tokens)}; it has "
                    f"{', '.join(there) or 'none'}. Make them with mp.concept_vectors(…, tokens={tokens!r})."
                )
            return self._given.sel({CONCEPT: self.concepts})
        key = (tokens, str(layers), str(settings))
        if key not in self._made:
            assert self.subject.fitted is not None
            self._made[key] = concept_vectors(
                self.model, self.subject.fitted, self.prompt, tokens=tokens, layers=layers, seed=self.seed,
                progress=self.progress, **{"probe_accuracy": False, **settings},
            )  # fmt: skip
        return self._made[key]

    def pairs(self, count: int) -> ConceptLibrary:
        """At most so many pairs of the images that the vectors were not made with, equally many of every concept."""
        fewest = min(min(len(one.positive), len(one.negative)) for one in self.others.values())
        return self.others.subset(pairs=min(fewest, count))

    def images_without(self, count: int) -> list[Picture] | ConceptLibrary:
        """Images that lack the concepts: few that serve all where labels say what they show, else the library's own."""
        labelled = any(picture.labels is not None for picture in self.others.pictures)
        return neutral_images(self.others, count) if labelled else self.others

    def grid(
        self, name: str, run: Callable[[Path | None], xr.Dataset], concepts: Sequence[str] | None = None
    ) -> xr.Dataset:
        """A grid by its name, of the concepts that are fit or some of them: the one given, else the one made."""
        if name not in self._grids:
            self._grids[name] = run(None if self._store is None else self._store / f"{name}.zarr")
        grid, wanted = self._grids[name], self.concepts if concepts is None else list(concepts)
        lacking = [one for one in wanted if one not in grid[CONCEPT].values]
        if lacking:
            raise ValueError(
                f"grid {name!r} lacks the concept '{lacking[0]}', which the model tells apart; it has "
                f"{', '.join(map(str, grid[CONCEPT].values))}. Run it with all of them, or give a library without it."
            )
        return grid.sel({CONCEPT: wanted})

    def swept(
        self, name: str, vectors: xr.Dataset, images: Any, *, prompt: Sequence[str] | None = None, **settings: Any
    ) -> xr.Dataset:
        """The grid of a sweep by its name: the one given, else run with these settings and a prompt for each image."""

        def run(store: Path | None) -> xr.Dataset:
            asked = self.prompt if prompt is None else prompt
            return sweep(
                self.model, vectors, images, asked, seed=self.seed, store=store, progress=self.progress, **settings
            )  # fmt: skip

        if name in self._grids:
            self._require_settings(name, prompt, settings)
        return self.grid(name, run, vectors[CONCEPT].values.tolist())

    def _require_settings(self, name: str, prompt: Sequence[str] | None, settings: Mapping[str, Any]) -> None:
        """Raise a ValueError that names the first setting in which a grid is not what the study runs."""
        wanted = {"scope": "+".join(settings["tokens"]), "unit": settings.get("unit", "residual")}
        if prompt is None:
            wanted["prompt"] = self.model.default_prompt if self.prompt is None else self.prompt
        for setting, value in wanted.items():
            there = self._grids[name].attrs.get(setting, value)
            if there != value:
                raise ValueError(
                    f"grid {name!r}: expected {setting} {value!r}, with which this study runs it; it was run with "
                    f"{there!r}. Run it anew, or leave it out of grids=."
                )


def _require_arguments(library: object, vectors: object, grids: object, prompt: object, store: object) -> None:
    """Refuse arguments of another type, before anything is run."""
    expected = {
        "library": (library, ConceptLibrary, "a concept library, such as mp.concepts.scenes()"),
        "vectors": (vectors, xr.Dataset, "a dataset that mp.concept_vectors made"),
        "grids": (grids, Mapping, "datasets by name"),
        "prompt": (prompt, str, "text"),
    }
    if isinstance(grids, Mapping):
        expected |= {f"grids[{name!r}]": (grid, xr.Dataset, "a dataset of mp.sweep or mp.patch") for name, grid in
                     grids.items()}  # fmt: skip
    for name, (value, kind, what) in expected.items():
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name}: expected {what}; got {described(value)}.")
    if store is not None and (path := path_of("store", store)).exists() and not path.is_dir():
        raise NotADirectoryError(f"store: '{path}' is a file; give the name of a folder, which is made.")


def _require_one_origin(grids: Mapping[str, xr.Dataset], vectors: xr.Dataset | None) -> None:
    """Raise a ValueError unless all sweeps used vectors of the same images: those given, if there are any."""
    # A patch has no vectors and no unit.
    swept = {name: grid.attrs for name, grid in grids.items() if "unit" in grid.attrs and _ORIGIN in grid.attrs}
    used = {f"grid {name!r}": attributes[_ORIGIN] for name, attributes in swept.items()}
    if vectors is not None and _ORIGIN in vectors.attrs:
        used = {"the vectors": vectors.attrs[_ORIGIN], **used}
    first = next(iter(used), "")
    for name, one in used.items():
        if one != used[first]:
            raise ValueError(
                f"grids: {first} and {name} have vectors of different images, so that they are not of one study. Run "
                "all grids with the same vectors."
            )


def nothing_to_study(seen: xr.Dataset) -> str:
    """Summary of a study of a model that tells no concept apart."""
    return (
        f"Nothing to study: of {seen.sizes[CONCEPT]} concepts the model tells none apart on the library's images "
        "(mp.check): there is no cause to be found in it."
    )


def few_concepts(categories: Sequence[str]) -> list[str]:
    """Sentences about categories with too few concepts to conclude anything."""
    few = [name for name in dict.fromkeys(categories) if list(categories).count(name) < FEWEST_CONCEPTS]
    if not few:
        return []
    return [
        f"Fewer than {FEWEST_CONCEPTS} concepts of {', '.join(few)}: nothing can be concluded about these categories."
    ]
