"""What the rows of a sweep share per image: the picture, encoded once, and as much of the prompt as can be."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mllm_probe.activations.hooks import attached, before_backbone
from mllm_probe.models.inputs import PER_TOKEN, Encoded
from mllm_probe.models.layout import text_config
from mllm_probe.models.positions import prompt_positions
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps.rows import (
    CachedRows,
    RecomputedRows,
    Rows,
    cache_bytes,
    expand_rows,
    logits_kept,
    step,
    whole_forward,
)


class Shared:
    """What all rows of one image share.

    Parameters
    ----------
    model : ProbeModel
    encoded : Encoded
        One sample: picture and prompt.
    one_by_one : bool
        Whether rows must take several tokens as single steps.

    Attributes
    ----------
    path : str
        Name of the way, for attributes.
    nbytes : int
        Memory it holds on the device.
    """

    path = ""

    def __init__(self, model: ProbeModel, encoded: Encoded, one_by_one: bool = False) -> None:
        self.model, self.encoded, self.one_by_one = model, encoded, one_by_one
        self.positions = prompt_positions(model, encoded)
        self.unedited: dict[int, Tensor] = {}
        self.nbytes = sum(t.numel() * t.element_size() for t in encoded.tensors.values())

    def _take_positions(self, named: Mapping[str, Any]) -> None:
        """Use the positions that the text model was given, where they have one axis: some families count from 1."""
        given = named.get("position_ids")
        if isinstance(given, Tensor) and given.ndim == 2 and self.positions.ndim == 2:
            missing = self.positions.shape[1] - given.shape[1]
            following = given[:1, -1:] + torch.arange(1, missing + 1, device=given.device)
            self.positions = torch.cat([given[:1], following], 1)

    def start(self, rows: int) -> Rows:
        """``rows`` rows at the end of the prompt; edits of hooks that are attached apply to what is computed here."""
        raise NotImplementedError


class SharedPrefix(Shared):
    """One prefill of the prompt without its last token; for edits that touch nothing before that token.

    ``read_layers`` names the blocks whose output on the prefix is kept in ``unedited``, [1, tokens, width] each.
    """

    path = "shared prefix"

    def __init__(
        self, model: ProbeModel, encoded: Encoded, one_by_one: bool = False, read_layers: Iterable[int] = ()
    ) -> None:
        super().__init__(model, encoded, one_by_one)
        self.cache = DynamicCache(config=text_config(model.hf))
        layers = list(read_layers)

        def keep(layer: int, hidden: Tensor) -> None:
            self.unedited[layer] = hidden

        with attached(model, keep if layers else None, layers=layers or None), before_backbone(model, self._note):
            model.hf(**_without_last(encoded), past_key_values=self.cache, use_cache=True, **logits_kept(model, 1))
        self.nbytes = cache_bytes(self.cache) + sum(h.numel() * h.element_size() for h in self.unedited.values())

    def _note(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._take_positions(named)

    def start(self, rows: int) -> CachedRows:
        """Run the last prompt token as ``rows`` rows."""
        model, encoded = self.model, self.encoded
        cache = expand_rows(self.cache, rows, model.device)
        tokens = encoded.tensors["input_ids"][:, -1:].expand(rows, 1)
        logits = step(model, encoded, tokens, self.positions[..., -1:], cache)[:, -1]
        return CachedRows(model, encoded, self.positions, cache, logits, 0, self.one_by_one)


class Replay(Shared):
    """The text model's call is kept (picture encoded once) and replayed with as many rows as are wanted."""

    path = "replayed text model"

    def __init__(self, model: ProbeModel, encoded: Encoded, one_by_one: bool = False) -> None:
        super().__init__(model, encoded, one_by_one)
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

        def keep(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls.append((arguments, dict(named)))

        with before_backbone(model, keep):
            model.hf(**encoded.tensors, use_cache=False, **logits_kept(model, 1))
        if len(calls) != 1:
            raise ValueError(f"the text model was called {len(calls)} times in one forward, so it cannot be replayed.")
        self.arguments, self.named = calls[0]
        self._take_positions(self.named)
        self.nbytes = _bytes_of([self.arguments, self.named])

    def start(self, rows: int) -> CachedRows:
        """Run the whole prompt as ``rows`` rows through the text model."""
        model, encoded = self.model, self.encoded
        cache = DynamicCache(config=text_config(model.hf))

        def replay(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            kept = {name: _repeated(name, value, rows) for name, value in self.named.items()}
            changed = {"past_key_values": cache, "use_cache": True}
            given = tuple(_repeated("", value, rows) for value in self.arguments)
            return given, kept | {name: value for name, value in changed.items() if name in named or name in kept}

        with before_backbone(model, replay):
            logits = model.hf(
                **self._outer(rows), past_key_values=cache, use_cache=True, **logits_kept(model, 1)
            ).logits
        return CachedRows(model, encoded, self.positions, cache, logits[:, -1], 0, self.one_by_one)

    def _outer(self, rows: int) -> dict[str, Tensor]:
        """Arguments of the whole model's call without the picture."""
        accepted = inspect.signature(self.model.hf.forward).parameters
        outer = {n: _repeated(n, v, rows) for n, v in self.encoded.tensors.items() if n in PER_TOKEN}
        if "position_ids" in accepted:
            outer["position_ids"] = _repeated("position_ids", self.positions, rows)
        return outer


class WholeForwards(Shared):
    """Nothing is shared: every row runs picture and prompt, at every step. The reference, exact for every family."""

    path = "whole forwards"

    def start(self, rows: int) -> RecomputedRows:
        """Run picture and prompt ``rows`` times."""
        none = torch.zeros(rows, 0, dtype=torch.long, device=self.model.device)
        logits = whole_forward(self.model, self.encoded, none, last=1)[:, -1]
        return RecomputedRows(self.model, self.encoded, logits, none)


def _without_last(encoded: Encoded) -> dict[str, Tensor]:
    return {name: value[:, :-1] if name in PER_TOKEN else value for name, value in encoded.tensors.items()}


def _repeated(name: str, value: Any, rows: int) -> Any:
    """An argument of the text model's call with one row, for ``rows`` rows."""
    if isinstance(value, Tensor):
        if name == "position_ids" and value.ndim == 3:
            return value.expand(value.shape[0], rows, value.shape[2])
        return value.expand(rows, *value.shape[1:]) if value.ndim and value.shape[0] == 1 else value
    if isinstance(value, Mapping):
        return {key: _repeated(str(key), item, rows) for key, item in value.items()}
    if name == "deepstack_visual_embeds" and value is not None:
        return [item.repeat(rows, 1) for item in value]
    if isinstance(value, (list, tuple)):
        return type(value)(_repeated(name, item, rows) for item in value)
    return value


def _bytes_of(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(map(_bytes_of, value.values()))
    return sum(map(_bytes_of, value)) if isinstance(value, (list, tuple)) else 0
