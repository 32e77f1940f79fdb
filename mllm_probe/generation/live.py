"""An interactive session: the prompt is prefilled once, and a moved slider costs a buffer write and decode steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mllm_probe.decoding.compiled import Compiler
from mllm_probe.decoding.paths import known_path
from mllm_probe.generation.decoders import Decoder, DynamicDecoder, fastest_decoder, stream_decoder
from mllm_probe.generation.greedy import Greedy, is_plain_greedy
from mllm_probe.generation.prompt_cache import Prompt, prompts_of
from mllm_probe.generation.streaming import Feed, Job
from mllm_probe.steering.intervention import Row, as_rows
from mllm_probe.steering.receipts import Receipt
from mllm_probe.steering.trials import path_of
from mllm_probe.typing import Images, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mllm_probe.models import ProbeModel


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

    def run(self, steerings: Row | Sequence[Row]) -> Iterator[tuple[int, int, str]]:
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

    def first_token(self, steerings: Row | Sequence[Row]) -> Tensor:
        """The first token of every row, int64 [rows] on the model's device: a buffer write and one decode step."""
        answers = self._begin(steerings)
        with self.model.lock.held(interactive=True):
            return answers.advance()

    def _begin(self, steerings: Row | Sequence[Row]) -> Answers:
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
        rows: Sequence[Row],
        steps: int,
        otherwise: Callable[[], tuple[Job, Callable[[], Receipt]]],
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
