"""Training of any model of the list, from the options of the command line."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import torch

from mllm_probe.apps.train import default_work
from mllm_probe.apps.train import main as train_drawn
from mllm_probe.apps.training.architecture import DEPTHS
from mllm_probe.apps.training.pausing import Pause
from mllm_probe.apps.training.seeds import WITH_TOWER, seeds_folder
from mllm_probe.models.user_cache import cache_root
from training.emoji.build_art import more_artists
from training.emoji.emoji_run import MODEL, STAGES, EmojiPlan, train
from training.emoji.tower_examples import Artists


def train_listed(
    name: str,
    *,
    work: str | None = None,
    out: str | None = None,
    seed: int = 0,
    tower_steps: int | None = None,
    tower_after: str | Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    threads: int = 1,
    only: str | None = None,
) -> bool:
    """Train a model, or finish a training that was stopped.

    Parameters
    ----------
    name : str
    work, out : str, optional
        Folders for checkpoints, and for the model: one of its name here, or for another seed than 0 in the user's
        cache, where ``mllm-probe studies bundled`` finds it.
    seed : int
    tower_after : str or Path, optional
        Checkpoint of an earlier tower that the emoji model's begins with.
    tower_steps : int, optional
        Without it, a model of the drawn world takes the tower of ``"scenes-8l"``, as the bundled ones did.
    steps : int, optional
    minutes : float, optional
        In place of ``steps``, of the emoji model.
    threads : int
    only : str, optional
        A stage of the emoji model.

    Returns
    -------
    bool
        Whether the training is finished, and was not paused.

    Raises
    ------
    ValueError
        For an unknown model or stage, or options that do not go together.
    FileNotFoundError
        If something is missing that the training begins with.
    """
    if name in DEPTHS:
        _require_unset(name, minutes=minutes, only=only, tower_after=tower_after)
        given = {"--work": work, "--out": out, "--tower-steps": tower_steps, "--steps": steps}
        if name != WITH_TOWER and tower_steps is None:
            given["--tower"] = WITH_TOWER  # as the bundled one was made: models of the drawn world differ in depth only
        if seed and out is None:
            given["--out"] = str(seeds_folder() / f"{name}-seed{seed}")
        options = [text for option, value in given.items() if value is not None for text in (option, str(value))]
        train_drawn(["--model", name, "--seed", str(seed), "--processes", str(threads), *options])
        return True
    if name != MODEL:
        raise ValueError(f"There is no model '{name}' to train; expected one of {', '.join([*DEPTHS, MODEL])}.")
    if only not in (None, *STAGES):
        raise ValueError(f"only: expected one of {', '.join(STAGES)}; got {only!r}.")
    if minutes is not None and steps is not None:
        raise ValueError("Expected steps or minutes, not both: minutes become steps when the language begins.")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    folder = default_work() / MODEL if work is None else Path(work)
    plan = _with_options(seed, tower_steps, steps, minutes)
    if tower_after is not None:
        plan = replace(plan, tower=replace(plan.tower, after=Path(tower_after)))
    pause = Pause(folder).on_signals()
    return train(plan, folder, Path(out or MODEL), STAGES if only is None else (only,), pause, _artists)


def _artists() -> Artists:
    try:
        return more_artists(cache_root() / "artwork")
    except ImportError as error:
        raise OSError("Other artists' emoji are drawn with cairosvg: pip install 'mllm-probe[art]'") from error
    except (OSError, ValueError) as error:
        raise OSError(f"Other artists' emoji could not be fetched with npm ({error}).") from error


def _with_options(seed: int, tower_steps: int | None, steps: int | None, minutes: float | None) -> EmojiPlan:
    plan = EmojiPlan(minutes=minutes)
    return replace(
        plan,
        tower=replace(plan.tower, seed=seed, steps=tower_steps or plan.tower.steps),
        teacher=replace(plan.teacher, seed=seed),
        language=replace(plan.language, seed=seed, steps=steps or plan.language.steps),
    )


def _require_unset(name: str, **options: object) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: not an option of {name}, only of {MODEL}.")
