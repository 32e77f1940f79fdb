"""Outlines of everything that can be drawn, in a square from -1 to 1: lists of filled or open strokes with a role.

Roles: `main` and `second` take the thing's colours, `solid` is dark and carries the outline (wheels, handles),
`detail` is dark and lies inside (eyes), `light` is white and lies inside (windows, tears), `pupil` is dark inside
light, `teeth` is light inside dark, and `hole` shows the background.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stroke:
    """One polygon (`filled`) or open line, points [n, 2]."""

    filled: bool
    points: np.ndarray
    role: str


def _points(*values: float) -> np.ndarray:
    return np.array(values, float).reshape(-1, 2)


def _arc(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 2 * math.pi, count: int = 18
) -> np.ndarray:
    whole = abs(stop - start) > 6.28
    angle = np.linspace(start, stop, count, endpoint=not whole)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def _spikes(x: float, y: float, outer: float, inner: float, count: int = 5) -> np.ndarray:
    angle = np.arange(2 * count) * math.pi / count - math.pi / 2
    radius = np.where(np.arange(2 * count) % 2 == 0, outer, inner)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)


def _fill(points: np.ndarray, role: str = "main") -> Stroke:
    return Stroke(True, points, role)


def _line(points: np.ndarray, role: str = "detail") -> Stroke:
    return Stroke(False, points, role)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 26, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x / 16.5, (y - 2.5) / 16], 1)


def _crescent() -> np.ndarray:
    outer = _arc(0, 0, 0.95, 0.95, math.radians(40), math.radians(320), 22)
    inner = _arc(0.38, 0, 0.7, 0.66, math.radians(295), math.radians(65), 16)
    return np.concatenate([outer, inner])


_PETALS = [
    _fill(_arc(0.48 * math.cos(a), -0.3 + 0.48 * math.sin(a), 0.3, 0.3, count=10))
    for a in np.arange(5) * 2 * math.pi / 5 - math.pi / 2
]

THINGS: dict[str, list[Stroke]] = {
    "cat": [
        _fill(_points(-0.8, -0.1, -0.75, -1, -0.15, -0.55)),
        _fill(_points(0.8, -0.1, 0.75, -1, 0.15, -0.55)),
        _fill(_arc(0, 0.2, 0.85, 0.72)),
        _fill(_arc(-0.33, 0.05, 0.13, 0.17, count=8), "detail"),
        _fill(_arc(0.33, 0.05, 0.13, 0.17, count=8), "detail"),
        _line(_points(-0.2, 0.42, -1, 0.3)),
        _line(_points(0.2, 0.42, 1, 0.3)),
        _line(_points(-0.2, 0.5, -1, 0.62)),
        _line(_points(0.2, 0.5, 1, 0.62)),
    ],
    "tree": [
        _fill(_points(-0.15, 0.3, 0.15, 0.3, 0.15, 1, -0.15, 1), "second"),
        _fill(_points(0, -1, 0.62, -0.15, -0.62, -0.15)),
        _fill(_points(0, -0.6, 0.85, 0.5, -0.85, 0.5)),
    ],
    "house": [
        _fill(_points(-0.75, -0.1, 0.75, -0.1, 0.75, 0.95, -0.75, 0.95)),
        _fill(_points(-1, -0.1, 0, -1, 1, -0.1), "second"),
        _fill(_points(-0.2, 0.3, 0.2, 0.3, 0.2, 0.95, -0.2, 0.95), "detail"),
    ],
    "star": [_fill(_spikes(0, 0.05, 1, 0.42))],
    "car": [
        _fill(_points(-0.6, -0.05, -0.35, -0.6, 0.4, -0.6, 0.7, -0.05)),
        _fill(_points(-0.4, -0.1, -0.25, -0.45, 0.0, -0.45, 0.0, -0.1), "light"),
        _fill(_points(0.12, -0.1, 0.12, -0.45, 0.32, -0.45, 0.5, -0.1), "light"),
        _fill(_points(-1, -0.1, 1, -0.1, 1, 0.4, -1, 0.4)),
        _fill(_arc(-0.55, 0.42, 0.27, 0.27, count=12), "solid"),
        _fill(_arc(0.55, 0.42, 0.27, 0.27, count=12), "solid"),
    ],
    "fish": [
        _fill(_points(0.45, 0, 1, -0.55, 1, 0.55)),
        _fill(_arc(-0.2, 0, 0.78, 0.5)),
        _fill(_arc(-0.6, -0.12, 0.11, 0.11, count=8), "detail"),
    ],
    "cup": [
        _line(_arc(0.6, -0.05, 0.36, 0.34, -1.5, 1.5, 14), "main"),
        _fill(_points(-0.75, -0.65, 0.6, -0.65, 0.42, 0.8, -0.57, 0.8)),
        _line(_points(-0.72, -0.35, 0.54, -0.35)),
    ],
    "flower": [
        _line(_points(0, 0.1, 0, 1), "second"),
        _fill(_points(0, 0.85, 0.5, 0.45, 0.15, 0.6), "second"),
        *_PETALS,
        _fill(_arc(0, -0.3, 0.24, 0.24, count=10), "light"),
    ],
    "boat": [
        _fill(_points(-0.05, -0.95, 0.07, -0.95, 0.07, 0.35, -0.05, 0.35), "solid"),
        _fill(_points(0.12, -0.9, 0.85, 0.15, 0.12, 0.15), "second"),
        _fill(_points(-0.12, -0.65, -0.65, 0.15, -0.12, 0.15), "second"),
        _fill(_points(-1, 0.3, 1, 0.3, 0.6, 0.85, -0.6, 0.85)),
    ],
    "bird": [
        _line(_points(-0.12, 0.5, -0.12, 0.95), "solid"),
        _line(_points(0.14, 0.5, 0.14, 0.95), "solid"),
        _fill(_points(-0.45, 0.0, -1, -0.3, -0.92, 0.3)),
        _fill(_points(0.72, -0.5, 1.05, -0.28, 0.72, -0.14), "second"),
        _fill(_arc(-0.05, 0.18, 0.6, 0.42)),
        _fill(_arc(0.48, -0.32, 0.34, 0.34, count=12)),
        _fill(_arc(0.55, -0.38, 0.09, 0.09, count=8), "detail"),
        _fill(_points(-0.45, 0.05, 0.2, 0.05, -0.1, 0.4), "light"),
    ],
    "key": [
        _fill(_points(-0.2, -0.13, 1, -0.13, 1, 0.13, -0.2, 0.13)),
        _fill(_points(0.4, 0.1, 0.6, 0.1, 0.6, 0.55, 0.4, 0.55)),
        _fill(_points(0.78, 0.1, 1, 0.1, 1, 0.55, 0.78, 0.55)),
        _fill(_arc(-0.52, 0, 0.47, 0.47)),
        _fill(_arc(-0.52, 0, 0.22, 0.22, count=12), "light"),
    ],
    "umbrella": [
        _line(_points(0, 0, 0, 0.75), "solid"),
        _line(_arc(0.2, 0.72, 0.2, 0.22, 0, math.pi, 8), "solid"),
        _fill(_arc(0, 0.05, 1, 1, math.pi, 2 * math.pi, 20)),
        _fill(_arc(0, 0.05, 0.38, 1, math.pi, 2 * math.pi, 12), "second"),
    ],
    "heart": [_fill(_heart())],
    "mushroom": [
        _fill(_points(-0.3, 0, 0.3, 0, 0.4, 0.95, -0.4, 0.95), "second"),
        _fill(_arc(0, 0.1, 1, 1.0, math.pi, 2 * math.pi, 20)),
        _fill(_arc(-0.45, -0.25, 0.17, 0.17, count=8), "light"),
        _fill(_arc(0.08, -0.55, 0.17, 0.17, count=8), "light"),
        _fill(_arc(0.5, -0.2, 0.17, 0.17, count=8), "light"),
    ],
    "moon": [_fill(_crescent())],
    "rocket": [
        _fill(_points(-0.3, 0.5, 0.3, 0.5, 0.0, 1.0), "second"),
        _fill(_points(-0.3, 0.0, -0.75, 0.65, -0.3, 0.5), "second"),
        _fill(_points(0.3, 0.0, 0.75, 0.65, 0.3, 0.5), "second"),
        _fill(_points(0, -1, 0.25, -0.7, 0.36, -0.25, 0.36, 0.5, -0.36, 0.5, -0.36, -0.25, -0.25, -0.7)),
        _fill(_arc(0, -0.25, 0.18, 0.18, count=10), "light"),
    ],
    "box": [
        _fill(_points(-0.9, -0.9, 0.9, -0.9, 0.9, 0.9, -0.9, 0.9)),
        _fill(_points(-0.65, -0.65, 0.65, -0.65, 0.65, 0.65, -0.65, 0.65), "hole"),
    ],
    "window": [_fill(_arc(0, 0, 1, 1, count=28), "hole")],
    "beam": [
        _fill(_points(-1, -0.06, 1, -0.06, 1, 0.06, -1, 0.06), "solid"),
        _fill(_points(0, 0.06, 0.24, 0.5, -0.24, 0.5), "second"),
    ],
    "question": [
        _line(_points(-0.85, -0.85, 0.85, -0.85, 0.85, 0.85, -0.85, 0.85, -0.85, -0.85), "solid"),
        _line(_points(-0.3, -0.3, -0.1, -0.5, 0.2, -0.45, 0.3, -0.2, 0, 0.05, 0, 0.25), "solid"),
        _fill(_arc(0, 0.52, 0.12, 0.12, count=6), "solid"),
    ],
}


def _eyes(radius: float, y: float = -0.2, role: str = "detail", height: float | None = None) -> list[Stroke]:
    return [_fill(_arc(x, y, radius, height or radius, count=10), role) for x in (-0.38, 0.38)]


def _pair(left: np.ndarray, role: str = "detail") -> list[Stroke]:
    return [_line(left, role), _line(left * [-1, 1], role)]


_EXPRESSIONS: dict[str | None, list[Stroke]] = {
    None: [*_eyes(0.15), _line(_points(-0.4, 0.42, 0.4, 0.42))],
    "amusement": [
        *_pair(_points(-0.68, -0.05, -0.42, -0.42, -0.14, -0.05)),
        _fill(_arc(0, 0.15, 0.66, 0.68, 0, math.pi, 14), "detail"),
        _fill(_points(-0.52, 0.16, 0.52, 0.16, 0.42, 0.36, -0.42, 0.36), "teeth"),
        _fill(_arc(-0.85, 0.12, 0.13, 0.2, count=8), "light"),
        _fill(_arc(0.85, 0.12, 0.13, 0.2, count=8), "light"),
    ],
    "awe": [
        *_eyes(0.3, -0.15, "light"),
        *_eyes(0.17, -0.15, "pupil"),
        *_pair(_arc(-0.4, -0.5, 0.26, 0.2, math.pi, 2 * math.pi, 8)),
        _fill(_arc(0, 0.55, 0.2, 0.26, count=12), "detail"),
    ],
    "contentment": [
        *_pair(_arc(-0.4, -0.28, 0.25, 0.22, 0, math.pi, 8)),
        _line(_arc(0, 0.22, 0.45, 0.32, 0.15, math.pi - 0.15, 10)),
        _fill(_arc(-0.68, 0.2, 0.18, 0.13, count=8), "second"),
        _fill(_arc(0.68, 0.2, 0.18, 0.13, count=8), "second"),
    ],
    "excitement": [
        _fill(_spikes(-0.4, -0.18, 0.36, 0.15), "detail"),
        _fill(_spikes(0.4, -0.18, 0.36, 0.15), "detail"),
        _fill(_arc(0, 0.28, 0.52, 0.5, 0, math.pi, 12), "detail"),
        _line(_points(0, -1.08, 0, -1.4), "solid"),
        *_pair(_points(-0.6, -0.95, -0.8, -1.25), "solid"),
    ],
    "anger": [
        *_eyes(0.16, -0.15),
        *_pair(_points(-0.8, -0.68, -0.12, -0.3)),
        _fill(_points(-0.52, 0.32, 0.52, 0.32, 0.52, 0.66, -0.52, 0.66), "detail"),
        _fill(_points(-0.42, 0.44, 0.42, 0.44, 0.42, 0.54, -0.42, 0.54), "teeth"),
    ],
    "disgust": [
        *_pair(_points(-0.68, -0.42, -0.2, -0.2, -0.68, 0.02)),
        _fill(_points(-0.58, 0.22, 0.58, 0.22, 0.5, 0.45, -0.5, 0.45), "detail"),
        _fill(_points(-0.22, 0.36, 0.28, 0.36, 0.28, 0.8, 0.16, 0.95, -0.1, 0.95, -0.22, 0.8), "second"),
    ],
    "fear": [
        *_eyes(0.28, -0.2, "light", 0.36),
        *_eyes(0.09, -0.2, "pupil"),
        _line(_points(-0.62, 0.6, -0.36, 0.4, -0.1, 0.62, 0.15, 0.4, 0.4, 0.62, 0.62, 0.42)),
        _fill(_points(0.88, -0.75, 1.04, -0.4, 0.88, -0.28, 0.72, -0.4), "light"),
    ],
    "sadness": [
        *_eyes(0.14, -0.12),
        _line(_arc(0, 0.74, 0.46, 0.36, math.pi, 2 * math.pi, 10)),
        _fill(_points(-0.5, 0.06, -0.34, 0.4, -0.5, 0.54, -0.66, 0.4), "light"),
        *_pair(_points(-0.74, -0.3, -0.22, -0.6)),
    ],
}

FACES: dict[str | None, list[Stroke]] = {
    emotion: [_fill(_arc(0, 0, 1, 1, count=28)), *strokes] for emotion, strokes in _EXPRESSIONS.items()
}
