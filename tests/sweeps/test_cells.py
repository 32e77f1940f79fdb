"""Which runs a sweep makes, in which order, and where their scores go."""

import numpy as np

from mllm_probe.sweeps.cells import Axes, coarse_count, plan_cells, scored_pairs
from mllm_probe.sweeps.results import Grid

AXES = Axes(("cat", "dog"), (0, 3, 5), (-2.0, -1.0, 0.0, 1.0), {"concept": 1, "random": 2, "shuffled": 3})


def test_every_cell_is_run_once_and_strength_zero_never():
    cells = plan_cells(AXES, shared_random=True)
    assert len(set(cells)) == len(cells) == 3 * 3 * (2 + 2 + 2 * 3)
    assert {AXES.strengths[c.strength] for c in cells} == {-2.0, -1.0, 1.0}


def test_random_directions_run_for_each_concept_where_they_depend_on_it():
    cells = plan_cells(AXES, shared_random=False)
    assert len(cells) == 3 * 3 * (2 + 2 * 2 + 2 * 3) and not any(c.shared for c in cells)


def test_coarse_cells_come_first_every_layer_at_one_strength():
    cells = plan_cells(AXES, shared_random=True)
    coarse = cells[: coarse_count(AXES, cells)]
    assert {AXES.strengths[c.strength] for c in coarse} == {1.0}
    assert [c.layer for c in coarse[:6]] == [0, 1, 2, 0, 1, 2] and {c.control for c in coarse[:6]} == {"concept"}
    assert {c.control for c in coarse} == {"concept", "random", "shuffled"}
    assert [AXES.strengths[c.strength] for c in cells[len(coarse) :: len(coarse)]] == [-1.0, -2.0]


def test_shared_runs_are_scored_against_every_concept():
    cells = [c for c in plan_cells(AXES, shared_random=True) if c.strength == 3 and c.layer == 1]
    pairs = scored_pairs(AXES, cells)
    assert len(pairs) == 2 + 2 * 2 + 2 * 3
    grid = Grid(AXES, {"sample": ["a", "b"]}, ["logprob"], steps=0, kl_steps=0)
    grid.put(pairs, 1, {"logprob": pairs.row + 10.0 * pairs.concept})
    values = grid.cells["logprob"][:, 1, 3, :, :, 1]
    row = next(i for i, c in enumerate(cells) if c.control == "random" and c.draw == 1)
    assert values[:, 1, 1].tolist() == [row, row + 10]
    assert np.isfinite(values[:, 2, :]).all() and np.isnan(values[:, 0, 1:]).all()
    assert np.isnan(grid.cells["logprob"][..., 0]).all()


def test_the_baseline_fills_strength_zero_and_nothing_else():
    grid = Grid(AXES, {"sample": ["a"]}, ["logprob", "named"], steps=2, kl_steps=0)
    grid.put_unsteered(0, {"logprob": np.array([1.0, 2.0]), "tokens": np.array([4, 5]), "text": "a cat"})
    zero = grid.cells["logprob"][:, :, 2, :, :, 0]
    assert (zero[0, :, 2] == 1).all() and (zero[1, :, 1, :2] == 2).all() and np.isnan(zero[:, :, 0, 1:]).all()
    assert np.isnan(np.delete(grid.cells["logprob"], 2, axis=2)).all()
    assert (grid.cells["tokens"][:, :, 2, 2, :, 0] == [4, 5]).all() and grid.unsteered["text"][0] == "a cat"
    assert grid.progress == 1 / 4
