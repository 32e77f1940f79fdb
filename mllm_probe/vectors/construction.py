"""Concept vectors: residual-stream directions between images with and without a concept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name, lazy
from mllm_probe.activations.hooks import resolve_layers
from mllm_probe.concepts.concept import category_name, checked_name, checked_words
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import batch_size_of, described, require_one_of, whole_number
from mllm_probe.tokens.positions import KINDS
from mllm_probe.tokens.selection import SCOPES, parse_vector_scopes, require_image_at_input
from mllm_probe.typing import DataVariables, Images, Inputs, Layers, Library
from mllm_probe.vectors.directions import SCOPE_NORM, require_length
from mllm_probe.vectors.pooling import CapturedActivations, Progress, as_requests, is_text_alone, pool
from mllm_probe.vectors.running_sums import Classes, ConceptDirections, Sums, classes_of, distinct_images

_PARTS = ("positive", "negative", "words", "category", "paired")
Array: TypeAlias = np.ndarray | Tensor | xr.DataArray | Sequence[float] | Sequence[Sequence[float]]
METHODS = ("mean_difference", "pca", "probe")


def concept_vectors(
    model: ProbeModel,
    library: Library,
    prompt: str | None = None,
    method: str = "mean_difference",
    tokens: str | Sequence[str] = ("last_prompt", "image"),
    layers: Layers = "all",
    shuffled_draws: int = 8,
    seed: int = 0,
    *,
    batch_size: int | Literal["auto"] = "auto",
    probe_accuracy: bool = True,
    progress: Progress = False,
    activations: xr.Dataset | str | Path | None = None,
) -> xr.Dataset:
    """Directions of concepts in the residual stream, with their quality measures and the residual norms for doses.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary
        Or any mapping from names to objects with ``positive``, ``negative``, ``words``, ``category`` and ``paired``;
        images may be dicts of processed tensors.
    prompt : str, optional
        Text with the images; ``model.default_prompt`` by default. A prompt whose answer begins freely lets the
        last token carry the concept.
    method : {"mean_difference", "pca", "probe"}
        Mean of the positives minus mean of the negatives; first uncentred principal component of the paired
        differences; weight of a standardised logistic regression. The last two are rescaled to the mean difference's
        length, and ``raw_norm`` keeps their own.
    tokens : str or sequence of str
        Scopes of ``last_prompt``, ``image``, ``text``, ``all``: one of several tokens is averaged within each image.
    layers : "all", "input", int or iterable of int or "input"
        ``"input"`` is the input of block 0, for ``tokens="image"`` alone: text positions there hold their tokens' own
        embeddings.
    shuffled_draws : int
        Control directions with exchanged labels, of the concept's length.
    seed : int
        Of halves and shuffled draws.
    batch_size : int or "auto"
    probe_accuracy : bool
        False saves the fits, and the memory of one pooled vector per image and layer.
    progress : bool or callable
        Show a bar, or call this with how many images are done and how many there are after every batch; an error that
        it raises ends the run.
    activations : Dataset, str or Path, optional
        A capture of the library's images, ``capture(model, library.pictures, tokens=...)``, or the path of its store:
        it is read in place of running the model, a few images at a time. It must hold every token of the scopes.
        Residual norms are measured at what was captured, NaN elsewhere: ``tokens="all"`` holds everything.

    Returns
    -------
    xarray.Dataset
        ``vector`` (concept, scope, layer, hidden) and ``shuffled`` (concept, scope, draw, layer, hidden), float32 on
        the model's device; per (concept, scope, layer): ``negative_projection`` (mean of the negatives on the unit
        direction), ``split_half_cosine`` (of the directions of two halves), ``spread`` (root mean square distance of an
        image from its class mean) and ``probe_accuracy`` (balanced, each half judged by the other's probe;
        ``probe_low`` and ``probe_high`` are its 95 % interval over pairs); ``residual_norm`` (layer, scope), and per
        role ``residual_norm_at_last_prompt`` … (layer); ``words``, ``positives``, ``negatives`` (concept).
        ``shuffled_norm`` (concept, scope, draw, layer) is the length that a shuffled draw had before it was given the
        concept's, and ``shuffled_cosine`` its absolute cosine with the concept's vector. ``manifold``
        (manifold_sample, scope, layer, hidden), bfloat16 on the device: up to 128 pooled activations of the images,
        minus their mean, from which controls of kind ``"on_manifold"`` are drawn, with ``manifold_mean`` (scope, layer,
        hidden), float32, and ``manifold_group`` (manifold_sample), equal for counterparts and near-duplicates.
        Coordinate ``fit_image``: content hashes of all images; vectors of sentences have none.

    Raises
    ------
    ValueError
        If an argument has no meaning, a concept lacks a class, or the prompt has no token of a scope.

    Examples
    --------
    >>> vectors = mp.concept_vectors(model, mp.concepts.scenes(concepts=["cat", "neon"]))
    >>> vectors.split_half_cosine.sel(concept="cat", scope="image")

    Notes
    -----
    Every distinct image is run once for all concepts, scopes and layers. Means and variances are running sums, so
    that memory does not grow with the images; only PCA, probes and probe accuracy keep one pooled vector per image
    (with ``activations=``, of one layer at a time).
    """
    require_model(model)
    scopes, chosen = parse_vector_scopes(tokens), resolve_layers(layers, len(model.layers))
    require_image_at_input(scopes, chosen, f"tokens {scopes}")
    _require_library(library)
    _require_method(method, library, shuffled_draws)
    seed, batch_size = whole_number("seed", seed), batch_size_of(batch_size)
    images, members = distinct_images(library)
    duplicates = [getattr(image, "group", None) for image in images]
    classes = [
        classes_of(name, *sides, bool(library[name].paired), seed, duplicates) for name, sides in members.items()
    ]
    sums = Sums(model, classes, len(images), scopes, chosen, shuffled_draws, seed)
    fits = method != "mean_difference" or probe_accuracy
    captured = None if activations is None else CapturedActivations(activations, model, scopes, chosen)
    if captured is None:
        requests = as_requests(model, images, prompt)
        if fits:
            sums.keep_pooled(model.hidden_size)
        norms = pool(model, requests, scopes, chosen, sums.add, batch_size, progress)
    else:
        prompt = captured.prompt(prompt)
        requests = as_requests(model, images, prompt)
        captured.select(requests)
        sums.read_pooled(captured.pooled_layer)
        norms = captured.pool(sums.add, progress)
    directions = ConceptDirections(sums, classes, method, seed)
    data = directions.variables() | directions.shuffled_variables() | directions.manifold_variables()
    data |= _norm_variables(norms, scopes)
    if probe_accuracy:
        data |= directions.probe_variables()
    coords: dict[Any, Any] = {schema.CONCEPT: list(library), schema.SCOPE: list(scopes)}
    coords |= schema.layer_coordinates(chosen, len(model.layers))
    coords[schema.CATEGORY] = (schema.CONCEPT, [str(c.category) for c in library.values()])
    if not all(is_text_alone(request) for request in requests):
        coords[schema.FIT_IMAGE] = [request.id for request in requests]
    data |= _library_variables(library, classes)
    facts = {
        "prompt": model.default_prompt if prompt is None else prompt,
        "scope": scopes,
        "method": method,
        "seed": seed,
        "site": schema.SITE,
        "concepts": getattr(library, "fingerprint", None),
        "pictures": len(images),
    }
    return xr.Dataset(data, coords=coords, attrs=schema.provenance(model, **facts))


def vectors_from(
    model: ProbeModel,
    directions: Mapping[str, Array],
    images: Images = None,
    prompt: str | None = None,
    *,
    scope: str = "all",
    layers: Layers = "all",
    inputs: Inputs = None,
    words: Mapping[str, Sequence[str | int | Sequence[int]]] | None = None,
    category: str | Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Vectors from given arrays: text-derived directions, rows of a sparse autoencoder, vectors of other tools.

    Parameters
    ----------
    model : ProbeModel
    directions : mapping of str to array
        [layer, hidden], or [hidden] for all layers. A DataArray is read by its dimension names and layer coordinate;
        other dimensions of length 1, such as ``token``, are dropped.
    images : images, optional
        Residual norms are measured on them; without, unit ``residual`` raises.
    prompt : str, optional
        Text with the images; ``model.default_prompt`` by default.
    scope : str
        Where the vectors come from, of ``last_prompt``, ``image``, ``text``, ``all``.
    layers : "all", "input", int or iterable of int or "input"
        Blocks that [layer, hidden] arrays run over; ``"input"``, the input of block 0, goes with ``scope="image"``.
    inputs : dict of Tensor or list of dicts, optional
        Processed tensors in place of images and prompt.
    words : mapping of str to sequence, optional
        For each name, the forms that count as naming the concept, as text or token ids: ``{"sae_123": ["cat"]}``.
        A name without words cannot be scored by ``logprob``, ``logit``, ``named`` or ``off_target``.
    category : str or mapping of str to str, optional
        Category of all, or of each name.

    Returns
    -------
    xarray.Dataset
        As ``concept_vectors`` without controls from shuffled labels. ``negative_projection`` is 0: ablation then takes
        the whole projection on the direction away.

    Raises
    ------
    ValueError
        If an array has another width or number of layers, holds NaN or is too large for float32; or if ``words`` or
        ``category`` name a direction that is not there.
    """
    require_model(model)
    _require_directions(directions)
    chosen = resolve_layers(layers, len(model.layers))
    (scope,) = parse_vector_scopes(scope)
    require_image_at_input((scope,), chosen, f"scope '{scope}'")
    stacked = torch.stack([_as_layers(name, array, chosen, model) for name, array in directions.items()])
    norms = np.full((len(chosen), len(KINDS) + 1), np.nan)
    if images is not None or inputs is not None:
        norms = pool(model, model.samples(images, prompt, inputs), ("last_prompt",), chosen, lambda *_: None)
    dims = (schema.CONCEPT, schema.SCOPE, schema.LAYER)
    data: dict[str, Any] = {
        "vector": lazy((*dims, schema.HIDDEN), stacked[:, None].to(model.device), made_by="vectors_from"),
        "negative_projection": (dims, np.zeros((len(directions), 1, len(chosen)), np.float32)),
        "words": (schema.CONCEPT, [json.dumps(forms) for forms in _given_words(directions, words)]),
    }
    coords: dict[Any, Any] = {schema.CONCEPT: list(directions), schema.SCOPE: [scope]}
    coords |= schema.layer_coordinates(chosen, len(model.layers))
    coords[schema.CATEGORY] = (schema.CONCEPT, _given_categories(directions, category))
    facts = {"method": "given", "scope": (scope,), "site": schema.SITE}
    if images is not None:
        facts["prompt"] = model.default_prompt if prompt is None else prompt
    return xr.Dataset(data | _norm_variables(norms, (scope,)), coords=coords, attrs=schema.provenance(model, **facts))


def _norm_variables(norms: np.ndarray, scopes: Sequence[str]) -> DataVariables:
    kinds: tuple[str | None, ...] = (*KINDS, "all")
    chosen = np.stack([norms[:, kinds.index(SCOPES[scope].norm)] for scope in scopes], 1)
    text = {"long_name": "median norm of the residual stream over positions that are neither padding nor special"}
    data: dict[str, Any] = {"residual_norm": ((schema.LAYER, schema.SCOPE), chosen, text)}
    return data | {SCOPE_NORM.format(kind): (schema.LAYER, norms[:, k], text) for k, kind in enumerate(KINDS)}


def _library_variables(library: Library, classes: list[Classes]) -> DataVariables:
    words = [json.dumps([w if isinstance(w, (str, int)) else list(w) for w in c.words]) for c in library.values()]
    return {
        "words": (schema.CONCEPT, words),
        "positives": (schema.CONCEPT, [len(c.positive) for c in classes]),
        "negatives": (schema.CONCEPT, [len(c.negative) for c in classes]),
    }


def _require_directions(directions: object) -> None:
    expected = "vectors_from expects a mapping from names to arrays, such as {'my direction': array}"
    if not isinstance(directions, Mapping) or isinstance(directions, xr.Dataset):
        raise ValueError(
            f"{expected}; got {type(directions).__name__}. The direction between two captures is the difference of "
            "their means: {'mine': (a - b).activation.mean('sample')}."
        )
    if not directions:
        raise ValueError(f"{expected}, at least one; got an empty mapping.")
    for name in directions:
        checked_name("name of a direction", name)


def _require_names(what: str, given: Mapping[str, Any], directions: Mapping[str, Any]) -> None:
    unknown = [name for name in given if name not in directions]
    if unknown:
        raise ValueError(f"{what}: there is no direction {unknown[0]!r}; there are {', '.join(map(repr, directions))}.")


def _given_words(directions: Mapping[str, Any], words: object) -> list[list[Any]]:
    """Words of each direction as they are stored: text, token ids, or lists of token ids; none where none are given."""
    if words is None:
        return [[] for _ in directions]
    if not isinstance(words, Mapping):
        raise ValueError(
            f"words: expected a mapping such as {{{next(iter(directions))!r}: ['cat']}}; got {type(words).__name__}."
        )
    _require_names("words", words, directions)
    return [_stored_words(name, words[name]) if name in words else [] for name in directions]


def _stored_words(name: str, words: Any) -> list[Any]:
    listed = words if isinstance(words, (str, bytes)) else list(words)
    if any(isinstance(word, str) for word in listed) or not len(listed):
        return list(checked_words(f"direction {name!r}", listed))
    return [int(word) if isinstance(word, (int, np.integer)) else [int(token) for token in word] for word in listed]


def _given_categories(directions: Mapping[str, Any], category: str | Mapping[str, str] | None) -> list[str]:
    if category is None:
        return [""] * len(directions)
    if not isinstance(category, Mapping):
        return [category_name(category)] * len(directions)
    _require_names("category", category, directions)
    return [category_name(category[name]) if name in category else "" for name in directions]


def _as_layers(name: str, array: Array, layers: list[int], model: ProbeModel) -> Tensor:
    tensor = _as_tensor(name, _by_dimensions(name, array, layers) if isinstance(array, xr.DataArray) else array)
    given = tuple(tensor.shape)
    if tensor.ndim == 1:
        tensor = tensor[None].expand(len(layers), -1)
    if tuple(tensor.shape) != (len(layers), model.hidden_size):
        raise ValueError(
            f"{name!r}: expected an array [{len(layers)} layers, {model.hidden_size}] or [{model.hidden_size}] for "
            f"{model.name}; got shape {given}."
        )
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name!r}: expected finite numbers; the array holds NaN or infinity.")
    require_length(f"{name!r}: the array", float(tensor.double().norm(dim=-1).max()))
    return tensor


def _as_tensor(name: str, values: object) -> Tensor:
    try:
        tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.array(values))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name!r}: expected an array of numbers; got {type(values).__name__} ({error}).") from error
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise ValueError(f"{name!r}: expected real numbers; got {dtype_name(tensor.dtype)}.")
    return tensor.detach().float().cpu()


def _by_dimensions(name: str, array: xr.DataArray, layers: list[int]) -> np.ndarray:
    """Values [layer, hidden] or [hidden] of an array with named dimensions, at the layers that are asked for."""
    if schema.HIDDEN not in array.dims:
        return np.asarray(array.values)
    others = [d for d in array.dims if d not in (schema.LAYER, schema.HIDDEN)]
    long = next((d for d in others if array.sizes[d] != 1), None)
    if long is not None:
        raise ValueError(
            f"{name!r}: expected dimensions ({schema.LAYER}, {schema.HIDDEN}); got {array.dims} with "
            f"{array.sizes[long]} along {long!r}. Average or choose: array.mean({long!r}) or array.isel({long}=0)."
        )
    array = array.squeeze(others).transpose(*[d for d in (schema.LAYER, schema.HIDDEN) if d in array.dims])
    if schema.LAYER in array.coords and schema.LAYER in array.dims:
        known = [int(layer) for layer in array[schema.LAYER].values]
        if not set(layers) <= set(known):
            raise ValueError(
                f"{name!r}: the array has layers {known}, not all of those asked for ({layers}); pass layers={known}."
            )
        array = array.isel({schema.LAYER: [known.index(layer) for layer in layers]})
    return np.asarray(array.values)


def _require_method(method: str, library: Library, draws: int) -> None:
    require_one_of("method", method, METHODS)
    whole_number("shuffled_draws", draws)
    unpaired = [name for name, concept in library.items() if not concept.paired]
    if method == "pca" and unpaired:
        raise ValueError(
            f"method 'pca' works on the differences of pairs, but the images of '{unpaired[0]}' are not paired: "
            "use 'mean_difference' or 'probe'."
        )


def _require_library(library: object) -> None:
    if not isinstance(library, Mapping):
        hint = "; library.subset([…]) is a library of some concepts" if hasattr(library, "positive") else ""
        raise ValueError(
            "library: expected a concept library (mp.concepts.scenes, from_folder or from_hub) or a dict of concepts; "
            f"got {described(library)}{hint}."
        )
    if not len(library):
        raise ValueError("concept_vectors expects a library with at least one concept; got an empty one.")
    for name, concept in library.items():
        lacking = [part for part in _PARTS if not hasattr(concept, part)]
        if lacking:
            raise ValueError(
                f"library: '{name}' is a {type(concept).__name__}; expected a concept (mp.concepts.Concept) with "
                f"{', '.join(_PARTS)}; it lacks {lacking[0]}."
            )
