"""Base of all widgets: their bundle, state sent safely from any thread, and errors as one sentence."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mllm_probe.widgets.base.sharing import Shared
from mllm_probe.widgets.base.worker import NewestWorker

_STATIC = Path(__file__).parents[1] / "static"
_LONGEST_SENTENCE = 300
_TRAIT = re.compile(r"^The '(\w+)' trait of an? \w+ instance (?=expected|must)")
"""Beginning of the message of traitlets for an invalid value of a trait."""


def bundle(name: str) -> str | Path:
    """A widget's ES module: its text, or its path where anywidget is asked to reload it (``ANYWIDGET_HMR=1``).

    anywidget connects every instance of a class whose module is a path to one signal, which keeps the instance with
    its data for ever.
    """
    path = _STATIC / f"{name}.js"
    return path if os.environ.get("ANYWIDGET_HMR") == "1" else path.read_text(encoding="utf-8")


def sentence(error: BaseException) -> str:
    """Say an error in one sentence of plain text, without its traceback."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    if len(line) > _LONGEST_SENTENCE:
        line = line[: _LONGEST_SENTENCE - 1].rstrip() + "…"
    return line if line[-1] in ".!?…" else f"{line}."


class ProbeWidget(Shared, anywidget.AnyWidget):
    """Base of the widgets: a status, a message, one worker thread, and state that can be sent from it.

    ipywidgets holds back notifications of a whole widget while it takes a message in, so a trait that another
    thread sets meanwhile may never be sent. `publish` sends explicitly and is right whatever is held.
    """

    status = traitlets.Enum(("idle", "running", "cancelled", "error"), "idle").tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._here = threading.local()
        self._worker = NewestWorker(type(self).__name__)
        name = type(self).__name__
        unknown = [trait for trait in traits if not self.has_trait(trait)]
        if unknown:
            raise TypeError(f"{name} got an unexpected keyword argument '{unknown[0]}'.")
        try:
            super().__init__(**traits)
        except traitlets.TraitError as error:
            reason = _TRAIT.sub(lambda found: f"{found[1]}: ", sentence(error))
            raise ValueError(f"{name}: {reason}") from error
        self._open = True

    def open(self) -> None:
        """Open the comm, and let every reply go to the loop that a message came from.

        ipykernel sends replies to the loop that last sent on the comm; a busy cell that sets a trait would
        then hold up a slider that is served by a subshell.
        """
        super().open()
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default

    def close(self) -> None:
        """Cancel what runs, end the thread, drop data and remove the widget.

        ipywidgets also calls this when a widget is collected, closed before or not, or never finished; what other
        widgets may use by then is not dropped a second time.
        """
        if "_worker" in self.__dict__:
            self._worker.close()
        if self.__dict__.pop("_open", False):
            self._release()
        super().close()

    def _release(self) -> None:
        """Drop the data of a widget that is being closed; called once."""

    def publish(self, **state: Any) -> None:
        """Set synchronised traits and send them in one message; for worker threads."""
        self.take(**state)
        self.send_state(list(state))

    def take(self, **state: Any) -> None:
        """Set traits without sending them: what came from the front-end, or is sent by the caller."""
        with self._quiet():
            for name, value in state.items():
                setattr(self, name, value)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        before, self._here.quiet = getattr(self._here, "quiet", False), True
        try:
            yield
        finally:
            self._here.quiet = before

    def _should_send_property(self, key: str, value: Any) -> bool:
        return not getattr(self._here, "quiet", False) and super()._should_send_property(key, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._summary()})"

    def _summary(self) -> str:
        return ""
