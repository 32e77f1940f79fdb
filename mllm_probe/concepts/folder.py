"""Concepts from a folder of pictures: ``<category>/<concept>/{positive,negative}/*.png|jpg``."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mllm_probe.concepts.concept import Concept, category_name
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.concepts.picture import Picture

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_LAYOUT = "<category>/<concept>/{positive,negative}/*.png|jpg"


def from_folder(folder: str | Path) -> ConceptLibrary:
    """Read a concept library from a folder.

    Concepts whose positive and negative files have the same names (endings aside) are paired by them; all
    others are two unpaired classes. ``words.txt`` beside ``positive`` and ``negative`` may list, one a line,
    the forms that count as naming the concept; by default it is the folder's name.

    Parameters
    ----------
    folder : str or pathlib.Path
        Laid out as ``<category>/<concept>/{positive,negative}/*.png|jpg``, the categories those of
        `schema.CATEGORIES`.

    Returns
    -------
    ConceptLibrary
        Sorted by category and name. What else a picture shows is not known, so ``labels`` are None.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the layout is another, a class is missing or empty, or a file is no readable picture.

    Examples
    --------
    >>> library = from_folder("my_concepts")  # doctest: +SKIP
    >>> library["cat"].paired  # doctest: +SKIP
    True
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder '{root}'; expected one laid out as {_LAYOUT}.")
    concepts = [_concept(path, category_name(top.name)) for top in _folders(root) for path in _folders(top)]
    if not concepts:
        raise ValueError(f"'{root}' holds no concepts; expected folders laid out as {_LAYOUT}.")
    return ConceptLibrary(concepts, source=root.name)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


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
    """Picture files of one class by their stem, sorted."""
    path = folder / side
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in _ENDINGS) if path.is_dir() else []
    if not files:
        there = ", ".join(p.name for p in _folders(folder)) or "no folders"
        problem = "is missing" if not path.is_dir() else f"holds no pictures ({', '.join(_ENDINGS)})"
        raise ValueError(
            f"concept '{folder.name}': the folder '{path}' {problem} (there: {there}). A direction needs pictures "
            f"with the concept and pictures without it; expected {_LAYOUT}."
        )
    by_stem: dict[str, Path] = {}
    for file in files:
        if file.stem in by_stem:
            raise ValueError(
                f"'{file}' and '{by_stem[file.stem]}' have the same name; pairs go by name, so rename one."
            )
        _check(file)
        by_stem[file.stem] = file
    return by_stem


def _check(file: Path) -> None:
    try:
        with Image.open(file) as image:
            image.verify()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"the file {file} cannot be read as a picture ({error}); replace or remove it.") from error


def _words(folder: Path) -> tuple[str, ...]:
    file = folder / "words.txt"
    if not file.is_file():
        return (folder.name.replace("_", " "),)
    words = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if not words:
        raise ValueError(f"'{file}' is empty; write the words that name the concept, one a line, or remove the file.")
    return words
