"""What other parts of the package keep with a loaded model: one object per class, which goes when the model goes."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

Part = TypeVar("Part")


class ModelState:
    """Caches and verdicts of one model, such as prefilled prompts and the way that rows share a prompt.

    Examples
    --------
    >>> model.state.of(Prompts)  # a class of the part that needs it, made without arguments the first time
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[type, Any] = {}

    def of(self, kind: type[Part]) -> Part:
        """The model's object of this class, made when it is first asked for."""
        with self._lock:
            if kind not in self._parts:
                self._parts[kind] = kind()
            part: Part = self._parts[kind]
            return part
