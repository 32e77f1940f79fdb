"""Arguments of the command line; each ends with the exit status 2 and one line."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from mllm_probe.cli import main
from tests.hostile.tries import Try


def _refused(*arguments: str) -> Try:
    def call(setting: Any) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(list(arguments))
        return status, out.getvalue(), err.getvalue()

    def right(result: tuple[int, str, str]) -> bool:
        status, out, err = result
        line = err.removesuffix("\n")
        return status == 2 and not out and line.startswith("mllm-probe: ") and line.isprintable()

    return Try("command line", " ".join(map(repr, arguments)), call, "result", right=right)


TRIES = [
    _refused(*arguments)
    for arguments in [
        ("nonesuch",),
        ("--nonesuch",),
        ("",),
        ("verify",),
        ("verify", ""),
        ("verify", "nonesuch"),
        ("verify", "./nowhere"),
        ("verify", "a", "b"),
        ("verify", "scenes-8l", "--dtype", "float99"),
        ("verify", "\x1b[31mred\n"),
        ("families", "nonesuch"),
        ("families", ""),
        ("families", "--details", "maybe"),
        ("report",),
        ("report", "nowhere.zarr", "page.html"),
        ("report", "nowhere.zarr", "page.html", "--metric"),
        ("report", "http://x.invalid/a.zarr", "page.html"),
        ("describe", ""),
        ("describe", "../../nowhere"),
        ("capture", "--model", "scenes-8l", "--images", "\x1b[31mred.png", "--out", "a.zarr"),
        ("capture", "--model", "scenes-8l", "--images", "--out", "a.zarr"),
        ("vectors", "--config", "."),
        ("vectors", "--config", "/dev/null"),
        ("vectors", "--model", "scenes-8l", "--library", "scenes", "--pairs", "1e9", "--out", "a.safetensors"),
        ("vectors", "--model", "scenes-8l", "--library", "scenes", "--pairs", "-1", "--out", "a.safetensors"),
        ("sweep",),
        ("sweep", "no\x1b[31m\nwhere.toml"),
        ("sweep", "--model", "scenes-8l", "--library", "scenes", "--strengths", "1,2", "--store", "a.zarr"),
        ("effect", "nowhere.zarr"),
        ("effect", ".", "--best"),
        ("export", "nowhere.zarr", "cells.csv"),
        ("export", ".", "cells.xlsx"),
    ]
]
