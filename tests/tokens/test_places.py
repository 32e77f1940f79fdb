import types

import numpy as np
import pytest
import torch

from mllm_probe.models import Encoded
from mllm_probe.tokens.places import chosen_columns, companions, find_places, token_choice

BOS, IMG, SPECIAL = 1, 9, 2
ROWS = [
    #  prompt (left-padded to 7), continuation of 2
    [0, 0, BOS, IMG, IMG, 5, SPECIAL, 6, 7],
    [BOS, IMG, IMG, IMG, IMG, 4, 5, 6, 0],
]
ROLES = [[3, 3, 2, 1, 1, 0, 2, 0, 0], [2, 1, 1, 1, 1, 0, 0, 0, 3]]
PATCH_ROWS = [[-1, -1, -1, 0, 0, -1, -1, -1, -1], [-1, 0, 0, 1, 1, -1, -1, -1, -1]]
PATCH_COLUMNS = [[-1, -1, -1, 0, 1, -1, -1, -1, -1], [-1, 0, 1, 0, 1, -1, -1, -1, -1]]


@pytest.fixture
def batch():
    text = types.SimpleNamespace(bos_token_id=BOS)
    config = types.SimpleNamespace(get_text_config=lambda decoder: text)
    model = types.SimpleNamespace(hf=types.SimpleNamespace(config=config), tokenizer=None)
    encoded = Encoded(
        tensors={"input_ids": torch.tensor(ROWS)},
        roles=torch.tensor(ROLES, dtype=torch.int8),
        padding=torch.tensor([2, 0]),
        prompt_length=7,
        token_text=[[f"t{i}" for i in row] for row in ROWS],
        patch_row=np.array(PATCH_ROWS, dtype=np.int32),
        patch_column=np.array(PATCH_COLUMNS, dtype=np.int32),
        sample_ids=["a", "b"],
    )
    return model, encoded


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("all", [[3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7]]),
        ("image", [[3, 4], [1, 2, 3, 4]]),
        ("text", [[5], [5, 6]]),
        ("last_prompt", [[6], [6]]),
        ("generated", [[7, 8], [7]]),
        (("last_prompt", "generated"), [[6, 7, 8], [6, 7]]),
        (["text", "image"], [[3, 4, 5], [1, 2, 3, 4, 5, 6]]),
    ],
)
def test_scopes_are_the_positions_they_are_defined_as(batch, tokens, expected):
    chosen = chosen_columns(*batch, token_choice(tokens))
    assert [np.flatnonzero(row).tolist() for row in chosen] == expected


def test_labels_are_positions_in_the_unpadded_prompt(batch):
    places = find_places(*batch, token_choice("image"))
    assert places.labels == [1, 2, 3, 4]
    assert places.columns.tolist() == [[3, 4, -1, -1], [1, 2, 3, 4]]
    values = companions(batch[1], places)
    assert values["token_text"].tolist() == [["t9", "t9", "", ""], ["t9"] * 4]
    assert values["role"].tolist() == [["image", "image", "padding", "padding"], ["image"] * 4]
    assert values["patch_row"].tolist() == [[0, 0, -1, -1], [0, 0, 1, 1]]
    assert values["step"].tolist() == [[-1] * 4] * 2


def test_the_last_prompt_token_has_one_label_for_all_lengths(batch):
    places = find_places(*batch, token_choice("last_prompt"))
    assert places.labels == [-1] and places.columns.tolist() == [[6], [6]]


def test_generated_tokens_count_their_step(batch):
    places = find_places(*batch, token_choice("generated"))
    assert places.labels == [5, 6, 7]
    assert companions(batch[1], places)["step"].tolist() == [[0, 1, -1], [-1, -1, 0]]


def test_positions_keep_the_numbers_that_were_asked_for(batch):
    places = find_places(*batch, token_choice([-1, 0, 5, -4]))
    assert places.labels == [-1, 0, 5, -4]
    assert places.columns.tolist() == [[6, 2, 7, 3], [6, 0, 5, 3]]


def test_positions_outside_a_sample_are_refused_by_name(batch):
    with pytest.raises(ValueError, match=r"sample b has no position 8: it has 8 tokens, numbered 0 … 7"):
        find_places(*_only(batch, 1), token_choice([6, 8]))
    with pytest.raises(ValueError, match=r"sample a has no position -6: it has 7 tokens"):
        find_places(*batch, token_choice([-6]))


def _only(batch, row):
    model, encoded = batch
    one = slice(row, row + 1)
    return model, Encoded(
        tensors={"input_ids": encoded.tensors["input_ids"][one]},
        roles=encoded.roles[one],
        padding=encoded.padding[one],
        prompt_length=encoded.prompt_length,
        token_text=encoded.token_text[one],
        patch_row=encoded.patch_row[one],
        patch_column=encoded.patch_column[one],
        sample_ids=encoded.sample_ids[one],
    )


def test_masks_mark_positions_or_patches(batch):
    one = _only(batch, 1)
    places = find_places(*one, token_choice(np.array([[True, False], [False, True]])))
    assert places.columns.tolist() == [[1, 4]]
    places = find_places(*one, token_choice(torch.tensor([True, False, False, False, False, True, False])))
    assert places.labels == [0, 5] and places.columns.tolist() == [[0, 5]]


def test_masks_of_another_size_are_refused(batch):
    with pytest.raises(ValueError, match=r"patch columns\] of shape \[2, 2\] does not fit: sample a has \[1, 2\]"):
        find_places(*batch, token_choice(np.ones((2, 2), bool)))
    with pytest.raises(ValueError, match=r"\[positions\] of shape \[7\] does not fit: sample a has \[5\]"):
        find_places(*batch, token_choice([True] * 7))


def test_a_scope_without_tokens_is_refused(batch):
    model, encoded = _only(batch, 1)
    prompt = types.SimpleNamespace(hf=model.hf, tokenizer=None)
    cut = Encoded(
        tensors={"input_ids": encoded.tensors["input_ids"][:, :7]},
        roles=encoded.roles[:, :7],
        padding=encoded.padding,
        prompt_length=7,
        token_text=encoded.token_text,
        patch_row=encoded.patch_row[:, :7],
        patch_column=encoded.patch_column[:, :7],
        sample_ids=["b"],
    )
    with pytest.raises(ValueError, match="sample b has no token of the scope 'generated'; give continuation="):
        find_places(prompt, cut, token_choice("generated"))


@pytest.mark.parametrize("tokens", ["last", ("image", "picture"), [], [1, 1], [[1, 2]], [1.5], None, [False, False]])
def test_what_is_neither_scope_nor_position_is_refused(tokens):
    with pytest.raises(ValueError, match="unknown scope|tokens: expected a scope"):
        token_choice(tokens)


def test_a_choice_has_a_name_for_the_attributes():
    assert str(token_choice(("image", "image", "text"))) == "image, text"
    assert str(token_choice([-1, 3])) == "-1, 3"
    assert str(token_choice(np.eye(2, dtype=bool))) == "2 of 4 patches"
