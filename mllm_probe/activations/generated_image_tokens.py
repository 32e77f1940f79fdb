"""Image tokens that a model generated itself: in an answer they are embedded as text, not replaced by a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mllm_probe.activations.hooks import before_backbone
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.families import why_no_image_tokens


@contextmanager
def text_embeddings_of_generated_images(model: ProbeModel, encoded: Encoded) -> Iterator[dict[str, torch.Tensor]]:
    """Tensors of a pass that embeds image tokens of the continuation as token-by-token decoding does.

    Step by step such a token is embedded like any other. In one pass over prompt and continuation the model would
    look for a picture's features to put there: it gets another token id there, and the text model the right embedding.

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
