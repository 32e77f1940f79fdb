"""One job at a time on a model, with interactive jobs served before the next chunk of a long one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


class ModelLock:
    """A re-entrant lock with two classes of waiters.

    A thread that holds it may take it again. When it is released, a waiting interactive job always
    goes before a waiting long one, so that a slider is answered between two chunks of a sweep.

    `threads`: threads that torch shares a step between while a job holds the lock; as torch has it by default. A model
    of a few megabytes loses more than it gains by sharing, and many times over where other work keeps a core busy.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._threads_before = 0
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._depth = 0
        self._edits = 0
        self._interactive_waiting: set[int] = set()

    @contextmanager
    def held(self, interactive: bool = False, *, edits_every_call: bool = False) -> Iterator[None]:
        """Hold the lock for the ``with`` block.

        `interactive`: True for jobs a person waits for; they go before all others that wait. `edits_every_call`: True
        for ``mp.steer``: whatever this thread runs on the model meanwhile is edited, so that until the block ends the
        lock is given to no other job of the thread. Raises RuntimeError if a block of this thread edits every call, and
        this one is not another such block.
        """
        if not edits_every_call:
            self.require_unedited()
        me = threading.get_ident()
        with ExitStack() as stack:
            # Read without the lock: only this thread can change them while it is the owner, and no other thread is
            # `me`.
            depth, edits = (self._depth, self._edits) if self._owner == me else (0, 0)
            for _ in range(2):  # Ctrl-C may end the first of them, and come as soon as the lock is taken
                stack.callback(self._back_to, me, depth, edits)
            self._acquire(interactive)
            self._edits = edits + edits_every_call
            yield

    def require_unedited(self) -> None:
        """Raise a RuntimeError if a ``with mp.steer(…)`` block of this thread edits every call of the model."""
        with self._changed:
            edited = self._owner == threading.get_ident() and self._edits > 0
        if edited:
            raise RuntimeError(
                "expected a model that is not edited, but this runs inside a `with mp.steer(...)` block, which steers "
                "every call of model.hf: the result would be steered too and be taken for unsteered. Leave the with "
                "block first, or give steering= to the function instead (mp.generate, mp.stream and mp.capture take "
                "it). Inside the block, call model.hf itself."
            )

    def require_elsewhere(self) -> None:
        """Raise a RuntimeError if this thread holds the lock: waiting here for another thread's job would never end."""
        with self._changed:
            held = self._owner == threading.get_ident()
        if held:
            raise RuntimeError(
                "expected a model that this thread does not hold, but it is held by a `with mp.steer(...)` or "
                "`with model.lock.held()` block around this call; what is waited for here needs the model, so that "
                "waiting would never end. Leave the with block first, then wait."
            )

    def give_way(self) -> None:
        """Release the lock for waiting interactive jobs, between two steps of a long job that holds it once."""
        with self._changed:
            # At depth 1 alone: an outer block of this thread relies on the model staying as it is.
            if self._owner != threading.get_ident() or self._depth != 1 or not self._interactive_waiting:
                return
        self._release()
        self._acquire(interactive=False)

    def _acquire(self, interactive: bool) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._owner == me:
                self._depth += 1
                return
            # A waiting interactive job is noted before it waits, so that no other job can take the lock first. Where
            # waiting is interrupted, `_back_to` strikes it out, and the others test their condition again. No ``try``
            # here: Ctrl-C on that line would leave the ``with`` block without its end (CPython 3.11).
            if interactive:
                self._interactive_waiting.add(me)
            self._changed.wait_for(lambda: self._owner is None and (interactive or not self._interactive_waiting))
            self._interactive_waiting.discard(me)
            self._changed.notify_all()
            self._threads_before = torch.get_num_threads()
            self._depth, self._owner = 1, me
            if self.threads is not None:
                torch.set_num_threads(self.threads)

    def _back_to(self, thread: int, depth: int, edits: int) -> None:
        """Release what a thread has taken beyond a depth; nothing where it holds no more than that."""
        if thread in self._interactive_waiting:  # it no longer waits, and the others test their condition again
            with self._changed:
                self._interactive_waiting.discard(thread)
                self._changed.notify_all()
        if self._owner == thread and (self._depth > depth or not depth):
            self._edits = edits
            self._release(depth)

    def _release(self, depth: int = 0) -> None:
        with self._changed:
            self._depth = depth
            if self._depth == 0:
                if self.threads is not None:
                    torch.set_num_threads(self._threads_before)
                self._owner = None
                self._changed.notify_all()
