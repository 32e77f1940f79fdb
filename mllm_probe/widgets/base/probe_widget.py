"""Base of all widgets: bundle, state sent from any thread, saved pages, and the worker that runs the newest job."""

from __future__ import annotations

import atexit
import base64
import contextvars
import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import anywidget
import traitlets

from mllm_probe.models.probe_model import ModelLock
from mllm_probe.typing import Traits
from mllm_probe.widgets.pages.export_pages import Recordings, to_html
from mllm_probe.widgets.pages.saved_page import Written, write
from mllm_probe.widgets.pictures import Drawing, png, svg
from mllm_probe.widgets.pictures.static_picture import card

logger = logging.getLogger(__name__)
T = TypeVar("T")

WorkerTask = Callable[[threading.Event], None]
LONGEST_EXIT = 60.0
"""Seconds that the interpreter waits at most for running jobs when it exits."""


@dataclass(frozen=True)
class _Task:
    """A job with the context of its caller, and what ends a step that it waits for."""

    job: WorkerTask
    context: contextvars.Context
    leave: Callable[[], object] | None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        self.cancelled.set()
        if self.leave is not None:
            self.leave()


class NewestWorker:
    """Runs jobs one after another on its own thread; a new one cancels the running one and replaces a waiting one.

    When the interpreter exits, running jobs are cancelled and waited for: a thread that is killed while PyTorch
    computes in it aborts the process.

    `name`: name of the thread, for debuggers. `lock`: of the model that the jobs run.
    """

    def __init__(self, name: str, lock: ModelLock | None = None) -> None:
        self._name, self.lock = name, lock
        self._changed = threading.Condition()
        self._waiting: _Task | None = None
        self._running: _Task | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._running is not None or self._waiting is not None

    @property
    def alive(self) -> bool:
        """Whether the thread exists."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, job: WorkerTask, leave: Callable[[], object] | None = None) -> None:
        """Run ``job`` next, in a copy of the caller's context, and cancel what runs or waits.

        `job`: takes an event that is set when it is cancelled. The context carries the request that a message of the
        notebook belongs to, so what the job sends is routed as if the caller had sent it. `leave`: called on
        cancellation, after the event is set: ends a step that the job waits for.
        """
        task = _Task(job, contextvars.copy_context(), leave)
        with self._changed:
            if self._closed:
                raise RuntimeError("this widget was closed; make a new one.")
            left = self._left()
            self._waiting = task
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
                _LIVE.add(self)
            self._changed.notify_all()
        # Outside the lock, as `leave` may take others, such as the model's.
        for old in left:
            old.cancel()

    def cancel(self) -> bool:
        """Drop the waiting job and cancel the running one; says whether there was any."""
        with self._changed:
            left = self._left()
            self._changed.notify_all()
        for task in left:
            task.cancel()
        return bool(left)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs or waits; False when ``timeout`` seconds passed first.

        Raises RuntimeError if the calling thread holds the model that a job runs.
        """
        if self.busy and self.lock is not None:
            self.lock.require_elsewhere()
        with self._changed:
            return self._changed.wait_for(lambda: not self.busy, timeout)

    def close(self, timeout: float | None = 10.0) -> None:
        """Cancel everything and end the thread, waiting for it at most ``timeout`` seconds."""
        with self._changed:
            self._closed = True
        self.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _left(self) -> list[_Task]:
        """Tasks that are to be cancelled by a caller who holds the lock; their ``leave`` may take other locks."""
        left = [task for task in (self._waiting, self._running) if task is not None]
        self._waiting = None
        return left

    def _work(self) -> None:
        while (task := self._take()) is not None:
            try:
                task.context.run(task.job, task.cancelled)
            except Exception:
                logger.exception("a widget's job failed")
            finally:
                del task  # so that an idle thread keeps nothing of a widget
                with self._changed:
                    self._running = None
                    self._changed.notify_all()

    def _take(self) -> _Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed)
            self._running, self._waiting = self._waiting, None
            return self._running


_LIVE: weakref.WeakSet[NewestWorker] = weakref.WeakSet()


def close_all(timeout: float = LONGEST_EXIT) -> None:
    """Close every worker that has a thread: cancel all first, then wait for them ``timeout`` seconds in all."""
    workers = list(_LIVE)
    for worker in workers:
        try:
            worker.close(0)
        except Exception:
            logger.exception("the job of a widget could not be cancelled")
    end = time.monotonic() + timeout
    for worker in workers:
        worker.close(max(0.0, end - time.monotonic()))


# Registered by the standard library's `atexit`, which runs before daemon threads are killed.
atexit.register(close_all)


class Shared:
    """Mixed into widgets: `to_html`, `to_svg`, `to_png`, and the image in the output's mime bundle."""

    def to_html(self, path: str | os.PathLike[str], title: str | None = None) -> Written:
        """Write one page that opens in any browser without kernel and network, interactive as far as its state goes.

        Parameters
        ----------
        path : path of the file
        title : str, optional
            Heading of the page.

        Returns
        -------
        Written
            With ``path`` and ``size`` in bytes.
        """
        self._settle()
        return to_html(self, path, title)

    def to_svg(self, path: str | os.PathLike[str], **what: object) -> Written:
        """Write the present image as SVG; options as for `drawing`."""
        self._settle()
        return write(path, svg(self.drawing(**what)))

    def to_png(self, path: str | os.PathLike[str], *, scale: float = 3.0, **what: object) -> Written:
        """Write the present image as PNG, ``scale`` pixels for each pixel of the screen; options as for `drawing`."""
        self._settle()
        return write(path, png(self.drawing(**what), scale=scale))

    def _settle(self) -> None:
        """Wait for computations that take seconds; a sweep is not waited for."""

    def drawing(self) -> Drawing:
        """Draw the present state of the widget."""
        return card(type(self).__name__, [repr(self)])

    def recordings(self) -> Recordings:
        """Settings that a saved page can answer."""
        return Recordings()

    def _repr_mimebundle_(self, **options: Traits) -> tuple[Traits, Traits] | None:
        """Add an image of the present state to the widget's output, for viewers that run no widgets."""
        mimebundle = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        data, metadata = mimebundle if isinstance(mimebundle, tuple) else (mimebundle, {})
        if data is None:
            return None
        try:
            drawing = self.drawing()
            image = base64.b64encode(png(drawing)).decode()
        except Exception:
            logger.exception("a %s could not be drawn as an image", type(self).__name__)
            return data, metadata
        size = {"width": round(drawing.width), "height": round(drawing.height)}
        return {**data, "image/png": image}, {**metadata, "image/png": size}


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
            reason = _TRAIT.sub(lambda match: f"{match[1]}: ", sentence(error))
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

    def take_checked(self, state: Traits) -> None:
        """Take traits from the front-end, all of them or none."""
        before = {name: getattr(self, name) for name in state}
        try:
            self.take(**state)
        except traitlets.TraitError as error:
            self.take(**before)
            raise ValueError(
                f"the front-end sent {', '.join(state)} that cannot be used ({sentence(error)}) Reload the page."
            ) from error

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


def traits_of_message(content: Content, names: Sequence[str]) -> Traits:
    """Traits of these names that a message of the front-end sets."""
    return {name: value for name, value in message_part(content, "state", dict).items() if name in names}


def message_part(content: Content, name: str, kind: type[T]) -> T:
    """Part of a message of the front-end.

    Raises ValueError if it is missing or of another type.
    """
    value = content.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        got = "nothing" if value is None else type(value).__name__
        raise ValueError(
            f"the front-end sent a message '{content.get('kind')}' with {got} as '{name}', where {kind.__name__} was "
            "expected; reload the page."
        )
    return value
