"""Ctrl-C at any step: no hook stays on the model, no process stays behind, and what was finished is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from torch.nn.modules.module import register_module_forward_pre_hook

from mllm_probe.cli.commands_common import INCOMPLETE
from tests.faults import subject
from tests.faults.children import command, start
from tests.faults.judging import PATIENCE, half_of, require_readable, require_whole, wait_for_units
from tests.faults.tally import Setting, Tally, promise
from tests.hooks import active_hooks

GRACE = 30.0
"""Seconds in which processes may end that are told to, after the command itself did."""


@contextmanager
def _at_call(number: int) -> Iterator[None]:
    """Raise in the given call of any module of a model, where hooks are on it."""
    count = 0

    def called(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise KeyboardInterrupt

    handle = register_module_forward_pre_hook(called)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _after(seconds: float) -> Iterator[None]:
    """Raise between any two instructions, after so much CPU time, as Ctrl-C does."""
    before = signal.signal(signal.SIGPROF, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@promise("Ctrl-C at a random call or instruction: no hook stays, what was finished is kept", short=2, quick=6, full=40)
def interrupted(setting: Setting, tally: Tally, tries: int) -> None:
    """In this process; every second one in a call of the model, the others after some CPU time."""
    model, dice = subject.given()[0], setting.dice
    for number in range(tries):
        store = setting.folder / f"{number}.zarr"
        way = _after(dice.uniform(0.05, 0.9) * setting.whole.seconds) if number % 2 else None
        with tally.attempt(f"interrupt {number}"):
            try:
                with way or _at_call(dice.randint(1, setting.whole.calls)):
                    subject.sweep_into(store)
            except KeyboardInterrupt:
                tally.lost["interrupts"] += 1
            hooks = active_hooks(model)
            assert hooks == 0, f"{hooks} hooks stayed on the model"
            require_readable(setting, store)
            before = subject.markers(store) if store.exists() else {}
            assert subject.sweep_into(store).attrs["progress"] == 1
            require_whole(setting, store, before)


def _left_behind(session: int) -> dict[int, str]:
    """Processes of a session that do not end by themselves either, with their command lines."""
    until = time.monotonic() + GRACE
    while (left := _of_session(session)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def _of_session(session: int) -> dict[int, str]:
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):  # it ended meanwhile
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())
    return found


_HEARS = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have commands in the background ignore it
from mllm_probe.cli import main
sys.exit(main(sys.argv[1:]))
"""
_TIMES = 4
"""Times that a command is begun until Ctrl-C comes while it works."""


@promise("Ctrl-C at mllm-probe work, alone and with --workers: no process left behind", short=1, quick=3, full=9)
def interrupted_command(setting: Setting, tally: Tally, tries: int) -> None:
    """The signal goes to the whole group, as a terminal sends it, or to the command alone, in turns."""
    for number in range(tries):
        workers = [] if number % 3 == 1 else ["--workers", "2"]
        alone = number % 3 == 2
        with tally.attempt(f"command {number} {' '.join(workers)}"):
            # A command that was done before the signal came says nothing.
            stores = (half_of(setting, f"{number}-{again}.zarr") for again in range(_TIMES))
            assert any(_tried(setting, tally, store, workers, alone=alone) for store in stores), "done before Ctrl-C"


@dataclass(frozen=True)
class _Command:
    """``mllm-probe`` in a session of its own: its process, whether it is over, and its exit code in the end."""

    pid: int
    over: Callable[[], bool]
    ended: Callable[[], int | None]


def _command(setting: Setting, words: list[str], said: Path) -> _Command:
    """Start the real command; in the short form a process in which the package is imported."""
    if setting.form == "short":
        warm = start(command, words, said)
        assert warm.pid is not None

        def joined() -> int | None:
            warm.join(PATIENCE)
            return warm.exitcode

        return _Command(warm.pid, lambda: not warm.is_alive(), joined)
    with said.open("w") as output:
        real = subprocess.Popen(
            [sys.executable, "-c", _HEARS, *words], stdout=output, stderr=output, start_new_session=True
        )
    return _Command(real.pid, lambda: real.poll() is not None, lambda: real.wait(PATIENCE))


def _tried(setting: Setting, tally: Tally, store: Path, workers: list[str], *, alone: bool) -> bool:
    """Interrupt a command; False where it was done first."""
    after = len(subject.markers(store)) + setting.dice.randint(1, 3)
    pause, said = setting.dice.uniform(0, 0.05), store.with_suffix(".said")
    one = _command(setting, ["work", str(store), "--device", "cpu", *workers], said)
    try:
        wait_for_units(store, after, one.over)
        time.sleep(pause)
        before = subject.markers(store)
        with suppress(ProcessLookupError):  # it is done
            (os.kill if alone else os.killpg)(one.pid, signal.SIGINT)
        status = one.ended()
    finally:
        left = _left_behind(one.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    text = said.read_text()
    if status == 0 and not left:
        return False
    tally.lost["units kept"] += len(before)
    assert status == INCOMPLETE, f"ended with {status}: {text[-2000:]}"
    assert "the same command goes on" in text, text[-2000:]
    assert not left, f"left behind: {left}"
    require_readable(setting, store)
    assert before.items() <= subject.markers(store).items()
    assert subject.sweep_into(store).attrs["progress"] == 1
    require_whole(setting, store, before)
    return True
