"""The text model's call, kept and replayed with many rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from mllm_probe.activations.hooks import before_backbone
from mllm_probe.decoding.arguments import bytes_of, repeated
from mllm_probe.decoding.cache_layers import empty_cache
from mllm_probe.decoding.rows import CachedRows, logits_kept
from mllm_probe.decoding.shared import NOTHING, Shared, UneditedPart
from mllm_probe.models.caches import CACHE_NAMES, cache_argument
from mllm_probe.models.forward_arguments import forward_arguments
from mllm_probe.models.inputs import PER_TOKEN, Encoded
from mllm_probe.models.probe_model import ProbeModel


class Replay(Shared):
    """The text model's call is kept (image encoded once) and replayed with as many rows as are wanted."""

    path = "replayed text model"

    def __init__(
        self, model: ProbeModel, encoded: Encoded, one_by_one: bool = False, read_layers: Iterable[int] = ()
    ) -> None:
        super().__init__(model, encoded, one_by_one)
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

        def keep(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls.append((arguments, dict(named)))

        with before_backbone(model, keep):
            model.hf(**encoded.tensors, use_cache=False, **logits_kept(model.hf, 1))
        if len(calls) != 1:
            raise ValueError(f"the text model was called {len(calls)} times in one forward, so it cannot be replayed.")
        self.arguments, self.named = calls[0]
        self._take_positions(self.named)
        self.nbytes = bytes_of([self.arguments, self.named])

    def start(self, rows: int, unedited_part: UneditedPart = NOTHING) -> CachedRows:
        """Run the whole prompt as ``rows`` rows through the text model."""
        model, encoded = self.model, self.encoded
        cache = empty_cache(model)

        def replay(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            expanded = {name: repeated(name, value, rows) for name, value in self.named.items()}
            changed = {**dict.fromkeys(CACHE_NAMES, cache), "use_cache": True}
            positional = tuple(repeated("", value, rows) for value in self.arguments)
            return positional, expanded | {
                name: value for name, value in changed.items() if name in named or name in expanded
            }

        with before_backbone(model, replay):
            logits = model.hf(**self._outer(rows), **cache_argument(model.hf, cache), **logits_kept(model.hf, 1)).logits
        return CachedRows(model, encoded, self.positions, cache, logits[:, -1], 0, self.one_by_one)

    def _outer(self, rows: int) -> dict[str, Tensor]:
        """Arguments of the whole model's call without the image."""
        outer = {n: repeated(n, v, rows) for n, v in self.encoded.tensors.items() if n in PER_TOKEN}
        if "position_ids" in forward_arguments(self.model.hf):
            outer["position_ids"] = repeated("position_ids", self.positions, rows)
        return outer
