"""requirements.lock fits what is declared, and is what all commands install; what stops an installation is named."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
BARE = {"mllm-probe", "pip"}
INSTALL = ROOT / ".ci" / "install.py"


def locked(text: str) -> dict[str, Requirement]:
    """Requirements of a lock that apply to this Python, by name."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    asked = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in asked if one.marker is None or one.marker.evaluate()}


def declared(project: dict) -> list[Requirement]:
    """Dependencies of the package and of all its extras, other than itself."""
    optional = [line for lines in project["optional-dependencies"].values() for line in lines]
    asked = [Requirement(line) for line in (*project["dependencies"], *optional)]
    return [one for one in asked if one.name != project["name"]]


def first_difference(lock: dict[str, Requirement], root: Distribution, extras: tuple[str, ...]) -> str | None:
    """First package, of those that a distribution and its extras need, that is not installed as the lock says."""
    open_, seen = [(root, extras)], set()
    while open_:
        one, chosen = open_.pop()
        for line in one.requires or ():
            asked = Requirement(line)
            if asked.marker is not None and not any(asked.marker.evaluate({"extra": extra}) for extra in ("", *chosen)):
                continue
            name, wanted = canonicalize_name(asked.name), tuple(sorted(asked.extras))
            if (name, wanted) in seen or name in BARE - {canonicalize_name(root.name)}:
                continue
            seen.add((name, wanted))
            try:
                found = distribution(name)
            except PackageNotFoundError:
                return f"{name} is needed by {one.name} and not installed"
            if name not in BARE:
                if name not in lock:
                    return f"{name} {found.version} is installed for {one.name} and not in the lock"
                if not lock[name].specifier.contains(found.version, prereleases=True):
                    return f"{name} {found.version} is installed, the lock has {lock[name].specifier}"
            open_.append((found, wanted))
    return None


def script(path: Path) -> ModuleType:
    """A file of .ci as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.locked
def test_what_is_installed_is_what_the_lock_says() -> None:
    difference = first_difference(locked(LOCK.read_text(encoding="utf-8")), distribution("mllm-probe"), ("test",))
    assert difference is None, f"{difference}: make test renews .venv; a change of pyproject.toml needs make lock"


@pytest.mark.locked
def test_the_first_difference_is_named() -> None:
    probe, lock = distribution("mllm-probe"), locked(LOCK.read_text(encoding="utf-8"))
    older = lock | {"numpy": Requirement("numpy==1.0")}
    assert f"numpy {distribution('numpy').version} is installed, the lock has ==1.0" == first_difference(
        older, probe, ("test",)
    )
    without = {name: one for name, one in lock.items() if name != "nbval"}
    assert "nbval" in str(first_difference(without, probe, ("test",)))


def test_the_lock_has_every_declared_package_within_its_range() -> None:
    lock, project = (
        locked(LOCK.read_text(encoding="utf-8")),
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"],
    )
    for one in declared(project):
        (version,) = (clause.version for clause in lock[canonicalize_name(one.name)].specifier)
        assert one.specifier.contains(version), f"{one} is declared, the lock has {version}: make lock"


def test_the_lock_is_exact_and_names_no_place() -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9.-]+==[^\s;+]+( ; .+)?", line), line
    assert re.search(r"^torch==[\d.]+$", text, re.M), "torch without a local label, for CPU and CUDA builds"


@pytest.mark.parametrize("target", ["lab", "test", "test-all", "lint", "bench", "validate", "faults", "gpu"])
def test_every_command_installs_by_the_lock_and_again_when_it_changes(target: str, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("tutorials/00_quickstart.ipynb", "widgets/package-lock.json", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shutil.copytree(ROOT / "binder", tmp_path / "binder")

    def installs(*options: str) -> list[str]:
        done = subprocess.run(
            ["make", "-n", target, *options], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return [line for line in done.stdout.splitlines() if "install.py" in line]

    assert installs() and all(f'--lock "requirements.lock" --goal {target} --' in line for line in installs())
    assert all('--lock "" ' in line for line in installs("LOCK="))
    for extra in ("lab", "test", "bench"):
        (tmp_path / ".venv" / f"{extra}.stamp").touch()
    assert not installs()
    later = (tmp_path / ".venv" / "lab.stamp").stat().st_mtime + 10
    os.utime(tmp_path / "requirements.lock", (later, later))
    assert installs() and not installs("LOCK=")


@pytest.mark.parametrize("file", ["README.md", "binder/postBuild"])
def test_lines_for_pip_and_binder_take_the_lock(file: str) -> None:
    lines = [
        line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if re.search(r"pip install .*-", line)
    ]
    assert lines and all("-c " in line and "requirements.lock" in line for line in lines)


def test_a_lock_that_does_not_fit_ends_with_a_line_that_names_the_package(tmp_path: Path) -> None:
    lock = tmp_path / "with space.lock"
    lock.write_text("numpy==0.0.1\n", encoding="utf-8")
    command = [sys.executable, INSTALL, "--lock", lock, "--goal", "lab", "--", "--dry-run", "--no-index", "numpy"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode
    last = done.stderr.splitlines()[-1]
    assert f"{lock}: numpy==0.0.1 cannot be installed on {platform.system()} {platform.machine()}" in last
    assert last.endswith("To go on without the lock: make lab LOCK=")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0", "torch==2.13.0 cannot be installed"),
        ("    The user requested (constraint) torch==2.13.0\n", "torch==2.13.0 cannot be installed"),
        ("ERROR: Failed to build 'sentencepiece' when getting requirements", "sentencepiece cannot be installed"),
        ("  ERROR: Failed building wheel for sentencepiece", "its build failed"),
        ("ERROR: Could not install packages due to an OSError: No space left on device", None),
    ],
)
def test_what_pip_says_becomes_one_line(words: str, says: str | None) -> None:
    line = script(INSTALL).explanation(f"2026 begin\n{words}\nend", "requirements.lock", "test")
    assert (line is None) if says is None else (says in line and "\n" not in line)


def test_packages_without_a_wheel_are_named_with_what_follows() -> None:
    lock = script(ROOT / ".ci" / "lock.py")

    def package(name: str, *wheels: str, **more: object) -> dict:
        return {"name": name, "wheels": [{"name": f"{name}-1.0-{wheel}.whl"} for wheel in wheels], **more}

    most = [
        f"cp310-abi3-{tags}"
        for tags in ("manylinux_2_28_x86_64", "manylinux2014_aarch64", "macosx_11_0_arm64", "win_amd64")
    ]
    packages = [
        package("pure", "py3-none-any"), package("most", *most), package("built", *most, sdist={}),
        package("late", *most, *(f"cp3{n}-cp3{n}-macosx_12_0_x86_64" for n in (11, 12))),
        package("windows", "cp310-abi3-win_amd64", marker="sys_platform == 'win32'"),
    ]  # fmt: skip
    needed = {"": {"most"}, "test": {"most", "built"}, "lab": {"late"}}
    assert list(lock.wheel_comments(packages, needed)) == [
        "# No wheel: most on macOS x86_64: not to be had there, and so mllm-probe cannot be installed.",
        "# No wheel: built on macOS x86_64: built from source there, which needs a compiler, for the extras test.",
        "# No wheel: late on macOS x86_64 with Python 3.13, 3.14: "
        "not to be had there, and so the extras lab cannot be installed.",
    ]


def test_the_locked_versions_are_final_releases() -> None:
    early = [
        one for one in locked(LOCK.read_text()).values() if any(Version(c.version).is_prerelease for c in one.specifier)
    ]
    assert not early
