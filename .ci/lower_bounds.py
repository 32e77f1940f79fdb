"""Print pip constraints that hold every declared dependency at its lower bound.

``python .ci/lower_bounds.py pyproject.toml --leave torch torchvision > constraints.txt``
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?(?:>=(?P<bound>[\w.]+))?(?:,<[\w.]+)?")


def lower_bounds(project: dict, extras: list[str]) -> Iterator[tuple[str, str]]:
    """Names and lowest versions of the dependencies of a project and of some of its extras.

    Parameters
    ----------
    project : dict
        Table ``project`` of a pyproject.toml.
    extras : list of str
        Extras that are read too; one that names the project itself is skipped.

    Raises
    ------
    ValueError
        If a dependency declares no lower bound, or is written in another form than ``name>=bound,<bound``.
    """
    optional = project["optional-dependencies"]
    for line in [*project["dependencies"], *(line for extra in extras for line in optional[extra])]:
        match = _REQUIREMENT.fullmatch(line.replace(" ", ""))
        if match is None:
            raise ValueError(f"{line!r} is not of the form 'name>=bound' or 'name>=bound,<bound'")
        if match["name"] == project["name"]:
            continue
        if match["bound"] is None:
            raise ValueError(f"{line!r} declares no lower bound: write the oldest version that passes the tests")
        yield match["name"], match["bound"]


def main() -> None:
    """Print the constraints, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("--extras", nargs="*", default=["lab", "hub", "gguf", "test"])
    parser.add_argument("--leave", nargs="*", default=[], help="packages that pip may choose")
    options = parser.parse_args()
    project = tomllib.loads(options.pyproject.read_text(encoding="utf-8"))["project"]
    for name, bound in lower_bounds(project, options.extras):
        if name not in options.leave:
            print(f"{name}=={bound}")


if __name__ == "__main__":
    main()
