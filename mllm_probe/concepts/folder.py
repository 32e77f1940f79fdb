"""Concepts from a folder of images: ``<category>/<concept>/{positive,negative}/*.png|jpg``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mllm_probe.concepts.concept import Concept, Picture, category_name, checked_words
from mllm_probe.concepts.library import ConceptLibrary, Group, Groups, read_groups, with_groups
from mllm_probe.models.images import check_image_file, read_text

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_LAYOUT = "<category>/<concept>/{positive,negative}/*.png|jpg"
_LARGEST_WORDS_FILE = 64 * 1024


def from_folder(
    folder: str | Path, groups: Callable[[Path], Group] | Mapping[Any, Group] | str | Path | None = None
) -> ConceptLibrary:
    """Read a concept library from a folder.

    Concepts whose positive and negative files have the same names (endings aside) are paired by them; all
    others are two unpaired classes. ``words.txt`` next to ``positive`` and ``negative`` may list, one a line,
    the forms that count as naming the concept; by default it is the folder's name.

    Parameters
    ----------
    folder : str or pathlib.Path
        Laid out as ``<category>/<concept>/{positive,negative}/*.png|jpg``. Categories have any name; other
        spellings of those in `schema.CATEGORIES` are understood. Hidden files and folders are passed over.
    groups : callable, mapping, str or pathlib.Path, optional
        Which images are near-duplicates, so that `ConceptLibrary.split` keeps them on one side: a function of an
        image's path, a mapping from paths, or a CSV file with the columns ``file`` (relative to ``folder``) and
        ``group``. Images without a group (None, or not listed) form one group each.

    Returns
    -------
    ConceptLibrary
        Sorted by category and name. What else an image shows is not known, so ``labels`` are None; groups are
        recorded as ``Picture.group``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or CSV file.
    ValueError
        If the layout differs, a class is missing or empty, a file or folder cannot be read, a file is no regular
        file or no image of at most 64 megapixels, or names, words or groups are wrong. The text names the file.

    Examples
    --------
    >>> library = from_folder("my_concepts", groups=lambda path: path.stem.split("_")[0])  # doctest: +SKIP
    >>> library["cat"].paired  # doctest: +SKIP
    True
    """
    if not isinstance(folder, (str, Path)):
        raise ValueError(f"folder: expected a path to a folder laid out as {_LAYOUT}; got {folder!r}.")
    root = Path(folder)
    if not _is_folder(root):
        raise FileNotFoundError(f"there is no folder {str(root)!r}; expected one laid out as {_LAYOUT}.")
    tops = [(path, category_name(top.name)) for top in _folders(root) for path in _folders(top)]
    if not tops:
        raise ValueError(f"{str(root)!r} holds no concepts; expected folders laid out as {_LAYOUT}.")
    concepts = [_concept(path, category) for path, category in tops]
    if groups is not None:
        concepts = with_groups(concepts, _by_path(groups, root))
    return ConceptLibrary(concepts, source=root.name)


def image_files(paths: Iterable[str | Path]) -> list[Path]:
    """List image files, those of folders by name.

    Parameters
    ----------
    paths : iterable of str or pathlib.Path
        Files, which are taken as they are, and folders, whose image files are taken; hidden ones and folders inside
        are passed over.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If a folder holds no images, or a file is no regular file or no image of at most 64 megapixels.

    Examples
    --------
    >>> mp.capture(model, image_files(["my_images"]))  # doctest: +SKIP
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if _is_folder(path):
            files += _images_in(path)
        else:
            check_image_file(path)
            files.append(path)
    return files


def _images_in(folder: Path) -> list[Path]:
    files = [path for path in _entries(folder) if path.suffix.lower() in _ENDINGS]
    if not files:
        raise ValueError(f"the folder {str(folder)!r} holds no images ({', '.join(_ENDINGS)}).")
    for file in files:
        _check(file)
    return files


def _by_path(groups: Any, root: Path) -> Groups:
    if isinstance(groups, (str, Path)):
        return read_groups(Path(groups), root)
    if callable(groups):
        return lambda image: groups(image.source)
    return groups


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error.strerror}); allow it, or leave it out.") from error


def _entries(folder: Path) -> list[Path]:
    """Entries of a folder, sorted, without hidden ones."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise ValueError(
            f"the folder {str(folder)!r} cannot be read ({error.strerror}); allow it, or leave it out."
        ) from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if _is_folder(path)]


def _concept(folder: Path, category: str) -> Concept:
    positive, negative = _class(folder, "positive"), _class(folder, "negative")
    common = [stem for stem in positive if stem in negative]
    paired = len(common) == len(positive) == len(negative)
    return Concept(
        name=folder.name,
        category=category,
        words=_words(folder),
        positive=[Picture(path, pair=i if paired else None) for i, path in enumerate(positive.values())],
        negative=[
            Picture(path, pair=i if paired else None)
            for i, path in enumerate([negative[s] for s in common] if paired else negative.values())
        ],
        paired=paired,
    )


def _class(folder: Path, side: str) -> dict[str, Path]:
    """Image files of one class by their stem, sorted."""
    path = folder / side
    exists = _is_folder(path)
    files = [p for p in _entries(path) if p.suffix.lower() in _ENDINGS] if exists else []
    if not files:
        others = ", ".join(repr(p.name) for p in _folders(folder)) or "no folders"
        problem = f"holds no images ({', '.join(_ENDINGS)})" if exists else "is missing"
        raise ValueError(
            f"concept {folder.name!r}: the folder {str(path)!r} {problem} (there: {others}). A direction needs "
            f"images with the concept and images without it; expected {_LAYOUT}."
        )
    by_stem: dict[str, Path] = {}
    for file in files:
        if file.stem in by_stem:
            raise ValueError(
                f"{str(file)!r} and {str(by_stem[file.stem])!r} have the same name; pairs go by name, so rename one."
            )
        _check(file)
        by_stem[file.stem] = file
    return by_stem


def _check(file: Path) -> None:
    try:
        check_image_file(file)
    except FileNotFoundError as error:  # a link that leads nowhere: the folder does list it
        raise ValueError(f"{str(file)!r} is a link to a file that is not there; replace or remove it.") from error


def _words(folder: Path) -> tuple[str, ...]:
    file = folder / "words.txt"
    if not os.path.lexists(file):
        return (folder.name.replace("_", " "),)
    # Not str.splitlines(), for which control characters such as \x0b and \x1c end a line and so would go unseen.
    lines = re.split(r"\r\n|\r|\n", read_text(file, _LARGEST_WORDS_FILE))
    words = [line for line in lines if line.strip()]
    if not words:
        raise ValueError(
            f"{str(file)!r} is empty; write the words that name the concept, one a line, or remove the file."
        )
    return checked_words(repr(str(file)), words)
