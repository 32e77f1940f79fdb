"""Facts about model families that no general rule finds: exceptions only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Exceptions of one family (a ``config.model_type``) from the general rule.

    `caller`: path of the module whose forward runs once per generated token, where it is not the whole model.
    `prompt_type`: token type of every token of the prompt, where it does not mark the image tokens.
    `continuation_type`: token type of text that follows the prompt.
    `processor_places_images`: the processor itself puts image tokens in front of a prompt that has none.
    `image_tokens_absent`: why the sequence has no image tokens at the probed blocks, in words for a report; empty where
        it has them.
    `discrete_images`: a picture becomes entries of a code book, so that another picture may share some of them.
    `encoded_picture`: argument of the model's forward that takes the picture encoded, where it could not be decoded
        without.
    `picture_each_step`: the encoded picture is an argument of every step.
    `positions_from_ids`: positions count from one past the padding id, and every row is given its own.
    `image_queries`: image tokens are learned queries, each of which reads the whole image: they have no place in it.
    """

    caller: str = ""
    prompt_type: int | None = None
    continuation_type: int = 0
    processor_places_images: bool = False
    image_tokens_absent: str = ""
    discrete_images: bool = False
    encoded_picture: str = ""
    picture_each_step: bool = False
    positions_from_ids: bool = False
    image_queries: bool = False


_CROSS = "the image enters by cross-attention, so that no position of the sequence belongs to it"

EXCEPTIONS: dict[str, Family] = {
    "paligemma": Family(prompt_type=0, continuation_type=1),
    "blip-2": Family(caller="language_model", processor_places_images=True, image_queries=True),
    "instructblip": Family(caller="language_model", processor_places_images=True, image_queries=True),
    "instructblipvideo": Family(caller="language_model", processor_places_images=True, image_queries=True),
    "kosmos-2": Family(
        caller="text_model",
        processor_places_images=True,
        encoded_picture="image_embeds",
        positions_from_ids=True,
        image_queries=True,
    ),
    "kosmos-2.5": Family(encoded_picture="image_embeds", positions_from_ids=True, image_queries=True),
    "idefics2": Family(image_queries=True),
    "aria": Family(image_queries=True),
    "florence2": Family(processor_places_images=True),
    "chameleon": Family(discrete_images=True),
    "fuyu": Family(processor_places_images=True),
    "mllama": Family(image_tokens_absent=_CROSS),
    "idefics": Family(image_tokens_absent=_CROSS, encoded_picture="image_encoder_embeddings", picture_each_step=True),
}


def family_of(config: object) -> Family:
    """Exceptions of the family of a Hugging Face configuration; the general case when there are none."""
    return EXCEPTIONS.get(getattr(config, "model_type", ""), Family())


def why_no_image_tokens(config: object) -> str:
    """Reason why the probed sequence has no image tokens; empty where it has some."""
    if getattr(config, "is_encoder_decoder", False):
        return "image and prompt enter the encoder; the probed decoder blocks read them by cross-attention"
    return family_of(config).image_tokens_absent
