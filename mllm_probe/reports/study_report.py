"""One offline page from studies: their summaries, charts, numbers and provenance, under headings of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mllm_probe.models.argument_checks import described, writable_path_of
from mllm_probe.plots.charts import of_study
from mllm_probe.schema import CONTROL, DRAW, LAYER, SAMPLE, SPECIFICATION, SPLIT, STRENGTH
from mllm_probe.typing import JsonObject
from mllm_probe.widgets.base.numbers import dose, words
from mllm_probe.widgets.pages import saved_page
from mllm_probe.widgets.pages.export_pages import Collected
from mllm_probe.widgets.pages.saved_page import Written, document, facts, folded, paragraph, table, write
from mllm_probe.widgets.study.study_view import StudyView, about

_LABELS = {
    "model": "model",
    "weights": "weights fingerprint",
    "prompt": "prompt",
    "answer_prefix": "answer begins with",
    "scope": "edited tokens",
    "site": "edited site",
    "operation": "operation",
    "to": "in place of the concept",
    "unit": "unit of strength",
    "seed": "seed",
    "max_new_tokens": "longest answer, tokens",
    "concepts": "concept set",
    "interval": "interval",
    "path": "computed by",
    "refused_paths": "cheaper ways that were not exact",
}
_VERSION = "version_"
_LEFT_OUT = {"controls", "metrics", "progress", "metric", "summary", "details"}


def provenance_rows(data: xr.Dataset) -> list[tuple[str, object]]:
    """Rows for every attribute of a grid, effect or study, those that matter first, and for its images and controls."""
    attrs = data.attrs
    rows: list[tuple[str, object]] = [
        (label, _value_text(attrs[name])) for name, label in _LABELS.items() if name in attrs and name != "path"
    ]
    rows += _measured(data) if STRENGTH in data.coords else []
    rows += [(_LABELS[name], _value_text(attrs[name])) for name in ("path",) if name in attrs]
    known = {*_LABELS, *_LEFT_OUT}
    rest = [name for name in attrs if name not in known and not str(name).startswith(_VERSION)]
    rows += [(words(str(name)), _value_text(attrs[name])) for name in rest]
    versions = [f"{str(name).removeprefix(_VERSION)} {attrs[name]}" for name in attrs if str(name).startswith(_VERSION)]
    return [*rows, ("versions", ", ".join(versions))] if versions else rows


def unfinished(data: xr.Dataset) -> str:
    """Sentence about a sweep that has not ended; empty for one that has."""
    progress = float(data.attrs.get("progress", 1.0))
    return "" if progress >= 1 else f"This sweep is not finished: {progress:.0%} of its cells were run."


def _measured(data: xr.Dataset) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("strengths", ", ".join(dose(float(strength)) for strength in data[STRENGTH].values))
    ]
    if SAMPLE in data.dims:
        count = data.sizes[SAMPLE]
        splits = (
            dict(zip(*np.unique(data[SPLIT].values, return_counts=True), strict=True)) if SPLIT in data.coords else {}
        )
        shares = ", ".join(f"{number} {words(str(name))}" for name, number in splits.items() if str(name))
        rows.append(("images", f"{count} ({shares})" if shares else count))
    kinds = [str(kind) for kind in data[CONTROL].values if str(kind) != "concept"] if CONTROL in data.coords else []
    draws = f", {data.sizes[DRAW]} draws each" if DRAW in data.dims else ""
    rows.append(("controls", ", ".join(kinds) + draws))
    return rows


def _value_text(value: object) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(str(item) for item in value)
    return "(nothing)" if value == "" else str(value)


MOST_ROWS = 200
"""Rows of a table of numbers; what needs more is left to the charts."""
_DIGITS = 3
_LEAD = "Studies as they were run. The charts can be explored; running them again needs the notebook."


class StudySection(NamedTuple):
    """A part of a page of studies.

    `heading`: plain text. `paragraphs`: plain texts below the heading. `studies`: from `mllm_probe.studies`, or
    `mllm_probe.compare`.
    """

    heading: str
    paragraphs: Sequence[str]
    studies: Sequence[xr.Dataset]


def study_report(study: xr.Dataset, path: str | os.PathLike[str], title: str | None = None) -> Written:
    """Write one study as a page that opens offline; see :func:`studies_report`."""
    heading = title if title is not None else f"{words(str(study.attrs['study'])).capitalize()} · {about(study)}"
    return studies_report([StudySection("", (), (study,))], path, heading)


def studies_report(
    sections: Sequence[StudySection], path: str | os.PathLike[str], title: str = "Studies of vision-language models"
) -> Written:
    """Write several studies as one page that opens offline.

    `sections`: or of tuples (heading, paragraphs of text, studies). `title`: heading of the page. Returns: with
    ``path`` and ``size`` in bytes. Raises TypeError if a section is no such triple, or a study no dataset. Raises
    ValueError if there is neither a study nor a paragraph, or a dataset is no study.
    """
    target, checked = writable_path_of("path", path), [_checked(section) for section in sections]
    if not any(section.studies or section.paragraphs for section in checked):
        raise ValueError("expected a study or a paragraph in at least one section; got none.")
    collected, parts = Collected(), []
    mounts: list[JsonObject] = []
    try:
        for section in checked:
            body = "".join(paragraph(line) for line in section.paragraphs)
            for study in section.studies:
                at = f"mp-study-{len(mounts)}"
                mounts.append({"at": at, "tree": collected.tree(StudyView(study))})
                body += f'<div id="{at}" class="page-widgets"></div>{_variable_tables(study)}{_provenance(study)}'
            parts.append(saved_page.Section(section.heading, body))
    finally:
        for view in collected.widgets:
            view.close()
    state: JsonObject = {"models": collected.models, "mounts": mounts, "links": _links(collected), "answers": None}
    return write(target, document(title, _LEAD, parts, state, collected.modules))


def _checked(section: object) -> StudySection:
    wanted = "expected sections (heading, paragraphs, studies)"
    if not isinstance(section, tuple) or len(section) != 3:
        raise TypeError(f"{wanted}; got {described(section)}.")
    heading, paragraphs, studies = section
    for name, value in (("paragraphs", paragraphs), ("studies", studies)):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"{wanted} with a list of {name}; got {described(value)}.")
    return StudySection(str(heading), tuple(paragraphs), tuple(of_study(study) for study in studies))


def _links(collected: Collected) -> list[JsonObject]:
    """Share the concept with every study, the layer with those of the same model: blocks of two are not the same."""
    models = [view.dataset.attrs.get("weights", view.dataset.attrs.get("model")) for view in collected.widgets]
    return [
        link
        for link in collected.links()
        if LAYER not in link["names"] or np.array_equal(models[link["from"]], models[link["to"]])
    ]


def _provenance(study: xr.Dataset) -> str:
    return folded("Provenance", facts(provenance_rows(study)))


def _variable_tables(study: xr.Dataset) -> str:
    """Tables of the variables that fit one, those of the same dimensions beside each other; others are named."""
    groups: dict[tuple[str, ...], list[str]] = {}
    left: list[str] = []
    for name, variable in study.data_vars.items():
        if variable.dtype.kind not in "fiub" or SPECIFICATION in variable.dims:
            continue
        if variable.size > MOST_ROWS:
            left.append(words(str(name)))
        else:
            groups.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    tables = [_table(study, dims, names) for dims, names in groups.items()]
    if left:
        tables.append(paragraph(f"Of more than {MOST_ROWS} numbers, and in the dataset alone: {', '.join(left)}."))
    return folded("Numbers", "".join(tables)) if tables else ""


def _table(study: xr.Dataset, dims: tuple[str, ...], names: list[str]) -> str:
    heads = [" · ".join(map(words, dims)) or "all", *map(words, names)]
    columns = [study[name].transpose(*dims).values.ravel() for name in names]
    rows = [[label, *map(_number_text, values)] for label, *values in zip(_labels(study, dims), *columns, strict=True)]
    return table(heads, rows, numbers=range(1, len(heads)), name=f"numbers by {heads[0]}")


def _labels(study: xr.Dataset, dims: tuple[str, ...]) -> Iterable[str]:
    """Names of the cells of some dimensions, the last changing fastest."""
    if not dims:
        return [str(study.attrs.get("study", ""))]
    values = [study[dim].values.astype(str) for dim in dims]
    return [" · ".join(parts) for parts in np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(dims))]


def _number_text(value: np.generic) -> str:
    if isinstance(value, np.bool_):
        return "yes" if value else "no"
    return f"{value:.{_DIGITS}g}" if np.isfinite(value) else "–"
