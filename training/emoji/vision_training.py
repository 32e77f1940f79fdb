"""First stage of the emoji model: its vision tower learns to say what it sees in the decoder's own words.

Each of the 16 image tokens is trained to point, in the decoder's space of input embeddings, where the noun that covers
it is (or the colour of the ground), before the decoder takes part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mllm_probe.emoji.emoji_scene import GROUNDS
from mllm_probe.emoji.lexicon import ENTITIES, FEELINGS
from training import training_state
from training.emoji.tower_examples import NOTHING, Artists, Batch, training_batch
from training.emoji.vision import Eyes
from training.emoji.vision_readouts import SLOTS, Readouts, accuracy, held_out_scenes
from training.emoji.word_vectors import WordVectors, read_embeddings, read_tokenizer
from training.optimizer import HybridOptimizer
from training.parallel import Team
from training.scenes.tower import pixel_values
from training.training_state import Groups, run_steps

_SLOT_WEIGHTS = {"styles": 0.8, "grounds": 0.3, "arrangements": 0.3, "relations": 0.3}
_SLOT_WORD_WEIGHTS = {"styles": 0.6, "arrangements": 0.3, "relations": 0.2}
_GROUND_WEIGHT, _ICON_WEIGHT, _CELL_STYLE_WEIGHT, _NORM_WEIGHT = 0.15, 0.3, 0.8, 0.02


@dataclass(frozen=True)
class VisionPlan:
    """Training plan of the vision tower and projector, of which every process takes its share of a batch.

    `muon_rate`, `adam_rate`: peak learning rates of projector and readouts. `tower_share`: of the rate, for the tower,
    which begins with published weights. `held`: scenes of each kind to report on. `pretrained`: whether it does.
    """

    steps: int = 1800
    batch: int = 64
    muon_rate: float = 3e-3
    adam_rate: float = 1.2e-3
    tower_share: float = 0.6
    weight_decay: float = 0.03
    warmup: int = 60
    save_seconds: float = 240.0
    held: int = 256
    seed: int = 0
    pretrained: bool = True


def target_words() -> dict[str, Sequence[str]]:
    """Return the words that image tokens point to, by kind."""
    faces = [f"{name} face" for name in FEELINGS]
    return {"names": [*ENTITIES, *faces, *GROUNDS], **{slot: SLOTS[slot] for slot in _SLOT_WORD_WEIGHTS}}


def word_vectors(decoder: Path, tokenizer: Path) -> WordVectors:
    """Return the target directions from a decoder's embeddings (a safetensors file) and its tokenizer's folder."""
    return WordVectors(read_tokenizer(tokenizer), read_embeddings(decoder), target_words())


def _on(device: torch.device, array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).to(device)


def _per_cell(logits: Tensor, names: Tensor, weights: Tensor) -> Tensor:
    losses = F.cross_entropy(logits.flatten(0, 1), names.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


def _known(logits: Tensor, values: Tensor) -> Tensor:
    """Cross-entropy where there is a value; 0 where no picture has one."""
    total = F.cross_entropy(logits, values, ignore_index=NOTHING, reduction="sum")
    return total / (values != NOTHING).sum().clamp(min=1)


def vision_loss(eyes: Eyes, readouts: Readouts, words: WordVectors, batch: Batch, device: torch.device) -> Tensor:
    """Return the training loss of one batch, a scalar.

    It sums, for every cell, the cross-entropy of its name, by a linear readout and by cosine to the words; for cells
    with an item its icon and style; for the picture its style, ground, arrangement and relation, by readout and by
    cosine.

    `device`: torch.device.
    """
    seen, tokens = eyes(pixel_values(_on(device, batch.images)))
    names, shown = _on(device, batch.names), _on(device, batch.icons)
    weights = torch.where(shown != NOTHING, 1.0, _GROUND_WEIGHT)
    normed = readouts.norm(seen)
    loss = _per_cell(readouts.names(normed), names, weights)
    loss = loss + _per_cell(words.cosines(tokens, "names") * readouts.scale, names, weights)
    loss = loss + _ICON_WEIGHT * _known(readouts.icons(normed).flatten(0, 1), shown.flatten())
    # Artists differ in how they draw each thing, which a cell tells better than the mean of the picture.
    styles = torch.where(shown != NOTHING, _on(device, batch.styles)[:, None], NOTHING)
    loss = loss + _CELL_STYLE_WEIGHT * _known(readouts.slots["styles"](normed).flatten(0, 1), styles.flatten())
    for slot, weight in _SLOT_WEIGHTS.items():
        loss = loss + weight * _known(readouts.of_slot(seen, slot), _on(device, getattr(batch, slot)))
    for slot, weight in _SLOT_WORD_WEIGHTS.items():
        nearness = words.cosines(tokens, slot).mean(1) * readouts.scale
        loss = loss + weight * _known(nearness, _on(device, getattr(batch, slot)))
    return loss + _NORM_WEIGHT * (words.relative_norm(tokens) - 1).square().mean()


def train_vision(
    team: Team,
    plan: VisionPlan,
    words: WordVectors,
    path: Path,
    paused: Callable[[], bool] = lambda: False,
    artists: Artists = (),
) -> None:
    """Train the vision tower and projector, or resume from the checkpoint at `path`.

    `team`: processes that share each step.
    `words`: from `word_vectors`.
    `path`: the checkpoint, with groups tower, projector, readouts and optimizer; complete when its progress says `step`
        equals the plan's steps. The finished one has no optimizer and is in bfloat16, small enough to be kept.
    `paused`: asked after every step whether to save and end.
    `artists`: other artists, who draw some of the pictures.
    """
    torch.manual_seed(plan.seed)
    eyes = Eyes(words.centre.shape[0]).to(team.device)
    readouts, words = Readouts(eyes.width).to(team.device), words.to(team.device)
    if plan.pretrained:
        eyes.begin_pretrained()
    named = [(name, parameter, plan.tower_share if name.startswith("vision_tower") else 1.0)
             for name, parameter in eyes.named_parameters() if parameter.requires_grad]  # fmt: skip
    named += [(f"head.{name}", parameter, 1.0) for name, parameter in readouts.named_parameters()]
    optimizer = HybridOptimizer(named, plan.muon_rate, plan.adam_rate, plan.weight_decay, plan.steps, plan.warmup)
    groups, progress = training_state.load(path)
    if progress["step"] == plan.steps:
        return
    if groups:
        eyes.load_weights(groups)
        readouts.load_state_dict(groups["readouts"])
        optimizer.load_state_tensors(groups["optimizer"])
    held = held_out_scenes(plan.held)

    def step(number: int) -> Tensor:
        own = number * team.size + team.rank
        batch = training_batch(plan.seed, own, plan.batch // team.size, artists)
        loss = vision_loss(eyes, readouts, words, batch, team.device)
        optimizer.descend(loss, number, team)
        return loss

    def report() -> tuple[Groups, dict[str, float]]:
        state = eyes.weights() | {"readouts": readouts.state_dict(), "optimizer": optimizer.state_tensors()}
        return state, accuracy(eyes, readouts, words, held, team)

    run_steps(team, path, plan.steps, plan.steps, progress, step, report, plan.save_seconds, paused)
    if team.leads:
        _keep_small(path, plan.steps)
    team.wait()


def _keep_small(path: Path, steps: int) -> None:
    """Leave the optimizer out of a finished checkpoint, and the rest in bfloat16."""
    groups, progress = training_state.load(path)
    if progress["step"] == steps and groups.pop("optimizer", None):
        small = {
            group: {name: tensor.bfloat16() for name, tensor in tensors.items()} for group, tensors in groups.items()
        }
        training_state.save(path, small, progress)
