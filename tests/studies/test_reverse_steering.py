"""The study of reverse steering: what is left of an edit has a sign, and is compared with random directions."""

import re

import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.steering.operations import random_direction
from mllm_probe.studies.multiverse import details_of
from mllm_probe.studies.reverse_study import (
    DRAWS,
    EDITS,
    GRIDS,
    IMAGES,
    KINDS,
    edited_directions,
    outcome_of,
    ratios,
    reverse_grid,
    reverse_steering,
    shown_images,
    what_is_left,
)
from mllm_probe.studies.study_runs import StudyRuns
from mllm_probe.vectors import concept_vectors

LAST = "last_prompt+generated"
PUSHED = {"scope": LAST, "edit_kind": "-1 residual norm"}


def made_change(own, drawn, *, at_edit=1.0, images=6):
    """Changes (negative: with the edit) of concepts and of draws, edited at block 1 of three and read at the last."""
    own, drawn = np.asarray(own, float), np.asarray(drawn, float)
    change = np.full((len(own), 1, 3, len(drawn), images, 3), np.nan)
    for kind, rows in enumerate(([own[:, None]], [drawn[None]], [drawn[None]])):
        rows = np.broadcast_to(rows[0], (len(own), 1 if kind == 0 else len(drawn)))
        here = change[:, 0, kind, : rows.shape[1]]
        here[..., 0], here[..., 1], here[..., 2] = 0, -at_edit, -rows[..., None]
    coords = {"concept": [f"c{i}" for i in range(len(own))], "layer": [1], "control": ["concept", *KINDS],
              "read_layer": [0, 1, 2]}  # fmt: skip
    return xr.Dataset({"change": (("concept", "layer", "control", "draw", "sample", "read_layer"), change)}, coords)


def found_of(own, drawn, place=LAST, edit="-1 residual norm"):
    return ratios(what_is_left(made_change(own, drawn), place, edit, 0)).isel(layer=0).sel(control="random")


BY_CHANCE = np.repeat([1.0, -0.9, 0.8, -1.1], 2)
"""What is left of random edits of image tokens at the last prompt token: of either sign."""


def test_a_suppression_that_reaches_the_last_token_persists_and_is_no_compensation():
    """Twice as large as random changes and with the edit: without its sign it passed for a surge."""
    found = found_of(np.linspace(1.7, 2.0, 8), BY_CHANCE, "image")
    assert found.ratio_mean == pytest.approx(1.85 / 0.95) and found.ratio_low > 0
    assert found.outcome.item() == "persists and grows"
    against = found_of(-np.linspace(1.7, 2.0, 8), BY_CHANCE, "image")
    assert against.outcome.item() == "compensates" and against.ratio_mean == -found.ratio_mean
    either = found_of([2.0, -2.0, 1.9, -1.8, 2.0, -1.9, 2.1, -2.1], BY_CHANCE, "image")
    assert either.outcome.item() == "has no sign"


def test_six_percent_more_than_random_directions_is_growth_where_its_interval_says_so():
    steady = np.full(8, 1.0)
    found = found_of(1.06 + 0.03 * np.linspace(-1, 1, 8), steady)
    assert found.ratio_control == 1 and found.outcome.item() == "persists and grows"
    assert [round(float(found[f"ratio_{name}"]), 2) for name in ("mean", "low", "high")] == [1.06, 1.04, 1.08]
    assert found_of(0.94 + 0.03 * np.linspace(-1, 1, 8), steady).outcome.item() == "persists and shrinks"
    assert found_of(1.06 + 0.3 * np.linspace(-1, 1, 8), steady).outcome.item() == "persists"
    assert found_of(-0.5 + 0.03 * np.linspace(-1, 1, 8), steady).outcome.item() == "compensates"


def test_growth_counts_the_spread_of_random_directions_which_all_concepts_share():
    """By concepts alone, directions of one kind would differ from random ones of the same kind one time in five."""
    g, wrong, alone = np.random.default_rng(0), 0, 0
    for _ in range(400):
        own, pairs = 1 + 0.1 * g.standard_normal(8), 1 + 0.1 * g.standard_normal(DRAWS // 2)
        found = found_of(own, np.repeat(pairs, 2))
        wrong += found.outcome.item() != "persists"
        low, high = mp.metrics.statistics.t_interval(found.ratio.isel(read_layer=-1).values)
        alone += not low <= 1 <= high
    assert wrong <= 0.09 * 400 < 0.15 * 400 < alone


def test_nothing_is_said_of_two_concepts_and_an_ablated_image_is_not_compared_with_random_ablations():
    assert found_of([1.1, 1.2], np.ones(8)).outcome.item() == "not known"
    assert np.isnan(found_of([1.1, 1.2], np.ones(8)).ratio_low)
    ablated = found_of(np.linspace(1.7, 2.0, 8), BY_CHANCE, "image", "ablation")
    assert ablated.outcome.item() == "persists" and np.isnan(ablated.ratio_mean)
    assert outcome_of(np.nan, np.nan, 1.1, 1.2, 1.0) == "not known"


def test_what_is_left_of_an_edit_of_the_last_token_is_a_share_of_its_size_there():
    left = what_is_left(made_change([3.0, 4.0, 5.0], np.full(8, 2.0), at_edit=2.0), LAST, "ablation", 0)
    one = left.sel(half="all", layer=1)
    np.testing.assert_allclose(one.sel(control="concept", draw=0), [[0, 1, 1.5], [0, 1, 2], [0, 1, 2.5]])
    np.testing.assert_allclose(one.sel(control="random").isel(read_layer=-1), 1)
    turned = made_change([3.0, 4.0, 5.0], np.full(8, 2.0), at_edit=2.0)
    turned["change"][{"sample": 0}] *= -1
    again = what_is_left(turned, LAST, "ablation", 0)
    np.testing.assert_allclose(again, left, err_msg="an ablation adds where an image lacks the direction")


@pytest.fixture(scope="module")
def planted():
    return mp.studies.truth.plant(layers=6, block=4, kinds=("local", "distributed"), pairs=24)


@pytest.fixture(scope="module")
def study(planted):
    return reverse_steering(planted.model, planted.library, progress=False)


def test_a_push_that_nothing_answers_is_as_large_at_the_last_block_as_its_control(study):
    pushed = study.sel(PUSHED)
    np.testing.assert_allclose(pushed.ratio_mean, 1, atol=0.05)
    np.testing.assert_allclose(pushed.ratio_control, 1, atol=1e-9)
    assert (pushed.outcome == "not known").all(), "two concepts have no interval"
    assert (pushed.change.isel(layer=0, read_layer=-1) < 0).all(), "it points where the edit pushed it"


def test_a_block_that_amplifies_the_concept_alone_makes_its_edit_grow(planted, study):
    factor, fitted = 1.6, planted.library.split()[0]
    vectors = concept_vectors(planted.model, fitted, tokens=("image", "last_prompt"), probe_accuracy=False)
    directions = torch.from_numpy(vectors.vector.sel(scope="last_prompt", layer=2).values)
    plane = torch.linalg.qr(directions.T.double()).Q.float()

    def amplify(module, arguments, output):
        whole = output[0] if isinstance(output, tuple) else output
        louder = whole + (factor - 1) * (whole @ plane) @ plane.T
        return (louder, *output[1:]) if isinstance(output, tuple) else louder

    handle = planted.model.layout.blocks[-1].register_forward_hook(amplify)
    try:
        louder = reverse_steering(planted.model, planted.library, vectors=vectors, progress=False)
    finally:
        handle.remove()
    middle = louder.sel(PUSHED).sel(layer=2, control="random")
    assert middle.ratio_mean == pytest.approx(factor, rel=0.15)
    assert (louder.verdict > 0.1).all() and (abs(study.verdict) < 0.06).all()
    chosen = louder.setting.isel(specification=louder.attrs["headline"]).values.tolist()
    assert louder.sizes["specification"] == 9 and chosen == ["-1 residual norm", "0.5"]
    assert louder.attrs["n_units"] == 2 and "it compares 2 concepts, and 8 are needed" in louder.attrs["summary"]


def test_the_ways_are_what_is_left_beyond_random_directions_at_the_last_token(study):
    headline = study.verdict[study.attrs["headline"]]
    here = study.sel(PUSHED).sel(layer=2, control="random")
    assert float(headline) == pytest.approx(float(here.ratio_mean - here.ratio_control))
    expected = here.ratio.isel(read_layer=-1).mean()
    assert float(here.ratio_mean) == pytest.approx(float(expected))
    assert list(study.replication.values) == ["control orthogonal", "half first", "half second"]


def test_three_sentences_and_a_table_say_what_is_left_at_both_places(study):
    asked, found, open_ = study.attrs["summary"].splitlines()
    assert asked.startswith("Asked of 2 concepts") and "of the image tokens, it" in found
    assert found.count("has no outcome below 3 concepts: +") == 2
    assert "positive in" in found and open_.endswith("whose measure of a surge is not known.")
    rows = dict(details_of(study))
    left = [name for name in rows if name.startswith("left at the last block")]
    assert len(left) == 2 * len(EDITS) and all(rows[name].count("block ") == study.sizes["layer"] for name in left)
    assert "not comparable with random directions" in rows["left at the last block, image, ablation"]
    assert not re.search(r"\bnan\b", study.attrs["summary"] + study.attrs["details"])


def test_directions_orthogonal_to_the_concept_are_a_control_of_their_own(study):
    pushed = study.sel(PUSHED).isel(read_layer=-1)
    np.testing.assert_allclose(pushed.ratio_mean.sel(control="orthogonal"), 1, atol=0.05)
    assert not np.allclose(pushed.lens_orthogonal, pushed.lens_random)
    one = pushed.sel(concept="distributed")
    assert (abs(one.lens_orthogonal - one.lens_unsteered) < abs(one.lens - one.lens_unsteered)).all()


def test_a_probe_says_that_the_concept_is_gone_and_spreads_are_those_of_unsteered_images(study):
    pushed = study.sel(PUSHED).isel(layer=-1, read_layer=-1)
    assert (pushed.probe_unsteered > 1).all(), "images that show the concept, from images without it"
    one = pushed.sel(concept="distributed")
    assert one.probe < one.probe_unsteered - 1
    for kind in ("random", "orthogonal"):
        assert abs(one[f"probe_{kind}"] - one.probe_unsteered) < 0.5 * abs(one.probe - one.probe_unsteered)
    later = study.sel(PUSHED).isel(read_layer=-1)
    spread = later.change / later.change_in_spreads
    assert (spread > 0).all() and spread.std("concept").max() > 0, "of each concept its own"


def test_a_change_is_read_along_the_vector_of_each_block_too(study):
    pushed = study.sel(PUSHED)
    for layer in pushed.layer.values:
        one = pushed.sel(layer=layer, read_layer=layer)
        np.testing.assert_allclose(one.change_at_block, one.change, rtol=1e-5)
    last = pushed.isel(layer=0, read_layer=-1)
    assert (abs(last.change_at_block) < 0.99 * abs(last.change)).any(), "these vectors turn from block to block"


def test_concepts_share_images_and_random_directions():
    model, library = mp.load("scenes-4l"), mp.concepts.scenes(concepts=["cat", "bird", "neon"], pairs=24)
    names = dict.fromkeys(("vectors", "grids", "prompt", "store"))
    run = StudyRuns("reverse_steering", GRIDS, model, library, seed=0, progress=False, **names)
    probes = run.vectors("last_prompt", method="probe")
    shown = shown_images(run)
    assert len(shown.pictures) < 3 * IMAGES
    grid = reverse_grid(run, "last_prompt+generated", "residual", probes)
    assert dict(grid.sizes) | {"sample": IMAGES, "draw": DRAWS} == dict(grid.sizes)
    assert grid.eligible.any("sample").all()
    alone = mp.sweep(
        model, run.vectors("image", "last_prompt").sel(concept=["neon"]), shown["neon"].positive, layers=[1],
        strengths=(-1,), metrics=("logprob",), controls=("random", "orthogonal"), draws=DRAWS, progress=False,
    ).isel(concept=0, layer=0)  # fmt: skip
    np.testing.assert_allclose(grid.logprob.sel(concept="neon", layer=1), alone.logprob, atol=1e-3)


def test_the_answer_loses_a_concept_that_is_pushed_away(study):
    lost = study.sel(PUSHED).sel(concept="distributed").isel(layer=-1)
    assert lost.named_unsteered == 1 and lost.named < 0.1 and lost.named_random >= 0.3
    assert lost.logprob < -1
    assert lost.lens.isel(read_layer=-1) < lost.lens_random.isel(read_layer=-1) - 1


def test_what_the_last_token_has_yet_to_read_comes_back_unless_the_image_is_edited(study):
    """A concept that block 4 alone reads is not at the last token before, so that ablation there takes nothing."""
    ablated = study.sel(edit_kind="ablation", concept="local").isel(layer=0, read_layer=-1)
    kept, taken = (float(ablated.lens.sel(scope=place)) for place in ("last_prompt+generated", "image"))
    unsteered = float(ablated.lens_unsteered.isel(scope=0))
    assert kept == pytest.approx(unsteered, abs=0.1) and taken < unsteered - 0.5


def test_changes_are_read_along_the_edited_direction_at_every_block(planted):
    vectors = concept_vectors(planted.model, planted.library.split()[0], tokens=("last_prompt",), probe_accuracy=False)
    grid = mp.sweep(
        planted.model, vectors, planted.library.pictures[:2], layers=[1, 3], strengths=(-1,), draws=4, seed=3,
        metrics=("logprob",), controls=("random",), progress=False,
    )  # fmt: skip
    found = edited_directions(grid, vectors, seed=3)
    own = vectors.vector.sel(scope="last_prompt", layer=[1, 3]).values
    own = own / np.linalg.norm(own, axis=-1, keepdims=True)
    concept, random = (grid.control.values.tolist().index(kind) for kind in ("concept", "random"))
    np.testing.assert_allclose(found[:, :, concept, 0], own, rtol=1e-5)
    assert np.isnan(found[:, :, concept, 1:]).all(), "a concept has one direction"
    expected = random_direction(3, 2, own.shape[-1]).numpy()
    np.testing.assert_allclose(found[1, 0, random, 2], expected, rtol=1e-6)


def test_what_was_run_already_is_taken_and_other_names_are_refused(planted, study, tmp_path):
    first = reverse_steering(planted.model, planted.library, store=tmp_path, progress=False)
    again = reverse_steering(planted.model, planted.library, store=tmp_path, progress=False)
    np.testing.assert_array_equal(first.logprob, again.logprob)
    np.testing.assert_allclose(first.ratio_mean, study.ratio_mean, rtol=1e-5)
    kept = [path.name for path in tmp_path.iterdir() if not path.name.startswith("check ")]
    assert sorted(kept) == sorted(f"{name}.zarr" for name in GRIDS)
    with pytest.raises(ValueError, match="grids: expected one of"):
        reverse_steering(planted.model, planted.library, grids={"image": first}, progress=False)
