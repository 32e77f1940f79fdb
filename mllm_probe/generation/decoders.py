"""Decoding rows from a prefilled prompt with an edit buffer: with a growing (dynamic) cache, or by a compiled step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from mllm_probe.decoding.agreement import difference, tolerance
from mllm_probe.decoding.compiled import Compiler, StaticDecoder, default_compiler
from mllm_probe.decoding.paths import REFUSALS, trial_tokens
from mllm_probe.decoding.rows import Rows
from mllm_probe.generation.prompt_cache import Prompt
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.intervention import Row
from mllm_probe.steering.receipts import Receipt
from mllm_probe.steering.trials import trial_rows

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

logger = logging.getLogger(__name__)

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_STEPS = 32


class DynamicDecoder:
    """Decodes with a cache that grows at each step; for any model whose rows can share a prompt.

    `rows`: largest number of rows.
    """

    how = "growing caches"

    def __init__(self, prompt: Prompt, rows: int) -> None:
        self.prompt, self.count = prompt, rows
        self.buffer = EditBuffer(prompt.model, rows, prompt=prompt.encoded)
        self._rows: Rows | None = None

    def write(self, rows: Sequence[Row], steps: int | None = None) -> None:
        """Replace the edits, as ``EditBuffer.write``."""
        self.buffer.write(rows, steps)
        self.buffer.require_unedited_prompt()
        self.count = len(rows)

    def start(self) -> Tensor:
        """Logits [rows, vocabulary] after the answer prefix."""
        self._rows = self.prompt.start(self.count, self.buffer)
        return self._rows.logits

    def feed(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after one more token [rows]."""
        assert self._rows is not None
        with self.buffer.attached("generated"):
            return self._rows.feed(tokens[:, None])[:, -1]

    def receipt(self) -> Receipt:
        """Receipt of the edits so far."""
        return self.buffer.receipt()


class CompiledDecoder:
    """Decodes by a compiled step of fixed shapes; one prompt can follow another.

    `prompt`: the first prompt; the step is checked on it against a :class:`DynamicDecoder`.
    `rows`: rounded up to one of a few batch sizes.
    `steps`: largest number of tokens per row, including the last token of the prompt.
    `compiler`: as for ``StaticDecoder``.

    Raises RuntimeError if the model has no step of fixed shapes, or its logits differ from those of growing caches.
    """

    how = "compiled step of fixed shapes"

    def __init__(self, prompt: Prompt, rows: int, steps: int, compiler: Compiler | None = None) -> None:
        model, shared = prompt.model, prompt.shared()
        if shared is None:
            raise RuntimeError(f"rows of {model.name} cannot share a prompt.")
        size = _size(rows)
        self.prompt, self.count = prompt, rows
        try:
            self.static = StaticDecoder(model, shared, size, -(-steps // _STEPS) * _STEPS, compiler)
            self.buffer = EditBuffer(model, size, prompt=prompt.encoded, projects=True)
            self._check()
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            raise RuntimeError(f"{type(error).__name__}: {error}".splitlines()[0][:200]) from error

    def _check(self) -> None:
        """Compare logits with a :class:`DynamicDecoder`, with the same edits and tokens."""
        model, size = self.prompt.model, self.static.rows
        rows = [*trial_rows(model), *[None] * size][:size]
        logits, expected = (self._trial(decoder, rows) for decoder in (self, DynamicDecoder(self.prompt, size)))
        largest = difference(logits, expected)
        if largest > tolerance(model.dtype):
            raise RuntimeError(f"logits differ from those of growing caches by {largest:.1e} of their scale")

    def _trial(self, decoder: Decoder, rows: Sequence[Row]) -> Tensor:
        last = trial_tokens(self.prompt.model, self.prompt.encoded, 2)[0].repeat_interleave(len(rows), 0).view(2, -1)
        decoder.write(rows)
        return torch.stack([decoder.start(), *[decoder.feed(tokens) for tokens in last]], 1)

    def set_prompt(self, prompt: Prompt) -> None:
        """Decode from another prompt."""
        self.prompt = prompt
        self.buffer.set_prompt(prompt.encoded)

    def write(self, rows: Sequence[Row], steps: int | None = None) -> None:
        """Replace the edits, as ``EditBuffer.write``."""
        self.buffer.write([*rows, *[None] * (self.static.rows - len(rows))], steps)
        self.buffer.require_unedited_prompt()
        self.count = len(rows)

    def start(self) -> Tensor:
        """Logits [rows, vocabulary] after the answer prefix."""
        shared = self.prompt.shared()
        assert shared is not None
        if self.static.shared is not shared:
            self.static.load(shared)
        with self.buffer.attached(traceable=True):
            self.buffer.begin("last_prompt")
            self._rows = self.static.start(self.static.rows, self.buffer.tensors, self.prompt.state)
        logits = self._rows.logits[: self.count]
        for token in self.prompt.tail[0]:
            logits = self.feed(token.expand(self.count))
        return logits

    def feed(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after one more token [rows]."""
        whole = torch.cat([tokens, tokens[-1:].expand(self.static.rows - self.count)])[:, None]
        with self.buffer.attached(traceable=True):
            self.buffer.begin("generated", whole)
            return self._rows.feed(whole)[: self.count, -1]

    def receipt(self) -> Receipt:
        """Receipt of the edits so far."""
        rows = self.buffer.receipt().rows[: self.count]
        return Receipt(lambda: rows).freeze()


Decoder: TypeAlias = DynamicDecoder | CompiledDecoder
"""Decodes the rows whose edits were written; the caller holds ``model.lock``."""


def fastest_decoder(prompt: Prompt, rows: int, steps: int, compiler: Compiler | None = None) -> tuple[Decoder, str]:
    """The fastest exact decoder, and why the step is not compiled (empty if it is).

    `rows`, `steps`: as for :class:`CompiledDecoder`. `compiler`: by default a step is compiled on CUDA only: on the
    CPU, compiling costs more than a session gains.
    """
    compiler = default_compiler(prompt.model) if compiler is None else compiler
    if compiler is None:
        return DynamicDecoder(prompt, rows), f"nothing is compiled on {prompt.model.device}"
    try:
        return CompiledDecoder(prompt, rows, steps, compiler), ""
    except RuntimeError as error:
        logger.warning("%s decodes with growing caches: %s", prompt.model.name, error)
        return DynamicDecoder(prompt, rows), str(error)


@dataclass
class CompiledDecoders:
    """Compiled decoders of one model by (rows, blocks of steps), None where compiling failed; kept with the model."""

    by_size: dict[tuple[int, int], CompiledDecoder | None] = field(default_factory=dict)


def stream_decoder(prompt: Prompt, rows: int, steps: int) -> CompiledDecoder | None:
    """The compiled decoder that is kept with a model for streams, or None; the caller holds ``model.lock``."""
    model: ProbeModel = prompt.model
    if default_compiler(model) is None:
        return None
    known = model.state.of(CompiledDecoders).by_size
    key = (_size(rows), -(-steps // _STEPS))
    if key not in known:
        fastest, _ = fastest_decoder(prompt, rows, steps)
        known[key] = fastest if isinstance(fastest, CompiledDecoder) else None
    compiled = known[key]
    if compiled is not None:
        compiled.set_prompt(prompt)
    return compiled


def _size(rows: int) -> int:
    return next((size for size in _SIZES if size >= rows), rows)
