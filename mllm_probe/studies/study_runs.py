"""What every study runs on: concepts that are fit to be studied, vectors, images to report on, and grids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats
from tqdm.auto import tqdm

from mllm_probe.activations.store_layout import open_group, write_group
from mllm_probe.activations.store_places import as_folder
from mllm_probe.concepts import ConceptLibrary, Picture, neutral_images
from mllm_probe.concepts.drawn import library_call
from mllm_probe.metrics.statistics import LEAST_IMAGES, LEVEL, t_interval, wilson_interval
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import described, finite_number, path_of, require_one_of, whole_number
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.schema import CATEGORY, CONCEPT, FIT_IMAGE, SAMPLE, SCOPE, provenance, require_same_model
from mllm_probe.studies.effect import LARGEST_P
from mllm_probe.studies.multiverse import FEWEST_CONCEPTS
from mllm_probe.sweeps import sweep, sweep_iter
from mllm_probe.vectors import concept_vectors, likeness, vectors_from
from mllm_probe.vectors.pooling import Progress

_SHOWN = 6
MINIMUM_GAP = 0.5
"""Nats by which the images of a concept must raise its word over their counterparts, on average."""
NAMED, NOT_NAMED, NOT_DISTINGUISHED = "distinguished and named", "distinguished, not named", "not distinguished"
"""States of a concept in a `check`. Only what is named too is fit to be studied."""
WHY_UNFIT = {
    NOT_NAMED: "the model distinguishes its images, but does not name it more often on them",
    NOT_DISTINGUISHED: "the model does not distinguish its images",
}
_NOT_SCORED = "no word for it can be scored in this model"


def check(
    model: ProbeModel,
    library: ConceptLibrary,
    prompt: str | None = None,
    *,
    vectors: xr.Dataset | None = None,
    minimum_gap: float = MINIMUM_GAP,
    progress: Progress = False,
) -> xr.Dataset:
    """Rates at which a model names each concept on images with and without it, and the concepts fit to be studied.

    Nothing is steered: a concept whose images the model does not distinguish has no cause to be found in it.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary
        All its images are answered once.
    prompt : str, optional
        The model's default prompt if None.
    vectors : Dataset, optional
        Concept vectors that the library's images are to be steered with: says how many of them are unlike the images
        of the vectors (see :func:`mllm_probe.vectors.likeness`).
    minimum_gap : float
        In nats, of the concept's log-probability at the answer's first position.
    progress : bool or callable
        Show a bar, or call this with how many images are answered and how many there are; an error of it ends the run.

    Returns
    -------
    Dataset (concept), host memory
        ``named_positive``, ``named_negative``: share of the images with and without the concept whose answer names it,
        each with ``_low`` and ``_high`` (95 % Wilson); ``gap`` with ``gap_low``, ``gap_high``: log-probability of its
        words on positives minus that on negatives, in nats, with its 95 % t interval, over pairs where the concept is
        paired, else of two samples (Welch); ``positives``, ``negatives``: images. ``state``: ``"distinguished and
        named"`` where the gap is at least ``minimum_gap``, its interval excludes 0, and positives are answered with the
        concept more often than negatives (``named_p`` ≤ .05, one-sided, Fisher's exact test: of many concepts, some
        are named more often by chance); ``"distinguished, not named"`` where only the gap holds; else ``"not
        distinguished"``; empty where that is not known: with fewer than 6 images on a side, whose interval is NaN.
        ``fit``: the state is the first one. With vectors, ``unlike``: share of the concept's images that are farther
        from those of the vectors than 95 % of these are themselves.

    Raises
    ------
    TypeError
        If it is no concept library.
    ValueError
        If no concept of the library has a word that the model knows, or the vectors carry too few activations.

    Examples
    --------
    >>> seen = mp.check(model, library)
    >>> library.subset(concepts=seen.concept[seen.fit].values.tolist())
    """
    require_model(model)
    if not isinstance(library, ConceptLibrary):
        raise TypeError(
            f"library: expected a concept library (mp.concepts.scenes, from_folder …); got {described(library)}."
        )
    minimum_gap = finite_number("minimum_gap", minimum_gap)
    grid = _unsteered(model, library, prompt, progress)
    unlike = None if vectors is None else likeness(model, vectors, library.pictures)["unlike"].to_series()
    place = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    columns: dict[str, list[Any]] = {}
    for name, concept in library.items():
        scores = grid.sel({CONCEPT: name})
        sides = [[place[image.id] for image in side] for side in (concept.positive, concept.negative)]
        row = _compared(scores["logprob_unsteered"].values, scores["named_unsteered"].values, sides, concept.paired)
        if unlike is not None:
            row["unlike"] = float(unlike[[image.id for image in concept.pictures]].mean())
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    coords = {CONCEPT: list(library), CATEGORY: (CONCEPT, [str(c.category) for c in library.values()])}
    facts = {"prompt": grid.attrs.get("prompt"), "minimum_gap": minimum_gap, "concepts": library.fingerprint}
    data = {key: (CONCEPT, np.array(values), _ATTRS.get(key, {})) for key, values in columns.items()}
    return _judged(xr.Dataset(data, coords, provenance(model, **facts)))


def _judged(seen: xr.Dataset) -> xr.Dataset:
    """Numbers of a `check` with the ``state`` of each concept, and whether it is ``fit``."""
    known = (seen["positives"] >= LEAST_IMAGES) & (seen["negatives"] >= LEAST_IMAGES)
    distinguished = (seen["gap"] >= seen.attrs["minimum_gap"]) & (seen["gap_low"] > 0)
    named = seen["named_p"] <= LARGEST_P
    state = np.select([~known, ~distinguished, ~named], ["", NOT_DISTINGUISHED, NOT_NAMED], NAMED)
    variables = {"state": (CONCEPT, state, _ATTRS["state"]), "fit": (CONCEPT, state == NAMED, _ATTRS["fit"])}
    return seen.assign(variables)


def fitness_text(seen: xr.Dataset) -> str:
    """Say of a `check` how many concepts the model distinguishes and names, and which others are in which state."""
    if not (seen["state"] != "").any():
        return f"fewer than {LEAST_IMAGES} images of each concept: not known which the model distinguishes"
    parts = [f"distinguishes and names {int(seen['fit'].sum())} of {seen.sizes[CONCEPT]} concepts"]
    for state in (NOT_NAMED, NOT_DISTINGUISHED):
        names = seen[CONCEPT].values[seen["state"].values == state].tolist()
        if names:
            parts.append(f"{state}: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}")
    return "; ".join(parts)


def unfit_concepts(seen: xr.Dataset) -> dict[str, str]:
    """Concepts of a `check` that are not fit to be studied, each with why; none of those with too few images."""
    unfit = seen.sel({CONCEPT: ((seen["state"] != "") & ~seen["fit"]).values})
    scored = np.isfinite(unfit["gap"].values)
    states = zip(unfit[CONCEPT].values.tolist(), unfit["state"].values.tolist(), scored, strict=True)
    return {name: WHY_UNFIT[state] if known else _NOT_SCORED for name, state, known in states}


def scoring_vectors(model: ProbeModel, library: ConceptLibrary) -> xr.Dataset:
    """Vectors that steer nowhere in particular, with the words of a library's concepts: for sweeps of strength 0."""
    directions = {name: np.ones(model.hidden_size, np.float32) for name in library}
    words = {name: concept.words for name, concept in library.items()}
    return vectors_from(model, directions, words=words)


def _unsteered(model: ProbeModel, library: ConceptLibrary, prompt: str | None, progress: Progress) -> xr.Dataset:
    """Every image's log-probability of every concept, and whether its answer names it: a sweep of strength 0 alone."""
    vectors = scoring_vectors(model, library)
    images = library.pictures
    grids = sweep_iter(
        model, vectors, images, prompt, layers=[0], strengths=(0,), unit="raw", controls=(),
        metrics=("logprob", "named"), progress=False,
    )  # fmt: skip
    with closing(grids), tqdm(total=len(images), disable=progress is not True, unit="image", desc="check") as bar:
        for _ in grids:
            done = int(grids.engine.grid.has_unsteered.sum())
            bar.update(done - bar.n)
            if callable(progress):
                progress(done, len(images))
        return grids.engine.dataset()


def _compared(logprob: np.ndarray, named: np.ndarray, sides: list[list[int]], paired: bool) -> dict[str, Any]:
    """Numbers of one concept from the scores of all images, and the places of its positives and negatives."""
    row: dict[str, Any] = {}
    counts: list[list[int]] = []
    for side, places in zip(("positive", "negative"), sides, strict=True):
        known = named[places][np.isfinite(named[places])]
        row[f"named_{side}"] = known.mean() if known.size else np.nan
        low, high = wilson_interval(known.sum(), known.size)
        counts.append([int(known.sum()), int(known.size - known.sum())])
        row |= {f"named_{side}_low": float(low), f"named_{side}_high": float(high), f"{side}s": len(places)}
    row["named_p"] = float(stats.fisher_exact(counts, alternative="greater").pvalue)
    positive, negative = (logprob[places].astype(np.float64) for places in sides)
    if paired:
        difference = positive - negative
        difference = difference[np.isfinite(difference)]
        enough = difference.size >= LEAST_IMAGES
        row["gap"] = difference.mean() if difference.size else np.nan
        test = stats.ttest_1samp(difference, 0) if enough else None
    else:
        positive, negative = positive[np.isfinite(positive)], negative[np.isfinite(negative)]
        enough = min(positive.size, negative.size) >= LEAST_IMAGES
        row["gap"] = positive.mean() - negative.mean() if positive.size and negative.size else np.nan
        test = stats.ttest_ind(positive, negative, equal_var=False) if enough else None
    interval = None if test is None else test.confidence_interval(LEVEL)
    row |= {
        "gap_low": np.nan if interval is None else interval.low,
        "gap_high": np.nan if interval is None else interval.high,
    }
    return row


_ATTRS = {
    "named_positive": {"long_name": "share of images with the concept whose answer names it", "units": "1"},
    "named_negative": {"long_name": "share of images without the concept whose answer names it", "units": "1"},
    "named_p": {"long_name": "p: positives are named no more often than negatives, Fisher's exact test", "units": "1"},
    "gap": {"long_name": "log-probability of the concept on images with it minus that without it", "units": "nats"},
    "unlike": {"long_name": "share of images that are unlike those of the vectors", "units": "1"},
    "state": {"long_name": "whether the model distinguishes the concept's images, and names it"},
    "fit": {"long_name": "the model distinguishes the concept's images and names it: fit to be studied"},
}


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
    """Concepts that are fit: from the store where it is kept of this model, these images and this prompt."""
    if store is None:
        return check(model, library, prompt, progress=progress)
    asked = hashlib.sha256((model.default_prompt if prompt is None else prompt).encode()).hexdigest()[:8]
    kept = store / f"check {model.fingerprint} {library.fingerprint} {asked}.zarr"
    if not kept.is_dir():
        write_group(check(model, library, prompt, progress=progress), kept)
    return _judged(open_group(kept).load())  # one of an earlier version has no states


def _some_of(library: ConceptLibrary) -> ConceptLibrary:
    """At most `CHECKED_PAIRS` pairs, or images of each side, of every concept."""
    some = {
        name: replace(concept, positive=concept.positive[:CHECKED_PAIRS], negative=concept.negative[:CHECKED_PAIRS])
        for name, concept in library.items()
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
    held_out = {image.id for image in library.pictures if image.split == "held_out"}
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
    if not any(image.id in used for image in library.pictures):
        return library.split(seed=seed)
    try:
        others = library.where(lambda image: image.id not in used)
    except ValueError as error:
        raise ValueError(
            "expected images besides those that the vectors were made with, to report on; "
            f"{error} Give the whole library and vectors of library.split()[0]."
        ) from error
    return library.where(lambda image: image.id in used), others


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
        _require_same_origin(self._grids, vectors)
        self.study, self.model, self.prompt, self.seed, self.progress = study, model, prompt, seed, progress
        self._given, self._store = vectors, None if store is None else as_folder(store)
        self.subject: Subject = subject_of(
            model, library, vectors, prompt=prompt, seed=seed, store=self._store, progress=progress
        )
        self._results: dict[tuple[Any, ...], xr.Dataset] = {}

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
        """The study's dataset if no concept is fit to be studied, else None."""
        if self.subject.fitted is not None:
            return None
        return xr.Dataset(attrs={**self.facts, "summary": nothing_to_study(self.subject.seen)})

    def vectors(self, *tokens: str, layers: Sequence[int | str] | str = "all", **settings: Any) -> xr.Dataset:
        """Vectors of the concepts that are fit at these tokens: those given, else made once.

        With settings of their own, such as probes, they are always made. ValueError if those given lack the tokens.
        """
        if self._given is not None and not settings:
            scopes = self._given[SCOPE].values.tolist() if SCOPE in self._given.dims else []
            if not set(tokens) <= set(scopes):
                raise ValueError(
                    f"the vectors: expected a dimension 'scope' with {', '.join(tokens)}; it has "
                    f"{', '.join(scopes) or 'none'}. Make them with mp.concept_vectors(…, tokens={tokens!r})."
                )
            return self._given.sel({CONCEPT: self.concepts})
        key = (tokens, str(layers), str(settings))
        if key not in self._results:
            assert self.subject.fitted is not None
            self._results[key] = concept_vectors(
                self.model, self.subject.fitted, self.prompt, tokens=tokens, layers=layers, seed=self.seed,
                progress=self.progress, **{"probe_accuracy": False, **settings},
            )  # fmt: skip
        return self._results[key]

    def pairs(self, count: int) -> ConceptLibrary:
        """At most so many pairs of the images that the vectors were not made with, equally many of every concept."""
        fewest = min(min(len(concept.positive), len(concept.negative)) for concept in self.others.values())
        return self.others.subset(pairs=min(fewest, count))

    def images_without(self, count: int) -> list[Picture] | ConceptLibrary:
        """Images that lack the concepts: few that serve all where labels say what they show, else the library's own."""
        labelled = any(image.labels is not None for image in self.others.pictures)
        return neutral_images(self.others, count) if labelled else self.others

    def grid(
        self, name: str, run: Callable[[Path | None], xr.Dataset], concepts: Sequence[str] | None = None
    ) -> xr.Dataset:
        """A grid by its name, of the concepts that are fit or some of them: the one given, else the one made."""
        if name not in self._grids:
            self._grids[name] = run(None if self._store is None else self._store / f"{name}.zarr")
        grid, wanted = self._grids[name], self.concepts if concepts is None else list(concepts)
        lacking = [concept for concept in wanted if concept not in grid[CONCEPT].values]
        if lacking:
            raise ValueError(
                f"grid {name!r} lacks the concept '{lacking[0]}', which is fit to be studied; it has "
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
            stored = self._grids[name].attrs.get(setting, value)
            if stored != value:
                raise ValueError(
                    f"grid {name!r}: expected {setting} {value!r}, with which this study runs it; it was run with "
                    f"{stored!r}. Run it anew, or leave it out of grids=."
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


def _require_same_origin(grids: Mapping[str, xr.Dataset], vectors: xr.Dataset | None) -> None:
    """Raise a ValueError unless all sweeps used vectors of the same images: those given, if there are any."""
    # A patch has no vectors and no unit.
    swept = {name: grid.attrs for name, grid in grids.items() if "unit" in grid.attrs and _ORIGIN in grid.attrs}
    used = {f"grid {name!r}": attributes[_ORIGIN] for name, attributes in swept.items()}
    if vectors is not None and _ORIGIN in vectors.attrs:
        used = {"the vectors": vectors.attrs[_ORIGIN], **used}
    first = next(iter(used), "")
    for name, origin in used.items():
        if origin != used[first]:
            raise ValueError(
                f"grids: {first} and {name} have vectors of different images, so that they are not of one study. Run "
                "all grids with the same vectors."
            )


def nothing_to_study(seen: xr.Dataset) -> str:
    """Summary of a study of a model of which no concept is fit to be studied."""
    only = int((seen["state"] == NOT_NAMED).sum())
    rest = f", {only} it distinguishes without naming them" if only else ""
    return (
        f"Nothing to study: of {seen.sizes[CONCEPT]} concepts the model distinguishes and names none on the library's "
        f"images (mp.check){rest}: there is no cause to be found in it."
    )


def few_concepts(categories: Sequence[str]) -> list[tuple[str, str]]:
    """Row of a study's table of details about categories with too few concepts to conclude anything."""
    few = [name for name in dict.fromkeys(categories) if list(categories).count(name) < FEWEST_CONCEPTS]
    return (
        [(f"fewer than {FEWEST_CONCEPTS} concepts", f"{', '.join(few)}: nothing can be concluded about them")]
        if few
        else []
    )


def mean_text(values: np.ndarray, units: str, digits: int = 1) -> str:
    """Mean over concepts with its 95 % t interval, and of how many it is.

    `values`: float array [concept]; NaN does not count. Returns: without interval below 3 concepts.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return "not known"
    low, high = t_interval(known)
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) else ""
    few = f", of {len(known)} of {len(values)} concepts" if len(known) < len(values) else ""
    return f"{known.mean():.{digits}f}{interval} {units}{few}"
