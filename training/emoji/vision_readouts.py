"""Linear readouts from the vision tower, and what they say of pictures: shares of right answers without a decoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mllm_probe.emoji.emoji_scene import GROUNDS, EmojiScene, sample
from mllm_probe.emoji.lexicon import ARRANGEMENTS, RELATIONS, STYLES, icons
from training.emoji.tower_examples import IMAGE_SIDE, NAMES, NOTHING, SHOWN, cells, examples
from training.emoji.vision import Eyes
from training.emoji.word_vectors import WordVectors
from training.parallel import Team
from training.scenes.tower import pixel_values

SLOTS = {"styles": STYLES, "grounds": GROUNDS, "arrangements": ARRANGEMENTS, "relations": RELATIONS}
"""What the whole picture is asked for, by the field of `Batch`."""
_FIRST_SCALE = 12.0


class Readouts(nn.Module):
    """Linear readouts from the tower that train it and do not ship: names and icons of cells, slots of the picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.names = nn.Linear(width, len(NAMES))
        self.icons = nn.Linear(width, len(icons()))
        self.slots = nn.ModuleDict({slot: nn.Linear(width, len(values)) for slot, values in SLOTS.items()})
        self.scale = nn.Parameter(torch.tensor(_FIRST_SCALE))

    def of_slot(self, seen: Tensor, slot: str) -> Tensor:
        """Return the logits of a slot's values, [n, values], from the tower's output [n, 16, width]."""
        return self.slots[slot](self.norm(seen).mean(1))


def held_out_scenes(count: int, seed: int = 1) -> dict[str, list[EmojiScene]]:
    """Return scenes to report on: of trained combinations, of combinations never trained, and with two items."""
    g = np.random.default_rng([seed, 2**40])
    kinds = {
        "seen": ("seen", "one"),
        "unseen": ("unseen", "one"),
        "two": ("seen", "two"),
        "relation": ("seen", "relation"),
        "arrangement": ("seen", "arrangement"),
    }
    return {name: [sample(g, which, kind) for _ in range(count)] for name, (which, kind) in kinds.items()}


@dataclass(frozen=True)
class Readings:
    """What the readouts say about pictures; everything is boolean, whether it is right.

    `named`, `named_by_word`: [n, items]: the name of each item of the picture, from the cells that it covers, by the
    linear readout and by cosine of the image tokens to the words. False for an item that covers no cell or is not
    there. `slots`: for each of `SLOTS` [n]; pictures without a value count as wrong. `styles_by_word`: [n].
    """

    named: Tensor
    named_by_word: Tensor
    slots: dict[str, Tensor]
    styles_by_word: Tensor


def _right_names(logits: Tensor, covering: Tensor, names: Tensor) -> Tensor:
    """Return whether each item is named right: logits [n, 16, names], covering [n, 16], names [n, items]."""
    own = covering[..., None] == torch.arange(names.shape[1], device=covering.device)
    chances = torch.einsum("ncs,nci->nis", logits[..., : len(SHOWN)].softmax(-1), own.float())
    return (chances.argmax(-1) == names) & own.any(1)


@torch.no_grad()
def read(
    eyes: Eyes,
    readouts: Readouts,
    words: WordVectors,
    scenes: Sequence[EmojiScene],
    team: Team,
    artwork: Mapping[str, np.ndarray] | None = None,
    size: int = IMAGE_SIDE,
) -> Readings:
    """Return what the readouts say about scenes.

    `eyes`, `readouts`, `words`: what is trained, and the words' directions. `artwork`: sprites of another artist, see
    `mllm_probe.emoji.draw`. `size`: side of the drawings, before they are shrunk to the tower's 128 pixels.
    """
    batch, device = examples(scenes, artwork=artwork, size=size), team.device
    seen, tokens = eyes(pixel_values(torch.from_numpy(batch.images).to(device)))
    covering = torch.tensor(np.stack([cells(scene) for scene in scenes]), device=device)
    most = max(len(scene.items) for scene in scenes)
    rows = [
        [SHOWN.index(item.name) for item in scene.items] + [NOTHING] * (most - len(scene.items)) for scene in scenes
    ]
    names = torch.tensor(rows, device=device)
    by_word = words.cosines(tokens, "names") * readouts.scale
    truth = {slot: torch.from_numpy(getattr(batch, slot)).to(device) for slot in SLOTS}
    return Readings(
        _right_names(readouts.names(readouts.norm(seen)), covering, names),
        _right_names(by_word, covering, names),
        {slot: readouts.of_slot(seen, slot).argmax(1) == values for slot, values in truth.items()},
        words.cosines(tokens, "styles").mean(1).argmax(1) == truth["styles"],
    )


def accuracy(
    eyes: Eyes, readouts: Readouts, words: WordVectors, scenes: dict[str, list[EmojiScene]], team: Team
) -> dict[str, float]:
    """Return shares of right answers without a decoder, for the log of a training.

    `eyes`, `readouts`, `words`: what is trained, and the words' directions. `scenes`: from `held_out_scenes`.
    """
    found: dict[str, Tensor] = {}
    for kind, members in scenes.items():
        readings = read(eyes, readouts, words, members, team)
        if kind in ("seen", "unseen"):
            found[f"{kind} named"] = readings.named
            found[f"{kind} named by word"] = readings.named_by_word
            found[f"{kind} styles"] = readings.slots["styles"]
        if kind == "seen":
            found["seen styles by word"] = readings.styles_by_word
            found["seen grounds"] = readings.slots["grounds"]
        if kind == "two":
            found["both of two named"] = readings.named.all(1)
        if kind in ("relation", "arrangement"):
            found[f"{kind}s"] = readings.slots[f"{kind}s"]
    return {name: round(float(right.float().mean()), 3) for name, right in found.items()}
