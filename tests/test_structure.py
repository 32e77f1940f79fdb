"""The house keeps its order: imports point one way, names of dimensions have one home, nothing is pickled."""

import ast
import json
import os
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from mllm_probe import schema

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mllm_probe"

ORDER = (
    "schema",
    "typing",
    "scenes",
    "models",
    "tokens",
    "concepts",
    "activations",
    "decoding",
    "steering",
    "loading",
    "metrics",
    "sweeps",
    "studies",
    "plots",
    "widgets",
    "cli",
    "applications",
)
APPLICATIONS = ("scenes.train", "scenes.evaluate")
SOURCE_ENDINGS = {".py", ".ts", ".mjs", ".css", ".md", ".toml", ".json", ".ipynb", ".yml", ".yaml", ".sh", ""}
NOT_OURS = {".git", ".venv", "node_modules", "shared", "__pycache__", "build", "dist"}


def name_of(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room(module):
    """Room of a module named without the package: applications on top of everything are a room of their own."""
    if module.startswith(APPLICATIONS):
        return "applications"
    return module.split(".")[0]


@cache
def parsed():
    files = [
        file for file in sorted(PACKAGE.rglob("*.py")) if not NOT_OURS & set(file.parts) and file.parent != PACKAGE
    ]
    files += [file for file in sorted(PACKAGE.glob("*.py")) if file.stem != "__init__"]
    return {name_of(file): ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            if node.module == "mllm_probe":
                yield from ((f"mllm_probe.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def backward(module, tree):
    """Imports of a module that point to a room above its own."""
    level = ORDER.index(room(module))
    for target, line in imported(tree):
        if target.startswith("mllm_probe."):
            inner = target.removeprefix("mllm_probe.")
            if room(inner) in ORDER and ORDER.index(room(inner)) > level:
                yield f"{module}:{line} ({room(module)}) imports {inner} ({room(inner)})"


def test_every_module_belongs_to_a_room():
    assert {room(module) for module in parsed()} <= set(ORDER)


def test_imports_point_one_way():
    found = [line for module, tree in parsed().items() for line in backward(module, tree)]
    assert not found, "\n".join(found)


def test_the_import_check_sees_what_it_should():
    tree = ast.parse("from mllm_probe.plots import theme\nfrom mllm_probe import schema\nimport numpy")
    assert list(backward("metrics.text", tree)) == ["metrics.text:1 (metrics) imports plots (plots)"]
    assert not list(backward("widgets.panel", tree))


def literal_dimensions(tree):
    """Lines where dimensions are listed or passed as strings instead of by the schema's constants.

    Names of widget traits, in calls of ``observe`` and ``unobserve``, are no dimensions.
    """
    traits = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("observe", "unobserve")
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load) and id(node) not in traits:
            values = [element.value for element in node.elts if isinstance(element, ast.Constant)]
            if len(values) >= 2 and len(values) == len(node.elts) and all(v in schema.DIMENSIONS for v in values):
                yield node.lineno
        elif isinstance(node, ast.keyword) and node.arg in ("dim", "dims"):
            elements = node.value.elts if isinstance(node.value, (ast.Tuple, ast.List)) else [node.value]
            if any(isinstance(e, ast.Constant) and e.value in schema.DIMENSIONS for e in elements):
                yield node.value.lineno


def test_dimension_names_come_from_the_schema():
    found = [
        f"{module}:{line}"
        for module, tree in parsed().items()
        if module != "schema"
        for line in literal_dimensions(tree)
    ]
    assert not found, f"write schema.CONCEPT and so on instead of strings: {', '.join(found)}"


def test_the_dimension_check_sees_what_it_should():
    tree = ast.parse('a = ("concept", "layer")\nb = x.mean(dim="layer")\nc = ("concept", "other")\nd = x.mean(dim=D)')
    assert sorted(literal_dimensions(tree)) == [1, 2]


FORBIDDEN_CALLS = {"torch.load", "torch.save", "joblib.load", "joblib.dump", "dill.load", "dill.dump"}


def test_nothing_is_pickled():
    for module, tree in parsed().items():
        names = {target for target, _ in imported(tree)}
        assert not names & {"pickle", "dill", "cloudpickle", "shelve", "joblib"}, module
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in FORBIDDEN_CALLS, f"{module}:{node.lineno}"
                allowed = [ast.unparse(k.value) for k in node.keywords if k.arg == "allow_pickle"]
                assert allowed in ([], ["False"]), f"{module}:{node.lineno}"
    assert not [f for ending in ("pkl", "pt", "pth", "bin") for f in PACKAGE.rglob(f"*.{ending}")]


def sources():
    for folder, folders, files in os.walk(ROOT):
        hidden = {name for name in folders if name.startswith(".") and name not in (".ci", ".github")}
        folders[:] = sorted(set(folders) - NOT_OURS - hidden)
        yield from (
            Path(folder) / name for name in sorted(files) if Path(name).suffix in SOURCE_ENDINGS and name != ".git"
        )


MACHINE_PATH = re.compile(
    r"(?<![\w./~:-])/(?:" + "|".join(("work", "root", "home", "Users", "mnt", "opt")) + r")/[\w.]"
)


def test_no_path_of_one_machine_is_written_down():
    found = []
    for file in sources():
        text = file.read_text(encoding="utf-8", errors="ignore")
        found += [f"{file.relative_to(ROOT)}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert not found, "\n".join(found)


def test_the_path_check_sees_what_it_should():
    assert MACHINE_PATH.search('open("/' + 'work/x")') and not MACHINE_PATH.search("a/work/x and https://x.org/home/y")


def test_the_tests_that_contributing_names_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(named) >= 9
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_links_between_documents_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).is_file(), f"{page.name} links to {target}"


def test_binder_brings_what_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {*project["dependencies"], *project["optional-dependencies"]["lab"]}
    lines = (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8").splitlines()
    brought = {line.strip().removeprefix("- ").replace("pytorch-cpu", "torch") for line in lines}
    assert needed <= brought, f"binder/environment.yml lacks {sorted(needed - brought)}"


@pytest.mark.parametrize("notebook", sorted((ROOT / "tutorials").glob("*.ipynb")), ids=lambda file: file.name)
def test_tutorials_are_stored_without_outputs(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
