"""`sweep`, `sweep_iter` and `plan`: a layer × strength × concept grid of steered runs beside its controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import xarray as xr
from tqdm.auto import tqdm

from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps.engine import Engine
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.plan import SweepPlan, plan_job
from mllm_probe.sweeps.settings import check_settings
from mllm_probe.sweeps.subjects import gather

METRICS = ("logprob", "named", "kept", "kl", "perplexity")
Inputs = Mapping[str, torch.Tensor] | Sequence[Mapping[str, torch.Tensor]] | None


def sweep(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Any = None,
    prompt: str | Sequence[str] | None = None,
    layers: Any = "all",
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    tokens: Any = ("last_prompt", "generated"),
    unit: str = "residual",
    operation: str = "add",
    to: str | xr.Dataset | None = None,
    metrics: Sequence[str] = METRICS,
    controls: Sequence[str] | str | None = None,
    draws: int = 8,
    seed: int = 0,
    max_new_tokens: int = 8,
    answer_prefix: str | Sequence[int] | None = None,
    record: Sequence[str] | str | None = None,
    read_layers: Any = "all",
    read_tokens: Any = "last_prompt",
    store: Any = None,
    client: Any = None,
    progress: bool = True,
    *,
    inputs: Inputs = None,
) -> xr.Dataset:
    """Steer with every concept at every layer and strength, on every image, and score what comes out.

    Each picture is encoded once; rows share as much of the prompt as the scope allows (attribute ``path``). Strength 0
    is the baseline, run once per image; random directions that do not depend on the concept are run once and scored
    against all.

    Parameters
    ----------
    model : ProbeModel
    vectors : Dataset
        From ``concept_vectors`` or ``vectors_from``, with dimension ``concept``.
    images : picture, sequence of pictures or ConceptLibrary
        A library stands for all its pictures. Labels, which ``named`` and ``kept`` use, come with its pictures.
    prompt : str or sequence of str, optional
        One for all images or one each; the model's default prompt if None.
    layers : "all", int or sequence of int
        Blocks to edit, one at a time.
    strengths : sequence of float
        Signed doses in ``unit``; fractions 0 … 1 for ``ablate`` and ``replace``.
    tokens, unit, operation
        As for ``Steering``.
    to : str or Dataset, optional
        For ``replace``: the concept that takes the place, by name or as its vectors.
    metrics : sequence of str
        Of ``logprob``, ``logit``, ``named``, ``kept``, ``kl``, ``perplexity`` (``repetition`` comes with it), and
        ``tokens`` for the answers alone. Without any that reads answers, only their first position is computed.
    controls : sequence of str, optional
        ``"random"``, ``"shuffled"``; None is random and, where the vectors have them, shuffled.
    draws : int
        Draws of each control (at most as many shuffled ones as the vectors have).
    seed : int
        Of the random directions.
    max_new_tokens : int
        Longest answer, greedy.
    answer_prefix : str or sequence of int, optional
        Beginning of the answer that is given, as text or token ids; ``model.default_answer_prefix`` if None.
    record : sequence of str, optional
        Of ``activation``, ``projection``, ``residual_norm``, ``logit_lens``: what the steered prompt looks like inside,
        at ``read_layers`` × ``read_tokens``, kept on the device and planned against its memory first.
    read_layers, read_tokens
        As ``layers`` and ``tokens`` of ``capture``; positions of the prompt.
    store, client
        Not available yet; None.
    progress : bool
        Show a progress line.
    inputs : dict of Tensor or list of such dicts, optional
        Processed tensors in place of images and prompt.

    Returns
    -------
    Dataset
        One variable per metric (concept, layer, strength, control, draw, sample), float32 on the host, NaN where a
        cell was not run or is not defined; ``<metric>_unsteered`` (concept, sample); ``eligible`` (concept, strength,
        sample) beside ``named``; ``tokens`` (…, step) and ``text`` where answers were generated; ``kl_step`` (…, step);
        ``edited``, how many positions were edited; recorded variables (…, read_layer, token[, hidden]) on the device.

    Raises
    ------
    ValueError
        For unknown or impossible settings, vectors of another model, or a scope that can never fire.
    MemoryError
        If what is to be recorded does not fit; the text says what to ask for instead.

    Examples
    --------
    >>> grid = mp.sweep(model, vectors, library, strengths=(0, 1), metrics=("logprob",))
    >>> mp.effect(grid, "logprob").clear_of_controls
    """
    engine = _engine(
        model, vectors, images, prompt, inputs,
        layers=layers, strengths=strengths, tokens=tokens, unit=unit, operation=operation, to=to, metrics=metrics,
        controls=controls, draws=draws, seed=seed, max_new_tokens=max_new_tokens, answer_prefix=answer_prefix,
        record=record, read_layers=read_layers, read_tokens=read_tokens, store=store, client=client,
    )  # fmt: skip
    for _ in _with_progress(engine, progress):
        continue
    return engine.dataset()


def sweep_iter(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Any = None,
    prompt: str | Sequence[str] | None = None,
    layers: Any = "all",
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    tokens: Any = ("last_prompt", "generated"),
    unit: str = "residual",
    operation: str = "add",
    to: str | xr.Dataset | None = None,
    metrics: Sequence[str] = METRICS,
    controls: Sequence[str] | str | None = None,
    draws: int = 8,
    seed: int = 0,
    max_new_tokens: int = 8,
    answer_prefix: str | Sequence[int] | None = None,
    record: Sequence[str] | str | None = None,
    read_layers: Any = "all",
    read_tokens: Any = "last_prompt",
    store: Any = None,
    client: Any = None,
    progress: bool = False,
    *,
    inputs: Inputs = None,
) -> Iterator[xr.Dataset]:
    """The grid of :func:`sweep` as it fills: every layer at one strength first, then the rest.

    Parameters
    ----------
    model, vectors, images, prompt, …
        As for :func:`sweep`.

    Yields
    ------
    Dataset
        Of the final shape, a copy each time; attribute ``progress`` goes from 0 to 1. Recorded variables are shared,
        not copied. The settings are checked at once, not at the first step; closing the iterator stops the sweep.
    """
    engine = _engine(
        model, vectors, images, prompt, inputs,
        layers=layers, strengths=strengths, tokens=tokens, unit=unit, operation=operation, to=to, metrics=metrics,
        controls=controls, draws=draws, seed=seed, max_new_tokens=max_new_tokens, answer_prefix=answer_prefix,
        record=record, read_layers=read_layers, read_tokens=read_tokens, store=store, client=client,
    )  # fmt: skip
    return (engine.dataset() for _ in _with_progress(engine, progress))


def plan(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Any = None,
    prompt: str | Sequence[str] | None = None,
    layers: Any = "all",
    strengths: Sequence[float] = (-2, -1, 0, 1, 2),
    tokens: Any = ("last_prompt", "generated"),
    unit: str = "residual",
    operation: str = "add",
    to: str | xr.Dataset | None = None,
    metrics: Sequence[str] = METRICS,
    controls: Sequence[str] | str | None = None,
    draws: int = 8,
    seed: int = 0,
    max_new_tokens: int = 8,
    answer_prefix: str | Sequence[int] | None = None,
    record: Sequence[str] | str | None = None,
    read_layers: Any = "all",
    read_tokens: Any = "last_prompt",
    store: Any = None,
    client: Any = None,
    progress: bool = True,
    *,
    inputs: Inputs = None,
) -> SweepPlan:
    """What a sweep with these settings will take: rows, forwards, memory and time.

    Parameters
    ----------
    model, vectors, images, prompt, …
        As for :func:`sweep`.

    Returns
    -------
    SweepPlan
        ``print(plan)`` is readable. Time is extrapolated from a few dozen rows that are run on the first image.

    Raises
    ------
    ValueError, MemoryError
        Whatever the sweep itself would refuse.
    """
    job = _job(
        model, vectors, images, prompt, inputs,
        layers=layers, strengths=strengths, tokens=tokens, unit=unit, operation=operation, to=to, metrics=metrics,
        controls=controls, draws=draws, seed=seed, max_new_tokens=max_new_tokens, answer_prefix=answer_prefix,
        record=record, read_layers=read_layers, read_tokens=read_tokens, store=store, client=client,
    )  # fmt: skip
    return plan_job(job)


def _job(model: ProbeModel, vectors: xr.Dataset, images: Any, prompt: Any, inputs: Inputs, **settings: Any) -> Job:
    if images is None and inputs is None:
        raise ValueError("images: expected pictures or a concept library (or processed tensors as inputs=); got None.")
    checked = check_settings(model, vectors, **settings)
    return Job(model, vectors, checked, gather(model, vectors, images, prompt, inputs))


def _engine(
    model: ProbeModel, vectors: xr.Dataset, images: Any, prompt: Any, inputs: Inputs, **settings: Any
) -> Engine:
    return Engine(_job(model, vectors, images, prompt, inputs, **settings))


def _with_progress(engine: Engine, shown: bool) -> Iterator[int]:
    total = len(engine.job.cells) * engine.job.samples
    with tqdm(total=total, disable=not shown, unit="run", desc="sweep", mininterval=0.5) as bar:
        for done in engine.run():
            bar.update(done)
            yield done
