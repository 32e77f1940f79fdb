"""First stage: the vision tower learns what every patch and every picture shows."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from mllm_probe.apps.training import training_state
from mllm_probe.apps.training.architecture import build
from mllm_probe.apps.training.model_folder import trained
from mllm_probe.apps.training.optimizer import HybridOptimizer
from mllm_probe.apps.training.parallel import Team
from mllm_probe.apps.training.rendered_pictures import Pictures
from mllm_probe.apps.training.targets import SLOTS, DenseHead, dense_loss

log = logging.getLogger(__name__)


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
    saved = training_state.load(path)
    if saved is None:
        raise FileNotFoundError(f"no trained vision tower at {path}: train the tower first")
    return Tower(saved[0]["tower"], saved[0]["head"])


def tower_of(folder: Path) -> Tower:
    """Return the vision tower of the trained model in `folder`; it has no dense head."""
    return Tower(trained(folder).model.vision_tower.state_dict(), None)


def features(model: LlavaForConditionalGeneration, images: Tensor) -> Tensor:
    """Return the tower's output [n, 64, width] for pictures as bytes [n, 64, 64, 3]."""
    pixels = images.permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]


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

    Parameters
    ----------
    team : Team
    plan : TowerPlan
    pictures, held : Pictures
        To train on, and to report on.
    path : Path
        The checkpoint; complete when its progress says `step` equals the plan's steps.
    """
    torch.manual_seed(plan.seed)
    model = build(blocks=1).to(team.device)
    tower = model.model.vision_tower
    head = DenseHead(model.config.text_config.hidden_size).to(team.device)
    named = [(n, p, 1.0) for n, p in tower.named_parameters()] + [
        ("head." + n, p, 1.0) for n, p in head.named_parameters()
    ]
    optimizer = HybridOptimizer(named, plan.muon_rate, plan.adam_rate, 0.03, plan.steps, plan.warmup)
    parameters = [p for _, p, _ in named]
    progress: dict[str, Any] = {"step": 0, "wall_seconds": 0.0, "cpu_seconds": 0.0}
    if (saved := training_state.load(path)) is not None:
        groups, progress = saved
        tower.load_state_dict(groups["tower"])
        head.load_state_dict(groups["head"])
        optimizer.load_state_tensors(groups["optimizer"])
    began, processor_began = time.monotonic(), time.process_time()
    for step in range(progress["step"], plan.steps):
        optimizer.set_rate(step)
        chosen = share(len(pictures), plan.batch, step, team, plan.seed)
        with autocast(team):
            hidden = features(model, tensors(pictures.images, chosen, team))
        loss = dense_loss(
            head, hidden.float(), tensors(pictures.patches, chosen, team), tensors(pictures.slots, chosen, team)
        )
        optimizer.zero_grad()
        loss.backward()
        team.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done = step + 1
        if team.leads and done % 100 == 0:
            seconds = time.monotonic() - began
            log.info("tower step %d of %d, loss %.3f, %.0f s", done, plan.steps, loss.item(), seconds)
        if team.leads and (done % plan.save_every == 0 or done == plan.steps):
            accuracy = _slot_accuracy(model, head, held, team)
            log.info("tower step %d, new pictures: %s", done, accuracy)
            now = {
                "step": done,
                "wall_seconds": progress["wall_seconds"] + time.monotonic() - began,
                "cpu_seconds": progress["cpu_seconds"] + team.size * (time.process_time() - processor_began),
                "accuracy": accuracy,
            }
            state = {"tower": tower.state_dict(), "head": head.state_dict(), "optimizer": optimizer.state_tensors()}
            training_state.save(path, state, now)
    team.wait()
