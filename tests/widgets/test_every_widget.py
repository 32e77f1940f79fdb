"""Every widget: its text is the same every time, and nothing is left of it when it was closed and forgotten."""

from __future__ import annotations

import gc
import re
import threading
import weakref

import pytest

import mllm_probe as mp
from mllm_probe.widgets.inside.pair_gallery import PairGallery
from mllm_probe.widgets.lab.lab_bar import LabBar
from tests.widgets import fakes

SOON = 60
MAP = r"LayerConceptHeatmap\(14 concepts × 8 layers × 5 strengths, metric='logprob'\)"
KINDS = {
    "heatmap": (lambda *_: mp.LayerConceptHeatmap(fakes.effect()), MAP),
    "filled heatmap": (lambda *_: mp.LayerConceptHeatmap(fakes.growing(steps=3)), MAP),
    "filling heatmap": (lambda *_: mp.LayerConceptHeatmap(fakes.growing(steps=500, pause=0.01)), ".*"),
    "monitor": (lambda *_: mp.SweepMonitor(fakes.growing(steps=3)), r"SweepMonitor\(.*, finished\)"),
    "panel": (
        lambda tiny, library, vectors: mp.SteeringPanel(tiny, vectors),
        r"SteeringPanel\(3 concepts × 4 layers, \d+ images\)",
    ),
    "strip": (
        lambda tiny, library, vectors: mp.TokenStrip(tiny, vectors),
        r"TokenStrip\(\d+ tokens × 4 layers, mode='projection'\)",
    ),
    "overlay": (
        lambda tiny, library, vectors: mp.PatchOverlay(tiny, vectors),
        r"PatchOverlay\(3 concepts × 4 layers × 4×4 patches\)",
    ),
    "gallery": (PairGallery, ".*"),
    "bar": (lambda *_: LabBar(title="model"), ".*"),
    "lab": (
        lambda tiny, library, vectors: mp.explore(tiny, library, strengths=(1,), draws=4),
        r"Explore\('tiny-llava · 4 layers · \w+ · float32 · fewer than 6 images of each concept: .*'\)",
    ),
}


def hooks(model):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.hf.modules())


@pytest.mark.parametrize("name", KINDS)
def test_a_closed_widget_leaves_no_thread_hook_or_data(name, tiny, library, vectors):
    make, text = KINDS[name]
    threads, attached = set(threading.enumerate()), hooks(tiny)
    widget = make(tiny, library, vectors)
    if hasattr(widget, "wait") and name != "filling heatmap":
        assert widget.wait(SOON)
    assert re.fullmatch(text, repr(widget))
    gone = [weakref.ref(widget), *map(weakref.ref, getattr(widget, "children", ()))]
    if "heatmap" in name and widget.grid is not None:
        gone.append(weakref.ref(widget.grid))
    if name == "lab":
        widget.bar.opened = [part for part, _ in widget.bar.parts]
        assert all(part.wait(SOON) for part in widget.parts.widgets.values())
        gone += [weakref.ref(widget.vectors), *map(weakref.ref, widget.parts.widgets.values())]
        assert len(gone) > 5
    widget.close()
    assert set(threading.enumerate()) <= threads and hooks(tiny) == attached
    del widget
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)
