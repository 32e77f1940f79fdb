"""First stage: the vision tower learns what every patch and every picture shows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from training import training_state
from training.optimizer import HybridOptimizer
from training.parallel import Team
from training.scenes.architecture import build
from training.scenes.model_folder import trained
from training.scenes.rendered_pictures import Pictures
from training.scenes.targets import SLOTS, DenseHead, dense_loss
from training.training_state import Groups, run_steps


@dataclass(frozen=True)
class TowerPlan:
    """Training plan of the vision tower: steps of `batch` pictures over all processes."""

    steps: int = 3000
    batch: int = 64
    muon_rate: float = 3e-3
    adam_rate: float = 1.2e-3
    warmup: int = 80
    save_every: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Tower:
    """Weights of a trained vision tower and, where it learns on, of its dense head."""

    weights: dict[str, Tensor]
    head: dict[str, Tensor] | None


def trained_tower(path: Path) -> Tower:
    """Return the tower that `train_tower` left at `path`."""
    groups, _ = training_state.load(path)
    if not groups:
        raise FileNotFoundError(f"no trained vision tower at {path}: train the tower first")
    return Tower(groups["tower"], groups["head"])


def tower_of(folder: Path) -> Tower:
    """Return the vision tower of the trained model in `folder`; it has no dense head."""
    return Tower(trained(folder).model.vision_tower.state_dict(), None)


def pixel_values(images: Tensor) -> Tensor:
    """Return pictures as bytes [n, side, side, 3] as the image processor gives them, float32 [n, 3, side, side]."""
    return images.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def features(model: LlavaForConditionalGeneration, images: Tensor) -> Tensor:
    """Return the tower's output [n, 64, width] for pictures as bytes [n, 64, 64, 3]."""
    return model.model.vision_tower(pixel_values(images), output_hidden_states=True).hidden_states[-1]


def share(count: int, batch: int, step: int, team: Team, seed: int) -> np.ndarray:
    """Return the numbers of the pictures of one step that are this process's share; every epoch is shuffled anew."""
    start = step * batch
    epoch, offset = divmod(start, count - count % batch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[offset : offset + batch][team.rank :: team.size]


def tensors(array: np.ndarray, chosen: np.ndarray, team: Team) -> Tensor:
    """Return the chosen rows of a memory-mapped array on the team's device."""
    return torch.from_numpy(array[chosen]).to(team.device)


def autocast(team: Team) -> torch.autocast:
    """Return the mixed precision of a forward pass."""
    return torch.autocast(team.device.type, torch.bfloat16)


@torch.no_grad()
def _slot_accuracy(
    model: LlavaForConditionalGeneration, head: DenseHead, held: Pictures, team: Team
) -> dict[str, float]:
    chosen = np.arange(len(held))
    with autocast(team):
        hidden = features(model, tensors(held.images, chosen, team))
    right = [
        float((logits.argmax(1) == tensors(held.slots, chosen, team)[:, i]).float().mean())
        for i, logits in enumerate(head(hidden.float())[1])
    ]
    assert len(right) == len(SLOTS)
    names = ("style", "arrangement", "relation", "emotion", "problem")
    return {name: round(value, 3) for name, value in zip(names, right, strict=True)}


def train_tower(team: Team, plan: TowerPlan, pictures: Pictures, held: Pictures, path: Path) -> None:
    """Train the vision tower, or resume from the checkpoint at `path`.

    `pictures`, `held`: to train on, and to report on. `path`: the checkpoint; complete when its progress says `step`
    equals the plan's steps.
    """
    torch.manual_seed(plan.seed)
    model = build(blocks=1).to(team.device)
    tower = model.model.vision_tower
    head = DenseHead(model.config.text_config.hidden_size).to(team.device)
    named = [(n, p, 1.0) for n, p in tower.named_parameters()] + [
        ("head." + n, p, 1.0) for n, p in head.named_parameters()
    ]
    optimizer = HybridOptimizer(named, plan.muon_rate, plan.adam_rate, 0.03, plan.steps, plan.warmup)
    groups, progress = training_state.load(path)
    if groups:
        tower.load_state_dict(groups["tower"])
        head.load_state_dict(groups["head"])
        optimizer.load_state_tensors(groups["optimizer"])

    def step(number: int) -> Tensor:
        chosen = share(len(pictures), plan.batch, number, team, plan.seed)
        with autocast(team):
            hidden = features(model, tensors(pictures.images, chosen, team))
        targets = tensors(pictures.patches, chosen, team), tensors(pictures.slots, chosen, team)
        loss = dense_loss(head, hidden.float(), *targets)
        optimizer.descend(loss, number, team)
        return loss

    def report() -> tuple[Groups, dict[str, float]]:
        state = {"tower": tower.state_dict(), "head": head.state_dict(), "optimizer": optimizer.state_tensors()}
        return state, _slot_accuracy(model, head, held, team)

    run_steps(team, path, plan.steps, plan.save_every, progress, step, report)
