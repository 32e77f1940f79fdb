"""Log-probabilities of steered answers under the unsteered model, read with a picture that has the concept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.decoding.paths import REFUSALS
from mllm_probe.decoding.shared import Shared
from mllm_probe.models.inputs import CROSS_MASKS, PER_TOKEN, Encoded, Request
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import ROLES
from mllm_probe.steering.trials import path_of
from mllm_probe.sweeps.samples import Samples

_BATCH = 16
"""Answers that are read together: always so many, of one length. In a batch of a fixed shape a row's numbers do not
hang on the other rows (measured: equal to the bit from 8 rows on), so that an answer always scores the same."""
_SHARE = 0.1

Condition = tuple[str, ...]


class ReferenceScorer:
    """Log-probabilities of answers under the unsteered model; each answer is scored once per condition.

    Parameters
    ----------
    model : ProbeModel
    samples : Samples
    names : sequence of str
        Steered concepts.
    prefix : list of int
        Tokens of the answer prefix.
    steps : int
        Longest answer.

    Attributes
    ----------
    batches : int
        Batches of answers that were read.
    """

    def __init__(
        self, model: ProbeModel, samples: Samples, names: Sequence[str], prefix: list[int], steps: int
    ) -> None:  # fmt: skip
        self.model, self.samples, self.names, self.prefix = model, samples, list(names), prefix
        self._steps = steps
        self._shared: OrderedDict[Condition, Shared] = OrderedDict()
        self._known: dict[tuple[Condition, tuple[int, ...]], np.ndarray] = {}
        self.batches = 0
        self._reading: Callable[[], AbstractContextManager[Any]] = nullcontext

    def prepare(self) -> None:
        """Open the prompt of the first image's first concept, so that its path is chosen."""
        with torch.no_grad():
            self._open(self.condition(0, 0), 0, 0)

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
        """How many prompts answers are read after, at most."""
        pairs = [(concept, sample) for concept in range(len(self.names)) for sample in range(len(self.samples))]
        return len({self.condition(*pair) for pair in pairs})

    def condition(self, concept: int, sample: int) -> Condition:
        """Prompt and picture under which an answer is scored: a picture with the concept, else none."""
        request = self.samples.requests[sample]
        example = self.samples.examples.get(self.names[concept])
        if example is not None and request.inputs is None:
            return ("concept", self.names[concept], request.prompt or "")
        if not self.reads_text_alone:
            return ("own", request.id, request.prompt or "")
        return ("none", request.id if request.inputs is not None else request.prompt or "")

    @cached_property
    def reads_text_alone(self) -> bool:
        """Whether the model takes a prompt without picture; if not, answers are read with their own picture."""
        request = self.samples.requests[0]
        try:
            with torch.no_grad():
                self._share(self._text_alone(request)).start(1)
        except torch.OutOfMemoryError:
            raise
        except REFUSALS:
            return False
        return True

    def logprobs(self, concept: int, sample: int, answers: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """Log-probability of every token of each answer (without its end token), float32."""
        condition = self.condition(concept, sample)
        missing = [a for a in dict.fromkeys(answers) if a and (condition, a) not in self._known]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            for answer, logprobs in zip(batch, self._score(condition, concept, sample, batch), strict=True):
                self._known[condition, answer] = logprobs
        return [self._known[condition, a] if a else np.zeros(0, np.float32) for a in answers]

    def _score(
        self, condition: Condition, concept: int, sample: int, answers: list[tuple[int, ...]]
    ) -> list[np.ndarray]:
        shared = self._open(condition, concept, sample)
        self.batches += 1
        with self._reading():
            return self._read(shared, answers)

    def _read(self, shared: Shared, answers: list[tuple[int, ...]]) -> list[np.ndarray]:
        device, filled = self.model.device, [*answers, *answers[:1] * (_BATCH - len(answers))]
        padded = torch.tensor([[*a, *a[-1:] * (self._steps - len(a))] for a in filled], dtype=torch.long, device=device)
        rows = shared.start(_BATCH)
        if self.prefix:
            rows.feed(torch.tensor(self.prefix, device=device).expand(_BATCH, -1))
        logits = [rows.logits[:, None], rows.feed(padded[:, :-1])]
        scores = [torch.log_softmax(part.float(), -1) for part in logits]
        chosen = torch.cat(scores, 1).gather(-1, padded[..., None])[..., 0].cpu().numpy()
        return [row[: len(answer)] for row, answer in zip(chosen, answers, strict=False)]

    def _open(self, condition: Condition, concept: int, sample: int) -> Shared:
        if condition not in self._shared:
            encoded = self._encoded(condition, concept, sample)
            self._shared[condition] = self._share(encoded)
            budget = _SHARE * free_bytes(self.model.device)
            while len(self._shared) > 1 and sum(s.nbytes for s in self._shared.values()) > budget:
                self._shared.popitem(last=False)
        self._shared.move_to_end(condition)
        return self._shared[condition]

    def _share(self, encoded: Encoded) -> Shared:
        """Shared prompt, by the path that was verified for its kind: a prompt without picture is a kind by itself."""
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
        return self.model.encode_samples([Request(inputs=without_picture(self.model, request))])

    @property
    def pictures(self) -> str:
        """Pictures under which answers are scored, for the attributes of a grid."""
        named = [name for name in self.names if name in self.samples.examples]
        alone = "none" if self.reads_text_alone else "the answer's own"
        return (
            "one that has the concept" if len(named) == len(self.names) else f"one that has the concept, else {alone}"
        )


def without_picture(model: ProbeModel, request: Request) -> dict[str, torch.Tensor]:
    """Processed tensors of a sample with its image tokens and pixels left out."""
    encoded = model.encode_samples([request])
    kept = encoded.roles[0] != ROLES.index("image")
    return {
        name: value[:, kept.to(value.device)]
        for name, value in encoded.tensors.items()
        if name in PER_TOKEN and name not in CROSS_MASKS
    }
