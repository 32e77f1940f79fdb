"""One forward pass per picture: means over token scopes and residual norms at every layer, nothing else kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mllm_probe.activations.device_array import stacked_on_host
from mllm_probe.activations.forward_pass import run_forward
from mllm_probe.activations.free_memory import in_batches
from mllm_probe.activations.not_finite import require_finite, unexplained
from mllm_probe.concepts.picture import Sentence
from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.tokens.kinds import KINDS
from mllm_probe.tokens.positions import of_encoded
from mllm_probe.tokens.selection import Scope

_MOST_NORMS = 1 << 19

OnBatch = Callable[[int, dict[int, Tensor]], None]
Progress = bool | Callable[[int, int], object]
"""True for a progress bar, or a function of the numbers of finished and of all pictures, called after every batch."""


@dataclass
class NormSample:
    """Residual norms seen at one layer and kind of position; their median is the residual norm.

    Every norm is kept up to half a million; beyond, every second, fourth … one, evenly over the pictures.
    """

    kept: list[np.ndarray] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, norms: np.ndarray) -> None:
        """Add the norms of one batch."""
        # `−seen mod stride` goes on with the count of the batches before, so that norms are kept evenly
        # over all of them.
        self.kept.append(norms[-self.seen % self.stride :: self.stride].astype(np.float32))
        self.seen += len(norms)
        if sum(map(len, self.kept)) > _MOST_NORMS:
            self.kept = [np.concatenate(self.kept)[::2]]
            self.stride *= 2

    @property
    def median(self) -> float:
        """Median of all norms, NaN without any."""
        return float(np.median(np.concatenate(self.kept))) if sum(map(len, self.kept)) else float("nan")


def pool(
    model: ProbeModel,
    requests: Sequence[Request],
    scopes: Sequence[str],
    layers: Sequence[int],
    on_batch: OnBatch,
    batch_size: int | Literal["auto"] = "auto",
    progress: Progress = False,
) -> np.ndarray:
    """Run every request once; average its activations over each scope and measure residual norms.

    `scopes`: of ``vector_scopes()``.
    `on_batch`: ``on_batch(start, pooled)`` with the number of the first request and, for each layer, a float32 tensor
        [batch, scopes, hidden] on the layer's device, all of it finite.
    `batch_size`: "auto" plans against the free memory and halves when a GPU runs out.
    `progress`: show a bar, or call this with how many requests are done and how many there are; an error of it ends the
        run.

    Returns float array [layers, len(KINDS) + 1]: residual norm: the median ‖h‖ over the positions of each kind, and
    last over all that are neither padding nor special. NaN where a prompt has no such position. Raises ValueError if an
    activation is NaN or infinite; the error names the first layer and image.
    """
    samples = {layer: [NormSample() for _ in range(len(KINDS) + 1)] for layer in layers}
    batches = in_batches(model, requests, batch_size, lambda _, encoded: _pool_batch(model, encoded, scopes, layers))
    with tqdm(total=len(requests), disable=progress is not True, unit="image", desc="vectors") as bar:
        for part, (pooled, norms, places) in batches:
            lengths = stacked_on_host([norms[layer] for layer in layers])
            _require_finite(model, requests, part, lengths)
            on_batch(part.start, pooled)
            for layer, values in zip(layers, lengths, strict=True):
                for sample, place in zip(samples[layer], places, strict=True):
                    sample.add(values[place])
            bar.update(part.stop - part.start)
            if callable(progress):
                progress(part.stop, len(requests))
    return np.array([[sample.median for sample in samples[layer]] for layer in layers])


def _require_finite(model: ProbeModel, requests: Sequence[Request], part: slice, lengths: np.ndarray) -> None:
    """Raise where a norm [layers, rows, positions] of a batch is not finite, so that nothing is averaged with it."""
    wrong = ~np.isfinite(lengths).all((0, 2))
    if not wrong.any():
        return
    number = part.start + int(wrong.argmax())
    require_finite(model, model.encode_samples([requests[number]]), number=number)
    raise ValueError(unexplained(model, f"in a batch with image {number} ({requests[number].id})"))


def _pool_batch(
    model: ProbeModel, encoded: Encoded, scopes: Sequence[str], layers: Sequence[int]
) -> tuple[dict[int, Tensor], dict[int, Tensor], list[np.ndarray]]:
    """Pooled activations and norms of every layer for one batch, and masks of each kind of position."""
    where = of_encoded(encoded)
    everyone = np.arange(where.lines)
    masks = np.stack([Scope(names=(scope,)).select(where, everyone) for scope in scopes], 1)
    shares = torch.from_numpy(masks / masks.sum(-1, keepdims=True)).float()
    padding = torch.from_numpy(~where.real)
    pooled: dict[int, Tensor] = {}
    norms: dict[int, Tensor] = {}

    @functools.cache
    def on(device: torch.device) -> tuple[Tensor, Tensor]:
        return shares.to(device), padding.to(device)[..., None]

    some_padding = bool(padding.any())

    def read(layer: int, hidden: Tensor) -> None:
        exact = hidden.float()
        own_shares, own_padding = on(hidden.device)
        if some_padding:
            # Padding may hold NaN or infinity, which weight 0 does not take away (0 · NaN is NaN).
            exact = exact.masked_fill(own_padding, 0)
        pooled[layer] = torch.einsum("bst,btd->bsd", own_shares, exact)
        norms[layer] = exact.norm(dim=-1)

    run_forward(model, encoded, read, list(layers))
    last = np.arange(where.columns)[None] == where.last[:, None]
    text, image = where.has_role("text"), where.has_role("image")
    return pooled, norms, [last, image, text, text | image]


def as_requests(model: ProbeModel, pictures: Sequence[Any], prompt: str | None) -> list[Request]:
    """One request per picture; dicts are processed tensors, and sentences come before the prompt."""
    if pictures and isinstance(pictures[0], dict):
        return [request for one in pictures for request in model.samples(None, inputs=one)]
    requests = model.samples(list(pictures), prompt)
    return [_told(one, request) for one, request in zip(pictures, requests, strict=True)]


def is_text_alone(request: Request) -> bool:
    """Whether a request has no image and no processed tensors."""
    return not request.images and request.inputs is None


def _told(picture: object, request: Request) -> Request:
    source = getattr(picture, "source", None)
    return Request(prompt=f"{source.text} {request.prompt}") if isinstance(source, Sentence) else request
