"""The calls whose files are kept here, as their user wrote them: `make.py` ran them, and the tests repeat them.

Stores know metrics and operations of a user by the source code of their functions: as much as a space more in
`answer_length` or `clip` makes them others.
"""

import os

import numpy as np

import mllm_probe as mp

MODEL = "scenes-4l"
OTHER_MODEL = "scenes-8l"
CONCEPTS = ["cat", "neon"]
DRAWN = {"concepts": CONCEPTS, "pairs": 6, "size": 32}
QUIET = {"progress": False}
UNITS = 3
"""Finished units of a sweep that was killed."""

_SHELL_LIBRARY = ["--library", "scenes", "--concepts", "cat", "neon", "--pairs", "6", "--size", "32"]
_SHELL_MODEL = ["--model", MODEL, "--device", "cpu"]
_SHELL_SWEEP = ["--layers", "1", "2", "--draws", "4", "--max-new-tokens", "4"]
COMMANDS = {
    "vectors": ["vectors", *_SHELL_MODEL, *_SHELL_LIBRARY, "--layers", "1", "2", "--shuffled-draws", "2",
                "--out", "cats.safetensors"],
    "capture": ["capture", *_SHELL_MODEL, *_SHELL_LIBRARY[:4], "--pairs", "2", "--size", "32", "--layers", "1", "3",
                "--tokens", "last_prompt", "generated", "--continuation", "a cat", "--out", "cats-read.zarr"],
    "sweep": ["sweep", *_SHELL_MODEL, *_SHELL_LIBRARY, "--vectors", "cats.safetensors", "--halves", "both",
              "--strengths", "-1", "0", "1", *_SHELL_SWEEP, "--store", "cats.zarr"],
    "killed": ["sweep", *_SHELL_MODEL, *_SHELL_LIBRARY, "--vectors", "cats.safetensors", "--strengths",
               "1", "--tokens", "last_prompt",
               "--controls", "random", "on_manifold", "concepts", "shuffled", "orthogonal", "--metrics", "logprob",
               "logit", "named", "kept", "kl", "perplexity", "off_target", *_SHELL_SWEEP, "--store", "killed.zarr"],
    "export": ["export", "cats.zarr", "cats.csv"],
    "report": ["report", "cats.zarr", "cats.html", "--title", "Cats by layer"],
    "studies": ["studies", "bundled", "--model", MODEL, "--only", "atlas", "--processes", "1", "--work", "work",
                "--out", "studies.html"],
}  # fmt: skip
"""Commands by what they made, in their order."""


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


def vectors(model, **settings):
    """Vectors of the fitted half."""
    usual = {"shuffled_draws": 2, "layers": [1, 2], **QUIET} | settings
    return mp.concept_vectors(model, library().split()[0], **usual)


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


def study_vectors(model):
    """Vectors for studies, without the activations that controls on the manifold need."""
    made = mp.concept_vectors(
        model, study_library().split()[0], tokens=("image", "last_prompt"), shuffled_draws=1, probe_accuracy=False
    )
    return made.drop_dims("manifold_sample")


def study(model, vectors, store):
    """A study with a folder for its runs."""
    return mp.studies.atlas(model, study_library(), vectors=vectors, store=store, **QUIET)


def reverse_study(model, vectors, store):
    """A study that edits with an operation of its own, which its stores know by its source code as they know `clip`."""
    own = vectors.sel(concept=["cat"])
    return mp.studies.reverse_steering(model, study_library(), vectors=own, store=store, **QUIET)


def recommended(model, directions):
    """Where to steer: of few settings."""
    drawn = mp.concepts.scenes(concepts=CONCEPTS, pairs=24, size=32)
    return mp.recommend(
        model, directions, drawn, layers=[1, 2], strengths={"last_prompt": (1.0, 2.0)}, images=10, draws=4,
        max_new_tokens=4, **QUIET,
    )  # fmt: skip


def draw_folder(folder):
    """Write a concept library as a folder: pairs by name, words, and groups of near-duplicates."""
    drawn = mp.concepts.scenes(concepts=CONCEPTS, pairs=3, size=32)
    lines = ["file,group"]
    for name, concept in drawn.items():
        for side in ("positive", "negative"):
            place = os.path.join(folder, str(concept.category), name, side)
            os.makedirs(place)
            for number, picture in enumerate(getattr(concept, side)):
                picture.image.save(os.path.join(place, f"{number}.png"))
                lines.append(f"{concept.category}/{name}/{side}/{number}.png,scene {number}")
    with open(os.path.join(folder, "entity", "cat", "words.txt"), "w", encoding="utf-8") as file:
        file.write("cat\nkitten\n")
    with open(os.path.join(folder, "groups.csv"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
