"""Image tokens that a model wrote itself: in an answer they are words, and no picture stands in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mllm_probe.activations.hooks import before_backbone
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.families import why_no_image_tokens


@contextmanager
def read_as_written(model: ProbeModel, encoded: Encoded) -> Iterator[dict[str, torch.Tensor]]:
    """Give the tensors of a pass in which image tokens of the continuation are read as they are while decoding.

    Step by step such a token is embedded like any other. In one pass over prompt and continuation the model would
    look for a picture to put in its place: it is shown another token there, and the text model gets the right one.

    Parameters
    ----------
    model : ProbeModel
    encoded : Encoded

    Yields
    ------
    dict of str to Tensor
        ``encoded.tensors``, without image tokens behind the prompt.
    """
    image = model.layout.image_token_id
    if image is None or why_no_image_tokens(model.hf.config) or encoded.length == encoded.prompt_length:
        yield encoded.tensors
        return
    ids = encoded.sequence
    written = ids == image
    written[:, : encoded.prompt_length] = False
    if not written.any():
        yield encoded.tensors
        return

    def put_back(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        embedded = named.get("inputs_embeds")
        if embedded is None:
            raise RuntimeError(
                f"the text model of {model.name} takes no inputs_embeds, so an image token in the continuation cannot "
                "be told from one that stands for a picture; leave it out of the continuation."
            )
        token = model.hf.get_input_embeddings()(ids.new_full((1, 1), image)).to(embedded)
        marked = written[..., None].to(embedded.device)
        return arguments, {**named, "inputs_embeds": torch.where(marked, token, embedded)}

    with before_backbone(model, put_back):
        yield {**encoded.tensors, "input_ids": ids.masked_fill(written, 1 if image == 0 else 0)}
