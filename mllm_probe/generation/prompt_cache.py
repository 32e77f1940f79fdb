"""Cache of prefilled prompts, kept with the model: another steering of the same prompt only decodes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.rows import Rows
from mllm_probe.models.fingerprints import change_counters, every_module
from mllm_probe.models.inputs import Request
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.trials import path_of

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

MOST_PROMPTS = 4
SHARE_OF_MEMORY = 0.1
"""Share of the memory that is free when a prompt is added."""

State = tuple[int, ...]


class Prompt:
    """An encoded image, question and answer prefix; prefilled when rows are first decoded from it.

    `encoded`: without the answer prefix. `tail` (Tensor [1, n] int64): token ids of the answer prefix. `state`: of the
    model when the prompt was prefilled, see ``state_of``.
    """

    def __init__(self, model: ProbeModel, request: Request, answer_prefix: str | None = None) -> None:
        self.model, self.request, self.answer_prefix = model, request, answer_prefix
        self.encoded = model.encode_samples([request])
        whole = model.encode_samples([request], answer_prefix) if answer_prefix else self.encoded
        self.tail = whole.sequence[:, self.encoded.prompt_length :]
        self._shared: SharedPrefix | None = None
        self.state: State = ()

    @property
    def nbytes(self) -> int:
        """Memory on the device."""
        return sum(t.nbytes for t in self.encoded.tensors.values()) + (
            self._shared.nbytes if self._shared is not None else 0
        )

    @property
    def sequence(self) -> Tensor:
        """Token ids [1, tokens] of prompt and answer prefix."""
        return torch.cat([self.encoded.sequence, self.tail], 1)

    def shared(self) -> SharedPrefix | None:
        """The prefilled prompt; None if rows of this model cannot share one.

        The caller holds ``model.lock``. The prompt is prefilled again after the model's weights or hooks changed.
        """
        path = path_of(self.model, self.encoded, prompt_edited=False)
        if not issubclass(path.kind, SharedPrefix):
            return None
        state = state_of(self.model)
        if self._shared is None or self.state != state:
            self._shared = None
            opened = path.open(self.model, self.encoded)
            assert isinstance(opened, SharedPrefix)
            self._shared, self.state = opened, state
        return self._shared

    def start(self, rows: int, edits: EditBuffer) -> Rows:
        """Rows after the answer prefix, edited from the last prompt token on."""
        shared = self.shared()
        if shared is None:
            raise RuntimeError(f"rows of {self.model.name} cannot share a prompt.")
        with edits.attached():
            started = shared.start(rows)
            if self.tail.shape[1]:
                started.feed(self.tail.expand(rows, -1))
        return started


class Prompts:
    """Cached prompts of one model, the most recently used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str | None, str | None], Prompt] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, model: ProbeModel, request: Request, answer_prefix: str | None) -> Prompt:
        """The cached prompt of this content, added if it is new."""
        key = (request.id, request.prompt, answer_prefix or None)
        with self._lock:
            prompt = self._known.get(key)
        if prompt is None:
            prompt = Prompt(model, request, answer_prefix)
        with self._lock:
            self._known[key] = prompt
            self._known.move_to_end(key)
        return prompt

    def forget(self, ids: Collection[str]) -> None:
        """Drop cached prompts of these images.

        `ids`: content hashes of the images.
        """
        with self._lock:
            for key in [key for key in self._known if key[0] in ids]:
                del self._known[key]

    def bound(self, model: ProbeModel) -> None:
        """Drop the least recently used prompts beyond ``MOST_PROMPTS`` or the share of free memory; keep the newest."""
        with self._lock:
            room = SHARE_OF_MEMORY * free_bytes(model.device)
            while len(self._known) > 1 and (
                len(self._known) > MOST_PROMPTS or sum(prompt.nbytes for prompt in self._known.values()) > room
            ):
                self._known.popitem(last=False)


def prompts_of(model: ProbeModel) -> Prompts:
    """Cached prompts of a model."""
    return model.state.of(Prompts)


def state_of(model: ProbeModel) -> State:
    """Numbers that change when the weights, the hooks or the adapters of a model do."""
    hooks, adapters = [], []
    for module in every_module(model.hf):
        if module._forward_hooks or module._forward_pre_hooks:
            tables = (module._forward_hooks, module._forward_pre_hooks)
            hooks += [id(hook) for table in tables for hook in table.values()]
        if "_active_adapter" in (state := module.__dict__):
            adapters.append(hash(str((state["_active_adapter"], state.get("_disable_adapters")))))
    return (*change_counters(model.hf), *hooks, *adapters)
