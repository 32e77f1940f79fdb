"""Training of a model of the drawn world, from its pictures to its folder with a card."""

from __future__ import annotations

from pathlib import Path

from mllm_probe.models.bundled import bundled_folder
from training.scenes.architecture import DEPTHS
from training.scenes.card import write_card
from training.scenes.decoder import DecoderPlan
from training.scenes.run import TrainingPlan, train
from training.scenes.tower import TowerPlan

PICTURES, HELD, TOWER_STEPS, DECODER_STEPS = 150_000, 1_000, 3_200, 5_000
WITH_TOWER = "scenes-8l"
"""Model whose vision tower the others of the drawn world take unchanged."""


def train_scenes(
    model: str,
    out: Path,
    work: Path,
    *,
    seed: int = 0,
    processes: int = 2,
    pictures: int = PICTURES,
    held: int = HELD,
    tower: str | None = None,
    tower_steps: int = TOWER_STEPS,
    steps: int = DECODER_STEPS,
    save_every: int = 500,
    compiled: bool = False,
) -> None:
    """Train a model and write its folder; with the same arguments, a training that was stopped resumes.

    `tower` is a bundled name or a folder whose trained vision tower is taken unchanged; `held` pictures are kept out to
    report on; `save_every` counts steps between checkpoints; `processes`, of one thread each, are for machines without
    CUDA; `compiled` compiles the decoder, which needs g++ on the CPU.
    """
    vision: TowerPlan | Path = TowerPlan(steps=tower_steps, seed=seed, save_every=save_every)
    if tower is not None:
        vision = bundled_folder(tower) or Path(tower)
        if not (vision / "config.json").is_file():
            raise FileNotFoundError(
                f"tower: expected a bundled name or a model's folder, and there is none at {vision}."
            )
    decoder = DecoderPlan(DEPTHS[model], steps=steps, seed=seed, save_every=save_every, compiled=compiled)
    plan = TrainingPlan(model, pictures, held, seed, vision, decoder, processes)
    write_card(out, plan, train(plan, work, out))
