"""What every study begins with: the concepts that a model tells apart, images for vectors, and images to report on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from mllm_probe.activations.zarr_groups import open_group, write_group
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.bundled_worlds import library_call
from mllm_probe.models import ProbeModel
from mllm_probe.models.argument_checks import described
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.schema import CONCEPT, FIT_IMAGE
from mllm_probe.studies.fitness import check

CHECKED_PAIRS = 12
"""Pairs of a concept, at most, by which it is found fit: twice what an interval needs, and answers are slow to get."""


@dataclass(frozen=True)
class Subject:
    """A model and the concepts of a library that are fit to be studied in it.

    `seen`: from :func:`mllm_probe.check`, of all concepts. `fitted`, `others`: images that vectors are made with, and
    other images, of the concepts that are fit; None if there are none.
    """

    model: ProbeModel
    seen: xr.Dataset
    fitted: ConceptLibrary | None
    others: ConceptLibrary | None

    @property
    def concepts(self) -> list[str]:
        """Names of the concepts that are fit, in the library's order."""
        return [str(name) for name in self.seen[CONCEPT].values[self.seen["fit"].values]]


def subject_of(
    model: ProbeModel,
    library: ConceptLibrary | None,
    vectors: xr.Dataset | None = None,
    *,
    prompt: str | None = None,
    seed: int = 0,
    store: Path | None = None,
    progress: bool = True,
) -> Subject:
    """Find out which concepts of a library are fit to be studied, and divide their images.

    `library`: that of a bundled model without one.
    `vectors`: vectors that are there already: concepts without one are left out, and their images are the fitted ones.
    `seed`: of the split.
    `store`: folder where it is kept which concepts are fit, so that it is found out once.

    Raises TypeError if it is no concept library. Raises ValueError if the model is not bundled and no library is given,
    or the library has no images besides those of the vectors.
    """
    library = library_of(model, library)
    if vectors is not None:
        library = library.subset(concepts=[name for name in library if name in vectors[CONCEPT].values])
    seen = _seen(model, _some_of(library), prompt, store, progress)
    fit = [str(name) for name in seen[CONCEPT].values[seen["fit"].values]]
    if not fit:
        return Subject(model, seen, None, None)
    return Subject(model, seen, *fitted_and_others(library.subset(concepts=fit), vectors, seed))


def _seen(
    model: ProbeModel, library: ConceptLibrary, prompt: str | None, store: Path | None, progress: bool
) -> xr.Dataset:
    """Which concepts are fit: from the store where it is kept of this model, these images and this prompt."""
    if store is None:
        return check(model, library, prompt, progress=progress)
    asked = hashlib.sha256((model.default_prompt if prompt is None else prompt).encode()).hexdigest()[:8]
    kept = store / f"check {model.fingerprint} {library.fingerprint} {asked}.zarr"
    if not kept.is_dir():
        write_group(check(model, library, prompt, progress=progress), kept)
    return open_group(kept).load()


def _some_of(library: ConceptLibrary) -> ConceptLibrary:
    """At most `CHECKED_PAIRS` pairs, or images of each side, of every concept."""
    some = {
        name: replace(one, positive=one.positive[:CHECKED_PAIRS], negative=one.negative[:CHECKED_PAIRS])
        for name, one in library.items()
    }
    return ConceptLibrary(some.values(), library.source)


def library_of(model: ProbeModel, library: ConceptLibrary | None) -> ConceptLibrary:
    """Return the library given, or that of a bundled model."""
    if library is None:
        if bundled_folder(model.name) is None:
            raise ValueError(
                f"'{model.name}' is not a bundled model, so a study needs to know which concepts to look at: give "
                "library=mp.concepts.from_folder(…), from_hub(…), scenes() or emoji()."
            )
        return library_call(model.name)()
    if not isinstance(library, ConceptLibrary):
        raise TypeError(
            f"library: expected a concept library (mp.concepts.scenes, from_folder …); got {described(library)}."
        )
    return library


def require_held_out(library: ConceptLibrary, vectors: xr.Dataset) -> None:
    """Raise a ValueError if images of split ``"held_out"`` are among those that vectors were made with.

    `library`: from ``library.split()`` or ``library.with_split()``. `vectors`: those that do not remember their images
    are not checked.
    """
    used = set(vectors[FIT_IMAGE].values.tolist()) if FIT_IMAGE in vectors.coords else set()
    held_out = {picture.id for picture in library.pictures if picture.split == "held_out"}
    if used & held_out:
        raise ValueError(
            f"{len(used & held_out)} of the {len(held_out)} held-out images are among those that the vectors were made "
            "with: take the same library with the same share, seed and number of pairs, or make the vectors with a "
            "part of it (library.split()[0])."
        )


def fitted_and_others(
    library: ConceptLibrary, vectors: xr.Dataset | None = None, seed: int = 0
) -> tuple[ConceptLibrary, ConceptLibrary]:
    """Divide a library into the images that vectors were made with, and the others.

    `vectors`: without, or where they remember none of the library's images, it is split in halves. `seed`: of the
    split. Raises ValueError if all images made the vectors.
    """
    used: set[str] = set()
    if vectors is not None and FIT_IMAGE in vectors.coords:
        used = set(vectors[FIT_IMAGE].values.tolist())
    if not any(picture.id in used for picture in library.pictures):
        return library.split(seed=seed)
    try:
        others = library.where(lambda picture: picture.id not in used)
    except ValueError as error:
        raise ValueError(
            "expected images besides those that the vectors were made with, to report on; "
            f"{error} Give the whole library and vectors of library.split()[0]."
        ) from error
    return library.where(lambda picture: picture.id in used), others
