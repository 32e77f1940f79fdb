"""`sweep`, `sweep_iter` and `plan`: a layer × strength × concept grid of steered runs and their controls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import xarray as xr
from tqdm.auto import tqdm

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.metric import Metric
from mllm_probe.models.probe_model import ProbeModel, require_model
from mllm_probe.steering.operations import ChangeFunction, Operation
from mllm_probe.sweeps.engine import Engine, joined, leave, run_unit
from mllm_probe.sweeps.grid import gather
from mllm_probe.sweeps.job import SweepJob, check_requirements
from mllm_probe.sweeps.settings import Settings
from mllm_probe.sweeps.stored.store_inputs import Cluster, DaskClient, require_client
from mllm_probe.sweeps.sweep_arguments import AUTO, DEFAULT_METRICS, Arguments, shard_of
from mllm_probe.sweeps.sweep_plan import SweepPlan, plan_job, require_size
from mllm_probe.typing import Images, Inputs, Layers, TokenScope
from mllm_probe.vectors.directions import with_concepts


def sweep(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Images | ConceptLibrary = None,
    prompt: str | Sequence[str] | None = None,
    *,
    layers: Layers = "all",
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    tokens: TokenScope = ("last_prompt", "generated"),
    unit: str = "residual",
    operation: str | Operation | ChangeFunction = "add",
    to: str | xr.Dataset | None = None,
    metrics: Sequence[str | Metric] | str | Metric = DEFAULT_METRICS,
    controls: Sequence[str] | str | None = None,
    draws: int | Literal["auto"] = AUTO,
    seed: int = 0,
    max_new_tokens: int = 8,
    answer_prefix: str | Sequence[int] | None = None,
    record: Sequence[str] | str | None = None,
    read_layers: Layers = "all",
    read_tokens: TokenScope = "last_prompt",
    store: str | Path | None = None,
    client: DaskClient | None = None,
    progress: bool = True,
    inputs: Inputs = None,
    shard: str | None = None,
    mixed: bool = False,
) -> xr.Dataset:
    """Steer with every concept at every layer and strength, on every image, and score what comes out.

    Each image is encoded once; rows share as much of the prompt as the scope allows (attribute ``path``). Strength 0
    is the baseline, run once per image; random directions that do not depend on the concept are run once and scored
    against all.

    Parameters
    ----------
    model : ProbeModel
    vectors : Dataset
        From ``concept_vectors`` or ``vectors_from``; of several concepts, or of one such as
        ``vectors.sel(concept="cat")``.
    images : image, sequence of images or ConceptLibrary
        A library stands for all its images. Labels, which ``named`` and ``kept`` use, come with its images.
    prompt : str or sequence of str, optional
        One for all images or one each; the model's default prompt if None.
    layers : "all", "input", int or sequence of int or "input"
        Blocks to edit, one at a time; ``"all"`` is all of them that the vectors have. ``"input"`` is the input of block
        0 (coordinate -1), which takes ``tokens="image"`` and vectors of that scope.
    strengths : sequence of float
        Signed doses in ``unit``; fractions 0 … 1 for ``ablate`` and ``replace``.
    tokens, unit
        As for ``Steering``.
    operation : str, Operation or callable
        As for ``Steering``. One without an affine form is run by the general editor: exact, but slower.
    to : str or Dataset, optional
        For ``replace``: the concept that takes the place, by name or as its vectors.
    metrics : sequence of str or Metric
        Any :class:`~mllm_probe.metrics.metric.Metric`, or by name: ``logprob``, ``logit``,
        ``named``, ``kept``, ``kl``, ``perplexity`` (``repetition`` comes with it),
        ``tokens`` for the answers alone, and ``off_target`` for what every row does to the other concepts. Without any
        that reads answers, only their first position is computed. Of the default ones, those that cannot be computed
        (``kept`` without labels, words that the tokenizer does not know) are NaN and named in one warning; asked for by
        name, they raise.
    controls : sequence of str, optional
        What concepts are compared with, each with changes of the concept's size: ``"random"``, isotropic directions;
        ``"on_manifold"``, directions in which the activations of the vectors' own images differ; ``"concepts"``, the
        other concepts of the grid, at no further run (unit ``residual``, operation ``add``); ``"shuffled"``, vectors
        from exchanged labels; ``"orthogonal"``, the random directions without their component along the concept's
        vector. None is random and, where the vectors carry activations, on_manifold.
    draws : int or "auto"
        Draws of each control, an even number from 4 on; fewer than 8 give no verdict. ``"auto"``: 8 to 32, as many as
        together take no more rows than the concepts' own; 8 where concepts do not share them. Draws 2j and 2j + 1 of
        all but ``shuffled`` are opposite directions, of ``random`` and ``on_manifold`` the same at every layer. At most
        as many shuffled ones as the vectors have.
    seed : int
        Of the random directions.
    max_new_tokens : int
        Longest answer, greedy.
    answer_prefix : str or sequence of int, optional
        Beginning of the answer that is given, as text or token ids; ``model.default_answer_prefix`` if None.
    record : sequence of str, optional
        Of ``activation``, ``projection``, ``residual_norm``, ``logit_lens``: what the steered prompt looks like inside,
        at ``read_layers`` × ``read_tokens``, kept on the device and planned against its memory first. ``projection``
        brings two variables: along the concept's direction, and ``own_projection`` along that of the row's own edit,
        which for a control is the direction that was drawn (of ``"concepts"``, the other concept's).
    read_layers, read_tokens
        As ``layers`` and ``tokens`` of ``capture``; positions of the prompt.
    store : str or Path, optional
        A folder, or an address in an object store (``"s3://bucket/map.zarr"``, ``gs://``, ``az://``, with ``pip install
        'mllm-probe[object]'``), to which each finished unit of work is written: a Zarr group that ``xarray.open_zarr``
        reads at any time. A sweep that was stopped or killed resumes from it when it is run again with the same
        settings, and loses at most the unit that was in flight; several processes may fill it at once; other settings
        are refused. ``sweeps.read_progress(store)`` gives the progress. A store that is complete is returned without
        running the model.
    client : dask.distributed.Client, optional
        Of a cluster whose workers run the units of the store, each with the model loaded once; needs ``store`` on a
        path that the workers see, a model that was loaded by its name, and ``pip install 'mllm-probe[dask]'``. A worker
        with several threads runs one unit at a time. Without ``store`` a temporary one is made in a folder that all
        workers were seen to write to, and removed after the grid was read.
    progress : bool
        Show a progress line.
    inputs : dict of Tensor or list of such dicts, optional
        Processed tensors in place of images and prompt.
    shard : str, optional
        Share of the store's units that this call runs, such as ``"3/16"``: the third of sixteen, which may be run
        anywhere and at any time, and again after they died. Without it, whatever is missing is run. The grid holds what
        was finished by anyone when the call began, and its own share.
    mixed : bool
        Let units be computed with another dtype or type of device than those that are in the store; each says which.

    Returns
    -------
    Dataset
        One variable per metric (concept, layer, strength, control, draw, sample), float32 on the host, NaN where a
        cell was not run or is not defined; ``<metric>_unsteered`` (concept, sample); ``eligible`` (concept, strength,
        sample) beside ``named``; ``tokens`` (…, step) and ``text`` where answers were generated; ``kl_step`` (…, step);
        ``off_target`` (concept, layer, strength, sample, scored_concept), log-probability that the answer begins with
        the first sub-token of a word of each concept, with ``off_target_random`` (layer, strength, draw, …) and
        ``off_target_unsteered`` (sample, scored_concept); ``edited``, how many positions were edited; recorded
        variables (…, read_layer, token[, hidden]) on the device.

    Raises
    ------
    ValueError
        For unknown or impossible settings, vectors of another model, a scope that can never fire, or a store that was
        made with other settings, which are named.
    MemoryError
        If the recordings do not fit into memory; the message names smaller ones.

    Examples
    --------
    >>> grid = mp.sweep(model, vectors, library, strengths=(0, 1), metrics=("logprob",))
    >>> mp.effect(grid, "logprob").clear_of_controls
    """
    arguments = Arguments(
        layers=layers,
        strengths=strengths,
        tokens=tokens,
        unit=unit,
        operation=operation,
        to=to,
        metrics=metrics,
        controls=controls,
        draws=draws,
        seed=seed,
        max_new_tokens=max_new_tokens,
        answer_prefix=answer_prefix,
        record=record,
        read_layers=read_layers,
        read_tokens=read_tokens,
    )
    return _grids(
        model,
        vectors,
        images,
        prompt,
        inputs,
        arguments,
        coarse=False,
        store=store,
        client=client,
        progress=progress,
        shard=shard,
        mixed=mixed,
    ).finish()


def sweep_iter(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Images | ConceptLibrary = None,
    prompt: str | Sequence[str] | None = None,
    *,
    layers: Layers = "all",
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    tokens: TokenScope = ("last_prompt", "generated"),
    unit: str = "residual",
    operation: str | Operation | ChangeFunction = "add",
    to: str | xr.Dataset | None = None,
    metrics: Sequence[str | Metric] | str | Metric = DEFAULT_METRICS,
    controls: Sequence[str] | str | None = None,
    draws: int | Literal["auto"] = AUTO,
    seed: int = 0,
    max_new_tokens: int = 8,
    answer_prefix: str | Sequence[int] | None = None,
    record: Sequence[str] | str | None = None,
    read_layers: Layers = "all",
    read_tokens: TokenScope = "last_prompt",
    store: str | Path | None = None,
    client: DaskClient | None = None,
    progress: bool = True,
    inputs: Inputs = None,
    shard: str | None = None,
    mixed: bool = False,
) -> Grids:
    """The grid of :func:`sweep` as it fills: a usable coarse map first, then what refines it.

    In the first tenth of the runs, every layer is run at the strength nearest to 1, with four draws of each control, on
    at least six images (more where a tenth allows it): enough for :func:`mllm_probe.effect`. Where a tenth is too
    little for that, an even subset of the layers comes first, and where it is too little for two layers too, the
    grid is small and its coarse map takes what it takes. Then follow the other images, strengths and draws.

    Parameters
    ----------
    model, vectors, images, prompt, layers, strengths, tokens, unit, operation, to, metrics, controls, draws, seed
        As for :func:`sweep`.
    max_new_tokens, answer_prefix, record, read_layers, read_tokens, store, client, progress, inputs
        As for :func:`sweep`.
    shard, mixed
        As for :func:`sweep`.

    Yields
    ------
    Dataset
        Of the final shape, a copy each time; attribute ``progress`` goes from 0 to 1. Recorded variables are shared,
        not copied. The settings are checked at once, not at the first step. With a store, what it holds comes first.
        ``close()`` stops the sweep at once, from any thread; what was computed is kept, in the last grid and the store.
    """
    arguments = Arguments(
        layers=layers,
        strengths=strengths,
        tokens=tokens,
        unit=unit,
        operation=operation,
        to=to,
        metrics=metrics,
        controls=controls,
        draws=draws,
        seed=seed,
        max_new_tokens=max_new_tokens,
        answer_prefix=answer_prefix,
        record=record,
        read_layers=read_layers,
        read_tokens=read_tokens,
    )
    return _grids(
        model,
        vectors,
        images,
        prompt,
        inputs,
        arguments,
        coarse=True,
        store=store,
        client=client,
        progress=progress,
        shard=shard,
        mixed=mixed,
    )


def plan(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Images | ConceptLibrary = None,
    prompt: str | Sequence[str] | None = None,
    *,
    layers: Layers = "all",
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    tokens: TokenScope = ("last_prompt", "generated"),
    unit: str = "residual",
    operation: str | Operation | ChangeFunction = "add",
    to: str | xr.Dataset | None = None,
    metrics: Sequence[str | Metric] | str | Metric = DEFAULT_METRICS,
    controls: Sequence[str] | str | None = None,
    draws: int | Literal["auto"] = AUTO,
    seed: int = 0,
    max_new_tokens: int = 8,
    answer_prefix: str | Sequence[int] | None = None,
    record: Sequence[str] | str | None = None,
    read_layers: Layers = "all",
    read_tokens: TokenScope = "last_prompt",
    store: str | Path | None = None,
    client: DaskClient | None = None,
    progress: bool = True,
    inputs: Inputs = None,
    shard: str | None = None,
    mixed: bool = False,
) -> SweepPlan:
    """Return the cost of a sweep with these settings: rows, forwards, memory and time.

    Parameters
    ----------
    model, vectors, images, prompt, layers, strengths, tokens, unit, operation, to, metrics, controls, draws, seed
        As for :func:`sweep`.
    max_new_tokens, answer_prefix, record, read_layers, read_tokens, store, client, progress, inputs
        As for :func:`sweep`.
    shard, mixed
        As for :func:`sweep`.

    Returns
    -------
    SweepPlan
        ``print(plan)`` is readable. Time is extrapolated from chunks that are run on the first images.

    Raises
    ------
    ValueError, MemoryError
        Whatever the sweep itself would refuse.
    """
    arguments = Arguments(
        layers=layers,
        strengths=strengths,
        tokens=tokens,
        unit=unit,
        operation=operation,
        to=to,
        metrics=metrics,
        controls=controls,
        draws=draws,
        seed=seed,
        max_new_tokens=max_new_tokens,
        answer_prefix=answer_prefix,
        record=record,
        read_layers=read_layers,
        read_tokens=read_tokens,
    )
    require_client(client)
    return plan_job(_job(model, vectors, images, prompt, inputs, arguments), stored=store is not None)


def join_sweep(
    store: str | Path,
    *,
    shard: str | None = None,
    device: str | None = None,
    model: ProbeModel | None = None,
    trust_remote_code: bool = False,
    client: DaskClient | None = None,
    progress: bool = True,
    mixed: bool = False,
) -> xr.Dataset:
    """Work on a sweep that was begun elsewhere, with nothing but the address of its store.

    Parameters
    ----------
    store : str or Path
        It holds the vectors, the settings, the images or their files, and the name of the model.
    shard : str, optional
        As for :func:`sweep`.
    device : str, optional
        Where the model is loaded.
    model : ProbeModel, optional
        Of the same weights, in place of loading it by its name.
    trust_remote_code : bool
        Run code that comes with the checkpoint that the store names, if the sweep was begun with such a one.
    client : dask.distributed.Client, optional
        As for :func:`sweep`.
    progress : bool
    mixed : bool
        As for :func:`sweep`.

    Returns
    -------
    Dataset
        As from :func:`sweep`.

    Raises
    ------
    FileNotFoundError
        If there is no store.
    ValueError
        If the sweep can only be joined where it was begun, as with metrics of your own, or what it was begun with is
        gone or damaged, or ``model`` has other weights.
    """
    share, cluster = shard_of(shard), _cluster(client, mixed)
    engine = joined(
        store, model, trust_remote_code=trust_remote_code, device=device, shard=share, cluster=cluster, mixed=mixed
    )  # fmt: skip
    return Grids(engine, progress).finish()


class Grids(Iterator[xr.Dataset]):
    """Iterator over the grids of a running sweep.

    Parameters
    ----------
    engine : Engine
    progress : bool
        Show a progress line.
    leave : callable, optional
        Called when the sweep has ended, in whatever way.
    """

    last_interrupted: ClassVar[xr.Dataset | None] = None

    def __init__(self, engine: Engine, progress: bool, leave: Callable[[], None] | None = None) -> None:
        self._engine, self._steps = engine, _steps(engine, progress, leave)
        self._progress, self._leaves = progress, leave is not None

    @property
    def engine(self) -> Engine:
        """The engine that runs the sweep: number of runs, model, grid."""
        return self._engine

    def __next__(self) -> xr.Dataset:
        next(self._steps)
        return self._engine.dataset()

    def finish(self) -> xr.Dataset:
        """Run the rest of the sweep and return its grid.

        What a sweep without a store has computed when Ctrl-C stops it is kept for :func:`interrupted`.
        """
        try:
            with closing(self._steps) as steps:
                for _ in steps:
                    continue
        except KeyboardInterrupt as interrupt:
            if self._engine.store is None and self._engine.done:
                Grids.last_interrupted = self._engine.dataset()
                interrupt.add_note(
                    f"{self._engine.done} of {self._engine.total} runs are kept: grid = mp.sweeps.interrupted() gives "
                    "them, with NaN in the other cells. With store= the same call goes on where it was stopped."
                )
            raise
        return self._engine.dataset()

    @property
    def can_go_on(self) -> bool:
        """Whether :meth:`rest` can be asked for; not where the grid was in a temporary store of a cluster."""
        return not self._leaves

    def rest(self) -> Grids:
        """Continue a sweep that was closed and has left its step: the same grid as it fills further.

        Raises
        ------
        RuntimeError
            If the store of the sweep was removed when it ended.
        """
        if not self.can_go_on:
            raise RuntimeError("the store of this sweep was temporary and is gone: run the sweep again, with store=.")
        self._engine.resume()
        return Grids(self._engine, self._progress)

    def close(self) -> None:
        """Stop the sweep, from any thread: a chunk in flight is left before its next step and no grid follows."""
        self._engine.stop()
        try:
            self._steps.close()
        except ValueError:  # another thread is inside: it leaves by itself
            return


def interrupted() -> xr.Dataset:
    """The grid of the last ``sweep`` without a store that was stopped by Ctrl-C, as far as it was run.

    Returns
    -------
    Dataset
        As from :func:`sweep`, attribute ``progress`` below 1, with NaN in cells that were not run. It is kept until
        another sweep is stopped.

    Raises
    ------
    LookupError
        If no sweep of this process was stopped after its first steered runs.

    Examples
    --------
    >>> grid = mp.sweeps.interrupted()  # in the cell after the one that was stopped
    >>> mp.effect(grid, "logprob")
    """
    if Grids.last_interrupted is None:
        raise LookupError("no sweep was stopped by Ctrl-C after its first runs; one with store= is in its store.")
    return Grids.last_interrupted


def _cluster(client: DaskClient | None, mixed: bool = False) -> Cluster | None:
    require_client(client)
    return None if client is None else Cluster(client, partial(run_unit, mixed=mixed), leave)


def _grids(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Images | ConceptLibrary,
    prompt: str | Sequence[str] | None,
    inputs: Inputs,
    arguments: Arguments,
    *,
    coarse: bool,
    store: str | Path | None,
    client: DaskClient | None,
    progress: bool,
    shard: str | None,
    mixed: bool,
) -> Grids:
    share = shard_of(shard)
    cluster = _cluster(client, mixed)
    if store is None and not share.whole:
        raise ValueError(f"shard: {share} of a sweep is run into a store that the others fill too: give store=.")
    job = _job(model, vectors, images, prompt, inputs, arguments)
    if cluster is not None and store is None:
        return _in_temporary_store(job, cluster, progress)
    return Grids(Engine(job, store=store, coarse=coarse, shard=share, cluster=cluster, mixed=mixed), progress)


def _in_temporary_store(job: SweepJob, cluster: Cluster, progress: bool) -> Grids:
    """A sweep whose store is in a folder that all workers see, and is removed when the sweep has ended."""
    folder = cluster.shared_folder()
    engine = Engine(job, store=Path(folder.name) / "grid.zarr", cluster=cluster)

    def remove() -> None:
        try:
            engine.attributes()  # read once, they stay
            cluster.forget(engine.address)
        finally:
            folder.cleanup()

    return Grids(engine, progress, remove)


def _job(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Images | ConceptLibrary,
    prompt: str | Sequence[str] | None,
    inputs: Inputs,
    arguments: Arguments,
) -> SweepJob:
    require_model(model)
    if images is None and inputs is None:
        raise ValueError("images: expected images or a concept library (or processed tensors as inputs=); got None.")
    vectors = with_concepts(vectors)
    settings = Settings(arguments, model, vectors)
    samples = gather(model, vectors, images, prompt, inputs)
    by_default = DEFAULT_METRICS if arguments.metrics is DEFAULT_METRICS else ()
    check_requirements(model, settings, samples, by_default=by_default)
    require_size(settings, len(samples))
    return SweepJob(model, vectors, settings, samples)


def _steps(engine: Engine, shown: bool, leave: Callable[[], None] | None) -> Generator[int]:
    with (
        ExitStack() as ending,
        tqdm(
            total=engine.total,
            initial=engine.done if engine.store is None else 0,  # what a store holds is the first step
            disable=not shown,
            unit="run",
            desc="sweep",
            mininterval=0.5,
        ) as bar,
        closing(engine.run()) as run,
    ):
        if leave is not None:
            ending.callback(leave)
        for done in run:
            bar.total = engine.expected
            bar.update(done)
            yield done
