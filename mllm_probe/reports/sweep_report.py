"""One offline page from a sweep: how it was made, the map, figures, tables and answers, and how to read them."""

from __future__ import annotations

import os

import xarray as xr

from mllm_probe.models.argument_checks import described, writable_path_of
from mllm_probe.plots.curves import counted
from mllm_probe.plots.effects import prompts_text
from mllm_probe.plots.palette import MARKS
from mllm_probe.plots.study_charts import study_name
from mllm_probe.reports.best_cells_table import best_table
from mllm_probe.reports.clear_cells_table import clearing_table
from mllm_probe.reports.provenance import provenance_rows, unfinished
from mllm_probe.reports.report_answers import answers_of
from mllm_probe.reports.study_report import study_report
from mllm_probe.schema import CONCEPT, DRAW, LAYER, STRENGTH, WORDS
from mllm_probe.studies.best_cell import BestCells, best_cells
from mllm_probe.studies.clear_cells import strongest_cell
from mllm_probe.studies.effect import effect as effect_of
from mllm_probe.typing import JsonObject
from mllm_probe.widgets.base.numbers import MapNumbers
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.heatmap.map_cells import is_effect
from mllm_probe.widgets.heatmap.map_metrics import first_metric
from mllm_probe.widgets.pages.export_pages import Collected
from mllm_probe.widgets.pages.markup import facts, items, main_facts, paragraph
from mllm_probe.widgets.pages.saved_page import Section, Written, document, write
from mllm_probe.widgets.pictures import svg
from mllm_probe.widgets.pictures.dose_picture import dose_picture
from mllm_probe.widgets.pictures.static_picture import quantity

_MAP, _ANSWERS = "mp-map", "mp-answers"

_READING = (
    "A cell of the map is one concept added at the output of one decoder block. Its colour is the effect beyond a "
    "control: the steered score minus that of meaningless directions of the same size, averaged over images.",
    "A cell passes in the grid if it is clear of every kind of control, also when all cells of the grid are tested. "
    "Clear of a control: the effect has the sign that the dose intends, one more draw of the control would lie as far "
    "out with p ≤ .05, and the 95 % interval, which counts the spread over images and that over draws, excludes 0. In "
    "the grid: at a false discovery rate of .05 over all its cells (q ≤ .05, Benjamini–Hochberg), so that of the cells "
    "that pass at most one in twenty is expected to be false. Hatched or hollow cells do not pass: they are no "
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
    "Peak · spread, at the right of the map: the layer of the largest effect v, and the participation ratio "
    "(Σv)² / Σv² over the layers whose effect has the sign of that peak, in layers: 1 where one layer carries the "
    "effect, L where L layers carry it equally. Noise at weak layers raises it.",
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
    for number, (concept, cell) in enumerate(best.cells.items()):
        drawing = dose_picture(numbers, concept, cell.layer, quantity=quantity(heatmap))
        figures.append(f"<figure>{svg(drawing, themed=True, name=f'figure-{number}')}</figure>")
    return f'<div class="page-figures" data-testid="dose-response">{"".join(figures)}</div>'
