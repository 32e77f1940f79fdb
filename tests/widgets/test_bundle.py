"""The bundles: made from the sources that are here, self-contained, small, kept by the build hook; and their styles."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "mllm_probe" / "widgets"
STATIC = PYTHON / "static"
BUNDLES = sorted(STATIC.glob("*.js"))
LIT = re.compile(r'createElement\("template"\);return \w+\.innerHTML=')
"""The one place where lit-html parses markup: the constant text of our templates, never a value."""
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(")


@pytest.fixture(scope="module")
def hook_module():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the hook looks at."""
    shutil.copytree(ROOT / "widgets", tmp_path / "widgets", ignore=shutil.ignore_patterns("node_modules", "tests"))
    shutil.copytree(STATIC, tmp_path / "mllm_probe" / "widgets" / "static")
    (tmp_path / "mllm_probe" / "plots").mkdir()
    shutil.copy(ROOT / "mllm_probe" / "plots" / "palette.json", tmp_path / "mllm_probe" / "plots")
    return tmp_path


@pytest.fixture
def hook(hook_module, checkout, monkeypatch):
    """The hook with its commands recorded instead of run."""
    ran, warned = [], []
    monkeypatch.setattr(hook_module.subprocess, "run", lambda command, **_options: ran.append(command[1]))
    monkeypatch.setattr(hook_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    made = object.__new__(hook_module.CustomBuildHook)
    parts = {"root": str(checkout), "app": SimpleNamespace(display_warning=warned.append)}
    for name, value in parts.items():
        monkeypatch.setattr(type(made), name, value, raising=False)
    return SimpleNamespace(run=lambda: made.initialize("standard", {}), ran=ran, warned=warned)


def test_there_is_one_bundle_per_widget_named_like_its_python_half():
    entries = re.findall(r'"src/([a-z]+/[a-z_]+)\.ts"', (ROOT / "widgets" / "build.mjs").read_text())
    assert {"heatmap/layer_concept_heatmap", "panel/steering_panel", "inside/token_strip"} <= set(entries)
    assert [path.stem for path in BUNDLES] == sorted(Path(entry).name for entry in entries)
    assert [entry for entry in entries if not (PYTHON / f"{entry}.py").is_file()] == []


def test_both_halves_have_the_same_folders():
    typescript = {path.name for path in (ROOT / "widgets" / "src").iterdir() if path.is_dir()}
    python = {path.parent.name for path in PYTHON.glob("*/__init__.py")}
    assert python - {"pictures"} == typescript


def test_no_module_of_a_widget_shares_its_name_with_another_of_the_package():
    modules = [path for path in PYTHON.parent.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    count = Counter(path.stem for path in modules)
    assert [path.stem for path in modules if PYTHON in path.parents and count[path.stem] > 1] == []


def test_the_bundle_was_made_from_the_sources_that_are_here(hook_module):
    assert (STATIC / "sources.sha256").read_text().strip() == hook_module.stamp(ROOT / "widgets")


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_a_bundle_is_small_self_contained_and_writes_no_markup(path):
    text = path.read_text()
    assert len(text.encode()) < 150_000
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert not re.search(r"\bimport\s*[({\"']|\brequire\(", text)
    assert not MARKUP.search(LIT.sub("", text, count=1))
    assert re.search(r"export\s*{", text)


def test_no_source_makes_markup_of_data():
    sources = sorted((ROOT / "widgets" / "src").rglob("*.ts"))
    unsafe = re.compile(MARKUP.pattern + r"|unsafe-?(?:html|svg|mathml|static)|static-html", re.IGNORECASE)
    assert sources and [path.name for path in sources if unsafe.search(path.read_text(encoding="utf-8"))] == []


def fail(command, **_options):
    raise subprocess.CalledProcessError(1, command)


@pytest.mark.parametrize(
    ("changed", "without", "ran", "warning"),
    [
        ([], "", [], ""),
        (["src/base/numbers.ts"], "", ["ci", "run"], ""),
        (["src/new.ts"], "node", [], "used as it is"),
        (["package.json"], "build", [], "could not be built"),
        ([], "sources", [], "not here"),
    ],
)
def test_a_stale_bundle_is_built_again_or_used_with_a_warning(
    hook, hook_module, checkout, monkeypatch, changed, without, ran, warning
):
    for name in changed:
        (checkout / "widgets" / name).write_text("{}")
    if without == "node":
        monkeypatch.setattr(hook_module.shutil, "which", lambda name: None)
    if without == "build":
        monkeypatch.setattr(hook_module.subprocess, "run", fail)
    if without == "sources":
        shutil.rmtree(checkout / "widgets")
    hook.run()
    assert hook.ran == ran and len(hook.warned) == bool(warning) and warning in "".join(hook.warned)


def test_without_node_and_without_a_bundle_it_says_what_to_do(hook, hook_module, checkout, monkeypatch):
    monkeypatch.setattr(hook_module.shutil, "which", lambda name: None)
    shutil.rmtree(checkout / "mllm_probe")
    with pytest.raises(RuntimeError, match="install Node"):
        hook.run()


SHEETS = sorted(
    path for path in (ROOT / "widgets" / "src").rglob("*.css") if path.name != "saved_page.css"
)  # a page is its own document
OWN = re.compile(r"(?:\[data-jp-theme-light=\"\w+\"\] )?(?:\.mp\b|:where\(\.mp\))")
WHOLE = 5
"""Rules with so many lines are not equal by chance."""


def rules(sheet: Path) -> list[tuple[str, str]]:
    """Selectors and declarations, those inside of conditions too."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"([^{};]+)\{([^{}]*)\}", text)
    return [(" ".join(selectors.split()), " ".join(body.split())) for selectors, body in found]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: str(sheet.relative_to(ROOT / "widgets" / "src")))
def test_every_rule_is_about_a_widget(sheet):
    selectors = [one.strip() for group, _ in rules(sheet) for one in re.split(r",(?![^(]*\))", group)]
    assert selectors and [one for one in selectors if not OWN.match(one)] == []


def test_no_rule_stands_in_two_sheets():
    found = Counter(rule for sheet in SHEETS for rule in set(rules(sheet)) if rule[1].count(";") >= WHOLE)
    assert [rule for rule, times in found.items() if times > 1] == []
