"""The command that runs a sweep into a store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mllm_probe.cli.exit_status import DONE, INCOMPLETE
from mllm_probe.cli.model_settings import (
    BY_DEFAULT,
    NO_LIBRARY,
    Blocks,
    LibrarySettings,
    LoadingSettings,
    Names,
    Scopes,
    layers_of,
)
from mllm_probe.cli.printed_results import AsJson, note, provenance_of, shape_text, show
from mllm_probe.cli.run_settings import Config, write_settings

if TYPE_CHECKING:
    import xarray as xr

    from mllm_probe.concepts import ConceptLibrary
    from mllm_probe.loading import Model


@Parameter(name="*")
@dataclass(frozen=True)
class SweepSettings:
    """What is steered, how, and what is scored.

    Parameters
    ----------
    prompt
        Text with each image; the model's default prompt if not given.
    layers
        Decoder blocks to edit, one at a time (-1 is the last), or input; by default all of the vectors.
    strengths
        Signed doses.
    tokens
        Scopes to edit: last_prompt, generated, image, text, all.
    unit
        Of strengths: residual, vector or raw.
    operation
        add, ablate or replace.
    to
        Of replace: the concept that takes the place.
    metrics
        Of logprob, named, kept, kl, perplexity (the default), logit, tokens, off_target.
    controls
        Of random, on_manifold (the default, where vectors have activations), concepts, shuffled, orthogonal.
    draws
        Draws of each control, an even number from 4 on.
    seed
        Of the random directions, and of vectors that are made here.
    max_new_tokens
        Longest answer.
    answer_prefix
        Beginning of the answer that is given; the model's own if not given.
    record
        Of activation, projection, residual_norm, logit_lens: kept of the steered prompt.
    read_layers
        Blocks at which that is recorded; all if not given.
    read_tokens
        Scopes at which that is recorded.
    """

    prompt: str | None = None
    layers: Blocks = None
    strengths: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    tokens: Scopes = ("last_prompt", "generated")
    unit: str = "residual"
    operation: str = "add"
    to: str | None = None
    metrics: Names = None
    controls: Names = None
    draws: int = 8
    seed: int = 0
    max_new_tokens: int = 8
    answer_prefix: str | None = None
    record: Names = None
    read_layers: Blocks = None
    read_tokens: Scopes = ("last_prompt",)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of :func:`mllm_probe.sweep`; metrics only where given, since others may lack a sense."""
        own = asdict(self) | {"layers": layers_of(self.layers), "read_layers": layers_of(self.read_layers)}
        return own if self.metrics is not None else {name: one for name, one in own.items() if name != "metrics"}


PLAIN = SweepSettings()
"""The sweep of the package's defaults."""


def sweep(
    config: Config = None,
    *,
    model: str,
    store: str,
    library: LibrarySettings = NO_LIBRARY,
    vectors: str | None = None,
    method: str = "mean_difference",
    halves: Literal["held_out", "both"] = "held_out",
    settings: SweepSettings = PLAIN,
    loading: LoadingSettings = BY_DEFAULT,
    as_json: AsJson = False,
) -> int:
    r"""Steer with every concept at every layer and strength on held-out images, and score what comes out.

    Finished chunks are kept in the store: stopped with Ctrl-C or killed, the same command goes on.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.
    store
        The store to write, a folder.
    vectors
        File of vectors; made from the fitted share of the library if not given.
    method
        Of vectors that are made here: mean_difference, pca or probe.
    halves
        Images to steer: held_out, or both halves, so that best cells are chosen on one and reported on the other.

    Examples
    --------
    $ mllm-probe sweep --model scenes-4l --library scenes \
        --concepts cat house --pairs 24 --vectors cats.safetensors \
        --layers 1 2 --strengths 1 --draws 4 --store cats-sweep.zarr
    $ mllm-probe sweep cats-sweep.zarr.toml
    """
    import mllm_probe as mp
    from mllm_probe.studies.subject import require_held_out

    images = _images(library, halves)
    loaded = loading.load(model)
    directions = _vectors(loaded, vectors, library, method, settings)
    require_held_out(images, directions)
    written = {"model": model, "store": store, **asdict(library.resolved()), "vectors": vectors, "method": method}
    written |= {"halves": halves, **asdict(settings), **loading.resolved(loaded)}
    written |= {"prompt": settings.prompt if settings.prompt is not None else loaded.default_prompt}
    try:
        grid = mp.sweep(loaded, directions, images, **settings.arguments(), store=store)
    except KeyboardInterrupt:
        return _interrupted(store, written, as_json)
    file = write_settings("sweep", store, written)
    sizes = dict(grid.sizes)
    document = {
        "store": store,
        "settings": file,
        "finished": True,
        "sizes": sizes,
        "attributes": provenance_of(grid.attrs),
    }
    show(f"{store}: {shape_text(sizes)}, of {loaded.name}; settings in {file}", document, as_json)
    return DONE


def _images(library: LibrarySettings, halves: str) -> ConceptLibrary:
    made = library.make()
    if halves == "both":
        return made.with_split(library.fit, library.split_seed)
    return made.split(library.fit, library.split_seed)[1]


def _vectors(
    model: Model, file: str | None, library: LibrarySettings, method: str, settings: SweepSettings
) -> xr.Dataset:
    from mllm_probe.vectors import concept_vectors, load_vectors

    if file is not None:
        return load_vectors(file, model)
    return concept_vectors(model, library.fit_half(), settings.prompt, method, seed=settings.seed, progress=True)


def _interrupted(store: str, settings: dict[str, Any], as_json: bool) -> int:
    """Say how much the store of a stopped sweep keeps."""
    from mllm_probe.sweeps import read_progress

    try:
        progress = read_progress(store)
    except FileNotFoundError:
        note("interrupted before the first runs were finished; nothing is kept.")
        return INCOMPLETE
    file = write_settings("sweep", store, settings)
    note(f"interrupted: {progress.done} of {progress.total} runs are kept in {store}; the same command goes on.")
    if as_json:
        show("", {"store": store, "settings": file, **asdict(progress)}, as_json)
    return INCOMPLETE
