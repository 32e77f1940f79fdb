"""``images=`` is the one name for pictures."""

from __future__ import annotations

import inspect

import pytest

import mllm_probe as mp
from mllm_probe.generation import Live
from mllm_probe.widgets import PatchOverlay, TokenStrip

PROMPT = "what is it ?"
TAKES = (
    mp.generate,
    mp.stream,
    mp.capture,
    mp.sweep,
    mp.plan,
    mp.explore,
    mp.SteeringPanel,
    PatchOverlay,
    TokenStrip,
    Live,
)


@pytest.mark.parametrize("function", TAKES, ids=lambda function: function.__name__)
def test_pictures_are_called_images(function):
    parameters = inspect.signature(function).parameters
    assert "images" in parameters and "image" not in parameters


@pytest.mark.parametrize("widget", [PatchOverlay, TokenStrip])
def test_widgets_take_images(tiny, pictures, widget):
    shown = widget(tiny, images=[pictures[0]], prompt=PROMPT)
    assert shown.wait(60) and shown.images is pictures[0]
    shown.images = pictures[1]
    assert shown.wait(60) and shown.images is pictures[1]
    shown.show(pictures[3])
    assert shown.wait(60) and shown.images is pictures[3]
    shown.close()
