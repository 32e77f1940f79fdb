"""Documents keep up with the code: the API page is complete and current, code in documents compiles and runs."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import types
from pathlib import Path

import pytest

import mllm_probe as mp

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def load_script(path):
    """A script of docs/, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


api = load_script(ROOT / "docs" / "api_page.py")
ENTRIES = [entry for section in api.SECTIONS for entry in api.entries(section)]
FUNCTIONS = [entry for entry in ENTRIES if inspect.isfunction(entry.value)]
CLASSES = [entry for entry in ENTRIES if inspect.isclass(entry.value)]


def parameters_of(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def blocks(path):
    """Python blocks of a document."""
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_api_page_is_what_docstrings_say():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == api.page(), "docs/api.md is out of date: run python docs/api_page.py"


@pytest.mark.parametrize(("page", "script"), [("scale", "scale_example"), ("models", "bundled_table")])
def test_tables_are_what_their_scripts_print(page, script):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    table = load_script(ROOT / "docs" / f"{script}.py").table()
    assert table in text, f"docs/{page}.md is out of date: run python docs/{script}.py"


def test_every_public_name_is_on_the_api_page():
    public = {f"mp.{name}" for name in mp.__all__ if not isinstance(getattr(mp, name), (str, types.ModuleType))}
    public |= {f"mp.concepts.{name}" for name in mp.concepts.__all__} | {
        f"mp.plots.{name}" for name in mp.plots.__all__
    }
    missing = public - {entry.label for entry in ENTRIES}
    assert not missing, f"{sorted(missing)}: give their rooms a section in docs/api_page.py"


def test_every_alias_of_public_arguments_is_on_the_api_page():
    classes = {
        name for name, value in vars(mp.typing).items() if getattr(value, "__module__", "") == mp.typing.__name__
    }
    assert classes | set(mp.typing.__annotations__) == set(api.aliases())
    assert {"Picture", "Images", "Layers", "TokenScope", "Edits"} <= set(api.aliases())


def test_every_entry_has_a_meaning():
    empty = [entry.label for entry in ENTRIES if not api.summary(entry.value.__doc__)]
    empty += [
        f"{entry.label}.{name}" for entry in CLASSES for name, meaning in api.members(entry) if not meaning.strip()
    ]
    empty += [name for name, meaning in api.aliases().items() if not meaning]
    assert not empty, f"no docstring says what these are: {', '.join(empty)}"


def test_attributes_of_a_loaded_model_are_on_the_api_page(tiny):
    entry = next(entry for entry in CLASSES if isinstance(tiny, entry.value))
    listed = {name.removesuffix("()") for name, _ in api.members(entry)}
    everywhere = set(dir(object()))  # nnsight gives every object of its process a method
    public = {name for name in dir(tiny) if not name.startswith("_")} - everywhere
    assert public <= listed, f"{sorted(public - listed)} are not in docs/api.md"


@pytest.mark.parametrize("entry", FUNCTIONS, ids=lambda entry: entry.label)
def test_a_public_function_documents_exactly_its_parameters(entry):
    assert list(api.fields(entry.value.__doc__, "Parameters")) == parameters_of(entry.value)


@pytest.mark.parametrize("entry", CLASSES, ids=lambda entry: entry.label)
def test_a_method_that_lists_parameters_lists_exactly_its_own(entry):
    for name in entry.members or api.public_members(entry.value):
        if inspect.isfunction(inspect.getattr_static(entry.value, name)):
            listed = list(api.fields(inspect.getdoc(getattr(entry.value, name)), "Parameters"))
            assert listed in ([], parameters_of(getattr(entry.value, name))), name


@pytest.mark.parametrize("entry", [e for e in CLASSES if e.path in mp.__all__], ids=lambda entry: entry.label)
def test_a_class_that_users_make_documents_its_parameters(entry):
    documented = api.fields(entry.value.__doc__, "Parameters", "Attributes")
    wanted = inspect.signature(entry.value).parameters.values()
    missing = [one.name for one in wanted if one.kind is not one.VAR_KEYWORD and one.name not in documented]
    assert not missing, missing


def test_the_reader_of_docstrings_sees_what_it_should():
    text = """First line, which
    goes on with :func:`~a.b.name`. A second sentence.

    Parameters
    ----------
    one, two : int
        Described. More.
    *rest
    three : str

    Returns
    -------
    Dataset
    """
    assert api.fields(text, "Parameters") == {
        "one": " Described. More.",
        "two": " Described. More.",
        "rest": "",
        "three": "``str``",
    }
    assert api.summary(text) == "First line, which goes on with `name`."
    assert api.fields(text, "Raises") == {}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_compiles(path):
    for source in blocks(path):
        compile(source, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_of_the_package_in_documents_exist(path):
    text = path.read_text(encoding="utf-8")
    for dotted in sorted(set(re.findall(r"\bmp((?:\.[A-Za-z_]\w*)+)", text))):
        value = mp
        for name in dotted[1:].split("."):
            assert hasattr(value, name), f"mp{dotted}"
            value = getattr(value, name)
            if not isinstance(value, types.ModuleType):
                break


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_tests_and_files_that_contributing_names_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(tests) >= 9
    gone = [
        f"{file}::{name}" for file, name in tests if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    named = re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|json|toml|ipynb))`", text)
    gone += [file for file in named if not any((folder / file).exists() for folder in (ROOT, ROOT / "mllm_probe"))]
    assert not gone


def test_the_house_in_contributing_is_the_one_that_imports_keep():
    house = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The house")[1].split("\n## ")[0]
    rooms = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", house, re.MULTILINE)
    (order,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "tests" / "test_structure.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ORDER"
    )
    assert tuple(rooms) == order


def test_messages_that_the_troubleshooting_page_quotes_are_raised():
    """Parts of the quoted headings, between their ellipses, are texts of the package."""
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "mllm_probe").rglob("*.py")))
    texts = re.sub(r'"\s*f?"', "", sources)
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [
        part.strip(" ()") for line in headings for text in re.findall(r'"(.+?)"', line) for part in text.split("…")
    ]
    assert len(quoted) > 10
    assert not [part for part in quoted if part not in texts]


def test_what_coming_from_says_of_block_inputs_and_activation_patching_runs():
    page = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if "hook_resid_pre" in line or "activation patching:" in line]
    lines = [code for row in rows for code in re.findall(r"`(\w+ = mp\.[^`]*)`", row)]
    library = mp.concepts.scenes(concepts=["cat", "neon"], pairs=6)
    scope = {"mp": mp, "model": mp.load("scenes-4l"), "library": library, "images": library["cat"].negative[:2]}
    for line in lines:
        exec(line, scope)
    assert scope["acts"].layer.values.tolist() == [-1]
    assert float(scope["share"].recovered.sel(concept="cat", group="image", direction="insert", layer=-1)[0]) > 0.9


def test_code_of_the_extending_page_runs():
    page = ROOT / "docs" / "extending.md"
    scope = {"__name__": "extending"}
    for source in blocks(page):
        exec(compile(source, str(page), "exec"), scope)
    assert set(scope["grid"].attrs["metrics"]) == {"logprob"} and scope["grid"].attrs["operation"] == "halve"
    assert scope["effect"].attrs["metric"] == "answer_words"
    before, after = scope["out"].text
    assert before != after and f"{before!r} becomes {after!r}" in page.read_text(encoding="utf-8")
    assert scope["out"].receipt.rows[1].relative_size > 0.1, "the operation of the page edits"


def test_the_ten_lines_of_the_readme_name_the_concept_and_keep_the_image(capsys):
    (source,) = blocks(ROOT / "README.md")
    scope = {"__name__": "readme"}
    exec(compile(source, "README.md", "exec"), scope)
    assert "layer 5" in capsys.readouterr().out
    unsteered, steered, random = (set(answer.split(", ")) for answer in scope["out"].text)
    assert steered == {"cat", *unsteered} and random == unsteered
