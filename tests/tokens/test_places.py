"""Every form of scope on every shape of prompt, read and edited, against positions written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.tokens import companions, find_places, of_encoded, parse_scope
from tests.sweeps.helpers import random_vectors

# Positions of the prompts, as the hand-written numbers count them:
# one picture           bos 0, image 1 … 16, <user> 17, what 18, is 19, it 20, ? 21, <assistant> 22
# two pictures          bos 0, image 1 … 16 and 17 … 32, <user> 33, words 34 … 37, <assistant> 38
# a padded batch        row 0: 3 columns of padding, image 1 … 16, words 18 and 19, <assistant> 20
#                       row 1: image 1 … 16, words 18 … 22, <assistant> 23
# no picture            bos 0, <user> 1, words 2 … 5, <assistant> 6
# a batch with answers  as the padded batch; generated 21 and 22 in row 0, and 24 in row 1
CROSS = np.eye(4, dtype=bool)
CROSS_AT = [1, 6, 11, 16]
CORNERS = np.zeros((2, 4, 4), bool)
CORNERS[0, 0, 0] = CORNERS[1, 3, 3] = True


def span(first, last):
    return list(range(first, last + 1))


def _mask(length, *positions):
    mask = np.zeros(length, bool)
    mask[list(positions)] = True
    return mask


TABLE = [
    # prompt, tokens=, positions in the unpadded prompt of every row (those that are read)
    ("one picture", "last_prompt", [[22]]),
    ("one picture", "image", [span(1, 16)]),
    ("one picture", "text", [span(18, 21)]),
    ("one picture", "all", [span(1, 22)]),
    ("one picture", ("image", "last_prompt"), [[*span(1, 16), 22]]),
    ("one picture", ["text", "text", "image"], [[*span(1, 16), *span(18, 21)]]),
    ("one picture", [0, -1, 5], [[0, 5, 22]]),
    ("one picture", 3, [[3]]),
    ("one picture", np.int64(-23), [[0]]),
    ("one picture", CROSS, [CROSS_AT]),
    ("one picture", torch.from_numpy(CROSS), [CROSS_AT]),
    ("one picture", CROSS[None], [CROSS_AT]),
    ("one picture", _mask(23, 0, 22), [[0, 22]]),
    ("two pictures", "last_prompt", [[38]]),
    ("two pictures", "image", [span(1, 32)]),
    ("two pictures", "text", [span(34, 37)]),
    ("two pictures", "all", [span(1, 38)]),
    ("two pictures", [17, -7], [[17, 32]]),
    ("two pictures", CORNERS, [[1, 32]]),
    ("two pictures", CORNERS.tolist(), [[1, 32]]),
    ("a padded batch", "last_prompt", [[20], [23]]),
    ("a padded batch", "image", [span(1, 16), span(1, 16)]),
    ("a padded batch", "text", [[18, 19], span(18, 22)]),
    ("a padded batch", "all", [span(1, 20), span(1, 23)]),
    ("a padded batch", ("text", "last_prompt"), [span(18, 20), span(18, 23)]),
    ("a padded batch", [0, -1], [[0, 20], [0, 23]]),
    ("a padded batch", CROSS, [CROSS_AT, CROSS_AT]),
    ("no picture", "last_prompt", [[6]]),
    ("no picture", "text", [span(2, 5)]),
    ("no picture", "all", [span(1, 6)]),
    ("no picture", [-7], [[0]]),
    ("a batch with answers", "generated", [[21, 22], [24]]),
    ("a batch with answers", "all", [span(1, 22), span(1, 24)]),
    ("a batch with answers", "text", [[18, 19], span(18, 22)]),
    ("a batch with answers", ("last_prompt", "generated"), [[20, 21, 22], [23, 24]]),
    ("a batch with answers", "last_prompt", [[20], [23]]),
]
ONLY_READ = [("a batch with answers", [-1, 21], [[20, 21], [21, 23]])]
"""Numbers may reach into the answer where positions are read."""
REFUSED = [
    # prompt, tokens=, what both uses say; {0} is the row or sample
    ("no picture", "image", r"tokens='image' {use}: the prompt of {who} has no image tokens\. It has 4 text, 0 image"),
    ("no picture", CROSS, r"a patch mask {use}: the patches of the image in {who} are not known\. Name 'image'"),
    ("one picture", CROSS[:2], r"the patch mask is 2×4, but the image of {who} has 4×4 patches"),
    (
        "two pictures",
        CROSS,
        r"does not say which of the 2 images of {who} it means: give one mask for each, \[images",
    ),
    ("two pictures", CROSS[None], r"the patch mask is 1×4×4, but the images of {who} have 4×4, 4×4 patches"),
    ("one picture", CORNERS, r"the patch mask is 2×4×4, but the image of {who} has 4×4 patches"),
    ("one picture", _mask(5, 1), r"a mask of 5 positions does not fit: the prompt of {who} has 23"),
    ("one picture", [23], r"position 23 {use}: the prompt of {who} has 23 positions, 0 … 22 \(negative ones count"),
    ("one picture", [-24], r"position -24 {use}: the prompt of {who} has 23 positions"),
]


@pytest.fixture(scope="module")
def prompts(tiny, pictures):
    several = (pictures[:2], ["what ?", "what do you see ?"])
    return {
        "one picture": tiny.encode(pictures[:1], "what is it ?"),
        "two pictures": tiny.encode([pictures[:2]], "what is it ?"),
        "a padded batch": tiny.encode(*several),
        "no picture": tiny.encode(None, "what is it ?"),
        "a batch with answers": tiny.encode(*several, continuation=["a cat", "a"]),
    }


def _read(encoded, tokens):
    places = find_places(encoded, parse_scope(tokens))
    place = of_encoded(encoded).place
    return [sorted(int(place[row, c]) for c in columns if c >= 0) for row, columns in enumerate(places.columns)]


def _edited(encoded, tokens):
    where = of_encoded(encoded)
    chosen = parse_scope(tokens).select(where, np.arange(where.lines))
    return [where.place[row][chosen[row]].tolist() for row in range(where.lines)]


@pytest.mark.parametrize(("prompt", "tokens", "expected"), TABLE + ONLY_READ, ids=str)
def test_positions_that_are_read_are_those_written_by_hand(prompts, prompt, tokens, expected):
    assert _read(prompts[prompt], tokens) == expected


@pytest.mark.parametrize(("prompt", "tokens", "expected"), TABLE, ids=str)
def test_positions_that_are_edited_are_those_written_by_hand(prompts, prompt, tokens, expected):
    assert _edited(prompts[prompt], tokens) == expected


@pytest.mark.parametrize(("prompt", "tokens", "text"), REFUSED, ids=str)
def test_what_a_prompt_has_not_is_refused_in_the_same_words(prompts, prompt, tokens, text):
    encoded = prompts[prompt]
    with pytest.raises(ValueError, match=text.format(use="cannot be read", who=f"sample {encoded.sample_ids[0]}")):
        _read(encoded, tokens)
    with pytest.raises(ValueError, match=text.format(use="can never be edited", who="row 0")):
        _edited(encoded, tokens)


def test_generated_tokens_that_are_not_there_are_refused_where_they_are_read(prompts):
    with pytest.raises(ValueError, match="has no token of the scope 'generated'; give continuation="):
        _read(prompts["one picture"], "generated")


@pytest.mark.parametrize(
    "tokens",
    ["last", ("image", "picture"), ["image", 3], [], [1, 1], [[1, 2]], [1.5], None, True, {"image"}, [[1], [2, 3]]],
    ids=str,
)
@pytest.mark.parametrize("take", ["capture", "Steering", "sweep"])
def test_what_is_no_scope_is_refused_in_the_same_words(tiny, pictures, tokens, take):
    vectors = random_vectors(tiny)
    with pytest.raises(ValueError, match="tokens: expected one or several of last_prompt, generated, image, text, all"):
        if take == "capture":
            mp.capture(tiny, pictures[0], tokens=tokens)
        elif take == "Steering":
            mp.Steering(vectors.sel(concept="cat"), [1], tokens=tokens)
        else:
            mp.sweep(tiny, vectors, pictures[:1], tokens=tokens, progress=False)


@pytest.mark.parametrize("mask", [[False, False], np.zeros((2, 2), bool), np.zeros((1, 2, 2), bool)], ids=str)
def test_a_mask_that_selects_nothing_is_refused(mask):
    with pytest.raises(ValueError, match="mask selects no (patch|position), so it can never be edited or read"):
        parse_scope(mask)


def test_vectors_are_captured_at_the_declared_scopes_only(tiny, pictures):
    for tokens in ("generated", ("image", "image"), [1], None, CROSS):
        with pytest.raises(ValueError, match="expected one or several different ones of last_prompt, image, text, all"):
            mp.concept_vectors(tiny, {}, tokens=tokens)


def test_a_scope_has_a_name_for_attributes_and_receipts():
    assert str(parse_scope(("image", "image", "text"))) == "image+text"
    assert str(parse_scope([-1, 3])) == "positions -1, 3"
    assert str(parse_scope(CROSS)) == "4 of 4×4 patches"
    assert str(parse_scope(CORNERS)) == "2 of 2×4×4 patches"
    assert str(parse_scope([True, False])) == "1 of 2 positions"
    assert parse_scope(CORNERS).plain() == CORNERS.tolist() and parse_scope([4]).plain() == [4]
    assert parse_scope(("image", "text")).plain() == ["image", "text"]


def test_labels_are_positions_in_the_unpadded_prompt(prompts):
    places = find_places(prompts["a padded batch"], parse_scope("text"))
    assert places.labels == [18, 19, 20, 21, 22]
    assert places.columns.tolist() == [[21, 22, -1, -1, -1], [18, 19, 20, 21, 22]]
    values = companions(prompts["a padded batch"], places)
    assert values["token_text"].tolist()[0] == ["what", "?", "", "", ""]
    assert values["role"].tolist()[0] == values["kind"].tolist()[0] == ["text", "text", *["padding"] * 3]
    assert values["step"].tolist() == [[-1] * 5] * 2


def test_labels_of_the_last_token_and_of_numbers_are_those_asked_for(prompts):
    batch = prompts["a batch with answers"]
    assert find_places(batch, parse_scope("last_prompt")).labels == [-1]
    places = find_places(batch, parse_scope([-1, 0, 21, -4]))
    assert places.labels == [-1, 0, 21, -4] and places.columns.tolist() == [[23, 3, 24, 20], [23, 0, 21, 20]]
    places = find_places(batch, parse_scope("generated"))
    assert places.labels == [21, 22, 24]
    assert companions(batch, places)["step"].tolist() == [[0, 1, -1], [-1, -1, 0]]


def test_image_tokens_say_which_picture_they_belong_to(tiny, tiny_mrope, pictures):
    acts = mp.capture(tiny, [pictures[:2]], "what is it ?", tokens="all", layers=[0])
    assert acts.image.dims == ("token",) and acts.image.values.tolist() == [*[0] * 16, *[1] * 16, *[-1] * 6]
    second = acts.where(acts.image == 1, drop=True)
    assert second.token.values.tolist() == span(17, 32)
    rows = acts.patch_row.values[acts.image.values == 1]
    assert rows.tolist() == [i // 4 for i in range(16)]
    uneven = mp.capture(tiny, [pictures[:2], pictures[2:3]], "what ?", tokens="image", layers=[0])
    assert uneven.image.dims == ("sample", "token")
    assert uneven.image.values.tolist() == [[*[0] * 16, *[1] * 16], [*[0] * 16, *[-1] * 16]]
    wide, high = pictures[0].resize((112, 56)), pictures[1].resize((56, 112))
    acts = mp.capture(tiny_mrope, [[wide, high]], "what is it ?", tokens="image", layers=[0])
    assert acts.image.values.tolist() == [0] * 8 + [1] * 8
    assert [int(acts.patch_row.values[acts.image.values == n].max()) + 1 for n in (0, 1)] == [2, 4]
    assert set(mp.capture(tiny, None, "what ?", tokens="all", layers=[0]).image.values) == {-1}
