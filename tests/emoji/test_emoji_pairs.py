import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.emoji import CONCEPTS, draw, pair, true_concepts
from mllm_probe.emoji.emoji_scene import grounds_for
from mllm_probe.emoji.lexicon import ENTITIES, LANDMARKS, NOUNS, RELATIONS

SOME = [name for name in CONCEPTS if name not in ENTITIES] + list(ENTITIES[::9])


@pytest.mark.parametrize("negative", ["replace", "remove"])
@pytest.mark.parametrize("concept", SOME)
def test_a_pair_differs_in_the_concept_and_nothing_else(concept, negative):
    rng = np.random.default_rng(0)
    for _ in range(10):
        with_it, without = pair(concept, rng, negative)
        positive, other = set(true_concepts(with_it)), set(true_concepts(without))
        assert positive - other == {concept}
        gained = other - positive
        if negative == "remove" and CONCEPTS[concept].category != "visual_style":
            assert not gained
        else:
            assert [CONCEPTS[one].category for one in gained] == [CONCEPTS[concept].category]
        same = ("background", "seed", "texture", "source")
        assert [getattr(with_it, name) for name in same] == [getattr(without, name) for name in same]


@pytest.mark.parametrize("concept", ["cat", "scissors", "sun", "angry"])
@pytest.mark.parametrize("negative", ["replace", "remove"])
def test_pixels_change_only_where_the_thing_stands(concept, negative):
    rng = np.random.default_rng(2)
    for _ in range(12):
        with_it, without = pair(concept, rng, negative)
        item = next(one for one in with_it.items if one.name == concept)
        changed = (np.asarray(draw(with_it, 128), int) != np.asarray(draw(without, 128), int)).any(-1)
        y, x = (places / 2 for places in np.nonzero(changed))
        margin = item.size * 1.2 + 3
        assert len(x) and (np.abs(x - item.x) < margin).all() and (np.abs(y - item.y) < margin).all()


def test_a_removed_thing_leaves_another():
    rng = np.random.default_rng(3)
    assert all(len(pair("cat", rng, "remove")[1].items) == 1 for _ in range(10))


def test_what_takes_a_place_stands_out_from_the_ground():
    rng = np.random.default_rng(4)
    for _ in range(60):
        without = pair("cat", rng)[1]
        assert all(without.background in grounds_for(item.icon) for item in without.items)


@pytest.mark.parametrize("concept", RELATIONS)
def test_a_relation_is_to_a_landmark_so_that_the_picture_tells_which_is_which(concept):
    rng = np.random.default_rng(5)
    for _ in range(30):
        for scene in pair(concept, rng):
            subject, reference = (item.name for item in scene.items)
            assert reference in LANDMARKS and subject not in LANDMARKS
    assert set(LANDMARKS) <= set(NOUNS)


def test_an_unknown_concept_or_negative_is_named():
    with pytest.raises(ValueError, match="no concept 'wombat'"):
        pair("wombat", np.random.default_rng(0))
    with pytest.raises(ValueError, match='"replace" or "remove"'):
        pair("cat", np.random.default_rng(0), "erase")


@pytest.fixture(scope="module")
def library():
    return mp.concepts.emoji(concepts=["octopus", "neon", "sleepy", "order", "inside"], pairs=6, size=64)


def test_pairs_of_the_library_show_the_concept_on_one_side_only(library):
    assert library.categories == ("entity", "visual_style", "emotion", "abstract", "relation")
    for name, concept in library.items():
        assert concept.paired and len(concept.positive) == len(concept.negative) == 6
        for with_it, without in zip(concept.positive, concept.negative, strict=True):
            assert name in with_it.labels and name not in without.labels
            assert with_it.pair == without.pair and with_it.id != without.id
            assert with_it.image.size == (64, 64)


def test_pictures_are_the_same_every_time_and_differ_by_seed(library):
    again = mp.concepts.emoji(concepts=list(library), pairs=6, size=64)
    other = mp.concepts.emoji(concepts=list(library), pairs=6, size=64, seed=1)
    assert again.fingerprint == library.fingerprint != other.fingerprint
    first, second = (one["octopus"].positive[2].image for one in (again, library))
    assert np.array_equal(np.array(first), np.array(second))
    keys = [{p.key for c in one.values() for p in c.pictures} for one in (library, other)]
    assert not keys[0] & keys[1]


def test_words_are_names_plurals_and_synonyms():
    library = mp.concepts.emoji(concepts=["mouse", "bicycle", "wolf", "happy", "chaos"], pairs=1)
    words = {name: set(concept.words) for name, concept in library.items()}
    assert {"mouse", "mice"} <= words["mouse"] and {"wolf", "wolves"} <= words["wolf"]
    assert "bike" in words["bicycle"] and "cheerful" in words["happy"] and "chaotic" in words["chaos"]
    assert all(concept.words[0] == name for name, concept in library.items())


def test_unknown_concepts_of_the_library_are_named():
    with pytest.raises(ValueError, match="did you mean 'octopus'"):
        mp.concepts.emoji(concepts=["octopuss"])
    with pytest.raises(ValueError, match="not one string"):
        mp.concepts.emoji(concepts="octopus")
