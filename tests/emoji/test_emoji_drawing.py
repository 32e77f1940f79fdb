from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mllm_probe.emoji import CONCEPTS, EmojiScene, Item, draw, sample, true_concepts
from mllm_probe.emoji.emoji_drawing import finish
from mllm_probe.emoji.emoji_scene import COLOURS, HELD_OUT, MIXTURE, grounds_for, is_unseen, layout
from mllm_probe.emoji.lexicon import ARRANGEMENTS, EMOTIONS, ENTITIES, RELATIONS, STYLES

CAT = EmojiScene((Item("cat", 32, 32, 20), Item("house", 52, 52, 10)), "flat", "purple", 5)


def pixels(scene, size=64):
    return np.asarray(draw(scene, size), float)


@pytest.mark.parametrize("kind", MIXTURE)
def test_a_seed_gives_the_same_scene_and_the_same_picture(kind):
    first, second = (sample(np.random.default_rng(3), kind=kind) for _ in range(2))
    assert first == second
    assert np.array_equal(pixels(first), pixels(second))
    assert not np.array_equal(pixels(first), pixels(sample(np.random.default_rng(4), kind=kind)))


@pytest.mark.parametrize("style", STYLES)
def test_every_size_shows_the_same_picture(style):
    scene = replace(CAT, style=style, texture="cloudy")
    coarse = [
        np.asarray(draw(scene, size).resize((16, 16), Image.Resampling.BOX), float) for size in (64, 96, 128, 224)
    ]
    # Sprites are placed on whole pixels: half a pixel at the smallest size is the largest difference.
    assert all(np.abs(one - coarse[0]).mean() < 6 for one in coarse), style
    moved = replace(scene, items=(replace(scene.items[0], x=27.0), scene.items[1]))
    assert np.abs(np.asarray(draw(moved).resize((16, 16), Image.Resampling.BOX), float) - coarse[0]).mean() > 10


@pytest.mark.parametrize("style", STYLES)
def test_styles_look_different(style):
    for other in set(STYLES) - {style}:
        assert np.abs(pixels(replace(CAT, style=style)) - pixels(replace(CAT, style=other))).mean() > 1


@pytest.mark.parametrize("style", ["outline", "blueprint", "neon", "pixelated"])
def test_a_processed_style_is_made_of_the_named_set(style):
    glossy, rounded = (pixels(replace(CAT, style=style, source=source)) for source in ("glossy", "rounded"))
    assert np.abs(glossy - rounded).mean() > 0.3
    art = [pixels(replace(CAT, source=source)) for source in ("glossy", "rounded")]
    assert np.array_equal(*art), "art of an artist does not depend on it"


def test_coarse_pixels_are_squares_of_few_colours():
    image = np.asarray(draw(replace(CAT, style="pixelated")))
    assert np.array_equal(image[::2, ::2].repeat(2, 0).repeat(2, 1), image)
    assert len(np.unique(image)) <= 9
    plain = draw(CAT)
    assert finish(plain, "flat") is plain


def test_black_art_is_white_on_dark_grounds():
    dark, light = (pixels(replace(CAT, style="stencil", background=name)) for name in ("brown", "white"))
    assert dark.max() > 240 and dark.min() > 30
    assert light.min() < 15


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("style", STYLES)
def test_every_arrangement_changes_the_picture_in_every_style(arrangement, style):
    scene = replace(CAT, style=style)
    assert np.abs(pixels(replace(scene, arrangement=arrangement)) - pixels(scene)).mean() > 1


def test_arrangements_and_relations_are_laid_out_as_in_the_drawn_world():
    centres = {relation: layout(replace(CAT, relation=relation)) for relation in RELATIONS}
    left, right = ([placed.x for placed in centres[name]] for name in ("left", "right"))
    assert left[0] < left[1] and right[0] > right[1]
    above, below = ([placed.y for placed in centres[name]] for name in ("above", "below"))
    assert above[0] < above[1] and below[0] > below[1]
    assert [placed.shape for placed in centres["inside"]] == ["1", "window", "0"]
    assert centres["larger"][0].size > 1.5 * centres["larger"][1].size
    assert [placed.shape for placed in layout(replace(CAT, arrangement="balance"))] == ["beam", "0", "1"]


def test_an_alteration_sees_every_sprite():
    seen = []

    def alter(art):
        seen.append(art.shape)
        return np.full_like(art, 255)

    image = np.asarray(draw(replace(CAT, style="neon"), 64, alter))
    assert len(seen) == 2 and image[32, 32].min() == 255


def test_another_artists_sprites_take_the_place_of_the_styles_own():
    white = {"cat": np.full((96, 96, 4), 255, np.uint8), "house": np.full((96, 96, 4), (0, 0, 0, 255), np.uint8)}
    image = np.asarray(draw(CAT, artwork=white))
    assert image[32, 32].min() == 255 and image[56, 56].max() == 0


def test_drawing_smaller_than_a_thing_can_be_seen_says_what_to_do():
    with pytest.raises(ValueError, match="pass size=64 or larger"):
        draw(CAT, 8)


def test_seen_scenes_show_no_held_out_combination_and_unseen_ones_do():
    rng = np.random.default_rng(0)
    for _ in range(300):
        assert not is_unseen(sample(rng, "seen"))
        assert is_unseen(sample(rng, "unseen"))


def test_a_tenth_of_the_combinations_is_held_out_at_most_one_style_of_each_concept():
    share = len(HELD_OUT) / ((len(ENTITIES) + len(EMOTIONS)) * len(STYLES))
    assert 0.09 < share < 0.11
    names = [next(iter(one - set(STYLES))) for one in HELD_OUT]
    assert len(set(names)) == len(names) and set(names) <= set(CONCEPTS)
    per_style = [sum(style in one for one in HELD_OUT) for style in STYLES]
    assert min(per_style) > 25
    assert any(name in EMOTIONS for name in names)


def test_a_scene_shows_one_emotion_at_most_and_stands_out_from_its_ground():
    rng = np.random.default_rng(1)
    for _ in range(500):
        scene = sample(rng)
        assert sum(item.is_face for item in scene.items) <= 1
        clear = [name for name in COLOURS if all(name in grounds_for(item.icon) for item in scene.items)]
        assert scene.background in clear or not clear


def test_blueprint_and_neon_have_grounds_of_their_own():
    assert [replace(CAT, style=style).ground for style in ("flat", "blueprint", "neon")] == ["purple", "blue", "black"]


def test_true_concepts_leave_a_neutral_face_out():
    face = EmojiScene((Item("neutral-face", 20, 20, 12), Item("cat", 44, 44, 12)), "neon", "red", 0)
    assert true_concepts(face) == ("cat", "neon")


@pytest.mark.parametrize("arguments", [{"combinations": "some"}, {"kind": "three"}])
def test_wrong_choices_are_named(arguments):
    with pytest.raises(ValueError, match="some|three"):
        sample(np.random.default_rng(0), **arguments)
