"""How many answers of a bundled model are called broken by perplexity alone, by the image that they are read with."""

from __future__ import annotations

import itertools

import numpy as np

import mllm_probe as mp
from mllm_probe.metrics.text import repetition
from mllm_probe.studies.cell_scores import broken_by
from mllm_probe.widgets.panel.answer_facts import LivePerplexity, examples_of

READINGS = ("an image that has the concept", "its own image", "both")
TOKENS = (("last_prompt",), ("last_prompt", "generated"))
PLACES = ((3, 1.0), (5, 1.0), (7, 1.0), (3, 2.0))
"""Layers and strengths."""
_STEPS = 24


def measure(name: str, images: int) -> tuple[int, int, dict[str, int]]:
    """Number of answers, of those that repeat words, and of the others that each reading calls improbable."""
    model, library = mp.load(name), mp.concepts.scenes(pairs=24)
    fit, held_out = library.split()
    vectors = mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False)
    live, prompt = LivePerplexity(model, examples_of(held_out)), model.default_prompt
    pictures = [concept.negative[0] for concept in held_out.values()][:images]
    repeats, improbable = [], []
    for image, concept in itertools.product(pictures, held_out):
        if concept in image.labels:
            continue
        own = vectors.sel(concept=concept)
        rows = [mp.Steering(own, [layer], dose, tokens=tokens) for tokens in TOKENS for layer, dose in PLACES]
        running = mp.stream(model, image, prompt, steering=[None, *rows], max_new_tokens=_STEPS)
        list(running)
        ratios = live.readings(vectors, concept, image, prompt, running.tokens, _STEPS).numpy()
        for text, (with_concept, with_own) in zip(running.text[1:], ratios.T[1:], strict=True):
            before = repetition(running.text[0])
            repeats.append(bool(broken_by(1.0, repetition(text), before)[0]))
            smallest = np.minimum(with_concept, with_own)
            improbable.append([bool(broken_by(one, 0.0, 0.0)[1]) for one in (with_concept, with_own, smallest)])
    alone = np.array(improbable) & ~np.array(repeats)[:, None]
    return len(repeats), sum(repeats), dict(zip(READINGS, map(int, alone.sum(0)), strict=True))
