"""Where the package keeps what it may forget: its folder in the user's cache."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path


def cache_root() -> Path:
    """Folder of the package in the user's cache; it need not exist."""
    return user_cache_path("mllm_probe", appauthor=False)
