"""Colours of things, faces and backgrounds: drawn apart from the concepts, so that a colour tells no concept."""

import numpy as np

from mllm_probe.scenes.scene import Colour

THINGS: tuple[Colour, ...] = (
    (214, 60, 60), (50, 110, 210), (50, 150, 75), (235, 150, 40), (150, 70, 180), (60, 175, 190), (215, 95, 150),
    (140, 105, 65), (240, 205, 70), (90, 90, 200), (160, 200, 80),
)  # fmt: skip
FACES: tuple[Colour, ...] = (
    (250, 210, 60), (150, 185, 235), (240, 120, 110), (200, 165, 225), (245, 170, 100), (150, 215, 165),
    (225, 205, 185), (245, 245, 235),
)  # fmt: skip


def _distance(a: Colour, b: Colour) -> int:
    return sum(abs(one - other) for one, other in zip(a, b, strict=True))


def brightness(colour: Colour) -> float:
    """Return the perceived brightness, 0 to 255."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def background(g: np.random.Generator) -> Colour:
    """Return a background: mostly pale, sometimes of a middling tone of any hue."""
    low, high = (222, 254) if g.random() < 0.65 else (95, 215)
    red, green, blue = (int(v) for v in g.integers(low, high, 3))
    return red, green, blue


def contrasting(
    g: np.random.Generator, ground: Colour, other: Colour | None = None, among: tuple[Colour, ...] = THINGS
) -> Colour:
    """Return a random colour that stands out from `ground`, and from `other` if given."""
    far = [c for c in among if _distance(c, ground) > 130 and (other is None or _distance(c, other) > 150)]
    far = far or [max(among, key=lambda c: _distance(c, ground))]
    return far[int(g.integers(len(far)))]
