"""Reading a concept inside the residual stream: projection on its direction, and the logit lens."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import index_tensors, joined, lazy
from mllm_probe.models.layout import text_config
from mllm_probe.tokens import captured_kinds, measured_names
from mllm_probe.vectors.directions import directions_of

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel


UNIT = "× mean difference"


def concept_projection(activations: xr.Dataset, vectors: xr.Dataset) -> xr.DataArray:
    """Component of every token along a concept's direction, 0 for images without it and 1 for images with it.

    Parameters
    ----------
    activations : xarray.Dataset
        As `mllm_probe.capture` makes it, with ``kind`` the same for all samples.
    vectors : xarray.Dataset
        One concept, such as ``vectors.sel(concept="cat")``. Each token is measured along the vector captured at its
        own scope, by the rule that steering follows: image tokens along ``image``'s, the last token of the prompt and
        the answer along ``last_prompt``'s, others along ``text``'s; else ``all``'s, else
        ``last_prompt``'s, else the only one.

    Returns
    -------
    DataArray of float32 (sample, layer, token)
        (h·v̂ − μ₋) / ‖v‖ on the device of the activations, at the layers that both have: μ₋ is the mean projection of
        the images without the concept, ‖v‖ the length of the mean difference. Where a token borrows the vector of
        another scope (:func:`borrowed_scopes`), 0 and 1 are not those of its own kind. Vectors that were given and not
        measured have μ₋ = 0; the unit then is their length.

    Raises
    ------
    ValueError
        If the two have no layer in common.
    """
    directions = directions_of(vectors)
    layers = [int(n) for n in activations[schema.LAYER].values if int(n) in directions.layers]
    if not layers:
        raise ValueError(
            f"the vectors of '{directions.name}' have layers {sorted(directions.layers)}, none of which was captured."
        )
    chosen = activations["activation"].sel({schema.LAYER: layers})
    kinds = np.array(measured_names(captured_kinds(activations)))
    parts = []
    different = list(dict.fromkeys(kinds))
    at = functools.cache(functools.partial(index_tensors, [np.flatnonzero(kinds == kind) for kind in different]))
    for layer in layers:
        hidden = chosen.sel({schema.LAYER: layer}).torch.tensor.float()
        projection = hidden.new_empty(hidden.shape[:-1])
        for kind, where in zip(different, at(hidden.device), strict=True):
            scope = directions.scope_for(kind)
            unit = directions.unit(scope, layer).to(hidden.device)
            centred = hidden[:, where] @ unit - directions.negative(scope, layer)
            projection[:, where] = centred / directions.length(scope, layer)
        parts.append(projection)
    dims = (schema.SAMPLE, schema.LAYER, schema.TOKEN)
    data = lazy(dims, joined(parts, 1), attrs={"units": UNIT})
    coords = {name: c for name, c in chosen.coords.items() if set(c.dims) <= set(dims)}
    return xr.DataArray(data, coords=coords, name="projection")


def borrowed_scopes(activations: xr.Dataset, vectors: xr.Dataset) -> list[str]:
    """Per captured token the scope whose vector it borrows; empty where 0 and 1 were measured at its own kind.

    Tokens of the answer always borrow: their vector is ``last_prompt``'s, measured at another token. Vectors that were
    given and not measured have the same zero everywhere, so that nothing is borrowed.
    """
    kinds = captured_kinds(activations)
    if vectors.attrs.get("method") == "given":
        return [""] * len(kinds)
    directions = directions_of(vectors)
    pairs = [(kind, directions.scope_for(name)) for kind, name in zip(kinds, measured_names(kinds), strict=True)]
    return ["" if scope == kind else scope for kind, scope in pairs]


_LOGITS_AT_ONCE = 1 << 26


def lens_logits(model: ProbeModel, hidden: Tensor) -> Tensor:
    """Logits of hidden states read through the model's own final norm, head, scale and soft cap.

    `hidden` (Tensor [..., hidden]): outputs of any block, before the final norm. Returns Tensor of float32 [...,
    vocabulary]: on the device of the head. For the last block these are the model's own.
    """
    head, norm, config = model.layout.head, model.layout.final_norm, text_config(model.hf)
    logits = head(hidden if norm is None else norm(hidden)).float() * (getattr(config, "logit_scale", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


def lens_chunks(model: ProbeModel, hidden: Tensor) -> Iterator[Tensor]:
    """Logits as :func:`lens_logits`, split along the first dimension so that each piece stays within 256 MB."""
    each = text_config(model.hf).vocab_size * hidden[:1].numel() // hidden.shape[-1]
    for part in hidden.split(max(_LOGITS_AT_ONCE // max(each, 1), 1)):
        yield lens_logits(model, part)
