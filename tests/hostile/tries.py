"""Hostile inputs as a table: what is called, with what, and how it has to end."""

from __future__ import annotations

import importlib
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

PACKAGE = Path(importlib.import_module("mllm_probe").__file__ or "").parent
PATIENCE = 30
"""Seconds after which a try counts as hanging; the slowest takes three on an idle core."""

Ending = Literal["error", "warning", "result", "bare"]


@dataclass(frozen=True)
class Try:
    """One hostile input.

    Attributes
    ----------
    area : str
        Row of the summary, for example ``"folders"``.
    name : str
        Unique within the area.
    call : callable
        Takes the :class:`~tests.hostile.setting.Setting` and makes the call.
    ends : {"error", "warning", "result", "bare"}
        ``"error"``: the package itself raises, in words of its own; ``"warning"``: a result and a warning;
        ``"result"``: a result that ``right`` accepts, without a warning; ``"bare"``: a library's own traceback that is
        left as it is (the summary allows fewer than ten).
    says : str
        Text that the error or warning must contain.
    right : callable, optional
        Takes the result and says whether it is right. Every ``"result"`` needs one.
    """

    area: str
    name: str
    call: Callable[[Any], Any]
    ends: Ending
    says: str = ""
    right: Callable[[Any], bool] | None = None

    @property
    def label(self) -> str:
        return f"{self.area}: {self.name}"


@dataclass(frozen=True)
class Outcome:
    """Ending of a try: ``kind`` is an :data:`Ending` or ``"hang"``, ``text`` what was raised or warned."""

    kind: str
    text: str = ""
    value: Any = None


class Hang(BaseException):
    """Raised by the alarm, so that no ``except Exception`` of the code under test swallows it."""


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def ring(signum: int, frame: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def raised_by_the_package(error: BaseException) -> bool:
    """Whether a ``raise`` statement of the package made this error: its last frame is ours, at a ``raise``."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    if not Path(last.filename).is_relative_to(PACKAGE):
        # An argument that does not exist is refused by Python itself, by name.
        return "unexpected keyword argument" in str(error)
    lines = Path(last.filename).read_text(encoding="utf-8").splitlines()
    return lines[(last.lineno or 1) - 1].lstrip().startswith("raise")


def outcome(attempt: Try, setting: Any) -> Outcome:
    """Run a try and say how it ended."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with _limited(PATIENCE):
                value = attempt.call(setting)
        except Hang:
            return Outcome("hang", f"no end after {PATIENCE} s")
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            return Outcome("error" if raised_by_the_package(error) else "bare", text)
    ours = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return Outcome("warning", "\n".join(ours), value) if ours else Outcome("result", value=value)


def tries() -> list[Try]:
    """The whole table: ``TRIES`` of every module in ``cases/``."""
    names = sorted(file.stem for file in (Path(__file__).parent / "cases").glob("*.py") if file.stem != "__init__")
    return [entry for name in names for entry in importlib.import_module(f"tests.hostile.cases.{name}").TRIES]
