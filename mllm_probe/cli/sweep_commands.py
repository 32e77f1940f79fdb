"""Commands that run a sweep into a store, share it out, on a Dask cluster too, and follow it: sweep, work, status."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, make_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from cyclopts import Parameter

import mllm_probe as mp
from mllm_probe.cli.commands_common import (
    BY_DEFAULT,
    CHECK_FAILED,
    DONE,
    INCOMPLETE,
    NO_LIBRARY,
    AsJson,
    Config,
    LibrarySettings,
    LoadingSettings,
    layers_of,
    note,
    provenance_of,
    settings_beside,
    shape_text,
    show,
    write_settings,
)
from mllm_probe.models.argument_checks import readable_path_of
from mllm_probe.models.bundled import source_of
from mllm_probe.sweeps.sweep_arguments import BLOCKS, SCOPES, Arguments, shard_of

_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What a worker runs first: a terminal sends Ctrl-C to it too, but the command is what ends it."""
_ADDRESS = re.compile(r"[a-z]+://[^\s/]+:[0-9]{1,5}")
MOST_WORKERS = 256
"""Processes, each with a model of its own."""


def require_cluster(workers: int | None, scheduler: str | None) -> None:
    """Raise a ValueError for both, for no such number of workers, or for an empty address."""
    if workers is not None and scheduler is not None:
        raise ValueError("workers: expected --workers or --scheduler, not both.")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"workers: expected 1 … {MOST_WORKERS} processes of this machine, got {workers}.")
    if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
        raise ValueError(f"scheduler: expected an address such as tcp://10.0.0.1:8786, got {scheduler!r}.")


@contextmanager
def cluster_client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """A client of the cluster that was asked for; None where none was.

    Parameters
    ----------
    workers : int, optional
        Processes of this machine, of one thread each. Where there are GPUs, each sees one of them, in turns.
    scheduler : str, optional
        Address of a scheduler.

    Raises
    ------
    ValueError
        As :func:`require_cluster`.
    ImportError
        Without the extra.
    ConnectionError
        If no scheduler answers there.
    """
    require_cluster(workers, scheduler)
    if workers is None and scheduler is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("a cluster needs Dask: pip install 'mllm-probe[dask]'.") from error
    if workers is None:
        try:
            client = Client(scheduler, timeout="20s")
        except OSError as error:
            raise ConnectionError(
                f"no Dask scheduler answers at {scheduler} ({error}): start one with `dask scheduler` and run the same "
                "command again, or leave --scheduler out. A store that was begun keeps what is finished."
            ) from error
        with client:
            yield client
        return
    with _local_cluster(workers, visible_gpus()) as cluster, Client(cluster) as client:
        yield client


def visible_gpus() -> list[str]:
    """CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number in range(torch.cuda.device_count())]
    return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]


def _local_cluster(workers: int, gpus: Sequence[str]) -> Any:
    """A cluster of worker processes, each of which sees one of the GPUs."""
    from distributed import LocalCluster

    class Pinned(LocalCluster):
        def new_worker_spec(self) -> dict[Any, dict[str, Any]]:
            # In the worker's environment before it starts: CUDA looks at it once.
            (name, spec), *_ = super().new_worker_spec().items()
            env = {"CUDA_VISIBLE_DEVICES": gpus[int(name) % len(gpus)]} if gpus else {}
            return {name: spec | {"options": spec["options"] | {"env": env}}}

    # Any free port: with the usual one, a second cluster of this machine warns that it is taken.
    served = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    cluster = Pinned(n_workers=0, threads_per_worker=1, preload=[_DEAF], **served)
    cluster.scale(workers)  # only workers that are added are asked for their own settings
    return cluster


if TYPE_CHECKING:
    import xarray as xr

    from mllm_probe.concepts import ConceptLibrary
    from mllm_probe.loading import Model


def options_of(arguments: type[Arguments]) -> type[Arguments]:
    """A dataclass of the options of declared arguments, as cyclopts reads it.

    An option that may be left out is None then, and the default of the package holds.
    """
    options = []
    for setting in fields(arguments):
        kind, default = setting.metadata["option"], setting.default
        if kind is not None:
            several = (default,) if kind == SCOPES and isinstance(default, str) else default
            explained = Parameter(help=setting.metadata["help"], consume_multiple=True)
            options.append(
                (setting.name, Annotated[kind, explained], None if type(None) in get_args(kind) else several)
            )
    named = {"__module__": __name__}  # else cyclopts takes it for a type of Python's own
    return Parameter(name="*")(make_dataclass("SweepSettings", options, frozen=True, namespace=named))


if TYPE_CHECKING:
    SweepSettings = Arguments
else:
    SweepSettings = options_of(Arguments)


def arguments_of(settings: SweepSettings) -> dict[str, Any]:
    """Keyword arguments of :func:`mllm_probe.sweep` that options mean; those that were left out are not among them."""
    typed = [
        (setting, getattr(settings, setting.name))
        for setting in fields(Arguments)
        if setting.metadata["option"] is not None
    ]
    return {
        setting.name: layers_of(value) if setting.metadata["option"] == BLOCKS else value
        for setting, value in typed
        if value is not None
    }


_LONGEST_WAIT = 86_400
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
    prompt: str | None = None,
    settings: SweepSettings = PLAIN,
    loading: LoadingSettings = BY_DEFAULT,
    shard: str | None = None,
    mixed: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    as_json: AsJson = False,
) -> int:
    r"""Steer with every concept at every layer and strength on held-out images, and score what comes out.

    Finished units of work are kept in the store: stopped with Ctrl-C or killed, the same command goes on, and any
    number of processes may fill one store at once.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.
    store
        The store to write: a folder, or an address such as s3://maps/cats.zarr.
    vectors
        File of vectors; made from the fitted share of the library if not given.
    method
        Of vectors that are made here: mean_difference, pca or probe.
    halves
        Images to steer: held_out, or both halves, so that best cells are chosen on one and reported on the other.
    prompt
        Text with each image; the model's default prompt if not given.
    shard
        Share of the work that this process does, such as 3/16, the third of sixteen; whatever is missing if not given.
    mixed
        Let units be computed with another dtype or type of device than those that are there; each says which.
    workers
        Processes of this machine that share the work, as a Dask cluster.
    scheduler
        Address of a Dask scheduler whose workers do the work, such as tcp://10.0.0.1:8786.

    Examples
    --------
    $ mllm-probe sweep --model scenes-4l --library scenes \
        --concepts cat house --pairs 24 --vectors cats.safetensors \
        --layers 1 2 --strengths 1 --draws 4 --store cats-sweep.zarr
    $ mllm-probe sweep cats-sweep.zarr.toml
    """
    shard_of(shard)  # before anything that takes long
    require_cluster(workers, scheduler)
    settings_beside(store)
    source_of(model)
    if vectors is not None:
        readable_path_of("vectors", vectors, "file of vectors")
    images = _images(library, halves)
    loaded = loading.load(model)
    from mllm_probe.studies.study_runs import require_held_out

    directions = _vectors(loaded, vectors, library, method, prompt, settings.seed)
    require_held_out(images, directions)
    written = {"model": model, "store": store, **asdict(library.resolved()), "vectors": vectors, "method": method}
    written |= {"halves": halves, "prompt": loaded.default_prompt if prompt is None else prompt}
    written |= {**asdict(settings), **loading.resolved(loaded)}
    with cluster_client(workers, scheduler) as client:
        run = mp.sweep_iter(
            loaded, directions, images, prompt, **arguments_of(settings), store=store, shard=shard, client=client,
            mixed=mixed,
        )  # fmt: skip
        return _worked(run.finish, store, shard, write_settings("sweep", store, written), as_json)


def work(
    store: str,
    /,
    *,
    shard: str | None = None,
    device: str | None = None,
    mixed: bool = False,
    trust_remote_code: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    as_json: AsJson = False,
) -> int:
    """Join a sweep that was begun elsewhere: its store holds or names all that it needs.

    Parameters
    ----------
    store
        The folder that a sweep fills, or its address in an object store.
    shard
        Share of the work, such as 3/16, the third of sixteen; whatever is missing if not given.
    device
        cuda when there is one, else cpu.
    mixed
        Let units be computed with another dtype or type of device than those that are there; each says which.
    trust_remote_code
        Run code that comes with the checkpoint that the store names.
    workers
        Processes of this machine that share the work, as a Dask cluster.
    scheduler
        Address of a Dask scheduler whose workers do the work.

    Examples
    --------
    $ mllm-probe work cats-sweep.zarr --shard 2/2
    """
    from mllm_probe.sweeps.stored.sweep_store import open_unit_store

    # Wrong arguments and missing stores answer before PyTorch is imported.
    shard_of(shard)
    require_cluster(workers, scheduler)
    if scheduler is None:
        open_unit_store(store)
    with cluster_client(workers, scheduler) as client:
        join = partial(
            mp.sweeps.join_sweep, store, shard=shard, device=device, trust_remote_code=trust_remote_code, client=client,
            mixed=mixed,
        )  # fmt: skip
        return _worked(join, store, shard, None, as_json)


def status(
    store: str, /, *, check: bool = False, watch: bool = False, every: float = 5.0, as_json: AsJson = False
) -> int:
    """Print how far a store has come, by whom, and the time left.

    Ends with 0 where it is finished, 1 where a check found damage, and 3 where something is missing.

    Parameters
    ----------
    store
        The folder that a sweep or a patch fills, or its address in an object store.
    check
        Read every checksum, and give damaged units back: run the sweep again, and they are computed anew.
    watch
        Print it again until it is finished.
    every
        Seconds between two prints.

    Examples
    --------
    $ mllm-probe status cats-sweep.zarr --check
    """
    if not 0.1 <= every <= _LONGEST_WAIT:
        raise ValueError(f"every: expected 0.1 … {_LONGEST_WAIT} seconds; got {every:g}.")
    state = mp.sweeps.store_status(store, check=check)
    while watch and not state.progress.finished:
        for line in str(state).splitlines():
            note(line)
        time.sleep(every)
        state = mp.sweeps.store_status(store)
    show(str(state), state.plain(), as_json)
    if state.damaged:
        return CHECK_FAILED
    return DONE if state.progress.finished else INCOMPLETE


def _images(library: LibrarySettings, halves: str) -> ConceptLibrary:
    every = library.make()
    if halves == "both":
        return every.with_split(library.fit, library.split_seed)
    return every.split(library.fit, library.split_seed)[1]


def _vectors(
    model: Model, file: str | None, library: LibrarySettings, method: str, prompt: str | None, seed: int
) -> xr.Dataset:
    if file is not None:
        return mp.load_vectors(file, model)
    return mp.concept_vectors(model, library.fit_half(), prompt, method, seed=seed, progress=True)


def _worked(
    work: Callable[[], xr.Dataset], store: str, shard: str | None, settings: str | Path | None, as_json: bool
) -> int:
    """Do this process's work, and say what its store holds then."""
    try:
        grid = work()
    except KeyboardInterrupt:
        return _interrupted(store, settings, as_json)
    progress, sizes = mp.sweeps.read_progress(store), dict(grid.sizes)
    document = {
        "store": store,
        "settings": settings,
        "finished": progress.finished,
        "shard": shard,
        "sizes": sizes,
        "attributes": provenance_of(grid.attrs),
    }
    share = "" if shard is None else f"shard {shard} is done; "
    beside = "" if settings is None else f"; settings in {settings}"
    units = f"{progress.units_done} of {progress.units} units"
    show(f"{store}: {share}{units}; {shape_text(sizes)}, of {grid.attrs['model']}{beside}", document, as_json)
    return DONE


def _interrupted(store: str, settings: str | Path | None, as_json: bool) -> int:
    """Say how much the store of a stopped sweep keeps."""
    try:
        progress = mp.sweeps.read_progress(store)
    except FileNotFoundError:
        note("interrupted before the first runs were finished; nothing is kept.")
        return INCOMPLETE
    note(
        f"interrupted: {progress.units_done} of {progress.units} units, with {progress.done} of {progress.total} "
        f"steered runs, are kept in {store}; the same command goes on."
    )
    if as_json:
        show("", {"store": store, "settings": settings, **asdict(progress)}, as_json)
    return INCOMPLETE
