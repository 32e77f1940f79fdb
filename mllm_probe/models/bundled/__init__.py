"""Models that come with the package, whole or to be put together with a decoder from the user's cache."""

from __future__ import annotations

from pathlib import Path

from mllm_probe.models.user_cache import cache_root

FOLDER = Path(__file__).parent
ASSEMBLED: dict[str, str] = {}
"""Models of which a vision tower, a projector and adapters are shipped, and the cached decoder of each: none yet."""
ASSEMBLY = "assembly.json"
"""File in the folder of such a model that says how it is put together."""


def bundled_names() -> list[str]:
    """Names of the models that are bundled whole, in alphabetical order."""
    return sorted(folder.name for folder in FOLDER.iterdir() if (folder / "config.json").is_file())


def assembled_names() -> list[str]:
    """Names of the models whose shipped parts are put on a cached decoder, in alphabetical order."""
    return sorted(name for name in ASSEMBLED if (FOLDER / name / ASSEMBLY).is_file())


def bundled_folder(name: str) -> Path | None:
    """Folder of what is bundled of a model, None if there is none of that name."""
    return FOLDER / name if name in (*bundled_names(), *assembled_names()) else None


def seeds_folder() -> Path:
    """Folder in the user's cache for models of the drawn world that were trained from other seeds."""
    return cache_root() / "seeds"


def other_seeds() -> list[Path]:
    """Folders there whose training is finished, in alphabetical order: only then is there a ``training.json``."""
    return sorted(record.parent for record in seeds_folder().glob("*/training.json"))
