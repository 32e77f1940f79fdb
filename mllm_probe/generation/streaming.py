"""Answers token by token: a generation thread with its iterator, and the session behind a slider."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from mllm_probe.decoding.compiled import Compiler
from mllm_probe.decoding.paths import known_path
from mllm_probe.generation.decoders import (
    Decoder,
    DynamicDecoder,
    Greedy,
    Prompt,
    fastest_decoder,
    is_plain_greedy,
    prompts_of,
    stream_decoder,
)
from mllm_probe.steering.edit_plan import Receipt
from mllm_probe.steering.intervention import RowEdit, as_rows
from mllm_probe.steering.tensors import path_of
from mllm_probe.typing import Images, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable

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


StreamJob = Callable[[Feed], None]
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

    def __init__(self, model: ProbeModel, rows: int, job: StreamJob, receipt: Callable[[], Receipt]) -> None:
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
    job: StreamJob
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


class Live:
    """Rows that answer one prompt again and again, steered differently each time; greedy.

    `image`: one sample; a nested list is several images in one prompt.
    `prompt`: ``model.default_prompt`` by default.
    `rows`: how many rows there is room for.
    `answer_prefix`: text that the answer begins with; its positions count as generated.
    `inputs`: processed tensors in place of images and prompt.
    `compiler`: compiles the decode step; by default it is compiled and replayed as a graph on CUDA, and runs uncompiled
        on the CPU.
    `not_compiled`: why the step is not compiled, empty if it is.

    Raises ValueError if it is not one sample, or the model's own settings ask for more than the best token of each
    step. Raises NotImplementedError if rows of this model cannot share a prompt; ``mp.stream`` then does the same at
    the cost of a prefill.

    For scopes without tokens before the last of the prompt. Image and prompt are computed here, once; again only
    after the model's weights or hooks were changed. The model's lock is held while a step runs, not between steps.

    >>> live = Live(model, picture, "what do you see ?")
    >>> for row, step, text in live.run([None, steering, steering.control("random")]):
    ...     print(row, text)
    """

    def __init__(
        self,
        model: ProbeModel,
        images: Images = None,
        prompt: str | None = None,
        rows: int = 3,
        *,
        max_new_tokens: int = 32,
        answer_prefix: str | None = None,
        inputs: Inputs = None,
        compiler: Compiler | None = None,
    ) -> None:
        model.lock.require_unedited()
        requests = model.samples(images, prompt, inputs)
        if len(requests) != 1:
            raise ValueError(f"Live answers one prompt; got {len(requests)} samples.")
        if not is_plain_greedy(model, {}):
            raise ValueError(
                f"the generation settings of {model.name} ask for more than the best token of each step: "
                f"{model.hf.generation_config.to_diff_dict()}. Use mp.stream."
            )
        self.model, self.max_new_tokens = model, max_new_tokens
        self.prompt = Prompt(model, requests[0], answer_prefix)
        steps = 1 + self.prompt.tail.shape[1] + max_new_tokens
        with model.lock.held(interactive=True), torch.no_grad():
            if self.prompt.shared() is None:
                raise NotImplementedError(f"rows of {model.name} cannot share a prompt; use mp.stream.")
            self.decoder, self.not_compiled = fastest_decoder(self.prompt, rows, steps, compiler)

    @property
    def path(self) -> str:
        """Name of the way in which the rows share the prompt."""
        return str(path_of(self.model, self.prompt.encoded, prompt_edited=False))

    @property
    def receipt(self) -> Receipt:
        """Receipt of the newest run so far."""
        return self.decoder.receipt()

    def run(self, steerings: RowEdit | Sequence[RowEdit]) -> Iterator[tuple[int, int, str]]:
        """Answers of rows, token by token; an earlier run of this session ends.

        `steerings`: one per row. Yields: row, step, text of the row so far. Raises ValueError if a scope edits the
        prompt or can never fire, or a vector or norm is missing.
        """
        answers = self._begin(steerings)
        tokens: list[tuple[int, int, str]] = []
        feed = Feed(self.model, answers.count, tokens.append)
        while any(feed.open) and not answers.full and answers.current:
            with self.model.lock.held(interactive=True):
                feed.give(answers.advance().tolist())
            yield from tokens
            tokens.clear()

    def first_token(self, steerings: RowEdit | Sequence[RowEdit]) -> Tensor:
        """The first token of every row, int64 [rows] on the model's device: a buffer write and one decode step."""
        answers = self._begin(steerings)
        with self.model.lock.held(interactive=True):
            return answers.advance()

    def _begin(self, steerings: RowEdit | Sequence[RowEdit]) -> Answers:
        rows = as_rows(steerings)
        with self.model.lock.held(interactive=True):
            self.decoder.write(rows, steps=self.prompt.tail.shape[1] + self.max_new_tokens - 1)
        return Answers(self.prompt, self.decoder, self.max_new_tokens)


class Answers:
    """Greedy answers of a decoder's rows, step by step.

    `decoder`: its edits are written. `steps`: longest answer.
    """

    def __init__(self, prompt: Prompt, decoder: Decoder, steps: int) -> None:
        self.decoder, self.steps, self.count = decoder, steps, decoder.count
        self.number = 0
        self._serial = decoder.buffer.serial
        self._greedy = Greedy(prompt.model, prompt.sequence, self.count)
        self._tokens: Tensor | None = None

    @property
    def current(self) -> bool:
        """Whether the decoder still has the edits of these answers."""
        return self.decoder.buffer.serial == self._serial

    @property
    def full(self) -> bool:
        """Whether the answers are as long as they may get. The reader of the tokens sees which have ended."""
        return self.number >= self.steps

    def advance(self) -> Tensor:
        """The next token of every row, int64 [rows]; the caller holds the model's lock."""
        with torch.no_grad():
            logits = self.decoder.start() if self._tokens is None else self.decoder.feed(self._tokens)
            self._tokens = self._greedy.choose(logits)
        self.number += 1
        return self._tokens


class LiveJob:
    """Decodes rows from a cached prompt.

    Runs the job of ``otherwise`` if the model cannot share a prompt, or if no row is steered and it is not known yet
    how the model can.

    `rows`: without edits before the last prompt token. `steps`: longest answer. `otherwise`: gives another job, and a
    function for its receipt. Raises ValueError if a scope can never fire, or a vector or norm is missing.
    """

    def __init__(
        self,
        prompt: Prompt,
        rows: Sequence[RowEdit],
        steps: int,
        otherwise: Callable[[], tuple[StreamJob, Callable[[], Receipt]]],
    ) -> None:
        self.prompt, self.rows, self.steps, self.otherwise = prompt, rows, steps, otherwise
        self.fed_back = prompt.tail.shape[1] + steps - 1
        self.dynamic = DynamicDecoder(prompt, len(rows))
        self.dynamic.write(rows, self.fed_back)
        self._receipt = self.dynamic.receipt

    def __call__(self, feed: Feed) -> None:
        """Decode until the answers end or the feed is cancelled."""
        model = self.prompt.model
        with torch.no_grad():
            shared = None if self._unsteered_alone() else self.prompt.shared()
            prompts_of(model).bound(model)
            if shared is None:
                job, self._receipt = self.otherwise()
                job(feed)
                return
            decoder: Decoder = stream_decoder(self.prompt, len(self.rows), self.fed_back + 2) or self.dynamic
        if decoder is not self.dynamic:
            decoder.write(self.rows, self.fed_back)
            self._receipt = decoder.receipt
        try:
            answers = Answers(self.prompt, decoder, self.steps)
            while any(feed.open) and not (feed.cancelled() or answers.full):
                feed.give(answers.advance().tolist())
        finally:
            receipt = decoder.receipt()
            self._receipt = lambda: receipt

    def _unsteered_alone(self) -> bool:
        """Whether nothing is steered and no way of sharing the prompt was tried yet, which costs ten such answers."""
        tried = known_path(self.prompt.model, self.prompt.encoded, prompt_edited=False) is not None
        return not tried and all(row is None for row in self.rows)

    def receipt(self) -> Receipt:
        """Receipt of the edits so far."""
        return self._receipt()
