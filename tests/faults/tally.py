"""The list of promises, and how many tries of each held."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch.nn.modules.module import register_module_forward_pre_hook

from tests.faults import subject

SEED = 0
Form: TypeAlias = Literal["short", "quick", "full"]
"""In ``make test``, with ``--quick``, or all tries."""


@dataclass
class Tally:
    """What became of the tries of one promise: what was lost or counted, and a line for each try that failed."""

    name: str
    text: str
    tried: int = 0
    held: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """One try; it holds unless something is raised."""
        self.tried += 1
        try:
            yield
        except Exception as error:
            self.failures.append(f"{what}: {type(error).__name__}: {error}")
        else:
            self.held += 1

    @property
    def kept(self) -> bool:
        """Whether every try held, and there was one."""
        return self.tried == self.held > 0

    def __str__(self) -> str:
        lost = ", ".join(f"{count} {what}" for what, count in sorted(self.lost.items())) or "nothing"
        ended = "" if self.kept else f" FAILED: {(self.failures or ['nothing was tried'])[0].splitlines()[0]}"
        return f"{self.name:<17} {self.text}: {self.tried} tried, {self.held} held; {lost}.{ended}"


@dataclass(frozen=True)
class Whole:
    """A store that was filled without a break, and the calls of modules and the seconds of CPU time that it took."""

    store: Path
    contents: dict[str, bytes]
    markers: dict[str, bytes]
    calls: int
    seconds: float

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.markers)

    @property
    def files(self) -> int:
        """Number of files that are put into their place while it is filled, about."""
        return len(self.contents) + len(self.markers)


@dataclass
class Setting:
    """The promise's own folder, which other users may enter, the store to equal, and dice seeded by its name."""

    folder: Path
    whole: Whole
    dice: random.Random
    form: Form


Attempts = Callable[[Setting, Tally, int], None]


@dataclass(frozen=True)
class Promise:
    """A promise, and how often it is tried in ``make test``, with ``--quick`` and in the full form."""

    name: str
    text: str
    attempts: Attempts
    short: int
    quick: int
    full: int

    def tried(self, whole: Whole, folder: Path, form: Form) -> Tally:
        """Try it in a folder of its own."""
        tally = Tally(self.name, self.text)
        own = folder / self.name
        own.mkdir()
        own.chmod(0o755)
        tries = {"short": self.short, "quick": self.quick, "full": self.full}[form]
        self.attempts(Setting(own, whole, random.Random(f"{SEED} {self.name}"), form), tally, tries)
        return tally


PROMISES: dict[str, Promise] = {}
"""By name, in the order in which they are tried."""


def promise(text: str, *, short: int, quick: int, full: int) -> Callable[[Attempts], Attempts]:
    """Put a function on the list of promises."""

    def put(attempts: Attempts) -> Attempts:
        name = attempts.__name__.replace("_", "-")
        PROMISES[name] = Promise(name, text, attempts, short, quick, full)
        return attempts

    return put


@contextmanager
def scratch() -> Iterator[tuple[Path, Whole]]:
    """A folder that any user may enter, with a store that was filled without a break."""
    with tempfile.TemporaryDirectory(prefix="mllm-probe-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        store, calls = folder / "whole.zarr", 0
        subject.given()

        def counted(*arguments: Any) -> None:
            nonlocal calls
            calls += 1

        began = time.process_time()
        handle = register_module_forward_pre_hook(counted)
        try:
            subject.sweep_into(store)
        finally:
            handle.remove()
        seconds = time.process_time() - began
        yield folder, Whole(store, subject.contents(store), subject.markers(store), calls, seconds)
