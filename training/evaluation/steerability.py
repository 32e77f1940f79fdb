"""Steerability of a bundled model: where each concept is steered best, and what that does on held-out images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.statistics import bootstrap_interval
from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL
from mllm_probe.studies.recommendation import Recommendation

_OFTEN = 0.9
_ON_MANIFOLD = "on_manifold"


def recommended(folder: Path, library: ConceptLibrary, **search: Any) -> Recommendation:
    """Recommend a setting for every concept of a library.

    `folder`: of the model. `library`: half of its pairs make the vectors. `**search`: keyword arguments of
    `mllm_probe.recommend`.
    """
    model = mp.load(Path(folder).resolve())
    vectors = mp.concept_vectors(model, library.split()[0], tokens=("last_prompt", "image"), probe_accuracy=False)
    return mp.recommend(model, vectors, library, **search)


def tables_of(found: Recommendation) -> list[str]:
    """Return what was recommended as Markdown tables: by category, by concept."""
    table = found.table
    kinds = [str(kind) for kind in table[CONTROL].values]
    by_category = [
        "### Steerability, on held-out images",
        "",
        "Each concept's vector is added at the setting that `mp.recommend` chose on the images that the vectors were "
        "made with: tokens, layer, strength in residual norms. Score: answers that name the concept, stay fluent and "
        "keep what the image truly shows. Controls: mean score of their draws at the same settings; beside them score "
        "minus on-manifold directions, with the 95 % bootstrap interval over concepts.",
        "",
        f"| | named in {_OFTEN:.0%} of images or more | pass in the grid | score | named | content kept "
        f"| {' | '.join(kinds)} | above on-manifold |",
        "|---" * (7 + len(kinds)) + "|",
    ]
    for category in dict.fromkeys(map(str, table[CATEGORY].values)):
        by_category.append(_category_row(category, table.isel({CONCEPT: table[CATEGORY].values == category}), kinds))
    by_category.append(_category_row("all", table, kinds))
    if found.without:
        by_category += ["", f"No setting made answers name {', '.join(found.without)}."]
    by_concept = [
        "### Steerability by concept",
        "",
        f"| | tokens, layer, strength | score | named | 95 % interval | n | kept | {' | '.join(kinds)} | q |",
        "|---" * (8 + len(kinds)) + "|",
        *(_concept_row(table.sel({CONCEPT: name}), kinds) for name in table[CONCEPT].values),
    ]
    return ["\n".join(by_category), "\n".join(by_concept)]


def _category_row(category: str, some: xr.Dataset, kinds: Sequence[str]) -> str:
    often = int((some["named"] >= _OFTEN).sum())
    passing = int(some["clear_in_grid"].sum())
    means = [float(some[name].mean()) for name in ("score", "named", "kept")]
    means += [float(some["control_mean"].sel({CONTROL: kind}).mean()) for kind in kinds]
    many = some.sizes[CONCEPT]
    cells = [category, f"{often} of {many}", f"{passing} of {many}", *(f"{mean:.3f}" for mean in means)]
    return f"| {' | '.join([*cells, _above_manifold(some)])} |"


def _above_manifold(some: xr.Dataset) -> str:
    if _ON_MANIFOLD not in some[CONTROL].values:
        return "–"
    above = some["difference_from"].sel({CONTROL: _ON_MANIFOLD}).values
    low, high = bootstrap_interval(above)
    return f"{above.mean():.3f} ({low:.3f} to {high:.3f})"


def _concept_row(one: xr.Dataset, kinds: Sequence[str]) -> str:
    place = f"{one['scope'].item()}, {one['layer'].item()}, {one['strength'].item():g}"
    controls = [f"{one['control_mean'].sel({CONTROL: kind}).item():.3f}" for kind in kinds]
    interval = f"{one['named_low'].item():.3f} to {one['named_high'].item():.3f}"
    kept, q = one["kept"].item(), one["q"].item()
    cells = [f"{one['score'].item():.3f}", f"{one['named'].item():.3f}", interval, str(one["n"].item()), f"{kept:.3f}"]
    return f"| {one[CONCEPT].item()} | {place} | {' | '.join([*cells, *controls])} | {_q(q)} |"


def _q(q: float) -> str:
    return "–" if np.isnan(q) else "< .001" if q < 0.001 else f"{q:.3f}"
