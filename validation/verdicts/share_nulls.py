"""What verdicts of shares are worth on grids made by hand, of which it is known which cells have an effect.

A direction names a word in most of the images or in none, or moves a latent score. The concept of a cell without an
effect is one more direction of its control, so that every such cell that passes is false.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.studies.effect import LARGEST_P
from validation.verdicts.grids import grid_of

LAYERS = 8
NAMED = 0.9
"""Share of the images in which a direction names a word, if it does."""
SPREAD = 2.5
"""Of the latent model: standard deviation over directions, in units of the noise; measured on scenes-8l."""
DRAWS, RATES, CONCEPTS = (8, 20, 32), (0.0, 0.005, 0.02, 0.05), (1, 3, 12, 48)


@dataclass(frozen=True)
class World:
    """How grids are drawn.

    `rate`: share of the directions that name a word; of the latent model, of the images that an average direction names
        it in.
    `words`: to how many of the concepts' words this applies, the others are never named; all by default.
    `opposites`: r and −r name "apart" (never both), "alike", or "unrelated" words.
    `kinds`: of control. `true`: cells with an effect, in places drawn at random.
    `shared`: all concepts have the same draws, as in unit ``residual``. A fifth of the directions then names words,
        five times as often, so that answers of one direction for several words go together.
    `every_layer`: a direction that names a word does so at every layer.
    """

    concepts: int = 48
    draws: int = 8
    rate: float = 0.0
    words: int | None = None
    opposites: str = "unrelated"
    kinds: tuple[str, ...] = ("random",)
    true: int = 0
    shared: bool = True
    every_layer: bool = False
    latent: bool = False
    images: int = 12

    @property
    def unit(self) -> str:
        """Of a sweep in which draws are shared or not."""
        return "residual" if self.shared else "vector"


@dataclass(frozen=True)
class Passed:
    """Cells that pass in each of several grids.

    `false`, `found` (int array [grid]): without and with an effect. `promised` (int array [grid]): false cells that
        captions of figures expect at most. `true`: cells with an effect, in each grid.
    """

    false: np.ndarray
    found: np.ndarray
    promised: np.ndarray
    true: int

    @property
    def nothing_false(self) -> float:
        """Share of the grids in which no cell without an effect passes."""
        return float((self.false == 0).mean())

    @property
    def false_of_passing(self) -> float:
        """Of all grids' passing cells, the share that is false; NaN where none passes."""
        passing = self.false.sum() + self.found.sum()
        return float(self.false.sum() / passing) if passing else float("nan")

    @property
    def discovery_rate(self) -> float:
        """Mean over grids of the false share of passing cells, 0 where none passes: the false discovery rate."""
        return float((self.false / np.maximum(self.false + self.found, 1)).mean())


def null_worlds() -> Iterator[tuple[str, World]]:
    """Grids without any effect, by what is particular to them."""
    for concepts in CONCEPTS:
        for rate in RATES:
            yield from (("", World(concepts, draws, rate)) for draws in DRAWS)
    for draws in DRAWS:
        yield "4 words of 48", World(48, draws, 0.24, words=4)
        yield "r, −r alike", World(48, draws, 0.02, opposites="alike")
        yield "r, −r apart", World(48, draws, 0.02, opposites="apart")
        yield "two kinds", World(48, draws, 0.02, kinds=("random", "on_manifold"))
        yield "own draws", World(48, draws, 0.02, shared=False)
        yield "own draws, 4 words", World(48, draws, 0.24, words=4, shared=False)
        yield "every layer", World(3, draws, 0.05, every_layer=True)
    for draws in (8, 16):
        for rate in (0.05, 0.2):
            for images in (12, 24):
                yield "latent", World(48, draws, rate, latent=True, shared=False, images=images)


def mixed_worlds() -> Iterator[tuple[str, World]]:
    """Forty cells with an effect beside 344 without."""
    for draws in DRAWS:
        for shared in (True, False):
            yield from (("", World(48, draws, rate, true=40, shared=shared)) for rate in RATES)
        yield "4 words of 48", World(48, draws, 0.24, words=4, true=40)
        yield "r, −r alike", World(48, draws, 0.005, opposites="alike", true=40)
        yield "two kinds", World(48, draws, 0.005, kinds=("random", "on_manifold"), true=40)
        yield "every layer", World(48, draws, 0.005, every_layer=True, true=40)


def power_worlds() -> Iterator[tuple[str, World]]:
    """Half of the cells have an effect, and no direction names a word."""
    for concepts in CONCEPTS:
        for shared in (True, False):
            yield from (("", World(concepts, draws, true=4 * concepts, shared=shared)) for draws in DRAWS)


def measure(world: World, grids: int, seed: int = 0) -> Passed:
    """Draw grids and ask :func:`mllm_probe.effect` about each."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(grids):
        scores, true = drawn(world, rng)
        effect = mp.effect(grid_of(scores, "named", world.unit), "named")
        passing = effect["clear_in_grid"].isel({schema.STRENGTH: 0}).values.astype(bool)
        # As figures' captions round it.
        rows.append(((passing & ~true).sum(), (passing & true).sum(), math.ceil(LARGEST_P * passing.sum())))
    false, found, promised = np.array(rows).T
    return Passed(false, found, promised, world.true)


def drawn(world: World, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores of the concept's rows [concept, layer, 1, image] and of each control's, and where there is an effect."""
    scores = _latent(world, rng) if world.latent else _named(world, rng)
    true = np.zeros(world.concepts * LAYERS, bool)
    true[rng.permutation(true.size)[: world.true]] = True
    true = true.reshape(world.concepts, LAYERS)
    own = scores["concept"]
    own[true] = rng.random(own[true].shape) < NAMED
    return scores, true


def _named(world: World, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every direction names a word in most of the images or in none."""
    scores = {}
    for kind in ("concept", *world.kinds):
        names = _own_names(world, rng) if kind == "concept" else _draws_names(world, rng)
        names = np.broadcast_to(names, (world.concepts, LAYERS, names.shape[2]))
        answers = rng.random((*names.shape, world.images)) < NAMED
        scores[kind] = (answers & names[..., None]).astype(np.float32)
    return scores


def _rates(world: World) -> np.ndarray:
    """Share of the directions that name each concept's word [concept, 1, 1]."""
    rates = np.zeros((world.concepts, 1, 1))
    rates[: world.words] = world.rate
    return rates


def _own_names(world: World, rng: np.random.Generator) -> np.ndarray:
    """Whether each concept's own direction names its word [concept, layer or 1, 1]."""
    return rng.random((world.concepts, 1 if world.every_layer else LAYERS, 1)) < _rates(world)


def _draws_names(world: World, rng: np.random.Generator) -> np.ndarray:
    """Whether each draw of a control names each concept's word [concept, layer or 1, draw]."""
    layers, pairs = 1 if world.every_layer else LAYERS, world.draws // 2
    rates, chosen = _rates(world), np.ones((1, layers, pairs, 1), bool)
    if world.shared and rates.max() <= 0.1:
        rates, chosen = 5 * rates, rng.random((1, layers, pairs, 1)) < 0.2
    places = rng.random((world.concepts, layers, pairs, 2))
    if world.opposites == "alike":
        places[..., 1] = places[..., 0]
    elif world.opposites == "apart":
        places[..., 1] = 1 - places[..., 0]
    names: np.ndarray = ((places < rates[..., None]) & chosen).reshape(world.concepts, layers, -1)
    return names


def _latent(world: World, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Images, directions and both together move a normal score, half of a direction's part alike for its opposite."""
    shape = (world.concepts, LAYERS, world.draws // 2 + 1)
    odd, even = (SPREAD / np.sqrt(2) * rng.standard_normal(shape) for _ in range(2))
    # The first pair's first direction is the concept.
    directions = np.stack([even + odd, even - odd], -1).reshape(*shape[:2], -1)[..., [0, *range(2, world.draws + 2)]]
    image = rng.standard_normal((*shape[:2], 1, world.images))
    noise = rng.standard_normal((*directions.shape, world.images))
    # Image and noise have variance 2, an average over directions 2 + spread².
    threshold = -stats.norm.ppf(world.rate) * np.sqrt(2 + SPREAD**2)
    scores = (image + directions[..., None] + noise > threshold).astype(np.float32)
    return {"concept": scores[:, :, :1], world.kinds[0]: scores[:, :, 1:]}
