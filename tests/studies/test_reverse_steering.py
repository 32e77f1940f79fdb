"""The study of reverse steering: a push that persists is no surge, one that a block amplifies is."""

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.steering.operations import random_direction
from mllm_probe.studies.reverse_study import (
    DRAWS,
    GRIDS,
    IMAGES,
    SURGE,
    edited_directions,
    reverse_grid,
    reverse_steering,
    shown_images,
    surging,
)
from mllm_probe.studies.study_runs import StudyRuns
from mllm_probe.vectors import concept_vectors

PUSHED = {"scope": "last_prompt+generated", "edit_kind": "-1 residual norm"}


@pytest.fixture(scope="module")
def planted():
    return mp.studies.truth.plant(layers=6, block=4, kinds=("local", "distributed"), pairs=24)


@pytest.fixture(scope="module")
def study(planted):
    return reverse_steering(planted.model, planted.library, progress=False)


def test_a_push_that_nothing_answers_is_as_large_at_the_last_block_as_its_control(study):
    pushed = study.sel(PUSHED)
    np.testing.assert_allclose(pushed.surge, 1, atol=0.05)
    assert not surging(study).sel(scope=PUSHED["scope"]).any()
    assert (pushed.change.isel(layer=0, read_layer=-1) < 0).all(), "it points where the edit pushed it"
    assert "no surge" in study.attrs["summary"]


def test_a_block_that_amplifies_the_concept_alone_is_a_surge(planted):
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
    assert_a_surge_in_the_ways_at_the_last_token(louder)
    middle = louder.sel(PUSHED).sel(layer=2)
    assert middle.surge > SURGE and middle.surge_low > 1
    assert middle.surge == pytest.approx(factor, rel=0.15)


def ways_at_the_last_token_along_the_edit(study):
    setting = study.setting.sel(aspect=["scope", "read_along"]).values.tolist()
    return study.verdict[[one == ["last_prompt+generated", "edit"] for one in setting]]


def assert_a_surge_in_the_ways_at_the_last_token(study):
    ways = ways_at_the_last_token_along_the_edit(study)
    assert len(ways) == 36 and study.sizes["specification"] == 144 and (ways > 0).mean() > 0.9
    chosen = study.setting.isel(specification=study.attrs["headline"]).values.tolist()
    assert chosen == ["last_prompt+generated", "-1 residual norm", "0.5", "edit", "random", "first"]
    assert study.attrs["headline_p"] == 0.5, "two concepts have four patterns of signs"
    assert "positive in" in study.attrs["summary"]


def test_where_nothing_answers_the_ways_at_the_last_token_are_negative(study):
    assert (ways_at_the_last_token_along_the_edit(study) < 0).all()
    first = study.log_ratio.sel(PUSHED).sel(read_along="edit", control="random", half="first").isel(layer=1)
    headline = study.verdict[study.attrs["headline"]]
    assert float(headline) == pytest.approx(float(first.mean()) - np.log(SURGE))


def test_directions_orthogonal_to_the_concept_are_a_control_of_their_own(study):
    pushed = study.sel(PUSHED).isel(read_layer=-1)
    np.testing.assert_allclose(pushed.surge_orthogonal, 1, atol=0.05)
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
    np.testing.assert_allclose(
        study.size_in_spreads / study.change_size, abs(study.change_in_spreads / study.change), rtol=1e-6
    )
    assert (study.change_size >= abs(study.change) - 1e-9).all()


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
    assert lost.named_unsteered == 1 and lost.named < 0.1 and lost.named_random >= 0.5
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
    np.testing.assert_allclose(first.surge, study.surge, rtol=1e-5)
    kept = [path.name for path in tmp_path.iterdir() if not path.name.startswith("check ")]
    assert sorted(kept) == sorted(f"{name}.zarr" for name in GRIDS)
    with pytest.raises(ValueError, match="grids: expected one of"):
        reverse_steering(planted.model, planted.library, grids={"image": first}, progress=False)
