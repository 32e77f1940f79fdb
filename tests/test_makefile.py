"""``make lab`` opens a copy of the quick start that is the user's; arguments reach what a target runs once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


SETTINGS = 'echo "config $JUPYTER_CONFIG_PATH"; echo "workspaces $JUPYTERLAB_WORKSPACES_DIR"'
WORKSPACE = "default-37a8.jupyterlab-workspace"
OVERRIDES = "labconfig/default_setting_overrides.json"


def command(path: Path, script: str) -> None:
    """Write a command of a few lines of sh."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up, whose JupyterLab prints its arguments."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "tutorials").mkdir()
    for name in ("Makefile", "pyproject.toml", "tutorials/00_quickstart.ipynb"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "binder", tmp_path / "binder")
    for name in ("python", "jupyter"):
        command(tmp_path / ".venv" / "bin" / name, f'{SETTINGS}\nfor argument in "$@"; do echo "got $argument"; done')
    (tmp_path / ".venv" / "lab.stamp").touch()
    return tmp_path


def lab(checkout: Path, arguments: str = "") -> tuple[list[str], str]:
    """Arguments that JupyterLab got from ``make lab``, and all that was printed."""
    done = subprocess.run(["make", "lab", f"ARGS={arguments}"], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("got ") for line in done.stdout.splitlines() if line.startswith("got ")], done.stdout


def test_lab_opens_a_copy_that_git_ignores(checkout: Path) -> None:
    arguments, _ = lab(checkout)
    copy = checkout / "notebooks" / "00_quickstart.ipynb"
    assert copy.read_bytes() == (checkout / "tutorials" / "00_quickstart.ipynb").read_bytes()
    assert "--LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb" in arguments
    assert "notebooks/" in (ROOT / ".gitignore").read_text().splitlines()


def test_lab_never_writes_over_an_edited_copy(checkout: Path) -> None:
    lab(checkout)
    copy, tracked = checkout / "notebooks" / "00_quickstart.ipynb", checkout / "tutorials" / "00_quickstart.ipynb"
    copy.write_text("mine")
    os.utime(copy, (1, 1))
    tracked.write_text("newer")
    _, printed = lab(checkout)
    assert copy.read_text() == "mine"
    assert "00_quickstart.ipynb is newer than your notebooks/00_quickstart.ipynb: move yours away" in printed


def test_lab_and_binder_take_the_same_settings_of_jupyterlab(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = checkout / "binder" / "jupyter"
    _, printed = lab(checkout)
    places = dict(line.split(" ", 1) for line in printed.splitlines() if line.startswith(("config ", "workspaces ")))
    assert Path(places["config"]) == tracked
    assert (Path(places["workspaces"]) / WORKSPACE).read_bytes() == (tracked / "workspaces" / WORKSPACE).read_bytes()

    stubs, prefix = checkout / "stubs", checkout / "conda"
    stubs.mkdir()
    command(stubs / "python", f'case "$1" in -c) echo "{prefix}";; esac')
    command(stubs / "jupyter", f'echo "{checkout}/home"')
    command(stubs / "mllm-probe", "")
    monkeypatch.setenv("PATH", str(stubs), prepend=os.pathsep)
    subprocess.run(["bash", "binder/postBuild"], cwd=checkout, check=True)
    assert (prefix / "etc" / "jupyter" / OVERRIDES).read_bytes() == (tracked / OVERRIDES).read_bytes()
    workspace = checkout / "home" / "lab" / "workspaces" / WORKSPACE
    assert workspace.read_bytes() == (tracked / "workspaces" / WORKSPACE).read_bytes()


def test_lab_keeps_the_layout_that_a_person_left(checkout: Path) -> None:
    lab(checkout)
    workspace = checkout / "notebooks" / ".workspaces" / WORKSPACE
    workspace.write_text("mine")
    os.utime(workspace, (1, 1))
    lab(checkout)
    assert workspace.read_text() == "mine"


@pytest.mark.parametrize("option", ["--ServerApp.root_dir=elsewhere", "--LabApp.default_url=/lab"])
def test_what_arguments_set_is_not_set_twice(checkout: Path, option: str) -> None:
    arguments, _ = lab(checkout, f"--no-browser {option}")
    assert "--no-browser" in arguments
    assert [argument for argument in arguments if "root_dir" in argument or "default_url" in argument] == [option]


def test_gpu_passes_its_arguments_on_where_all_is_installed(checkout: Path) -> None:
    for extra in ("bench", "test"):
        (checkout / ".venv" / f"{extra}.stamp").touch()
    command = ["make", "gpu", "ARGS=--dry --only sweep"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    arguments = [line.removeprefix("got ") for line in done.stdout.splitlines() if line.startswith("got ")]
    assert arguments == ["benchmarks/gpu.py", "--dry", "--only", "sweep"]
