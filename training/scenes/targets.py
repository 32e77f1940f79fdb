"""Targets for the vision tower, read from the scene: the content of each patch and of the whole picture."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mllm_probe.scenes.placement import shapes_in
from mllm_probe.scenes.scene import ABSTRACT, EMOTIONS, ENTITIES, NEUTRAL, RELATIONS, SIDE, STYLES, Scene

GRID = 8
KINDS = (*ENTITIES, *EMOTIONS, NEUTRAL, "box", "beam", "question")
SLOTS: tuple[tuple[str | None, ...], ...] = (
    (None, *STYLES),
    (None, *ABSTRACT),
    (None, *RELATIONS),
    (None, NEUTRAL, *EMOTIONS),
    (None, "pattern", "row"),
)
_CENTRES = (np.arange(GRID) + 0.5) * SIDE / GRID
_X, _Y = np.meshgrid(_CENTRES, _CENTRES)


def patch_targets(scene: Scene) -> np.ndarray:
    """Return which kinds of shape cover each patch, bool [64, len(KINDS)]."""
    targets = np.zeros((GRID * GRID, len(KINDS)), bool)
    for shape in shapes_in(scene):
        kind = (shape.emotion or NEUTRAL) if shape.shape == "face" else shape.shape
        if kind not in KINDS:
            continue
        reach = max(shape.size, 4.5)
        height = 5 if kind == "beam" else reach
        covered = (np.abs(_X - shape.x) < reach) & (np.abs(_Y - shape.y) < height)
        targets[covered.ravel(), KINDS.index(kind)] = True
    return targets


def slot_targets(scene: Scene) -> np.ndarray:
    """Return the value of each slot of the picture, int8 [len(SLOTS)]."""
    emotion = (scene.face.emotion or NEUTRAL) if scene.face else None
    problem = "pattern" if scene.pattern else "row" if scene.row else None
    values = (scene.style, scene.arrangement, scene.relation, emotion, problem)
    return np.array([slot.index(value) for slot, value in zip(SLOTS, values, strict=True)], np.int8)


class DenseHead(nn.Module):
    """Linear readouts from the vision tower: kinds per patch, slots per picture. Not part of the shipped model."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patches = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(KINDS)))
        self.slots = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sum(len(slot) for slot in SLOTS)))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Return logits per patch [n, 64, kinds] and per slot, from the tower's hidden state [n, 64, width]."""
        return self.patches(hidden), self.slots(hidden.mean(1)).split([len(slot) for slot in SLOTS], 1)


def dense_loss(head: DenseHead, hidden: Tensor, patches: Tensor, slots: Tensor) -> Tensor:
    """Return the loss of both readouts.

    `hidden`: the tower's output, float32 [n, 64, width]. `patches`: `patch_targets`, [n, 64, kinds]. `slots`:
    `slot_targets`, [n, slots]. Returns a scalar.
    """
    patch_logits, slot_logits = head(hidden)
    weight = torch.tensor(3.0, device=hidden.device)
    loss = 10 * F.binary_cross_entropy_with_logits(patch_logits, patches.float(), pos_weight=weight)
    for i, logits in enumerate(slot_logits):
        loss = loss + 0.5 * F.cross_entropy(logits, slots[:, i].long())
    return loss
