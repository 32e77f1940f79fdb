"""Models that come with the package."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def bundled_names() -> list[str]:
    """Names of the bundled models, in alphabetical order."""
    return sorted(folder.name for folder in FOLDER.iterdir() if (folder / "config.json").is_file())


def bundled_folder(name: str) -> Path | None:
    """Folder of a bundled model, None if there is none of that name."""
    return FOLDER / name if name in bundled_names() else None
