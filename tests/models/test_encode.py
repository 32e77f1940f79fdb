"""Pictures and prompts become one left-padded batch whose tokens know what they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from mllm_probe.loading import wrap
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.schema import ROLES
from tests.conftest import put
from tests.zoo import FAMILIES, build

QUESTION, LONGER = "What do you see?", "Is there a cat in this picture of a house?"


def _roles(encoded: Encoded, row: int = 0) -> list[str]:
    return [ROLES[i] for i in encoded.roles[row].tolist()]


@torch.no_grad()
def _logits(model: ProbeModel, encoded: Encoded) -> torch.Tensor:
    return model.hf(**encoded.tensors).logits


def test_roles_text_and_places_of_one_sample(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    encoded = tiny.encode(pictures[0], QUESTION)
    roles = _roles(encoded)
    assert roles == ["special"] + ["image"] * 16 + ["special"] + ["text"] * 5 + ["special"]
    assert encoded.token_text[0][-6:] == ["what", "do", "you", "see", "?", "<assistant>"]
    assert (encoded.rows, encoded.length, encoded.prompt_length) == (1, 24, 24)
    assert encoded.patch_row[0, 1:17].tolist() == [i // 4 for i in range(16)]
    assert encoded.patch_column[0, 1:17].tolist() == [i % 4 for i in range(16)]
    assert set(encoded.patch_row[0, 17:]) == {-1}


@pytest.mark.parametrize("which", ["tiny", "tiny_mrope"])
def test_padded_rows_equal_rows_alone(which: str, pictures: list[Image.Image], request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(which)
    prompts = [QUESTION, LONGER, "cat?"]
    batch = model.encode(pictures[:3], prompts)
    assert batch.padding.tolist() == [6, 0, 9]
    together = _logits(model, batch)
    for row, prompt in enumerate(prompts):
        alone = model.encode(pictures[row], prompt)
        kept = int(batch.padding[row])
        assert _roles(batch, row)[kept:] == _roles(alone)
        assert batch.sample_ids[row] == alone.sample_ids[0]
        torch.testing.assert_close(together[row, kept:], _logits(model, alone)[0], atol=2e-5, rtol=0)


def test_a_picture_is_read_once_for_its_pixels_and_its_hash(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    class Looked:
        """A picture that counts how often it is looked at, as one that is drawn or decoded at each look."""

        looks = 0

        @property
        def image(self) -> Image.Image:
            self.looks += 1
            return pictures[0]

    looked = Looked()
    assert tiny.encode(looked, QUESTION).sample_ids == tiny.encode(pictures[0], QUESTION).sample_ids
    assert looked.looks == 1


def test_several_pictures_in_one_prompt(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    both = tiny.encode([[pictures[0], pictures[1]]], QUESTION)
    assert _roles(both).count("image") == 32
    assert both.tensors["pixel_values"].shape[0] == 2
    assert both.patch_row[0, 1:33].tolist() == [i // 4 for i in range(16)] * 2
    swapped = tiny.encode([[pictures[1], pictures[0]]], QUESTION)
    assert both.sample_ids != swapped.sample_ids
    assert not torch.allclose(_logits(tiny, both)[:, -1], _logits(tiny, swapped)[:, -1])


def test_pictures_of_different_grids(tiny_mrope: ProbeModel) -> None:
    wide, high = (Image.new("RGB", size, "red") for size in ((112, 56), (56, 112)))
    encoded = tiny_mrope.encode([wide, high], QUESTION)
    for row, (rows, columns) in enumerate([(2, 4), (4, 2)]):
        inside = encoded.patch_row[row] >= 0
        assert inside.sum() == 8
        assert encoded.patch_row[row][inside].max() + 1 == rows
        assert encoded.patch_column[row][inside].max() + 1 == columns


def test_continuation_stands_behind_every_prompt(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    encoded = tiny.encode(pictures[:2], [QUESTION, LONGER], continuation=["a cat", "red"])
    assert encoded.length == encoded.prompt_length + 2
    assert [row[encoded.prompt_length :] for row in encoded.token_text] == [["a", "cat"], ["red", "<pad>"]]
    assert _roles(encoded, 1)[-1] == "padding"
    assert encoded.padding.tolist() == [6, 0]
    alone = tiny.encode(pictures[1], LONGER, continuation="red")
    torch.testing.assert_close(_logits(tiny, encoded)[1, :-1], _logits(tiny, alone)[0], atol=2e-5, rtol=0)


def test_continuation_needs_tokens_and_one_text_per_row(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="a continuation with at least one token"):
        tiny.encode(pictures[0], continuation="")
    with pytest.raises(ValueError, match=r"one continuation, or one per sample \(2\); got 3"):
        tiny.encode(pictures[:2], continuation=["a"] * 3)


def test_processed_tensors_give_the_same_batch(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    batch = tiny.encode(pictures[:2], [QUESTION, LONGER])
    as_list = [dict(tiny.encode(p, q).tensors) for p, q in zip(pictures, (QUESTION, LONGER), strict=False)]
    for inputs in (dict(batch.tensors), as_list):
        again = tiny.encode(None, inputs=inputs)
        assert torch.equal(again.roles, batch.roles)
        assert all(torch.equal(again.tensors[name], value) for name, value in batch.tensors.items())
        assert again.token_text == batch.token_text


def test_right_padded_tensors_are_moved_to_the_left(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    alone = tiny.encode(pictures[0], QUESTION)
    inputs = {name: torch.nn.functional.pad(v, (0, 3)) if v.ndim == 2 else v for name, v in alone.tensors.items()}
    assert torch.equal(tiny.encode(None, inputs=inputs).tensors["input_ids"], alone.tensors["input_ids"])


def test_processed_patches_are_shared_out_by_their_grids(tiny_mrope: ProbeModel) -> None:
    images = [Image.new("RGB", size, "red") for size in ((112, 56), (56, 56))]
    batch = tiny_mrope.encode(images, QUESTION)
    requests = tiny_mrope.samples(None, inputs=dict(batch.tensors))
    assert [len(request.inputs["pixel_values"]) for request in requests] == [32, 16]  # type: ignore[index]
    again = tiny_mrope.encode_samples(requests)
    assert torch.equal(again.tensors["pixel_values"], batch.tensors["pixel_values"])


@pytest.mark.parametrize(
    ("name", "types", "image_type"),
    [
        ("gemma3", "token_type_ids", 1),
        ("gemma4", "mm_token_type_ids", 1),
        ("paligemma", "token_type_ids", 0),
        ("qwen2_5_vl", "mm_token_type_ids", 1),
        ("glm4v", "mm_token_type_ids", 1),
    ],
)
def test_token_types_that_are_missing_are_added(name: str, types: str, image_type: int, device: str) -> None:
    hf, inputs = build(FAMILIES[name])
    model = put(wrap(hf), device)
    without = {key: value for key, value in inputs.items() if key != types}
    filled = model.encode(None, inputs=without)
    assert torch.equal(filled.tensors[types].cpu(), inputs[types])
    assert filled.tensors[types][filled.roles == ROLES.index("image")].unique().tolist() == [image_type]
    if name == "paligemma":  # its forward takes a prompt without types for one that is all prefix
        return
    right = _logits(model, filled)
    try:
        with torch.no_grad():
            wrong = hf(**{key: value.to(device) for key, value in without.items()}).logits
    except ValueError:
        return
    assert (wrong - right).abs().max() > 1e-3, "the family would not have needed them"


def test_an_unknown_word_is_named(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    with pytest.warns(UserWarning, match="does not know the word 'zebra'.*model.suggestions"):
        tiny.encode(pictures[0], "Is there a zebra?")
    with pytest.warns(UserWarning, match="words 'purple', 'zebra'"):
        tiny.encode(pictures[:2], ["Is there a purple zebra?", QUESTION])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny.encode(pictures[0], "WHAT DO YOU SEE")


def test_a_prompt_without_room_for_the_image(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match=r"takes 618 tokens but tiny-llava reads at most 512.*shorten the prompt"):
        tiny.encode(pictures[0], "cat " * 599)


def test_prompts_without_pictures(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    encoded = tiny.encode([None, None], [QUESTION, LONGER])
    assert "image" not in _roles(encoded) + _roles(encoded, 1)
    assert "pixel_values" not in encoded.tensors
    with pytest.raises(ValueError, match="with every prompt of a batch or with none"):
        tiny.encode([pictures[0], None], QUESTION)


def test_wrong_numbers_of_things(tiny: ProbeModel, pictures: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match=r"one prompt, or one per sample \(2\); got 3"):
        tiny.encode(pictures[:2], ["a"] * 3)
    with pytest.raises(ValueError, match="at least one image; got an empty list"):
        tiny.encode([], QUESTION)
    with pytest.raises(ValueError, match="'input_ids'"):
        tiny.encode(None, inputs={"pixel_values": torch.zeros(1, 3, 32, 32)})
    with pytest.raises(ValueError, match="list of dicts instead"):
        tiny.encode(None, inputs={"input_ids": torch.ones(2, 3).long(), "pixel_values": torch.zeros(3, 3, 32, 32)})


def test_without_a_processor_pictures_are_refused(pictures: list[Image.Image]) -> None:
    model = wrap(build(FAMILIES["llava"])[0], name="bare")
    with pytest.raises(ValueError, match=r"bare was wrapped without a processor.*inputs="):
        model.encode(pictures[0], QUESTION)
    with pytest.raises(ValueError, match="token ids instead of the text 'cat'"):
        model.text_ids("cat", leading_space=True)
    assert model.decode([3, 4]) == "3 4"


def test_requests_read_nothing_until_they_are_encoded(tiny: ProbeModel) -> None:
    requests = tiny.samples(["nowhere.png"], QUESTION)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        tiny.encode_samples(requests)


def test_kosmos_marks_its_image_tokens_by_a_mask(device: str) -> None:
    hf, inputs = build(FAMILIES["kosmos2"])
    encoded = put(wrap(hf), device).encode(None, inputs=inputs)
    assert np.array_equal(encoded.roles.numpy() == ROLES.index("image"), inputs["image_embeds_position_mask"].numpy())


def test_text_and_ids(tiny: ProbeModel) -> None:
    ids = tiny.text_ids("red cat", leading_space=True)
    assert tiny.decode(ids) == "red cat"
    assert tiny.decode([*ids, 2, 0]) == "red cat"
    assert tiny.eos_token_ids == {2}
