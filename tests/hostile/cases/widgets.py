"""Widgets: what they are made of, messages of a broken or hostile front-end, and uploaded files."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image

import mllm_probe as mp
from tests.hostile.cases.images import bomb, encoded, png
from tests.hostile.tries import Try

widget = partial(Try, "widgets, their messages, uploads")
NAN = float("nan")
SOON = 25

_MADE: list[tuple[str, dict[str, Any], str]] = [
    ("layer 99", {"layer": 99}, "no layer 99: the model has 8 blocks"),
    ("layer text", {"layer": "x"}, "layers: expected"),
    ("an unknown concept", {"concept": "zz"}, "there is no vector for concept 'zz'"),
    ("an unknown unit", {"unit": "zz"}, "strength_unit: expected any of"),
    ("strength text", {"strength": "x"}, "strength: expected a float, not the str 'x'"),
    ("a prompt that is a number", {"prompt": 5}, "prompt: expected a unicode string, not the int 5"),
    ("no pictures", {"images": []}, "at least one image"),
    ("a picture that is None", {"images": [None]}, "None"),
    ("a limit that is NaN", {"strength_limit": NAN}, "strength_limit: expected a positive number; got nan"),
    ("a negative limit", {"strength_limit": -1.0}, "strength_limit: expected a positive number; got -1.0"),
    ("an unknown argument", {"lyer": 3}, "unexpected keyword argument 'lyer'"),
]
"""Arguments of a panel that are refused at once."""
_SHOWN: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown scope", {"scope": "zz"}, "tokens: expected one or several"),
    ("strength NaN", {"strength": NAN}, "strength: expected a finite number"),
    ("a negative seed", {"seed": -1}, "seed"),
]
"""Settings of a panel that it shows as an error, as it does when a control is moved."""


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
    ("None", None, PLAIN),
    ("text", "x", PLAIN),
    ("a list", [1], PLAIN),
    ("nothing in it", {}, PLAIN),
    ("an unknown kind", {"kind": "zz"}, PLAIN),
    ("set without state", {"kind": "set", "serial": 1}, "with nothing as 'state', where dict was expected"),
    ("a serial that is text", {"kind": "set", "serial": "x", "state": {}}, "with str as 'serial', where int"),
    ("a serial that is NaN", {"kind": "set", "serial": NAN, "state": {}}, "with float as 'serial', where int"),
    ("a state that is a list", {"kind": "set", "serial": 1, "state": [1]}, "with list as 'state', where dict"),
    ("private traits", _moved(_worker=1, model=2, answers={}, code="evil", vectors=5), PLAIN),
    ("a layer that is text", _moved(layer="3"), "sent layer that cannot be used"),
    ("layer 99", _moved(layer=99), "99"),
    ("strength NaN", _moved(strength=NAN), "strength: expected a finite number"),
    ("markup as concept", _moved(concept="<img src=x onerror=alert(1)>"), "no vector for concept '<img src=x onerror"),
    ("a prompt of a million letters", _moved(prompt="cat " * 250_000), "shorten the prompt"),
    ("an image token in the prompt", _moved(prompt="<image>"), "image"),
    ("ragged patches", _moved(patches=[[True], [True, False]]), "rows of equal length"),
    ("a million patches", _moved(patches=[[True] * 1000] * 1000), "1000×1000"),
    ("a window of three", _moved(window=[1, 2, 3]), "sent window that cannot be used"),
    ("a window of none", _moved(window=[]), "sent window that cannot be used"),
    ("a window of text", _moved(window=["a", "b"]), "sent window that cannot be used"),
    ("picture 99", _moved(picture=99), "there is no image 99; there are"),
    ("picture -1", _moved(picture=-1), "there is no image -1"),
    ("a scope of a path", _moved(scope="../../etc"), "tokens: expected one or several"),
    ("positions past the end", _moved(positions=[10**9]), "position"),
    ("a scene's seed that is text", {"kind": "scene", "serial": 1, "seed": "x"}, "with str as 'seed', where int"),
    ("a scene's seed below 0", {"kind": "scene", "serial": 1, "seed": -1}, "a number from 0; got -1"),
    ("a scene's seed of 2**80", {"kind": "scene", "serial": 1, "seed": 2**80}, PLAIN),
    ("a picture without bytes", {"kind": "picture", "serial": 1}, "no image came with the upload"),
    ("unpin text", {"kind": "unpin", "id": "x"}, "with str as 'id', where int"),
    ("unpin nothing", {"kind": "unpin"}, "with nothing as 'id', where int"),
    ("naming without state", {"kind": "naming"}, "with nothing as 'state', where dict"),
    ("words that are a number", {"kind": "naming", "state": {"words": 5}}, "sent words that cannot be used"),
    ("a projector that is text", {"kind": "show", "state": {"projector": "on"}}, "sent projector that cannot be used"),
    ("a seed of 2**80", _moved(seed=2**80), PLAIN),
]


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


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
_UPLOADS: list[tuple[str, Callable[[], bytes], str]] = [
    ("no bytes", lambda: b"", "cannot be read as an image"),
    ("noise", lambda: os.urandom(200), "cannot be read as an image"),
    ("markup", lambda: b"<svg onload=1>", "cannot be read as an image"),
    ("400 megapixels", lambda: bomb(20_000), "megapixels"),
    ("144 megapixels", lambda: bomb(12_000), "megapixels"),
    ("a header of 60000×60000", lambda: png(60_000, 60_000), "megapixels"),
    ("EPS", lambda: EPS, "cannot be read as an image"),
    ("CMYK", lambda: encoded(Image.new("CMYK", (8, 8)), "JPEG"), PLAIN),
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
    *(
        widget(f"panel with {name}", _panel_of(**settings), "result", right=lambda value, says=says: says in value[1])
        for name, settings, says in _SHOWN
    ),
    widget("panel with a grid as vectors", lambda s: mp.SteeringPanel(s.model, s.grid), "error", "lacks"),
    widget("panel of vectors", lambda s: mp.SteeringPanel(s.vectors, s.model), "error", "the model comes first"),
    widget("strip of vectors", lambda s: mp.TokenStrip(s.vectors, s.model), "error", "the model comes first"),
    widget("overlay of vectors", lambda s: mp.PatchOverlay(s.vectors, s.model), "error", "the model comes first"),
    widget("explore vectors", lambda s: mp.explore(s.model, s.vectors), "error", "expected a concept library"),
    widget("explore None", lambda s: mp.explore(None), "error", "explore: expected a loaded model"),
    widget("explore an unknown model", lambda s: mp.explore("zz"), "error", "zz"),
    *(widget(f"message: {name}", _heard(content), "result", right=_says(says)) for name, content, says in _MESSAGES),
    *(widget(f"upload: {name}", _uploaded(make), "result", right=_refused(says)) for name, make, says in _UPLOADS),
    widget("monitor of nothing", lambda s: repr(mp.SweepMonitor(None)), "result", right=lambda value: "idle" in value),
    widget("monitor of a number", lambda s: mp.SweepMonitor(5), "error", "expected"),
    widget(
        "monitor of a store to come",
        lambda s: repr(mp.SweepMonitor(s.folder / "later")),
        "result",
        right=lambda value: value.startswith("SweepMonitor(0%"),
    ),
]
