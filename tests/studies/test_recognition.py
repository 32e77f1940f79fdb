"""Recognition versus reasoning on a bundled model: what follows from a relation, and what names it."""

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.plots.charts import study_chart
from mllm_probe.studies import recognition_study as home
from mllm_probe.studies.recognition_study import (
    PROBLEM,
    QUESTIONS,
    drawn_relations,
    posing,
    recognition_vs_reasoning,
    scene_of,
)

RELATIONS = ["left", "right"]
ANSWERING = "last_prompt+generated"


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=[*RELATIONS, "cat"], pairs=16)


@pytest.fixture(scope="module")
def study(library):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "DEPTHS", (0.25, 0.75))
        patch.setattr(home, "_EACH", 4)
        return recognition_vs_reasoning(mp.load("scenes-4l"), library, progress=False)


def test_the_unsteered_model_solves_what_it_recognises(study):
    assert study.asked.values.tolist() == list(QUESTIONS) and study.images.values.tolist() == [8, 8, 8]
    assert study.accuracy.values.min() >= 0.75
    assert (study.accuracy_low < study.accuracy).all() and (study.accuracy_high <= 1).all()


def test_figures_name_the_prompts_that_were_asked(study):
    asked = study.attrs["prompt"]
    assert asked[0] == "What is the relation?" and all(one.startswith("Where is the ") for one in asked[1:])
    said = study_chart(study).caption[-1]
    assert said.startswith("prompts “What is the relation?”, “Where is the ") and f" and {len(asked) - 3} more" in said
    assert "What do you see?" not in said


def test_an_edit_of_the_image_changes_what_follows_from_the_relation(study):
    early = study.implied.sel(scope="image", edit_kind="2 residual norms", layer=0).mean("concept")
    assert early.values.min() >= 0.8
    assert study.implied_random.sel(scope="image", layer=0).values.max() <= 0.2


def test_a_late_edit_of_the_answer_names_the_relation_and_solves_nothing(study):
    late = study.sel(scope=ANSWERING, edit_kind="1 residual norm", layer=2).mean("concept")
    assert float(late.implied.sel(asked="recognition")) >= 0.9
    assert float(late.implied.sel(asked="problem")) <= 0.3
    assert float(late.relation_itself) >= 0.7


def test_the_verdicts_are_recognition_minus_problem(study):
    assert study.sizes["specification"] == 128
    settings = study.setting.to_pandas()
    last = (settings["scope"] == ANSWERING) & (settings["metric"] == "named") & (settings["layers"] == "best")
    assert (study.verdict.values[last.values] > 0).all()
    assert "effect on recognition minus effect on the problem: positive in" in study.attrs["summary"]


def test_words_and_a_related_relation_stand_beside_steering(study):
    assert (study.own > study.related + 1).all(), "the concept's own vector does more for its word"
    assert "Told in words in place of steering" in study.attrs["summary"]
    assert "image, block 0, +1 residual norm" in study.attrs["summary"]


def test_the_summary_says_what_cannot_be_concluded(study):
    said = study.attrs["summary"]
    assert "2 relations" in said and "Fewer than 8 concepts of relation" in said
    assert study.stated.sizes == {"asked": 3, "concept": 2}
    followed = max(float(study[name].sel(asked=PROBLEM).mean()) for name in ("stated", "stated_step"))
    assert ("does not follow a sentence against the image" in said) == (followed < 0.5)


def test_questions_are_about_two_things_and_their_opposite(library):
    questions = drawn_relations()
    images = posing(library.subset(concepts=RELATIONS), questions, 2)
    assert [questions.shown(one) for one in images] == np.repeat(RELATIONS, 2).tolist()
    first = images[0]
    scene = scene_of(first)
    assert questions.ask(first)[PROBLEM] == f"Where is the {scene.reference}?"
    assert questions.answers[PROBLEM]["left"] == ("right",)
    assert questions.state(first, "above") == f"The {scene.subject} is above the {scene.reference}."
    assert questions.step(first, "above") == f"The {scene.reference} is below the {scene.subject}."


def test_what_is_missing_is_said(library):
    model = mp.load("scenes-4l")
    with pytest.raises(ValueError, match="expected a library with two of the relations left, right, above, below"):
        recognition_vs_reasoning(model, library.subset(concepts=["cat", "left"]), progress=False)
    left = mp.concepts.Concept("left", "relation", ("left",), [_plain(1)], [_plain(2)], paired=True)
    folder = mp.concepts.ConceptLibrary([left], "two")
    with pytest.raises(ValueError, match="known for images of mp.concepts.scenes only"):
        posing(folder, drawn_relations(), 2)
    none = drawn_relations()
    none = type(none)(lambda picture: None, none.answers, none.state, none.step, none.shown)
    with pytest.raises(ValueError, match="no image of the relation 'left' poses the problem"):
        posing(library.subset(concepts=RELATIONS), none, 2)


def _plain(seed):
    from PIL import Image

    from mllm_probe.concepts import Picture

    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    return Picture(Image.fromarray(pixels), pair=0)
