"""A widget that was closed and forgotten is gone, with its data."""

from __future__ import annotations

import gc
import weakref

import pytest

import mllm_probe as mp
from mllm_probe.widgets.inside.pair_gallery import PairGallery
from mllm_probe.widgets.lab.lab_bar import LabBar
from tests.widgets import fakes

SOON = 60


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=["cat", "neon"], pairs=4)


@pytest.fixture(scope="module")
def vectors(tiny, library):
    return mp.concept_vectors(tiny, library, probe_accuracy=False)


def watching():
    heatmap = mp.LayerConceptHeatmap(fakes.growing(steps=3))
    assert heatmap.wait(SOON)
    return heatmap


def monitored():
    monitor = mp.SweepMonitor(fakes.growing(steps=3))
    assert monitor.wait(SOON)
    return monitor


MAKES = {
    "heatmap": lambda tiny, library, vectors: mp.LayerConceptHeatmap(fakes.effect()),
    "watching heatmap": lambda tiny, library, vectors: watching(),
    "panel": mp.SteeringPanel,
    "strip": mp.TokenStrip,
    "overlay": mp.PatchOverlay,
    "gallery": PairGallery,
    "monitor": lambda tiny, library, vectors: monitored(),
    "bar": lambda tiny, library, vectors: LabBar(title="model"),
    "lab": lambda tiny, library, vectors: mp.explore(tiny, library, strengths=(1,), draws=4),
}


@pytest.mark.parametrize("name", MAKES)
def test_a_closed_widget_is_collected(name, tiny, library, vectors):
    make = MAKES[name]
    arguments = (tiny, vectors) if name in ("panel", "strip", "overlay") else (tiny, library, vectors)
    widget = make(*arguments)
    if hasattr(widget, "wait"):
        assert widget.wait(SOON)
    gone = [weakref.ref(widget), *(weakref.ref(part) for part in getattr(widget, "children", ()))]
    widget.close()
    del widget
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)


def test_closed_heatmaps_leave_no_grid_behind():
    refs = []
    for _ in range(3):
        heatmap = mp.LayerConceptHeatmap(fakes.effect())
        refs.append(weakref.ref(heatmap.grid))
        heatmap.close()
        del heatmap
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3
