"""Base of all widgets: their bundle, state sent safely from any thread, and errors as one sentence."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import anywidget
import traitlets

from mllm_probe.typing import Traits
from mllm_probe.widgets.base.sharing import Shared
from mllm_probe.widgets.base.worker import NewestWorker

logger = logging.getLogger(__name__)

Content: TypeAlias = dict[str, Any]
"""A message of the front-end: its ``kind``, and what that kind needs."""
Act: TypeAlias = Callable[[Any, Content, Sequence[bytes]], object]
"""Takes the widget, a message, and the buffers that came with it."""

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


def guarded(call: Callable[[], object], what: str, say: Callable[[str], object]) -> None:
    """Call, and report an error: its traceback to the log under the words ``what``, one sentence to ``say``."""
    try:
        call()
    except Exception as error:
        logger.exception("%s", what)
        say(sentence(error))


class ProbeWidget(Shared, anywidget.AnyWidget):
    """Base of the widgets: a status, a message, one worker thread, and state that can be sent from it.

    ipywidgets holds back notifications of a whole widget while it takes a message in, so a trait that another
    thread sets meanwhile may never be sent. `publish` sends explicitly and is right whatever is held.
    """

    done_status = "idle"
    """Status after work that was done to its end."""
    _acts: ClassVar[Mapping[str, Act]] = {}
    """Handlers of the front-end's messages by kind."""

    status = traitlets.Enum(("idle", "running", "cancelled", "error"), "idle").tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: object) -> None:
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
        self.on_msg(self._on_message)

    def open(self) -> None:
        """Open the comm, and let every reply go to the loop that a message came from.

        ipykernel sends replies to the loop that last sent on the comm; a busy cell that sets a trait would
        then hold up a slider that is served by a subshell.
        """
        super().open()
        # A private attribute: a browser test is the alarm. A slider took 7.5 s beside a busy cell without it, and
        # 62 ms with it.
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

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the newest work of this widget.

        Returns
        -------
        bool
            True when it is done; False when ``timeout`` seconds passed first, it was stopped, or it failed.

        Raises
        ------
        RuntimeError
            If the calling thread holds the model that the work needs, as inside ``with mp.steer(...)``.
        """
        return self.wait_until_free(timeout) and self.status == self.done_status

    def wait_until_free(self, timeout: float | None = None) -> bool:
        """Wait until nothing is at work, whatever came of it; False when ``timeout`` seconds passed first."""
        return self._worker.wait(timeout)

    def _on_message(self, _widget: object, content: object, buffers: Sequence[bytes]) -> None:
        """Act on a message of the front-end; one that cannot be is refused."""
        kind = str(content.get("kind")) if isinstance(content, dict) else ""
        try:
            if isinstance(content, dict) and kind in self._acts:
                self._acts[kind](self, content, buffers)
        except Exception as error:
            logger.exception("a message '%s' of the front-end to a %s was refused", kind, type(self).__name__)
            self._refuse(error, kind)

    def _refuse(self, error: Exception, kind: str) -> None:
        """Report a message of this kind that was refused."""
        self.publish(message=sentence(error))

    def _release(self) -> None:
        """Drop the data of a widget that is being closed; called once."""

    def publish(self, **state: object) -> None:
        """Set synchronised traits and send them in one message; for worker threads."""
        self.take(**state)
        self.send_state(list(state))

    def publish_changed(self, state: Traits) -> Traits:
        """Publish what differs from the present values; returns that."""
        changed = {name: value for name, value in state.items() if getattr(self, name) != value}
        if changed:
            self.publish(**changed)
        return changed

    def take(self, **state: object) -> None:
        """Set traits without sending them: what came from the front-end, or is sent by the caller."""
        with self._quiet():
            for name, value in state.items():
                setattr(self, name, value)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        # By thread: ipywidgets' own hold is of the whole widget, and lost 2,442 of 3,000 values that a thread set
        # meanwhile.
        before, self._here.quiet = getattr(self._here, "quiet", False), True
        try:
            yield
        finally:
            self._here.quiet = before

    def _should_send_property(self, key: str, value: object) -> bool:
        return not getattr(self._here, "quiet", False) and super()._should_send_property(key, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._summary()})"

    def _summary(self) -> str:
        return ""
