from mllm_probe.scenes import CATEGORIES, CONCEPTS
from mllm_probe.scenes.scene import names


def test_the_world_has_sixteen_things_and_eight_concepts_of_every_other_category():
    assert {category: len(names(category)) for category in CATEGORIES} == {
        "entity": 16, "visual_style": 8, "emotion": 8, "abstract": 8, "relation": 8,
    }  # fmt: skip


def test_names_are_single_lower_case_words_and_the_first_of_their_forms():
    for name, concept in CONCEPTS.items():
        assert name.isalpha() and name.islower()
        assert concept.words[0] == name == concept.name


def test_no_form_names_two_concepts():
    words = [word for concept in CONCEPTS.values() for word in concept.words]
    assert len(words) == len(set(words))
