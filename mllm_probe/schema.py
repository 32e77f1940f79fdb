"""The one place for names of dimensions, coordinates, roles and attributes, and for checks of datasets against them."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

CONCEPT, LAYER, READ_LAYER, STRENGTH, TOKEN, STEP = "concept", "layer", "read_layer", "strength", "token", "step"
SAMPLE, CONTROL, DRAW, SCOPE, HIDDEN = "sample", "control", "draw", "scope", "hidden"
ROW = "row"
GROUP, DIRECTION = "group", "direction"
MEASURE, STATISTIC, CONTRAST, PROFILES = "measure", "statistic", "contrast", "profiles"
EDIT, PREDICTOR, PROMPT, RUNG, TREND = "edit_kind", "predictor", "asked", "rung", "trend"
DEPTH = "depth"
SPECIFICATION, ASPECT, REPLICATION = "specification", "aspect", "replication"
HALF, STYLE = "half", "style"
SCORED_CONCEPT, MANIFOLD_SAMPLE, FIT_IMAGE = "scored_concept", "manifold_sample", "fit_image"
STEERED_CATEGORY, SCORED_CATEGORY = "steered_category", "scored_category"

CATEGORY, WORDS, RELATIVE_DEPTH, TOKEN_TEXT, ROLE = "category", "words", "relative_depth", "token_text", "role"
KIND, IMAGE, PATCH_ROW, PATCH_COLUMN = "kind", "image", "patch_row", "patch_column"
SPLIT, PAIR = "split", "pair"
POSITIVE, NEGATIVE, COUNTERPART, SHARED_LABELS = "positive", "negative", "counterpart", "shared_labels"

CATEGORIES = ("entity", "visual_style", "emotion", "abstract", "relation")
EXCLUSIVE_CATEGORIES = CATEGORIES[1:]
"""Of these an image shows one concept at a time, so that one replaces another; entities may appear together."""
ROLES = ("text", "image", "special", "padding")
SPLITS = ("fit", "held_out")
UNITS = ("residual", "vector", "raw")
TAKES_AWAY = "takes_away"
"""Coordinate along strength: whether the dose is meant to take the concept out of the answer."""
SHOWN = "shown"
"""Coordinate (concept, sample) of a grid on images of a library: an image shows the concept (`SHOWS`), lacks it
(`LACKS`), or is none of its images (0)."""
SHOWS, LACKS = 1, -1
OTHER_CONCEPT = "other_concept"
"""Coordinate (concept, draw): the concept whose vector is a draw of control ``"concepts"``."""
ANTITHETIC = "antithetic"
"""Attribute of a grid: kinds of control whose draws 2j and 2j + 1 are a direction and its opposite."""
OFF_TARGET = "off_target"
"""Scores of every concept of the set for rows that are steered with another one."""
RECORDINGS = ("activation", "projection", "residual_norm", "logit_lens")
SITE = "residual stream after the decoder block"
GROUPS = ("changed", "unchanged", "image", "text", "last_prompt", "special", "all")
"""Token groups of ``patch``; besides these, single image tokens: ``patch_name`` and ``all_but_name``."""
DIRECTIONS = ("insert", "remove")
DONORS = ("pair", "identity", "unrelated", "other_positive")
"""Runs whose activations ``patch`` takes: the counterfactual's, and those of its controls."""
INPUT, INPUT_NAME = -1, "input"
"""The input of block 0 is a site too: its coordinate along ``layer``, and its name in ``layers=`` and in figures."""


@dataclass(frozen=True)
class Dimension:
    """A named dimension: its meaning, the other coordinates that it may have, and a pattern that its values match.

    Without a pattern it may have any values; see :func:`require_values`.
    """

    name: str
    meaning: str
    companions: tuple[str, ...] = ()
    pattern: str = ""


DIMENSIONS: Mapping[str, Dimension] = {
    d.name: d
    for d in (
        Dimension(CONCEPT, "name of a visual concept", (CATEGORY, WORDS)),
        Dimension(LAYER, "block whose output is read or edited, 0 … L-1; -1 is block 0's input", (RELATIVE_DEPTH,)),
        Dimension(READ_LAYER, "decoder block that is read while another layer is steered", (RELATIVE_DEPTH,)),
        Dimension(STRENGTH, "signed dose; its unit is in the attributes", (TAKES_AWAY,)),
        Dimension(
            TOKEN,
            "position in the unpadded prompt; negative positions count from its end",
            (TOKEN_TEXT, ROLE, KIND, IMAGE, PATCH_ROW, PATCH_COLUMN),
        ),
        Dimension(STEP, "generated token, 0 is the first"),
        Dimension(
            SAMPLE,
            "content hash of an image; in patch, number of a concept's pair",
            (SPLIT, PAIR, POSITIVE, NEGATIVE, COUNTERPART, SHARED_LABELS),
        ),
        Dimension(CONTROL, "direction of the steering, or donor of patch: the concept (the pair) or a control of it"),
        Dimension(DRAW, "draw of a control"),
        Dimension(SCOPE, "tokens at which a vector was captured, or that a study edits"),
        Dimension(HIDDEN, "component of the residual stream"),
        Dimension(SCORED_CONCEPT, "concept whose words are scored while another one's direction is used"),
        Dimension(MANIFOLD_SAMPLE, "image whose pooled activation is kept with the vectors, for on-manifold controls"),
        Dimension(FIT_IMAGE, "content hash of an image that vectors were made with"),
        Dimension(ROW, "row of a batch, in a receipt"),
        Dimension(
            GROUP,
            "tokens whose residual stream is taken from another run",
            (PATCH_ROW, PATCH_COLUMN),
            rf"{'|'.join(GROUPS)}|(all but )?patch \d+,\d+",
        ),
        Dimension(
            DIRECTION,
            "insert: from the image with the concept into the run on its counterfactual; remove: the other way round",
            pattern="|".join(DIRECTIONS),
        ),
        Dimension(MEASURE, "what a profile over layers is made of: interchange, steering, a probe, the logit lens"),
        Dimension(STATISTIC, "number that summarises a concept's profile over layers"),
        Dimension(PROFILES, "two profiles over layers that are compared"),
        Dimension(CONTRAST, "two categories, the first minus the second"),
        Dimension(EDIT, "dose and unit, or operation, by which a study edits"),
        Dimension(PREDICTOR, "number known before any steering, of a concept's vector"),
        Dimension(PROMPT, "prompt under which steering is tried"),
        Dimension(RUNG, "model of a ladder, in the order of their depth"),
        Dimension(DEPTH, "relative depth at which models are compared"),
        Dimension(STEERED_CATEGORY, "category of the concepts that are steered with"),
        Dimension(SCORED_CATEGORY, "category of the concepts that are scored"),
        Dimension(SPECIFICATION, "one way of the several in which a study's question can be answered"),
        Dimension(ASPECT, "what such ways differ in: dose, scope, metric, layers …"),
        Dimension(REPLICATION, "what ways are asked again with: another control, or half of the images"),
        Dimension(STYLE, "visual style in which images are drawn"),
        Dimension(HALF, "half of the images on which a study's question is asked"),
        Dimension(TREND, "category whose mean is followed over a ladder"),
    )
}


def relative_depth(layer: int, layers: int) -> float:
    """Depth of a block's output as a share of the decoder, (layer + 1) / layers; 0 for the input of block 0."""
    return (layer + 1) / layers


def layer_name(layer: int) -> int | str:
    """A layer coordinate as ``layers=`` takes it and figures show it: the block's number, ``"input"`` for -1."""
    return INPUT_NAME if layer == INPUT else int(layer)


def layer_names(layers: Iterable[int]) -> list[int | str]:
    """Layer coordinates as a ``layers=`` argument."""
    return [layer_name(layer) for layer in layers]


def site_name(layer: int) -> str:
    """A layer coordinate in an error message."""
    return "the input of block 0" if layer == INPUT else f"block {layer}"


def layer_coordinates(layers: Iterable[int], total: int, dim: str = LAYER) -> dict[Hashable, Any]:
    """Coordinates of a layer dimension: the block numbers and their relative depth.

    `layers`: block numbers, 0 … total - 1, and -1 for the input of block 0. `total`: number of decoder blocks of the
    model. `dim`: ``"layer"`` or ``"read_layer"``. Returns: for ``xarray.Dataset(coords=…)``. A ``read_layer`` dimension
    names its companion ``read_relative_depth`` so that one dataset can have both.
    """
    numbers = [int(layer) for layer in layers]
    companion = RELATIVE_DEPTH if dim == LAYER else f"read_{RELATIVE_DEPTH}"
    return {dim: numbers, companion: (dim, [relative_depth(layer, total) for layer in numbers])}


def provenance(model: Any = None, **facts: Any) -> dict[str, Any]:
    """Attributes that every dataset carries: the model, the settings and the library versions.

    `model`: its ``name`` and ``fingerprint`` are written as ``model`` and ``weights``. `**facts`: further attributes
    (prompt, scope, unit, operation, seed, concepts …). None is left out; tuples and lists are written as lists of their
    elements. Returns: plain values only, so that the dataset can be written to Zarr.
    """
    attributes: dict[str, Any] = {} if model is None else {"model": model.name, "weights": model.fingerprint}
    for key, value in facts.items():
        if value is not None:
            attributes[key] = list(value) if isinstance(value, tuple) else value
    return attributes | {f"version_{name}": version for name, version in dependency_versions().items()}


@cache
def dependency_versions() -> dict[str, str]:
    """Versions of the libraries that numbers come from, and of the package."""
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "xarray")} | {
        "mllm_probe": package_version()
    }


def package_version() -> str:
    """Version of the installed package; ``"0+source"`` when it is imported from a bare checkout."""
    try:
        return importlib.metadata.version("mllm_probe")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`` (did you mean 'cat'?)`` with the name of ``known`` that is nearest, in any case; empty if none is near."""
    names = {word.lower(): word for word in known}
    close = get_close_matches(str(name).lower(), names, n=1)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Text of the error for a name that is none of ``known``: the nearest one first, then all that there are."""
    names = list(known)
    return f"unknown {what} {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}."


def require(dataset: xr.Dataset, *variables: str, dims: Iterable[str] = (), what: str = "this dataset") -> None:
    """Raise a ValueError that names the variables and dimensions that ``dataset`` lacks."""
    if not hasattr(dataset, "data_vars"):  # xarray is not imported here, so that the command line's --help is fast
        raise ValueError(f"{what}: expected a dataset (xarray.Dataset); got {type(dataset).__name__}.")
    missing = [f"variable '{v}'" for v in variables if v not in dataset] + [
        f"dimension '{d}'" for d in dims if d not in dataset.dims
    ]
    if missing:
        raise ValueError(
            f"{what} lacks {', '.join(missing)}; it has variables {sorted(map(str, dataset.data_vars))} "
            f"and dimensions {sorted(map(str, dataset.dims))}."
        )


def require_values(dataset: xr.Dataset, dim: str, what: str = "this dataset") -> None:
    """Raise a ValueError that names the first value of a dimension that its pattern does not match."""
    pattern = DIMENSIONS[dim].pattern
    for value in map(str, dataset[dim].values.ravel()):
        if pattern and not re.fullmatch(pattern, value):
            raise ValueError(f"{what}: '{value}' is no value of dimension '{dim}' ({DIMENSIONS[dim].meaning}).")


def patch_name(row: int, column: int, *, all_but: bool = False) -> str:
    """Name of a token group: one image token, or all tokens but one."""
    return f"{'all but ' * all_but}patch {row},{column}"


def require_same_model(dataset: xr.Dataset, model: Any, what: str = "these vectors") -> None:
    """Raise a ValueError naming both models unless ``dataset`` was computed with the weights of ``model``.

    A dataset of several models names the weights of each.
    """
    stored_model, weights = dataset.attrs.get("model"), dataset.attrs.get("weights")
    if weights is None:
        raise ValueError(f"{what} do not say which model they were made with (no attribute 'weights').")
    if model.fingerprint not in (weights if isinstance(weights, (list, tuple)) else [weights]):
        raise ValueError(
            f"{what} were made with {stored_model} (weights {weights}) but are used with {model.name} "
            f"(weights {model.fingerprint}). Make them again with this model."
        )


def require_width(dataset: xr.Dataset, model: Any, what: str = "these vectors") -> None:
    """Raise a ValueError unless ``hidden`` is as long as the residual stream of ``model`` is wide."""
    if dataset.sizes[HIDDEN] != model.hidden_size:
        raise ValueError(
            f"{what} have width {dataset.sizes[HIDDEN]}, but the residual stream of {model.name} has width "
            f"{model.hidden_size}: select no part of '{HIDDEN}'."
        )
