"""Recommended settings: chosen on images of the vectors, reported on others beside all controls."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.studies import recommendation
from mllm_probe.studies.clear_cells import best_places, mean_score
from mllm_probe.studies.recommendation import Recommendation, stored_settings

CONCEPTS = ("cat", "neon", "awe", "order", "above")
STRENGTHS = {"last_prompt": (2.0,), "image": (1.0, 1.5)}
LAYERS = [1, 2]


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-4l")


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=CONCEPTS, pairs=12, seed=2)


@pytest.fixture(scope="module")
def vectors(model, library):
    fit = library.split(seed=1)[0]
    return mp.concept_vectors(model, fit, shuffled_draws=4, probe_accuracy=False)


@pytest.fixture(scope="module")
def ran():
    """Images and settings of every sweep of the search."""
    return []


@pytest.fixture(scope="module")
def recommended(model, vectors, library, ran):
    def recorded(model, vectors, images, prompt, **named):
        ran.append((images, named))
        return mp.sweep(model, vectors, images, prompt, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommendation, "sweep", recorded)
        return mp.recommend(
            model, vectors, library, layers=LAYERS, strengths=STRENGTHS, images=10, draws=4, progress=False
        )


def test_cells_are_the_best_by_score_on_images_of_the_vectors(model, vectors, recommended, ran):
    fit = set(vectors.fit_image.values)
    best = {}
    for images, _ in ran[: len(STRENGTHS)]:
        assert {picture.id for picture in images} <= fit
    for (images, _), (scope, strengths) in zip(ran[: len(STRENGTHS)], STRENGTHS.items(), strict=True):
        settings = {"layers": LAYERS, "strengths": strengths, "tokens": scope, "max_new_tokens": 12, "controls": ()}
        metrics = ("named", "kept", "perplexity")
        grid = mp.sweep(model, vectors, images, metrics=metrics, progress=False, **settings)
        for name, cell in best_places(mean_score(grid)).items():
            if cell.score > best.get(name, (0.0,))[0]:
                best[name] = cell.score, scope, cell.layer, cell.strength
    table = recommended.table
    found = {
        str(name): tuple(table[key].sel(concept=name).item() for key in ("fit_score", "scope", "layer", "strength"))
        for name in table.concept.values
    }
    assert found == best and set(recommended.without) == set(CONCEPTS) - set(best)


def test_effects_are_those_of_other_images_with_every_kind_of_control(model, vectors, recommended, ran):
    fit, table = set(vectors.fit_image.values), recommended.table
    assert table.control.values.tolist() == ["random", "on_manifold", "concepts", "shuffled"]
    reported = [images for images, _ in ran[len(STRENGTHS) :]]
    assert all(not fit & {picture.id for picture in images} for images in reported)
    name = str(table.concept.values[0])
    one = recommended.settings[name]
    grid = mp.sweep(
        model, vectors, reported[0], layers=[one.layer], strengths=[one.strength], tokens=one.tokens, draws=4,
        metrics=("named", "kept", "perplexity"), max_new_tokens=12, progress=False,
        controls=("random", "on_manifold", "concepts", "shuffled"),
    )  # fmt: skip
    effect = mp.effect(grid, "score").sel(concept=name).isel(layer=0, strength=0)
    own = table.sel(concept=name)
    np.testing.assert_allclose(own.control_mean, effect.control_mean, atol=1e-6)
    np.testing.assert_allclose([own.score, own.n, *own.p], [effect["mean"], effect.n, *effect.p], atol=1e-6)
    assert bool(own.clear_of_controls) == bool(effect.clear_of_controls)
    assert (own.named_low <= own.named <= own.named_high) and own.named == mp.effect(grid, "named")["mean"].sel(
        concept=name
    )
    np.testing.assert_allclose(table.q, stats.false_discovery_control(table.p.max("control").values), rtol=1e-9)


def test_a_concept_passes_by_its_worst_control_among_all_concepts(recommended):
    rows = {name: recommended.table.sel(concept=[name]).assign(named_n=5) for name in recommended}
    for place, name in enumerate(rows):
        rows[name]["p"][0, :] = 0.0
        rows[name]["p"][0, 2] = 0.01 * (1 + place) ** 2
        rows[name]["clear_of_controls"][0] = True
    cells = {name: recommendation._Cell("image", 0, 1.0, 1.0) for name in rows}
    table = recommendation._table(rows, cells, {})
    np.testing.assert_allclose(table.q, stats.false_discovery_control([0.01 * k**2 for k in range(1, 1 + len(rows))]))
    assert table.clear_in_grid.values.tolist() == (table.clear_of_controls & (table.q <= 0.05)).values.tolist()
    assert table.clear_in_grid.any() and not table.clear_in_grid.all()


def test_it_gives_steerings_that_bring_the_concept(model, library, recommended):
    assert len(recommended) == recommended.table.sizes["concept"] >= 3
    name = max(recommended.settings, key=lambda one: recommended.settings[one].score)
    steering = recommended[name]
    place = recommended.settings[name]
    assert steering.blocks == (place.layer,) and str(steering.scope) == place.scope
    images = [picture.image for picture in library[name].negative[:4]]
    answers = mp.generate(model, images, steering=steering, max_new_tokens=12).text
    assert sum(name in answer for answer in answers) >= 2
    assert name in repr(recommended)
    with pytest.raises(KeyError, match="unknown concept 'dog'"):
        recommended["dog"]


def test_a_concept_that_nothing_brings_has_no_steering(vectors, recommended):
    left = Recommendation(vectors, recommended.table, ["dog"])
    assert "dog" not in list(left) and "no setting found for dog" in repr(left)
    with pytest.raises(KeyError, match="no setting that was tried made answers name 'dog'"):
        left["dog"]


def test_vectors_made_with_all_images_leave_none_to_report_on(model, library):
    vectors = mp.concept_vectors(model, library, layers=[1], shuffled_draws=0, probe_accuracy=False)
    with pytest.raises(ValueError, match=r"images besides those that the vectors were made with.*library.split"):
        mp.recommend(model, vectors, library)


def test_what_it_cannot_use_is_named(model, vectors, library):
    with pytest.raises(TypeError, match="library: expected a concept library"):
        mp.recommend(model, vectors, library.pictures)
    with pytest.raises(ValueError, match="none of the vectors' concepts"):
        mp.recommend(model, vectors, mp.concepts.scenes(concepts=["bird"], pairs=4))
    with pytest.raises(TypeError, match="mapping from scopes to strengths"):
        mp.recommend(model, vectors, library, strengths=(1, 2))


def test_fewer_images_than_asked_for_are_named(model, vectors, library):
    one, few = vectors.sel(concept=["cat"]), library.subset(concepts=["cat"])
    with pytest.warns(UserWarning, match="fewer than 12 images without the concept.* for cat"):
        mp.recommend(model, one, few, layers=[2], strengths={"last_prompt": (2.0,)}, draws=4, progress=False)


def test_images_without_labels_are_steered_with_their_own_concept_alone(model, library):
    def unlabelled(pictures):
        return [replace(picture, labels=None) for picture in pictures]

    concepts = library.subset(concepts=["cat", "neon"]).values()
    bare = ConceptLibrary(
        replace(one, positive=unlabelled(one.positive), negative=unlabelled(one.negative)) for one in concepts
    )
    vectors = mp.concept_vectors(model, bare.split(seed=1)[0], shuffled_draws=0, probe_accuracy=False)
    with pytest.warns(UserWarning, match="fewer than 12 images"):
        found = mp.recommend(
            model, vectors, bare, layers=[2], strengths={"last_prompt": (2.0,)}, draws=4, progress=False
        )
    own = mp.sweep(
        model, vectors, bare.where(lambda picture: picture.id not in set(vectors.fit_image.values)), layers=[2],
        strengths=[2.0], tokens="last_prompt", metrics=("named", "perplexity"), draws=4, max_new_tokens=12,
        controls=("random", "on_manifold"), progress=False,
    )  # fmt: skip
    effect = mp.effect(own, "score").sel(layer=2, strength=2.0)
    for name in found:
        row = found.table.sel(concept=name)
        assert row.n == effect.n.sel(concept=name) <= 6
        np.testing.assert_allclose(row.score, effect["mean"].sel(concept=name))


def test_bundled_models_come_with_settings_of_their_own_weights(model, recommended, tmp_path):
    for name in ("scenes-4l", "scenes-8l", "scenes-16l"):
        stored = stored_settings(mp.load(name))
        assert len(stored) >= 40 and all(one.n >= 10 and one.strength > 0 for one in stored.values())
    changed = mp.load("scenes-4l")
    with torch.no_grad():
        for parameter in changed.hf.parameters():
            parameter.mul_(1.01)
    assert stored_settings(changed) == stored_settings(mp.randomised(model, 0)) == {}
    written = json.loads(recommended.save(tmp_path / "own.json").read_text())
    assert written["weights"] == model.fingerprint and set(written["settings"]) == set(recommended)
