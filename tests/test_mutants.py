"""Mutants are the same fault in two versions of a package, whatever its locals are called there."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from validation.mutants.__main__ import Version
from validation.mutants.choice import Mutant, choose, functions_of, mutants_of, source_with

FIRST = '''
def larger(values, least=2):
    """What is larger."""
    found = []
    for one in values:
        if not one > least and one is not None:
            found.append(one + 1)
    return found


def other(x):
    return x * 2
'''
SECOND = '''
class Before:
    pass


def larger(values, least=2):
    """Values above the least, plus one."""
    kept = []
    for value in values:
        if not value > least and value is not None:
            kept.append(value + 1)
    return kept


def other(x):
    return x * 3
'''


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    for name, source in (("first", FIRST), ("second", SECOND)):
        (tmp_path / name / "mllm_probe").mkdir(parents=True)
        (tmp_path / name / "mllm_probe" / f"{name}.py").write_text(source)
    return tmp_path / "first", tmp_path / "second"


def test_faults_are_drawn_of_functions_that_both_versions_have(versions: tuple[Path, Path]) -> None:
    drawn = choose(versions, 1, seed=0)
    assert drawn == choose(versions, 1, seed=0) and drawn[0].function == "larger"
    with pytest.raises(ValueError, match="expected 2 mutants of kind operator; the versions share 1"):
        choose(versions, 6, seed=0)  # at most one in a function


def test_each_fault_changes_one_place_and_the_same_in_both_versions(versions: tuple[Path, Path]) -> None:
    first, second = (functions_of(version)["larger"] for version in versions)
    faults = mutants_of(first)
    assert [(mutant.key, mutant.kind) for mutant in faults] == [
        (mutant.key, mutant.kind) for mutant in mutants_of(second)
    ]
    assert {mutant.change for mutant in faults} == {
        "And becomes Or", "not is dropped", "Gt becomes GtE", "IsNot becomes Is", "the call is dropped",
        "Add becomes Sub", "1 becomes 2",
    }  # fmt: skip
    plain = ast.unparse(ast.parse(source_with(versions[0], first, None)))
    for mutant in faults:
        lines = zip(
            plain.split("\n"), ast.unparse(ast.parse(source_with(versions[0], first, mutant))).split("\n"), strict=True
        )
        assert sum(before != after for before, after in lines) == 1, mutant


def test_a_marked_function_begins_with_its_mark(versions: tuple[Path, Path]) -> None:
    function = functions_of(versions[0])["larger"]
    assert "    mark(3)\n    found = []" in source_with(versions[0], function, None, first="mark(3)")


@pytest.fixture
def checkout(versions: tuple[Path, Path]) -> Callable[..., Path]:
    """A repository of one version with these test files, after the imports of its functions."""

    def made(**tests: str) -> Path:
        root = versions[0]
        for folder in ("tests", "tutorials"):
            (root / folder).mkdir()
        (root / "tutorials" / "README.md").touch()
        (root / "mllm_probe" / "__init__.py").touch()
        for name, source in tests.items():
            imported = "from mllm_probe.first import larger, other\n\n"
            (root / "tests" / f"test_{name}.py").write_text(f"{imported}{source}")
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        subprocess.run(["git", "add", "-A"], cwd=root, check=True)
        return root

    return made


def faults_of(root: Path, *changes: str) -> list[Mutant]:
    faults = {mutant.change: mutant for mutant in mutants_of(functions_of(root)["larger"])}
    return [faults[change] for change in changes]


LARGER = "def test_it():\n    assert larger([1, 3]) == [2]\n"


def test_mutants_are_killed_by_the_test_files_that_enter_their_function(
    checkout: Callable[..., Path], tmp_path: Path
) -> None:
    edge = "def test_it():\n    assert larger([2]) or not larger([1])\n"
    root = checkout(larger=LARGER, edge=edge, other="def test_it():\n    assert other(2) == 4\n")
    chosen = faults_of(root, "the call is dropped", "Gt becomes GtE")  # each is seen by one of the two files alone
    verdicts = Version("this", root, tmp_path / "out", chosen).verdicts(jobs=1, limit=60)
    assert list(verdicts.values()) == ["killed by tests/test_larger.py", "killed by tests/test_edge.py"]
    seconds = json.loads((tmp_path / "out" / "this" / "entered" / "seconds.json").read_text())
    assert sorted(seconds) == ["tests/test_edge.py", "tests/test_larger.py", "tests/test_other.py"]


def test_a_file_that_fails_without_a_fault_kills_nothing(checkout: Callable[..., Path], tmp_path: Path) -> None:
    root = checkout(larger=LARGER, broken="def test_it():\n    assert larger([1, 3]) == [7]\n")
    version = Version("this", root, tmp_path / "out", faults_of(root, "Gt becomes GtE"))
    assert list(version.verdicts(jobs=1, limit=60).values()) == ["survived"]
    assert "left out: tests/test_broken.py" in (version.out / "entered" / "pytest-marked.txt").read_text()


HANGS = """import pathlib, subprocess, sys, time

def test_it():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    if larger([1, 2, 3]) == [2, 3]:
        child.kill()
        return
    pathlib.Path({noted!r}).write_text(str(child.pid))
    time.sleep(300)
"""


def test_what_hangs_is_not_decided_and_takes_its_children_along(checkout: Callable[..., Path], tmp_path: Path) -> None:
    noted = tmp_path / "child"
    root = checkout(hanging=HANGS.format(noted=str(noted)))
    version = Version("this", root, tmp_path / "out", faults_of(root, "1 becomes 2"))
    assert list(version.verdicts(jobs=1, limit=15).values()) == ["not decided"]
    child = Path("/proc") / noted.read_text() / "stat"
    assert not child.exists() or child.read_text().split()[2] == "Z"  # a zombie has ended, and waits to be collected
