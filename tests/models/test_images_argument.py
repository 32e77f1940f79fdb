"""``images=`` is the one name for pictures; ``image=`` is accepted with a warning."""

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


def test_the_former_name_gives_the_same_answer_and_warns_where_it_was_written(tiny, pictures):
    expected = mp.generate(tiny, pictures[0], PROMPT, max_new_tokens=3).text
    with pytest.warns(DeprecationWarning, match="image is called images now; the former name works until 1.0") as seen:
        found = mp.generate(tiny, image=pictures[0], prompt=PROMPT, max_new_tokens=3).text
    assert found == expected and seen[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="until 1.0"), mp.stream(tiny, image=pictures[0], max_new_tokens=2) as s:
        assert len(list(s)) > 0
    with pytest.raises(TypeError, match="give images= alone"):
        mp.generate(tiny, images=pictures[0], image=pictures[0])


@pytest.mark.parametrize("widget", [PatchOverlay, TokenStrip])
def test_widgets_take_images_and_still_image(tiny, pictures, widget):
    made = widget(tiny, images=[pictures[0]], prompt=PROMPT)
    assert made.wait(60) and made.images is pictures[0]
    made.images = pictures[1]
    assert made.wait(60) and made.images is pictures[1]
    with pytest.warns(DeprecationWarning, match="until 1.0"):
        made.image = pictures[2]
    with pytest.warns(DeprecationWarning, match="until 1.0"):
        made.show(image=pictures[3])
    assert made.wait(60) and made.images is pictures[3]
    with pytest.warns(DeprecationWarning, match="until 1.0"):
        assert made.image is pictures[3]
    made.close()
    with pytest.warns(DeprecationWarning, match="until 1.0"):
        other = widget(tiny, image=pictures[0], prompt=PROMPT)
    assert other.wait(60) and other.images is pictures[0]
    other.close()
