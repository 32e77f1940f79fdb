"""The still image of each widget, for papers and for viewers that run no widgets: map, dose curve, answers.

One table of cases, ``tests/marking.json``, holds both.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from mllm_probe.plots.effects import Band, Curves, Series, counted, effect_label, mark_box, mark_weights, strength_label
from mllm_probe.plots.palette import FADED, MARKS, UNFINISHED, control_label, diverging
from mllm_probe.schema import CONCEPT, layer_name
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import MapNumbers, dose, fewest, plain, signed, strength_unit
from mllm_probe.widgets.pictures import drawing as fonts
from mllm_probe.widgets.pictures.drawing import Area, Box, Dot, Drawing, Line, Photo, Shape, Text, of_control

if TYPE_CHECKING:
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
    from mllm_probe.widgets.inside.patch_overlay import PatchOverlay
    from mllm_probe.widgets.panel.steering_panel import SteeringPanel


_HEAD, _COLUMNS, _GAP, _FOOT = 46, 36, 6, 32
_CATEGORY = 24
_EDGE = 10
_LONGEST_NAME = 190
_BEST = 34
"""Width of the column with the layers of the best cells."""
_NARROWEST = 640.0
"""As wide as the image of a panel, which a lab draws below its map."""
_HEADING = 16
_LINE = 15


def map_picture(
    numbers: MapNumbers,
    strength: float,
    *,
    quantity: str,
    note: str = "",
    selected: tuple[str, int] | None = None,
) -> Drawing:
    """Draw the map at one strength.

    `strength`: the nearest one that was run is drawn.
    `quantity`: label of the numbers.
    `note`: provenance; a second line of the heading.
    `selected`: a cell to frame.
    """
    index = numbers.strength_index(strength)
    row, size = (18, 12.0) if len(numbers.concepts) <= 36 else (14, 11.0)
    names = [fonts.clipped(name, size, _LONGEST_NAME) for name in numbers.concepts]
    groups = [(label, places, bool(label) and label in numbers.folded) for label, places in numbers.row_groups]
    left = _CATEGORY + max([60.0, *(fonts.width(name, size) for name in names)]) + 10
    column = max(11.0, min(120.0, (_NARROWEST - left - _EDGE - _BEST) / max(1, len(numbers.layers))))
    # Where a category's name is longer than its rows are high, all stand above their rows instead of beside them.
    headings = any(not f and fonts.width(label, 10) > len(places) * row for label, places, f in groups)
    lines = sum(_HEADING for label, _, folded in groups if headings and label and not folded)
    rows = sum(1 if folded else len(places) for _, places, folded in groups)
    at = f"strength {dose(numbers.strengths[index])} {strength_unit(numbers.strength_unit)}"
    right = left + column * len(numbers.layers)
    width = max(right + _BEST + _EDGE, _NARROWEST)
    about = " · ".join(part for part in (at, counted(numbers.n[:, :, index]), note) if part)
    lines_above = fonts.wrapped(about, 11, width - 20, 3)
    lines_below = [
        line
        for text in (numbers.note, numbers.caption)
        if text
        for line in fonts.wrapped(text, 10.5, width - left - 8, 3)
    ]
    head = _HEAD + _LINE * (len(lines_above) - 1)
    foot = _FOOT + _LINE * len(lines_below)
    height = head + _COLUMNS + rows * row + len(numbers.row_groups) * _GAP + lines + foot
    drawing = Drawing(width, height, f"{quantity}, {at}")
    drawing.add(Text(10, 16, fonts.clipped(quantity, 13, width - 20, bold=True), 13, "ink", bold=True))
    drawing.add(*(Text(10, 34 + _LINE * i, line, 11, "soft") for i, line in enumerate(lines_above)))
    _column_names(drawing, numbers, left, column, head)
    drawing.add(Text(right + _BEST / 2, head + 26, "best", 10.5, "faint", "middle"))
    y: float = head + _COLUMNS
    for group, (label, places, folded) in enumerate(groups):
        if folded:
            name = fonts.clipped(f"{label} ({len(places)})", 11, left - 17)
            drawing.add(Text(left - 7, y + row / 2, name, 11, "faint", "end"))
            _means(drawing, numbers, numbers.group_means[group, :, index], (left, y, column, row))
            y += row + _GAP
            continue
        if headings and label:
            drawing.add(Text(10, y + _HEADING / 2, fonts.clipped(label, 10, width - 20), 10, "faint"))
            y += _HEADING
        elif label:
            drawing.add(Text(10, y + len(places) * row / 2, label, 10, "faint", "middle", turned=True))
        for concept in places:
            drawing.add(Text(left - 7, y + row / 2, names[concept], size, "ink", "end"))
            _cells(drawing, numbers, concept, index, (left, y, column, row))
            best = float(numbers.best[concept, index])
            if np.isfinite(best):
                drawing.add(Text(right + _BEST / 2, y + row / 2, str(layer_name(int(best))), 10.5, "soft", "middle"))
            if selected and selected[0] == numbers.concepts[concept] and selected[1] in numbers.layers:
                x = left + numbers.layers.index(selected[1]) * column
                drawing.add(Box(x - 0.5, y - 0.5, column, row, stroke="brand", weight=2))
            y += row
        y += _GAP
    _legend(drawing, numbers, left, y + 4, min(column * len(numbers.layers), 360.0))
    drawing.add(*(Text(left, y + 39 + _LINE * i, line, 10.5, "faint") for i, line in enumerate(lines_below)))
    return drawing


def _column_names(drawing: Drawing, numbers: MapNumbers, left: float, column: float, head: float) -> None:
    every = max(1, int(-(-20 // column)))
    middle = left + column * len(numbers.layers) / 2
    drawing.add(Text(middle, head + 9, "edited layer (decoder block)", 10.5, "faint", "middle"))
    for i, layer in enumerate(numbers.layers):
        if i % every == 0:
            drawing.add(Text(left + (i + 0.5) * column, head + 26, str(layer_name(layer)), 10.5, "faint", "middle"))


def _cells(
    drawing: Drawing, numbers: MapNumbers, concept: int, index: int, place: tuple[float, float, float, float]
) -> None:
    left, y, column, row = place
    for layer in range(len(numbers.layers)):
        at = concept, layer, index
        value, unfinished = float(numbers.coloured[at]), numbers.unfinished[at] == 1
        x = left + layer * column
        if not np.isfinite(value):
            drawing.add(Box(x + 0.5, y + 0.5, column - 2, row - 2, stroke="line"))
            continue
        marks = [mark for i, mark in enumerate(MARKS.values()) if int(np.nan_to_num(numbers.marks[at])) >> i & 1]
        if MARKS["broken"] in marks:
            drawing.add(Box(x + 1, y + 1, column - 3, row - 3, stroke="warn", weight=1.2))
        else:
            opacity = FADED if numbers.clear[at] == 0 and not unfinished else 1.0
            drawing.add(Box(x, y, column - 1, row - 1, fill=numbers.colour(value), opacity=opacity))
        if abs(value) > numbers.limit:
            corner, size = x + column - 1, min(6.0, row / 3, column / 3)
            drawing.add(Area(((corner - size, y), (corner, y), (corner, y + size)), "ink"))
        for mark in [*marks, *[UNFINISHED] * bool(unfinished)][-1:]:
            _mark(drawing, mark["strokes"], (x, y, column - 1, row - 1))


def _means(drawing: Drawing, numbers: MapNumbers, means: np.ndarray, place: tuple[float, float, float, float]) -> None:
    """The row of a folded category: the mean over its concepts at each layer."""
    left, y, column, row = place
    for layer, mean in enumerate(means):
        if np.isfinite(mean):
            drawing.add(Box(left + layer * column, y, column - 1, row - 1, fill=numbers.colour(float(mean))))


def _mark(drawing: Drawing, strokes: list[list[list[float]]], cell: tuple[float, float, float, float]) -> None:
    """The last mark of a cell; the readout of the widget names all of them."""
    left, top, width, height = cell
    inset, down, side = mark_box(width, height)
    weight, halo = mark_weights(side)
    for stroke, wide in (("paper", halo), ("ink", weight)):
        for line in strokes:
            points = tuple((left + inset + side * px, top + down + side * py) for px, py in line)
            drawing.add(Line(points, stroke, wide))


def _legend(drawing: Drawing, numbers: MapNumbers, left: float, y: float, width: float) -> None:
    low, limit, steps = 0.0 if numbers.scored else -numbers.limit, numbers.limit, 64
    width = max(width, 160.0)
    for step in range(steps):
        colour = numbers.colour(low + (limit - low) * (step + 0.5) / steps)
        drawing.add(Box(left + step * width / steps, y, width / steps + 0.3, 8, fill=colour))
    digits = fewest(limit)
    unit = f" {numbers.unit}" if numbers.unit else ""
    ends = ("0", "0.5", "1") if numbers.scored else (plain(low, digits), "0", signed(limit, digits) + unit)
    drawing.add(
        Line(((left + width / 2, y), (left + width / 2, y + 11)), "faint"),
        *(
            Text(left + width * share, y + 18, end, 10.5, "faint", anchor)
            for share, end, anchor in zip((0, 0.5, 1), ends, ("start", "middle", "end"), strict=True)
        ),
    )


_DOSE_WIDTH, _PLOT = 420.0, 146.0
_LEFT, _RIGHT, _TOP = 62.0, 16.0, 66.0
_AXIS, _KEY_ROW = 46.0, 18.0


def dose_curves(numbers: MapNumbers, concept: str, layer: int, *, quantity: str = "", note: str = "") -> Curves:
    """Describe effect against strength for one cell of a map.

    `quantity`: label of the numbers. `note`: Provenance. Returns: of the strengths that were run, in order; bands are
    seen from the mean of the control that effects are differences from. Raises ValueError if the concept or layer is
    none of the map, or it holds no controls.
    """
    if concept not in numbers.concepts or layer not in numbers.layers:
        raise ValueError(
            f"there is no cell '{concept}' at layer {layer}; concepts are {', '.join(numbers.concepts)}, layers "
            f"{', '.join(map(str, numbers.layers))}."
        )
    if not numbers.controls:
        raise ValueError("an effect is not drawn without its controls, and this map has none.")
    row, column = numbers.concepts.index(concept), numbers.layers.index(layer)
    order = [i for i in np.argsort(numbers.strengths) if np.isfinite(numbers.values[row, column, i])]
    cells = row, column, order
    x = np.asarray(numbers.strengths, dtype=float)[order]
    parts = {name: getattr(numbers, name)[cells] for name in ("low", "high", "n")}
    value, clear = numbers.values[cells], numbers.clear[cells] == 1
    reference = numbers.controls.get(numbers.against, next(iter(numbers.controls.values())))[0][cells]
    n = counted(parts["n"])
    return Curves(
        title=f"{concept}, layer {layer_name(layer)}",
        quantity=quantity,
        caption=[" · ".join(part for part in (n, "95 % intervals over images and draws", note) if part)],
        x_label=strength_label(numbers.strength_unit),
        y_label=effect_label(numbers.unit),
        series=[Series(concept, numbers.categories[row], x, value, **parts, clear=clear)],
        bands=[
            Band(kind, x, *(array[cells] - reference for array in arrays)) for kind, arrays in numbers.controls.items()
        ],
    )


def dose_picture(numbers: MapNumbers, concept: str, layer: int, *, quantity: str, note: str = "") -> Drawing:
    """Draw effect against strength; parameters and errors as for `dose_curves`."""
    curves = dose_curves(numbers, concept, layer, quantity=quantity, note=note)
    keys = _keys(curves)
    caption = fonts.wrapped(" · ".join(curves.caption), 10.5, _DOSE_WIDTH - 20, 3)
    top = _TOP + 14 * (len(caption) - 1)
    foot = top + _PLOT + _AXIS
    height = foot + _KEY_ROW * (keys[-1][1] + 1) + 4
    drawing = Drawing(_DOSE_WIDTH, height, f"{concept} at layer {layer}: {quantity} by strength")
    frame = _Frame(curves, top, top + _PLOT)
    drawing.add(*(Text(10, 49 + 14 * i, line, 10.5, "soft") for i, line in enumerate(caption)))
    _axes(drawing, frame, curves, numbers.strengths)
    for band in curves.bands:
        _band(drawing, frame, band)
    for line in curves.series:
        _curve(drawing, frame, line)
    for x, row, colour, text in keys:
        _key(drawing, _LEFT + x, foot + _KEY_ROW * row, colour, text)
    return drawing


class _Frame:
    """Coordinates of values on the sheet."""

    def __init__(self, curves: Curves, top: float, bottom: float) -> None:
        self.low, self.high = curves.y_limits
        self.first, self.last = curves.x_limits
        self.top, self.bottom = top, bottom
        step = _step(self.high - self.low)
        self.ticks = [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        self.digits = max(0, -math.floor(math.log10(step) + 1e-9))

    def x(self, strength: float) -> float:
        share = (strength - self.first) / (self.last - self.first)
        return _LEFT + 8 + share * (_DOSE_WIDTH - _LEFT - _RIGHT - 16)

    def y(self, value: float) -> float:
        return self.top + (self.high - value) / (self.high - self.low) * (self.bottom - self.top)

    def points(self, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
        """Places of the points whose value is known."""
        return [(self.x(float(a)), self.y(float(b))) for a, b in zip(x, y, strict=True) if np.isfinite(b)]


def _step(span: float) -> float:
    """A round distance between ticks: 1, 2 or 5 × 10ⁿ, about five of them."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)


def _axes(drawing: Drawing, frame: _Frame, curves: Curves, strengths: list[float]) -> None:
    room, right, bottom = _DOSE_WIDTH - 20, _DOSE_WIDTH - _RIGHT, frame.bottom
    drawing.add(Text(10, 15, fonts.clipped(curves.title, 13, room, bold=True), 13, "ink", bold=True))
    drawing.add(Text(10, 33, fonts.clipped(curves.quantity, 11, room), 11, "soft"))
    for tick in frame.ticks:
        y = frame.y(tick)
        drawing.add(Line(((_LEFT, y), (right, y)), "line"))
        drawing.add(Text(_LEFT - 6, y, plain(tick, frame.digits), 10.5, "faint", "end"))
    drawing.add(Line(((_LEFT, frame.y(0)), (right, frame.y(0))), "faint"))
    drawing.add(Line(((frame.x(0), frame.top), (frame.x(0), bottom)), "faint", dash=(2, 3)))
    inside = [strength for strength in sorted({*strengths, 0.0}) if frame.first <= strength <= frame.last]
    for strength in inside:
        drawing.add(Text(frame.x(strength), bottom + 12, dose(strength), 10.5, "faint", "middle"))
    drawing.add(Text((_LEFT + right) / 2, bottom + 29, curves.x_label, 11, "soft", "middle"))
    drawing.add(Text(15, (frame.top + bottom) / 2, curves.y_label, 11, "soft", "middle", turned=True))


def _band(drawing: Drawing, frame: _Frame, band: Band) -> None:
    colour = of_control(band.control)
    known = np.isfinite(band.low) & np.isfinite(band.high)
    if known.sum() > 1:
        above = frame.points(band.x[known], band.high[known])
        below = frame.points(band.x[known], band.low[known])[::-1]
        drawing.add(Area((*above, *below), colour, 0.22))
    line = frame.points(band.x, band.mean)
    if len(line) > 1:
        drawing.add(Line(tuple(line), colour, 1.5, (5, 3)))


def _curve(drawing: Drawing, frame: _Frame, line: Series) -> None:
    for x, low, high in zip(line.x, line.low, line.high, strict=True):
        if np.isfinite(low) and np.isfinite(high):
            at = frame.x(float(x))
            drawing.add(Line(((at, frame.y(float(low))), (at, frame.y(float(high)))), "brand", 1.5, opacity=0.7))
    points = frame.points(line.x, line.value)
    if len(points) > 1:
        drawing.add(Line(tuple(points), "brand", 2))
    for (x, y), clear in zip(points, line.clear, strict=True):
        drawing.add(Dot(x, y, 3.6, "brand" if clear else "paper", "brand"))


Key = tuple[float, int, str, str]
"""Place in its row, row, colour and words of an entry of the legend."""


def _keys(curves: Curves) -> list[Key]:
    """Entries of the legend: the concept in a row of its own, and as many controls in a row as it has room for."""
    keys: list[Key] = [(0.0, 0, "brand", "concept; filled: passes in the grid")]
    for band in curves.bands:
        x, row, _, before = keys[-1]
        x, label = x + 42 + fonts.width(before, 10.5), control_label(band.control)
        begins = row == 0 or x + 42 + fonts.width(label, 10.5) > _DOSE_WIDTH - _LEFT
        keys.append((0.0 if begins else x, row + begins, of_control(band.control), label))
    return keys


def _key(drawing: Drawing, x: float, y: float, colour: str, text: str) -> None:
    if colour == "brand":
        drawing.add(Line(((x, y), (x + 18, y)), "brand", 2), Dot(x + 9, y, 3.6, "brand", "brand"))
    else:
        drawing.add(Box(x, y - 5, 18, 10, fill=colour, opacity=0.3), Line(((x, y), (x + 18, y)), colour, 1.5, (5, 3)))
    drawing.add(Text(x + 24, y, text, 10.5, "soft"))


_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufeff]+")
"""No space, control character or byte-order mark, which JavaScript counts among the spaces and Python does not."""


class Piece(NamedTuple):
    """A part of an answer that is painted in one way.

    `changed`: part of a word that is new against the unsteered answer. `kind` ({"", "named", "negated"}): part of a
    mention of a concept.
    """

    text: str
    changed: bool
    kind: str


def pieces(answer: str, baseline: str | None, spans: Sequence[Sequence[int]]) -> list[Piece]:
    """Cut an answer where a changed word or a mention begins or ends.

    `baseline`: the unsteered answer, of which a longest common subsequence is not marked; None marks nothing as
    changed. `spans` (sequence of [start, stop, negated]): mentions of the concepts, in UTF-16 code units.
    """
    words = list(_WORD.finditer(answer))
    bare = [_bare(word.group()) for word in words]
    reference = bare if baseline is None else [_bare(word) for word in _WORD.findall(baseline)]
    kept = _common(bare, reference)
    changed = [word.span() for place, word in enumerate(words) if place not in kept]
    mentions = [(_characters(answer, start), _characters(answer, stop)) for start, stop, _ in spans]
    kinds = ["negated" if negated else "named" for *_, negated in spans]
    cuts = sorted({0, len(answer), *(end for ends in [*changed, *mentions] for end in ends)})
    return [
        Piece(
            answer[start:stop],
            any(first <= start and stop <= last for first, last in changed),
            next(
                (kind for (first, last), kind in zip(mentions, kinds, strict=True) if first <= start and stop <= last),
                "",
            ),
        )
        for start, stop in pairwise(cuts)
    ]


def _characters(text: str, units: int) -> int:
    """Characters in the first UTF-16 code units of a text."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "surrogatepass"))


def _bare(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _common(words: list[str], reference: list[str]) -> set[int]:
    """Places of the words that belong to a longest common subsequence with ``reference``."""
    length = np.zeros((len(words) + 1, len(reference) + 1), int)
    for i in reversed(range(len(words))):
        for j in reversed(range(len(reference))):
            same = words[i] == reference[j]
            length[i, j] = length[i + 1, j + 1] + 1 if same else max(length[i + 1, j], length[i, j + 1])
    kept: set[int] = set()
    i = j = 0
    while i < len(words) and j < len(reference):
        if words[i] == reference[j]:
            kept.add(i)
            i, j = i + 1, j + 1
        elif length[i + 1, j] >= length[i, j + 1]:
            i += 1
        else:
            j += 1
    return kept


_WIDTH = 640.0
_PHOTO = 150.0
_SHADED = 320.0
_STRONGEST = 0.85
_ANSWERS = (("baseline", "baseline (unsteered)"), ("steered", "steered"), ("random", "random direction, same size"))
_MENTIONS = {
    "named": partial(Line, stroke="brand", weight=1.6),
    "negated": partial(Line, stroke="soft", dash=(2.0, 2.0)),
}
_NOTHING = "not answered yet"


def picture_of_map(widget: LayerConceptHeatmap, what: str) -> Drawing:
    """Image of a heatmap: its ``"map"``, or the ``"dose_response"`` of the selected cell.

    Raises ValueError if ``what`` is neither.
    """
    if what not in ("map", "dose_response"):
        raise ValueError(f"a heatmap has no drawing '{what}'; it has map, dose_response.")
    if what == "map" and not (widget.concepts and widget.strengths):
        return card("Effect by concept and layer", ["Nothing has been measured yet."])
    numbers = MapNumbers.of(widget)
    about = {"quantity": quantity(widget), "note": made_with(widget.provenance)}
    if what == "map":
        return map_picture(numbers, widget.strength, selected=(widget.concept, widget.layer), **about)
    return dose_picture(numbers, widget.concept, widget.layer, **about)


def quantity(widget: LayerConceptHeatmap) -> str:
    """Label of the numbers of a heatmap."""
    return str(widget.metric_labels.get(widget.metric, widget.metric))


def made_with(provenance: Traits) -> str:
    """Provenance of a grid: model, scope and operation."""
    parts = [provenance.get("model"), str(provenance.get("scope", "")).replace("+", " + "), provenance.get("operation")]
    return " · ".join(str(part) for part in parts if part)


def picture_of_panel(widget: SteeringPanel) -> Drawing:
    """Image of a steering panel: the photograph, the setting and the three answers."""
    left = 12 + _PHOTO + 18
    room = _WIDTH - left - 24
    heading = f"{widget.concept or 'no concept'} · layer {_layers(widget)} · strength {_dose_of(widget)}"
    drawing = Drawing(_WIDTH, 0, f"Steering panel: {heading}")
    drawing.add(Text(12, 18, fonts.clipped(heading, 13, _WIDTH - 24, bold=True), 13, "ink", bold=True))
    question = fonts.wrapped(f"{widget.prompt} · {widget.scope.replace('+', ' + ')}", 11, _WIDTH - 24, 3)
    drawing.add(*(Text(12, 37 + 15 * i, line, 11, "soft") for i, line in enumerate(question)))
    below = 52.0 + 15 * (len(question) - 1)
    if 0 <= widget.picture < len(widget.pictures):
        drawing.add(Photo(12, below, _PHOTO, _PHOTO, bytes(widget.pictures[widget.picture]["png"])))
    drawing.add(Box(12, below, _PHOTO, _PHOTO, stroke="line"))
    y = below + 8
    baseline = widget.answers.get("baseline") or None
    for name, title in _ANSWERS:
        answer = widget.answers.get(name) or ""
        spans = widget.answers.get("spans", {}).get(name, [])
        lines = fonts.wrapped(answer or _NOTHING, 13, room, 4)
        drawing.add(Text(left + 12, y + 2, title, 10.5, "faint"))
        _write(drawing, lines, pieces(answer, None if name == "baseline" else baseline, spans), left + 12, y + 20)
        bottom = y + 10 + 18 * len(lines)
        drawing.add(Line(((left, y - 6), (left, bottom)), "brand" if name == "steered" else "line", 3))
        y = bottom + 22
    drawing.height = max(below + _PHOTO + 12, y - 6)
    return drawing


def _write(drawing: Drawing, lines: list[str], shown: list[Piece], left: float, y: float) -> None:
    """Lines of an answer: changed words on a tint, mentions of the concepts underlined, negated ones dashed."""
    letters = iter([piece for piece in shown for letter in piece.text if not letter.isspace()])
    space = fonts.width(" ", 13)
    for line in lines:
        x = left
        for word in line.split():
            glyphs, width = list(islice(letters, len(word))), fonts.width(word, 13)
            if any(piece.changed for piece in glyphs):
                drawing.add(Box(x - 2, y - 9, width + 4, 18, fill="brand", opacity=0.16))
            for kind, run in groupby(enumerate(glyphs), key=lambda letter: letter[1].kind):
                places = [place for place, _ in run]
                ends = [(x + fonts.width(word[:place], 13), y + 8) for place in (places[0], places[-1] + 1)]
                drawing.add(*([_MENTIONS[kind](tuple(ends))] if kind else []))
            x += width + space
        drawing.add(Text(left, y, line, 13, "ink"))
        y += 18


def picture_of_patches(widget: PatchOverlay) -> Drawing:
    """Image of an overlay: what it reads, the faded image below its shade, the painted patches and the scale."""
    values = np.frombuffer(widget.values, "<f4")
    if not values.size or not widget.picture:
        return card("Concept by patch", [widget.message or "Nothing has been read yet."])
    values = values.reshape(len(widget.layers), widget.rows, widget.columns)[widget.layers.index(widget.layer)]
    heading = f"{widget.shown.get(CONCEPT, widget.concept)} · layer {layer_name(widget.layer)}"
    faded, height = _faded(bytes(widget.picture))
    drawing = Drawing(_SHADED + 24, height + 98, f"Patches: {heading}")
    room = drawing.width - 24
    drawing.add(Text(12, 18, fonts.clipped(heading, 13, room, bold=True), 13, "ink", bold=True))
    drawing.add(Photo(12, 36, _SHADED, height, faded))
    drawing.add(*_patches(np.clip(values / widget.limit, -1, 1), widget.mask, height))
    low, high = plain(-widget.limit, fewest(widget.limit)), signed(widget.limit, fewest(widget.limit))
    scale = f"colours: {low} (blue) to {high} (orange) {widget.unit}"
    lines = [fonts.clipped(scale, 10.5, room), *fonts.wrapped(f"{widget.meaning}.", 10.5, room, 2)]
    drawing.add(*(Text(12, height + 52 + 16 * i, line, 10.5, "faint") for i, line in enumerate(lines)))
    return drawing


def _faded(png: bytes) -> tuple[bytes, float]:
    """An image in pale grey, so that hue says only what the shade says, and its height on the sheet."""
    with Image.open(io.BytesIO(png)) as image:
        grey = image.convert("L").point([round(0.45 * value + 0.55 * 255) for value in range(256)])
    buffer = io.BytesIO()
    grey.save(buffer, format="PNG")
    return buffer.getvalue(), _SHADED * grey.height / grey.width


def _patches(shares: np.ndarray, mask: list[list[bool]], height: float) -> list[Box]:
    """Shades of patches, from shares −1 … 1 of the scale, and frames around those that are painted."""
    rows, columns = shares.shape
    wide, high = _SHADED / columns, height / rows
    places = {at: (12 + at[1] * wide, 36 + at[0] * high, wide, high) for at in np.ndindex(rows, columns)}
    known = [(places[at], float(share)) for at, share in np.ndenumerate(shares) if np.isfinite(share)]
    shades = [
        Box(*place, fill=diverging(np.sign(share), 1.0), opacity=_STRONGEST * abs(share)) for place, share in known
    ]
    painted = np.array(mask, dtype=object)
    framed = [places[at] for at in places if painted.shape == shares.shape and painted[at]]
    return shades + [Box(*place, stroke="ink", weight=2) for place in framed]


def _layers(widget: SteeringPanel) -> str:
    first, last = widget.window
    return str(first) if first == last else f"{first} to {last}"


def _dose_of(widget: SteeringPanel) -> str:
    text = f"{dose(widget.strength)} {strength_unit(widget.strength_unit)}"
    return f"{text} with {widget.second} {dose(widget.second_strength)}" if widget.second else text


def card(title: str, lines: list[str]) -> Drawing:
    """A few lines of text, for widgets without an image of their own."""
    wrapped = [line for text in lines for line in fonts.wrapped(text, 12, _WIDTH - 32, 4)]
    drawing = Drawing(_WIDTH, 44 + 18 * len(wrapped), title)
    drawing.add(Box(0.5, 0.5, drawing.width - 1, drawing.height - 1, stroke="line"))
    drawing.add(Text(16, 22, fonts.clipped(title, 13, _WIDTH - 32, bold=True), 13, "ink", bold=True))
    drawing.add(*(Text(16, 42 + 18 * i, line, 12, "soft") for i, line in enumerate(wrapped)))
    return drawing


def above_each_other(drawings: list[Drawing], title: str) -> Drawing:
    """Several drawings on one sheet."""
    sheet = Drawing(max(drawing.width for drawing in drawings), sum(drawing.height for drawing in drawings), title)
    y = 0.0
    for drawing in drawings:
        sheet.add(*(_shifted(shape, y) for shape in drawing.shapes))
        y += drawing.height
    return sheet


def _shifted(shape: Shape, y: float) -> Shape:
    """A shape moved down."""
    if isinstance(shape, (Line, Area)):
        return replace(shape, points=tuple((px, py + y) for px, py in shape.points))
    return replace(shape, y=shape.y + y)
