"""Sixty small faults, tried by the tests of two versions: ``python -m validation.mutants --other FOLDER``.

``FOLDER`` is a checkout of the other version. Each version's package is changed in the same way, in the same function,
and the version's own test files that enter the function run until one fails. Printed: how many of the mutants each
version's tests kill, and those on which they differ. What was measured is kept in ``--out``, so that a run that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from validation.mutants import touched
from validation.mutants.choice import Mutant, choose, functions_of, source_with

ROOT = Path(__file__).resolve().parents[2]
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-cell-timeout=600", "--timeout=150")


class Version:
    """A checkout whose tests are tried, in copies of its tracked files."""

    def __init__(self, name: str, root: Path, out: Path, mutants: Sequence[Mutant]) -> None:
        self.name, self.root, self.out, self.mutants = name, root, out / name, mutants
        self.functions = functions_of(root)
        self.out.mkdir(parents=True, exist_ok=True)

    def copied(self, name: str) -> Path:
        """A fresh copy of the tracked files."""
        copy = self.out / name
        shutil.rmtree(copy, ignore_errors=True)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, check=True, capture_output=True, text=True)
        for file in listed.stdout.split("\0"):
            if file and (self.root / file).is_file():
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / file, copy / file)
        shutil.copy2(touched.__file__, copy / f"{touched.NAME}.py")
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        subprocess.run(["git", "add", "-A"], cwd=copy, check=True)
        return copy

    def entered(self) -> dict[int, list[str]]:
        """Passing test files that enter each mutant's function, the quickest first; read from an earlier run."""
        folder = self.out / "entered"
        if not (folder / "seconds.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            copy = self.copied("marked")
            for number, mutant in enumerate(self.mutants):
                # Read again each time: a file may hold several of the functions.
                function = functions_of(copy)[mutant.function]
                first = f'__import__("{touched.NAME}").touch({number})'
                (copy / function.file).write_text(source_with(copy, function, None, first=first), encoding="utf-8")
            arguments = ["-p", touched.NAME, "-n", "2", "--dist", "loadfile", "tests", "tutorials"]
            status = self.run(copy, arguments, folder, None)
            if status not in (0, 1):  # 1: some tests failed, as those do that read the source of a marked function
                raise RuntimeError(f"{self.name}: pytest ended with {status}; see {folder / 'pytest-marked.txt'}.")
        seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        files: dict[int, set[str]] = {number: set() for number in range(len(self.mutants))}
        for lines in folder.glob("entered-*.txt"):
            for line in lines.read_text(encoding="utf-8").splitlines():
                number, file = line.split("\t")
                if file in seconds:
                    files[int(number)].add(file)
        return {number: sorted(names, key=lambda name: (seconds[name], name)) for number, names in files.items()}

    def run(self, copy: Path, arguments: Sequence[str], folder: Path, limit: float | None) -> int | None:
        """Exit status of pytest in a copy; None if it did not end within ``limit`` seconds."""
        environment = {
            **os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", touched.FOLDER: str(folder),
            "PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        with (folder / f"pytest-{copy.name}.txt").open("w", encoding="utf-8") as output:
            command = [sys.executable, *PYTEST, *arguments]
            process = subprocess.Popen(
                command, cwd=copy, env=environment, stdout=output, stderr=output, start_new_session=True
            )
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                return None
            finally:
                # Kernels and browsers that the tests started would outlive pytest.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def verdict(self, copy: Path, number: int, files: Sequence[str], limit: float) -> str:
        """``"killed by FILE"``, ``"survived"``, ``"not entered"``, or ``"not decided"`` where the limit came first."""
        mutant = self.mutants[number]
        function = self.functions[mutant.function]
        path, before = copy / function.file, (copy / function.file).read_text(encoding="utf-8")
        path.write_text(source_with(copy, function, mutant), encoding="utf-8")
        try:
            # One process for all files: most of a short file's time is the import of PyTorch.
            status = self.run(copy, ["-x", *files], self.out, limit) if files else 0
            if status is None:
                return "not decided"
            if status not in (0, 5):  # 5: the files have no test on this machine
                output = (self.out / f"pytest-{copy.name}.txt").read_text(encoding="utf-8")
                failed = re.search(r"^(?:FAILED|ERROR) ([^:\s]+)", output, re.MULTILINE)
                return f"killed by {failed[1] if failed else f'status {status} of pytest'}"
        finally:
            path.write_text(before, encoding="utf-8")
        return "survived" if files else "not entered"

    def verdicts(self, jobs: int, limit: float) -> dict[str, str]:
        """Verdict on each mutant by its name."""
        path = self.out / "verdicts.json"
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        entered = self.entered()
        copies: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            copies.put(self.copied(f"mutant-{job}"))

        def decide(number: int) -> None:
            mutant = self.mutants[number]
            if mutant.key in known:
                return
            copy = copies.get()
            try:
                known[mutant.key] = self.verdict(copy, number, entered[number], limit)
            finally:
                copies.put(copy)
            path.write_text(json.dumps(known, indent=1), encoding="utf-8")
            print(f"{self.name} {number + 1}/{len(self.mutants)} {known[mutant.key]}: {str(mutant)[:120]}", flush=True)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(decide, range(len(self.mutants))))
        return {mutant.key: known[mutant.key] for mutant in self.mutants}


def main() -> None:
    """Try the mutants on both versions and print the shares."""
    parser = argparse.ArgumentParser(prog="python -m validation.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, required=True, help="checkout of the other version")
    parser.add_argument("--out", type=Path, required=True, help="folder for copies and results")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at the same time")
    parser.add_argument("--minutes", type=float, default=5.0, help="limit of one mutant on one version")
    chosen = parser.parse_args()
    mutants = choose((ROOT, chosen.other.resolve()), chosen.count, chosen.seed)
    begun = time.monotonic()
    results = {
        name: Version(name, root, chosen.out.resolve(), mutants).verdicts(chosen.jobs, 60 * chosen.minutes)
        for name, root in (("other", chosen.other.resolve()), ("this", ROOT))
    }
    print(f"\n{len(mutants)} mutants, seed {chosen.seed}, {(time.monotonic() - begun) / 60:.0f} minutes")
    for name, verdicts in results.items():
        counts = Counter(verdict.partition(" by ")[0] for verdict in verdicts.values())
        print(f"{name}: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}")
    for mutant in mutants:
        pair = [results[name][mutant.key] for name in results]
        if len({verdict.startswith("killed") for verdict in pair}) > 1:
            print(f"differs: {mutant}\n  other: {pair[0]}\n  this:  {pair[1]}")


if __name__ == "__main__":
    main()
