"""Mutants are the same fault in two versions of a package, whatever its locals are called there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from validation.mutants.choice import choose, functions_of, mutants_of, source_with

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
    assert "def larger(values, least=2):\n    mark(3)\n    found = []" in source_with(
        versions[0], function, None, first="mark(3)"
    )
