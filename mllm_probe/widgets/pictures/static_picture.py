"""The static image of each widget: for papers, and for viewers that run no widgets."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from mllm_probe.plots.palette import diverging
from mllm_probe.schema import CONCEPT
from mllm_probe.widgets.base.numbers import MapNumbers, dose, strength_unit
from mllm_probe.widgets.pictures import Drawing, fonts
from mllm_probe.widgets.pictures.dose_picture import dose_picture
from mllm_probe.widgets.pictures.drawing import Box, Line, Photo, Text
from mllm_probe.widgets.pictures.map_picture import map_picture

_WIDTH = 640.0
_PHOTO = 150.0
_SHADED = 320.0
_STRONGEST = 0.85
_ANSWERS = (("baseline", "baseline (unsteered)"), ("steered", "steered"), ("random", "random direction, same size"))
_NOTHING = "not answered yet"


def picture_of_map(widget: Any, what: str) -> Drawing:
    """Image of a heatmap: its ``"map"``, or the ``"dose_response"`` of the selected cell.

    Raises
    ------
    ValueError
        If ``what`` is neither.
    """
    drawn: dict[str, Callable[[], Drawing]] = {"map": lambda: _map(widget), "dose_response": lambda: _dose(widget)}
    if what not in drawn:
        raise ValueError(f"a heatmap has no picture '{what}'; it has {', '.join(drawn)}.")
    return drawn[what]()


def quantity(widget: Any) -> str:
    """Label of the numbers of a heatmap."""
    return str(widget.metric_labels.get(widget.metric, widget.metric))


def made_with(provenance: dict[str, Any]) -> str:
    """Provenance of a grid: model, scope and operation."""
    parts = [provenance.get("model"), str(provenance.get("scope", "")).replace("+", " + "), provenance.get("operation")]
    return " · ".join(str(part) for part in parts if part)


def _map(widget: Any) -> Drawing:
    if not widget.concepts:
        return card("Effect by concept and layer", ["Nothing has been measured yet."])
    numbers = MapNumbers.of(widget)
    selected = (widget.concept, widget.layer)
    title, note = quantity(widget), made_with(widget.provenance)
    return map_picture(numbers, widget.strength, title=title, note=note, selected=selected)


def _dose(widget: Any) -> Drawing:
    numbers = MapNumbers.of(widget)
    return dose_picture(
        numbers, widget.concept, widget.layer, quantity=quantity(widget), note=made_with(widget.provenance)
    )


def picture_of_panel(widget: Any) -> Drawing:
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
        marked = marked_words(answer, None if name == "baseline" else baseline, spans)
        lines = fonts.wrapped(answer or _NOTHING, 13, room, 4)
        top, y = y - 6, y + 2
        drawing.add(Text(left + 12, y, title, 10.5, "faint"))
        for line in lines:
            y += 18
            _write(drawing, line, marked, left + 12, y)
            marked = marked[len(line.split()) :]
        drawing.add(Line(((left, top), (left, y + 8)), "brand" if name == "steered" else "line", 3))
        y += 30
    drawing.height = max(below + _PHOTO + 12, y - 6)
    return drawing


def _write(drawing: Drawing, line: str, marked: list[Marked], x: float, y: float) -> None:
    """One line of an answer: changed words on a tint, mentions of the concepts underlined, negated ones dashed."""
    space = fonts.width(" ", 13)
    for word, (_, changed, mention) in zip(line.split(), marked, strict=False):
        width = fonts.width(word, 13)
        if changed:
            drawing.add(Box(x - 2, y - 9, width + 4, 18, fill="brand", opacity=0.16))
        if mention:
            look = {"stroke": "brand", "weight": 1.6} if mention == "named" else {"stroke": "soft", "dash": (2.0, 2.0)}
            drawing.add(Line(((x, y + 8), (x + width, y + 8)), **look))
        x += width + space
    first = x - sum(fonts.width(word, 13) + space for word in line.split()[: len(marked)])
    drawing.add(Text(first, y, line, 13, "ink"))


Marked = tuple[str, bool, str]
"""A word of an answer, whether it is new against the unsteered answer, and ``"named"``, ``"negated"`` or ``""``."""


def marked_words(answer: str, baseline: str | None, spans: Sequence[Sequence[int]]) -> list[Marked]:
    """Words of an answer as they are marked.

    Parameters
    ----------
    answer : str
    baseline : str or None
        The unsteered answer, of which a longest common subsequence is not marked; None marks nothing as new.
    spans : sequence of [start, stop, negated]
        Mentions of the concepts, in UTF-16 code units.
    """
    words = [(match.group(), match.start(), match.end()) for match in re.finditer(r"\S+", answer)]
    old = None if baseline is None else _common([_bare(w) for w, *_ in words], [_bare(w) for w in baseline.split()])
    units = answer.encode("utf-16-le", "surrogatepass")

    def place(unit: int) -> int:
        return len(units[: 2 * unit].decode("utf-16-le", "ignore"))

    mentions = [(place(start), place(stop), "negated" if negated else "named") for start, stop, negated in spans]
    kinds = [next((kind for a, b, kind in mentions if a < stop and start < b), "") for _, start, stop in words]
    return [(word, old is not None and i not in old, kinds[i]) for i, (word, *_) in enumerate(words)]


def _bare(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _common(words: list[str], reference: list[str]) -> set[int]:
    """Places of the words that belong to a longest common subsequence with ``reference``, as in the front-end."""
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


def picture_of_patches(widget: Any) -> Drawing:
    """Image of an overlay: what it reads, the faded image below its shade, the painted patches and the scale."""
    values = np.frombuffer(widget.values, "<f4")
    if not values.size or not widget.picture:
        return card("Concept by patch", [widget.message or "Nothing has been read yet."])
    values = values.reshape(len(widget.layers), widget.rows, widget.columns)[widget.layers.index(widget.layer)]
    limit = float(np.nanmax(np.abs(values))) or 1.0
    heading = f"{widget.shown.get(CONCEPT, widget.concept)} · layer {widget.layer}"
    faded, height = _faded(bytes(widget.picture))
    drawing = Drawing(_SHADED + 24, height + 98, f"Patches: {heading}")
    room = drawing.width - 24
    drawing.add(Text(12, 18, fonts.clipped(heading, 13, room, bold=True), 13, "ink", bold=True))
    drawing.add(Photo(12, 36, _SHADED, height, faded))
    drawing.add(*_patches(values / limit, widget.mask, height))
    scale = f"colours: −{limit:.2g} (blue) to +{limit:.2g} (orange) {widget.unit}"
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


def _layers(widget: Any) -> str:
    first, last = widget.window
    return str(first) if first == last else f"{first} to {last}"


def _dose_of(widget: Any) -> str:
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


def _shifted(shape: Any, y: float) -> Any:
    """A shape moved down."""
    if hasattr(shape, "points"):
        return replace(shape, points=tuple((px, py + y) for px, py in shape.points))
    return replace(shape, y=shape.y + y)
