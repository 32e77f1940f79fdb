"""Hooks on decoder blocks, the only place that registers any: reading, editing and replacing the residual stream."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mllm_probe import schema
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.argument_checks import listed
from mllm_probe.models.layout import forward_arguments, why_no_image_tokens
from mllm_probe.typing import Edits, Layers

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel


OnBlock = Callable[[int, torch.Tensor], "torch.Tensor | None"]
OnOthers = Callable[[int, str, Any], Any]
OnCall = Callable[[dict[str, Any]], None]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
OnArguments = Callable[[tuple[Any, ...], dict[str, Any]], "Arguments | None"]

_INPUT_NAMES = ("hidden_states", "x", "inputs")


@contextmanager
def attached(
    model: ProbeModel,
    on_block: OnBlock | None = None,
    *,
    layers: Iterable[int | str] | None = None,
    on_call: OnCall | None = None,
    traceable: bool = False,
    first: bool = False,
) -> Iterator[None]:
    """Call back at the output of decoder blocks, and before every forward of the model, while the ``with`` block runs.

    `model`: the model whose ``layout`` names the blocks and the module that is called once per step.
    `on_block`: ``on_block(layer, hidden)`` with ``hidden`` [rows, tokens, width] on the block's device. What it returns
        replaces the block's output; None leaves the output as it is.
    `layers`: blocks to attach to, -1 is the last; None is every block. ``"input"`` is the input of block 0, where
        ``on_block`` is called with layer ``schema.INPUT``.
    `on_call`: ``on_call(arguments)`` with the call's arguments by name (``input_ids``, ``attention_mask``, the cache
        …), before anything is computed.
    `traceable`: bare hooks that ``torch.compile`` can inline: they answer the calls of every thread, so that they are
        for code that holds ``model.lock`` as long as they are there. Without ``on_call``, which is never traced.
    `first`: go before the attachments that are there already, so that these see what ``on_block`` returns.

    Raises ValueError if a layer does not exist, or one module serves as several blocks.

    Only calls made by the thread that entered are seen (except ``traceable``), so that two threads never edit each
    other's rows. Several attachments apply in the order of entering: a later one sees what an earlier one returned.
    Everything is removed on leaving, whatever was raised.
    """
    layout, thread = model.layout, None if traceable else threading.get_ident()
    _refuse_shared_blocks(layout.blocks)
    if traceable and on_call is not None:
        raise ValueError("attached: on_call reads the arguments of a call, which cannot be traced; leave one out.")
    with ExitStack() as stack:
        if on_call is not None:
            _before(stack, layout.caller, _CallHook(on_call, layout.caller, thread))
        if on_block is not None:
            for layer in resolve_layers(layers, len(layout.blocks)):
                if layer == schema.INPUT:
                    entry = _InputHook(on_block, layer, layout.stream_index, thread)
                    _before(stack, layout.blocks[0], entry, first=first)
                else:
                    hook = _OutputHook(on_block, layer, layout.stream_index, thread)
                    _removed_by(stack, layout.blocks[layer], hook)
                    layout.blocks[layer].register_forward_hook(hook, prepend=first)
        yield


@contextmanager
def before_block(
    model: ProbeModel, on_input: OnBlock, *, layers: Iterable[int] | None = None, on_others: OnOthers | None = None
) -> Iterator[None]:
    """Call back at the **input** of decoder blocks while the ``with`` block runs.

    `on_input`: ``on_input(layer, hidden)`` with ``hidden`` [rows, tokens, width]; what it returns replaces the input,
    None leaves it. `layers`: blocks to attach to, -1 is the last; None is every block. `on_others`: ``on_others(layer,
    name, value)`` for every other argument of the block, ``name`` empty where it has none; what it returns is given to
    the block.

    Threads, order and removal are those of :func:`attached`. A block's input is the output of the block below
    except where the model adds something in between (DeepStack's visual features).
    """
    layout, thread = model.layout, threading.get_ident()
    _refuse_shared_blocks(layout.blocks)
    with ExitStack() as stack:
        for layer in resolve_blocks(layers, len(layout.blocks), "before_block names blocks whose input is meant"):
            _before(stack, layout.blocks[layer], _InputHook(on_input, layer, layout.stream_index, thread, on_others))
        yield


@contextmanager
def before_backbone(model: ProbeModel, on_arguments: OnArguments) -> Iterator[None]:
    """Call back with the arguments of the text model's call while the ``with`` block runs, to keep or to change them.

    `on_arguments`: ``on_arguments(positional, named)`` before ``layout.backbone`` runs; returns what it is to be called
    with, or None to leave it.

    Threads, order and removal are those of :func:`attached`.
    """
    hook = _ArgumentsHook(on_arguments, threading.get_ident())
    with ExitStack() as stack:
        _before(stack, model.layout.backbone, hook)
        yield


def _before(stack: ExitStack, module: nn.Module, hook: _Hook, *, first: bool = False) -> None:
    """Put a hook before a module, which the stack takes away."""
    _removed_by(stack, module, hook)
    module.register_forward_pre_hook(hook, with_kwargs=True, prepend=first)  # type: ignore[arg-type]


def _removed_by(stack: ExitStack, module: nn.Module, hook: _Hook) -> None:
    """Have the stack take a hook away that is put on a module next.

    Ctrl-C may come between any two steps of Python: before registering there is no handle, and after it the handle may
    be lost, so that the hook is found by itself. Twice, as Ctrl-C may also end the first of them.
    """
    stack.callback(_remove, module, hook)
    stack.callback(_remove, module, hook)


def _remove(module: nn.Module, hook: _Hook) -> None:
    # PyTorch keeps the flags of a hook in tables of their own, by the number that RemovableHandle holds; there is no
    # public way to remove a hook without its handle.
    tables = (module._forward_hooks, module._forward_pre_hooks)
    others = (
        module._forward_pre_hooks_with_kwargs,
        module._forward_hooks_with_kwargs,
        module._forward_hooks_always_called,
    )
    for number in [number for table in tables for number, registered in table.items() if registered is hook]:
        for table in (*others, *tables):
            table.pop(number, None)


def callbacks(model: ProbeModel) -> list[tuple[int, Any]]:
    """Callbacks of the hooks on a model, in the order of its modules: equal lists mean equal hooks."""
    modules = (*model.hf.modules(), *model.layout.blocks, model.layout.caller)
    tables = ((i, table) for i, m in enumerate(modules) for table in (m._forward_hooks, m._forward_pre_hooks))
    return [(i, getattr(hook, "callback", hook)) for i, table in tables for hook in table.values()]


def listed_layers(layers: Layers | None, total: int) -> list[int | str]:
    """Numbers in a ``layers=`` argument as given: all for ``"all"`` or None, those of a slice, one or several.

    ``"input"`` stays as it is.

    Raises ValueError if it is none of these, or empty.
    """
    if layers is None or (isinstance(layers, str) and layers == "all"):
        return list(range(total))
    if isinstance(layers, slice):
        given: list[Any] | None = list(range(total))[layers]
    elif isinstance(layers, str) and layers == schema.INPUT_NAME:
        given = [layers]
    else:
        several = list(layers) if isinstance(layers, Mapping) else listed(layers)
        given = [layers] if several is None else several
    if not given or not all(_names_a_layer(layer) for layer in given):
        raise ValueError(
            f"layers: expected 'all', a number or a list of numbers (or a slice), or 'input' for what enters block 0: "
            f"one or more different blocks of {total}; got {layers!r}."
        )
    return [schema.INPUT_NAME if isinstance(layer, str) else int(layer) for layer in given]


def _names_a_layer(value: object) -> bool:
    if isinstance(value, str):
        return value == schema.INPUT_NAME
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def resolve_layers(layers: Layers | None, total: int) -> list[int]:
    """Coordinates of the layers that ``"all"``, None, one number, several or a slice name: 0 … total - 1.

    Negative numbers count from the end. ``"input"`` gives ``schema.INPUT``, which is -1: what is resolved is not to be
    resolved again, but to be named by :func:`mllm_probe.schema.layer_names` first.

    Raises ValueError if there is no such block, a number comes twice, or none is given.
    """
    asked = listed_layers(layers, total)
    wrong = [layer for layer in asked if not isinstance(layer, str) and not -total <= layer < total]
    if wrong:
        raise ValueError(
            f"no layer {wrong[0]}: the model has {total} blocks, numbered 0 … {total - 1} (-1 is the last)."
        )
    numbers = [schema.INPUT if isinstance(layer, str) else layer % total for layer in asked]
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"layers: expected one or more different blocks, got {asked} of a model with {total} blocks.")
    return numbers


def resolve_blocks(layers: Layers | None, total: int, why: str) -> list[int]:
    """As `resolve_layers`, for what takes blocks alone; ``why`` is the reason in the error for ``"input"``."""
    numbers = resolve_layers(layers, total)
    if schema.INPUT in numbers:
        raise ValueError(f"layers: expected blocks 0 … {total - 1}; got 'input', the input of block 0: {why}.")
    return numbers


class _Hook:
    """A callable of this library on a module; keeps the thread whose calls it answers, None for those of all."""

    def __init__(self, thread: int | None) -> None:
        self.thread = thread

    def foreign(self) -> bool:
        return self.thread is not None and threading.get_ident() != self.thread


class _OutputHook(_Hook):
    def __init__(self, callback: OnBlock, layer: int, stream: int | None, thread: int | None) -> None:
        super().__init__(thread)
        self.callback, self.layer, self.stream = callback, layer, stream

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
        if self.foreign():
            return None
        whole = output[0] if isinstance(output, (tuple, list)) else output
        changed = _through_stream(self.callback, self.layer, whole, self.stream)
        if changed is None:
            return None
        return type(output)((changed, *output[1:])) if isinstance(output, (tuple, list)) else changed


class _InputHook(_Hook):
    def __init__(
        self, callback: OnBlock, layer: int, stream: int | None, thread: int | None, on_others: OnOthers | None = None
    ) -> None:
        super().__init__(thread)
        self.callback, self.layer, self.stream, self.on_others = callback, layer, stream, on_others

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self.foreign():
            return None
        name = None if arguments else next((n for n in _INPUT_NAMES if n in named), None)
        if not arguments and name is None:
            raise RuntimeError(
                f"block {max(self.layer, 0)} ({type(module).__name__}) takes none of {', '.join(_INPUT_NAMES)}; "
                f"it was called with {', '.join(named)}."
            )
        # Families pass the stream by position or by one of three names; what comes back has to go the same way in.
        whole = arguments[0] if name is None else named[name]
        changed = _through_stream(self.callback, self.layer, whole, self.stream)
        if self.on_others is not None:
            changed = whole if changed is None else changed
            arguments = (*arguments[:1], *(self.on_others(self.layer, "", value) for value in arguments[1:]))
            named = {n: value if n == name else self.on_others(self.layer, n, value) for n, value in named.items()}
        if changed is None:
            return None
        return ((changed, *arguments[1:]), named) if name is None else (arguments, {**named, name: changed})


class _CallHook(_Hook):
    def __init__(self, callback: OnCall, caller: nn.Module, thread: int | None) -> None:
        super().__init__(thread)
        self.callback, self.signature = callback, inspect.signature(caller.forward)

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not self.foreign():
            self.callback(self.named(arguments, named))

    def named(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        if not arguments:
            return dict(named)
        bound = dict(self.signature.bind_partial(*arguments, **named).arguments)
        rest = [p.name for p in self.signature.parameters.values() if p.kind is p.VAR_KEYWORD]
        for name in rest:
            bound.update(bound.pop(name, {}))
        return bound


class _ArgumentsHook(_Hook):
    def __init__(self, callback: OnArguments, thread: int) -> None:
        super().__init__(thread)
        self.callback = callback

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Arguments | None:
        return None if self.foreign() else self.callback(arguments, named)


def _through_stream(callback: OnBlock, layer: int, whole: torch.Tensor, stream: int | None) -> torch.Tensor | None:
    """Call back with [rows, tokens, width]; put the result back into the parallel streams where there are some."""
    if stream is None:
        return callback(layer, whole)
    changed = callback(layer, whole[stream])
    if changed is None:
        return None
    # The block's own output may be kept by the model or by another hook, so it is never changed in place.
    whole = whole.clone()
    whole[stream] = changed
    return whole


def _refuse_shared_blocks(blocks: tuple[nn.Module, ...]) -> None:
    if len({id(block) for block in blocks}) != len(blocks):
        raise ValueError(
            "one module serves as several decoder blocks, so a hook could not tell them apart; "
            "this kind of weight sharing is not supported."
        )


Compute = Callable[..., Any]


@contextmanager
def replaced_blocks(model: ProbeModel, computes: Mapping[int, Compute]) -> Iterator[None]:
    """Compute the output of decoder blocks by other functions while the ``with`` block runs.

    `computes`: for every block that is replaced, ``compute(plain, *arguments, **named)``: ``plain`` is what the block
    ran before, the rest are the arguments of its call. What it returns must look like the block's own output; hooks on
    the block see it as they would see that one. Raises NotImplementedError if a block was compiled, so that what it
    runs is fixed.

    Calls by other threads than the one that entered run the block itself. Everything is put back on leaving, whatever
    was raised, also what accelerate had put in the place of a block's forward.
    """
    thread = threading.get_ident()
    with ExitStack() as stack:
        for layer, compute in computes.items():
            block = model.layout.blocks[layer]
            # `nn.Module.compile()` makes `__call__` run the compiled code, which never looks at `forward` again.
            if getattr(block, "_compiled_call_impl", None) is not None:
                raise NotImplementedError(f"block {layer} of {model.name} was compiled, so it cannot be left out.")
            for _ in range(2):  # Ctrl-C may end the first of them
                stack.callback(_put_back, block, block.__dict__.get("forward"))
            block.forward = _replacement(compute, block.forward, thread)
        yield


def _replacement(compute: Compute, plain: Compute, thread: int) -> Compute:
    @functools.wraps(plain)
    def forward(*arguments: Any, **named: Any) -> Any:
        if threading.get_ident() != thread:
            return plain(*arguments, **named)
        return compute(plain, *arguments, **named)

    return forward


def _put_back(block: nn.Module, forward: Compute | None) -> None:
    if forward is None:
        block.__dict__.pop("forward", None)
    else:
        block.forward = forward


@singledispatch
def editing(steering: object, model: ProbeModel, encoded: Encoded) -> AbstractContextManager[Any]:
    """Context manager: forwards of ``model`` on ``encoded`` are edited while it is open.

    `steering`: ``mllm_probe.steering`` registers Steering, Composition, None, and a list or tuple of these with one per
    row. `encoded`: the batch that is fed in the block. Returns: gives the receipt of the run. Raises ValueError if
    nothing is registered for the type of ``steering``.
    """
    raise ValueError(
        "steering: expected a Steering, a Composition, None, or a list of these with one per row; got "
        f"{type(steering).__name__}. Make one with mp.Steering(vectors.sel(concept=...), layers=[...])."
    )


def require_single_edit(steering: object) -> None:
    """Raise a ValueError unless ``steering`` is one edit for all samples, of a type that :func:`editing` takes."""
    # Rows of a list are lines of one batch, but samples are read in batches of a size that is planned: refused here.
    if isinstance(steering, (list, tuple)) or editing.dispatch(type(steering)) is editing.dispatch(object):
        raise ValueError(
            "steering: expected a Steering, a Composition of several (mp.compose) or None, for all samples; got "
            f"{type(steering).__name__}."
        )


@contextmanager
def text_embeddings_of_generated_images(model: ProbeModel, encoded: Encoded) -> Iterator[dict[str, torch.Tensor]]:
    """Tensors of a pass that embeds image tokens of the continuation as token-by-token decoding does.

    Step by step such a token is embedded like any other. In one pass over prompt and continuation the model would
    look for an image's features to put there: it gets another token id there, and the text model the right embedding.

    Yields: ``encoded.tensors``, without image tokens after the prompt.
    """
    image = model.layout.image_token_id
    if image is None or why_no_image_tokens(model.hf.config) or encoded.length == encoded.prompt_length:
        yield encoded.tensors
        return
    ids = encoded.sequence
    generated = ids == image
    generated[:, : encoded.prompt_length] = False
    if not generated.any():
        yield encoded.tensors
        return

    def put_back(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        embedded = named.get("inputs_embeds")
        if embedded is None:
            raise RuntimeError(
                f"the text model of {model.name} takes no inputs_embeds, so an image token in the continuation cannot "
                "be distinguished from one of an image; leave it out of the continuation."
            )
        # Embedded here and not looked up among the ids: the id that stands in for it below could be any other token's.
        token = model.hf.get_input_embeddings()(ids.new_full((1, 1), image)).to(embedded)
        marked = generated[..., None].to(embedded.device)
        return arguments, {**named, "inputs_embeds": torch.where(marked, token, embedded)}

    with before_backbone(model, put_back):
        yield {**encoded.tensors, "input_ids": ids.masked_fill(generated, 1 if image == 0 else 0)}


class _EnoughError(Exception):
    """Raised by the hook of the last block needed, to leave the forward pass."""


def run_forward(
    model: ProbeModel,
    encoded: Encoded,
    on_hidden: Callable[[int, torch.Tensor], None],
    layers: list[int],
    *,
    steering: Edits | None = None,
) -> None:
    """Run one batch and call ``on_hidden(layer, hidden [rows, tokens, width])`` for each of ``layers``.

    Layers are coordinates: ``schema.INPUT`` is the input of block 0. Without steering the pass ends at the last of
    them: the blocks above it and the head are not computed. With steering it runs to its end, so that receipts are
    complete; the head then reads one position where the family's forward takes ``logits_to_keep``.
    """
    last = max(layers) if steering is None and not _managed(model) else None

    def hook(layer: int, hidden: torch.Tensor) -> None:
        if hidden.ndim != 3 or tuple(hidden.shape[:2]) != (encoded.rows, encoded.length):
            raise RuntimeError(
                f"{schema.site_name(layer)} of {model.name} ({model.family}) has {tuple(hidden.shape)}, expected "
                f"[{encoded.rows}, {encoded.length}, width]: its positions are not those of the prompt, "
                "so they cannot be labelled."
            )
        on_hidden(layer, hidden)
        # Leaving by an exception is the only way to skip the blocks above: hooks cannot end a forward pass otherwise.
        if layer == last:
            raise _EnoughError

    edits = nullcontext() if steering is None else editing(steering, model, encoded)
    reading = attached(model, hook, layers=schema.layer_names(layers))
    inputs = text_embeddings_of_generated_images(model, encoded)
    with model.lock.held(), torch.no_grad(), edits, reading, inputs as tensors, suppress(_EnoughError):
        model.hf(**{**_economies(model), **tensors})


def _economies(model: ProbeModel) -> dict[str, Any]:
    """Arguments that avoid a cache and unused logits, where the model takes them."""
    accepted = forward_arguments(model.hf)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    saved: dict[str, Any] = {"use_cache": False} if "use_cache" in accepted or takes_any else {}
    return saved | ({"logits_to_keep": 1} if "logits_to_keep" in accepted else {})


def _managed(model: ProbeModel) -> bool:
    """True if accelerate moves weights around modules: a pass that is left early would not move them back."""
    return any(hasattr(module, "_hf_hook") for module in model.hf.modules())
