"""The library that a bundled model is shown with."""

import mllm_probe as mp
from mllm_probe.concepts.bundled_worlds import library_call, map_settings


def test_the_emoji_model_is_shown_two_dozen_concepts_of_all_categories():
    made = library_call("emoji-135m", pairs=2)
    library = made()
    assert made.function == "emoji" and len(library) == 24
    categories = {str(concept.category) for concept in library.values()}
    assert categories == {"entity", "visual_style", "emotion", "abstract", "relation"}
    assert {name: one.positive[0].id for name, one in library.items()} == {
        name: one.positive[0].id for name, one in mp.concepts.emoji(**made.arguments).items()
    }


def test_drawn_models_are_shown_all_concepts_of_the_drawn_world():
    assert list(library_call("scenes-4l", pairs=2)()) == list(mp.concepts.scenes(pairs=2))


def test_a_model_that_is_not_bundled_has_no_library_of_its_own():
    assert library_call("org/name") is None


def test_the_map_of_a_language_model_steers_its_image_tokens():
    assert map_settings("emoji-135m").tokens == ("image",)


def test_drawn_models_are_steered_at_the_last_prompt_token_and_others_where_answers_grow_too():
    assert [map_settings(f"scenes-{blocks}l").tokens for blocks in (4, 8, 16)] == [("last_prompt",)] * 3
    assert map_settings("org/name").tokens == ("last_prompt", "generated")
