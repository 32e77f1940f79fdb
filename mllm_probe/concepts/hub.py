"""Concepts from a dataset of the Hugging Face Hub, or from a local dataset in the same formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mllm_probe.concepts.concept import Concept, Picture, Source, checked_count, checked_words
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.schema import unknown_name

_LABEL_NAMES = ("concept", "emotion", "style", "label", "class", "class_name", "category", "name")
_PAIR_NAMES = (("positive", "negative"), ("pos", "neg"), ("with", "without"), ("tar", "src"), ("target", "source"))


@dataclass(frozen=True)
class HubSource:
    """Source of a dataset's concepts: its id, split and the columns to read.

    With ``positive_column`` and ``negative_column`` each row is a counterfactual pair of the concept that
    ``label_column`` names; with ``image_column`` each row is one image of a class, and the negatives of a class are
    images of the others. Columns that are None are chosen by type and name. ``label_column="split"``
    takes the name of the dataset's split as the concept.
    """

    dataset: str
    category: str
    split: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    positive_column: str | None = None
    negative_column: str | None = None


PRESETS: Mapping[str, HubSource] = {
    "emoset": HubSource("Woleek/EmoSet-118K", "emotion", split="train"),
    "omniconsistency": HubSource("showlab/OmniConsistency", "visual_style", label_column="split"),
    "vis_diff": HubSource("hehehahi4/Vis_diff", "entity"),
}


def from_hub(
    dataset: str | Path,
    *,
    category: str | None = None,
    split: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    positive_column: str | None = None,
    negative_column: str | None = None,
    classes: Iterable[str] | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
    pairs: int = 48,
    max_rows: int = 20_000,
    seed: int = 0,
    revision: str | None = None,
) -> ConceptLibrary:
    """Read a concept library with the ``datasets`` package.

    Parameters
    ----------
    dataset : str or pathlib.Path
        ``"emoset"``, ``"omniconsistency"``, ``"vis_diff"``, the id of another dataset on the Hub, or a local
        folder of parquet files or labelled images.
    category : str, optional
        Category of its concepts; the three names know theirs.
    split : str, optional
        Split of the dataset; by default ``train`` or the first one.
    image_column, label_column, positive_column, negative_column : str, optional
        Columns to read (see `HubSource`); chosen by type and name where not given.
    classes : iterable of str, optional
        Concepts to keep; all by default.
    words : mapping of str to sequence of str, optional
        Forms that count as naming a concept; by default its name.
    pairs : int
        Images of each class, and as many negatives.
    max_rows : int
        Rows to look through at most: the dataset is streamed, not downloaded as a whole.
    seed : int
        Seed of the choice of a class's negatives among the other classes.
    revision : str, optional
        Commit or branch of the dataset.

    Returns
    -------
    ConceptLibrary
        In class datasets an image's ``labels`` hold its class, since the classes exclude one another. Images stay
        encoded in memory. An image that occurs again, pixel by pixel, is left out: of a class dataset in all classes,
        so that none is with and without a concept; a pair where both its images occur again in its class. Classes may
        differ in size: :meth:`ConceptLibrary.equal_n`.

    Raises
    ------
    ImportError
        If ``datasets`` is not installed.
    OSError
        If the dataset cannot be reached.
    ValueError
        If columns are ambiguous or missing, or there are fewer than two classes.
    """
    name = str(dataset)
    source = PRESETS.get(name) or HubSource(name, category or "")
    given = {
        "category": category,
        "split": split,
        "image_column": image_column,
        "label_column": label_column,
        "positive_column": positive_column,
        "negative_column": negative_column,
    }
    source = replace(source, **{key: value for key, value in given.items() if value is not None})
    if not source.category:
        raise ValueError(f"the category of the concepts in {name!r} is not known; pass category='entity' or another.")
    if isinstance(classes, str):
        raise ValueError(f"classes is a list of names, not one string: write [{classes!r}] for one.")
    counts = checked_count("pairs", pairs), checked_count("max_rows", max_rows), checked_count("seed", seed, least=0)
    return read(source, classes, words or {}, *counts, revision)


def read(
    source: HubSource,
    classes: Iterable[str] | None,
    words: Mapping[str, Sequence[str]],
    pairs: int,
    max_rows: int,
    seed: int,
    revision: str | None,
) -> ConceptLibrary:
    """Read the rows of a dataset into a concept library; parameters as in `from_hub`."""
    selected = None if classes is None else list(classes)
    rows: dict[str, list[tuple[Source, ...]]] = {}
    seen: set[tuple[str, ...]] = set()
    paired = False
    for stream, label in _streams(source, selected, revision):
        columns = _columns(source, stream)
        paired = len(columns.images) == 2
        _collect(rows, seen, _undecoded(stream, columns.images), columns, label, pairs, max_rows)
    missing = [name for name in selected or [] if name not in rows]
    if missing:
        raise ValueError(unknown_name("class", missing[0], rows) + f" Looked through {max_rows} rows at most.")
    build = _paired if paired else _contrasted
    order = selected or sorted(rows)
    return ConceptLibrary(
        (
            build(
                name,
                source.category,
                checked_words(f"class {name!r}", words.get(name, (_plain(name),))),
                rows,
                pairs,
                seed,
            )
            for name in order
        ),
        source=source.dataset,
    )


@dataclass(frozen=True)
class _Columns:
    images: tuple[str, ...]
    label: str | None
    names: Sequence[str] | None


def _streams(source: HubSource, selected: list[str] | None, revision: str | None) -> list[tuple[Any, str | None]]:
    """Streamed splits, each with its concept, if splits are concepts."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            "from_hub needs the package 'datasets', which is not installed: pip install 'mllm-probe[hub]'."
        ) from error
    try:
        loaded = datasets.load_dataset(source.dataset, streaming=True, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetNotFoundError) as error:
        raise OSError(
            f"the dataset {source.dataset!r} cannot be read ({type(error).__name__}: {error}). Check its name and the "
            "connection, log in if it is gated, or pass a local folder with the same files."
        ) from error
    if source.label_column == "split":
        return [(loaded[name], name) for name in loaded if selected is None or name in selected]
    split = source.split or ("train" if "train" in loaded else next(iter(loaded)))
    if split not in loaded:
        raise ValueError(f"{source.dataset!r}: {unknown_name('split', split, loaded)}")
    return [(loaded[split], None)]


def _columns(source: HubSource, stream: Any) -> _Columns:
    features = stream.features or stream._resolve_features().features
    images = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    strings = [name for name, feature in features.items() if getattr(feature, "dtype", "") == "string"]
    for given in (source.image_column, source.label_column, source.positive_column, source.negative_column):
        if given not in (None, "split") and given not in features:
            raise ValueError(f"{source.dataset!r}: {unknown_name('column', given, features)}")
    pair = (source.positive_column, source.negative_column)
    if None in pair and source.image_column is None:
        pair = next((names for names in _PAIR_NAMES if set(names) <= {*images, *strings}), (None, None))
    chosen = tuple(name for name in pair if name) if None not in pair else (source.image_column or "",)
    if chosen == ("",):
        if len(images) != 1:
            raise ValueError(
                f"{source.dataset!r} has {len(images)} image columns ({', '.join(images) or 'none'}) among "
                f"{', '.join(features)}; pass image_column=, or positive_column= and negative_column=."
            )
        chosen = (images[0],)
    label = source.label_column or next((n for n in _LABEL_NAMES if n in features and n not in chosen), None)
    if label is None:
        raise ValueError(
            f"{source.dataset!r}: no column names the concept among {', '.join(features)}; pass label_column=."
        )
    return _Columns(chosen, None if label == "split" else label, getattr(features.get(label), "names", None))


def _undecoded(stream: Any, images: Sequence[str]) -> Any:
    """The stream with its image columns as encoded bytes, so that only images in use are decoded."""
    import datasets

    for name in images:
        stream = stream.cast_column(name, datasets.Image(decode=False))
    return stream


def _collect(
    rows: dict[str, list[tuple[Source, ...]]],
    seen: set[tuple[str, ...]],
    stream: Any,
    columns: _Columns,
    label: str | None,
    pairs: int,
    max_rows: int,
) -> None:
    """Add images to their classes until every class that can be known has enough, or the rows end."""
    expected = [label] if label is not None else columns.names
    for row in stream.take(max_rows):
        value = label if columns.label is None else row[columns.label]
        name = columns.names[value] if columns.names and isinstance(value, int) else str(value)
        if len(rows.setdefault(name, [])) < pairs:
            images = tuple(_encoded(row[column]) for column in columns.images)
            content = tuple(Picture(image).id for image in images)
            content = (name, *content) if len(images) > 1 else content
            if content not in seen:
                seen.add(content)
                rows[name].append(images)
        if expected and all(len(rows.get(name, ())) >= pairs for name in expected):
            return


def _encoded(value: Any) -> Source:
    path = (value or {}).get("path")
    if value and value.get("bytes"):
        return bytes(value["bytes"])
    if path and Path(path).is_file():
        return Path(path)
    raise ValueError(
        f"an image of the dataset cannot be found: {path!r} is neither stored nor a file (URLs are not fetched). "
        "Leave out such rows, or store the images in the dataset."
    )


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()


def _paired(
    name: str,
    category: str,
    words: tuple[str, ...],
    rows: dict[str, list[tuple[Source, ...]]],
    pairs: int,
    seed: int,
) -> Concept:
    sides = zip(*rows[name], strict=True)
    positive, negative = ([Picture(image, pair=number) for number, image in enumerate(side)] for side in sides)
    return Concept(name, category, words, positive, negative, paired=True)


def _contrasted(
    name: str,
    category: str,
    words: tuple[str, ...],
    rows: dict[str, list[tuple[Source, ...]]],
    pairs: int,
    seed: int,
) -> Concept:
    """A class against the others, as evenly from each of them as possible."""
    others = [other for other in sorted(rows) if other != name]
    if not others:
        raise ValueError(
            f"only one class was found ({name!r}); its negatives are images of other classes, so give two."
        )
    rng = np.random.default_rng([seed, *name.encode()])
    shuffled = {other: [rows[other][i] for i in rng.permutation(len(rows[other]))] for other in others}
    longest = max(len(images) for images in shuffled.values())
    rounds = [(other, shuffled[other][i]) for i in range(longest) for other in others if i < len(shuffled[other])]
    negative = [Picture(source, labels=frozenset((other,))) for other, (source,) in rounds[:pairs]]
    positive = [Picture(source, labels=frozenset((name,))) for (source,) in rows[name]]
    return Concept(name, category, words, positive, negative, paired=False)
