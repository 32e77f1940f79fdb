"""The static image of each widget: for papers, and for viewers that run no widgets."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mllm_probe.plots.palette import diverging
from mllm_probe.schema import CONCEPT, layer_name
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import MapNumbers, dose, fewest, plain, signed, strength_unit
from mllm_probe.widgets.pictures import fonts
from mllm_probe.widgets.pictures.drawing import Drawing
from mllm_probe.widgets.pictures.answer_pieces import Piece, pieces
from mllm_probe.widgets.pictures.dose_picture import dose_picture
from mllm_probe.widgets.pictures.drawing import Area, Box, Line, Photo, Shape, Text
from mllm_probe.widgets.pictures.map_picture import map_picture

if TYPE_CHECKING:
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
    from mllm_probe.widgets.inside.patch_overlay import PatchOverlay
    from mllm_probe.widgets.panel.steering_panel import SteeringPanel

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
            own, width = list(islice(letters, len(word))), fonts.width(word, 13)
            if any(piece.changed for piece in own):
                drawing.add(Box(x - 2, y - 9, width + 4, 18, fill="brand", opacity=0.16))
            for kind, run in groupby(enumerate(own), key=lambda letter: letter[1].kind):
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
    sheet = Drawing(max(one.width for one in drawings), sum(one.height for one in drawings), title)
    y = 0.0
    for one in drawings:
        sheet.add(*(_shifted(shape, y) for shape in one.shapes))
        y += one.height
    return sheet


def _shifted(shape: Shape, y: float) -> Shape:
    """A shape moved down."""
    if isinstance(shape, (Line, Area)):
        return replace(shape, points=tuple((px, py + y) for px, py in shape.points))
    return replace(shape, y=shape.y + y)
