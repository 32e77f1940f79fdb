"""Write requirements.lock: one version of every package that the commands, docs, benchmarks and Binder install.

``uv run --no-project --with packaging .ci/lock.py [--upgrade …]`` (``make lock``). Arguments go to ``uv pip compile``.
Versions that are in the lock already stay, unless pyproject.toml or ``--upgrade`` asks for others.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
HEAD = """\
# Exact versions for every command, on Linux, macOS and Windows, Python 3.11 to 3.14: constraints for pip (-c).
# Written by `make lock`, not by hand: docs/versions.md. Torch has no local label, so that CPU and CUDA builds fit.
"""
BUILD = ("editables",)  # what hatchling asks for when it builds a checkout that stays editable
ALONE = ("steering-vectors>=0.12,<0.13",)
"""Installed without dependencies by ``make bench``: its code runs with the newest transformers, but what it declares
would bring back one before 5."""

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))


@dataclass(frozen=True)
class Platform:
    """A system on which the lock is to hold: its name here, the wheel tags that run on it, and its marker values."""

    name: str
    tags: tuple[str, ...]
    sys_platform: str
    platform_system: str
    os_name: str
    machine: str

    def environment(self, python: tuple[int, int]) -> dict[str, str]:
        """Values of environment markers under a CPython."""
        version = ".".join(map(str, python))
        return {
            "os_name": self.os_name, "sys_platform": self.sys_platform, "platform_system": self.platform_system,
            "platform_machine": self.machine, "python_version": version, "python_full_version": f"{version}.9",
            "implementation_name": "cpython", "platform_python_implementation": "CPython",
        }  # fmt: skip

    def wheel_tags(self, python: tuple[int, int]) -> set[Tag]:
        """Tags of the wheels that a CPython installs here."""
        return {*cpython_tags(python, platforms=self.tags), *compatible_tags(python, platforms=self.tags)}


def _linux(machine: str) -> Platform:
    """Linux with glibc 2.35 or later, of 2022."""
    old = ("manylinux1", "manylinux2010", "manylinux2014", "linux")
    tags = (*(f"manylinux_2_{minor}_{machine}" for minor in range(5, 36)), *(f"{name}_{machine}" for name in old))
    return Platform(f"Linux {machine}", tags, "linux", "Linux", "posix", machine)


def _mac(machine: str) -> Platform:
    """A macOS of 2023."""
    tags = tuple(mac_platforms((14, 0), machine))
    return Platform(f"macOS {machine}", tags, "darwin", "Darwin", "posix", machine)


PLATFORMS = (
    _linux("x86_64"), _linux("aarch64"), _mac("arm64"), _mac("x86_64"),
    Platform("Windows AMD64", ("win_amd64",), "win32", "Windows", "nt", "AMD64"),
)  # fmt: skip


def places_without_wheel(package: dict) -> dict[str, list[str]]:
    """Platforms, each with its Pythons, for which a package of a pylock.toml is needed and has no wheel."""
    marker = Marker(package["marker"]) if "marker" in package else None
    wheels: set[Tag] = set()
    for wheel in package.get("wheels", ()):
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
        wheels |= parse_wheel_filename(name.replace("%2B", "+"))[3]
    without: dict[str, list[str]] = {}
    for platform in PLATFORMS:
        for python in PYTHONS:
            needed = marker is None or marker.evaluate(platform.environment(python))
            if needed and wheels.isdisjoint(platform.wheel_tags(python)):
                without.setdefault(platform.name, []).append(".".join(map(str, python)))
    return without


def consequence(package: dict, needed_by: Iterable[str]) -> str:
    """Say what follows where a package has no wheel; ``needed_by``: extras, or '' for the package itself."""
    needed = sorted(needed_by)
    what = "mllm-probe" if "" in needed else f"the extras {', '.join(needed)}" if needed else "make bench"
    if "sdist" in package:
        return f"built from source there, which needs a compiler, for {what}"
    return f"not to be had there, and so {what} cannot be installed"


def wheel_comments(packages: Iterable[dict], needed: dict[str, set[str]]) -> Iterator[str]:
    """Lines for the packages of a pylock.toml that have no wheel for some platform or Python."""
    for package in packages:
        places = sorted((tuple(pythons), name) for name, pythons in places_without_wheel(package).items())
        for pythons, group in groupby(places, key=lambda place: place[0]):
            every = len(pythons) == len(PYTHONS)
            where = ", ".join(name for _, name in group) + ("" if every else f" with Python {', '.join(pythons)}")
            by = {extra for extra, names in needed.items() if package["name"] in names}
            yield f"# No wheel: {package['name']} on {where}: {consequence(package, by)}."


def _compile(folder: Path, output: str, inputs: list[str], arguments: list[str], text: str | None = None) -> Path:
    """Resolve with uv for all platforms and Pythons at once: what is tested on one Python is what all get."""
    target = folder / output
    command = [
        "uv", "pip", "compile", "--quiet", "--universal", "--fork-strategy", "fewest", "--python-version", "3.11",
        "--no-header", "--no-annotate", "--format", "pylock.toml" if output.endswith(".toml") else "requirements.txt",
        *arguments, "-o", str(target), *inputs,
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT, input=text, text=True, stdout=subprocess.DEVNULL)
    return target


def _names(file: Path) -> set[str]:
    """Packages of a file of requirements."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line and not line.startswith("#")}


def main() -> None:
    """Write the lock."""
    parser = argparse.ArgumentParser(description=__doc__)
    _, arguments = parser.parse_known_args()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = folder / "build.in"
        build.write_text("\n".join(BUILD), encoding="utf-8")
        for output in ("lock.txt", "alone.txt") if LOCK.exists() else ():
            shutil.copy(LOCK, folder / output)  # uv keeps the versions that it finds in its output
        every = ["pyproject.toml", "--all-extras", str(build)]
        lock = _compile(folder, "lock.txt", every, arguments)
        held = ["-c", str(lock)]
        alone = _compile(folder, "alone.txt", ["-", "--no-deps"], arguments, "\n".join(ALONE))
        pylock = tomllib.loads(_compile(folder, "pylock.toml", every, held).read_text(encoding="utf-8"))
        needed = {"": _names(_compile(folder, "base.txt", ["pyproject.toml"], held))}
        for extra in extras:
            needed[extra] = _names(_compile(folder, f"{extra}.txt", ["pyproject.toml", "--extra", extra], held))
        comments = list(wheel_comments(pylock["packages"], needed))
        lines = sorted(line for file in (lock, alone) for line in file.read_text(encoding="utf-8").splitlines())
    LOCK.write_text("\n".join([HEAD.rstrip(), *comments, *lines]) + "\n", encoding="utf-8")
    print(f"{LOCK.name}: {len(lines)} packages, {len(comments)} remarks on wheels")


if __name__ == "__main__":
    main()
