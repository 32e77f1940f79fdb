"""Names of a package that are imported on first use (PEP 562), so that no answer waits for what it does not need."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def lazy_names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose imports stand under ``if TYPE_CHECKING:``.

    Type checkers and editors read these imports; they are read here as well, so that no name is listed twice.
    """
    module = sys.modules[package]
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    homes = {
        alias.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def imported(name: str) -> Any:
        inner = f"{package}.{name}"
        if homes.get(name, package) != package:
            value = getattr(importlib.import_module(homes[name]), name)
        elif importlib.util.find_spec(inner):
            value = importlib.import_module(inner)
        else:
            known = ", ".join(module.__all__)
            raise AttributeError(f"module '{package}' has no attribute '{name}'; it has {known}")
        setattr(module, name, value)
        return value

    return imported, lambda: sorted({*vars(module), *homes})
