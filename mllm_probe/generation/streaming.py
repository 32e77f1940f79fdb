"""Streaming of answers token by token: a generation thread, and the iterator that reads from it."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from mllm_probe.steering.receipts import Receipt

if TYPE_CHECKING:
    from mllm_probe.models import Encoded, ProbeModel
    from mllm_probe.steering.editor import Editor


class Feed:
    """Passes new tokens to the reader until the end of each row's answer.

    `put`: takes (row, step, text of the row so far). `cancelled`: whether the reader has cancelled the run. `answers`:
    takes the tokens of each row.
    """

    def __init__(
        self,
        model: ProbeModel,
        rows: int,
        put: Callable[[tuple[int, int, str]], None],
        cancelled: Callable[[], bool] = lambda: False,
        answers: list[list[int]] | None = None,
    ) -> None:
        self.model, self.put, self.cancelled = model, put, cancelled
        self.ends = model.eos_token_ids
        self.answers = [[] for _ in range(rows)] if answers is None else answers
        self.open = [True] * rows

    def give(self, tokens: Sequence[int]) -> None:
        """Pass on the next token of each row."""
        for row, token in enumerate(tokens):
            if self.open[row]:
                self.answers[row].append(token)
                self.put((row, len(self.answers[row]) - 1, answer_text(self.model, self.answers[row])))
                self.open[row] = token not in self.ends


Job = Callable[[Feed], None]
"""What a stream runs in its thread, holding ``model.lock``: passes tokens to the feed until it is cancelled."""


class Stream:
    """A running generation; made by ``stream``.

    Parameters
    ----------
    model : ProbeModel
    rows : int
    job : callable
        Runs the model; holds no reference to the stream, so that a stream without references is cancelled.
    receipt : callable
        Gives the receipt of the edits so far.

    Attributes
    ----------
    text : list of str
        Answers so far.
    tokens : list of list of int
        Their token ids, with the one that ends an answer.
    """

    def __init__(self, model: ProbeModel, rows: int, job: Job, receipt: Callable[[], Receipt]) -> None:
        self.text = [""] * rows
        self.tokens: list[list[int]] = [[] for _ in range(rows)]
        self._receipt, self._lock = receipt, model.lock
        self._cancel, self._started = threading.Event(), threading.Event()
        self._ended = False
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        worker = _Worker(model, self.tokens, job, self._items, self._cancel, self._started)
        # The target is not a method of this stream: the thread would keep it alive, and `__del__`, which cancels a
        # stream that nobody reads, would never run. The context routes what the job sends to the cell that asked.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(worker.run,), daemon=True)
        self._thread.start()

    @property
    def receipt(self) -> Receipt:
        """Receipt of the edits so far."""
        return self._receipt()

    def close(self) -> None:
        """Cancel the run, wait for the current step to end, and stop iteration."""
        self._cancel.set()
        self._ended = True
        if self._started.is_set() and self._thread is not threading.current_thread():
            self._thread.join()

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> tuple[int, int, str]:
        if self._ended:
            raise StopIteration
        if not self._started.is_set():
            self._lock.require_elsewhere()
        item = self._items.get()
        if isinstance(item, tuple):
            self.text[item[0]] = item[2]
            return item
        self._ended = True
        self._thread.join()
        if item is not None:
            raise item
        raise StopIteration

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._cancel.set()


@dataclass
class _Worker:
    """Target of the thread; holds no reference to the stream, so that a stream without references is cancelled."""

    model: ProbeModel
    tokens: list[list[int]]
    job: Job
    items: queue.SimpleQueue[Any]
    cancel: threading.Event
    started: threading.Event

    def run(self) -> None:
        try:
            with self.model.lock.held(interactive=True):
                self.started.set()
                if not self.cancel.is_set():
                    self.job(Feed(self.model, len(self.tokens), self.items.put, self.cancel.is_set, self.tokens))
            self.items.put(None)
        except BaseException as error:
            self.items.put(error)


@dataclass
class GenerateJob:
    """Runs ``hf.generate`` with an editor, for any option and scope.

    `settings`: arguments of ``hf.generate``.
    """

    model: ProbeModel
    encoded: Encoded
    editor: Editor
    settings: dict[str, Any]

    def __call__(self, feed: Feed) -> None:
        """Generate until the answers end or the feed is cancelled."""
        settings = dict(self.settings)
        criteria = StoppingCriteriaList([_FeedCriterion(feed), *settings.pop("stopping_criteria", [])])
        with self.editor.attached():
            self.model.hf.generate(**self.encoded.tensors, **settings, stopping_criteria=criteria)


class _FeedCriterion(StoppingCriteria):
    """Passes new tokens to the feed and stops generation after a cancellation."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        self.feed.give(input_ids[:, -1].tolist())
        return torch.full((input_ids.shape[0],), self.feed.cancelled(), dtype=torch.bool, device=input_ids.device)


def answer_text(model: ProbeModel, tokens: Sequence[int]) -> str:
    """Decoded text up to the first end token."""
    return model.decode(model.before_end(tokens))
