"""The library that a model is shown with."""

import mllm_probe as mp
from mllm_probe.concepts.drawn import FIRST_LOOK_PAIRS, PAIRS, MapSettings, library_call, map_settings
from mllm_probe.metrics.statistics import LEAST_IMAGES


def test_any_other_model_is_shown_two_dozen_concepts_of_all_categories():
    made = library_call("org/name", pairs=2)
    library = made()
    assert made.function == "emoji" and len(library) == 24
    categories = {str(concept.category) for concept in library.values()}
    assert categories == {"entity", "visual_style", "emotion", "abstract", "relation"}
    assert {name: one.positive[0].id for name, one in library.items()} == {
        name: one.positive[0].id for name, one in mp.concepts.emoji(**made.arguments).items()
    }


def test_a_first_look_holds_as_many_pairs_out_as_a_verdict_needs():
    library = library_call("org/name")()
    _, held_out = library.split(seed=0)
    assert {len(side) for one in held_out.values() for side in (one.positive, one.negative)} == {LEAST_IMAGES}
    assert library_call("org/name").arguments["pairs"] == FIRST_LOOK_PAIRS < PAIRS


def test_drawn_models_are_shown_all_concepts_of_the_drawn_world():
    assert list(library_call("scenes-4l", pairs=2)()) == list(mp.concepts.scenes(pairs=2))
    for name in ("scenes-8l", "scenes-8l-seed1"):
        assert library_call(name).function == "scenes" and library_call(name).arguments == {"pairs": PAIRS}


def test_drawn_models_are_steered_at_the_last_prompt_token_and_others_where_answers_grow_too():
    assert [map_settings(f"scenes-{blocks}l").tokens for blocks in (4, 8, 16)] == [("last_prompt",)] * 3
    assert map_settings("scenes-8l-seed1").tokens == ("last_prompt",)
    assert map_settings("scenes-8l").first in map_settings("scenes-8l").strengths
    assert map_settings("org/name") == MapSettings() and MapSettings().tokens == ("last_prompt", "generated")
