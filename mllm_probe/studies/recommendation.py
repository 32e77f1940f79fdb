"""Layer, tokens and strength at which a concept is best steered: chosen on some images, reported on others."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from mllm_probe.concepts import ConceptLibrary, Picture, neutral_images
from mllm_probe.metrics.statistics import LEAST_SHARES, false_discovery_rate, wilson_interval
from mllm_probe.models import ProbeModel, bundled_folder, require_model
from mllm_probe.models.argument_checks import described, warn_caller, whole_number
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DRAW,
    LAYER,
    SAMPLE,
    SCOPE,
    STRENGTH,
    provenance,
    require,
    require_same_model,
    unknown_name,
)
from mllm_probe.steering import Steering
from mllm_probe.steering.operations import available_controls
from mllm_probe.studies.cell_scores import SCORE
from mllm_probe.studies.clear_cells import best_places, mean_over_eligible, mean_score
from mllm_probe.studies.effect import LARGEST_P, effect
from mllm_probe.studies.study_runs import fitted_and_others
from mllm_probe.sweeps import sweep
from mllm_probe.sweeps.settings import AUTO_DRAWS
from mllm_probe.sweeps.sweep_arguments import AUTO
from mllm_probe.typing import Layers
from mllm_probe.vectors.directions import with_concepts

SEARCHED: Mapping[str, tuple[float, ...]] = {
    "last_prompt+generated": (0.75, 1.0, 1.5),
    "last_prompt": (1.0, 1.5, 2.0, 3.0),
    "image": (0.5, 1.0, 1.25, 1.5),
    "image+last_prompt": (1.0, 1.5),
}
"""Scopes that are tried with their strengths, in residual norms: the fewer positions, the larger a fluent dose."""
MOST_LAYERS = 16
"""Layers that are tried of a deeper model, evenly spaced."""
STORED = "recommended.json"
"""File in a bundled model's folder with its recommended settings."""
_METRICS = ("named", "kept", "perplexity")
_SPARE = 2
"""Images beyond those asked for, since an unsteered answer may name what is not there."""
_OTHERS = 8
"""Other concepts whose vectors are the draws of control ``"concepts"``, and whose draws count for p."""
LEAST_COUNTED = 40
"""Draws (pairs of opposite ones) that p counts at a chosen cell: 1 / 41 is the smallest that they can give."""


@dataclass(frozen=True)
class Recommended:
    """Where to steer with a concept.

    `scope`: names of tokens joined by ``+``.
    `strength`: in residual norms.
    `score`, `low`, `high`: on images that the vectors were not made with: mean score of the answers, and the 95 %
        interval of what it is above that of random directions. NaN with too few images.
    `n`: images that count.
    """

    scope: str
    layer: int
    strength: float
    score: float
    low: float
    high: float
    n: int

    @property
    def tokens(self) -> tuple[str, ...]:
        """The scope as `Steering` takes it."""
        return tuple(self.scope.split("+"))


class Recommendation(Mapping[str, Steering]):
    """A steering for every concept that can be steered; made by `recommend`.

    `table`: see `recommend`. `without`: concepts that no cell made the answers name: they have no steering.
    """

    def __init__(self, vectors: xr.Dataset, table: xr.Dataset, without: Sequence[str]) -> None:
        self._vectors, self.table, self.without = vectors, table, tuple(without)

    def __getitem__(self, concept: str) -> Steering:
        if concept in self.without:
            raise KeyError(f"no setting that was tried made answers name {concept!r}; see mp.check(model, library).")
        if concept not in self.table[CONCEPT].values:
            raise KeyError(unknown_name("concept", concept, self))
        best = self.settings[concept]
        return Steering(self._vectors.sel({CONCEPT: concept}), [best.layer], best.strength, tokens=best.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(map(str, self.table[CONCEPT].values))

    def __len__(self) -> int:
        return self.table.sizes[CONCEPT]

    @property
    def settings(self) -> dict[str, Recommended]:
        """Setting and held-out score of every concept."""
        table, control = self.table, {CONTROL: "random"}
        columns = zip(
            map(str, table[CONCEPT].values),
            map(str, table[SCOPE].values),
            table[LAYER].values.tolist(),
            table[STRENGTH].values.tolist(),
            table["score"].values.tolist(),
            table["difference_low"].sel(control).values.tolist(),
            table["difference_high"].sel(control).values.tolist(),
            table["n"].values.tolist(),
            strict=True,
        )
        return {name: Recommended(*values) for name, *values in columns}

    def save(self, path: str | Path) -> Path:
        """Write the settings as JSON, as the bundled models keep them."""
        path = Path(path)
        facts = {name: self.table.attrs[name] for name in ("model", "weights", "prompt")}
        path.write_text(json.dumps({**facts, "settings": {k: asdict(v) for k, v in self.settings.items()}}, indent=1))
        return path

    def __repr__(self) -> str:
        head = f"{'concept':<16} {'tokens':<22} {'layer':>5} {'strength':>8} {'score':>6} {'n':>4} {'random':>7} clear"
        controls = self.table["control_mean"].sel({CONTROL: "random"}).values
        lines = [
            f"{name:<16} {best.scope:<22} {best.layer:>5} {best.strength:>8g} {best.score:>6.2f} {best.n:>4} "
            f"{random:>7.2f} {'yes' if clear else 'no'}"
            for (name, best), random, clear in zip(
                self.settings.items(), controls, self.table["clear_in_grid"].values, strict=True
            )
        ]
        tail = [f"no setting found for {', '.join(self.without)}"] if self.without else []
        return "\n".join([head, *lines, *tail])


def recommend(
    model: ProbeModel,
    vectors: xr.Dataset,
    library: ConceptLibrary,
    prompt: str | None = None,
    *,
    layers: Layers = "all",
    strengths: Mapping[str, Sequence[float]] | None = None,
    images: int = 12,
    draws: int | Literal["auto"] = AUTO,
    seed: int = 0,
    max_new_tokens: int = 12,
    progress: bool = True,
) -> Recommendation:
    """Find the layer, the tokens and the strength at which each concept is best brought into the answer.

    Cells are chosen by the score of the answers (the concept is named, the answer is fluent and keeps what the image
    truly shows) on images that the vectors were made with, and reported on other images of the library, beside every
    kind of control at the same cell.

    Parameters
    ----------
    model : ProbeModel
    vectors : Dataset
        From :func:`mllm_probe.concept_vectors`.
    library : ConceptLibrary
        The whole one: images that the vectors were made with (those of ``library.split()[0]``) and others. Where none
        of its images made the vectors, cells are chosen on half of them.
    prompt : str, optional
        The model's default prompt if None.
    layers : "all", int or sequence of int
        Blocks to try; ``"all"`` is at most 16 of those that the vectors have, evenly spaced.
    strengths : mapping of str to sequence of float, optional
        By scope, such as ``{"image": (0.5, 1.0)}``, in residual norms. By default four scopes at two to four strengths;
        those with image tokens where the vectors have scope ``"image"``.
    images : int
        Images without the concept, per concept, to choose on and to report on.
    draws : int or "auto"
        Of each control at the chosen cell; even, at least 4. ``"auto"``: as many as p needs, 8 or more.
    seed : int
        Of the controls, and of the split where the library has to be divided.
    max_new_tokens : int
        Longest answer.
    progress : bool

    Returns
    -------
    Recommendation
        A mapping from concepts to steerings. Its ``table`` (concept), host memory: ``layer``, ``scope``, ``strength``;
        ``fit_score`` (0 … 1) on the images that it was chosen on; on the others ``score``, ``n`` (images that count),
        ``named`` with ``named_low``, ``named_high`` (95 % Wilson), ``kept``, ``broken``; by ``control``
        ``control_mean``, ``difference_from`` with ``difference_low``, ``difference_high`` and ``p``;
        ``clear_of_controls``, ``q`` (Benjamini–Hochberg over the concepts) and ``clear_in_grid``.

    Raises
    ------
    TypeError
        If it is no concept library.
    ValueError
        If the library has no images besides those of the vectors, or none of the vectors' concepts.

    Examples
    --------
    >>> recommended = mp.recommend(model, vectors, library)
    >>> mp.generate(model, image, steering=recommended["cat"])
    """
    require_model(model)
    if not isinstance(library, ConceptLibrary):
        raise TypeError(f"library: expected a concept library; got {described(library)}.")
    require(vectors, "vector", dims=(LAYER,), what="vectors")
    require_same_model(vectors, model, what="the vectors")
    vectors, images = with_concepts(vectors), whole_number("images", images, LEAST_SHARES)
    chosen_on, reported_on = _parts(vectors, library, seed)
    search = _Search(model, vectors, prompt, _layers(vectors, layers), _strengths(vectors, strengths), max_new_tokens)
    with tqdm(total=len(search.strengths) + len(library), disable=not progress, desc="recommend", unit="sweep") as bar:
        cells = search.chosen(_images(chosen_on, images + _SPARE), bar)
        bar.total = len(search.strengths) + len({cell.place for cell in cells.values()})
        rows = search.reported(cells, _images(reported_on, images + _SPARE), (draws, seed), bar)
    if not rows:
        raise ValueError(
            "no cell that was tried made any answer name its concept: see mp.check(model, library) for concepts that "
            "the model tells apart, or try other strengths=."
        )
    table = _table(rows, cells, provenance(model, prompt=model.default_prompt if prompt is None else prompt))
    _warn_few(table, images)
    without = [str(name) for name in vectors[CONCEPT].values if str(name) not in cells]
    return Recommendation(vectors, table, without)


def stored_settings(model: ProbeModel) -> dict[str, Recommended]:
    """Recommended settings that a bundled model comes with; empty for other models and changed weights."""
    folder = bundled_folder(model.name)
    if folder is None or not (folder / STORED).is_file():
        return {}
    stored = json.loads((folder / STORED).read_text())
    if stored["weights"] != model.fingerprint or stored["prompt"] != model.default_prompt:
        return {}
    return {name: Recommended(**fields) for name, fields in stored["settings"].items()}


Steered = Sequence[Picture] | ConceptLibrary


@dataclass(frozen=True)
class _Cell:
    scope: str
    layer: int
    strength: float
    score: float

    @property
    def place(self) -> tuple[str, int, float]:
        return self.scope, self.layer, self.strength


@dataclass(frozen=True)
class _Search:
    """Arguments that all sweeps of a search share."""

    model: ProbeModel
    vectors: xr.Dataset
    prompt: str | None
    layers: Layers
    strengths: Mapping[str, Sequence[float]]
    max_new_tokens: int

    def chosen(self, images: Steered, bar: Any) -> dict[str, _Cell]:
        """The cell of each concept with the largest mean score over all scopes; concepts without any are left out."""
        best: dict[str, _Cell] = {}
        for scope, strengths in self.strengths.items():
            grid = self._swept(self.vectors, images, scope, self.layers, strengths)
            for name, cell in best_places(mean_score(grid)).items():
                if cell.score > (best[name].score if name in best else 0.0):
                    best[name] = _Cell(scope, cell.layer, cell.strength, cell.score)
            bar.update()
        return {name: best[name] for name in map(str, self.vectors[CONCEPT].values) if name in best}

    def reported(
        self, cells: Mapping[str, _Cell], images: Steered, drawn: tuple[int | str, int], bar: Any
    ) -> dict[str, xr.Dataset]:
        """By concept, what steering does at its cell, beside all controls."""
        together: dict[tuple[str, int, float], list[str]] = defaultdict(list)
        for name, cell in cells.items():
            together[cell.place].append(name)
        rows: dict[str, xr.Dataset] = {}
        for (scope, layer, strength), names in together.items():
            grid = self._with_controls(names, images, (scope, [layer], [strength]), drawn)
            rows |= _rows(grid, names)
            bar.update()
        return rows

    def _with_controls(
        self,
        names: list[str],
        images: Steered,
        cell: tuple[str, list[int], list[float]],
        drawn: tuple[int | str, int],
    ) -> xr.Dataset:
        """A grid of some concepts at one cell with every kind of control that the vectors allow.

        Random and on-manifold draws are the same rows for all concepts, so other concepts come along for the price of
        their own; shuffled draws are each concept's, so that only as many others have them as p needs.
        """
        # Random directions without the concept's component tell nothing here that random ones do not.
        kinds = [kind for kind in available_controls(self.vectors) if kind != "orthogonal"]
        others = _spread([str(n) for n in self.vectors[CONCEPT].values if str(n) not in names])
        shared = [kind for kind in kinds if kind != "shuffled"]
        shared += ["concepts"] if len(names) + len(others) > _OTHERS // 2 else []
        every = [*names, *others]
        draws = max(AUTO_DRAWS[0], 2 * math.ceil(LEAST_COUNTED / len(every))) if drawn[0] == AUTO else int(drawn[0])
        grid = self._swept(self.vectors.sel({CONCEPT: every}), images, *cell, shared, draws, drawn[1])
        if "shuffled" not in kinds:
            return grid
        some = every[: max(len(names), math.ceil(LEAST_COUNTED / self.vectors.sizes[DRAW]))]
        apart = self._swept(self.vectors.sel({CONCEPT: some}), images, *cell, ("shuffled",), draws, drawn[1])
        apart = apart.sel({CONTROL: ["shuffled"]}).reindex_like(grid[[CONCEPT, DRAW, SAMPLE]])
        variables = [name for name in grid.data_vars if CONTROL in grid[name].dims]
        joined = xr.concat([grid[variables], apart[variables]], CONTROL, join="exact", combine_attrs="override")
        return grid.drop_dims(CONTROL).assign(joined.data_vars).assign_coords({CONTROL: joined[CONTROL]})

    def _swept(
        self, vectors: xr.Dataset, images: Steered, scope: str, layers: Layers,
        strengths: Sequence[float], controls: Sequence[str] = (), draws: int = 8, seed: int = 0,
    ) -> xr.Dataset:  # fmt: skip
        if isinstance(images, ConceptLibrary):
            images = images.subset(concepts=[str(name) for name in vectors[CONCEPT].values])
        metrics = [name for name in _METRICS if name != "kept" or not isinstance(images, ConceptLibrary)]
        return sweep(
            self.model, vectors, images, self.prompt, layers=layers, strengths=strengths, tokens=scope.split("+"),
            metrics=metrics, controls=controls, draws=draws, seed=seed, max_new_tokens=self.max_new_tokens,
            answer_prefix="",  # whole answers, as `generate` gives them
            progress=False,
        )  # fmt: skip


def _rows(grid: xr.Dataset, names: list[str]) -> dict[str, xr.Dataset]:
    """Effect on the score of some concepts, with what the answers name and keep, of a grid of one cell."""
    scored, named = effect(grid, SCORE), effect(grid, "named")
    rows = scored[["n", "control_mean", "difference_from", "difference_low", "difference_high", "p"]]
    rows = rows.assign(
        score=scored["mean"],
        broken=scored["broken"],
        clear_of_controls=scored["clear_of_controls"],
        named=named["mean"],
        named_n=named["n"],
    )
    if "kept" in grid:
        rows["kept"] = mean_over_eligible(grid, "kept")
    rows = rows.isel({LAYER: 0, STRENGTH: 0}).reset_coords(drop=True)
    if CATEGORY in grid.coords:
        rows = rows.assign_coords({CATEGORY: grid[CATEGORY]})
    return {name: rows.sel({CONCEPT: [name]}) for name in names}


def _table(rows: Mapping[str, xr.Dataset], cells: Mapping[str, _Cell], attrs: dict[str, Any]) -> xr.Dataset:
    table = xr.concat([rows[name] for name in cells], CONCEPT, data_vars="all", combine_attrs="drop")
    names = list(cells)
    for key, values in (
        (LAYER, [cells[name].layer for name in names]),
        (SCOPE, [cells[name].scope for name in names]),
        (STRENGTH, [cells[name].strength for name in names]),
        ("fit_score", [cells[name].score for name in names]),
    ):
        table[key] = (CONCEPT, values)
    low, high = wilson_interval(table["named"] * table["named_n"], table["named_n"])
    q = false_discovery_rate(table["p"].max(CONTROL).values)
    table = table.assign(
        named_low=(CONCEPT, np.asarray(low)),
        named_high=(CONCEPT, np.asarray(high)),
        q=(CONCEPT, q),
        clear_in_grid=(CONCEPT, table["clear_of_controls"].values & (q <= LARGEST_P)),
    )
    return table.drop_vars("named_n").assign_attrs(attrs)


def _parts(vectors: xr.Dataset, library: ConceptLibrary, seed: int) -> tuple[ConceptLibrary, ConceptLibrary]:
    """Images to choose on and images to report on, of the concepts that there are vectors for."""
    names = [name for name in library if name in vectors[CONCEPT].values]
    if not names:
        raise ValueError(
            f"the library has none of the vectors' concepts ({', '.join(map(str, vectors[CONCEPT].values[:8]))}); "
            f"it has {', '.join(list(library)[:8])}."
        )
    return fitted_and_others(library.subset(concepts=names), vectors, seed)


def _images(library: ConceptLibrary, count: int) -> Steered:
    """Images without each concept: a few that serve all where labels say what they show, else each concept's own."""
    if any(image.labels is not None for image in library.pictures):
        return neutral_images(library, count)
    fewest = min(min(len(concept.positive), len(concept.negative)) for concept in library.values())
    return library.subset(pairs=min(count, fewest))


def _layers(vectors: xr.Dataset, layers: Layers) -> Layers:
    """Layers to try: those asked for, else an even choice of those of the vectors."""
    if layers != "all":
        return layers
    known = [int(layer) for layer in np.atleast_1d(vectors[LAYER].values) if layer >= 0]
    places = np.linspace(0, len(known) - 1, min(MOST_LAYERS, len(known))).round().astype(int)
    return [known[place] for place in places]


def _strengths(vectors: xr.Dataset, strengths: Mapping[str, Sequence[float]] | None) -> Mapping[str, Sequence[float]]:
    if strengths is not None:
        if not isinstance(strengths, Mapping) or not strengths:
            raise TypeError(
                "strengths: expected a mapping from scopes to strengths, such as {'image': (0.5, 1.0)}; got "
                f"{described(strengths)}."
            )
        return strengths
    captured = set(map(str, np.atleast_1d(vectors[SCOPE].values))) if SCOPE in vectors.coords else set()
    return {scope: doses for scope, doses in SEARCHED.items() if "image" not in scope.split("+") or "image" in captured}


def _spread(names: Sequence[str]) -> list[str]:
    """At most `_OTHERS` concepts, taken evenly: libraries list them by category."""
    places = np.linspace(0, len(names) - 1, min(_OTHERS, len(names))).round().astype(int)
    return [names[place] for place in places]


def _warn_few(table: xr.Dataset, images: int) -> None:
    few = table["n"].values < images
    if few.any():
        counts = zip(table[CONCEPT].values[few], table["n"].values[few], strict=True)
        listed = ", ".join(f"{n} for {concept}" for concept, n in counts)
        warn_caller(
            f"fewer than {images} images without the concept, and whose unsteered answer does not name it, were left "
            f"to report on: {listed}. Give a library with more images, or images=."
        )
