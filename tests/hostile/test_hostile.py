"""Every hostile input ends as the table says: none wrong without a word, none without an end."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from huggingface_hub import constants

from tests.hostile.setting import Setting
from tests.hostile.tries import Try, outcome, raised_by_the_package, tries

TRIES = tries()
MOST_BARE = 9


@pytest.mark.parametrize("attempt", TRIES, ids=lambda attempt: attempt.label)
def test_hostile_input(attempt: Try, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    setting.folder = tmp_path
    monkeypatch.chdir(tmp_path)
    ended = outcome(attempt, setting)
    assert ended.kind == attempt.ends, f"{ended.kind}: {ended.text or ended.value!r}"
    assert attempt.says in ended.text
    if attempt.ends in ("result", "warning") and attempt.right is not None:
        assert attempt.right(ended.value), f"a wrong result: {ended.value!r}"


def test_no_folder_of_a_model_reaches_the_network(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not even where the hub may be asked: what a folder names is refused before any access, or ignored."""
    calls: list[object] = []

    def refuse(*arguments: object, **_: object) -> NoReturn:
        calls.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folders = [attempt for attempt in TRIES if attempt.area == "model folder"]
    assert len(folders) >= 20
    reached = {}
    for place, attempt in enumerate(folders):
        setting.folder = tmp_path / str(place)
        setting.folder.mkdir()
        monkeypatch.chdir(setting.folder)
        ended = outcome(attempt, setting)
        if calls or ended.kind != attempt.ends:
            reached[attempt.label] = (ended.kind, ended.text, tuple(calls))
        calls.clear()
    assert not reached


def test_the_table_is_sound():
    assert len({attempt.label for attempt in TRIES}) == len(TRIES)
    assert not [label for label in (attempt.label for attempt in TRIES) if " at 0x" in label], "differs between workers"
    assert sum(attempt.ends == "bare" for attempt in TRIES) <= MOST_BARE
    unsaid = [attempt.label for attempt in TRIES if attempt.ends in ("error", "warning") and not attempt.says]
    assert not unsaid, f"errors and warnings are told apart by their words: {unsaid}"
    unjudged = [attempt.label for attempt in TRIES if attempt.ends == "result" and attempt.right is None]
    assert not unjudged, f"results need to be judged: {unjudged}"


def test_outcomes_are_told_apart():
    def ours(_):
        import xarray as xr

        from mllm_probe.schema import require

        require(xr.Dataset(), "vector")

    assert outcome(Try("self", "ours", ours, "error"), None).kind == "error"
    assert outcome(Try("self", "bare", lambda _: int("x"), "bare"), None).kind == "bare"
    assert outcome(Try("self", "fine", lambda _: 3, "result"), None).value == 3
    assert not raised_by_the_package(ValueError("never raised").with_traceback(_trace()))


def _trace():
    try:
        os.stat("\0")
    except ValueError as error:
        return error.__traceback__
