"""Work units: every chunk of every array is written by one of them, and what a unit runs hangs on nothing else."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mllm_probe.sweeps.cells import CONCEPTS, Axes, plan_cells
from mllm_probe.sweeps.stored.units import Layout, Units

BY_CELL = ("concept", "layer", "strength", "control", "draw", "sample")
SHAPES = {
    "by cell": BY_CELL,
    "answer": (*BY_CELL, "step"),
    "recorded": (*BY_CELL, "read_layer", "token", "hidden"),
    "off target": ("concept", "layer", "strength", "sample", "scored_concept"),
    "off target of random": ("layer", "strength", "draw", "sample", "scored_concept"),
    "unsteered": ("concept", "sample"),
    "eligible": ("concept", "strength", "sample"),
    "unsteered answer": ("sample", "step"),
}


@st.composite
def sweeps(draw):
    """Units of a sweep of any shape, with its duplicates and left-out runs."""
    concepts, draws = draw(st.integers(1, 4)), draw(st.integers(2, 6)) * 2
    strengths = draw(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0]), min_size=1, unique=True))
    controls = {"concept": 1} | draw(st.sampled_from([{}, {"random": draws}, {"random": draws, "shuffled": 3}]))
    if concepts > 1 and draw(st.booleans()):
        controls[CONCEPTS] = concepts - 1
    layers, samples = draw(st.integers(1, 20)), draw(st.sampled_from([1, 2, 5, 9, 17, 40]))
    axes = Axes(tuple("abcd"[:concepts]), tuple(range(layers)), tuple(strengths), controls)
    duplicates = {("shuffled", 0, 2): (0, 0)} if "shuffled" in controls and draw(st.booleans()) else {}
    shared, opposite = (draw(st.sampled_from([(), ("random",)])) for _ in range(2))
    cells = plan_cells(axes, shared=shared, duplicates=duplicates, opposite=opposite)
    skipped = np.random.default_rng(draw(st.integers(0, 9))).random((len(cells), samples)) < draw(
        st.sampled_from([0.0, 0.5])
    )
    deep = layers > 16
    batch_layers = 1 if deep else draw(st.integers(1, layers))
    batch_samples = draw(st.sampled_from([1, 2, 4, 8, 16]))
    times = st.integers(1, 4)
    layout = Layout(
        rows=8,
        batch_layers=batch_layers,
        batch_samples=batch_samples,
        layers=1 if deep else min(batch_layers * draw(times), layers),
        samples=min(max(batch_samples, draw(st.sampled_from([1, 2, 8, 16, 32]))), samples),
    )
    return Units(axes, cells, skipped, layout)


def sizes(units):
    axes = units.axes
    samples = len(units.order)
    return dict(zip(BY_CELL, (*axes.shape, samples), strict=True)) | {
        "step": 3, "read_layer": 2, "token": 2, "hidden": 4, "scored_concept": len(axes.concepts),
    }  # fmt: skip


def chunks_of(units, unit, dims):
    """Numbers of the chunks that a unit writes; fails where it would write a part of one."""
    lengths = sizes(units)
    shape = [lengths[dim] for dim in dims]
    chunk = units.chunks(dims, shape, 4)
    for region in units.regions(unit, dims):
        ranges = []
        for dim, length, step in zip(dims, shape, chunk, strict=True):
            first, last = region.get(dim, (0, length))
            assert first % step == 0 and (last % step == 0 or last == length), (dim, region, chunk)
            ranges.append(range(first // step, math.ceil(last / step)))
        yield from itertools.product(*ranges)


@hypothesis_settings(max_examples=150, deadline=None)
@given(sweeps())
def test_every_chunk_belongs_to_one_unit(units):
    for name, dims in SHAPES.items():
        if not {"draw", "control"} - set(dims) and "random" not in units.axes.controls and "off" in name:
            continue
        seen = [chunk for unit in units.all for chunk in chunks_of(units, unit, dims)]
        assert len(seen) == len(set(seen)), name


@hypothesis_settings(max_examples=150, deadline=None)
@given(sweeps(), st.booleans())
def test_every_place_of_the_grid_is_run_once_and_inside_its_unit(units, one_layer):
    axes, names = units.axes, list(units.axes.controls)
    filled = np.zeros((*axes.shape, len(units.order)), int)
    for unit in units.all:
        inside = np.zeros(filled.shape, bool)
        for region in units.regions(unit, BY_CELL):
            inside[tuple(slice(*region.get(dim, (None,))) for dim in BY_CELL)] = True
        for batch in () if unit.unsteered else units.batches(unit, by_layer=one_layer):
            for block in batch.blocks:
                for cell in (batch.cells[number] for number in block.cells):
                    for control, concept, draw, strength in cell.places:
                        place = (concept, cell.layer, strength, names.index(control), draw, block.sample)
                        stored = (*place[:-1], units.order.index(block.sample))
                        assert inside[stored], "it would be written by another unit"
                        filled[place] += 1
    wanted = np.zeros(filled.shape, bool)
    for number, cell in enumerate(units._cells):
        for control, concept, draw, strength in cell.places:
            place = (concept, cell.layer, strength, names.index(control), draw)
            wanted[place] |= ~units._skipped[number]
    assert filled.max(initial=0) <= 1 and (filled[wanted] == 1).all()


@hypothesis_settings(max_examples=60, deadline=None)
@given(sweeps())
def test_units_are_numbered_in_their_order_and_every_image_is_answered_once(units):
    found = units.all
    assert [unit.number for unit in found] == list(range(len(found))) and len({unit.name for unit in found}) == len(
        found
    )
    assert [unit.part for unit in found] == sorted(unit.part for unit in found)
    answered = [sample for unit in found if unit.unsteered for sample in units.order[slice(*unit.samples)]]
    assert sorted(answered) == list(range(len(units.order)))
    assert sum(map(units.count, found)) >= int((~units._skipped).sum())


def test_the_coarse_map_comes_first():
    axes = Axes(("a", "b"), tuple(range(30)), (-1.0, 0.0, 1.0, 2.0), {"concept": 1, "random": 8})
    cells = plan_cells(axes, shared=("random",))
    units = Units(axes, cells, np.zeros((len(cells), 24), bool), Layout(64, 1, 2, 1, 6))
    steered = [unit for unit in units.all if not unit.unsteered]
    first = [unit for unit in steered if unit.part == 1]
    assert {unit.strengths for unit in first} == {(2,)} and {unit.draws for unit in first} == {0}
    assert {unit.layers[0] for unit in first} < set(range(30)) and 29 in {unit.layers[0] for unit in first}
    coarse = {sample for unit in first for sample in units.order[slice(*unit.samples)]}
    assert len(coarse) >= 6 and {0, 23} <= coarse, "images of the coarse map are spread"
    assert {unit.draws for unit in steered if unit.part == 5} == {1}


@pytest.mark.parametrize("strengths", [(0.0,), (0.0, 1.0)])
def test_a_sweep_without_steering_has_its_unsteered_runs(strengths):
    axes = Axes(("a",), (0, 1), strengths, {"concept": 1})
    cells = plan_cells(axes)
    units = Units(axes, cells, np.zeros((len(cells), 10), bool), Layout(8, 1, 1, 1, 1))
    places = {chunk for unit in units.all for chunk in chunks_of(units, unit, BY_CELL)}
    assert len(places) == 2 * len(strengths) * 10, "strength 0 is written by the unsteered runs"


def test_opposite_strengths_that_share_runs_are_one_unit():
    axes = Axes(("a", "b"), (0, 1), (-2.0, -1.0, 0.0, 1.0), {"concept": 1, "random": 8})
    cells = plan_cells(axes, shared=("random",), opposite=("random",))
    units = Units(axes, cells, np.zeros((len(cells), 4), bool), Layout(64, 1, 1, 1, 1))
    assert units.together_strengths == [(3, 1), (0,)]
    steered = [unit for unit in units.all if not unit.unsteered]
    assert {unit.strengths for unit in steered} == {(3, 1), (0,)}
    assert sum(map(units.count, steered)) == len(cells) * 4, "no run is made twice"
    apart = Units(axes, plan_cells(axes), np.zeros((2 * 3 * 18, 4), bool), Layout(64, 1, 1, 1, 1))
    assert apart.together_strengths == [(3,), (1,), (0,)]
