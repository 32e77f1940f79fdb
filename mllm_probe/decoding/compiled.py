"""A decode step of fixed shapes, which is compiled or captured as a CUDA graph once and replayed for every token.

The prompt's keys and values are stored once, those of the rows in tensors as long as the longest answer; masks select
the columns in use. Another prompt, other tokens and other edits (data, see ``steering.EditBuffer``) are
copies into the same tensors, so that nothing is compiled again and, on CUDA, one recorded graph is replayed.
"""

from __future__ import annotations

import itertools
import types
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mllm_probe.activations.hooks import callbacks
from mllm_probe.decoding.attention import UNKNOWN, attention_named, sharing_attention
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.models.inputs import continuation_positions
from mllm_probe.models.layout import cache_argument
from mllm_probe.models.probe_model import ProbeModel

Step = Callable[..., Tensor]
Replay = Callable[[], Tensor]
Record = Callable[[Step, tuple[Tensor, ...]], Replay]

_WARM_UP = 3


class Recorded:
    """A step that is recorded at its first call and replayed at later ones.

    `step`: from tensors that stay where they are, to one tensor; no value on the host may depend on them. `record`:
    ``record(step, inputs)`` runs the step some times and gives what replays it; ``record_cuda`` by default.

    A recording holds addresses: :meth:`watch` compares those of the tensors that hooks read and change.
    """

    def __init__(self, step: Step, record: Record | None = None) -> None:
        self.step, self.record = step, record_cuda if record is None else record
        self._replay: Replay | None = None
        self._changed: list[Tensor] = []
        self._key: Hashable = None

    def watch(self, tensors: Sequence[Tensor], key: Hashable = None) -> None:
        """Record again if the addresses of these tensors, or ``key``, have changed.

        `tensors`: which hooks read, or add up in; recording runs the step more than once and then puts them back.
        `key`: what else the step depends on.
        """
        seen = (key, tuple(tensor.data_ptr() for tensor in tensors))
        if seen != self._key:
            self._key, self._replay = seen, None
        self._changed = list(tensors)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The step's result, in a tensor that the next call overwrites."""
        if self._replay is None:
            # The warm-up runs the step, whose hooks add sizes of edits up in these tensors: receipts would count them.
            before = [tensor.clone() for tensor in self._changed]
            self._replay = self.record(self.step, inputs)
            for tensor, value in zip(self._changed, before, strict=True):
                tensor.copy_(value)
        return self._replay()


def record_cuda(step: Step, inputs: tuple[Tensor, ...]) -> Replay:
    """Warm a step up on a side stream, and record it; other threads may use the device meanwhile."""
    with torch.cuda.device(inputs[0].device):
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(_WARM_UP):
                step(*inputs)
        torch.cuda.current_stream().wait_stream(side_stream)
        graph: Any = torch.cuda.CUDAGraph()
        # "global" (the default) fails the capture where another thread, such as a widget's, uses the device meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = step(*inputs)

    def replay() -> Tensor:
        graph.replay()
        return output

    return replay


Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]

_ROOM = 64
"""Room for a prompt is a multiple of this."""
_NUMBERS = itertools.count()
_TAKES_PROMPT = ("cross_attention_mask", "image_attention_mask")


def cuda_graph(step: Callable[..., Any]) -> Recorded:
    """Compile a step, and replay it as a CUDA graph.

    The graph is recorded here and not by ``mode="reduce-overhead"``, whose graphs belong to one thread.
    """
    return Recorded(torch.compile(step, fullgraph=True, dynamic=False))


def default_compiler(model: ProbeModel) -> Compiler | None:
    """Default compiler of a decode step: CUDA graphs on CUDA, None on the CPU, where compiling does not pay."""
    return cuda_graph if model.device.type == "cuda" else None


class StaticDecoder:
    """Rows of one prompt after another, decoded by one step of fixed shapes.

    `shared`: the first prompt.
    `rows`: how many rows a step computes; fewer are filled up with copies of the last.
    `steps`: how many tokens a row may be fed, the last one of the prompt included.
    `compiler`: makes the compiled step; by default ``cuda_graph`` on CUDA, and on the CPU the step runs uncompiled.

    Raises NotImplementedError if the cache is not one of full attention layers, or attention is not dispatched by name.

    A compiled step holds the hooks that were on the model when it was compiled. If the hooks differ when rows
    start, the same step runs uncompiled and ``compiled`` is False. Exactness for a model is for the caller to check, as
    ``generation.Live`` does: with other attention than plain full attention, results differ. ``model.lock`` is held by
    the caller. Memory in addition to the shared prefix: the prompt once more, and rows × steps.
    """

    def __init__(
        self, model: ProbeModel, shared: SharedPrefix, rows: int, steps: int, compiler: Compiler | None = None
    ) -> None:
        _require_plain(shared)
        with sharing_attention(model):
            pass  # registers it now: a compiled step is compiled again when the list of attentions grows
        self.model, self.rows, self.steps = model, rows, steps
        compiler = default_compiler(model) if compiler is None else compiler
        self.tokens = torch.zeros(rows, 1, dtype=torch.long, device=model.device)
        self.state = _State(shared, rows, steps)
        self.name = f"static_prefix_{next(_NUMBERS)}"
        self._attends = self._attend
        self._compiled = None if compiler is None else compiler(_with_private_code(self._step))
        self._hooks: list[Any] | None = None
        self._owner: weakref.ref[StaticRows] | None = None
        self.compiled = False
        self.shared = shared
        self.load(shared)

    def load(self, shared: SharedPrefix) -> None:
        """Decode from another prompt of the same model; rows of the previous prompt end."""
        _require_plain(shared)
        if shared.cache.layers[0].keys.shape[2] > self.state.capacity:
            self.state = _State(shared, self.rows, self.steps)
        self._release()
        self.shared, self._owner = shared, None
        self.state.load(shared)

    def start(self, rows: int, tensors: Sequence[Tensor] = (), key: Hashable = None) -> StaticRows:
        """Run the last prompt token as ``rows`` rows.

        `tensors`: which hooks read or change. `key`: changes when the model does.
        """
        if not 0 < rows <= self.rows:
            raise ValueError(f"this decoder computes {self.rows} rows; got {rows}.")
        hooks = callbacks(self.model)
        if self._hooks is None:
            self._hooks = hooks
        self.compiled = self._compiled is not None and hooks == self._hooks
        if isinstance(self._compiled, Recorded):
            self._compiled.watch(tensors, (key, self.state.serial))
        self._release()
        self.state.filled = 0
        started = StaticRows(self, self.shared, rows)
        # Weak: rows that nobody holds any more need not be copied out when others take their place.
        self._owner = weakref.ref(started)
        token = self.shared.encoded.tensors["input_ids"][:, -1:].expand(rows, 1)
        started.logits = self.step(token, self.shared.positions[..., -1:])
        return started

    def restore(self, rows: StaticRows) -> None:
        """Put the keys and values of rows in place; those that were there are kept with theirs."""
        if rows.shared is not self.shared:
            raise RuntimeError("the decoder went on to another prompt, so these rows have ended.")
        if self._owner is None or self._owner() is not rows:
            self._release()
            assert rows.kept is not None
            self.state.put(rows.kept)
            self._owner, rows.kept = weakref.ref(rows), None

    def _release(self) -> None:
        """Give the rows that are in place their keys and values, if they still live."""
        owner = None if self._owner is None else self._owner()
        if owner is not None:
            owner.kept = self.state.taken()
        self._owner = None

    def step(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of the next token of every row.

        `tokens`: Tensor [rows, 1]. `positions`: Tensor [1, 1] or [axes, 1, 1].
        """
        count = len(tokens)
        if self.state.filled >= self.steps:
            raise ValueError(
                f"this decoder has room for {self.steps} tokens after the prompt, and all are in use: make one with "
                "more steps."
            )
        # Inputs are copied into tensors that a recorded graph reads by address; lines that no row uses repeat the last
        # row, so that they hold valid ids.
        self.tokens[:count].copy_(tokens)
        self.tokens[count:].copy_(tokens[-1:].expand(self.rows - count, 1))
        self.state.positions.copy_(positions.expand(self.state.positions.shape))
        self.state.at.fill_(self.state.filled)
        run = self._compiled if self.compiled and self._compiled is not None else self._step
        with _registered(self.name, self._attends), attention_named(self.model, lambda _: self.name):
            logits = run(self.tokens, self.state.positions)
        self.state.filled += 1
        # Cloned: the next replay of the graph overwrites its output.
        return logits[:count, -1].clone()

    def _step(self, tokens: Tensor, positions: Tensor) -> Tensor:
        caller = self.model.layout.caller
        return caller(input_ids=tokens, position_ids=positions, **cache_argument(caller, self.state.cache)).logits

    def _attend(
        self, module: Any, query: Tensor, key: Tensor, value: Tensor, mask: object, **named: Any
    ) -> tuple[Tensor, None]:
        if any(named.get(name) is not None for name in UNKNOWN) or named.get("sliding_window") is not None:
            raise NotImplementedError(f"attention of {type(module).__name__} is not plain full attention.")
        scale = named.get("scaling") or query.shape[-1] ** -0.5
        return self.state.attend(module.layer_idx, query, key, value, scale), None


Taken = tuple[list[Tensor], list[Tensor], int]


class _State:
    """Tensors with room for a prompt of ``capacity`` tokens and for the tokens of the rows."""

    def __init__(self, shared: SharedPrefix, rows: int, steps: int) -> None:
        layers = shared.cache.layers
        self.steps, self.filled, self.serial = steps, 0, next(_NUMBERS)
        self.capacity = -(-layers[0].keys.shape[2] // _ROOM) * _ROOM
        self.prefix = [[_room(t, 1, self.capacity) for t in (layer.keys, layer.values)] for layer in layers]
        self.answer = [[_room(t, rows, steps) for t in (layer.keys, layer.values)] for layer in layers]
        device = shared.model.device
        exact = torch.promote_types(layers[0].keys.dtype, torch.float32)
        self.hidden = torch.zeros(self.capacity, device=device, dtype=exact)
        self.at = torch.zeros(1, dtype=torch.long, device=device)
        self.columns = torch.arange(steps, device=device)
        shape = (*shared.positions.shape[:-2], rows, 1)
        self.positions = torch.zeros(shape, dtype=torch.long, device=device)
        self.cache = Cache(layers=[_Room(self.capacity, steps) for _ in layers])

    def load(self, shared: SharedPrefix) -> None:
        """Copy a prompt's keys and values; the unused columns after them are masked."""
        length = shared.cache.layers[0].keys.shape[2]
        for room, layer in zip(self.prefix, shared.cache.layers, strict=True):
            for into, states in zip(room, (layer.keys, layer.values), strict=True):
                # A masked column has weight 0, which does not undo a NaN or infinity that an earlier prompt left there.
                into.zero_()
                into[:, :, :length].copy_(states)
        self.hidden.fill_(-torch.inf)
        self.hidden[:length].zero_()
        self.at.zero_()
        self.filled = 0

    def taken(self) -> Taken:
        """Copies of the rows' own keys and values."""
        return [k.clone() for k, _ in self.answer], [v.clone() for _, v in self.answer], self.filled

    def put(self, taken: Taken) -> None:
        """Restore the rows' own keys and values."""
        for (keys, values), k, v in zip(self.answer, *taken[:2], strict=True):
            keys[: len(k)].copy_(k)
            values[: len(v)].copy_(v)
        self.filled = taken[2]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Add one token of every row, and attend to the prompt and to all that was added: [rows, 1, heads, width]."""
        (prompt_keys, prompt_values), (keys, values) = self.prefix[layer], self.answer[layer]
        # The column is a tensor, not a Python number: that would become a constant of the compiled step and of its CUDA
        # graph, and each step of the answer would be compiled again.
        keys.index_copy_(2, self.at, key)
        values.index_copy_(2, self.at, value)
        rows, heads, count, width = query.shape
        query = query.reshape(rows, keys.shape[1], -1, width)
        over_prompt = _folded(query, prompt_keys.transpose(-1, -2)).to(self.hidden.dtype) * scale + self.hidden
        # One softmax over prompt and own columns: exact without the merge by log-sum-exp that `attention._shared`
        # needs.
        later = torch.where(self.columns <= self.at, 0.0, -torch.inf)
        over_answer = (query @ keys.transpose(-1, -2)).to(self.hidden.dtype) * scale + later
        share = torch.softmax(torch.cat([over_prompt, over_answer], -1), -1).to(values.dtype)
        out = _folded(share[..., : self.capacity], prompt_values) + share[..., self.capacity :] @ values
        return out.reshape(rows, heads, count, -1).transpose(1, 2)


class _Room(CacheLayerMixin):
    """A layer of the cache that hands keys and values on to the attention, which keeps them."""

    is_compileable = True
    is_sliding = False

    def __init__(self, capacity: int, steps: int) -> None:
        super().__init__()
        self.length = capacity + steps
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the tensors belong to the decoder."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **named: object) -> tuple[Tensor, Tensor]:
        """Return the states unchanged; the attention stores them."""
        return key_states, value_states

    def get_seq_length(self) -> int:
        """A constant, because a changing length would compile the step again; position ids are passed explicitly."""
        return self.length - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Room of the whole sequence."""
        return self.length, 0

    def get_max_cache_shape(self) -> int:
        """Room of the whole sequence."""
        return self.length

    def get_max_length(self) -> int:
        """Room of the whole sequence, under the name of transformers 5.24."""
        return self.length


class StaticRows:
    """Rows of a :class:`StaticDecoder`; one token of every row is fed at a time.

    `shared`: the prompt. `kept`: keys and values while other rows are in place.
    """

    def __init__(self, decoder: StaticDecoder, shared: SharedPrefix, rows: int, kept: Taken | None = None) -> None:
        self.decoder, self.shared, self.kept, self.fed = decoder, shared, kept, 0
        self.logits = torch.empty(rows, 0, device=decoder.model.device)

    def feed(self, tokens: Tensor) -> Tensor:
        """Feed tokens [rows, n]; the logits after each of them, [rows, n, vocabulary]."""
        self.decoder.restore(self)
        logits = []
        for column in tokens.unbind(1):
            positions = continuation_positions(self.shared.positions, self.fed)
            logits.append(self.decoder.step(column[:, None], positions))
            self.fed += 1
        if not logits:
            return self.logits[:, None][:, :0]
        self.logits = logits[-1]
        return torch.stack(logits, 1)

    def fork(self, rows: Sequence[int] | None = None) -> StaticRows:
        """The same point again for some of the rows, independent of this one."""
        index = torch.arange(len(self.logits)) if rows is None else torch.as_tensor(list(rows), dtype=torch.long)
        keys, values, filled = self.kept or self.decoder.state.taken()
        index = index.to(self.logits.device)
        taken = [k[index.to(k.device)] for k in keys], [v[index.to(v.device)] for v in values], filled
        again = StaticRows(self.decoder, self.shared, len(index), taken)
        again.logits, again.fed = self.logits[index], self.fed
        return again


def _folded(query: Tensor, matrix: Tensor) -> Tensor:
    """Product of rows [rows, heads, n, k] with one matrix [1, heads, k, m] for all: [rows, heads, n, m]."""
    rows, heads, count, inner = query.shape
    flat = query.transpose(0, 1).reshape(heads, rows * count, inner) @ matrix[0]
    return flat.view(heads, rows, count, -1).transpose(0, 1)


def _room(like: Tensor, rows: int, columns: int) -> Tensor:
    return like.new_zeros(rows, like.shape[1], columns, like.shape[3])


def _require_plain(shared: SharedPrefix) -> None:
    layers = getattr(shared.cache, "layers", [])
    wrong = next((layer for layer in layers if type(layer) is not DynamicLayer or not layer.is_initialized), None)
    if not layers or wrong is not None:
        raise NotImplementedError(f"a cache with {type(wrong).__name__} has no fixed shapes here.")
    if any(name in shared.encoded.tensors for name in _TAKES_PROMPT):
        raise NotImplementedError("a step that takes masks of the image has no fixed shapes here.")


@contextmanager
def _registered(name: str, attend: Callable[..., Any]) -> Iterator[None]:
    """Register an attention function by name while the block runs; not longer, because the function holds a model."""
    ALL_ATTENTION_FUNCTIONS[name], ALL_MASK_ATTENTION_FUNCTIONS[name] = attend, _no_mask
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS[name], ALL_MASK_ATTENTION_FUNCTIONS[name]


def _no_mask(*_: object, **__: object) -> None:
    return None


def _with_private_code(step: Any) -> Callable[..., Any]:
    """A copy of a bound method with its own code object."""
    # torch.compile caches by code object and gives up after a few recompilations of one (recompile_limit), which
    # several decoders in one process would reach together.
    function = step.__func__
    copied = types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)
    return types.MethodType(copied, step.__self__)
