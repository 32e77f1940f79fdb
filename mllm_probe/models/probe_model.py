"""The loaded model: a Hugging Face image-text model with its parts, its processor and a lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from mllm_probe.models.argument_checks import described
from mllm_probe.models.fingerprints import Weights
from mllm_probe.models.inputs import Encoded, Request, split_inputs
from mllm_probe.models.layout import Layout, configured_ids, find_layout, text_config
from mllm_probe.models.lock import ModelLock
from mllm_probe.models.prompts import encode_requests, one_per_sample
from mllm_probe.models.state import ModelState
from mllm_probe.typing import Continuation, HfModel, Images, Inputs, JsonObject, Processor

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
        images : picture or sequence
            One sample per element; a nested list is several pictures in one prompt, an empty one or None a
            prompt without picture.
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
        prompts = one_per_sample(self.default_prompt if prompt is None else prompt, len(listed))
        return [Request(images=_pictures(sample), prompt=text) for sample, text in zip(listed, prompts, strict=True)]

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
        """Pictures and prompt as one left-padded batch.

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
            If a picture cannot be read, the prompt leaves no room, or there is no processor for pictures.

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


def _pictures(one: object) -> tuple[Any, ...]:
    return () if one is None else tuple(one) if _is_list(one) else (one,)
