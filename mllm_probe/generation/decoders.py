"""Decoding rows from a prefilled prompt with an edit buffer, greedily, and the prompts that a model keeps."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor
from transformers import GenerationMixin, RepetitionPenaltyLogitsProcessor

from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.decoding.compiled import Compiler, StaticDecoder, default_compiler
from mllm_probe.decoding.paths import REFUSALS, trial_tokens
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.rows import Rows
from mllm_probe.decoding.shared_prompt import difference, tolerance
from mllm_probe.models.fingerprints import change_counters, every_module
from mllm_probe.models.inputs import Request
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.edit_plan import Receipt
from mllm_probe.steering.intervention import RowEdit
from mllm_probe.steering.tensors import path_of, trial_rows

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

    def write(self, rows: Sequence[RowEdit], steps: int | None = None) -> None:
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

    def _trial(self, decoder: Decoder, rows: Sequence[RowEdit]) -> Tensor:
        last = trial_tokens(self.prompt.model, self.prompt.encoded, 2)[0].repeat_interleave(len(rows), 0).view(2, -1)
        decoder.write(rows)
        return torch.stack([decoder.start(), *[decoder.feed(tokens) for tokens in last]], 1)

    def set_prompt(self, prompt: Prompt) -> None:
        """Decode from another prompt."""
        self.prompt = prompt
        self.buffer.set_prompt(prompt.encoded)

    def write(self, rows: Sequence[RowEdit], steps: int | None = None) -> None:
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


_HARMLESS = frozenset(
    {
        "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "repetition_penalty", "do_sample",
        "temperature", "top_k", "top_p", "min_p", "typical_p", "renormalize_logits", "max_length", "max_new_tokens",
        "use_cache", "output_attentions", "output_hidden_states", "output_scores", "output_logits",
        "return_dict_in_generate", "_from_model_config", "transformers_version", "trust_remote_code",
    }
)  # fmt: skip
"""Settings that change nothing in a greedy answer, or are followed here."""
_OVERRIDDEN = ("generate", "_sample", "_get_logits_processor")
_GREEDY = {"do_sample": False, "num_beams": 1, "num_return_sequences": 1}


def is_plain_greedy(model: ProbeModel, options: Mapping[str, object]) -> bool:
    """Whether ``hf.generate`` with these options takes the best token of each step, as :class:`Greedy` does."""
    if any(name not in _GREEDY or value != _GREEDY[name] for name, value in options.items()):
        return False
    model_class = type(model.hf)
    if any(getattr(model_class, name, None) is not getattr(GenerationMixin, name, None) for name in _OVERRIDDEN):
        return False
    config = model.hf.generation_config
    return set(config.to_diff_dict()) <= _HARMLESS and config.use_cache is not False


class Greedy:
    """The next tokens of rows of one prompt, one step after another.

    `prompt` (Tensor [1, tokens] int64): token ids before the first generated token, the answer prefix included.
    """

    def __init__(self, model: ProbeModel, prompt: Tensor, rows: int) -> None:
        config = model.hf.generation_config
        ends = config.eos_token_id
        ends = [] if ends is None else ends if isinstance(ends, (list, tuple)) else [ends]
        self.ends = torch.tensor(list(ends), dtype=torch.long, device=prompt.device)
        self.pad = model.pad_token_id
        self.finished = torch.zeros(rows, dtype=torch.bool, device=prompt.device)
        penalty = config.repetition_penalty
        self.penalty = RepetitionPenaltyLogitsProcessor(penalty) if penalty not in (None, 1.0) else None
        self.fed = prompt.expand(rows, -1) if self.penalty is not None else None

    def choose(self, logits: Tensor) -> Tensor:
        """Tokens [rows] from logits [rows, vocabulary]; padding where the answer has ended."""
        scores = logits.float()
        if self.penalty is not None:
            scores = self.penalty(self.fed, scores.clone())
        following = scores.argmax(-1)
        if len(self.ends):
            following = torch.where(self.finished, self.pad, following)
            self.finished |= torch.isin(following, self.ends)
        if self.fed is not None:
            self.fed = torch.cat([self.fed, following[:, None]], 1)
        return following
