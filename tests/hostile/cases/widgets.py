"""Widgets: what they are made of, messages of a broken or hostile front-end, and uploaded files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image

import mllm_probe as mp
from tests.hostile.cases.images import EPS, bomb, encoded, png
from tests.hostile.tries import Try

widget = partial(Try, "widgets, their messages, uploads")
NAN = float("nan")
SOON = 25

_MADE: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown concept", {"concept": "zz"}, "there is no vector for concept 'zz'"),
    ("no pictures", {"images": []}, "at least one image"), ("a picture that is None", {"images": [None]}, "None"),
    ("a negative limit", {"strength_limit": -1.0}, "strength_limit: expected a positive number; got -1.0"),
    ("an unknown argument", {"lyer": 3}, "unexpected keyword argument 'lyer'"),
]  # fmt: skip
"""Arguments of a panel that are refused at once."""


def _panel_of(**settings: Any) -> Callable[[Any], Any]:
    def call(s: Any) -> tuple[str, str]:
        panel = mp.SteeringPanel(s.model, s.vectors, **{"images": [s.picture], **settings}, max_new_tokens=2)
        try:
            panel.wait(SOON)
            return panel.status, panel.message
        finally:
            panel.close()

    return call


def _moved(**state: Any) -> dict[str, Any]:
    return {"kind": "set", "serial": 1, "state": state}


PLAIN = "idle"
_MESSAGES: list[tuple[str, Any, str]] = [
    ("text", "x", PLAIN), ("an unknown kind", {"kind": "zz"}, PLAIN),
    ("a serial that is text", {"kind": "set", "serial": "x", "state": {}}, "with str as 'serial', where int"),
    ("private traits", _moved(_worker=1, model=2, answers={}, code="evil", vectors=5), PLAIN),
    ("a layer that is text", _moved(layer="3"), "sent layer that cannot be used"),
    ("strength NaN", _moved(strength=NAN), "strength: expected a finite number"),
    ("markup as concept", _moved(concept="<img src=x onerror=alert(1)>"), "no vector for concept '<img src=x onerror"),
    ("a prompt of a million letters", _moved(prompt="cat " * 250_000), "shorten the prompt"),
    ("ragged patches", _moved(patches=[[True], [True, False]]), "rows of equal length"),
    ("a million patches", _moved(patches=[[True] * 1000] * 1000), "1000×1000"),
    ("a window of three", _moved(window=[1, 2, 3]), "sent window that cannot be used"),
    ("picture 99", _moved(picture=99), "there is no image 99; there are"),
    ("a scene's seed below 0", {"kind": "scene", "serial": 1, "seed": -1}, "a number from 0; got -1"),
    ("a scene's seed of 2**80", {"kind": "scene", "serial": 1, "seed": 2**80}, PLAIN),
    ("a picture without bytes", {"kind": "picture", "serial": 1}, "no image came with the upload"),
    ("unpin text", {"kind": "unpin", "id": "x"}, "with str as 'id', where int"),
    ("words that are a number", {"kind": "naming", "state": {"words": 5}}, "sent words that cannot be used"),
]  # fmt: skip


def _shared(s: Any) -> Any:
    """One panel for all messages, since after each it has to work as before; ended when the interpreter exits."""
    if "panel" not in vars(s):
        vars(s)["panel"] = mp.SteeringPanel(s.model, s.vectors, [s.picture], concept="cat", max_new_tokens=2)
        assert s.panel.wait(SOON), s.panel.message
    return s.panel


_SETTING = {"picture": 0, "prompt": "What do you see?", "concept": "cat", "second": "", "window": [3, 3], "seed": 0}


def _told(panel: Any) -> tuple[str, str, bool]:
    """Message of a panel, and whether it answers the next setting."""
    panel.wait(SOON)
    status, message = panel.status, panel.message
    strength = 1.5 if panel.strength == 0.5 else 0.5
    panel.choose(**_SETTING, strength=strength, scope="last_prompt", patches=[], positions=[])
    return status, message, panel.wait(SOON) and panel.message == "" and bool(panel.answers["steered"])


def _heard(content: Any, *buffers: bytes) -> Callable[[Any], Any]:
    def call(s: Any) -> tuple[str, str, bool]:
        panel = _shared(s)
        panel._on_message(panel, content, list(buffers))
        return _told(panel)

    return call


def _says(text: str) -> Callable[[Any], bool]:
    """Whether an error is shown that has this text, or none, and whether the panel went on."""

    def right(value: tuple[str, str, bool]) -> bool:
        status, message, on = value
        return on and (message == "" and status == "idle" if text == PLAIN else text in message)

    return right


_UPLOADS: list[tuple[str, Callable[[], bytes], str]] = [
    ("144 megapixels", lambda: bomb(12_000), "megapixels"),
    ("a header of 60000×60000", lambda: png(60_000, 60_000), "megapixels"),
    ("EPS", lambda: EPS, "cannot be read as an image"),
    ("one pixel", lambda: encoded(Image.new("RGB", (1, 1)), "PNG"), PLAIN),
]


def _uploaded(content: Callable[[], bytes]) -> Callable[[Any], Any]:
    def call(s: Any) -> tuple[str, str, bool, bool]:
        panel = _shared(s)
        panel._on_message(panel, {"kind": "picture", "name": "<b>\n'x.png"}, [content()])
        return (*_told(panel), "0x7f" in panel.message)

    return call


def _refused(text: str) -> Callable[[Any], bool]:
    def right(value: tuple[str, str, bool, bool]) -> bool:
        status, message, on, leaks = value
        fine = message == "" if text == PLAIN else text in message and "x.png" in message and "\n" not in message
        return status == "idle" and fine and on and not leaks

    return right


TRIES = [
    *(widget(f"panel with {name}", _panel_of(**settings), "error", says) for name, settings, says in _MADE),
    widget("panel with an unknown scope", _panel_of(scope="zz"), "result",
           right=lambda value: "tokens: expected one or several" in value[1]),  # as when a control is moved
    widget("strip of vectors", lambda s: mp.TokenStrip(s.vectors, s.model), "error", "the model comes first"),
    widget("explore an unknown model", lambda s: mp.explore("zz"), "error", "zz"),
    *(widget(f"message: {name}", _heard(content), "result", right=_says(says)) for name, content, says in _MESSAGES),
    *(widget(f"upload: {name}", _uploaded(make), "result", right=_refused(says)) for name, make, says in _UPLOADS),
    widget("monitor of a store to come", lambda s: repr(mp.SweepMonitor(s.folder / "later")), "result",
           right=lambda value: value.startswith("SweepMonitor(0%")),
]  # fmt: skip
