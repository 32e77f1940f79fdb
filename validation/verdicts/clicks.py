"""Seeded cells that pass, and the answers that the panel then gives: clicks on a lab, and cells that pass by score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary, Picture, neutral_images
from mllm_probe.concepts.drawn import library_call, map_settings
from mllm_probe.schema import CONCEPT, LAYER, STRENGTH
from mllm_probe.studies.cell_scores import SCORE
from mllm_probe.widgets import Explore, SteeringPanel

_PATIENCE = 600
"""Seconds to wait for a lab that fills, and for an answer."""
_RUN = ("named", "kept", "perplexity")
"""What a score is made of."""
_UNSEEN_SEED = 7_000_000
"""Seed of the images that neither vectors nor grid used."""


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
            yield _answered(lab.panel, f"{lab.heatmap.strength:g} × {lab.heatmap.scope}")
    finally:
        lab.close()


def passing_by_score(model: mp.ProbeModel, least: int) -> tuple[xr.Dataset, list[tuple[str, int, float]]]:
    """Vectors of the drawn world, and the cells of its map's doses that pass in a grid of answers.

    `least`: held-out images of the grid that lack each concept.
    """
    fit, held_out = library_call(model.name)().split()
    usual = map_settings(model.name)
    vectors = mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False)
    grid = mp.sweep(model, vectors, neutral_images(held_out, least), strengths=usual.strengths, tokens=usual.tokens,
                    metrics=_RUN, progress=False)  # fmt: skip
    clear = mp.effect(grid, SCORE)["clear_in_grid"].transpose(CONCEPT, LAYER, STRENGTH)
    names, layers, doses = (clear[dim].values for dim in clear.dims)
    return vectors, [(str(names[c]), int(layers[i]), float(doses[s])) for c, i, s in np.argwhere(clear.values == 1)]


def live_answers(name: str, count: int, seed: int, least: int) -> tuple[int, Iterator[Click]]:
    """Number of cells that pass by score, and ``count`` of them drawn and steered live, each on an unseen image."""
    model = mp.load(name)
    vectors, cells = passing_by_score(model, least)
    drawn = np.random.default_rng(seed).choice(len(cells), min(count, len(cells)), replace=False)
    return len(cells), _steered(model, vectors, [cells[i] for i in drawn])


def _steered(model: mp.ProbeModel, vectors: xr.Dataset, cells: list[tuple[str, int, float]]) -> Iterator[Click]:
    """Steer each cell in a panel that has an image of its own for it."""
    world, images = unseen_images([concept for concept, _, _ in cells])
    panel = SteeringPanel(model, vectors, images, scope="+".join(map_settings(model.name).tokens), library=world)
    try:
        for number, (concept, layer, dose) in enumerate(cells):
            panel.choose(picture=number, concept=concept, layer=layer, window=[layer, layer], strength=dose)
            yield _answered(panel, f"{dose:g} × {panel.scope}")
    finally:
        panel.close()


def unseen_images(concepts: list[str]) -> tuple[ConceptLibrary, list[Picture]]:
    """A library of another seed than the lab's, and of it an image without each of these concepts, all different."""
    world = mp.concepts.scenes(concepts=sorted(set(concepts)), pairs=len(concepts), seed=_UNSEEN_SEED)
    return world, [world[concept].negative[number] for number, concept in enumerate(concepts)]


def _answered(panel: SteeringPanel, of_map: str) -> Click:
    """Wait for the panel's answers and read them."""
    if not panel.wait(_PATIENCE):
        raise RuntimeError(f"{panel.concept}, layer {panel.layer} was not answered: {panel.message}")
    label = str(panel.pictures[panel.picture]["label"]).partition(": ")[2]
    rows = ("baseline", "steered", "random")
    return Click(
        panel.concept,
        panel.layer,
        of_map,
        f"{panel.strength:g} × {panel.scope}",
        label,
        {row: panel.answers[row] for row in rows},
        {row: [text for _, text in panel.answers["facts"][row]] for row in rows},
    )
