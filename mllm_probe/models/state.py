"""State that other parts of the package keep with a loaded model: one object per class, freed with the model."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

Part = TypeVar("Part")


class ModelState:
    """Caches and trial results of one model, such as prefilled prompts and the method by which rows share a prompt.

    >>> model.state.of(Prompts)  # a class of the part that needs it, constructed without arguments on first use
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[type, Any] = {}

    def of(self, kind: type[Part]) -> Part:
        """The model's object of this class, constructed on first use."""
        with self._lock:
            if kind not in self._parts:
                self._parts[kind] = kind()
            part: Part = self._parts[kind]
            return part
