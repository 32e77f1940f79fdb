"""Log-probabilities of steered answers under the unsteered model, read with an image that has the concept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.activations.not_finite import require_finite, unexplained
from mllm_probe.decoding.paths import REFUSALS
from mllm_probe.decoding.rows import Rows
from mllm_probe.decoding.shared_prompt import Shared
from mllm_probe.models.inputs import CROSS_MASKS, PER_TOKEN, Encoded, Request
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import ROLES
from mllm_probe.steering.tensors import path_of
from mllm_probe.sweeps.grid import Samples

BATCH = 16
"""Answers that are read together: always so many while they fit, filled up to a length that each answer has by itself.
In a batch of a fixed shape a row's numbers do not hang on the other rows (measured: equal to the bit from 8 rows on):
an answer always scores the same."""
_SHARE = 0.1

Condition = tuple[str, ...]
Answer = tuple[int, ...]
Asked = tuple[int, int, Answer]
"""A concept, a sample, and an answer without its end token."""


class ReferenceScorer:
    """Log-probabilities of answers under the unsteered model; each answer is scored once per condition.

    `names`: steered concepts.
    `prefix`: tokens of the answer prefix.
    `steps`: longest answer.
    `rows`: answers that are read together.
    `with_image`: read answers with their own image, whatever examples there are.
    `batches`: batches of answers that were read.
    `halved`: how often a batch was halved because the GPU ran out of memory; from then on numbers agree to rounding.
    """

    def __init__(
        self,
        model: ProbeModel,
        samples: Samples,
        names: Sequence[str],
        prefix: list[int],
        steps: int,
        rows: int = BATCH,
        with_image: bool = False,
    ) -> None:
        self.model, self.samples, self.names, self.prefix = model, samples, list(names), prefix
        self._steps = steps
        self._begun: OrderedDict[Condition, tuple[Shared, Rows]] = OrderedDict()
        self._known: dict[tuple[Condition, tuple[int, ...]], np.ndarray] = {}
        self.batches = self.halved = 0
        self._rows, self._with_image = rows, with_image
        self._reading: Callable[[], AbstractContextManager[Any]] = nullcontext

    def prepare(self) -> None:
        """Open the prompt of the first image's first concept, so that its path is chosen."""
        with torch.no_grad():
            self._begin(self.condition(0, 0), 0, 0)

    def forget(self) -> None:
        """Forget answers that were read."""
        self._known.clear()

    @contextmanager
    def watched(self, reading: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        """Enter a context around each batch that is read meanwhile."""
        self._reading = reading
        try:
            yield
        finally:
            self._reading = nullcontext

    @cached_property
    def conditions(self) -> int:
        """Largest number of prompts that answers are scored after."""
        pairs = [(concept, sample) for concept in range(len(self.names)) for sample in range(len(self.samples))]
        return len({self.condition(*pair) for pair in pairs})

    def condition(self, concept: int, sample: int) -> Condition:
        """Prompt and image under which an answer is scored: an image with the concept, else none."""
        request = self.samples.requests[sample]
        example = self.samples.examples.get(self.names[concept])
        if self._with_image:
            return ("own", request.id, request.prompt or "")
        if example is not None and request.inputs is None:
            return ("concept", self.names[concept], request.prompt or "")
        if not self.reads_text_alone:
            return ("own", request.id, request.prompt or "")
        return ("none", request.id if request.inputs is not None else request.prompt or "")

    @cached_property
    def reads_text_alone(self) -> bool:
        """Whether the model takes a prompt without image; if not, answers are read with their own image."""
        request = self.samples.requests[0]
        try:
            with torch.no_grad():
                self._share(self._text_alone(request)).start(1)
        except torch.OutOfMemoryError:
            raise
        except REFUSALS:
            return False
        return True

    def logprobs(self, asked: Sequence[Asked]) -> list[np.ndarray]:
        """Log-probability of every token of each answer that is asked for, float32."""
        conditions = [self.condition(concept, sample) for concept, sample, _ in asked]
        missing: dict[tuple[Condition, int], dict[Answer, tuple[int, int]]] = {}
        for condition, (concept, sample, answer) in zip(conditions, asked, strict=True):
            if answer and (condition, answer) not in self._known:
                alike = missing.setdefault((condition, self._length(answer)), {})
                alike.setdefault(answer, (concept, sample))
        for (condition, length), alike in missing.items():
            left = list(alike)
            while left:
                batch = left[: self._rows]
                try:
                    scores = self._score(condition, *alike[batch[0]], batch, length)
                except torch.OutOfMemoryError:
                    if not self._halve():
                        raise
                    continue
                self._known.update(zip(((condition, answer) for answer in batch), scores, strict=True))
                left = left[len(batch) :]
        none = np.zeros(0, np.float32)
        return [self._known.get((condition, a), none) for condition, (_, _, a) in zip(conditions, asked, strict=True)]

    def _halve(self) -> bool:
        """Go on with half as many answers at a time; False where not even one fits."""
        self._begun.clear()
        torch.cuda.empty_cache()
        if self._rows == 1:
            return False
        self._rows, self.halved = self._rows // 2, self.halved + 1
        return True

    def _length(self, answer: Answer) -> int:
        """Tokens to which an answer is filled up: the next power of two, at most those of the longest."""
        return min(1 << (len(answer) - 1).bit_length(), self._steps)

    def _score(
        self, condition: Condition, concept: int, sample: int, answers: list[Answer], length: int
    ) -> list[np.ndarray]:
        rows = self._begin(condition, concept, sample)
        self.batches += 1
        with self._reading():
            chosen = self._read(rows, answers, length)
        if np.isnan(chosen).any():
            encoded = self._encoded(condition, concept, sample)
            require_finite(self.model, encoded, number=sample)
            raise ValueError(unexplained(self.model, f"on answers that are read with {' '.join(condition)}"))
        return [row[: len(answer)] for row, answer in zip(chosen, answers, strict=False)]

    def _read(self, rows: Rows, answers: list[Answer], length: int) -> np.ndarray:
        """Log-probabilities [batch, length] of answers that are filled up to one length."""
        # The shape of a batch decides how kernels sum up. Filled to a fixed shape an answer scores the same whatever it
        # is read with; before, resumed sweeps differed by up to 2.9e-6 of their perplexity.
        device, filled = self.model.device, [*answers, *answers[:1] * (self._rows - len(answers))]
        padded = torch.tensor([[*a, *a[-1:] * (length - len(a))] for a in filled], dtype=torch.long, device=device)
        logits = [rows.logits[:, None], rows.feed(padded[:, :-1])]
        scores = [torch.log_softmax(part.float(), -1) for part in logits]
        chosen: np.ndarray = torch.cat(scores, 1).gather(-1, padded[..., None])[..., 0].cpu().numpy()
        return chosen

    def _begin(self, condition: Condition, concept: int, sample: int) -> Rows:
        """Rows of a batch where the answers begin: run once for a condition, and forked for each batch."""
        if condition not in self._begun:
            encoded = self._encoded(condition, concept, sample)
            shared = self._share(encoded)
            rows = shared.start(self._rows)
            if self.prefix:
                rows.feed(torch.tensor(self.prefix, device=self.model.device).expand(self._rows, -1))
            self._begun[condition] = shared, rows
            budget = _SHARE * free_bytes(self.model.device)
            # Oldest first. The new one stays whatever its size, as its rows are about to be forked.
            while len(self._begun) > 1 and sum(shared.nbytes for shared, _ in self._begun.values()) > budget:
                self._begun.popitem(last=False)
        self._begun.move_to_end(condition)
        return self._begun[condition][1].fork()

    def _share(self, encoded: Encoded) -> Shared:
        """Shared prompt, by the path that was verified for its kind: a prompt without image is a kind by itself."""
        return path_of(self.model, encoded, prompt_edited=False).open(self.model, encoded)

    def _encoded(self, condition: Condition, concept: int, sample: int) -> Encoded:
        request = self.samples.requests[sample]
        if condition[0] == "concept":
            example = self.samples.examples[self.names[concept]]
            return self.model.encode_samples([replace(request, images=(example,))])
        return self.model.encode_samples([request]) if condition[0] == "own" else self._text_alone(request)

    def _text_alone(self, request: Request) -> Encoded:
        if request.inputs is None:
            return self.model.encode_samples([replace(request, images=())])
        return self.model.encode_samples([Request(inputs=without_image(self.model, request))])

    @property
    def pictures(self) -> str:
        """Images under which answers are scored, for the attributes of a grid."""
        named = [name for name in self.names if name in self.samples.examples]
        alone = "none" if self.reads_text_alone else "the answer's own"
        return (
            "one that has the concept" if len(named) == len(self.names) else f"one that has the concept, else {alone}"
        )


def counted_logprobs(
    logprobs: Sequence[np.ndarray], mentions: Sequence[tuple[int, int] | None], steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of answers filled up to ``steps``, and which tokens count: not those of a first mention."""
    filled = torch.zeros(len(logprobs), steps)
    counted = torch.zeros(filled.shape, dtype=torch.bool)
    for row, (values, mention) in enumerate(zip(logprobs, mentions, strict=True)):
        filled[row, : len(values)] = torch.from_numpy(values)
        counted[row, : len(values)] = True
        if mention is not None:
            counted[row, mention[0] : mention[1]] = False
    return filled, counted


def without_image(model: ProbeModel, request: Request) -> dict[str, torch.Tensor]:
    """Processed tensors of a sample with its image tokens and pixels left out."""
    encoded = model.encode_samples([request])
    kept = encoded.roles[0] != ROLES.index("image")
    return {
        name: value[:, kept.to(value.device)]
        for name, value in encoded.tensors.items()
        if name in PER_TOKEN and name not in CROSS_MASKS
    }
