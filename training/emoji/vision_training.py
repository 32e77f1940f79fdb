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
    """Training plan of the vision tower and projector.

    `muon_rate`, `adam_rate`: peak learning rates. `held`: scenes of each kind to report on. `after`: checkpoint of an
    earlier training whose tower, projector and readouts this one begins with; it goes on with other images, at half of
    the rates.
    """

    steps: int = 7000
    batch: int = 64
    muon_rate: float = 3e-3
    adam_rate: float = 1.2e-3
    weight_decay: float = 0.03
    warmup: int = 80
    save_seconds: float = 300.0
    held: int = 256
    seed: int = 0
    after: Path | None = None


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
    with torch.autocast(device.type, torch.bfloat16):
        seen, tokens = eyes(pixel_values(_on(device, batch.images)))
    seen, tokens = seen.float(), tokens.float()
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


def earlier_tower(path: Path | None) -> tuple[Groups, int]:
    """Return the groups of an earlier training's checkpoint and its steps; nothing and 0 without a path.

    Raises FileNotFoundError if there is no checkpoint.
    """
    if path is None:
        return {}, 0
    groups, progress = training_state.load(path)
    if not groups:
        raise FileNotFoundError(f"no trained vision tower at {path} to begin with")
    return groups, int(progress["step"])


def train_vision(
    team: Team,
    plan: VisionPlan,
    words: WordVectors,
    path: Path,
    paused: Callable[[], bool] = lambda: False,
    artists: Artists = (),
) -> None:
    """Train the vision tower and projector, or resume from the checkpoint at `path`.

    `team`: of one process.
    `words`: from `word_vectors`.
    `path`: the checkpoint, with groups tower, projector, readouts and optimizer; complete when its progress says `step`
        equals the plan's steps.
    `paused`: asked after every step whether to save and end.
    `artists`: other artists, who draw some of the pictures.
    """
    torch.manual_seed(plan.seed)
    eyes = Eyes(words.centre.shape[0]).to(team.device)
    readouts, words = Readouts(eyes.width).to(team.device), words.to(team.device)
    named = [(name, parameter, 1.0) for name, parameter in eyes.named_parameters()]
    named += [(f"head.{name}", parameter, 1.0) for name, parameter in readouts.named_parameters()]
    share = 1.0 if plan.after is None else 0.5
    muon, adam = share * plan.muon_rate, share * plan.adam_rate
    optimizer = HybridOptimizer(named, muon, adam, plan.weight_decay, plan.steps, plan.warmup)
    groups, progress = training_state.load(path)
    earlier, seen = earlier_tower(plan.after)
    if begun := groups or earlier:
        eyes.load_weights(begun)
        readouts.load_state_dict(begun["readouts"])
    if groups:
        optimizer.load_state_tensors(groups["optimizer"])
    held = held_out_scenes(plan.held)

    def step(number: int) -> Tensor:
        batch = training_batch(plan.seed, seen + number, plan.batch, artists)
        loss = vision_loss(eyes, readouts, words, batch, team.device)
        optimizer.descend(loss, number, team)
        return loss

    def report() -> tuple[Groups, dict[str, float]]:
        state = eyes.weights() | {"readouts": readouts.state_dict(), "optimizer": optimizer.state_tensors()}
        return state, accuracy(eyes, readouts, words, held, team)

    run_steps(team, path, plan.steps, plan.steps, progress, step, report, plan.save_seconds, paused)
