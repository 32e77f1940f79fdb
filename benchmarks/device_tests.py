"""The tests that take a device, or in another dtype than float32 those that take a dtype, run on one device.

As a plugin of pytest this module leaves out all other tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from common import report

ROOT = Path(__file__).resolve().parents[1]
COUNTS = ("tests", "failures", "errors", "skipped")


def main() -> None:
    """Run it."""
    options = arguments()
    facts = report.facts(1, options.device)
    counts = run_tests(options)
    print(report.heading(f"tests on {options.device}, {options.dtype}", facts))
    print(report.table(COUNTS, [[counts[name] for name in COUNTS]]))
    ran = counts["tests"] - counts["skipped"]
    targets = [
        report.target("tests that failed", counts["failures"] + counts["errors"], 0, at_least=False),
        report.target("tests that ran", ran, 1, at_least=True),
    ]
    print(report.targets_text(targets))
    report.write(options.json, "device_tests", facts | counts | {"benchmark": "device_tests", "targets": targets})
    if counts["failed"]:
        raise SystemExit(f"{len(counts['failed'])} of {ran} tests failed: {', '.join(counts['failed'])}")


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--tests", nargs="+", default=["tests"], help="files, folders or single tests")
    parser.add_argument("--workers", default="4", help="processes that share the device")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/device_tests.json")
    return parser.parse_args()


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out the tests that would do the same whatever the device, or whatever the dtype."""
    needed = "device" if config.getoption("dtype") in (None, ["float32"]) else "dtype"
    left_out = [item for item in items if needed not in getattr(item, "fixturenames", ())]
    items[:] = [item for item in items if needed in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=left_out)


def run_tests(options: argparse.Namespace) -> dict[str, Any]:
    """How many tests ran, failed and were skipped, and the names of those that failed.

    Raises
    ------
    RuntimeError
        With what pytest wrote, if it could not run the tests.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", Path(__file__).stem]
        command += ["-n", options.workers, "--dist", "loadfile", "-m", "not browser", *options.tests]
        command += ["--device", options.device, "--dtype", options.dtype, f"--junitxml={file}"]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
        environment = os.environ | {"PYTHONPATH": paths}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: some tests failed
            raise RuntimeError(f"pytest ended with status {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        suites = list(ElementTree.parse(file).iter("testsuite"))
    counts: dict[str, Any] = {name: sum(int(suite.get(name, 0)) for suite in suites) for name in COUNTS}
    cases = [case for suite in suites for case in suite.iter("testcase")]
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    counts["failed"] = [f"{case.get('classname')}::{case.get('name')}" for case in failed]
    return counts


if __name__ == "__main__":
    main()
