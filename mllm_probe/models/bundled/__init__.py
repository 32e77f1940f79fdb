"""Models that come with the package, whole or to be put together with a cached decoder, and where a name leads."""

from __future__ import annotations

from pathlib import Path

from mllm_probe.models.argument_checks import cache_root, described, path_of

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


def source_of(name: str | Path) -> tuple[str, str, bool]:
    """Source to load a model from, name to show, and True for a local folder.

    Raises
    ------
    ValueError
        If there is no such folder and no bundled model of that name, and it is no hub id; nothing is loaded to say so.
    """
    path, text = path_of("name", name), str(name)
    if isinstance(name, Path) or text.startswith(("./", "../", "/", "~")) or text in (".", ".."):
        folder = _expanded(path)
        if not (_is_file(folder / "config.json") or _is_file(folder / ASSEMBLY)):
            raise ValueError(f"Expected a folder with a model (config.json, *.safetensors) at {folder}; there is none.")
        return str(folder), folder.resolve().name, True
    packaged = bundled_folder(text)
    if packaged is not None:
        return str(packaged), text, True
    if text.count("/") != 1 or not all(text.split("/")):
        known = ", ".join(f"'{n}'" for n in (*bundled_names(), *assembled_names())) or "none in this installation"
        raise ValueError(
            f"There is no bundled model '{text}' (bundled: {known}). A hub id reads 'org/name'; a folder starts with "
            f"./, ../ or /, for instance './{text}'."
        )
    return text, text, False


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"name: '{path}' begins with ~, but there is no home folder of that user.") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        reason = str(error.strerror).lower()
        raise ValueError(f"name: {described(str(path))} leads nowhere: {reason}.") from error
