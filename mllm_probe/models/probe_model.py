"""The loaded model: a Hugging Face image-text model with its parts, their devices, its lock and kept state."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from mllm_probe.models.argument_checks import described
from mllm_probe.models.fingerprints import Weights
from mllm_probe.models.inputs import Encoded, Request, split_inputs
from mllm_probe.models.layout import Layout, configured_ids, find_layout, text_config
from mllm_probe.models.prompts import encode_requests, prompt_per_sample
from mllm_probe.typing import Continuation, HfModel, Images, Inputs, JsonObject, Processor


class ModelLock:
    """A re-entrant lock with two classes of waiters.

    A thread that holds it may take it again. When it is released, a waiting interactive job always
    goes before a waiting long one, so that a slider is answered between two chunks of a sweep.

    `threads`: threads that torch shares a step between while a job holds the lock; as torch has it by default. A model
    of a few megabytes loses more than it gains by sharing, and many times over where other work keeps a core busy.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._threads_before = 0
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._depth = 0
        self._edits = 0
        self._interactive_waiting: set[int] = set()

    @contextmanager
    def held(self, interactive: bool = False, *, edits_every_call: bool = False) -> Iterator[None]:
        """Hold the lock for the ``with`` block.

        `interactive`: True for jobs a person waits for; they go before all others that wait. `edits_every_call`: True
        for ``mp.steer``: whatever this thread runs on the model meanwhile is edited, so that until the block ends the
        lock is given to no other job of the thread. Raises RuntimeError if a block of this thread edits every call, and
        this one is not another such block.
        """
        if not edits_every_call:
            self.require_unedited()
        me = threading.get_ident()
        with ExitStack() as stack:
            # Read without the lock: only this thread can change them while it is the owner, and no other thread is
            # `me`.
            depth, edits = (self._depth, self._edits) if self._owner == me else (0, 0)
            for _ in range(2):  # Ctrl-C may end the first of them, and come as soon as the lock is taken
                stack.callback(self._back_to, me, depth, edits)
            self._acquire(interactive)
            self._edits = edits + edits_every_call
            yield

    def require_unedited(self) -> None:
        """Raise a RuntimeError if a ``with mp.steer(…)`` block of this thread edits every call of the model."""
        with self._changed:
            edited = self._owner == threading.get_ident() and self._edits > 0
        if edited:
            raise RuntimeError(
                "expected a model that is not edited, but this runs inside a `with mp.steer(...)` block, which steers "
                "every call of model.hf: the result would be steered too and be taken for unsteered. Leave the with "
                "block first, or give steering= to the function instead (mp.generate, mp.stream and mp.capture take "
                "it). Inside the block, call model.hf itself."
            )

    def require_elsewhere(self) -> None:
        """Raise a RuntimeError if this thread holds the lock: waiting here for another thread's job would never end."""
        with self._changed:
            held = self._owner == threading.get_ident()
        if held:
            raise RuntimeError(
                "expected a model that this thread does not hold, but it is held by a `with mp.steer(...)` or "
                "`with model.lock.held()` block around this call; what is waited for here needs the model, so that "
                "waiting would never end. Leave the with block first, then wait."
            )

    def give_way(self) -> None:
        """Release the lock for waiting interactive jobs, between two steps of a long job that holds it once."""
        with self._changed:
            # At depth 1 alone: an outer block of this thread relies on the model staying as it is.
            if self._owner != threading.get_ident() or self._depth != 1 or not self._interactive_waiting:
                return
        self._release()
        self._acquire(interactive=False)

    def _acquire(self, interactive: bool) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._owner == me:
                self._depth += 1
                return
            # A waiting interactive job is noted before it waits, so that no other job can take the lock first. Where
            # waiting is interrupted, `_back_to` strikes it out, and the others test their condition again. No ``try``
            # here: Ctrl-C on that line would leave the ``with`` block without its end (CPython 3.11).
            if interactive:
                self._interactive_waiting.add(me)
            self._changed.wait_for(lambda: self._owner is None and (interactive or not self._interactive_waiting))
            self._interactive_waiting.discard(me)
            self._changed.notify_all()
            self._threads_before = torch.get_num_threads()
            self._depth, self._owner = 1, me
            if self.threads is not None:
                torch.set_num_threads(self.threads)

    def _back_to(self, thread: int, depth: int, edits: int) -> None:
        """Release what a thread has taken beyond a depth; nothing where it holds no more than that."""
        if thread in self._interactive_waiting:  # it no longer waits, and the others test their condition again
            with self._changed:
                self._interactive_waiting.discard(thread)
                self._changed.notify_all()
        if self._owner == thread and (self._depth > depth or not depth):
            self._edits = edits
            self._release(depth)

    def _release(self, depth: int = 0) -> None:
        with self._changed:
            self._depth = depth
            if self._depth == 0:
                if self.threads is not None:
                    torch.set_num_threads(self._threads_before)
                self._owner = None
                self._changed.notify_all()


Part = TypeVar("Part")


class ModelState:
    """Caches and trial results of one model, such as prefilled prompts and the method by which rows share a prompt.

    >>> model.state.of(Prompts)  # a class of the part that needs it, constructed without arguments on first use
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[type, Any] = {}

    def of(self, kind: type[Part]) -> Part:
        """The model's object of this class, constructed on first use."""
        with self._lock:
            if kind not in self._parts:
                self._parts[kind] = kind()
            part: Part = self._parts[kind]
            return part


GENERIC_PROMPT = "Describe the image."
GENERIC_SUGGESTIONS = (GENERIC_PROMPT, "What do you see?", "What is in the image?")


class ProbeModel:
    """A model that can be probed.

    Parameters
    ----------
    hf : PreTrainedModel
        Set to evaluation mode; its parameters need no gradients from then on.
    processor : ProcessorMixin, optional
        Without one, inputs are processed tensors and words are token ids.
    name : str, optional
        Id shown in datasets; the configuration's name by default.
    blocks : str, nn.ModuleList or sequence of nn.Module, optional
        Decoder blocks, where the general rule does not find them.
    facts : mapping, optional
        ``default_prompt``, ``default_answer_prefix``, ``suggestions``; ``cpu_threads``, how many threads a model that
        runs on the CPU is computed with; ``weights_from``.

    Attributes
    ----------
    tokenizer : PreTrainedTokenizer or None
        The processor's tokenizer.
    layout : Layout
        The model's parts and their paths.
    lock : ModelLock
        Held by whatever computes on the model; interactive jobs go before waiting sweeps.
    weights : Weights
        Follows changes of the weights.
    default_prompt, default_answer_prefix : str
        The prompt, and the beginning of the answer, that functions use unless others are given.
    suggestions : tuple of str
        Questions that work.
    weights_from : str
        Where the weights are from, for people; empty where nothing was said of it.
    loaded_with : dict or None
        Arguments with which ``mllm_probe.load`` gives the same weights anywhere; None for a model that was not loaded
        by it.
    state : ModelState
        What other parts keep with the model, such as prompts that were prefilled; it goes when the model goes.
    """

    def __init__(
        self,
        hf: HfModel,
        processor: Processor = None,
        *,
        name: str | None = None,
        blocks: str | Sequence[nn.Module] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.hf = hf.eval().requires_grad_(False)
        self.processor = processor
        self.tokenizer: Processor = getattr(processor, "tokenizer", processor)
        self.layout: Layout = find_layout(hf, blocks)
        self.name = name or getattr(hf.config, "_name_or_path", "") or type(hf).__name__
        self.weights = Weights(hf)
        facts = facts or {}
        self.lock = ModelLock(facts.get("cpu_threads") if self.device.type == "cpu" else None)
        self.default_prompt: str = facts.get("default_prompt", GENERIC_PROMPT)
        self.default_answer_prefix: str = facts.get("default_answer_prefix", "")
        self.suggestions: tuple[str, ...] = tuple(facts.get("suggestions", GENERIC_SUGGESTIONS))
        self.weights_from: str = facts.get("weights_from", "")
        self.loaded_with: JsonObject | None = None
        self.state = ModelState()

    @property
    def fingerprint(self) -> str:
        """Short hash of configuration and weights as they are now; a changed weight gives another one."""
        return self.weights.fingerprint()

    @property
    def layers(self) -> range:
        """Numbers of the decoder blocks."""
        return range(len(self.layout.blocks))

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        config = text_config(self.hf)
        return int(getattr(config, "hidden_size", None) or config.d_model)

    @property
    def device(self) -> torch.device:
        """Device of the inputs: that of the token embeddings."""
        return self.hf.get_input_embeddings().weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type that the model computes in."""
        return self.hf.dtype

    @property
    def family(self) -> str:
        """The configuration's ``model_type``."""
        return self.hf.config.model_type

    @property
    def eos_token_ids(self) -> set[int]:
        """Ids that end an answer."""
        sources = (self.hf.generation_config, text_config(self.hf), self.tokenizer)
        return {number for source in sources for number in configured_ids(source, "eos_token_id")}

    def before_end(self, tokens: Sequence[int]) -> list[int]:
        """Tokens of an answer before the one that ends it, or before a negative one, which fills up."""
        ends = self.eos_token_ids
        return list(takewhile(lambda token: token >= 0 and token not in ends, tokens))

    @property
    def pad_token_id(self) -> int:
        """Id that fills padding; the end-of-answer id or 0 where there is none."""
        for source in (self.tokenizer, self.hf.generation_config, text_config(self.hf)):
            value = getattr(source, "pad_token_id", None)
            if value is not None and value >= 0:
                return int(value)
        return min(self.eos_token_ids, default=0)

    def samples(
        self,
        images: Images,
        prompt: str | Sequence[str] | None = None,
        inputs: Inputs = None,
    ) -> list[Request]:
        """Samples as cheap requests that are read and processed only by ``encode_samples``.

        Parameters
        ----------
        images : image or sequence
            One sample per element; a nested list is several images in one prompt, an empty one or None a
            prompt without image.
        prompt : str or sequence of str, optional
            ``default_prompt`` by default.
        inputs : dict of Tensor or list of such dicts, optional
            Processed tensors in place of images and prompt.
        """
        if inputs is not None:
            return split_inputs(inputs)
        if images is None:
            images = [None] * (1 if prompt is None or not _is_list(prompt) else len(prompt))
        listed = list(images) if _is_list(images) else [images]
        if not listed:
            raise ValueError("Expected at least one image; got an empty list.")
        prompts = prompt_per_sample(self.default_prompt if prompt is None else prompt, len(listed))
        return [Request(images=_as_images(sample), prompt=text) for sample, text in zip(listed, prompts, strict=True)]

    def encode_samples(self, requests: Sequence[Request], continuation: Continuation = None) -> Encoded:
        """Requests as one left-padded batch on the model's device; see ``encode``."""
        return encode_requests(self, requests, continuation)

    def encode(
        self,
        images: Images,
        prompt: str | Sequence[str] | None = None,
        *,
        inputs: Inputs = None,
        continuation: Continuation = None,
    ) -> Encoded:
        """Images and prompt as one left-padded batch.

        Parameters
        ----------
        images, prompt, inputs
            As for ``samples``.
        continuation : str or sequence of str, optional
            Text of the answer, appended to every prompt (or one for each); written as it is,
            a leading space included.

        Returns
        -------
        Encoded

        Raises
        ------
        ValueError
            If an image cannot be read, the prompt leaves no room, or there is no processor for images.

        Warns
        -----
        UserWarning
            Naming words that the tokenizer does not know.
        """
        return self.encode_samples(self.samples(images, prompt, inputs), continuation)

    def text_ids(self, text: str, *, leading_space: bool) -> list[int]:
        """Token ids of a piece of answer, without special tokens."""
        if self.tokenizer is None:
            raise ValueError(f"{self.name} has no processor: give token ids instead of the text '{text}'.")
        return list(self.tokenizer(f" {text}" if leading_space else text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Text of token ids without special tokens; without a tokenizer, the numbers."""
        listed = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        if self.tokenizer is None:
            return " ".join(map(str, listed))
        return self.tokenizer.decode(listed, skip_special_tokens=True).strip()

    def describe(self) -> str:
        """Parts of the model, one line each."""
        paths, layout = self.layout.paths, self.layout
        kind = type(layout.blocks[0]).__name__
        last = f"last block → {paths['final_norm']}" if layout.final_norm is not None else "none"
        lines = {
            "model": f"{self.name}  ({type(self.hf).__name__}, family {self.family}, weights {self.fingerprint})",
            "blocks": f"{paths['blocks']}  ({len(self.layers)} × {kind}, width {self.hidden_size})",
            "final norm": last,
            "head": paths.get("head", type(layout.head).__name__),
            "vision tower": paths.get("vision_tower", "none: images are turned into tokens without one"),
            "projector": paths.get("projector", "none of its own"),
            "image token": str(layout.image_token_id) if layout.image_token_id is not None else "none in the sequence",
            "runs on": f"{self.device}, {str(self.dtype).removeprefix('torch.')}",
            "processor": type(self.processor).__name__ if self.processor is not None else "none: pass inputs=",
        }
        if self.weights_from:
            lines["weights from"] = self.weights_from
        return "\n".join(f"{name:<13} {text}" for name, text in lines.items())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {len(self.layers)} blocks × {self.hidden_size}, {self.device}>"


def require_model(model: object, name: str = "model") -> None:
    """Raise a ValueError unless ``model`` is a loaded model, as every function that runs one takes it."""
    if hasattr(model, "layers") and hasattr(model, "default_prompt"):
        return
    hint = "; the model comes first" if type(model).__name__ in ("Dataset", "ConceptLibrary") else ""
    raise ValueError(f"{name}: expected a loaded model (mp.load or mp.wrap), got {described(model)}{hint}.")


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _as_images(value: object) -> tuple[Any, ...]:
    return () if value is None else tuple(value) if _is_list(value) else (value,)


def placement(model: ProbeModel) -> dict[str, str]:
    """Parts of a model by their device, where they lie on several."""
    layout = model.layout
    named = {"embeddings": model.hf.get_input_embeddings(), "vision tower": layout.vision_tower}
    named |= {"projector": layout.projector, "final norm": layout.final_norm, "head": layout.head}
    by_device: dict[str, list[str]] = {}
    blocks: dict[str, list[int]] = {}
    for number, block in enumerate(layout.blocks):
        blocks.setdefault(_device_of(block), []).append(number)
    for device, numbers in blocks.items():
        by_device[device] = [f"blocks {_spans(numbers)}"]
    for name, module in named.items():
        if module is not None and (device := _device_of(module)):
            by_device.setdefault(device, []).append(name)
    return {device: ", ".join(parts) for device, parts in by_device.items()} if len(by_device) > 1 else {}


def _device_of(module: nn.Module) -> str:
    """Device of a module's first parameter, empty without any."""
    return next((str(parameter.device) for parameter in module.parameters()), "")


def _spans(numbers: Sequence[int]) -> str:
    """Numbers as spans: 0–3, 5."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{span[0]}–{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)
