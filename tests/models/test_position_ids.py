"""Explicit position ids equal the model's own, and protect from the offset of another prompt."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from transformers import DynamicCache

from mllm_probe.models import ProbeModel, continuation_positions, prompt_positions


def test_plain_positions_skip_padding(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    encoded = tiny.encode(pictures[:2], ["cat?", "What do you see?"])
    positions = prompt_positions(tiny, encoded)
    assert positions.shape == encoded.roles.shape
    assert positions[0].tolist() == [0, 0, 0, *range(encoded.length - 3)]
    assert continuation_positions(positions, 1, 2).tolist() == [[22, 23], [25, 26]]


def test_rotary_positions_go_on_behind_the_largest(tiny_mrope: ProbeModel) -> None:
    encoded = tiny_mrope.encode(Image.new("RGB", (112, 56), "red"), "cat?")
    positions = prompt_positions(tiny_mrope, encoded)
    assert positions.shape == (3, 1, encoded.length)
    assert positions[1, 0, 2:10].tolist() == [2, 2, 2, 2, 3, 3, 3, 3]
    following = continuation_positions(positions, 0, 1)
    assert following.shape == (3, 1, 1)
    assert following.unique().tolist() == [int(positions[..., -1].max()) + 1]


@torch.no_grad()
def test_stale_offset_of_another_prompt_does_no_harm(tiny_mrope: ProbeModel) -> None:
    hf = tiny_mrope.hf
    encoded = tiny_mrope.encode(Image.new("RGB", (112, 56), "red"), "What do you see?", continuation="a cat")
    prompt = encoded.prompt_length
    whole = hf(**encoded.tensors).logits[:, prompt:]
    along = ("input_ids", "attention_mask", "mm_token_type_ids")
    first = {name: v[:, :prompt] if name in along else v for name, v in encoded.tensors.items()}
    cache = DynamicCache(config=hf.config.get_text_config())
    hf(**first, past_key_values=cache, use_cache=True)
    hf(**tiny_mrope.encode([[Image.new("RGB", (112, 112), "blue")] * 2]).tensors)
    positions = continuation_positions(prompt_positions(tiny_mrope, encoded)[..., :prompt], 0, 2)
    ids = encoded.tensors["input_ids"][:, prompt:]

    def following(**explicit: torch.Tensor) -> torch.Tensor:
        logits = hf(input_ids=ids, past_key_values=cache, use_cache=True, **explicit).logits
        cache.crop(-2)
        return logits

    torch.testing.assert_close(following(position_ids=positions), whole, atol=1e-5, rtol=0)
    assert (following() - whole).abs().max() > 1e-3, "without them the other prompt's offset is used"


def test_text_without_pictures_counts_plainly(tiny_mrope: ProbeModel) -> None:
    encoded = tiny_mrope.encode([None], "cat?")
    assert torch.equal(
        prompt_positions(tiny_mrope, encoded)[0, 0], torch.arange(encoded.length, device=tiny_mrope.device)
    )


@pytest.mark.parametrize("which", ["tiny", "tiny_mrope"])
@torch.no_grad()
def test_explicit_positions_are_the_models_own(
    which: str, pictures: list[Image.Image], request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(which)
    encoded = model.encode(pictures[0])
    given = model.hf(**encoded.tensors, position_ids=prompt_positions(model, encoded)).logits
    assert torch.equal(given, model.hf(**encoded.tensors).logits)
