"""Steered answers: generated as a whole, streamed token by token, or through any call of the Hugging Face model."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from mllm_probe.steering.editor import Editor
from mllm_probe.steering.receipts import Receipt
from mllm_probe.steering.steering import Row, as_rows

if TYPE_CHECKING:
    from mllm_probe.models import Encoded, ProbeModel

_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")


@dataclass(frozen=True)
class GenerationOutput:
    """Answers of a batch.

    Attributes
    ----------
    text : list of str
        One answer per row, without special tokens and without the answer prefix.
    tokens : Tensor [rows, steps] int64, on the CPU
        Generated ids; behind the end of an answer stands padding.
    logits : Tensor [rows, steps, vocabulary], on the model's device
        Scores of each generated token before any processing.
    receipt : Receipt
    """

    text: list[str]
    tokens: Tensor
    logits: Tensor = field(repr=False)
    receipt: Receipt = field(repr=False)

    def __repr__(self) -> str:
        return "\n".join(f"{i}: {text}" for i, text in enumerate(self.text))


def generate(
    model: ProbeModel,
    image: Any = None,
    prompt: str | Sequence[str] | None = None,
    *,
    steering: Row | Sequence[Row] = None,
    max_new_tokens: int = 32,
    answer_prefix: str | None = None,
    inputs: Any = None,
    **options: Any,
) -> GenerationOutput:
    """Answer a prompt about pictures while the residual stream is edited; greedy unless asked otherwise.

    Parameters
    ----------
    model : ProbeModel
    image : picture or list
        One sample, or one per element; a nested list is several pictures in one prompt.
    prompt : str or list of str, optional
        ``model.default_prompt`` by default.
    steering : Steering, Composition, None or list of these
        One for all rows, or one per row; several with one picture are rows of one batch.
    max_new_tokens : int
    answer_prefix : str, optional
        Text that the answer begins with; its positions count as generated.
    inputs : dict of Tensor or list of dicts, optional
        Processed tensors in place of image and prompt.
    **options
        Passed on to ``hf.generate``, such as ``do_sample=True`` or ``num_beams=3``.

    Returns
    -------
    GenerationOutput

    Raises
    ------
    ValueError
        If rows and samples do not fit, or the steering can never fire on them.

    Examples
    --------
    >>> out = mp.generate(model, picture, steering=[None, cat, cat.control("random")], max_new_tokens=12)
    >>> out.text[1], out.receipt[1].fired
    """
    encoded, rows = _batch(model, image, prompt, steering, inputs, answer_prefix)
    editor = Editor(model, rows, encoded, steps=_fed_back(encoded, max_new_tokens))
    with model.lock.held(interactive=True), editor.attached():
        made = model.hf.generate(**encoded.tensors, **_settings(model, max_new_tokens, options))
    logits = torch.stack(made.logits, 1)
    tokens = made.sequences[:, made.sequences.shape[1] - logits.shape[1] :].cpu()
    return GenerationOutput([_answer(model, row) for row in tokens.tolist()], tokens, logits, editor.receipt())


def stream(
    model: ProbeModel,
    image: Any = None,
    prompt: str | Sequence[str] | None = None,
    *,
    steering: Row | Sequence[Row] = None,
    max_new_tokens: int = 32,
    answer_prefix: str | None = None,
    inputs: Any = None,
    **options: Any,
) -> Stream:
    """Answer as ``generate`` does, giving every token as soon as it is there.

    Parameters
    ----------
    model, image, prompt, steering, max_new_tokens, answer_prefix, inputs, **options
        As for ``generate``.

    Returns
    -------
    Stream
        Iterates over (row, step, text of the row so far); all rows run in one batch. ``close()`` cancels the run
        within one step, ``receipt`` says what was edited so far.

    Raises
    ------
    ValueError
        As ``generate``; errors of the running model are raised where the stream is read.
    """
    if options.get("num_beams", 1) != 1 or options.get("num_return_sequences", 1) != 1:
        raise ValueError("stream gives one answer per row as it grows: num_beams and num_return_sequences must be 1.")
    encoded, rows = _batch(model, image, prompt, steering, inputs, answer_prefix)
    editor = Editor(model, rows, encoded, steps=_fed_back(encoded, max_new_tokens))
    return Stream(model, encoded, editor, _settings(model, max_new_tokens, options))


@contextmanager
def steer(model: ProbeModel, steering: Row | Sequence[Row]) -> Iterator[Receipt]:
    """Edit any call of ``model.hf`` made in the ``with`` block, such as ``model.hf.generate(...)``.

    Parameters
    ----------
    model : ProbeModel
    steering : Steering, Composition, None or list of these
        One for all rows of the batch, or one per row.

    Yields
    ------
    Receipt
        Current while the block runs, and kept afterwards.

    Notes
    -----
    The prompt is read from the first call; every call that does not continue it is a new prompt, and the receipt then
    has rows for each. Other jobs on the model wait until the block ends.

    Examples
    --------
    >>> with mp.steer(model, steering) as receipt:
    ...     model.hf.generate(**model.encode([picture]).tensors)
    """
    editor = Editor(model, as_rows(steering))
    receipt = editor.live_receipt()
    with model.lock.held(interactive=True), editor.attached():
        try:
            yield receipt
        finally:
            receipt.freeze()


class Stream:
    """A running generation; made by ``stream``.

    Attributes
    ----------
    text : list of str
        Answers so far.
    """

    def __init__(self, model: ProbeModel, encoded: Encoded, editor: Editor, settings: dict[str, Any]) -> None:
        self.text = [""] * encoded.rows
        self._editor = editor
        self._cancel, self._started = threading.Event(), threading.Event()
        self._ended = False
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        job = _Job(model, encoded, editor, settings, self._items, self._cancel, self._started)
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(job.run,), daemon=True)
        self._thread.start()

    @property
    def receipt(self) -> Receipt:
        """What was edited so far."""
        return self._editor.receipt()

    def close(self) -> None:
        """Cancel the run and wait until it has stopped, at most one step; nothing more is given."""
        self._cancel.set()
        self._ended = True
        if self._started.is_set() and self._thread is not threading.current_thread():
            self._thread.join()

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> tuple[int, int, str]:
        if self._ended:
            raise StopIteration
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
class _Job:
    """What the worker thread runs; it knows nothing of the stream, so that a forgotten stream is cancelled."""

    model: ProbeModel
    encoded: Encoded
    editor: Editor
    settings: dict[str, Any]
    items: queue.SimpleQueue[Any]
    cancel: threading.Event
    started: threading.Event

    def run(self) -> None:
        try:
            with self.model.lock.held(interactive=True):
                self.started.set()
                if not self.cancel.is_set():
                    self._generate()
            self.items.put(None)
        except BaseException as error:
            self.items.put(error)

    def _generate(self) -> None:
        feed = _Feed(self.model, self.encoded.rows, self.items, self.cancel)
        with self.editor.attached():
            criteria = StoppingCriteriaList([feed, *self.settings.pop("stopping_criteria", [])])
            self.model.hf.generate(**self.encoded.tensors, **self.settings, stopping_criteria=criteria)


class _Feed(StoppingCriteria):
    """Hands every new token to the reader and stops the run when it was cancelled."""

    def __init__(self, model: ProbeModel, rows: int, items: queue.SimpleQueue[Any], cancel: threading.Event) -> None:
        self.model, self.items, self.cancel = model, items, cancel
        self.answers: list[list[int]] = [[] for _ in range(rows)]
        self.open = [True] * rows

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if self.open[row]:
                self.answers[row].append(token)
                step = len(self.answers[row]) - 1
                self.items.put((row, step, _answer(self.model, self.answers[row])))
                self.open[row] = token not in self.model.eos_token_ids
        return torch.full((input_ids.shape[0],), self.cancel.is_set(), dtype=torch.bool, device=input_ids.device)


def _batch(
    model: ProbeModel,
    image: Any,
    prompt: str | Sequence[str] | None,
    steering: Row | Sequence[Row],
    inputs: Any,
    answer_prefix: str | None,
) -> tuple[Encoded, list[Row]]:
    """Samples and steerings, each repeated to fit the other, as one batch."""
    requests, rows = model.samples(image, prompt, inputs), as_rows(steering)
    if len(requests) == 1:
        requests = requests * len(rows)
    elif len(rows) == 1:
        rows = rows * len(requests)
    if len(requests) != len(rows):
        raise ValueError(
            f"{len(rows)} steerings do not fit {len(requests)} samples: give one of either, or as many of each."
        )
    return model.encode_samples(requests, answer_prefix or None), rows


def _answer(model: ProbeModel, tokens: list[int]) -> str:
    """Text up to the end of the answer."""
    end = next((i for i, token in enumerate(tokens) if token in model.eos_token_ids), len(tokens))
    return model.decode(tokens[:end])


def _fed_back(encoded: Encoded, max_new_tokens: int) -> int:
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens: expected 1 or more; got {max_new_tokens}.")
    return encoded.length - encoded.prompt_length + max_new_tokens - 1


def _settings(model: ProbeModel, max_new_tokens: int, options: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {"do_sample": False, "pad_token_id": model.pad_token_id} | options
    if not settings["do_sample"]:
        settings = dict.fromkeys(_SAMPLING) | settings
    return settings | {"max_new_tokens": max_new_tokens, "return_dict_in_generate": True, "output_logits": True}
