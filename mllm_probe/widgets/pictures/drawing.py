"""A drawing as a list of shapes in the order in which they are drawn; lengths are CSS pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A filled rectangle, perhaps hatched, perhaps with an outline. Colours are names of `palette` or ``#rrggbb``."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    stroke: str | None = None
    weight: float = 1.0
    hatched: bool = False
    opacity: float = 1.0


@dataclass(frozen=True)
class Line:
    """A polyline."""

    points: tuple[Point, ...]
    stroke: str
    weight: float = 1.0
    dash: tuple[float, float] | None = None
    opacity: float = 1.0


@dataclass(frozen=True)
class Area:
    """A filled polygon without outline."""

    points: tuple[Point, ...]
    fill: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Dot:
    """A circle, filled or hollow."""

    x: float
    y: float
    radius: float
    fill: str
    stroke: str


@dataclass(frozen=True)
class Text:
    """One line of text; ``y`` is the middle of its height, ``turned`` runs upwards."""

    x: float
    y: float
    text: str
    size: float = 12.0
    fill: str = "ink"
    anchor: Anchor = "start"
    bold: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Photo:
    """An image, as PNG, fitted into a box."""

    x: float
    y: float
    width: float
    height: float
    png: bytes


Shape = Box | Line | Area | Dot | Text | Photo


@dataclass
class Drawing:
    """Shapes with the size of their sheet.

    `width`, `height`: CSS pixels. `title`: alternative text.
    """

    width: float
    height: float
    title: str
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Draw further shapes on top."""
        self.shapes.extend(shapes)
