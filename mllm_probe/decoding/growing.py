"""A cache layer that appends in place, so that a step does not copy all keys and values."""

from __future__ import annotations

from torch import Tensor
from transformers.cache_utils import DynamicLayer

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
        there = self.keys.shape[-2] if self.keys.numel() else 0
        if not there:
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        length = there + key_states.shape[-2]
        # `self.keys` is a view of the room only if nobody replaced it since (`reorder_cache`, `crop`): then the room
        # holds another's tokens. This test and `__copy__` keep forks apart. DynamicLayer concatenates instead, which
        # took 88 ms per tensor, layer and step at 144 rows.
        if self._room is None or self._room[0].shape[-2] < length or self.keys is not self._in_front:
            room = length + max(_ROOM, length // _ROOM_SHARE)
            self._room = _with_room(self.keys, room), _with_room(self.values, room)
        for whole, new in zip(self._room, (key_states, value_states), strict=True):
            whole[..., there:length, :] = new
        self.keys, self.values = (whole[..., :length, :] for whole in self._room)
        self._in_front = self.keys
        return self.keys, self.values


def _with_room(states: Tensor, tokens: int) -> Tensor:
    whole = states.new_empty((*states.shape[:-2], tokens, states.shape[-1]))
    whole[..., : states.shape[-2], :] = states
    return whole
