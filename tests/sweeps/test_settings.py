"""Bad input to a sweep: each error says what was expected."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe.sweeps as sweeps
from mllm_probe.sweeps.settings import Settings
from mllm_probe.sweeps.sweep_arguments import Arguments
from tests.conftest import put
from tests.sweeps.helpers import random_vectors
from tests.zoo import tiny_llava


@pytest.fixture(scope="module")
def vectors(tiny):
    return random_vectors(tiny)


CASES = [
    ({"strengths": (1, float("nan"))}, r"strengths: expected one or more finite numbers.*nan"),
    ({"strengths": ()}, r"strengths: expected one or more"),
    ({"strengths": ("a",)}, r"strengths: expected numbers"),
    ({"layers": [9]}, r"no layer 9"),
    ({"metrics": ("logprob", "bleu")}, r"unknown metric 'bleu'; there are logprob"),
    ({"metrics": ()}, r"metrics: expected at least one"),
    (
        {"controls": ("mirror",)},
        r"unknown control 'mirror'; there are random, on_manifold, shuffled, orthogonal, concepts",
    ),
    ({"draws": 0}, r"draws: expected 1 or more; got 0"),
    ({"max_new_tokens": 0}, r"max_new_tokens: expected 1 or more"),
    ({"record": "gradient"}, r"unknown recording 'gradient'; there are activation"),
    ({"record": "activation", "read_tokens": "generated"}, r"positions of the prompt are recorded"),
    ({"operation": "ablate"}, r"fraction between 0 and 1; got -2"),
    ({"operation": "replace", "strengths": (1,)}, r"'replace' needs to="),
    ({"tokens": "middle"}, r"got 'middle'"),
    ({"tokens": "generated", "metrics": ("logprob",), "strengths": (1,)}, r"'generated' can never be edited"),
    ({"images": None}, r"images: expected images or a concept library"),
]


@pytest.mark.parametrize(("changes", "message"), CASES)
def test_errors_say_what_was_expected(tiny, vectors, pictures, changes, message):
    arguments = {"images": pictures[:1], "progress": False, "draws": 4} | changes
    with pytest.raises(ValueError, match=message):
        sweeps.sweep(tiny, vectors, **arguments)


def test_shuffled_by_name_needs_shuffled_draws(tiny, vectors, pictures):
    with pytest.raises(ValueError, match=r"no shuffled draws.*shuffled_draws=8"):
        sweeps.sweep(tiny, vectors.drop_vars("shuffled").drop_dims("draw"), pictures[:1], controls=("shuffled",))


def test_random_directions_are_run_once_for_all_concepts_only_where_every_change_is_of_one_size(
    tiny, vectors, pictures
):
    settings = {"layers": [1], "strengths": (1,), "draws": 4, "metrics": ("logprob",), "controls": ("random",)}
    for more, random_rows in (
        ({}, 4),
        ({"unit": "vector"}, 2 * 4),
        ({"operation": "ablate"}, 2 * 4),
    ):
        assert sweeps.plan(tiny, vectors, pictures[:1], **settings | more).rows == 2 + random_rows, more


def test_the_default_controls_are_random_and_on_manifold_where_the_vectors_carry_activations(tiny, vectors, pictures):
    settings = {"layers": [1], "strengths": (1,), "draws": 4, "metrics": ("logprob",), "progress": False}
    for given, controls in (
        (vectors, ["random", "on_manifold"]),
        (vectors.drop_dims("manifold_sample"), ["random"]),
    ):
        assert sweeps.sweep(tiny, given, pictures[:1], **settings).attrs["controls"] == controls


@pytest.mark.parametrize("draws", [1, 2, 5])
def test_controls_in_pairs_need_an_even_number_of_draws(tiny, vectors, pictures, draws):
    with pytest.raises(ValueError, match=rf"pairs of opposite directions.*an even number from 4 on, got {draws}"):
        sweeps.sweep(tiny, vectors, pictures[:1], draws=draws)


@pytest.mark.parametrize(
    "concepts, given, draws",
    [
        (2, {}, 8),
        (20, {}, 10),
        (21, {}, 10),
        (48, {}, 24),
        (200, {}, 32),
        (20, {"controls": ("random", "shuffled")}, 20),
        (48, {"unit": "vector"}, 8),
        (48, {"operation": "ablate", "strengths": (1,)}, 8),
        (48, {"controls": ()}, 8),
        (48, {"draws": 12}, 12),
    ],
)
def test_auto_draws_are_no_more_rows_than_the_concepts_own(tiny, vectors, pictures, concepts, given, draws):
    names = [f"c{number}" for number in range(concepts)]
    many = vectors.isel(concept=np.arange(concepts) % vectors.sizes["concept"]).assign_coords(concept=names)
    settings = Settings(Arguments(**given), tiny, many)
    assert settings.draws == draws and settings.stored()["draws"] == settings.most_draws
    if given.get("controls") != ():
        assert settings.axes.controls["random"] == draws


def test_other_concepts_are_controls_where_their_changes_are_of_one_size(tiny, vectors, pictures):
    settings = {"controls": ("random", "concepts"), "metrics": "logprob", "draws": 4, "progress": False}
    grid = sweeps.sweep(tiny, vectors, pictures[:2], strengths=(1,), layers=[1], **settings)
    cat, dog = grid.logprob.sel(concept="cat"), grid.logprob.sel(concept="dog")
    assert grid.other_concept.sel(concept="cat").values.tolist() == ["dog", "", "", ""]
    assert (
        np.isfinite(cat.sel(control="concepts", draw=0)).all() and np.isnan(cat.sel(control="concepts", draw=1)).all()
    )
    for name, words in (("cat", cat), ("dog", dog)):
        other = vectors.sel(concept=[{"cat": "dog", "dog": "cat"}[name]])
        other["words"] = vectors.words.sel(concept=[name]).assign_coords(concept=other.concept)
        alone = sweeps.sweep(tiny, other, pictures[:2], strengths=(1,), layers=[1], **settings | {"controls": "random"})
        expected = alone.logprob.isel(concept=0).sel(control="concept", draw=0)
        np.testing.assert_allclose(words.sel(control="concepts", draw=0), expected, atol=1e-5)
    for changed in ({"unit": "vector"}, {"operation": "ablate", "strengths": (1,)}):
        with pytest.raises(ValueError, match="'concepts' compares with the other concepts' rows"):
            sweeps.sweep(tiny, vectors, pictures[:1], **settings | changed)
    with pytest.raises(ValueError, match="the vectors hold one concept"):
        sweeps.sweep(tiny, vectors.sel(concept="cat"), pictures[:1], **settings)


def test_vectors_of_another_model_name_both(vectors, pictures, device):
    other = put(tiny_llava(seed=1), device)
    with pytest.raises(ValueError, match=rf"{vectors.attrs['weights']}.*{other.fingerprint}"):
        sweeps.sweep(other, vectors, pictures[:1])


def test_a_sweep_may_be_shared_out_by_pictures(tiny, vectors, pictures):
    settings = {"strengths": (1,), "metrics": ("logprob",), "draws": 4, "progress": False, "layers": [1]}
    whole = sweeps.sweep(tiny, vectors, pictures[:3], **settings)
    parts = [sweeps.sweep(tiny, vectors, part, **settings) for part in (pictures[:2], pictures[2:3])]
    joined = xr.concat(parts, "sample", data_vars="minimal", combine_attrs="drop_conflicts")
    np.testing.assert_allclose(joined.logprob, whole.logprob, atol=1e-5)
    assert joined.sample.values.tolist() == whole.sample.values.tolist()


def test_settings_are_checked_before_the_first_step(tiny, vectors, pictures):
    with pytest.raises(ValueError, match="unknown metric"):
        sweeps.sweep_iter(tiny, vectors, pictures[:1], metrics=("bleu",))


def test_repeated_strengths_are_one_cell(tiny, vectors, pictures):
    grid = sweeps.sweep(tiny, vectors, pictures[:1], strengths=(1, 1.0, 0), metrics="logprob", draws=4, progress=False)
    assert grid.strength.values.tolist() == [1, 0]


def test_vectors_of_some_layers_give_a_grid_of_these(tiny, vectors, pictures):
    some = vectors.sel(layer=[1, 3])
    grid = sweeps.sweep(tiny, some, pictures[:1], strengths=(1,), metrics="logprob", draws=4, progress=False)
    assert grid.layer.values.tolist() == [1, 3] and grid.relative_depth.values.tolist() == [0.5, 1.0]
    with pytest.raises(ValueError, match=r"the vectors have no layer 2; they have \[1, 3\]"):
        sweeps.sweep(tiny, some, pictures[:1], layers=[2])


def test_the_baseline_alone_can_be_asked_for(tiny, vectors, pictures):
    grid = sweeps.sweep(tiny, vectors, pictures[:2], strengths=(0,), draws=4, max_new_tokens=2, progress=False)
    assert grid.attrs["progress"] == 1 and np.isfinite(grid.logprob.sel(control="concept", draw=0)).all()


def test_an_answer_prefix_may_be_token_ids(tiny, vectors, pictures):
    settings = {"strengths": (1,), "metrics": "logprob", "draws": 4, "progress": False, "layers": [1]}
    ids = tiny.text_ids("this is", leading_space=False)
    told, given, none = (
        sweeps.sweep(tiny, vectors, pictures[:1], answer_prefix=prefix, **settings) for prefix in ("this is", ids, "")
    )
    np.testing.assert_array_equal(told.logprob, given.logprob)
    assert told.attrs["answer_prefix"] == "this is" and given.attrs["answer_prefix"] == ids
    assert not np.allclose(told.logprob.sel(control="concept"), none.logprob.sel(control="concept"))
