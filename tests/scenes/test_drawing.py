from dataclasses import replace

import numpy as np
import pytest

from mllm_probe.scenes import CONCEPTS, draw, pair, sample, true_concepts
from mllm_probe.scenes.sampling import MIXTURE, free_places
from mllm_probe.scenes.scene import HELD_OUT, STYLES, is_unseen


def _pixels(scene, size=128):
    return np.asarray(draw(scene, size), float)


@pytest.mark.parametrize("kind", MIXTURE)
def test_a_seed_gives_the_same_scene_and_the_same_picture(kind):
    first, second = (sample(np.random.default_rng(3), kind=kind) for _ in range(2))
    assert first == second
    assert np.array_equal(_pixels(first), _pixels(second))


@pytest.mark.parametrize("seed", range(20))
def test_places_are_those_of_uniform_draws_one_after_the_other(seed):
    places = free_places(np.random.default_rng(seed), [9, 10], [16, 17], diagonal=False)
    g, low, high = np.random.default_rng(seed), np.array([9.0, 10.0]), np.array([16.0, 17.0])
    while True:
        drawn = [(g.uniform(r + 1, 63 - r), g.uniform(r + 1, 63 - r), r) for r in g.uniform(low, high)]
        (x, y, r), (u, v, s) = drawn
        if np.hypot(x - u, y - v) >= r + s + 0.5:
            break
        high -= 0.05
    assert places == [pytest.approx(place) for place in drawn]


@pytest.mark.parametrize("style", [None, *STYLES])
def test_every_size_shows_the_same_picture(style):
    scene = replace(sample(np.random.default_rng(5), kind="face"), style=style)
    small = _pixels(scene, 64)
    for size in (128, 200, 512):
        shrunk = np.asarray(draw(scene, size).resize((64, 64)), float)
        assert np.abs(shrunk - small).mean() < 8, (style, size)


def test_drawing_smaller_than_a_thing_can_be_seen_says_what_to_do():
    with pytest.raises(ValueError, match="pass size=64 or larger"):
        draw(sample(np.random.default_rng(0)), 8)


@pytest.mark.parametrize("concept", [name for name in CONCEPTS if name not in STYLES])
@pytest.mark.parametrize("style", STYLES)
def test_every_concept_changes_the_picture_in_every_style(concept, style):
    with_it, without = (replace(scene, style=style) for scene in pair(concept, np.random.default_rng(1)))
    assert np.abs(_pixels(with_it) - _pixels(without)).max() > 40


def test_seen_scenes_show_no_held_out_combination_and_unseen_ones_do():
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert not is_unseen(sample(rng, "seen"))
        assert is_unseen(sample(rng, "unseen"))
    assert all(a in CONCEPTS and b in CONCEPTS for a, b in map(tuple, HELD_OUT))


def test_combinations_of_another_name_are_refused():
    with pytest.raises(ValueError, match='"any", "seen" or "unseen"'):
        sample(np.random.default_rng(0), "some")


def test_a_hidden_item_of_a_pattern_is_not_among_the_true_concepts_unless_seen_elsewhere():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scene = sample(rng, kind="pattern")
        kinds = [scene.entities[i % len(scene.entities)].kind for i in range(6) if i != scene.pattern.missing]
        assert set(true_concepts(scene)) & {e.kind for e in scene.entities} == set(kinds)
