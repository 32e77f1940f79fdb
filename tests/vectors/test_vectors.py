"""Concept vectors against sums done by hand, their controls and the norms that dose them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mllm_probe.activations import capture
from mllm_probe.activations.device_array import on_host, tensor_of
from mllm_probe.concepts import Picture
from mllm_probe.generation import generate
from mllm_probe.steering import Steering
from mllm_probe.vectors import concept_vectors, running_sums, vectors_from
from mllm_probe.vectors.pooling import NormSample
from mllm_probe.vectors.running_sums import classes_of, shuffled_weights, weights
from tests.conftest import noise_picture

SCOPES = ("last_prompt", "image", "text", "all")


def concept(positive, negative, paired=True, category="entity", words=("cat", "cats")):
    return SimpleNamespace(
        positive=list(positive), negative=list(negative), paired=paired, category=category, words=words, name="cat"
    )


class Library(dict):
    fingerprint = "0123456789abcdef"


@pytest.fixture(scope="module")
def pictures():
    return [noise_picture(seed) for seed in range(16)]


@pytest.fixture(scope="module")
def library(pictures):
    return Library(
        cat=concept(pictures[:6], pictures[6:12]),
        sketch=concept(pictures[2:7], pictures[9:15], paired=False, category="visual_style", words=("sketch",)),
    )


@pytest.fixture(scope="module")
def vectors(tiny, library):
    return concept_vectors(tiny, library, tokens=SCOPES, shuffled_draws=6, seed=1)


@pytest.fixture(scope="module")
def pooled(tiny, pictures):
    """Activations of every picture by hand [picture, scope, layer, hidden], and norms by role {role: [layer, …]}."""
    rows, norms = [], {"last_prompt": [], "image": [], "text": []}
    for picture in pictures:
        encoded = tiny.encode([picture])
        with torch.no_grad():
            states = tiny.hf(**encoded.tensors, output_hidden_states=True).hidden_states[1:]
        last = []
        handle = tiny.layout.blocks[-1].register_forward_hook(lambda m, a, o, last=last: last.append(o))
        tiny.hf(**encoded.tensors)
        handle.remove()
        states = torch.stack([*states[:-1], last[0] if torch.is_tensor(last[0]) else last[0][0]])[:, 0]
        roles, ids = encoded.roles[0], encoded.tensors["input_ids"][0]
        masks = {"last_prompt": torch.arange(len(ids)) == len(ids) - 1, "image": roles == 1, "text": roles == 0}
        masks["all"] = ids != 1
        rows.append(torch.stack([states[:, masks[s]].mean(1) for s in SCOPES]))
        for role in norms if picture is not pictures[15] else ():
            norms[role].append(states[:, masks[role]].norm(dim=-1))
    return on_host(torch.stack(rows)), {r: on_host(torch.cat(n, 1)) for r, n in norms.items()}


def test_the_vector_is_the_difference_of_means(vectors, pooled):
    acts, _ = pooled
    wanted = acts[:6].mean(0) - acts[6:12].mean(0)
    assert np.allclose(vectors.vector.sel(concept="cat").values, wanted, atol=2e-5)
    wanted = acts[2:7].mean(0) - acts[9:15].mean(0)
    assert np.allclose(vectors.vector.sel(concept="sketch").values, wanted, atol=2e-5)
    assert vectors.vector.dims == ("concept", "scope", "layer", "hidden")
    assert vectors.vector.dtype == np.float32


def test_the_numbers_beside_it(vectors, pooled):
    acts, _ = pooled
    cat = vectors.sel(concept="cat")
    v = cat.vector.values.astype(float)
    unit = v / np.linalg.norm(v, axis=-1, keepdims=True)
    assert np.allclose(cat.negative_projection, (acts[6:12].mean(0) * unit).sum(-1), atol=1e-4)
    sides = [acts[:6], acts[6:12]]
    away = np.mean([((s - s.mean(0)) ** 2).sum(-1).mean(0) for s in sides], axis=0)
    assert np.allclose(cat.spread, np.sqrt(away), rtol=1e-3)
    assert list(map(int, vectors.positives)) == [6, 5] and list(map(int, vectors.negatives)) == [6, 6]
    assert json.loads(cat.words.item()) == ["cat", "cats"]
    assert list(vectors.category.values) == ["entity", "visual_style"]
    assert vectors.attrs["concepts"] == Library.fingerprint
    assert vectors.attrs["method"] == "mean_difference" and vectors.attrs["seed"] == 1
    assert vectors.attrs["weights"] and vectors.attrs["prompt"]


def test_residual_norm_is_the_median_over_positions(vectors, pooled):
    _, norms = pooled
    for role, found in norms.items():
        wanted = np.median(found, axis=1)
        assert np.allclose(vectors.residual_norm.sel(scope=role), wanted, rtol=1e-4)
        assert np.allclose(vectors[f"residual_norm_at_{role}"], wanted, rtol=1e-4)


def test_split_half_cosine_is_that_of_two_halves(vectors, pooled, library):
    acts, _ = pooled
    for name, (positive, negative) in {"cat": (range(6), range(6, 12)), "sketch": (range(2, 7), range(9, 15))}.items():
        c = classes_of(name, np.array(positive), np.array(negative), library[name].paired, seed=1)
        halves = []
        for half in (c.half, ~c.half):
            sides = [acts[c.pictures[half & side]].mean(0) for side in (c.labels, ~c.labels)]
            halves.append(sides[0] - sides[1])
        a, b = (h / np.linalg.norm(h, axis=-1, keepdims=True) for h in halves)
        assert np.allclose(vectors.split_half_cosine.sel(concept=name), (a * b).sum(-1), atol=1e-4)
        if library[name].paired:
            assert (c.half[:6] == c.half[6:]).all() and c.half[:6].sum() == 3


def test_shuffled_draws_swap_exactly_half(tiny, vectors, pooled, library):
    acts, _ = pooled
    c = classes_of("cat", np.arange(6), np.arange(6, 12), True, seed=1)
    for draw in range(6):
        w = weights(c, 16, [shuffled_weights(c, draw, seed=1)])[4]
        assert sorted(np.round(w[:6] * 6, 6)) == [-1, -1, -1, 1, 1, 1]
        assert np.allclose(w[:6], -w[6:12]) and (w[12:] == 0).all()
        raw = np.einsum("p,psld->sld", w, acts)
        v = vectors.vector.sel(concept="cat").values
        length = np.linalg.norm(v, axis=-1, keepdims=True)
        wanted = raw / np.linalg.norm(raw, axis=-1, keepdims=True) * length
        got = vectors.shuffled.sel(concept="cat").isel(draw=draw).values
        assert np.allclose(got, wanted, atol=1e-4 * length.max())
        one = vectors.sel(concept="cat").isel(draw=draw)
        assert np.allclose(one.shuffled_norm, np.linalg.norm(raw, axis=-1), rtol=1e-3)
        cosine = np.abs((wanted * v).sum(-1)) / length[..., 0] ** 2
        assert np.allclose(one.shuffled_cosine, cosine, atol=1e-3)
    assert np.allclose(
        np.linalg.norm(vectors.shuffled.values, axis=-1),
        np.linalg.norm(vectors.vector.values, axis=-1)[:, :, None],
        rtol=1e-4,
    )


def test_an_odd_number_leaves_one_out_and_unpaired_classes_exchange_half():
    odd = classes_of("cat", np.arange(7), np.arange(7, 14), True, 0)
    w = shuffled_weights(odd, 0, 0)
    assert sorted(np.round(w[:7] * 6, 6)) == [-1, -1, -1, 0, 1, 1, 1] and np.allclose(w[:7], -w[7:])
    apart = classes_of("cat", np.arange(5), np.arange(5, 13), False, 0)
    w = shuffled_weights(apart, 0, 0)
    assert sorted(np.round(w[:5] * 6, 6)) == [-1, -1, 0, 1, 1]
    assert sorted(np.round(w[5:] * 6, 6)) == [-1] * 4 + [1] * 4
    assert not np.allclose(shuffled_weights(odd, 0, 0), shuffled_weights(odd, 1, 0))
    assert np.allclose(shuffled_weights(odd, 1, 0), shuffled_weights(odd, 1, 0))


def test_balanced_swaps_leave_nothing_of_the_concept():
    rng = np.random.default_rng(0)
    truth = np.zeros(64)
    truth[0] = 5
    common = rng.standard_normal((20, 64))
    acts = np.concatenate([common + truth + 0.3 * rng.standard_normal((20, 64)), common])
    c = classes_of("cat", np.arange(20), np.arange(20, 40), True, 0)
    draws = np.stack([shuffled_weights(c, d, 0) @ acts for d in range(64)])
    cosines = np.abs(draws[:, 0] / np.linalg.norm(draws, axis=1))
    assert cosines.mean() < 0.2
    free = np.stack([(rng.choice([-1, 1], 20) / 20) @ (acts[:20] - acts[20:]) for _ in range(64)])
    assert np.abs(free[:, 0] / np.linalg.norm(free, axis=1)).mean() > 0.5


def test_every_distinct_picture_runs_once_for_all_scopes_and_layers(tiny, pictures):
    shared = pictures[8:12]
    library = Library(
        cat=concept(pictures[:4], shared), dog=concept(pictures[4:8], shared), owl=concept(pictures[:4], pictures[4:8])
    )
    rows = []
    handle = tiny.hf.register_forward_pre_hook(lambda m, a, k: rows.append(len(k["input_ids"])), with_kwargs=True)
    try:
        found = concept_vectors(tiny, library, tokens=SCOPES, shuffled_draws=2, batch_size=5)
    finally:
        handle.remove()
    assert rows == [5, 5, 2]
    alone = concept_vectors(tiny, Library(dog=library["dog"]), tokens=SCOPES, shuffled_draws=2, batch_size=3)
    dog = found.sel(concept=["dog"])
    for name in ("vector", "shuffled", "negative_projection", "split_half_cosine", "spread", "probe_accuracy"):
        assert np.allclose(dog[name].values, alone[name].values, rtol=1e-3, atol=2e-4), name


def test_memory_does_not_grow_with_pictures_unless_probes_ask(tiny, library, monkeypatch):
    from mllm_probe.vectors import running_sums as module

    monkeypatch.setattr(module.Sums, "keep_pooled", lambda *_: pytest.fail("kept pooled activations"))
    found = concept_vectors(tiny, library, probe_accuracy=False)
    assert "probe_accuracy" not in found
    with pytest.raises(pytest.fail.Exception):
        concept_vectors(tiny, library)


def test_no_more_activations_than_the_limit_are_kept_in_half_precision(tiny, library, monkeypatch):
    assert running_sums.MANIFOLD == 128
    monkeypatch.setattr(running_sums, "MANIFOLD", 7)
    found = concept_vectors(tiny, library, shuffled_draws=0, probe_accuracy=False)
    assert 2 < found.sizes["manifold_sample"] <= 7
    assert tensor_of(found.manifold).dtype == torch.bfloat16


def test_vectors_stay_tensors_on_the_device(tiny, vectors):
    found = tensor_of(vectors.sel(concept="cat", scope="image").vector)
    assert isinstance(found, torch.Tensor) and found.shape == (4, 32) and found.device == tiny.device


@pytest.mark.parametrize("method", ["pca", "probe"])
def test_other_methods_have_the_mean_differences_length_and_side(tiny, library, pooled, method):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    acts, _ = pooled
    one = Library(cat=library["cat"])
    mean = concept_vectors(tiny, one, shuffled_draws=0)
    found = concept_vectors(tiny, one, method=method, shuffled_draws=1)
    assert "shuffled" not in mean
    lengths = [np.linalg.norm(d.vector.values, axis=-1) for d in (found, mean)]
    assert np.allclose(*lengths, rtol=1e-4)
    x = acts[:12, 1, 2].astype(float)
    if method == "pca":
        wanted = np.linalg.svd(x[:6] - x[6:])[2][0]
        wanted *= np.sign(wanted @ (x[:6] - x[6:]).mean(0))
    else:
        fit = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, tol=1e-8)).fit(x, np.arange(12) < 6)
        wanted = fit[1].coef_[0] / fit[0].scale_
    got = found.vector.sel(concept="cat", scope="image", layer=2).values
    assert got @ wanted / np.linalg.norm(got) / np.linalg.norm(wanted) > 0.999
    raw = float(found.raw_norm.sel(concept="cat", scope="image", layer=2))
    assert raw == pytest.approx(np.linalg.norm(wanted), rel=1e-2)
    assert found.attrs["method"] == method
    st = Steering(found.sel(concept="cat"), [2], 1.0, unit="raw")
    assert st.directions.raw_length("image", 2) == pytest.approx(raw)


def test_processed_tensors_may_stand_for_pictures(tiny, pictures, library):
    def tensors(picture):
        return dict(tiny.encode([picture]).tensors)

    positive, negative = ([tensors(p) for p in side] for side in (pictures[:6], pictures[6:12]))
    found = concept_vectors(tiny, {"cat": concept(positive, negative)}, probe_accuracy=False)
    wanted = concept_vectors(tiny, {"cat": library["cat"]}, probe_accuracy=False)
    assert np.allclose(found.vector.values, wanted.vector.values, atol=1e-5)


def test_norms_beyond_the_limit_are_thinned_evenly(monkeypatch):
    from mllm_probe.vectors import pooling

    monkeypatch.setattr(pooling, "_MOST_NORMS", 64)
    sample, everything = NormSample(), np.random.default_rng(0).uniform(1, 2, 999).astype(np.float32)
    for part in np.array_split(everything, 37):
        sample.add(part)
    kept = np.concatenate(sample.kept)
    assert np.array_equal(kept, everything[:: sample.stride]) and len(kept) <= 64
    assert np.isnan(NormSample().median)


def test_vectors_from_arrays(tiny, pictures):
    rng = np.random.default_rng(0)
    wide, flat = rng.standard_normal((4, 32)).astype(np.float32), rng.standard_normal(32)
    found = vectors_from(tiny, {"mine": wide, "same": flat}, images=pictures[:2])
    assert np.allclose(found.vector.sel(concept="mine", scope="all"), wide)
    assert np.allclose(found.vector.sel(concept="same", scope="all"), flat[None])
    by_hand = concept_vectors(tiny, {"cat": concept(pictures[:1], pictures[1:2])}, shuffled_draws=0, tokens=SCOPES)
    assert np.allclose(found.residual_norm_at_image, by_hand.residual_norm.sel(scope="image"))
    out = generate(
        tiny, pictures[0], steering=Steering(found.sel(concept="mine"), [1], 1.0, tokens="all"), max_new_tokens=2
    )
    assert out.receipt.fired and not out.receipt[0].scopes_differ
    bare = vectors_from(tiny, {"mine": wide})
    with pytest.raises(ValueError, match="vectors_from.*images="):
        generate(tiny, pictures[0], steering=Steering(bare.sel(concept="mine"), [1], 1.0), max_new_tokens=2)
    for unit in ("raw", "vector"):
        row = Steering(bare.sel(concept="mine"), [1], 1.0, unit=unit)
        assert generate(tiny, pictures[0], steering=row, max_new_tokens=2).receipt.fired
    some = vectors_from(tiny, {"mine": wide[:2]}, layers=[1, 3])
    assert list(some.layer) == [1, 3]


@pytest.mark.parametrize(
    ("directions", "text"),
    [
        ({}, "at least one; got an empty mapping"),
        (
            {"mine": np.zeros((3, 32))},
            r"'mine': expected an array \[4 layers, 32\] or \[32\] for tiny-llava; got shape",
        ),
        ({"mine": np.full(32, np.nan)}, "'mine': expected finite numbers"),
    ],
    ids=["none", "shape", "nan"],
)
def test_wrong_arrays_say_what_was_expected(tiny, directions, text):
    with pytest.raises(ValueError, match=text):
        vectors_from(tiny, directions)


def test_words_and_categories_of_given_directions(tiny):
    arrays = {"sae_123": np.ones(32), "mine": np.ones(32), "bare": np.ones(32)}
    found = vectors_from(tiny, arrays, words={"sae_123": ["cat", "kitten"], "mine": [[3, 4], 5]}, category="features")
    assert [json.loads(str(own)) for own in found.words.values] == [["cat", "kitten"], [[3, 4], 5], []]
    assert list(found.category.values) == ["features"] * 3
    each = vectors_from(tiny, arrays, category={"mine": "VisualStyle"})
    assert list(each.category.values) == ["", "visual_style", ""]
    for options, text in (
        ({"words": {"nine": ["cat"]}}, "words: there is no direction 'nine'; there are 'sae_123', 'mine', 'bare'"),
        ({"words": {"mine": "cat"}}, r"words is a list, not one string: write \['cat'\]"),
        ({"words": {"mine": []}}, "needs at least one word"),
        ({"words": ["cat"]}, r"words: expected a mapping such as \{'sae_123': \['cat'\]\}; got list"),
        ({"category": {"nine": "x"}}, "category: there is no direction 'nine'"),
    ):
        with pytest.raises(ValueError, match=text):
            vectors_from(tiny, arrays, **options)


def test_arrays_with_dimension_names(tiny, pictures):
    acts = capture(tiny, pictures[:2], tokens="last_prompt").activation
    difference = acts.isel(sample=0) - acts.isel(sample=1)
    assert difference.sizes["token"] == 1
    expected = difference.transpose("token", "layer", "hidden").values[0]
    for array in (difference, difference.isel(token=0), difference.isel(layer=[3, 1, 0, 2]).transpose()):
        assert np.array_equal(vectors_from(tiny, {"mine": array}).vector.values[0, 0], expected)
    some = vectors_from(tiny, {"mine": difference}, layers=[3, 1])
    assert np.array_equal(some.vector.values[0, 0], expected[[3, 1]])
    with pytest.raises(
        ValueError, match=r"'mine': expected dimensions \(layer, hidden\); got .* with 2 along 'sample'. .*mean"
    ):
        vectors_from(tiny, {"mine": acts})
    with pytest.raises(ValueError, match=r"the array has layers \[1\], not all of those .*pass layers=\[1\]"):
        vectors_from(tiny, {"mine": difference.isel(layer=[1])})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            lambda m, acts: (acts, acts),
            "model: expected a loaded model .*, got a Dataset; the model comes first",
        ),
        (lambda m, acts: (m, acts), r"got Dataset\. The direction between two captures.*\(a - b\)"),
        (lambda m, acts: (m, None), "got NoneType"),
        (lambda m, acts: (m, {"a": "x"}), "'a': expected an array of numbers; got str"),
        (lambda m, acts: (m, {"a": np.ones(32, bool)}), "'a': expected real numbers; got bool"),
        (lambda m, acts: (m, {"a": np.ones(32, complex)}), "'a': expected real numbers; got complex128"),
        (
            lambda m, acts: (m, {"a": np.full(32, 3e38)}),
            "'a': the array is too long: its length .* float32 can hold",
        ),
        (lambda m, acts: (m, {"": np.ones(32)}), "name of a direction: expected at least one visible character"),
        (lambda m, acts: (m, {5: np.ones(32)}), "name of a direction: expected text; got int 5"),
    ],
)
def test_wrong_arguments_of_vectors_from_say_what_was_expected(tiny, pictures, arguments, text):
    with pytest.raises(ValueError, match=text):
        vectors_from(*arguments(tiny, capture(tiny, pictures[:1], tokens="last_prompt")))


def test_halves_keep_near_duplicates_together(tiny, pictures):
    for seed in range(6):
        groups = [None, "a", "a", "b", None, "b", "c", "c", None, None]
        c = classes_of("cat", np.arange(5), np.arange(5, 10), False, seed, groups)
        for name in "abc":
            assert len(set(c.half[[i for i, group in enumerate(groups) if group == name]])) == 1
        paired = classes_of("cat", np.arange(4), np.arange(4, 8), True, seed, ["a", None, "a", None, *[None] * 4])
        assert len(set(paired.half[[0, 2, 4, 6]])) == 1


def test_recorded_groups_decide_the_halves_of_vectors(tiny, pictures):
    marked = [Picture(picture, group=str(number % 6 // 2)) for number, picture in enumerate(pictures[:12])]
    plain = [Picture(p.source) for p in marked]
    found = [
        concept_vectors(tiny, {"cat": concept(own[:6], own[6:], paired=False)}, probe_accuracy=False, shuffled_draws=0)
        for own in (plain, marked)
    ]
    assert np.allclose(found[0].vector, found[1].vector)
    assert not np.allclose(found[0].split_half_cosine, found[1].split_half_cosine)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "median"}, "method: expected one of mean_difference, pca, probe; got 'median'"),
        ({"tokens": "generated"}, "tokens: expected one or several different ones of last_prompt.*got 'generated'"),
        ({"tokens": ("image", "image")}, "tokens: expected one or several different ones"),
        ({"layers": [9]}, r"no layer 9: the model has 4 blocks"),
        ({"shuffled_draws": -1}, "shuffled_draws: expected 0 or more"),
        (
            {"method": "pca"},
            "method 'pca' works on the differences of pairs, but the images of 'sketch' are not paired",
        ),
    ],
    ids=str,
)
def test_wrong_arguments_say_what_was_expected(tiny, library, options, text):
    with pytest.raises(ValueError, match=text):
        concept_vectors(tiny, library, **options)


def test_wrong_libraries_say_what_was_expected(tiny, pictures):
    with pytest.raises(ValueError, match="at least one concept; got an empty one"):
        concept_vectors(tiny, {})
    with pytest.raises(ValueError, match="'cat' has 0 positive and 1 negative images"):
        concept_vectors(tiny, {"cat": concept([], pictures[:1])})
    with pytest.raises(ValueError, match="is paired but has 2 positive and 1 negative"):
        concept_vectors(tiny, {"cat": concept(pictures[:2], pictures[2:3])})
    with pytest.raises(ValueError, match="too few images for a shuffled control.*shuffled_draws=0"):
        concept_vectors(tiny, {"cat": concept(pictures[:1], pictures[1:2])})
    one = concept_vectors(tiny, {"cat": concept(pictures[:1], pictures[1:2])}, shuffled_draws=0)
    assert np.isnan(one.split_half_cosine).all() and np.isnan(one.probe_accuracy).all()


def test_vectors_belong_to_one_model(tiny, tiny_mrope, vectors, pictures):
    with pytest.raises(ValueError, match=r"were made with tiny-llava \(weights .*\) but are used with tiny-qwen"):
        generate(tiny_mrope, pictures[0], steering=Steering(vectors.sel(concept="cat"), [1]))
    nameless = vectors.sel(concept="cat").copy()
    nameless.attrs = {}
    with pytest.raises(ValueError, match="do not say which model"):
        generate(tiny, pictures[0], steering=Steering(nameless, [1]))
