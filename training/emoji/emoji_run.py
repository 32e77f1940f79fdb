"""The whole training of the emoji model: vision tower, the untouched decoder's answers, language; all resumable."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from mllm_probe.loading.assembling import Assembly
from mllm_probe.loading.decoder_cache import cached_decoder
from training import training_state
from training.emoji.emoji_folder import export
from training.emoji.language_training import LanguagePlan, seconds_per_step, train_language
from training.emoji.seeing_decoder import SeeingDecoder, seeing_decoder
from training.emoji.teacher_answers import Taught, TeacherPlan, kept_prompts, teacher_answers
from training.emoji.tower_examples import Artists
from training.emoji.vision_training import VisionPlan, train_vision, word_vectors
from training.parallel import Team, run_team

log = logging.getLogger(__name__)
MODEL = "emoji-135m"
STAGES = ("tower", "teacher", "language")
TOWER, TEACHER, LANGUAGE, STEPS = "vision.safetensors", "teacher", "language.safetensors", "language-steps.json"
"""What a training leaves in its folder: two checkpoints, the teacher's answers, and the steps that minutes became."""


@dataclass(frozen=True)
class EmojiPlan:
    """Everything that decides a training run.

    `minutes`: time for the language, from which its steps follow when it begins.
    """

    tower: VisionPlan = VisionPlan()
    teacher: TeacherPlan = TeacherPlan()
    language: LanguagePlan = LanguagePlan()
    minutes: float | None = None
    assembly: Assembly = Assembly()


def train(
    plan: EmojiPlan,
    work: Path,
    out: Path,
    stages: tuple[str, ...] = STAGES,
    paused: Callable[[], bool] = lambda: False,
    artists: Callable[[], Artists] = tuple,
    processes: int = 1,
) -> bool:
    """Train the emoji model, or finish a training that was stopped.

    `work`: folder of the checkpoints.
    `out`: folder that gets the model when the language is trained.
    `stages`: of `STAGES`; stages that are finished are not done again.
    `paused`: asked after every step whether to save and end.
    `artists`: gives the sprites of other artists, who draw some of the pictures; called when a stage needs them.
    `processes`: of one thread each, that share every step; with several, ``paused`` and ``artists`` are pickled.

    Returns whether all of these stages are finished. Raises FileNotFoundError if the decoder is not in the cache, or
    the language is to be trained before there is a tower. Raises BlockingIOError if another process trains in this
    folder.
    """
    work.mkdir(parents=True, exist_ok=True)
    cached_decoder(MODEL, plan.assembly.decoder)
    try:
        with FileLock(work / "training.lock", timeout=0):
            if "tower" in stages or "language" in stages:
                artists()  # drawn once, before several processes ask for them
            run_team(_train, plan, work, out, stages, paused, artists, processes=processes)
            return _finished(plan, work, stages)
    except Timeout as error:
        raise BlockingIOError(f"Another process trains in {work}: let it finish, or name another folder.") from error


def _finished(plan: EmojiPlan, work: Path, stages: tuple[str, ...]) -> bool:
    """Whether these stages have come to their last steps."""
    steps = plan.language.steps
    if plan.minutes is not None and (work / STEPS).exists():
        steps = int(json.loads((work / STEPS).read_text(encoding="utf-8"))["steps"])
    asked = kept_prompts(plan.teacher, work / TEACHER) if {"teacher", "language"} & set(stages) else []
    answered = len(list((work / TEACHER).glob("answers-*.safetensors")))
    return (
        ("tower" not in stages or _step(work / TOWER) >= plan.tower.steps)
        and answered >= -(-len(asked) // plan.teacher.batch)
        and ("language" not in stages or _step(work / LANGUAGE) >= steps)
    )


def _train(
    team: Team,
    plan: EmojiPlan,
    work: Path,
    out: Path,
    stages: tuple[str, ...],
    paused: Callable[[], bool],
    artists: Callable[[], Artists],
) -> None:
    decoder = cached_decoder(MODEL, plan.assembly.decoder)
    words = word_vectors(decoder / "model.safetensors", decoder)
    if "tower" in stages and _step(work / TOWER) < plan.tower.steps:
        train_vision(team, plan.tower, words, work / TOWER, paused, artists())
        if _step(work / TOWER) < plan.tower.steps:
            return
    if not set(stages) & {"teacher", "language"}:
        return
    model = seeing_decoder(decoder, plan.assembly, team.device)
    taught = _taught(team, model, plan, work, paused)
    if taught is None or "language" not in stages:
        return
    language = plan.language
    if plan.minutes is not None:
        each = partial(seconds_per_step, team, model, words, taught, language, work / TOWER)
        language = replace(language, steps=_steps(team, work / STEPS, each, plan.minutes))
    train_language(team, model, words, taught, language, work / TOWER, work / LANGUAGE, paused, artists())
    if team.leads and _step(work / LANGUAGE) >= language.steps:
        export(model, out, replace(plan, language=language), times(work))


def _taught(
    team: Team, model: SeeingDecoder, plan: EmojiPlan, work: Path, paused: Callable[[], bool]
) -> list[Taught] | None:
    """The teacher's answers, which the leading process writes and all read; None if it was paused."""

    def answers(asked: Callable[[], bool]) -> list[Taught]:
        return teacher_answers(model.decoder, model.tokens, kept_prompts(plan.teacher, work / TEACHER), plan.teacher,
                               work / TEACHER, plan.assembly.decoder, asked)  # fmt: skip

    stopped = False
    if team.leads:
        try:
            answers(paused)
        except KeyboardInterrupt:
            stopped = True
    return None if team.agree(stopped) else answers(lambda: False)


def _step(path: Path) -> int:
    return int(training_state.load(path)[1]["step"])


def _steps(team: Team, path: Path, seconds: Callable[[], float], minutes: float) -> int:
    """Steps that fit into some minutes: measured once, then kept, so that a resumed training has the same schedule."""
    if not path.exists():
        began = time.monotonic()
        each = seconds()
        steps = max(1, int((60 * minutes - (time.monotonic() - began)) / each))
        if team.leads:
            path.write_text(json.dumps({"steps": steps, "seconds_per_step": each}) + "\n", encoding="utf-8")
            log.info("%.2f s a step: %d steps in %.0f minutes", each, steps, minutes)
        team.wait()
    return int(json.loads(path.read_text(encoding="utf-8"))["steps"])


def times(work: Path) -> dict[str, float]:
    """Return minutes of wall clock and of processor that the two stages took, over all their runs."""
    took: dict[str, float] = {}
    for name, file in (("tower", TOWER), ("language", LANGUAGE)):
        progress = training_state.load(work / file)[1]
        took |= {f"{name}_{kind}": progress[f"{kind}_seconds"] / 60 for kind in ("wall", "cpu")}
    return took
