"""One offline page from a sweep: how it was made, the map, figures, tables and answers, and how to read them."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import xarray as xr

from mllm_probe.metrics.words import words_of
from mllm_probe.models.argument_checks import described, writable_path_of
from mllm_probe.plots.charts import study_name
from mllm_probe.plots.effects import counted, grid_caption, prompts_text
from mllm_probe.plots.palette import MARKS, control_label
from mllm_probe.reports.study_report import provenance_rows, study_report, unfinished
from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, STEP, STRENGTH, WORDS, layer_name
from mllm_probe.studies.cell_scores import content_checked
from mllm_probe.studies.clear_cells import BestCells, best_cells, clear_cells, strongest_cell
from mllm_probe.studies.effect import effect as effect_of
from mllm_probe.studies.effect import sample_labels
from mllm_probe.typing import JsonObject
from mllm_probe.widgets.base.numbers import (
    MapNumbers,
    Marks,
    chance,
    digits_for,
    dose,
    interval,
    marks,
    plain,
    signed,
    words,
)
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.heatmap.map_cells import first_metric, is_effect
from mllm_probe.widgets.pages.export_pages import Collected
from mllm_probe.widgets.pages.saved_page import (
    Section,
    Written,
    base64_of,
    document,
    facts,
    items,
    main_facts,
    paragraph,
    table,
    write,
)
from mllm_probe.widgets.pictures import svg
from mllm_probe.widgets.pictures.static_picture import dose_picture, quantity

_SCORE = "mean score of the answers"
_HELD_OUT = "on fit images and evaluated on held-out ones, so that the selection does not bias the numbers."
_SAME = (
    "and evaluated on the same images, so these numbers are optimistic; give sweep() both halves of library.split() to "
    "select on one and evaluate on the other."
)
_UNCHECKED = " Without labels of the images, the score does not check what an answer keeps of their content."


def choice_of(best: BestCells, data: xr.Dataset) -> str:
    """Say how the cells were chosen, and on which images they are reported."""
    unchecked = _UNCHECKED if best.by_score and not content_checked(data) else ""
    by = f"the {_SCORE}" if best.by_score else "the largest effect"
    return f"Selected by {by} {_HELD_OUT if best.held_out else _SAME}{unchecked}"


def best_table(best: BestCells, data: xr.Dataset, unit: str) -> str:
    """Table of the best cells, each with its controls and whether it passes in the grid.

    `data`: the grid or effect that they were chosen in. `unit`: of the effect that they are reported with.
    """
    kinds = [str(kind) for kind in best.reported[CONTROL].values]
    score = [_SCORE + (", fit images" if best.held_out else "")] if best.by_score else []
    heads = ["concept", "category", "layer", "strength", *score, f"steered [{unit}]" if unit else "steered"]
    heads += ["beyond random [95 %]", *map(control_label, kinds)]
    heads += [*["content kept"] * (best.kept is not None), "n", "q", "verdict"]
    rows = [
        _best_row(best, name, kinds, bool(score))
        if name in best.cells
        else [*_names(best, name), *["–"] * (len(heads) - 4), 0, "not run"]
        for name in map(str, best.reported[CONCEPT].values)
    ]
    numbers = list(range(2, len(heads) - 1))
    choice = paragraph(choice_of(best, data))
    return choice + table(heads, rows, numbers=numbers, search="best cells", name="best-cells")


def _names(best: BestCells, name: str) -> list[str]:
    concept = best.reported.sel({CONCEPT: name})
    return [name, words(str(concept[CATEGORY].values)) if CATEGORY in concept.coords else ""]


def _best_row(best: BestCells, name: str, kinds: list[str], scored: bool) -> list[object]:
    layer, strength = best.cells[name].layer, best.cells[name].strength
    cell = best.reported.sel({CONCEPT: name, LAYER: layer, STRENGTH: strength})
    digits = digits_for(max(abs(float(cell["difference"])), 1e-9))
    values: list[object] = [
        *[plain(best.cells[name].score, 2)] * scored,
        plain(float(cell["mean"]), digits) if "mean" in cell else "–",
        f"{signed(float(cell['difference']), digits)} {interval(float(cell['low']), float(cell['high']), digits)}",
        *(_around(cell.sel({CONTROL: kind}), digits) for kind in kinds),
    ]
    if best.kept is not None:
        values.append(plain(float(best.kept.sel({CONCEPT: name, LAYER: layer, STRENGTH: strength})), 2))
    values += [int(cell["n"]), chance(float(cell["q"])) if "q" in cell else "–"]
    return [*_names(best, name), layer_name(layer), dose(strength), *values, str(cell["reason"].values)]


def _around(control: xr.Dataset, digits: int) -> str:
    low, high = float(control["control_low"]), float(control["control_high"])
    return f"{plain(float(control['control_mean']), digits)} [{plain(low, digits)}, {plain(high, digits)}]"


MOST = 1_000
_CHANCES: dict[str, Callable[[np.ndarray], float]] = {"p": np.max, "q": float}
"""The largest p over the kinds of control, and q."""


def clearing_table(effect: xr.Dataset, unit: str) -> str:
    """Table of the cells that pass in the grid, with their controls, and how many would pass by chance."""
    ordered = effect.transpose(CONCEPT, LAYER, STRENGTH, ...)
    difference = ordered["difference"].values
    places = clear_cells(ordered)
    kinds = [str(kind) for kind in effect[CONTROL].values]
    in_unit = f" [{unit}]" if unit else ""
    heads = ["concept", "category", "layer", "strength", f"effect{in_unit} [95 %]"]
    heads += [f"{control_label(kind)}, mean [one more draw]" for kind in kinds]
    heads += [*(name for name in _CHANCES if name in effect), "n"]
    rows = [_clear_row(ordered, place, kinds, difference) for place in places[:MOST]]
    numbers = list(range(2, len(heads)))
    about = paragraph(_about(effect, len(places), kinds))
    return about + table(heads, rows, numbers=numbers, search="cells that pass in the grid", name="clear-cells")


def _about(effect: xr.Dataset, passing: int, kinds: list[str]) -> str:
    caption = grid_caption(effect)
    text = f"{caption[:1].upper()}{caption[1:]}. " if caption else ""
    text += f"Cells that pass are clear of every kind of control ({', '.join(map(control_label, kinds))})"
    text += ", at a false discovery rate of .05 over all cells of the grid."
    return f"{text} The {MOST} strongest are listed." if passing > MOST else text


def _clear_row(effect: xr.Dataset, place: np.ndarray, kinds: list[str], difference: np.ndarray) -> list[object]:
    concept, layer, strength = (int(index) for index in place)

    def number(name: str, *more: int) -> float:
        return float(effect[name].values[(concept, layer, strength, *more)])

    digits = digits_for(float(np.nanmax(np.abs(difference))))
    unsteered = number("mean") - number("value") if "mean" in effect and "value" in effect else 0.0
    controls = []
    for kind in range(len(kinds)):
        mean, low, high = (number(f"control_{end}", kind) - unsteered for end in ("mean", "low", "high"))
        controls.append(f"{signed(mean, digits)} {interval(low, high, digits)}")
    chances = [_CHANCES[name](effect[name].values[concept, layer, strength]) for name in _CHANCES if name in effect]
    name = str(effect[CONCEPT].values[concept])
    category = words(str(effect[CATEGORY].values[concept])) if CATEGORY in effect.coords else ""
    value = f"{signed(number('difference'), digits)} {interval(number('low'), number('high'), digits)}"
    at = layer_name(effect[LAYER].values[layer]), dose(float(effect[STRENGTH].values[strength]))
    return [
        name,
        category,
        *at,
        value,
        *controls,
        *(chance(float(probability)) for probability in chances),
        int(number("n")),
    ]


MOST_ANSWERS = 200_000
"""Answers that are kept of the concept, and as many of the random direction."""

_NONE = np.empty(0, np.int32)
_CELL = (CONCEPT, LAYER, STRENGTH)


def answers_of(grid: xr.Dataset, most: int = MOST_ANSWERS) -> JsonObject | None:
    """Collect what the page's search reads.

    `grid`: of a sweep; with ``text``, or None comes back. `most`: answers to keep at most; images beyond are left
    out. Returns: ``texts`` and, as base64 of int32 [concept, layer, strength, sample], indices of them: ``steered`` and
    ``random`` (its first draw), −1 where nothing was run; ``unsteered`` as a list; ``spans``, for each concept the
    mentions (see `marks`) in those of its texts that have any, by index.
    """
    if "text" not in grid or "text_unsteered" not in grid:
        return None
    cells = int(np.prod([grid.sizes[dim] for dim in _CELL]))
    count = max(1, min(grid.sizes[SAMPLE], most // max(1, cells)))
    grid = grid.isel({SAMPLE: slice(count)})
    known: dict[str, int] = {}
    unsteered = _numbered(grid["text_unsteered"].values, known)
    kinds = [str(kind) for kind in grid[CONTROL].values]
    runs = {
        name: _indices(grid.isel({CONTROL: kinds.index(kind), DRAW: 0}), known) if kind in kinds else _NONE
        for name, kind in (("steered", "concept"), ("random", "random"))
    }
    texts = list(known)
    return {
        "concepts": [str(name) for name in grid[CONCEPT].values],
        "spans": _spans(grid, texts, unsteered, runs),
        "layers": [int(layer) for layer in grid[LAYER].values],
        "strengths": [float(strength) for strength in grid[STRENGTH].values],
        "unit": str(grid.attrs.get("unit", "residual")),
        "samples": sample_labels(grid),
        "texts": texts,
        "unsteered": unsteered.tolist(),
        **{name: base64_of(values.tobytes()) for name, values in runs.items()},
    }


def _spans(
    grid: xr.Dataset, texts: list[str], unsteered: np.ndarray, cells: dict[str, np.ndarray]
) -> list[dict[str, Marks]]:
    """Mentions of each concept in the texts that a page shows beside it: its own cells and the unsteered answers."""
    words, marked_texts = words_of(grid), []
    for number, name in enumerate(map(str, grid[CONCEPT].values)):
        numbers = [values[number].ravel() for values in cells.values() if values.size]
        shown = np.unique(np.concatenate([unsteered, *numbers]))
        marked = {str(i): marks(texts[i], [words[name]]) for i in shown.tolist() if i >= 0}
        marked_texts.append({i: spans for i, spans in marked.items() if spans})
    return marked_texts


def _indices(answers: xr.Dataset, known: dict[str, int]) -> np.ndarray:
    numbers = _numbered(answers["text"].transpose(*_CELL, SAMPLE).values, known)
    if "tokens" not in answers:
        return numbers
    run = answers["tokens"].transpose(*_CELL, SAMPLE, STEP).values[..., 0] >= 0
    return np.where(run, numbers, -1).astype(np.int32)


def _numbered(texts: np.ndarray, known: dict[str, int]) -> np.ndarray:
    """Give every text its number in ``known``, which grows."""
    flat = [known.setdefault(str(text), len(known)) for text in texts.ravel()]
    return np.array(flat, np.int32).reshape(texts.shape)


_MAP, _ANSWERS = "mp-map", "mp-answers"

_READING = (
    "A cell of the map is one concept added at the output of one decoder block. Its colour is the effect beyond a "
    "control: the steered score minus that of meaningless directions of the same size, averaged over images.",
    "A cell passes in the grid if it is clear of every kind of control, also when all cells of the grid are tested. "
    "Clear of a control: the effect has the sign that the dose intends, one more draw of the control would lie as far "
    "out with p ≤ .05, and the 95 % interval, which counts the spread over images and that over draws, excludes 0. In "
    "the grid: at a false discovery rate of .05 over all its cells (q ≤ .05, Benjamini–Hochberg), so that of the cells "
    "that pass at most one in twenty is expected to be false. Faded cells and hollow points do not pass: they are no "
    "evidence of an effect. With fewer than 6 images, or 10 for scores that are 0 or 1, no cell passes.",
    "Random directions: isotropic, of the same size, at the same positions. On-manifold directions: random "
    "combinations of the model's own activations. Shuffled labels: directions made the same way from pairs with "
    "exactly half of the labels exchanged.",
    "Score of an answer: 0 if it is broken (perplexity more than ten times the unsteered answer's, or repetition more "
    "than .3 above it), else whether it does what the dose intends, times the share of the true content that it keeps "
    "of what the unsteered answer has. Log-probability of the concept's words is a fast screen: it says where "
    "answers may change, not what they say.",
    *(f"{mark['sign']} in a cell: {mark['label']}." for mark in MARKS.values()),
    "n is the number of images that count: at strengths that bring the concept, images that lack it and whose "
    "unsteered answer does not name it; at those that take it away, images whose unsteered answer names it.",
    "The line at the right of a row is its effect over the layers, with its sign, on the scale of the colours, the "
    "same for all rows. Faded cells are unfinished: they have too few images, or too few draws of the controls, for an "
    "interval, and no verdict.",
    "Where every new token is steered, an answer may repeat one word, most of all at late layers: rank cells by the "
    "score of their answers, and read the answers.",
)


def report(
    grid_or_study: xr.Dataset, path: str | os.PathLike[str], *, metric: str | None = None, title: str | None = None
) -> Written:
    """Write one page that opens offline, with everything that a grid holds, or with a study.

    Parameters
    ----------
    grid_or_study : xarray.Dataset
        A grid of `mllm_probe.sweep`, whole or half filled, an effect of `mllm_probe.effect`, or a study of
        `mllm_probe.studies`, whose summary, charts, numbers and provenance the page has.
    path : path of the file
    metric : str, optional
        Metric that the map begins with and that tables and figures show; by default the score of answers where they
        were generated, else log-probability. A study takes none.
    title : str, optional
        Heading.

    Returns
    -------
    Written
        With ``path`` and ``size`` in bytes.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If the dataset is neither grid, effect nor study, a grid or effect holds no controls, or a metric is given for a
        study.
    """
    if study_name(grid_or_study):
        if metric is not None:
            raise ValueError(f"metric: a study has its own measures and takes none; got {described(metric)}.")
        return study_report(grid_or_study, path, title)
    data, target = _checked(grid_or_study), writable_path_of("path", path)
    shown = _metric(data, metric)
    effect = data if is_effect(data) else effect_of(data, shown)
    if "control_mean" not in effect:
        raise ValueError(
            "an effect is not reported without its controls, and this one holds none; run mp.effect again."
        )
    heatmap = LayerConceptHeatmap(data, metric=shown)
    try:
        best = best_cells(data, effect)
        concept, layer, strength = strongest_cell(effect)
        heatmap.publish(concept=concept, layer=layer, strength=strength)
        content, modules, state = _content(data, effect, heatmap, best)
    finally:
        heatmap.close()
    heading = title if title is not None else f"Steering {data.attrs.get('model', 'a model')}, concept by layer"
    return write(target, document(heading, _lead(data, effect), content, state, modules))


def _checked(data: object) -> xr.Dataset:
    if not isinstance(data, xr.Dataset):
        raise TypeError(
            f"report() takes the grid of mllm_probe.sweep, the effect of mllm_probe.effect or a study of "
            f"mllm_probe.studies, an xarray.Dataset, but got {type(data).__name__}."
        )
    if not is_effect(data) and not {CONCEPT, LAYER, STRENGTH, DRAW} <= set(data.dims):
        raise ValueError(
            "this dataset is neither a grid of mllm_probe.sweep nor an effect of mllm_probe.effect nor a study; it has "
            f"variables {sorted(map(str, data.data_vars))} and dimensions {sorted(map(str, data.dims))}."
        )
    return data


def _metric(data: xr.Dataset, metric: str | None) -> str:
    if is_effect(data):
        return str(data.attrs.get("metric", "logprob"))
    return metric or first_metric(data)


def _lead(data: xr.Dataset, effect: xr.Dataset) -> str:
    sizes = effect.sizes
    shape = f"{sizes[CONCEPT]} concepts × {sizes[LAYER]} layers × {sizes[STRENGTH]} strengths"
    prompt = prompts_text(data.attrs.get("prompt"))
    about = " · ".join(part for part in (shape, counted(effect["n"].values), prompt) if part)
    return f"{about}. {unfinished(data)}".rstrip()


def _content(
    data: xr.Dataset, effect: xr.Dataset, heatmap: LayerConceptHeatmap, best: BestCells
) -> tuple[list[Section], list[str], JsonObject]:
    collected = Collected()
    tree = collected.tree(heatmap)
    sweep = None if is_effect(data) else answers_of(data)
    best_unit = heatmap.unit if best.reported is effect else "share"
    sections = [
        Section("", main_facts(provenance_rows(data))),
        Section("", f'<div id="{_MAP}" class="page-widgets"></div>'),
        Section("How to read it", items(_READING)),
        Section("Best cell of each concept", best_table(best, data, best_unit)),
        Section("Dose response at each concept's best layer", _figures(heatmap, best)),
        Section(f"Cells that pass in the grid: {quantity(heatmap)}", clearing_table(effect, heatmap.unit)),
    ]
    if sweep is not None:
        sections.append(Section("Answers", _about_answers(data, sweep) + f'<div id="{_ANSWERS}"></div>'))
    sections.append(Section("Provenance", facts(provenance_rows(data))))
    state = {
        "models": collected.models,
        "mounts": [{"at": _MAP, "tree": tree}],
        "links": [],
        "answers": None if sweep is None else {"at": _ANSWERS, "map": 0, "sweep": sweep},
    }
    return sections, collected.modules, state


def _about_answers(data: xr.Dataset, sweep: JsonObject) -> str:
    about = (
        "What the model wrote. The cell that is selected in the map is shown; words that differ from the unsteered "
        "answer are marked, those that name the concept underlined, with dots where the answer says that it is not "
        "there. Next to each is the answer under a random direction of the same size (its first draw)."
    )
    if WORDS not in data:
        about += " The grid does not say which words name a concept, so its name alone counts here."
    left = data.sizes["sample"] - len(sweep["samples"])
    return paragraph(f"{about} {left} further images are left out to keep the page small." if left else about)


def _figures(heatmap: LayerConceptHeatmap, best: BestCells) -> str:
    numbers = MapNumbers.of(heatmap)
    figures = []
    for concept, cell in best.cells.items():
        drawing = dose_picture(numbers, concept, cell.layer, quantity=quantity(heatmap))
        figures.append(f"<figure>{svg(drawing, themed=True)}</figure>")
    return f'<div class="page-figures" data-testid="dose-response">{"".join(figures)}</div>'
