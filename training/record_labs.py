"""Recorded results with which the lab of a bundled model opens."""

from __future__ import annotations

import logging
from pathlib import Path

from mllm_probe.loading import load
from mllm_probe.models.bundled import bundled_folder, bundled_names
from mllm_probe.widgets.lab.record_file import FILE, write
from mllm_probe.widgets.lab.recording import recorded_lab_of

logger = logging.getLogger(__name__)


def record_listed(*names: str, work: Path) -> None:
    """Record what the lab of bundled models shows, into their folders.

    Parameters
    ----------
    names
        Bundled names; all bundled models by default.
    work
        Folder for finished parts, one folder a model: the same command goes on from there.
    """
    known = bundled_names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"There is no bundled model '{unknown[0]}' to record: expected {', '.join(known)}.")
    for name in names or known:
        folder = bundled_folder(name)
        assert folder is not None
        write(recorded_lab_of(load(name), work / name), folder / FILE)
        logger.info("%s: %.2f MB", folder / FILE, (folder / FILE).stat().st_size / 1e6)
