"""The calls whose files are kept here, as their user wrote them: commit 6b54f34 ran them, and the tests repeat them.

Stores know metrics and operations of a user by the source code of their functions: as much as a space more in
`answer_length` or `clip` makes them others.
"""

import numpy as np

import mllm_probe as mp

MODEL = "scenes-4l"
OTHER_MODEL = "scenes-8l"
CONCEPTS = ["cat", "neon"]
DRAWN = {"concepts": CONCEPTS, "pairs": 6, "size": 32}
QUIET = {"progress": False}
UNITS = 3
"""Finished units of a sweep that was killed."""


def answer_length(answer, concept):
    """A user's own metric."""
    return float(len(answer.text.split())) + (concept.name == "cat") / 2


def clip(h, v, dose):
    """A user's own operation: the projection on the concept is at most the dose."""
    projection = (h * v).sum(-1)
    return (projection.clamp(max=dose) - projection)[..., None] * v


def load_model(name=MODEL, **settings):
    return mp.load(name, device="cpu", **settings)


def library():
    return mp.concepts.scenes(**DRAWN)


def inside(model, vectors, store, **more):
    """A sweep that reads the steered run: all recordings, of image tokens steered at two sites."""
    return mp.sweep(
        model, vectors, library().split()[1], layers=["input", 1], strengths=(-1, 1), tokens="image", unit="vector",
        controls=("random",), draws=4, metrics=("logprob", "tokens"), max_new_tokens=2, read_layers=[1],
        record=("activation", "projection", "residual_norm", "logit_lens"), store=store, **QUIET, **more,
    )  # fmt: skip


def own(model, vectors, store, **more):
    """A sweep with a metric and an operation of the user, on arrays, at given positions."""
    images = [np.asarray(one.image) for one in library()["cat"].negative[:3]]
    metric = mp.Metric("length", "answer", answer_length, "words of the answer")
    operation = mp.Operation("clip", clip, removes=True, in_unit=False)
    return mp.sweep(
        model, vectors, images, layers=[1, 2], strengths=(0.5, 1), tokens=[-1, -2], operation=operation,
        metrics=(metric, "logprob"), controls=("random",), draws=4, max_new_tokens=3, store=store, **QUIET, **more,
    )  # fmt: skip


def files(model, vectors, folder, store, **more):
    """A sweep of image files with a prompt each, where one concept replaces the other."""
    return mp.sweep(
        model, vectors, mp.concepts.image_files([folder]), ["What do you see?", "Where?", "What is the style?"],
        layers=[1, 2], strengths=(0.5, 1), tokens=("last_prompt", "generated"), operation="replace", to="neon",
        metrics=("logprob", "tokens"), controls=("random",), draws=4, max_new_tokens=3, answer_prefix="a",
        store=store, **QUIET, **more,
    )  # fmt: skip


def patched(model, store):
    """Interchange interventions."""
    return mp.patch(
        model, library().subset(concepts=["cat"], pairs=6), layers=["input", 1, 3],
        groups=("changed", "image", "last_prompt"), metrics=("logprob", "logit_difference"), store=store, **QUIET,
    )  # fmt: skip


def captured(model, store=None, layers=(1, 3)):
    """Activations for vectors: every token of the scope, of all images of the fitted half of one concept."""
    pictures = library().subset(concepts=["cat"]).split()[0].pictures
    return mp.capture(model, pictures, layers=list(layers), tokens="last_prompt", store=store)


def captured_steered(model, vectors, store):
    """Activations under steering by two concepts."""
    first, second = (vectors.sel(concept=name) for name in CONCEPTS)
    steering = mp.compose(
        mp.Steering(first, [1], 1.0, tokens="last_prompt"), mp.Steering(second, [2], 0.5, tokens="image")
    )
    pictures = library()["cat"].negative[:2]
    return mp.capture(model, pictures, layers=[2, 3], tokens=("last_prompt", "text"), steering=steering, store=store)


def study_library():
    return mp.concepts.scenes(concepts=CONCEPTS, pairs=12, size=32)


def study(model, vectors, store):
    """A study with a folder for its runs."""
    return mp.studies.atlas(model, study_library(), vectors=vectors, store=store, **QUIET)


def reverse_study(model, vectors, store):
    """A study that edits with an operation of its own, which its stores know by its source code as they know `clip`."""
    own = vectors.sel(concept=["cat"])
    return mp.studies.reverse_steering(model, study_library(), vectors=own, store=store, **QUIET)
