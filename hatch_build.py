"""Build hook: bundle the front-end when its sources have changed and Node is there, else take the bundle as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # the functions below also serve the tests, which run without hatchling

    class BuildHookInterface:  # type: ignore[no-redef]
        """Stands in for hatchling's interface."""


SETTINGS = ("build.mjs", "package-lock.json", "package.json", "tsconfig.json", "../mllm_probe/plots/palette.json")
STAMP = "sources.sha256"


def sources(front_end: Path) -> list[Path]:
    """Files that decide the bundle, in the order in which they are hashed."""
    files = [path for path in (front_end / "src").rglob("*") if path.is_file()]
    files += [front_end / name for name in SETTINGS]
    return sorted(files, key=lambda path: _relative(path, front_end))


def _relative(path: Path, front_end: Path) -> str:
    """Path from the front-end's folder, also of what it reads from the package."""
    return os.path.relpath(path, front_end).replace(os.sep, "/")


def stamp(front_end: Path) -> str:
    """Hash of the sources: for each file its path, its length and its content."""
    digest = hashlib.sha256()
    for path in sources(front_end):
        content = path.read_bytes()
        digest.update(f"{_relative(path, front_end)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


class CustomBuildHook(BuildHookInterface):
    """Keeps the bundle in the package in step with the TypeScript sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build if needed and possible; raise only when there would be no bundle at all."""
        front_end = Path(self.root) / "widgets"
        static = Path(self.root) / "mllm_probe" / "widgets" / "static"
        there = any(static.glob("*.js"))
        if not (front_end / "build.mjs").is_file():
            self._need(there, "the front-end's sources are not here")
            return
        marked = static / STAMP
        if there and marked.is_file() and marked.read_text().strip() == stamp(front_end):
            return
        npm = shutil.which("npm")
        if npm is None:
            self._need(there, "Node is not here to build the front-end")
            return
        try:
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=front_end, check=True)
            subprocess.run([npm, "run", "--silent", "build"], cwd=front_end, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self._need(there, f"the front-end could not be built ({error})")

    def _need(self, there: bool, why: str) -> None:
        if not there:
            raise RuntimeError(f"{why} and mllm_probe/widgets/static holds no bundle; install Node 20 or newer.")
        self.app.display_warning(f"{why}; the bundle in mllm_probe/widgets/static is used as it is.")
