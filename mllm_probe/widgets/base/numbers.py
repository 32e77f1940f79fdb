"""Numbers and words as widgets show them: few digits that line up with their unit, and highlighted spans."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from mllm_probe.metrics import NEGATIONS, Span, spans
from mllm_probe.metrics.metric import chance, fixed
from mllm_probe.plots.effects import nice_ceiling, strength_unit
from mllm_probe.plots.palette import MARKS, UNFINISHED, control_label, diverging, sequential

__all__ = [
    "MapNumbers",
    "chance",
    "digits_for",
    "dose",
    "fewest",
    "interval",
    "map_note",
    "nice_ceiling",
    "plain",
    "q_value",
    "scale_limit",
    "signed",
    "strength_unit",
    "words",
]

_CELLS = ("values", "score", "low", "high", "n", "clear", "unfinished", "q", "marks")
_CONTROLS = ("control", "control_low", "control_high")
_FINEST = {"nats": 1.0, "doublings": 1.0, "": 0.1}
"""No scale is finer than this, or noise would look like an effect while the first cells arrive."""


@dataclass(frozen=True)
class MapNumbers:
    """Data of a heatmap.

    `row_groups`: rows from top to bottom: the words of a category and the places of its concepts.
    `values`, `score`, `low`, `high`, `n`, `clear`, `unfinished`, `q`, `marks` (float32 array [concept, layer,
        strength]): NaN where nothing was run, or the effect lacks it. ``score`` is in 0 … 1, and NaN for other metrics.
        ``marks`` are sums of 2 to the place of each mark in `palette.MARKS`.
    `scored`: whether cells are coloured by ``score`` rather than by ``values``.
    `best` (float32 array [concept, strength]): layer of the best cell at each strength.
    `group_means` (float32 array [group, layer, strength]): means of what is coloured over the concepts of each
        row group.
    `folded`: labels of the groups that are one row with their mean.
    `note`, `caption`: legend of the marks of the map, and how many of its cells pass.
    `controls` (dict of str to tuple of arrays [concept, layer, strength]): for each kind of control its mean and the
        ends of the interval of its draws, as differences from unsteered.
    `against`: the control that ``values`` are differences from.
    """

    concepts: list[str]
    categories: list[str]
    row_groups: list[tuple[str, list[int]]]
    layers: list[int]
    strengths: list[float]
    unit: str
    strength_unit: str
    values: np.ndarray
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    clear: np.ndarray
    unfinished: np.ndarray
    q: np.ndarray
    marks: np.ndarray
    note: str
    caption: str
    controls: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    against: str
    scored: bool
    best: np.ndarray
    group_means: np.ndarray
    folded: list[str]

    @classmethod
    def of(cls, state: object) -> MapNumbers:
        """Read them from a widget, or from a mapping with the same names."""
        get = state.__getitem__ if isinstance(state, dict) else lambda name: getattr(state, name)
        concepts, layers, strengths = list(get("concepts")), list(get("layers")), list(get("strengths"))
        shape = len(concepts), len(layers), len(strengths)
        kinds = list(get("controls"))
        stacks = [_array(get(name), (len(kinds), *shape)) for name in _CONTROLS]
        controls = {kind: (stacks[0][i], stacks[1][i], stacks[2][i]) for i, kind in enumerate(kinds)}
        return cls(
            concepts=concepts,
            categories=list(get("categories")),
            row_groups=[(label, list(places)) for label, places in get("row_groups")],
            layers=layers,
            strengths=strengths,
            unit=get("unit"),
            strength_unit=get("strength_unit"),
            **{name: _array(get(name), shape) for name in _CELLS},
            note=get("note"),
            caption=get("caption"),
            controls=controls,
            against=get("against"),
            scored=bool(get("score")),
            best=_array(get("best"), (len(concepts), len(strengths))),
            group_means=_array(get("group_means"), (len(get("row_groups")), *shape[1:])),
            folded=list(get("folded")),
        )

    @property
    def coloured(self) -> np.ndarray:
        """What the colour of a cell says, float32 [concept, layer, strength]."""
        return self.score if self.scored else self.values

    def colour(self, value: float) -> str:
        """Colour of a value of the map, in the light theme."""
        return sequential(value) if self.scored else diverging(value, self.limit)

    def strength_index(self, wanted: float) -> int:
        """Index of the strength nearest to ``wanted``."""
        return min(range(len(self.strengths)), key=lambda i: abs(self.strengths[i] - wanted))

    @property
    def limit(self) -> float:
        """End of the colour scale over all strengths."""
        return 1.0 if self.scored else scale_limit(self.values, self.unit)


def scale_limit(values: np.ndarray, unit: str) -> float:
    """End of a colour scale: the 98th percentile of the sizes, rounded up; one cell cannot wash out the rest."""
    sizes = np.sort(np.abs(values[np.isfinite(values)]), axis=None)
    if sizes.size == 0:
        return 1.0
    size = float(sizes[min(sizes.size - 1, math.floor(0.98 * sizes.size))])
    return nice_ceiling(max(size, _FINEST.get(unit, 0.0)))


def _array(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(data, np.float32).reshape(shape) if data else np.full(shape, np.nan, np.float32)


def map_note(
    against: str,
    *,
    scored: bool,
    tested: bool,
    outliers: bool,
    unfinished: bool = False,
    marks: Collection[str] = (),
) -> str:
    """Legend of the marks of a map.

    `against`: the kind of control that effects are differences from.
    `scored`: whether colours are scores of answers rather than effects.
    `tested`: whether cells are tested in the grid, so that fading goes by that.
    `outliers`: whether any cell lies beyond the scale.
    `unfinished`: whether any cell has too few images or draws for a verdict.
    `marks`: names of `palette.MARKS` that any cell has.
    """
    what = ("score of answers, 0 … 1", "score") if scored else (f"beyond {control_label(against)}", "effect")
    parts = [what[0], f"faded: {'does not pass in the grid' if tested else 'not clear of the controls'}"]
    shown = [mark for name, mark in MARKS.items() if name in marks] + [UNFINISHED] * unfinished
    parts += [f"{mark['sign']}\N{NO-BREAK SPACE}{mark['label']}" for mark in shown]
    parts += ["corner: beyond the scale"] * outliers
    return " · ".join([*parts, f"best: layer of the largest {what[1]} at this dose, before any verdict"])


def digits_for(scale: float) -> int:
    """Decimal places for values up to ``scale``."""
    if not scale > 0:
        return 1
    if scale >= 100:
        return 0
    return 1 if scale > 2 else min(5, 2 - min(0, math.floor(math.log10(scale)) + 1))


def fewest(value: float) -> int:
    """As few digits as give a number of at most two figures exactly, for the ends of a scale."""
    exact = Decimal(f"{value:.1e}").normalize()
    return max(0, -int(exact.as_tuple().exponent))


def plain(value: float, digits: int = 1) -> str:
    """A number with a proper minus; NaN and infinities as a dash."""
    if not math.isfinite(value):
        return "–"
    text = fixed(abs(value), digits)
    return f"−{text}" if value < 0 and float(text) else text


def signed(value: float, digits: int = 1) -> str:
    """A difference: the sign is always shown, except for what rounds to zero."""
    text = plain(value, digits)
    return f"+{text}" if value > 0 and math.isfinite(value) and float(text) else text


def interval(low: float, high: float, digits: int = 1) -> str:
    """Both ends in brackets."""
    return f"[{signed(low, digits)}, {signed(high, digits)}]"


def q_value(q: float) -> str:
    """A false discovery rate with its name, "q = .013"."""
    text = chance(q)
    return f"q {text}" if text.startswith("<") else f"q = {text}"


def dose(value: float) -> str:
    """A strength: −2, ½, 1.25."""
    size = abs(value)
    short = fixed(size, 3)
    text = {0.5: "½", 0.25: "¼"}.get(size, short.rstrip("0").rstrip(".") if "." in short else short)
    return f"−{text}" if value < 0 else text


def words(identifier: str) -> str:
    """Words of an identifier: `visual_style` is "visual style"."""
    return identifier.replace("_", " ")


Marks = list[list[int]]
"""``[start, stop, negated]`` of each mention, in UTF-16 code units, which is how JavaScript counts in a string."""


def marks(answer: str, concepts: Iterable[Sequence[str]], negations: Sequence[str] = NEGATIONS) -> Marks:
    """Spans of an answer that name one of several concepts.

    `concepts`: words of each concept. `negations`: as in `metrics.spans`. Returns list of [int, int, int]: in order and
    without overlap: mentions that overlap, such as "cat" in "black cat", become one, which is negated only if they all
    are.
    """
    ordered = sorted(span for words in concepts for span in spans(answer, words, negations=negations))
    joined: list[Span] = []
    for span in ordered:
        last = joined[-1] if joined else None
        if last is not None and span.start < last.stop:
            joined[-1] = Span(last.start, max(last.stop, span.stop), last.negated and span.negated)
        else:
            joined.append(span)
    return [[_utf16(answer, span.start), _utf16(answer, span.stop), int(span.negated)] for span in joined]


def _utf16(text: str, characters: int) -> int:
    """UTF-16 code units in the first characters of a text: characters beyond U+FFFF, such as emoji, take two."""
    return len(text[:characters].encode("utf-16-le", "surrogatepass")) // 2
