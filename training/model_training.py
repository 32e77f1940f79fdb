"""Training of any bundled model by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mllm_probe.models.argument_checks import cache_root
from mllm_probe.models.bundled import seeds_folder
from training.emoji.build_art import more_artists
from training.emoji.emoji_run import MODEL, STAGES, EmojiPlan, train
from training.emoji.font_art import FONTS, font_sprites
from training.emoji.tower_examples import Artists
from training.pausing import Pause
from training.scenes.architecture import DEPTHS
from training.scenes.train_scenes import DECODER_STEPS, TOWER_STEPS, WITH_TOWER, train_scenes


def default_work() -> Path:
    """Folder in the user's cache for pictures and checkpoints."""
    return cache_root() / "training"


def train_listed(
    name: str,
    /,
    *,
    work: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    tower: str | None = None,
    tower_steps: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    threads: int = 1,
    only: str | None = None,
    compiled: bool = False,
) -> bool:
    """Train a model anew; started again with the same arguments, a training that was stopped resumes.

    Ctrl-C, SIGTERM or a file named PAUSE in the work folder let the emoji model's training save and end (status 3).

    Parameters
    ----------
    name
        A bundled model's name.
    work
        Folder for checkpoints; in the user's cache by default.
    out
        Folder for the model; ./NAME by default. With another seed than 0 it is in the user's cache, where
        ``mllm-probe studies bundled`` finds it.
    seed
        Of the whole training.
    tower
        Of the drawn world: bundled name or folder whose vision tower is taken unchanged. All but scenes-8l take that of
        scenes-8l unless tower-steps is given.
    tower_steps
        Steps of the vision tower.
    steps
        Steps of the whole model.
    minutes
        Of the emoji model: time for its language, in place of steps.
    threads
        Of the processor: as many processes of one thread each.
    only
        Of the emoji model: one stage, which is tower, teacher or language.
    compiled
        Of the drawn world: compile the decoder, which needs g++ on the CPU.
    """
    if name in DEPTHS:
        _require_unset(name, MODEL, minutes=minutes, only=only)
        if tower is None and tower_steps is None and name != WITH_TOWER:
            tower = WITH_TOWER  # models of the drawn world differ in depth alone
        train_scenes(
            name,
            out or (seeds_folder() / f"{name}-seed{seed}" if seed else Path(name)),
            work or default_work(),
            seed=seed,
            processes=threads,
            tower=tower,
            tower_steps=tower_steps or TOWER_STEPS,
            steps=steps or DECODER_STEPS,
            compiled=compiled,
        )
        return True
    if name != MODEL:
        raise ValueError(f"There is no model '{name}' to train; expected one of {', '.join([*DEPTHS, MODEL])}.")
    _require_unset(name, "models of the drawn world", tower=tower, compiled=compiled or None)
    if only not in (None, *STAGES):
        raise ValueError(f"only: expected one of {', '.join(STAGES)}; got {only!r}.")
    if minutes is not None and steps is not None:
        raise ValueError("Expected steps or minutes, not both: minutes become steps when the language begins.")
    folder = work or default_work() / MODEL
    plan = _with_options(seed, tower_steps, steps, minutes)
    pause = Pause(folder).on_signals()
    return train(plan, folder, out or Path(MODEL), STAGES if only is None else (only,), pause, _artists, threads)


def _artists() -> Artists:
    try:
        folder = cache_root() / "artwork"
        return [*more_artists(folder), *(font_sprites(art, folder) for art in FONTS)]
    except ImportError as error:
        raise OSError("Other artists' emoji are drawn with cairosvg: pip install 'mllm-probe[art]'") from error
    except (OSError, ValueError) as error:
        raise OSError(f"Other artists' emoji could not be fetched with npm, apt or pip ({error}).") from error


def _with_options(seed: int, tower_steps: int | None, steps: int | None, minutes: float | None) -> EmojiPlan:
    plan = EmojiPlan(minutes=minutes)
    return replace(
        plan,
        tower=replace(plan.tower, seed=seed, steps=tower_steps or plan.tower.steps),
        teacher=replace(plan.teacher, seed=seed),
        language=replace(plan.language, seed=seed, steps=steps or plan.language.steps),
    )


def _require_unset(name: str, only_of: str, **options: object) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: not an option of {name}, only of {only_of}.")
