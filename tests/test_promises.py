"""Every promise of tests/promises.md names tests that exist, and every invariant has one."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
INVARIANTS = 9


@functools.cache
def functions_of(file: str) -> set[str]:
    """Names of the test functions of a file, those inside classes too."""
    if not (ROOT / file).is_file():
        return set()
    functions = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    return {one.name for one in functions if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")}


def promises(text: str) -> list[tuple[str, str, str]]:
    """Section, promise and tests of every row of the list."""
    rows, section = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and line != "| promise | test |":
            promise, tests = (cell.strip() for cell in line.strip("| ").rsplit(" | ", 1))
            rows.append((section, promise, tests))
    return rows


def faults(rows: list[tuple[str, str, str]]) -> list[str]:
    """What is wrong with the rows of the list."""
    found, held = [], set()
    for section, promise, tests in rows:
        named = TEST.findall(tests)
        if ", ".join(f"`{file}::{test}`" for file, test in named) != tests and not re.match(r"none: \w", tests):
            found.append(f"{promise}: expected tests by commas, or 'none: why'; got {tests}")
        found += [f"{promise}: there is no {file}::{test}" for file, test in named if test not in functions_of(file)]
        if section == "Invariants" and named:
            held.add(int(promise.partition(".")[0]))
    without = set(range(1, INVARIANTS + 1)) - held
    return found + [f"invariant {number} has no test" for number in sorted(without)]


def test_every_promise_is_held_by_tests_that_exist() -> None:
    rows = promises((ROOT / "tests" / "promises.md").read_text(encoding="utf-8"))
    assert len(rows) > 100 and len({promise for _, promise, _ in rows}) == len(rows)
    assert faults(rows) == []


def test_the_check_sees_what_it_should() -> None:
    here = "`tests/test_promises.py::test_the_check_sees_what_it_should`"
    whole = [("Invariants", f"{number}. Holds", here) for number in range(1, INVARIANTS + 1)]
    assert faults([*whole, ("Set-up", "Other", f"{here}, {here}"), ("Set-up", "Not tested", "none: it is new")]) == []
    for row, fault in (
        (
            ("Set-up", "Gone", here.replace("sees", "saw")),
            "Gone: there is no tests/test_promises.py::test_the_check_saw",
        ),
        (("Set-up", "Gone", here.replace("promises", "nothing")), "Gone: there is no tests/test_nothing.py"),
        (("Set-up", "Silent", "none"), "Silent: expected tests by commas"),
        (("Set-up", "Half", f"{here} and more"), "Half: expected tests by commas"),
    ):
        assert faults([*whole, row])[0].startswith(fault)
    assert faults(whole[:-1]) == ["invariant 9 has no test"]
    assert promises("## Set-up\n| promise | test |\n|---|---|\n| `a` | b | `c` |\n") == [("Set-up", "`a` | b", "`c`")]
