import numpy as np
import pytest

from mllm_probe.scenes import CONCEPTS, draw, neutral, pair, true_concepts
from mllm_probe.scenes.scene import SIDE


def _changed(first, second, size=256):
    difference = np.abs(np.asarray(draw(first, size), int) - np.asarray(draw(second, size), int)).max(-1)
    rows, columns = np.nonzero(difference > 0)
    return columns * SIDE / size, rows * SIDE / size


@pytest.mark.parametrize("negative", ["replace", "remove"])
@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_pair_differs_in_the_concept_and_nothing_else(concept, negative):
    rng = np.random.default_rng(0)
    for _ in range(10):
        with_it, without = (set(true_concepts(scene)) for scene in pair(concept, rng, negative))
        assert with_it - without == {concept}
        gained = without - with_it
        if negative == "remove":
            assert not gained
        else:
            assert [CONCEPTS[one].category for one in gained] == [CONCEPTS[concept].category]


@pytest.mark.parametrize("concept", ["cat", "house", "star"])
@pytest.mark.parametrize("negative", ["replace", "remove"])
def test_pixels_change_only_where_the_thing_stands(concept, negative):
    rng = np.random.default_rng(2)
    for _ in range(5):
        with_it, without = pair(concept, rng, negative)
        thing = next(e for e in with_it.entities if e.kind == concept)
        x, y = _changed(with_it, without)
        margin = 1.3 * thing.size + (3 if with_it.style == "pixelated" else 1)
        assert len(x) and (np.abs(x - thing.x) < margin).all() and (np.abs(y - thing.y) < margin).all()


def test_pixels_change_only_in_the_face_when_the_emotion_does():
    rng = np.random.default_rng(3)
    for _ in range(5):
        with_it, without = pair("anger", rng, "remove")
        x, y = _changed(with_it, without)
        reach = with_it.face.size * 1.5 + 3
        assert len(x) and (np.abs(x - with_it.face.x) < reach).all() and (np.abs(y - with_it.face.y) < reach).all()


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_neutral_scene_lacks_the_concept(concept):
    rng = np.random.default_rng(4)
    assert all(concept not in true_concepts(neutral(concept, rng)) for _ in range(20))


def test_an_unknown_concept_or_negative_is_named():
    with pytest.raises(ValueError, match="no concept 'dog'"):
        pair("dog", np.random.default_rng(0))
    with pytest.raises(ValueError, match='"replace" or "remove"'):
        pair("cat", np.random.default_rng(0), "erase")
