"""Writes docs/api.md from the docstrings of public objects: ``python docs/api_page.py``."""

from __future__ import annotations

import ast
import inspect
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mllm_probe as mp

PAGE = Path(__file__).parent / "api.md"
WIDGET = ("wait", "to_html", "to_svg", "to_png", "close")


@dataclass(frozen=True)
class Entry:
    """A public object: how it is written, where Sphinx finds it, and which members are listed.

    ``members`` is None for all public ones (those that the package defines), else their names.
    """

    label: str
    path: str
    value: Any
    members: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Section:
    """A part of the page: all of ``mp.__all__`` that comes from some rooms, then other names of ``mllm_probe``."""

    title: str
    rooms: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


SECTIONS = (
    Section("Models", ("loading",), ("loading.Model", "loading.VerificationReport", "loading.Check")),
    Section("Concepts", ("concepts",), tuple(f"concepts.{name}" for name in mp.concepts.__all__)),
    Section("Activations", ("activations",), ("activations.save_zarr", "activations.open_zarr")),
    Section("Stores", names=tuple(f"cache.{name}" for name in ("list", "size", "prune", "check"))),
    Section("Vectors", ("vectors",)),
    Section(
        "Steering", ("steering",), tuple(f"steering.{n}" for n in ("Composition", "Affine", "Receipt", "RowReceipt"))
    ),
    Section("Generation", ("generation",), ("generation.GenerationOutput", "generation.Stream")),
    Section(
        "Metrics",
        ("metrics",),
        tuple(f"metrics.{n}" for n in ("Answer", "ScoredConcept", "spans", "Span", "concept_projection"))
        + tuple(f"metrics.{n}" for n in ("forms",))
        + ("metrics.false_discovery_rate",),
    ),
    Section(
        "Sweeps",
        ("sweeps", "patching", "studies"),
        tuple(
            f"sweeps.{n}"
            for n in (
                "SweepPlan",
                "interrupted",
                "join_sweep",
                "open_grid",
                "read_progress",
                "StoreProgress",
                "store_status",
            )
        )
        + ("sweeps.StoreStatus", "sweeps.Worker"),
    ),
    Section(
        "Studies",
        names=tuple(f"studies.{name}" for name in ("read_out", "read_out_of_patches", "read_out_of", "causal_verdict"))
        + (
            "studies.atlas",
            "studies.localization",
            "studies.recognition_vs_reasoning",
            "studies.RelationQuestions",
            "studies.drawn_relations",
            "studies.reliability",
            "studies.reverse_steering",
            "studies.scaling",
            "studies.truth.plant",
            "studies.truth.PlantedTruth",
        ),
    ),
    Section("Figures", ("plots",), tuple(f"plots.{name}" for name in mp.plots.__all__)),
    Section("Widgets and reports", ("widgets", "reports"), ("widgets.link", "widgets.Explore")),
)
LISTED_MEMBERS = {
    "LayerConceptHeatmap": ("show", "watch", "stop", *WIDGET),
    "SteeringPanel": ("choose", *WIDGET),
    "PatchOverlay": WIDGET,
    "StudyView": WIDGET,
    "SweepMonitor": WIDGET,
    "TokenStrip": WIDGET,
    "widgets.Explore": (
        *("select", "selection_code", "undo", "redo", "recommended", "surprise"),
        *("vectors", "grid", "code", "show_study", "stop", *WIDGET),
    ),
    "concepts.ConceptLibrary": ("split", "with_split", "subset", "pictures", "categories", "fingerprint"),
}
"""Members of classes that inherit much from other libraries."""
NOT_SECTIONS = {"cache", "concepts", "plots", "__version__"}


def home_of(name: str) -> str:
    """Room of a name of ``mp.__all__``."""
    return str(getattr(mp, name).__module__).split(".")[1]


def entries(section: Section) -> Iterator[Entry]:
    """Objects of a section, in the page's order."""
    for name in mp.__all__:
        if name not in NOT_SECTIONS and home_of(name) in section.rooms:
            yield Entry(f"mp.{name}", name, getattr(mp, name), LISTED_MEMBERS.get(name))
    for path in section.names:
        yield Entry(f"mp.{path}", path, operator.attrgetter(path)(mp), LISTED_MEMBERS.get(path))
    if section.title == "Sweeps":
        returned = inspect.signature(mp.sweep_iter).return_annotation
        grids = getattr(inspect.getmodule(mp.sweep_iter), returned)
        yield Entry("Grids", f"{grids.__module__}.{grids.__qualname__}", grids)
    if section.title == "Activations":
        accessor = mp.activations.TorchAccessor
        yield Entry("array.torch", "activations.TorchAccessor", accessor)


def summary(text: str | None) -> str:
    """First sentence of a docstring's first paragraph, as Markdown."""
    paragraph = " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[^.…][.])\s+(?=[A-Z`(])", paragraph)[0]
    sentence = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", sentence)
    return re.sub(r"``(.+?)``", r"`\1`", sentence).replace("|", "\\|")


def fields(text: str | None, *titles: str) -> dict[str, str]:
    """Names that a numpydoc section lists, with what it says of each: its description, else its type.

    Parameters
    ----------
    text : str or None
        A docstring.
    *titles : str
        Sections, such as ``"Parameters"``.
    """
    result: dict[str, str] = {}
    lines = inspect.cleandoc(text or "").splitlines()
    for title in titles:
        for at, line in enumerate(lines):
            if line == title and at + 1 < len(lines) and set(lines[at + 1]) == {"-"}:
                result |= _listed(lines[at + 2 :])
    return result


def _listed(lines: list[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    names: list[str] = []
    for at, line in enumerate(lines):
        if at + 1 < len(lines) and lines[at + 1] and set(lines[at + 1]) == {"-"}:
            break
        if line and not line[0].isspace():
            head, _, kind = line.partition(" : ")
            names = [name.strip().lstrip("*") for name in head.split(",")]
            result |= dict.fromkeys(names, f"``{kind}``" if kind else "")
            described = ""
        elif line.strip() and names:
            described = f"{described} {line.strip()}"
            result |= dict.fromkeys(names, described)
    return result


def members(entry: Entry) -> Iterator[tuple[str, str]]:
    """Public attributes and methods of a class, each with its meaning."""
    cls = entry.value
    said = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("mllm_probe"):
            said |= fields(base.__doc__, "Parameters", "Attributes")
    for name in entry.members if entry.members is not None else (*attributes_of(cls), *public_members(cls)):
        value = inspect.getattr_static(cls, name, None)
        if inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod)):
            yield f"{name}()", summary(inspect.getdoc(getattr(cls, name)))
        elif isinstance(value, property):
            yield name, summary(inspect.getdoc(value.fget))
        else:
            field = getattr(cls, "__dataclass_fields__", {}).get(name)
            yield name, summary(said.get(name) or (f"``{field.type}``" if field else ""))


def attributes_of(cls: type) -> list[str]:
    """Public attributes of instances: fields, those that ``__init__`` sets, and documented ones."""
    names: list[str] = []
    for base in (base for base in reversed(cls.__mro__) if base.__module__.startswith("mllm_probe")):
        if "__dataclass_fields__" in vars(base):
            names += base.__dataclass_fields__  # type: ignore[attr-defined]
        elif "__init__" in vars(base):
            names += re.findall(r"\bself\.(\w+)(?:: [^=\n]+)? = ", inspect.getsource(base.__init__))
        names += fields(base.__doc__, "Attributes")
    known = set(public_members(cls))
    return [name for name in dict.fromkeys(names) if not name.startswith("_") and name not in known]


def public_members(cls: type) -> list[str]:
    """Names of methods and properties that classes of the package define."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("mllm_probe")]
    kinds = (property, classmethod, staticmethod)
    return sorted(
        {
            name
            for base in bases
            for name, value in vars(base).items()
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
        }
    )


def aliases() -> dict[str, str]:
    """Names of ``mllm_probe.typing`` with the docstring under (or in) each."""
    result: dict[str, str] = {}
    body = ast.parse(inspect.getsource(mp.typing)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef):
            result[node.name] = ast.get_docstring(node) or ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            value = after.value if isinstance(after, ast.Expr) else None
            result[node.target.id] = value.value if isinstance(value, ast.Constant) else ""
    return result


def table(rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    """A Markdown table of names and meanings."""
    return ["| name | meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows), ""]


def page() -> str:
    """The text of docs/api.md."""
    lines = [
        "# Functions and classes",
        "",
        "This page is generated from the docstrings by `python docs/api_page.py`; `mp` is `mllm_probe`.",
        "`help(mp.sweep)` shows parameters, units, errors and examples.",
        "",
    ]
    for section in SECTIONS:
        listed = list(entries(section))
        lines += [f"## {section.title}", "", *table([(e.label, summary(e.value.__doc__)) for e in listed])]
        for entry in listed:
            if inspect.isclass(entry.value) and (rows := list(members(entry))):
                lines += [f"### `{entry.label}`", "", *table(rows)]
    lines += ["## Types of arguments", "", "In `mllm_probe.typing`.", ""]
    lines += table([(name, summary(text)) for name, text in aliases().items()])
    lines += ["## Parameters, errors and examples", "", "```{eval-rst}", ".. currentmodule:: mllm_probe", ""]
    for entry in (entry for section in SECTIONS for entry in entries(section)):
        path = entry.path if entry.path.startswith("mllm_probe") else f"mllm_probe.{entry.path}"
        lines.append(f".. auto{'class' if inspect.isclass(entry.value) else 'function'}:: {path}")
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
