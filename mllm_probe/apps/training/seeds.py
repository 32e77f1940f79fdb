"""Models of the drawn world that were trained from another seed: where they are, and whose vision tower they take."""

from __future__ import annotations

from pathlib import Path

from mllm_probe.models.user_cache import cache_root

WITH_TOWER = "scenes-8l"
"""Model whose vision tower the others of the drawn world take as it is."""


def seeds_folder() -> Path:
    """Folder in the user's cache for models of other seeds than the bundled ones."""
    return cache_root() / "seeds"


def other_seeds() -> list[Path]:
    """Folders of the models there whose training is finished, in alphabetical order.

    A training writes its model anew with every checkpoint, and its record at the end.
    """
    return sorted(record.parent for record in seeds_folder().glob("*/training.json"))
