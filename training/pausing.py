"""Asking a training to save and end, by a signal or a file."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

PAUSE = "PAUSE"
"""Name of the file in a training's folder that has it save and end."""


class Pause:
    """Whether a training was asked to save and end.

    `folder`: where a file named ``PAUSE`` asks for it.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._asked = folder / PAUSE, False

    def on_signals(self) -> Pause:
        """Let Ctrl-C and SIGTERM ask for it; a second Ctrl-C interrupts at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def __call__(self) -> bool:
        """Return True once it was asked for."""
        return self._asked or self._file.exists()
