"""Recognition versus reasoning on a bundled model: what follows from a relation, and what names it."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts.relation_questions import PROBLEM, QUESTIONS, drawn_relations, scene_of
from mllm_probe.plots.charts import study_chart
from mllm_probe.studies import recognition_study as home
from mllm_probe.studies.multiverse import details_of
from mllm_probe.studies.recognition_study import (
    asking_pairs,
    posing,
    recognition_vs_reasoning,
    shares_of_interchange,
    used,
    without_broken,
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
    assert early.values.min() >= 0.7
    assert study.implied_random.sel(scope="image", layer=0).values.max() <= 0.2


def test_a_late_edit_of_the_answer_is_recognised_and_solves_nothing(study):
    late = study.sel(scope=ANSWERING, edit_kind="1 residual norm", layer=2).mean("concept")
    assert float(late.implied.sel(asked="recognition")) >= 0.9
    assert float(late.implied.sel(asked="problem")) <= 0.3
    assert float(late.broken.sel(asked="problem")) >= 0.7 > 0.2 >= float(late.broken.sel(asked="recognition"))
    assert float(late.relation_itself + late.broken.sel(asked="problem")) <= 1, "broken answers name no relation"


def test_only_edits_of_the_image_are_compared_with_relations_as_units(study):
    assert study.sizes["specification"] == 32 and "scope" not in study.aspect.values
    assert study.attrs["n_units"] == 2 and study.attrs["compares"] == "relations" and study.attrs["fewest"] == 8
    assert list(study.replication.values) == ["control on_manifold", "half first", "half second"]
    rows = dict(details_of(study))
    assert "not counted" in rows[f"answers of the new relation, {ANSWERING}, 1 residual norm"]
    assert "not counted" not in rows["answers of the new relation, image, 1 residual norm"]


def test_controls_are_printed_at_both_doses_with_the_largest_cell(study):
    rows = dict(details_of(study))
    for dose in ("1 residual norm", "2 residual norms"):
        said = rows[f"random, on-manifold directions, image, {dose}"]
        here = study.sel(scope="image", edit_kind=dose, asked="problem")
        for kind in ("random", "on_manifold"):
            cells = here[f"implied_{kind}"]
            assert f"{float(cells.mean()):.2f} (largest {float(cells.max()):.2f})" in said.split("problem ")[1]


def test_pairs_of_the_library_that_pose_one_problem_give_interchange(study, library):
    assert (study.pairs >= 3).all() and (study.pairs <= 6).all()
    early = study.interchange.sel(asked=["recognition", "problem"], layer=0)
    assert (early > 5).all() and np.isnan(study.interchange.sel(asked="reading")).all()
    run = SimpleNamespace(
        others=library.subset(concepts=RELATIONS), concepts=RELATIONS,
        subject=SimpleNamespace(fitted=None),
    )  # fmt: skip
    questions = drawn_relations()
    for name, pairs in asking_pairs(run, questions).items():
        assert pairs
        for image, counterfactual in pairs:
            assert questions.ask(image) == questions.ask(counterfactual) is not None
            assert questions.shown(image) == name != questions.shown(counterfactual)


def made_sweep(own, *, recognised=(1, 1, 1, 1), layers=2):
    """A sweep of two relations on four images: effects of one dose against random directions that do nothing."""
    shape = (2, layers, 1, 3, 8, 4)
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    logprob = np.zeros(shape)
    logprob[:, :, :, 0] = np.asarray(own, float).reshape(2, layers, 1, 1, 1)
    said = np.zeros(shape)
    said[:, :, :, 0] = recognised
    grid = xr.Dataset(
        {"logprob": (dims, logprob, {"direction": 1}), "named": (dims, said, {"direction": 1, "scale": "share"}),
         "text": (dims, np.full(shape, "left")), "broken": (dims, np.zeros(shape, bool)),
         "logprob_unsteered": (("concept", "sample"), np.zeros((2, 4))),
         "named_unsteered": (("concept", "sample"), np.zeros((2, 4))),
         "eligible": (("concept", "strength", "sample"), np.ones((2, 1, 4), bool))},
        {"concept": RELATIONS, "layer": range(layers), "strength": [1.0],
         "control": ["concept", "random", "on_manifold"]},
        {"metrics": ["logprob", "named"], "operation": "add"},
    )  # fmt: skip
    return grid


def made_pairs(moved, says=((1, 1, 1), (1, 1, 1))):
    """Three pairs of two relations: what interchange does in nats, by question and layer, and the unsteered answers."""
    table = np.broadcast_to(np.asarray(moved, float)[:, None, :, None], (2, 2, len(moved[0]), 3))
    answers = np.broadcast_to(np.asarray(says, float)[:, None], (2, 2, 3))
    coords = {"asked": ["recognition", "problem"], "concept": RELATIONS, "layer": range(len(moved[0]))}
    gap = np.broadcast_to(np.asarray(moved, float).max(1)[:, None, None], (2, 2, 3))
    dims = ("asked", "concept", "sample")
    return xr.Dataset({"moved": (("asked", "concept", "layer", "sample"), table), "gap": (dims, gap),
                       "says": (dims, answers), "says_without": (dims, 0 * answers)}, coords)  # fmt: skip


WAY = {"strength": 1.0, "metric": "logprob", "unit": "residual", "layers": "mean", "images": "all", "control": "random",
       "half": "all"}  # fmt: skip


def shares_of(recognition, problem, pairs, **way):
    swept = {"recognition, image, residual": recognition, "problem, image, residual": problem}
    read = shares_of_interchange(swept, pairs, 0)
    return [read(question, **WAY | way).tolist() for question in ("recognition", "problem")]


def test_effects_are_shares_of_what_interchange_does_under_the_same_prompt():
    """Twice as many nats under the one prompt were a positive verdict, though either is half of what the images do."""
    sweeps = made_sweep([[4, 0], [4, 0]]), made_sweep([[2, 0], [2, 0]])
    pairs = made_pairs([[8, 0], [4, 0]])
    assert shares_of(*sweeps, pairs) == [[0.5, 0.5], [0.5, 0.5]]
    assert shares_of(*sweeps, pairs, layers="best") == [[0.5, 0.5], [0.5, 0.5]]
    assert shares_of(*sweeps, made_pairs([[0, 8], [0, 4]]), layers="best")[0] == [0.0, 0.0], (
        "where interchange does most"
    )
    assert shares_of(*sweeps, pairs, metric="named") == [[1, 1], [1, 1]]
    few = pairs.isel(sample=[0, 1])
    assert (
        np.isnan(shares_of(*sweeps, few)).all()
        and np.isnan(shares_of(*sweeps, made_pairs([[0.4, 0], [4, 0]]))[0]).all()
    )


def test_of_recognised_images_alone_the_problem_may_be_solved_or_not():
    known = made_sweep([[4], [4]], recognised=(1, 1, 0, 0), layers=1)
    solved = made_sweep([[2], [2]], recognised=(1, 0, 1, 1), layers=1)
    pairs = made_pairs([[8], [4]])
    way = {"metric": "named", "images": "recognised"}
    assert shares_of(known, solved, pairs, **way) == [[1, 1], [0.5, 0.5]]
    assert shares_of(known, solved, pairs, metric="named") == [[0.5, 0.5], [0.75, 0.75]]
    forgotten = made_pairs([[8], [4]], says=((1, 1, 0), (1, 1, 1)))
    assert np.isnan(shares_of(known, solved, forgotten, **way)).all(), "two pairs that are recognised are too few"


def test_a_broken_answer_is_not_the_new_relation(study):
    dims = ("row",)
    texts = ["right", "right of the house", "right of the right of right", "right of right of right", ""]
    grid = xr.Dataset({
        "named": (dims, [1.0, 1, 1, 1, 0]), "text": (dims, texts), "perplexity": (dims, [np.nan, 1.2, 1.5, 40, np.nan]),
        "repetition": (dims, [0.0, 0, 0.5, 0, 0]), "repetition_unsteered": (dims, np.zeros(5)),
    })  # fmt: skip
    clean = without_broken(grid)
    assert clean.named.values.tolist() == [1, 1, 0, 0, 0], "one word has no other whose perplexity counts"
    late = study.sel(scope=ANSWERING, edit_kind="2 residual norms", layer=2, asked="problem")
    assert (late.broken > 0.5).all() and (study.sel(scope="image", edit_kind="1 residual norm").broken < 0.2).all()


@pytest.mark.parametrize(
    ("recognised", "solved", "said"),
    [
        ([0.9, 0.8, 0.9, 0.95], [0.9, 0.8, 0.85, 0.9], "the relation is used"),
        ([0.9, 0.8, 0.9, 0.95], [0.0, 0.1, 0.0, 0.05], "the relation is not shown to be used"),
        ([0.0, 0.1, 0.0, 0.05], [0.0, 0.1, 0.0, 0.0], "the edit does not change what is recognised"),
        ([0.9, 0.8], [0.9, 0.8], "too few relations to say whether the relation is used"),
    ],
)
def test_whether_a_relation_is_used_is_said_by_what_is_solved(recognised, solved, said):
    implied = (("asked", "concept"), [recognised, recognised, solved])
    at = xr.Dataset(
        {"implied": implied, "implied_random": (implied[0], np.zeros((3, len(solved))))}, {"asked": list(QUESTIONS)}
    )
    assert used(at) == said


def test_words_and_a_related_relation_stand_beside_steering(study):
    assert (study.own > study.related + 1).all(), "the concept's own vector does more for its word"
    assert "told in words in place of steering" in study.attrs["details"]
    assert "image, block 0, +1 residual norm" in study.attrs["details"]


def test_the_summary_says_what_cannot_be_concluded(study):
    asked, found, open_ = study.attrs["summary"].splitlines()
    assert asked.startswith("Asked of 2 relations") and "too few relations to say" in found
    assert open_ == "Nothing is concluded about the paper: it compares 2 relations, and 8 are needed."
    recognised = study.sel(scope="image", edit_kind="1 residual norm", layer=0)
    assert f"{float(recognised.solved.mean()):.2f} where it is recognised" in found
    assert study.stated.sizes == {"asked": 3, "concept": 2}
    followed = max(float(study[name].sel(asked=PROBLEM).mean()) for name in ("stated", "stated_step"))
    assert ("does not follow a sentence against the image" in study.attrs["details"]) == (followed < 0.5)


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
