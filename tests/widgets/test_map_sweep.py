"""The sweeps that fill the lab's map: log-probability first, then answers in the order in which they are looked at."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mllm_probe.sweeps import runner, sweep, sweep_iter
from mllm_probe.sweeps.runner import Limits
from mllm_probe.widgets import LayerConceptHeatmap
from mllm_probe.widgets.lab.map_sweep import MapSweep
from mllm_probe.widgets.monitor.sources import LocalSweep
from tests.sweeps.helpers import random_vectors, same

SETTINGS = {"layers": [0, 2], "strengths": (1, 2), "tokens": "last_prompt", "max_new_tokens": 3}
SCREEN = {"metrics": ("logprob",), "draws": 8}
ANSWERS = {"metrics": ("named", "perplexity"), "draws": 4}


@pytest.fixture
def sweeps(tiny, pictures, monkeypatch):
    """A map sweep in small steps, and the map that it fills."""
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=4, packed_rows=4))
    vectors = random_vectors(tiny, concepts=("cat", "dog", "star"))
    heatmap = LayerConceptHeatmap(strength=2.0)

    def begin(settings):
        return sweep_iter(tiny, vectors, pictures[:2], **SETTINGS, **settings, progress=False)

    return MapSweep(begin(SCREEN), begin(ANSWERS), heatmap), heatmap, (tiny, vectors, pictures[:2])


def run_rows(grid):
    """Concepts and strengths of which all images are answered at every layer."""
    done = grid["named"].sel(control="concept", draw=0).notnull().all(("layer", "sample"))
    return {
        (str(concept), float(dose))
        for concept in grid["concept"].values
        for dose in grid["strength"].values
        if done.sel(concept=concept, strength=dose)
    }


def first_new(sweep_of, before, most=60):
    """The next row that is finished."""
    for grid in sweep_of:
        most -= 1
        if "named" in grid and (new := run_rows(grid) - before):
            return new, run_rows(grid)
        assert most, "no row was finished"
    raise AssertionError("the sweep ended")


def test_log_probability_comes_first_and_then_answers_of_what_is_looked_at(sweeps):
    both, heatmap, _ = sweeps
    for grid in both:
        heatmap.show(grid)
        if both.done == both._screen.engine.total:
            break
    assert "named" not in grid and grid["logprob"].sel(control="concept", draw=0).notnull().all()
    assert (heatmap.metric, heatmap.score) == ("logprob", b"") and grid.attrs["progress"] < 1
    heatmap.concept = "star"
    new, seen = first_new(both, set())
    assert new == {("star", 2.0)}, "the row in hand at the shown dose"
    new, seen = first_new(both, seen)
    assert new == {("star", 1.0)}, "then its other dose"
    heatmap.concept = "dog"
    new, seen = first_new(both, seen)
    assert ("dog", 2.0) in new or ("cat", 2.0) in new
    while ("dog", 2.0) not in seen:
        _, seen = first_new(both, seen)
    assert ("cat", 1.0) not in seen, "a selection goes before what was to come"
    heatmap.show(next(both))
    assert heatmap.metric == "score" and heatmap.metrics[:2] == ["score", "logprob"] and heatmap.limit == 1
    score = np.frombuffer(heatmap.score, np.float32)
    assert np.isnan(score).any() and np.isfinite(score).any(), "cells that are not run have no colour of another scale"


def test_folded_categories_wait_for_those_that_are_shown(sweeps):
    both, heatmap, _ = sweeps
    while both.done < both._screen.engine.total:
        heatmap.show(next(both))
    heatmap.row_groups, heatmap.folded, heatmap.concept = [["pets", [0, 1]], ["sky", [2]]], ["pets"], "cat"
    seen: set = set()
    while ("star", 2.0) not in seen:
        new, seen = first_new(both, seen)
    assert {"cat", "star"} == {concept for concept, _ in seen}


def test_the_whole_grid_has_every_metric_and_equals_the_sweeps_apart(sweeps):
    both, _, (model, vectors, images) = sweeps
    *_, last = both
    assert last.attrs["progress"] == 1.0 and both.done == both.total
    same(last[["logprob"]], sweep(model, vectors, images, **SETTINGS, **SCREEN, progress=False)[["logprob"]])
    apart = sweep(model, vectors, images, **SETTINGS, **ANSWERS, progress=False)
    for name in ("named", "perplexity", "repetition", "named_unsteered"):
        found = last[name].isel(draw=slice(4)) if "draw" in last[name].dims else last[name]
        xr.testing.assert_allclose(found.drop_attrs(), apart[name].drop_attrs())
    assert last["named"].isel(draw=slice(4, None)).isnull().all()


@pytest.mark.parametrize("answering", [False, True])
def test_stopped_in_either_sweep_it_keeps_what_is_there_and_goes_on(sweeps, answering):
    both, heatmap, _ = sweeps
    source = LocalSweep(both)
    while source.step() and ("named" in source.grid) is not answering:
        heatmap.show(source.grid)
    source.step()
    done = source.done
    source.stop()
    assert not source.step() and source.share < 1 and source.resumable
    source.close()
    rest = source.rest()
    assert rest.done == done and rest.total == both.total
    while rest.step():
        pass
    assert rest.share == 1.0 and rest.grid["named"].sel(control="concept", draw=0).notnull().all()
    assert rest.grid["logprob"].sel(control="concept", draw=0).notnull().all()
