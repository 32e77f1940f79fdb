"""Steered answers: generated as a whole, streamed token by token, or through any call of the Hugging Face model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from mllm_probe.generation.decoders import is_plain_greedy, prompts_of
from mllm_probe.generation.streaming import GenerateJob, LiveJob, Stream, StreamJob, answer_text
from mllm_probe.models import require_model
from mllm_probe.models.argument_checks import finite_number, warn_caller, whole_number
from mllm_probe.models.inputs import Request
from mllm_probe.models.layout import accepted_inputs
from mllm_probe.models.prompts import answer_ids
from mllm_probe.steering.edit_plan import Receipt
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import Composition, RowEdit, Steering, as_rows
from mllm_probe.typing import Images, Inputs
from mllm_probe.vectors.directions import unlike_note

if TYPE_CHECKING:
    from mllm_probe.models import Encoded, ProbeModel

_COUNTS = {"num_beams": 1, "num_return_sequences": 1, "top_k": 0, "min_new_tokens": 0}
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")


@dataclass(frozen=True)
class GenerationOutput:
    """Answers of a batch.

    Attributes
    ----------
    text : list of str
        One answer per row, without special tokens and without the answer prefix.
    tokens : Tensor [rows, steps] int64, on the CPU
        Generated ids, padded after the end of an answer.
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
    images: Images = None,
    prompt: str | Sequence[str] | None = None,
    *,
    steering: RowEdit | Sequence[RowEdit] = None,
    max_new_tokens: int = 32,
    answer_prefix: str | None = None,
    inputs: Inputs = None,
    **options: Any,
) -> GenerationOutput:
    """Answer a prompt about images while the residual stream is edited; greedy unless asked otherwise.

    Parameters
    ----------
    model : ProbeModel
    images : image or list
        One sample, or one per element; a nested list is several images in one prompt.
    prompt : str or list of str, optional
        ``model.default_prompt`` by default.
    steering : Steering, Composition, None or list of these
        One for all rows, or one per row; several with one image are rows of one batch.
    max_new_tokens : int
    answer_prefix : str, optional
        Text that the answer begins with; its positions count as generated.
    inputs : dict of Tensor or list of dicts, optional
        Processed tensors in place of images and prompt.
    **options
        Passed on to ``hf.generate``, such as ``do_sample=True`` or ``num_beams=3``.

    Returns
    -------
    GenerationOutput

    Warns
    -----
    UserWarning
        For an image that is unlike those of the vectors (:func:`mllm_probe.vectors.likeness`).

    Raises
    ------
    ValueError
        If rows and samples do not fit, or the steering can never fire on them.

    Examples
    --------
    >>> out = mp.generate(model, picture, steering=[None, cat, cat.control("random")], max_new_tokens=12)
    >>> out.text[1], out.receipt[1].fired
    """
    max_new_tokens = _checked(model, prompt, max_new_tokens, options)
    model.lock.require_unedited()
    requests, rows = _fitted(model, images, prompt, steering, inputs)
    answer_prefix = _checked_prefix(model, answer_prefix)
    encoded = model.encode_samples(requests, answer_prefix)
    editor = Editor(model, rows, encoded, steps=_fed_back(encoded, max_new_tokens))
    with model.lock.held(interactive=True), editor.attached():
        output = model.hf.generate(**encoded.tensors, **_settings(model, max_new_tokens, options))
    _warn_unlike(model, requests, rows)
    logits = torch.stack(output.logits, 1)
    tokens = output.sequences[:, output.sequences.shape[1] - logits.shape[1] :].cpu()
    return GenerationOutput([answer_text(model, row) for row in tokens.tolist()], tokens, logits, editor.receipt())


def stream(
    model: ProbeModel,
    images: Images = None,
    prompt: str | Sequence[str] | None = None,
    *,
    steering: RowEdit | Sequence[RowEdit] = None,
    max_new_tokens: int = 32,
    answer_prefix: str | None = None,
    inputs: Inputs = None,
    **options: Any,
) -> Stream:
    """Answer as ``generate`` does, yielding each token when it is generated.

    Parameters
    ----------
    model, images, prompt, steering, max_new_tokens, answer_prefix, inputs, **options
        As for ``generate``.

    Returns
    -------
    Stream
        Iterates over (row, step, text of the row so far); all rows run in one batch. ``close()`` cancels the run
        within one step, ``receipt`` is that of the edits so far.

    Raises
    ------
    ValueError
        As ``generate``; errors of the running model are raised where the stream is read.

    Notes
    -----
    Greedy rows of one prompt without edits before its last token are decoded from a prefill that is cached with the
    model: another steering costs decode steps only.
    """
    max_new_tokens = _checked(model, prompt, max_new_tokens, options)
    if options.get("num_beams", 1) != 1 or options.get("num_return_sequences", 1) != 1:
        raise ValueError("stream gives one answer per row as it grows: num_beams and num_return_sequences must be 1.")
    model.lock.require_unedited()
    requests, rows = _fitted(model, images, prompt, steering, inputs)
    prefix = _checked_prefix(model, answer_prefix)

    def generated() -> tuple[StreamJob, Callable[[], Receipt]]:
        encoded = model.encode_samples(requests, prefix)
        editor = Editor(model, rows, encoded, steps=_fed_back(encoded, max_new_tokens))
        return GenerateJob(model, encoded, editor, _settings(model, max_new_tokens, options)), editor.receipt

    if _decodes_only(model, requests, rows, options):
        cached = prompts_of(model).of(model, requests[0], answer_prefix)
        live = LiveJob(cached, rows, max_new_tokens, generated)
        return Stream(model, len(rows), live, live.receipt)
    return Stream(model, len(rows), *generated())


@contextmanager
def steer(model: ProbeModel, steering: RowEdit | Sequence[RowEdit]) -> Iterator[Receipt]:
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
    has rows for each. Other jobs on the model wait until the block ends. Functions of the package that run the model
    (``generate``, ``capture``, ``sweep`` …) raise a RuntimeError inside the block: their results would be steered too.

    Examples
    --------
    >>> with mp.steer(model, steering) as receipt:
    ...     model.hf.generate(**model.encode([picture]).tensors)
    """
    require_model(model)
    editor = Editor(model, as_rows(steering))
    receipt = editor.live_receipt()
    with model.lock.held(interactive=True, edits_every_call=True), editor.attached():
        try:
            yield receipt
        finally:
            receipt.freeze()


def _fitted(
    model: ProbeModel,
    images: Images,
    prompt: str | Sequence[str] | None,
    steering: RowEdit | Sequence[RowEdit],
    inputs: Inputs,
) -> tuple[list[Request], list[RowEdit]]:
    """Samples and steerings, each repeated to fit the other."""
    requests, rows = model.samples(images, prompt, inputs), as_rows(steering)
    if len(requests) == 1:
        requests = requests * len(rows)
    elif len(rows) == 1:
        rows = rows * len(requests)
    if len(requests) != len(rows):
        raise ValueError(
            f"{len(rows)} steerings do not fit {len(requests)} samples: give one of either, or as many of each."
        )
    return requests, rows


def _warn_unlike(model: ProbeModel, requests: Sequence[Request], rows: Sequence[RowEdit]) -> None:
    """Warn of images that are unlike those which the vectors were made with."""
    steered = [
        (request.images[0], part.vectors)
        for request, row in zip(requests, rows, strict=True)
        if row is not None and len(request.images) == 1
        for part in row.parts
        if part.kind == "concept" and part.strength
    ]
    for note in dict.fromkeys(unlike_note(model, vectors, image) for image, vectors in steered):
        if note:
            warn_caller(note)


def _decodes_only(
    model: ProbeModel, requests: Sequence[Request], rows: Sequence[RowEdit], options: Mapping[str, object]
) -> bool:
    """Whether all rows share one prompt, are edited by a buffer, and are decoded greedily."""
    parts = [part for row in rows if row is not None for part in row.parts]
    return (
        all(request is requests[0] for request in requests)
        and not any(part.needs_editor for part in parts)
        and not model.hf.config.is_encoder_decoder
        and is_plain_greedy(model, options)
    )


def _checked(model: ProbeModel, prompt: object, max_new_tokens: object, options: Mapping[str, object]) -> int:
    """Check the arguments of ``generate`` that nothing else checks; ``max_new_tokens`` as an int."""
    require_model(model)
    if isinstance(prompt, (Steering, Composition)):
        raise ValueError(f"prompt: expected text; got a {type(prompt).__name__}: pass it as steering=.")
    unknown = sorted(options.keys() - _known_options(model)) if options else []
    if unknown:
        raise ValueError(
            f"generate has no option '{unknown[0]}', and neither has hf.generate; options are those of "
            "transformers.GenerationConfig, such as do_sample=True, temperature=0.7 or num_beams=3."
        )
    for name, least in _COUNTS.items():
        if options.get(name) is not None:
            whole_number(name, options[name], least)
    temperature = options.get("temperature")
    if temperature is not None and finite_number("temperature", temperature) <= 0:
        raise ValueError(f"temperature: expected a number above 0; got {temperature}.")
    return whole_number("max_new_tokens", max_new_tokens, 1)


def _known_options(model: ProbeModel) -> set[str]:
    hf = model.hf.get_base_model() if hasattr(model.hf, "get_base_model") else model.hf
    taken = [set(signature(function).parameters) for function in (hf.generate, hf.prepare_inputs_for_generation)]
    return set(vars(GenerationConfig())) | set().union(*taken) | accepted_inputs(model.hf)


def _checked_prefix(model: ProbeModel, prefix: str | None) -> str | None:
    if prefix is None or prefix == "":
        return None
    answer_ids(model, prefix)
    return prefix


def _fed_back(encoded: Encoded, max_new_tokens: int) -> int:
    return encoded.length - encoded.prompt_length + max_new_tokens - 1


def _settings(model: ProbeModel, max_new_tokens: int, options: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {"do_sample": False, "pad_token_id": model.pad_token_id} | options
    if not settings["do_sample"]:
        settings = dict.fromkeys(_SAMPLING) | settings
    return settings | {"max_new_tokens": max_new_tokens, "return_dict_in_generate": True, "output_logits": True}
