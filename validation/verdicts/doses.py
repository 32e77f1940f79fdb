"""What answers say by tokens, layer and strength: whether they name the concept, do not repeat, and keep the image."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np

import mllm_probe as mp
from mllm_probe.metrics.kept import slot_of
from mllm_probe.metrics.text import kept_labels, named, repetition
from mllm_probe.studies.cell_scores import MOST_REPETITION

TOKENS = ("last_prompt", "last_prompt+generated")
STRENGTHS = (1.0, 1.5, 2.0, 3.0)
_EVERY = 2
"""Every second concept of the drawn world is tried."""


def measure(name: str, images: int) -> dict[tuple[str, float, int], float]:
    """Share of answers that name the concept, do not repeat words and keep half of the content.

    By tokens, strength and layer, on ``images`` held-out images that lack each concept.
    """
    model, library = mp.load(name), mp.concepts.scenes(pairs=24)
    fit, held_out = library.split()
    vectors = mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False)
    words = {concept: one.words for concept, one in library.items()}
    categories = {concept: str(one.category) for concept, one in library.items()}
    cells = list(itertools.product(TOKENS, STRENGTHS, model.layers))
    well = defaultdict(list)
    for concept in list(held_out)[::_EVERY]:
        own = vectors.sel(concept=concept)
        rows = [mp.Steering(own, [layer], dose, tokens=tuple(tokens.split("+"))) for tokens, dose, layer in cells]
        for image in held_out[concept].negative[:images]:
            answers = mp.generate(model, [image] * len(rows), steering=rows, max_new_tokens=16).text
            for cell, text in zip(cells, answers, strict=True):
                there, of = kept_labels(text, image.labels, words, without=slot_of(concept, categories))
                fluent = repetition(text) <= MOST_REPETITION
                well[cell].append(named(text, words[concept]) and fluent and 2 * there >= of)
    return {cell: float(np.mean(found)) for cell, found in well.items()}
