"""The whole training of one bundled model: pictures, vision tower, model; finished parts are reused."""

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from training import training_state
from training.parallel import Team, run_team
from training.scenes.decoder import DecoderPlan, train_decoder
from training.scenes.rendered_pictures import Pictures, training_pictures
from training.scenes.tower import TowerPlan, tower_of, train_tower, trained_tower

log = logging.getLogger(__name__)
_HELD_SEED = 900


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a training run.

    `model`: name of the model.
    `pictures`, `held`: number of pictures to train on, and to report on.
    `tower`: how the vision tower is trained, or the folder of a trained model whose tower is taken as it is.
    `processes`: on a machine without CUDA, of one thread each.
    """

    model: str
    pictures: int
    held: int
    seed: int
    tower: TowerPlan | Path
    decoder: DecoderPlan
    processes: int = 2


@dataclass(frozen=True)
class Times:
    """Seconds that the parts of a run took: of wall clock, and of all processors; 0 for a tower that was taken."""

    tower_wall: float
    tower_cpu: float
    decoder_wall: float
    decoder_cpu: float


def _pictures(plan: TrainingPlan, work: Path) -> tuple[Pictures, Pictures]:
    train = training_pictures(work / f"pictures-{plan.seed}", plan.pictures, plan.seed, plan.processes)
    held = training_pictures(work / f"held-{plan.seed}", plan.held, _HELD_SEED + plan.seed, plan.processes)
    return train, held


def _show_progress(team: Team) -> None:
    level = logging.INFO if team.leads else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")


def _tower_path(plan: TrainingPlan, work: Path) -> Path:
    return work / f"tower-{plan.seed}.safetensors"


def _model_path(plan: TrainingPlan, work: Path) -> Path:
    return work / f"{plan.model}-{plan.seed}.safetensors"


def _run_tower(team: Team, plan: TrainingPlan, tower: TowerPlan, work: Path) -> None:
    _show_progress(team)
    train_tower(team, tower, *_pictures(plan, work), _tower_path(plan, work))


def _run_decoder(team: Team, plan: TrainingPlan, work: Path, out: Path) -> None:
    _show_progress(team)
    tower = tower_of(plan.tower) if isinstance(plan.tower, Path) else trained_tower(_tower_path(plan, work))
    train_decoder(team, plan.decoder, *_pictures(plan, work), tower, _model_path(plan, work), out)


def train(plan: TrainingPlan, work: Path, out: Path) -> Times:
    """Train a model, or finish one whose training was stopped.

    `work`: folder for pictures and checkpoints; the vision tower there is shared by all models of the same seed. `out`:
    folder for the model. Returns: of all runs together, however often training was stopped.
    """
    began = time.monotonic()
    _pictures(plan, work)
    log.info("%d pictures at hand after %.0f s", plan.pictures, time.monotonic() - began)
    if isinstance(plan.tower, TowerPlan) and training_state.load(_tower_path(plan, work))[1]["step"] < plan.tower.steps:
        run_team(_run_tower, plan, plan.tower, work, processes=plan.processes)
    if training_state.load(_model_path(plan, work))[1]["step"] < plan.decoder.steps:
        run_team(_run_decoder, plan, work, out, processes=plan.processes)
    return times(plan, work)


def _seconds(path: Path) -> tuple[float, float]:
    _, progress = training_state.load(path)
    if not progress["step"]:
        raise FileNotFoundError(f"no checkpoint at {path}: train the model first")
    return progress["wall_seconds"], progress["cpu_seconds"]


def times(plan: TrainingPlan, work: Path) -> Times:
    """Return how long a finished training took, from its checkpoints."""
    tower = (0.0, 0.0) if isinstance(plan.tower, Path) else _seconds(_tower_path(plan, work))
    return Times(*tower, *_seconds(_model_path(plan, work)))
