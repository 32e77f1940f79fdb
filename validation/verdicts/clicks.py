"""Clicks on a lab's own first image: seeded cells that pass in the map, and the answers that the panel then gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import mllm_probe as mp
from mllm_probe.widgets import Explore

_PATIENCE = 600
"""Seconds to wait for a lab that fills, and for an answer."""


@dataclass(frozen=True)
class Click:
    """A cell that was clicked, what was then steered, and the answers with what is said of them."""

    concept: str
    layer: int
    of_map: str
    steered: str
    image: str
    answers: dict[str, str]
    facts: dict[str, list[str]]

    @property
    def reads_well(self) -> bool:
        """Whether the steered answer names the concept, is not broken and keeps at least half of the content."""
        facts = self.facts["steered"]
        kept = [fact.split()[1::2] for fact in facts if fact.startswith("kept")]
        enough = all(2 * int(there) >= int(of) for there, of in kept)
        return f"names {self.concept}" in facts and not any(fact.startswith("broken") for fact in facts) and enough


def passing(lab: Explore) -> list[tuple[str, int]]:
    """Cells that pass in the map's grid at the strength that it shows."""
    heatmap = lab.heatmap
    clear = np.frombuffer(heatmap.clear, "<f4").reshape(len(heatmap.concepts), len(heatmap.layers), -1)
    at = clear[:, :, heatmap.strengths.index(heatmap.strength)]
    return [(heatmap.concepts[c], heatmap.layers[i]) for c, i in np.argwhere(at == 1)]


def clicks(model: str, count: int, seed: int) -> Iterator[Click]:
    """Open a lab, draw ``count`` of its passing cells, and click each as the front-end does."""
    lab = mp.explore(model)
    try:
        if not lab.wait(_PATIENCE):
            raise RuntimeError(f"the lab of {model} did not fill: {lab.bar.message or lab.bar.status}")
        cells = passing(lab)
        drawn = np.random.default_rng(seed).choice(len(cells), min(count, len(cells)), replace=False)
        for concept, layer in (cells[i] for i in drawn):
            state = {"concept": concept, "layer": layer, "window": [layer, layer]}
            lab.heatmap.set_state(state | {"picked": lab.heatmap.picked + 1})
            if not lab.panel.wait(_PATIENCE):
                raise RuntimeError(f"{concept}, layer {layer} was not answered: {lab.panel.message}")
            yield _read(lab)
    finally:
        lab.close()


def _read(lab: Explore) -> Click:
    panel, heatmap = lab.panel, lab.heatmap
    label = str(panel.pictures[panel.picture]["label"]).partition(": ")[2]
    rows = ("baseline", "steered", "random")
    return Click(
        heatmap.concept,
        heatmap.layer,
        f"{heatmap.strength:g} × {heatmap.scope}",
        f"{panel.strength:g} × {panel.scope}",
        label,
        {row: panel.answers[row] for row in rows},
        {row: [text for _, text in panel.answers["facts"][row]] for row in rows},
    )
