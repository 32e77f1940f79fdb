"""Batches of rows that decode from a shared prompt: their cache layers, feeding tokens, forking, selecting rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from transformers import DynamicCache
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

from mllm_probe.activations.hooks import before_backbone
from mllm_probe.decoding.attention import Prefix, sharing_attention
from mllm_probe.models.inputs import Encoded, append_tokens, continuation_positions, join_inputs
from mllm_probe.models.layout import cache_argument, family_of, forward_arguments, text_config
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import CallArguments

_ROOM = 16
_ROOM_SHARE = 8
"""Tokens preallocated at a time: at least this many, or an eighth of those present."""


class GrowingLayer(DynamicLayer):
    """Keys and values [rows, heads, tokens, width] at the start of preallocated, longer tensors.

    A shallow copy (``copy.copy``) has the same keys and values and allocates its own tensors at its first append, so
    that copies are independent. So does a layer whose keys were replaced (``reorder_cache``).
    """

    def __init__(self, keys: Tensor | None = None, values: Tensor | None = None) -> None:
        super().__init__()
        self._room: tuple[Tensor, Tensor] | None = None
        self._in_front: Tensor | None = None
        if keys is not None and values is not None:
            self.lazy_initialization(keys, values)
            self.keys, self.values = keys, values

    def __copy__(self) -> GrowingLayer:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._room = None
        return twin

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **named: object) -> tuple[Tensor, Tensor]:
        """Append the states of new tokens; all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        filled = self.keys.shape[-2] if self.keys.numel() else 0
        if not filled:
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        length = filled + key_states.shape[-2]
        # `self.keys` is a view of the room only if nobody replaced it since (`reorder_cache`, `crop`): then the room
        # holds another's tokens. This test and `__copy__` keep forks apart. DynamicLayer concatenates instead, which
        # took 88 ms per tensor, layer and step at 144 rows.
        if self._room is None or self._room[0].shape[-2] < length or self.keys is not self._in_front:
            room = length + max(_ROOM, length // _ROOM_SHARE)
            self._room = _with_room(self.keys, room), _with_room(self.values, room)
        for whole, new in zip(self._room, (key_states, value_states), strict=True):
            whole[..., filled:length, :] = new
        self.keys, self.values = (whole[..., :length, :] for whole in self._room)
        self._in_front = self.keys
        return self.keys, self.values


def _with_room(states: Tensor, tokens: int) -> Tensor:
    whole = states.new_empty((*states.shape[:-2], tokens, states.shape[-1]))
    whole[..., : states.shape[-2], :] = states
    return whole


class ImageLayer(DynamicLayer):
    """Keys and values of an image, which cross-attention reads from the layer and nothing is appended to."""


_COPIES_ARE_APART = (DynamicLayer, DynamicSlidingWindowLayer, GrowingLayer, ImageLayer)
"""Layers whose shallow copies are independent: they never write to memory that another layer reads."""


class PrefixLayer(GrowingLayer):
    """Keys and values of prompts, each stored once, and those of the rows.

    `prefixes`: keys and values [1, heads, tokens, width] of every prompt, all of one length. `owners`: for every row,
    the prompt that it follows.
    """

    def __init__(self, prefixes: Sequence[tuple[Tensor, Tensor]], owners: Sequence[int]) -> None:
        super().__init__()
        self.prefixes, self.owners = list(prefixes), list(owners)
        self.runs = _runs(self.prefixes, self.owners)

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **named: object) -> tuple[Tensor, Tensor]:
        """Append to the rows' own keys and values; the keys carry the prompts as a mark."""
        # Set on the tensor at each append, as views of a tensor do not inherit its attributes.
        keys, values = super().update(key_states, value_states, *args, **named)
        keys.prefixes = self.runs  # type: ignore[attr-defined]
        return keys, values

    @property
    def answer_tokens(self) -> int:
        """Tokens after the prompt."""
        return 0 if not self.is_initialized or self.keys is None or self.keys.numel() == 0 else self.keys.shape[-2]

    def get_seq_length(self) -> int:
        """Tokens of the prompt and after it."""
        return self.prefixes[0][0].shape[-2] + self.answer_tokens

    def select(self, index: Tensor) -> PrefixLayer:
        """Rows ``index`` as a layer of their own; the prompts are shared."""
        chosen = PrefixLayer(self.prefixes, [self.owners[i] for i in index.tolist()])
        if self.is_initialized:
            chosen.lazy_initialization(self.keys, self.values)
            chosen.keys, chosen.values = _rows_of(self, index)
        return chosen


def empty_cache(model: ProbeModel) -> DynamicCache:
    """A cache for a prompt, with the kinds of layers that the text model needs."""
    config = text_config(model.hf)
    cache = DynamicCache(config=config)
    for block in getattr(config, "cross_attention_layers", None) or ():
        cache.layers[block] = ImageLayer()
    return cache


def require_unshared_keys(model: ProbeModel) -> None:
    """Raise where blocks read keys and values of a block below, so that all must compute the same rows."""
    if getattr(text_config(model.hf), "num_kv_shared_layers", None):
        raise NotImplementedError("layers share keys and values, so that blocks cannot be left out.")


def share_rows(cache: Cache, rows: int, device: torch.device) -> Cache:
    """A cache for ``rows`` rows that continue the only row of ``cache``; full attention stores the prompt once."""
    index = torch.zeros(rows, dtype=torch.long, device=device)
    return map_layers(cache, lambda layer: share_layer(layer, index))


def expand_rows(cache: Cache, rows: int, device: torch.device) -> Cache:
    """An independent cache that repeats the only row; keys and values are views until a step appends to them."""
    index = torch.zeros(rows, dtype=torch.long, device=device)
    return map_layers(cache, lambda layer: _expanded_layer(layer, index))


def select_rows(cache: Cache, index: Tensor | None) -> Cache:
    """An independent cache with rows ``index`` (None: all).

    Layers that never write where another reads are shared; all others are copied.
    """
    return map_layers(cache, lambda layer: select_layer(layer, index))


def shares_prefix(cache: Cache) -> bool:
    """Whether some layer of a cache holds a prompt once for all rows."""
    return any(isinstance(layer, PrefixLayer) for layer in getattr(cache, "layers", ()))


def cache_bytes(cache: Cache) -> int:
    """Memory of the tensors that a cache holds."""
    states = [vars(layer) for layer in getattr(cache, "layers", ())]
    # By address: rows and layers share a prompt's tensors, which count once.
    return sum({t.data_ptr(): t.nbytes for t in tree_leaves(states) if isinstance(t, Tensor)}.values())


def map_layers(cache: Cache, change: Callable[[CacheLayerMixin], CacheLayerMixin]) -> Cache:
    """A cache of changed layers, in order; a cache that has none is changed as a whole."""
    if not hasattr(cache, "layers"):
        return change(cache)
    chosen = copy.copy(cache)
    chosen.layers = [change(layer) for layer in cache.layers]
    return chosen


def cut_back(layer: CacheLayerMixin, tokens: int) -> CacheLayerMixin:
    """One layer without its last ``tokens``; what cross-attention reads of an image stays whole.

    Raises NotImplementedError, RuntimeError, ValueError if it does not hold the keys and values of every token.
    """
    if isinstance(layer, ImageLayer):
        return layer
    if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) or layer.get_seq_length() <= tokens:
        raise NotImplementedError(f"{type(layer).__name__} cannot be cut back by {tokens} tokens.")
    # `crop` rebinds the copy's keys and values. Transformers 5.24 refuses positive numbers (lengths to keep).
    chosen = copy.copy(layer)
    chosen.crop(-tokens)
    return chosen


def share_layer(layer: CacheLayerMixin, index: Tensor) -> CacheLayerMixin:
    """One layer with a single row, for as many rows as ``index`` has zeros; full attention keeps it once."""
    if type(layer) is not DynamicLayer or not layer.is_initialized:
        return _expanded_layer(layer, index)
    return PrefixLayer([(layer.keys, layer.values)], [0] * len(index))


def _expanded_layer(layer: CacheLayerMixin, index: Tensor) -> CacheLayerMixin:
    if type(layer) not in _COPIES_ARE_APART or not layer.is_initialized:
        return _copied(layer, index)
    chosen = copy.copy(layer)
    chosen.keys, chosen.values = (t.expand(len(index), *t.shape[1:]) for t in (layer.keys, layer.values))
    return chosen


def select_layer(layer: CacheLayerMixin, index: Tensor | None) -> CacheLayerMixin:
    """Rows ``index`` of one layer (None: all), independent of it."""
    if isinstance(layer, PrefixLayer) and index is not None:
        return layer.select(index)
    if not isinstance(layer, PrefixLayer) and (type(layer) not in _COPIES_ARE_APART or not layer.is_initialized):
        return _copied(layer, index)
    chosen = copy.copy(layer)
    if index is not None:
        chosen.keys, chosen.values = _rows_of(layer, index)
    return chosen


def _rows_of(layer: CacheLayerMixin, index: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of some rows."""
    rows = index.to(layer.keys.device)
    return layer.keys.index_select(0, rows), layer.values.index_select(0, rows)


def _copied(part: CacheLayerMixin, index: Tensor | None) -> CacheLayerMixin:
    # `batch_repeat_interleave` is missing on linear-attention and convolution layers; `reorder_cache` is on all of
    # them.
    whole = copy.deepcopy(part)
    if index is not None:
        whole.reorder_cache(index)
    return whole


def _runs(prefixes: Sequence[tuple[Tensor, Tensor]], owners: Sequence[int]) -> tuple[Prefix, ...]:
    """Neighbouring rows of one prompt together."""
    runs: list[Prefix] = []
    start = 0
    for row in range(1, len(owners) + 1):
        if row == len(owners) or owners[row] != owners[start]:
            runs.append(Prefix(start, row, *prefixes[owners[start]]))
            start = row
    return tuple(runs)


_LAST_COLUMN = ("cross_attention_mask", "image_attention_mask")


class CachedRows:
    """Rows that decode from a key-value cache with ids [rows, n], explicit positions and no pixels.

    `encoded`: the prompt, one row.
    `positions`: its position ids, see ``models.prompt_positions``.
    `cache`: for as many rows as ``logits`` has.
    `logits`: Tensor [rows, vocabulary].
    `fed`: tokens that follow the prompt already.
    `token_by_token`: feed several tokens as single steps, for layers whose state only advances so.
    """

    def __init__(
        self,
        model: ProbeModel,
        encoded: Encoded,
        positions: Tensor,
        cache: Cache,
        logits: Tensor,
        fed: int = 0,
        token_by_token: bool = False,
    ) -> None:
        self.model, self.encoded, self.positions = model, encoded, positions
        self.cache, self.logits, self.fed, self.token_by_token = cache, logits, fed, token_by_token

    def feed(self, tokens: Tensor) -> Tensor:
        """Feed tokens [rows, n], on the host or the device; the logits after each of them, [rows, n, vocabulary]."""
        width = 1 if self.token_by_token else max(tokens.shape[1], 1)
        pieces = [self._step(tokens[:, i : i + width]) for i in range(0, tokens.shape[1], width)]
        logits = torch.cat(pieces, 1) if pieces else self.logits[:, None][:, :0]
        if pieces:
            self.logits = logits[:, -1]
        return logits

    def _step(self, tokens: Tensor) -> Tensor:
        positions = continuation_positions(self.positions, self.fed, tokens.shape[1])
        logits = step(self.model, self.encoded, tokens, positions, self.cache)
        self.fed += tokens.shape[1]
        return logits

    def fork(self, rows: Sequence[int] | None = None) -> CachedRows:
        """The same point again for some of the rows, independent of this one."""
        # On the host, where layers that share prompts read it; a device would be waited for once per layer.
        index = None if rows is None else torch.as_tensor(list(rows), dtype=torch.long)
        logits = self.logits if index is None else self.logits.index_select(0, index.to(self.logits.device))
        cache = select_rows(self.cache, index)
        return CachedRows(self.model, self.encoded, self.positions, cache, logits, self.fed, self.token_by_token)


class RecomputedRows:
    """Rows that run the whole sequence, image included, at every step: exact for every family, and slow.

    `tensors`: the prompt, once per row. `logits`: Tensor [rows, vocabulary]. `fed` (Tensor [rows, n] int64): tokens
    that follow the prompt already.
    """

    def __init__(self, model: ProbeModel, encoded: Encoded, logits: Tensor, fed: Tensor) -> None:
        self.model, self.encoded, self.logits, self.fed = model, encoded, logits, fed

    def feed(self, tokens: Tensor) -> Tensor:
        """Feed tokens [rows, n], on the host or the device; the logits after each of them, [rows, n, vocabulary]."""
        self.fed = torch.cat([self.fed, tokens.to(self.fed.device)], 1)
        if not tokens.shape[1]:
            return self.logits[:, None][:, :0]
        logits = whole_forward(self.model, self.encoded, self.fed, tokens.shape[1])[:, -tokens.shape[1] :]
        self.logits = logits[:, -1]
        return logits

    def fork(self, rows: Sequence[int] | None = None) -> RecomputedRows:
        """The same point again for some of the rows, independent of this one."""
        index = list(range(len(self.logits))) if rows is None else list(rows)
        return RecomputedRows(self.model, self.encoded, self.logits[index], self.fed[index])


Rows: TypeAlias = CachedRows | RecomputedRows
"""Rows after the prompt and the tokens that were fed; ``logits`` [rows, vocabulary] predict the next token."""


def steps_know_sample(model: ProbeModel, encoded: Encoded) -> bool:
    """Whether each step takes inputs of the sample in addition to its cache."""
    return family_of(model.hf.config).image_each_step or any(name in encoded.tensors for name in _LAST_COLUMN)


def step(
    model: ProbeModel, encoded: Encoded, tokens: Tensor, positions: Tensor, cache: Cache, *, spread: bool = True
) -> Tensor:
    """One cached forward of ids [rows, n] at positions [1, n] or [axes, 1, n]; logits [rows, n, vocabulary].

    ``spread`` gives the model the positions of every row; otherwise those of one row are broadcast.
    """
    caller, rows, family = model.layout.caller, tokens.shape[0], family_of(model.hf.config)
    arguments: dict[str, Any] = {"input_ids": tokens.to(model.device), **cache_argument(caller, cache)}
    if "position_ids" in forward_arguments(caller):
        if spread or family.positions_from_ids:
            # Contiguous: `.view`, which a family may call on position ids, refuses an expanded tensor.
            positions = positions.expand(*positions.shape[:-2], rows, positions.shape[-1]).contiguous()
        arguments["position_ids"] = positions
    if family.image_each_step:
        image = encoded.tensors[family.encoded_image]
        arguments[family.encoded_image] = image.expand(rows, *image.shape[1:])
    for name in _LAST_COLUMN:
        if name in encoded.tensors:
            last = encoded.tensors[name][:, encoded.prompt_length - 1 :][:, :1]
            arguments[name] = last.expand(rows, tokens.shape[1], *last.shape[2:])
    # No `attention_mask`: with one new token, one of the full length crashes families with M-RoPE; None is causal.
    with sharing_attention(model) if shares_prefix(cache) else nullcontext():
        return caller(**arguments).logits


def whole_forward(model: ProbeModel, encoded: Encoded, following: Tensor, last: int | None = None) -> Tensor:
    """Forward of prompt, image and ``following`` [rows, n] without a cache; logits [rows, tokens, vocabulary].

    `last`: how many of the last positions get logits; all by default.
    """
    rows = following.shape[0]
    tensors = join_inputs([encoded.tensors] * rows, model.pad_token_id)
    if following.shape[1]:
        kind = family_of(model.hf.config).continuation_type
        tensors = append_tokens(tensors, following.tolist(), model.pad_token_id, kind)
    return model.hf(**tensors, use_cache=False, **logits_kept(model.hf, last)).logits


def logits_kept(module: nn.Module, last: int | None) -> dict[str, int]:
    """The argument that saves the logits of all but the last positions, where the module takes it."""
    return {"logits_to_keep": last} if last is not None and "logits_to_keep" in forward_arguments(module) else {}


class _ImageIsSeenError(Exception):
    """Raised where the text model is called with the image, to leave it."""


_PIXELS = ("pixel_values", "flattened_patches")


@torch.no_grad()
def with_images_encoded(model: ProbeModel, encoded: Encoded) -> Encoded:
    """A sample whose pixels are replaced by the vision tower's features, for families that need an image at each step.

    `encoded`: one sample. Returns the same where the family decodes without its image (nearly all do), and where there
    is none.
    """
    name = family_of(model.hf.config).encoded_image
    pixels = next((n for n in _PIXELS if n in encoded.tensors), None)
    if not name or pixels is None:
        return encoded
    tensors = {n: value for n, value in encoded.tensors.items() if n != pixels}
    by_step = family_of(model.hf.config).image_each_step
    image = _images(model, encoded.tensors[pixels]) if by_step else _given_to_text(model, encoded, name)
    return replace(encoded, tensors=tensors | {name: image})


def _images(model: ProbeModel, pixels: Tensor) -> Tensor:
    """Output of the vision tower [rows, images, patches, width] for pixels [rows, images, channels, height, width]."""
    tower: Any = model.layout.vision_tower
    features: Tensor = tower(pixel_values=pixels.flatten(0, 1).to(model.dtype)).last_hidden_state
    return features.unflatten(0, pixels.shape[:2])


def _given_to_text(model: ProbeModel, encoded: Encoded, name: str) -> Tensor:
    """Image features as the text model is given them, [rows, image tokens, width]."""
    features: list[Tensor] = []

    def note(_: tuple[object, ...], named: CallArguments) -> None:
        features.append(named[name])
        raise _ImageIsSeenError

    with before_backbone(model, note), suppress(_ImageIsSeenError):
        model.hf(**encoded.tensors, use_cache=False)
    return features[0]
