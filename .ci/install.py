"""Install by a lock into the environment of this Python; where that fails, name the package and say how to go on.

``python .ci/install.py --lock requirements.lock --goal lab -- -e ".[lab]"``: what follows ``--`` goes to pip. An empty
``--lock`` installs what pip chooses.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_REASONS = (
    (re.compile(r"No matching distribution found for (?P<package>[^\s;]+)"), "no build of it was found"),
    (
        re.compile(r"The user requested \(constraint\) (?P<package>[^\s;]+)"),
        "no build of it satisfies all requirements",
    ),
    (re.compile(r"Failed to build '?(?P<package>[^\s';]+)"), "its build failed"),
    (re.compile(r"Failed building (?:wheel|editable) for (?P<package>[^\s;]+)"), "its build failed"),
)
"""What pip writes into its log, from 23 to 26, and what it means; the first that is found is the cause."""


def explanation(log: str, lock: str, goal: str) -> str | None:
    """One line that names the package of the lock at which pip stopped; None if pip stopped for another reason."""
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    for pattern, what in _REASONS:
        if (found := pattern.search(log)) is not None:
            return (
                f"{lock}: {found['package']} cannot be installed on {machine}: {what} (pip's words are above). "
                f"To go on without the lock: make {goal} LOCK="
            )
    return None


def main() -> None:
    """Run pip; its exit status is this one's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", required=True)
    parser.add_argument("--goal", required=True, help="target of make that is repeated in the advice")
    parser.add_argument("arguments", nargs="+", help="arguments of pip install")
    options = parser.parse_args()
    surroundings = dict(os.environ)
    held = []
    if options.lock:
        held = ["-c", options.lock]
        # What builds the checkout comes into an environment of its own, which takes constraints from here: pip before
        # 25.3 from the first, later ones from the second. Both are split at spaces, which an address does not have.
        for name in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"):
            own = [surroundings[name]] if name in surroundings else []
            surroundings[name] = " ".join([*own, Path(options.lock).resolve().as_uri()])
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "pip.log"
        command = [sys.executable, "-m", "pip", "install", "--log", str(log), *held, *options.arguments]
        status = subprocess.run(command, env=surroundings).returncode
        if status and options.lock and log.exists():
            line = explanation(log.read_text(encoding="utf-8", errors="replace"), options.lock, options.goal)
            if line is not None:
                print(line, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
