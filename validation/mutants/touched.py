"""Which test file enters which function: a plugin of pytest, and the call that marked functions begin with.

Copied beside the package's copy under the name :data:`NAME`, so that processes which tests start find it too.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

NAME = "mutant_touched"
FOLDER = "MUTANT_TOUCHED"
_seen: set[tuple[int, str]] = set()
_seconds: Counter[str] = Counter()
_failed: set[str] = set()


def touch(number: int) -> None:
    """Note that the running test file entered the function of this number, once per process."""
    file = os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[0]
    if (number, file) in _seen or FOLDER not in os.environ:
        return
    _seen.add((number, file))
    with (Path(os.environ[FOLDER]) / f"entered-{os.getpid()}.txt").open("a", encoding="utf-8") as lines:
        lines.write(f"{number}\t{file}\n")


def pytest_runtest_logreport(report: Any) -> None:
    """Add up the seconds of a test file, and note whether something in it fails."""
    file = report.nodeid.split("::")[0]
    _seconds[file] += report.duration
    if report.failed:
        _failed.add(file)


def pytest_sessionfinish(session: Any) -> None:
    """Write the seconds of the files that pass; with several workers, those that collected all reports.

    A file that fails without a fault (some read the source of a marked function) would kill every mutant.
    """
    if FOLDER in os.environ and not hasattr(session.config, "workerinput"):
        passed = {file: seconds for file, seconds in _seconds.items() if file not in _failed}
        (Path(os.environ[FOLDER]) / "seconds.json").write_text(json.dumps(passed), encoding="utf-8")
        print(f"\nfailed without a fault, and left out: {', '.join(sorted(_failed)) or 'none'}")
