"""Two ways to run rows from a prefilled prompt under a buffer of edits: growing caches, and a step of fixed shapes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from mllm_probe.decoding.agreement import difference, tolerance
from mllm_probe.decoding.compiled import Compiler, StaticDecoder, default_compiler
from mllm_probe.decoding.paths import REFUSALS
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


class Driver(Protocol):
    """Runs the rows that were written; the caller holds ``model.lock``."""

    buffer: EditBuffer
    count: int

    def write(self, rows: Sequence[Row], steps: int | None = None) -> None:
        """Put edits in place, as ``EditBuffer.write``."""
        ...

    def start(self) -> Tensor:
        """Logits [rows, vocabulary] behind the beginning of the answer."""
        ...

    def feed(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] behind one more token [rows]."""
        ...

    def receipt(self) -> Receipt:
        """What was edited so far."""
        ...


class Growing:
    """Rows whose caches grow, of any model that can share a prompt.

    Parameters
    ----------
    prompt : Prompt
    rows : int
        How many there is room for.
    """

    how = "growing caches"

    def __init__(self, prompt: Prompt, rows: int) -> None:
        self.prompt, self.count = prompt, rows
        self.buffer = EditBuffer(prompt.model, rows, prompt=prompt.encoded)
        self._rows: Rows | None = None

    def write(self, rows: Sequence[Row], steps: int | None = None) -> None:
        """Put edits in place, as ``EditBuffer.write``."""
        self.buffer.write(rows, steps)
        self.buffer.require_untouched_prompt()
        self.count = len(rows)

    def start(self) -> Tensor:
        """Logits [rows, vocabulary] behind the beginning of the answer."""
        self._rows = self.prompt.start(self.count, self.buffer)
        return self._rows.logits

    def feed(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] behind one more token [rows]."""
        assert self._rows is not None
        with self.buffer.attached("generated"):
            return self._rows.feed(tokens[:, None])[:, -1]

    def receipt(self) -> Receipt:
        """What was edited so far."""
        return self.buffer.receipt()


class Fixed:
    """Rows of a compiled step of fixed shapes, one prompt after another.

    Parameters
    ----------
    prompt : Prompt
        The first one; on it, the step is checked against growing caches.
    rows : int
        Filled up to the next of a few sizes.
    steps : int
        How many tokens a row may be fed, the last one of the prompt included.
    compiler : callable, optional
        As for ``StaticDecoder``.

    Raises
    ------
    RuntimeError
        If this model cannot be run so, or its logits are not those of growing caches.
    """

    how = "compiled step of fixed shapes"

    def __init__(self, prompt: Prompt, rows: int, steps: int, compiler: Compiler | None = None) -> None:
        model, shared = prompt.model, prompt.shared()
        if shared is None:
            raise RuntimeError(f"rows of {model.name} cannot share a prompt.")
        size = _size(rows)
        self.prompt, self.count = prompt, rows
        try:
            self.decoder = StaticDecoder(model, shared, size, -(-steps // _STEPS) * _STEPS, compiler)
            self.buffer = EditBuffer(model, size, prompt=prompt.encoded, projects=True)
            self._check()
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            raise RuntimeError(f"{type(error).__name__}: {error}".splitlines()[0][:200]) from error

    def _check(self) -> None:
        """Compare with growing caches, edited and fed alike."""
        model, size = self.prompt.model, self.decoder.rows
        growing, rows = Growing(self.prompt, size), [*trial_rows(model, self.prompt.encoded), *[None] * size][:size]
        found, expected = (self._trial(driver, rows) for driver in (self, growing))
        largest = difference(found, expected)
        if largest > tolerance(model.dtype):
            raise RuntimeError(f"logits differ from those of growing caches by {largest:.1e} of their scale")

    def _trial(self, driver: Driver, rows: Sequence[Row]) -> Tensor:
        last = self.prompt.encoded.tensors["input_ids"][0, -2:].repeat_interleave(len(rows), 0).view(2, -1)
        driver.write(rows)
        return torch.stack([driver.start(), *[driver.feed(tokens) for tokens in last]], 1)

    def follow(self, prompt: Prompt) -> None:
        """Go on from another prompt."""
        self.prompt = prompt
        self.buffer.follow(prompt.encoded)

    def write(self, rows: Sequence[Row], steps: int | None = None) -> None:
        """Put edits in place, as ``EditBuffer.write``."""
        self.buffer.write([*rows, *[None] * (self.decoder.rows - len(rows))], steps)
        self.buffer.require_untouched_prompt()
        self.count = len(rows)

    def start(self) -> Tensor:
        """Logits [rows, vocabulary] behind the beginning of the answer."""
        shared = self.prompt.shared()
        assert shared is not None
        if self.decoder.shared is not shared:
            self.decoder.load(shared)
        with self.buffer.attached(traceable=True):
            self.buffer.begin("last_prompt")
            self._rows = self.decoder.start(self.decoder.rows, self.buffer.tensors, self.prompt.state)
        logits = self._rows.logits[: self.count]
        for token in self.prompt.tail[0]:
            logits = self.feed(token.expand(self.count))
        return logits

    def feed(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocabulary] behind one more token [rows]."""
        whole = torch.cat([tokens, tokens[-1:].expand(self.decoder.rows - self.count)])[:, None]
        with self.buffer.attached(traceable=True):
            self.buffer.begin("generated", whole)
            return self._rows.feed(whole)[: self.count, -1]

    def receipt(self) -> Receipt:
        """What was edited so far."""
        rows = self.buffer.receipt().rows[: self.count]
        return Receipt(lambda: rows).freeze()


def fixed_or_growing(prompt: Prompt, rows: int, steps: int, compiler: Compiler | None = None) -> tuple[Driver, str]:
    """The fastest driver that is exact, and why it is not the fixed one where it is not.

    Parameters
    ----------
    prompt : Prompt
    rows, steps : int
        As for ``Fixed``.
    compiler : callable, optional
        Without one there is a fixed driver on CUDA only: on the CPU compiling costs more than a session gains.
    """
    compiler = default_compiler(prompt.model) if compiler is None else compiler
    if compiler is None:
        return Growing(prompt, rows), f"nothing is compiled on {prompt.model.device}"
    try:
        return Fixed(prompt, rows, steps, compiler), ""
    except RuntimeError as error:
        logger.warning("%s decodes with growing caches: %s", prompt.model.name, error)
        return Growing(prompt, rows), str(error)


@dataclass
class Drivers:
    """Compiled steps of one model by (rows, blocks of steps), None where there is none; kept with it."""

    by_size: dict[tuple[int, int], Fixed | None] = field(default_factory=dict)


def kept_driver(prompt: Prompt, rows: int, steps: int) -> Fixed | None:
    """The fixed driver that is kept with a model for streams, None where there is none; the lock is held."""
    model: ProbeModel = prompt.model
    if default_compiler(model) is None:
        return None
    known = model.state.of(Drivers).by_size
    key = (_size(rows), -(-steps // _STEPS))
    if key not in known:
        made, _ = fixed_or_growing(prompt, rows, steps)
        known[key] = made if isinstance(made, Fixed) else None
    found = known[key]
    if found is not None:
        found.follow(prompt)
    return found


def _size(rows: int) -> int:
    return next((size for size in _SIZES if size >= rows), rows)
