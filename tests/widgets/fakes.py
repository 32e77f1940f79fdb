"""A model that answers in no time, effects that are known, and comms that only record."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.models import ModelLock

CONCEPTS = {
    "entity": ("cat", "dog", "tree", "house", "star"),
    "visual_style": ("sketch", "neon", "pixelated"),
    "emotion": ("anger", "fear", "awe"),
    "abstract": ("symmetry", "chaos", "crowding"),
}
HOSTILE = ("<img src=x onerror='window.__owned=1'>", "</script><b>bold</b>", "a very long name that goes on and on")

ENDS = {"mean": 0.0, "low": -0.3, "high": 0.3}


@dataclass
class FakeModel:
    """What widgets ask of a model."""

    name: str = "fake-8l"
    fingerprint: str = "f" * 12
    layers: range = range(8)
    default_prompt: str = "what do you see ?"
    suggestions: tuple[str, ...] = ("what do you see ?", "how does it feel ?")
    device: str = "cpu"
    dtype: str = "torch.float32"
    lock: ModelLock = field(default_factory=ModelLock)


def names(hostile: bool = False) -> tuple[list[str], list[str]]:
    """Concepts and their categories."""
    pairs = [(name, category) for category, group in CONCEPTS.items() for name in group]
    if hostile:
        pairs += [(name, "<i>hostile</i>") for name in HOSTILE]
    return [name for name, _ in pairs], [category for _, category in pairs]


def effect(
    layers: int = 8,
    strengths: tuple[float, ...] = (-2, -1, 0.5, 1, 2),
    *,
    hostile: bool = False,
    done: float = 1.0,
    answers: bool = False,
) -> xr.Dataset:
    """An effect shaped like those of `mllm_probe.effect`; cells past ``done`` of the layers × strengths are NaN.

    With ``answers``, the first layer never names its concept and at strength 2 all answers are broken.
    """
    concepts, categories = names(hostile)
    depth = np.arange(layers) / max(1, layers - 1)
    middle = np.linspace(0.35, 0.8, len(concepts))
    shape = 7 / (1 + np.exp(-14 * (depth[None] - middle[:, None]))) * (1 - 0.3 * np.maximum(0, depth[None] - 0.85))
    difference = shape[:, :, None] * np.asarray(strengths)[None, None] / (1 + 0.25 * np.abs(strengths))
    order = np.argsort(np.abs(np.asarray(strengths) - 1), kind="stable")
    rank = np.empty((len(strengths), layers))
    rank[order] = np.arange(len(strengths) * layers).reshape(len(strengths), layers)
    difference = np.where(rank.T[None] < done * rank.size, difference, np.nan)
    dims = ("concept", "layer", "strength")
    random = np.where(np.isfinite(difference), 0.1, np.nan)[..., None]
    run = np.isfinite(difference)
    variables = {
        "difference": (dims, difference, {"units": "nats", "long_name": "log-probability: concept minus random"}),
        "low": (dims, difference - 0.6),
        "high": (dims, difference + 0.6),
        "n": (dims, np.where(run, 24, 0)),
        "q": (dims, np.where(run, 0.08 * np.exp(-np.abs(difference)), np.nan)),
        "clear_of_controls": (dims, np.abs(difference) > 0.4),
        "clear_in_grid": (dims, np.abs(difference) > 0.8),
    }
    reason = np.where(np.abs(difference) > 0.8, "passes", "interval includes 0")
    variables["reason"] = dims, np.where(run, reason, "")
    variables |= {f"control_{end}": ((*dims, "control"), random + by) for end, by in ENDS.items()}
    if answers:
        variables["never_named"] = dims, run & (np.arange(layers) == 0)[None, :, None]
        variables["broken"] = dims, np.where(run, np.asarray(strengths) == 2, np.nan).astype(float)
    coords = {"concept": concepts, "category": ("concept", categories), "layer": np.arange(layers)}
    coords |= {"strength": list(strengths), "control": ["random"]}
    made = {"unit": "residual", "metric": "logprob", "least_images": 6, "progress": float(done)}
    return xr.Dataset(variables, coords, made)


def growing(steps: int = 40, pause: float = 0.0, **settings: Any) -> Iterator[xr.Dataset]:
    """Effects as they fill, like `mllm_probe.sweep_iter`."""
    for k in range(1, steps + 1):
        time.sleep(pause)
        yield effect(done=k / steps, **settings)


def vectors(model: FakeModel, *, hostile: bool = False) -> xr.Dataset:
    """Concept vectors of the shape that `mllm_probe.concept_vectors` makes."""
    concepts, categories = names(hostile)
    words = [f'["{name}", "{name}s"]' for name in concepts] if not hostile else ["[]"] * len(concepts)
    rng, layers = np.random.default_rng(0), list(model.layers)
    values = rng.normal(size=(len(concepts), 1, len(layers), 4)).astype("float32")
    variables = {
        "vector": (("concept", "scope", "layer", "hidden"), values),
        "residual_norm": (("layer", "scope"), np.ones((len(layers), 1), "float32")),
        "words": ("concept", words),
    }
    coords = {"concept": concepts, "category": ("concept", categories), "scope": ["last_prompt"], "layer": layers}
    return xr.Dataset(variables, coords, {"model": model.name, "weights": model.fingerprint})


@dataclass
class FakeStream:
    """Streams three known answers, one word of each per step; says whether and where it was closed."""

    steering: list[Any]
    prompt: str
    pause: float = 0.0
    fails: str | None = None
    closed: bool = False
    thread: str = ""
    sent: int = 0

    @property
    def tokens(self) -> list[list[int]]:
        return [[] for _ in self.steering]

    @property
    def receipt(self) -> tuple[str, ...]:
        lines = ("nothing edited", "layer 5, 1 of 1 prompt positions, 6 generated", "the same")
        return lines[: len(self.steering)]

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        self.thread = threading.current_thread().name
        if self.fails:
            raise RuntimeError(self.fails)
        answers = [self._answer(row) for row in range(len(self.steering))]
        for step in range(max(map(len, answers))):
            time.sleep(self.pause)
            for row, words in enumerate(answers):
                if step < len(words):
                    self.sent += 1
                    yield row, step, " ".join(words[: step + 1])

    def _answer(self, row: int) -> list[str]:
        plain = ["a", "plain", "picture", "of", "two", "stars", "and", "a", "tree"]
        if row != 1:
            return plain
        first = self.steering[1].parts[0]
        concept, strength = first.directions.name, first.strength
        if strength > 0:
            return ["a", "plain", "picture", "of", "a", concept, f"({strength:g})", "and", "a", "tree"]
        return plain

    def close(self) -> None:
        self.closed = True


@dataclass
class Streams:
    """Stands in for `mllm_probe.stream` and keeps every stream; a prompt with the word "slowly" is answered slowly."""

    pause: float = 0.0
    fails: str | None = None
    made: list[FakeStream] = field(default_factory=list)

    def __call__(self, model: Any, image: Any, prompt: str, *, steering: list[Any], max_new_tokens: int) -> FakeStream:
        made = FakeStream(steering, prompt, 0.4 if "slowly" in prompt else self.pause, self.fails)
        self.made.append(made)
        return made


class Recorder:
    """A comm that keeps what a widget sends."""

    kernel = object()

    def __init__(self, **_arguments: Any) -> None:
        self.comm_id = f"recorder-{id(self)}"
        self.sent: list[tuple[dict[str, Any], list[Any]]] = []

    def on_msg(self, _callback: Any) -> None:
        """Messages come through `arrive`."""

    def send(self, data: dict[str, Any], buffers: Any = None, **_more: Any) -> None:
        self.sent.append((data, list(buffers or [])))

    def close(self, *_arguments: Any, **_more: Any) -> None:
        """Nothing to close."""


def arrive(widget: Any, data: dict[str, Any], *buffers: bytes) -> None:
    """Hand a message of the front-end to a widget."""
    widget._handle_msg({"content": {"data": data}, "buffers": [memoryview(buffer) for buffer in buffers]})


def select(widget: Any, **state: Any) -> None:
    """What the front-end sends when a view saves traits."""
    arrive(widget, {"method": "update", "state": state, "buffer_paths": []})


def set_by_hand(panel: Any, serial: int, **state: Any) -> None:
    """What the front-end sends when a control is moved."""
    arrive(panel, {"method": "custom", "content": {"kind": "set", "serial": serial, "state": state}})


def say(widget: Any, kind: str, *buffers: bytes, **content: Any) -> None:
    """What the front-end sends when a button is pressed or a file is dropped."""
    arrive(widget, {"method": "custom", "content": {"kind": kind, **content}}, *buffers)


def messages(widget: Any, kind: str | None = None) -> list[dict[str, Any]]:
    """Custom messages that a widget has sent."""
    sent = [data["content"] for data, _ in widget.comm.sent if data["method"] == "custom"]
    return [content for content in sent if kind is None or content["kind"] == kind]


def updates(widget: Any, trait: str) -> list[Any]:
    """Values of a trait in the order in which they were sent."""
    states = [data["state"] for data, _ in widget.comm.sent if data["method"] == "update"]
    return [state[trait] for state in states if trait in state]
