"""Which runs a sweep makes, in which order, and where their scores go."""

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.metrics.metric import as_metrics
from mllm_probe.steering import Steering
from mllm_probe.steering.tables import build_tables
from mllm_probe.sweeps import job as job_module
from mllm_probe.sweeps.cells import Axes, plan_cells, plan_order, preferred, scored_pairs
from mllm_probe.sweeps.grid import Grid
from mllm_probe.sweeps.settings import Settings, find_duplicates, opposite_controls
from mllm_probe.sweeps.sweep_arguments import Arguments
from mllm_probe.tokens.positions import KINDS
from tests.sweeps.helpers import random_vectors

AXES = Axes(("cat", "dog"), (0, 3, 5), (-2.0, -1.0, 0.0, 1.0), {"concept": 1, "random": 2, "shuffled": 3})
EVERY = {"concept": 1, "random": 8, "shuffled": 8}
TYPICAL = Axes(tuple("abcdefgh"), tuple(range(8)), (-2.0, -1.0, 0.0, 1.0, 2.0), EVERY)


def empty(axes, samples, metrics, steps=0, answers=False, may_count=None, skips=False):
    shape = (len(axes.concepts), len(axes.strengths), len(samples))
    may_count = np.ones(shape, bool) if may_count is None else may_count
    return Grid(
        axes, {"sample": samples}, as_metrics(metrics), steps=steps, answers=answers, eligible=may_count, skips=skips
    )


def test_every_cell_is_run_once_and_strength_zero_never():
    cells = plan_cells(AXES, shared=("random",))
    assert len(set(cells)) == len(cells) == 3 * 3 * (2 + 2 + 2 * 3)
    assert {AXES.strengths[c.strength] for c in cells} == {-2.0, -1.0, 1.0}


def test_random_directions_run_for_each_concept_where_they_depend_on_it():
    cells = plan_cells(AXES)
    assert len(cells) == 3 * 3 * (2 + 2 * 2 + 2 * 3) and all(len(c.places) == 1 for c in cells)


def test_shared_runs_are_scored_against_every_concept():
    cells = [c for c in plan_cells(AXES, shared=("random",)) if c.strength == 3 and c.layer == 1]
    pairs = scored_pairs(AXES, cells)
    assert len(pairs) == 2 + 2 * 2 + 2 * 3
    grid = empty(AXES, ["a", "b"], "logprob")
    grid.put(pairs, 1, {"logprob": pairs.row + 10.0 * pairs.concept})
    values = grid.cells["logprob"][:, 1, 3, :, :, 1]
    row = next(i for i, c in enumerate(cells) if c.control == "random" and c.draw == 1)
    assert values[:, 1, 1].tolist() == [row, row + 10]
    assert np.isfinite(values[:, 2, :]).all() and np.isnan(values[:, 0, 1:]).all()
    assert np.isnan(grid.cells["logprob"][..., 0]).all()


def test_scores_of_several_samples_are_put_at_once():
    cells = plan_cells(AXES, shared=("random",))[:2]
    pairs = scored_pairs(AXES, cells)
    grid = empty(AXES, ["a", "b"], "logprob")
    grid.put(pairs, np.array([1, 0]), {"logprob": np.array([5.0, 6.0])})
    assert np.argwhere(grid.done)[:, [1, 5]].tolist() == [[0, 1], [1, 0]]
    assert grid.cells["logprob"][grid.done].tolist() == [5.0, 6.0]


def test_the_baseline_fills_strength_zero_and_nothing_else():
    grid = empty(AXES, ["a"], ("logprob", "named"), 2, True)
    grid.put_unsteered(0, {"logprob": np.array([1.0, 2.0]), "tokens": np.array([4, 5]), "text": "a cat"})
    zero = grid.cells["logprob"][:, :, 2, :, :, 0]
    assert (zero[0, :, 2] == 1).all() and (zero[1, :, 1, :2] == 2).all() and np.isnan(zero[:, :, 0, 1:]).all()
    assert np.isnan(np.delete(grid.cells["logprob"], 2, axis=2)).all()
    assert (grid.cells["tokens"][:, :, 2, 2, :, 0] == [4, 5]).all() and grid.unsteered["text"][0] == "a cat"
    assert grid.progress == 1 / 4
    filled = np.zeros(grid.done.shape, bool)
    filled[grid.unsteered_cells(0)] = True
    np.testing.assert_array_equal(filled, grid.done)


def test_equal_vectors_and_equal_draws_are_run_once(tiny):
    vectors = random_vectors(tiny, ("cat", "dog", "kitten"), draws=3)
    vectors["vector"] = vectors.vector.isel(concept=[0, 1, 0]).assign_coords(concept=vectors.concept)
    shuffled = np.array(vectors.shuffled.values)
    shuffled[1, :, 2] = shuffled[1, :, 0]
    vectors["shuffled"] = (vectors.shuffled.dims, shuffled)
    axes = Axes(("cat", "dog", "kitten"), (0, 1), (1.0,), {"concept": 1, "random": 2, "shuffled": 3})
    duplicates = find_duplicates(vectors, axes)
    assert duplicates == {
        ("concept", 2, 0): (0, 0),
        ("random", 2, 0): (0, 0),
        ("random", 2, 1): (0, 1),
        ("shuffled", 1, 2): (1, 0),
    }
    cells = plan_cells(axes, duplicates=duplicates)
    assert len(cells) == 2 * (2 + 2 * 2 + 8)
    places = {(c.control, c.concept, c.draw): c.places for c in cells}
    assert places["concept", 0, 0] == (("concept", 0, 0, 0), ("concept", 2, 0, 0))
    assert places["shuffled", 1, 0] == (("shuffled", 1, 0, 0), ("shuffled", 1, 2, 0))
    pairs = scored_pairs(axes, cells)
    assert len(set(zip(*map(np.ndarray.tolist, pairs.index), strict=True))) == len(pairs) == 2 * 3 * (1 + 2 + 3)


def test_rows_of_other_concepts_are_controls_at_no_further_run():
    axes = Axes(("cat", "dog", "star"), (0, 1), (0.0, 1.0), {"concept": 1, "random": 4, "concepts": 2})
    cells = plan_cells(axes, shared=("random",))
    assert len(cells) == len(plan_cells(Axes(*AXES_WITHOUT), shared=("random",))) == 2 * (3 + 4)
    own = next(c for c in cells if c.control == "concept" and c.concept == 1)
    assert set(own.places) == {("concept", 1, 0, 1), ("concepts", 0, 0, 1), ("concepts", 2, 1, 1)}
    grid = empty(axes, ["a"], "logprob")
    pairs = scored_pairs(axes, cells)
    grid.put(pairs, 0, {"logprob": pairs.row + 100.0 * pairs.concept})
    values = grid.cells["logprob"][:, 0, 1, :, :, 0]
    rows = {c.concept: i for i, c in enumerate(cells) if c.control == "concept" and c.layer == 0}
    assert values[0, 2, :2].tolist() == [rows[1], rows[2]] and values[2, 2, :2].tolist() == [
        rows[0] + 200,
        rows[1] + 200,
    ]
    assert np.isnan(values[:, 2, 2:]).all()


def test_images_of_a_library_run_for_their_own_concepts():
    may_count = np.zeros((2, 4, 2), bool)
    may_count[0, :, 0] = may_count[1, :, 1] = True
    grid = empty(AXES, ["a", "b"], "logprob", may_count=may_count, skips=True)
    assert grid.skipped[0, ..., 1].all() and not grid.skipped[0, ..., 0].any() and grid.progress == 0.5
    grid.put_eligible(0, np.array([False, True]), [True, False, False, False])
    assert grid.eligible[0, :, 0].tolist() == [False, True, True, True] and not grid.eligible[1, :, 0].any()


AXES_WITHOUT = (("cat", "dog", "star"), (0, 1), (0.0, 1.0), {"concept": 1, "random": 4})


def everything(blocks):
    return [(block.sample, cell) for block in blocks for cell in block.cells]


@pytest.mark.parametrize("coarse", [True, False])
@pytest.mark.parametrize("one_layer", [True, False])
@pytest.mark.parametrize("kept", [1, 2, 5])
@pytest.mark.parametrize("axes", [AXES, TYPICAL])
def test_every_run_is_made_once_in_whatever_order(axes, coarse, one_layer, kept):
    cells = plan_cells(axes, shared=("random",))
    blocks = plan_order(axes, cells, 5, coarse=coarse, by_layer=one_layer, kept=kept)
    assert sorted(everything(blocks)) == [(s, c) for s in range(5) for c in range(len(cells))]
    if one_layer:
        assert all(len({cells[c].layer for c in block.cells}) == 1 for block in blocks)
    if kept == 1:
        samples = [block.sample for block in blocks]
        opened = [s for i, s in enumerate(samples) if i == 0 or samples[i - 1] != s]
        assert len(opened) == 5, "a sample must be finished before the next one is opened"


@pytest.mark.parametrize("one_layer", [True, False])
def test_what_is_preferred_is_run_first_and_everything_once(one_layer):
    cells = plan_cells(TYPICAL, shared=("random",))
    blocks = plan_order(TYPICAL, cells, 5, coarse=True, by_layer=one_layer, kept=5)

    def rank(cell):
        return None if cell.control != "concept" or cell.concept > 2 else 2 - cell.concept

    ordered = preferred(blocks, cells, rank, by_layer=one_layer)
    assert sorted(everything(ordered)) == sorted(everything(blocks))
    ranks = [rank(cells[number]) for _, number in everything(ordered)]
    known = [place for place in ranks if place is not None]
    assert ranks[: len(known)] == sorted(known) == known
    rest = [run for run in everything(blocks) if rank(cells[run[1]]) is None]
    assert everything(ordered)[len(known) :] == rest, "the others keep their order"
    size = 1 if one_layer else len(TYPICAL.layers)
    assert all(len({cells[number].layer for number in block.cells}) <= size for block in ordered)


@pytest.mark.parametrize("one_layer", [True, False])
@pytest.mark.parametrize(
    ("axes", "samples", "full"),
    [
        (TYPICAL, 16, 11),
        (TYPICAL, 40, 29),
        (Axes(TYPICAL.concepts, TYPICAL.layers, (-1.0, 1.0), EVERY), 20, 7),
        (Axes(("a",), tuple(range(32)), (-1.0, 0.0, 1.0), EVERY), 16, 6),
    ],
)
def test_the_coarse_map_takes_a_tenth_of_the_work(axes, samples, full, one_layer):
    cells = plan_cells(axes, shared=("random",))
    blocks = plan_order(axes, cells, samples, coarse=True, by_layer=one_layer, kept=samples)
    runs = everything(blocks)
    first = runs[: len(runs) // 10]
    there = {
        (cells[c].control, cells[c].layer, cells[c].draw, s) for s, c in first if axes.strengths[cells[c].strength] == 1
    }
    covered = [
        s
        for s in range(samples)
        if all((control, layer, draw, s) in there for layer in range(len(axes.layers))
               for control, draws in axes.controls.items() for draw in range(min(draws, 4)))
    ]  # fmt: skip
    assert len(covered) == full


def test_every_fourth_layer_of_a_deep_model_and_the_last_come_first():
    axes = Axes(("a", "b"), tuple(range(30)), (0.5, 1.0, 2.0), {"concept": 1, "random": 8})
    cells = plan_cells(axes, shared=("random",))
    runs = everything(plan_order(axes, cells, 18, coarse=True, by_layer=False, kept=18))
    first = runs[: 6 * 9 * (2 + 4)]
    layers = sorted({cells[c].layer for _, c in first})
    assert len(layers) == 9 and layers[0] == 0 and layers[-1] == 29 and set(np.diff(layers)) <= {3, 4}
    assert {axes.strengths[cells[c].strength] for _, c in first} == {1.0}
    assert max(cells[c].draw for _, c in first) == 3 and len({s for s, _ in first}) == 6
    others = {cells[c].layer for _, c in runs[len(first) : 6 * 30 * (2 + 4)]}
    assert others == set(range(30)) - set(layers), "then the layers between, on the same images"


def test_where_two_images_do_not_fit_an_even_subset_of_layers_comes_first():
    axes = Axes(("a", "b"), tuple(range(24)), (-1.0, 1.0), EVERY)
    cells = plan_cells(axes, shared=("random",))
    runs = everything(plan_order(axes, cells, 2, coarse=True, by_layer=False, kept=2))
    tenth = runs[: len(runs) // 10]
    layers = sorted({cells[c].layer for s, c in tenth if s == 1})
    assert len(layers) >= 5 and layers[0] == 0 and layers[-1] == 23 and max(np.diff(layers)) - min(np.diff(layers)) <= 1
    for layer in layers:
        own = {(cells[c].control, cells[c].draw, s) for s, c in tenth if cells[c].layer == layer}
        assert own >= {(control, 0, s) for control in EVERY for s in (0, 1)} | {("random", 1, 0), ("shuffled", 1, 1)}


def test_a_grid_that_is_too_small_to_be_coarse_begins_with_all_layers_of_two_images():
    axes = Axes(("a",), (0, 1), (1.0,), {"concept": 1, "random": 2})
    cells = plan_cells(axes, shared=("random",))
    assert (
        everything(plan_order(axes, cells, 3, coarse=True, by_layer=False, kept=3))[:6]
        == [(s, c) for s in (0, 2) for c in range(6)][:6]
    )


def test_a_sweep_of_nothing_but_strength_zero_still_opens_every_image():
    axes = Axes(("a",), (0,), (0.0,), {"concept": 1})
    assert [b.sample for b in plan_order(axes, [], 3, coarse=True, by_layer=False, kept=3)] == [0, 1, 2]


PAIRED = Axes(("cat", "dog"), (0, 3), (-2.0, -1.0, 0.0, 1.0), {"concept": 1, "random": 4, "shuffled": 3})


def test_opposite_draws_at_opposite_strengths_are_run_once():
    cells = plan_cells(PAIRED, shared=("random",), opposite=("random",))
    apart = plan_cells(PAIRED, shared=("random",))
    assert len(apart) == 2 * 3 * (2 + 4 + 2 * 3) and len(cells) == len(apart) - 2 * 4
    (one,) = (c for c in cells if (c.control, c.draw, c.strength, c.layer) == ("random", 0, 3, 1))
    assert one.places == (("random", 0, 0, 3), ("random", 1, 0, 3), ("random", 0, 1, 1), ("random", 1, 1, 1))
    pairs, before = (set(zip(*scored_pairs(PAIRED, c).index, strict=True)) for c in (cells, apart))
    assert pairs == before and len(scored_pairs(PAIRED, cells)) == len(before)
    assert {c.strength for c in cells if c.control == "random"} == {0, 3}, "strength -2 has no opposite"


def test_the_last_of_an_odd_number_of_draws_has_no_opposite():
    axes = Axes(("cat",), (0,), (-1.0, 1.0), {"concept": 1, "random": 3})
    own = [(c.draw, c.strength) for c in plan_cells(axes, opposite=("random",)) if c.control == "random"]
    assert sorted(own) == [(0, 1), (1, 1), (2, 0), (2, 1)]


def edit_of(steering, layer):
    """Direction times dose at the last prompt token."""
    kinds = np.zeros((1, len(KINDS)), bool)
    kinds[0, KINDS.index("last_prompt")] = True
    (table,) = build_tables(layer, [(0, steering)], kinds, 0, torch.float32)
    place = (0, KINDS.index("last_prompt"))
    direction = table.bank.vectors[table.indices["direction"][place]].float()
    return torch.tensor(table.numbers["constant"][place], dtype=torch.float32) * direction


@pytest.mark.parametrize("unit", ["residual", "vector", "raw"])
@pytest.mark.parametrize("control", ["random", "on_manifold", "orthogonal"])
def test_opposite_draws_at_opposite_strengths_are_one_edit_to_the_bit(tiny, control, unit):
    own = random_vectors(tiny).sel(concept="cat")
    for strength, layer, draw in [(0.7, 1, 0), (2.0, 3, 3)]:
        here, there = (Steering(own, [layer], s, unit=unit) for s in (strength, -strength))
        one, other = (edit_of(s.control(control, 5, d), layer) for s, d in ((here, draw), (there, draw ^ 1)))
        assert torch.equal(one, other) and one.abs().max() > 0
        assert not torch.equal(one, edit_of(there.control(control, 5, draw), layer))


def test_only_changes_that_are_odd_in_the_dose_are_run_once(tiny):
    vectors = random_vectors(tiny)

    def opposite(**changed):
        return opposite_controls(Settings(Arguments(**changed), tiny, vectors))

    assert opposite() == ("random", "on_manifold")
    assert opposite(controls=("shuffled", "orthogonal"), unit="raw", draws=4) == ("orthogonal",)
    assert opposite(operation="ablate", strengths=(0, 1)) == ()
    assert opposite(operation=lambda hidden, direction, dose: dose * dose * direction) == ()
    assert opposite(record="projection") == () and opposite(record="activation") == ("random", "on_manifold")


def test_a_grid_is_the_same_whether_opposite_draws_run_once_or_twice(tiny, pictures, monkeypatch, tmp_path):
    settings = {"strengths": (-1, 0, 1), "draws": 4, "metrics": ("logprob", "kl"), "max_new_tokens": 2}
    settings |= {"layers": [0, 2], "progress": False}
    once = mp.sweep(tiny, random_vectors(tiny), pictures[:2], **settings)
    stored = mp.sweep(tiny, random_vectors(tiny), pictures[:2], **settings, store=tmp_path / "grid.zarr")
    monkeypatch.setattr(job_module, "opposite_controls", lambda settings: ())
    twice = mp.sweep(tiny, random_vectors(tiny), pictures[:2], **settings)
    for grid in (once, stored):
        assert bool(grid.logprob.isnull().equals(twice.logprob.isnull()))
        np.testing.assert_allclose(grid.logprob, twice.logprob, atol=1e-4)
        np.testing.assert_allclose(grid.kl, twice.kl, atol=1e-4)
        left, right = (grid.logprob.sel(control="random", strength=s).values for s in (-1, 1))
        np.testing.assert_array_equal(left, right[:, :, [1, 0, 3, 2]])
