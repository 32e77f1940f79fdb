"""A set of concepts: a mapping from names, with splits, groups of near-duplicates, subsets and a hash."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mllm_probe.concepts.concept import Concept, Picture, Sentence, category_name, checked_count, checked_name
from mllm_probe.models.argument_checks import whole_number
from mllm_probe.models.images import read_text
from mllm_probe.schema import unknown_name

_MARK = "group "
"""Before the name of a group among the keys of images, which are hexadecimal."""


def fit_keys(concepts: Sequence[Concept], fit: float, seed: int, *, fixed: bool = False) -> set[str]:
    """Return the keys of the images to fit with.

    Pairs, pairs that share an image, and images with one `Picture.group` form groups that go to one side as a
    whole; every class then fills its share with the groups that no class before it has placed, all positives before
    the first negatives. A fixed split places each group by a hash instead, whatever other concepts and images are
    there.

    `fit`: share of each concept's units, at least one and at most all but one. Returns: `Picture.key` of every image on
    the fit side. Raises ValueError if a concept cannot be in both sets.
    """
    group = _joined(concepts)
    placed: dict[str, bool] = _by_hash(concepts, group, fit, seed) if fixed else {}
    classes = [(concept, concept.positive) for concept in concepts]
    classes += [(concept, concept.negative) for concept in concepts if not concept.paired]
    for number, (concept, images) in enumerate(classes):
        _place(concept, images, group, placed, fit, np.random.default_rng([seed, number]))
    return {key for key, root in group.items() if placed[root]}


def _by_hash(concepts: Sequence[Concept], group: dict[str, str], fit: float, seed: int) -> dict[str, bool]:
    """Side of every group, by the hash of what decides for it."""
    deciding: dict[str, str] = {}
    for concept in concepts:
        for unit in concept.units:
            # Pairs may share the image without the concept, such as one photograph in several styles.
            name = unit[-1].key if unit[-1].group is None else _MARK + unit[-1].group
            root = group[unit[-1].key]
            deciding[root] = min(deciding.get(root, name), name)
    return {root: hash_share(name, seed) < fit for root, name in deciding.items()}


def hash_share(name: str, seed: int) -> float:
    """A number between 0 and 1 that a name and a seed give."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _joined(concepts: Sequence[Concept]) -> dict[str, str]:
    """Name of the group of each image's key: joined by pairs and groups, through any number of them."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for concept in concepts:
        for unit in concept.units:
            first = root(unit[0].key)
            for other in unit[1:]:
                parent[root(other.key)] = first
        for image in concept.pictures:
            if image.group is not None:
                parent[root(image.key)] = root(_MARK + image.group)
    return {key: root(key) for key in list(parent) if not key.startswith(_MARK)}


def _place(
    concept: Concept,
    images: Sequence[Picture],
    group: dict[str, str],
    placed: dict[str, bool],
    fit: float,
    rng: np.random.Generator,
) -> None:
    groups = list(dict.fromkeys(group[image.key] for image in images))
    target = min(max(round(fit * len(groups)), 1), len(groups) - 1)
    free = [name for name in groups if name not in placed]
    missing = max(target - sum(placed[name] for name in groups if name in placed), 0)
    for rank, index in enumerate(rng.permutation(len(free))):
        placed[free[index]] = rank < missing
    if not 0 < sum(placed[name] for name in groups) < len(groups):
        raise ValueError(
            f"concept {concept.name!r} cannot be split: its {len(images)} images of a class form {len(groups)} "
            "independent group(s), and each side needs one. Give more images, smaller groups, or fewer shared "
            "between concepts."
        )


Group = str | int | None
Groups = Callable[[Picture], Group] | Mapping[Any, Group]

_LARGEST_CSV = 32 * 2**20


def with_groups(concepts: Iterable[Concept], groups: Groups) -> list[Concept]:
    """Return the concepts with a group recorded in each image.

    `groups`: a callable takes a `Picture`. A mapping has paths or `Picture.id` as keys; images that it lacks are in no
    group, as are those whose group is None. Groups that were recorded before are replaced. Raises ValueError if a group
    is neither text nor a number, or a key of the mapping belongs to no image.
    """
    listed = list(concepts)
    group_of = groups if callable(groups) else _looked_up([p for c in listed for p in c.pictures], groups)

    def marked(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
        return tuple(image.marked(group=_name(group_of(image), image)) for image in pictures)

    return [replace(c, positive=marked(c.positive), negative=marked(c.negative)) for c in listed]


def read_groups(file: Path, root: Path) -> dict[Path, str]:
    """Read a CSV file with the columns ``file`` (relative to ``root``) and ``group``.

    Raises FileNotFoundError if there is no such file. Raises ValueError if it is no such table, or gives a file two
    groups.
    """
    rows = csv.DictReader(io.StringIO(read_text(file, _LARGEST_CSV)))
    if not {"file", "group"} <= set(rows.fieldnames or ()):
        raise ValueError(
            f"{str(file)!r}: expected a CSV file whose first line names the columns file and group; it names "
            f"{', '.join(map(repr, rows.fieldnames or ())) or 'none'}."
        )
    try:
        listed = list(rows)
    except csv.Error as error:
        raise ValueError(f"{str(file)!r} cannot be read as CSV ({error}).") from error
    groups: dict[Path, str] = {}
    for number, row in enumerate(listed, start=2):
        name, group = (row["file"] or "").strip(), (row["group"] or "").strip()
        if not name or not group:
            raise ValueError(f"{str(file)!r}, line {number}: expected a file and its group; got {name!r}, {group!r}.")
        if groups.setdefault(root / name, group) != group:
            raise ValueError(f"{str(file)!r}, line {number}: {name!r} is in group {group!r} and in another one above.")
    return groups


def _looked_up(images: Sequence[Picture], groups: Any) -> Callable[[Picture], Group]:
    if not isinstance(groups, Mapping):
        raise ValueError(
            "groups: expected a function of an image, or a mapping from paths or image ids to groups; got "
            f"{type(groups).__name__}."
        )
    by_path = {os.path.abspath(image.source): image for image in images if isinstance(image.source, Path)}
    by_object: dict[int, Group] = {}
    rest: dict[str, Group] = {}
    for key, group in groups.items():
        image = by_path.get(os.path.abspath(key)) if isinstance(key, (str, Path)) else None
        if image is None:
            rest[str(key)] = group
        else:
            by_object[id(image)] = group
    if rest:  # ids are hashes of pixels: images are decoded only if a key is no path
        by_id: dict[str, list[Picture]] = {}
        for image in images:
            by_id.setdefault(image.id, []).append(image)
        lost = [key for key in rest if key not in by_id]
        if lost:
            raise ValueError(
                f"groups: {lost[0]!r} is neither the path nor the id of an image of this library"
                f"{f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''}; paths are relative to the folder of the "
                "concepts in a CSV file, and to the working directory in a mapping."
            )
        by_object |= {id(image): group for key, group in rest.items() for image in by_id[key]}
    return lambda image: by_object.get(id(image))


def _name(group: Any, image: Picture) -> str | None:
    if group is None:
        return None
    if isinstance(group, bool) or not isinstance(group, (str, int)):
        raise ValueError(f"groups: expected text, a whole number or None for {image!r}; got {group!r}.")
    return checked_name("groups", str(group))


_SHOWN = 12


class ConceptLibrary(Mapping[str, Concept]):
    """Concepts by name, in a stable order.

    Parameters
    ----------
    concepts : iterable of Concept
        With different names.
    source : str
        Where they come from, for displays.
    """

    def __init__(self, concepts: Iterable[Concept], source: str = "") -> None:
        self._concepts: dict[str, Concept] = {}
        self.source = source
        for concept in concepts:
            if concept.name in self._concepts:
                raise ValueError(f"two concepts are called {concept.name!r}; names must differ.")
            self._concepts[concept.name] = concept
        if not self._concepts:
            raise ValueError("a concept library needs at least one concept; none was given.")

    def __getitem__(self, name: str) -> Concept:
        if name not in self._concepts:
            raise KeyError(unknown_name("concept", name, self._concepts))
        return self._concepts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._concepts)

    def __len__(self) -> int:
        return len(self._concepts)

    def __contains__(self, name: object) -> bool:
        return name in self._concepts

    @property
    def pictures(self) -> list[Picture]:
        """All images, each once (by the hash of its pixels), in the order of the concepts."""
        unique: dict[str, Picture] = {}
        for concept in self._concepts.values():
            for image in concept.pictures:
                unique.setdefault(image.id, image)
        return list(unique.values())

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that occur, in the order of the concepts."""
        return tuple(dict.fromkeys(concept.category for concept in self._concepts.values()))

    @property
    def fingerprint(self) -> str:
        """Hash of names, categories, words, images and groups: attribute ``concepts`` of datasets made with them."""
        content = [
            [c.name, c.category, c.words, c.paired, [p.key for p in c.positive], [p.key for p in c.negative]]
            + [[p.group for p in c.pictures]] * any(p.group is not None for p in c.pictures)
            for c in self._concepts.values()
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def split(
        self, fit: float = 0.5, seed: int = 0, *, groups: Groups | None = None, fixed: bool = False
    ) -> tuple[ConceptLibrary, ConceptLibrary]:
        """Divide the images of every concept into two libraries; pairs and groups stay together.

        An image that several concepts share falls on the same side for all of them. Equal files are one image;
        near-duplicates (other backgrounds, other crops, frames of one video) are not known to be alike unless they are
        given a group.

        Parameters
        ----------
        fit : float
            Share of the pairs (or of each class, unpaired) to fit with, between 0 and 1.
        seed : int
            Decides which.
        groups : callable or mapping, optional
            Which images are near-duplicates: a function of a `Picture`, or a mapping from paths or `Picture.id` to
            groups (text, numbers, or None for none). By default the groups that `from_folder` recorded.
        fixed : bool
            Whether a hash of each image (of a pair, of the one without the concept; of a group, of its name) decides,
            so that an image goes to the same side whatever other concepts and images are in the library. Shares are
            then near ``fit``, not exact.

        Returns
        -------
        fit, held_out : ConceptLibrary
            Their images carry ``split`` ``"fit"`` and ``"held_out"``.

        Raises
        ------
        ValueError
            If ``fit`` is not between 0 and 1, a concept has too few images or groups for both sets, or
            ``groups`` names images that are not there.
        """
        marked = self.with_split(fit, seed, groups=groups, fixed=fixed)
        return marked.where(lambda image: image.split == "fit"), marked.where(lambda image: image.split == "held_out")

    def with_split(
        self, fit: float = 0.5, seed: int = 0, *, groups: Groups | None = None, fixed: bool = False
    ) -> ConceptLibrary:
        """Return the whole library, every image marked with the side on which `split` puts it.

        A sweep over both sides chooses best cells on the images that the vectors were made with, and reports them on
        the others.

        Parameters
        ----------
        fit, seed, groups, fixed
            As for `split`.

        Returns
        -------
        ConceptLibrary
            Its images carry ``split`` ``"fit"`` or ``"held_out"``.

        Raises
        ------
        ValueError
            As `split`.
        """
        if isinstance(fit, bool) or not isinstance(fit, (int, float)) or not 0 < fit < 1:
            raise ValueError(f"fit is the share of images to fit with, between 0 and 1, not {fit!r}.")
        seed = checked_count("seed", seed, least=0)
        if groups is not None:
            return ConceptLibrary(with_groups(self.values(), groups), self.source).with_split(fit, seed, fixed=fixed)
        keys = fit_keys(list(self._concepts.values()), fit, seed, fixed=fixed)
        return self._each_image(lambda image: image.marked(split="fit" if image.key in keys else "held_out"))

    def where(self, keep: Callable[[Picture], bool]) -> ConceptLibrary:
        """Return the library of some of its images.

        Parameters
        ----------
        keep : callable
            Takes a `Picture`, tells whether it stays.

        Raises
        ------
        ValueError
            If a concept is left without images on a side.
        """
        return self._each_image(lambda image: image if keep(image) else None)

    def _each_image(self, change: Callable[[Picture], Picture | None]) -> ConceptLibrary:
        def changed(pictures: Iterable[Picture]) -> tuple[Picture, ...]:
            return tuple(new for new in map(change, pictures) if new is not None)

        return ConceptLibrary(
            (replace(c, positive=changed(c.positive), negative=changed(c.negative)) for c in self._concepts.values()),
            self.source,
        )

    def subset(
        self,
        concepts: Iterable[str] | None = None,
        categories: Iterable[str] | None = None,
        pairs: int | None = None,
    ) -> ConceptLibrary:
        """Return a smaller library.

        Parameters
        ----------
        concepts : iterable of str, optional
            Names to keep, in this order.
        categories : iterable of str, optional
            Categories to keep.
        pairs : int, optional
            Keep the first so many pairs (or images of each class) of every concept: equal n for all.

        Raises
        ------
        KeyError
            If a name is unknown.
        ValueError
            If no concept is of a category, nothing is left, or a concept has fewer images than ``pairs``.
        """
        if isinstance(concepts, str) or isinstance(categories, str):
            raise ValueError("concepts and categories are lists of names, not one string: write ['cat'] for one.")
        chosen = [self[name] for name in (self._concepts if concepts is None else concepts)]
        if categories is not None:
            chosen_categories = {category_name(name) for name in categories}
            missing = [name for name in sorted(chosen_categories) if name not in self.categories]
            if missing:
                raise ValueError(unknown_name("category", missing[0], self.categories))
            chosen = [concept for concept in chosen if concept.category in chosen_categories]
            if not chosen:
                raise ValueError(f"none of the concepts asked for is of {', '.join(sorted(chosen_categories))}.")
        if pairs is not None:
            chosen = [_first(concept, pairs) for concept in chosen]
        return ConceptLibrary(chosen, self.source)

    def equal_n(self, seed: int = 0) -> ConceptLibrary:
        """Return the library with as many images of each concept and class as the smallest class has.

        Parameters
        ----------
        seed : int
            Decides which images of larger classes stay, by their hashes: the same ones whatever else is there.

        Returns
        -------
        ConceptLibrary
            Pairs stay together, and the order stays.
        """
        seed = checked_count("seed", seed, least=0)
        least = min(min(len(c.positive), len(c.negative)) for c in self.values())
        return ConceptLibrary((_thinned(concept, least, seed) for concept in self.values()), self.source)

    def __repr__(self) -> str:
        counts = {category: sum(c.category == category for c in self.values()) for category in self.categories}
        listed = ", ".join(f"{count} {category}" for category, count in counts.items())
        origin = f" from {self.source}" if self.source else ""
        return f"<ConceptLibrary of {len(self)} concept{'s' * (len(self) != 1)}{origin}: {listed}>"

    def _repr_html_(self) -> str:
        rows = "".join(_row(concept) for concept in list(self.values())[:_SHOWN])
        more = len(self) - _SHOWN
        tail = f"<p>and {more} more concepts</p>" if more > 0 else ""
        head = "".join(f"<th>{name}</th>" for name in ("concept", "category", "words", "pictures", "with", "without"))
        return f"<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>{tail}"


def _thinned(concept: Concept, count: int, seed: int) -> Concept:
    """A concept with ``count`` images of each class, those of the lowest hashes."""

    def chosen(pictures: Sequence[Picture]) -> list[int]:
        ranked = sorted(range(len(pictures)), key=lambda place: hash_share(pictures[place].key, seed))
        return sorted(ranked[:count])

    positive = chosen(concept.positive)
    negative = positive if concept.paired else chosen(concept.negative)
    return replace(
        concept,
        positive=[concept.positive[place] for place in positive],
        negative=[concept.negative[place] for place in negative],
    )


def _first(concept: Concept, pairs: int) -> Concept:
    available = min(len(concept.positive), len(concept.negative))
    if not 1 <= checked_count("pairs", pairs) <= available:
        raise ValueError(
            f"concept {concept.name!r} has {available} pairs of images; pairs={pairs} must be 1 to {available}."
        )
    return replace(concept, positive=concept.positive[:pairs], negative=concept.negative[:pairs])


def _row(concept: Concept) -> str:
    counts = f"{len(concept.positive)} + {len(concept.negative)}{' in pairs' if concept.paired else ''}"
    texts = (concept.name, concept.category, ", ".join(concept.words), counts)
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    return f"<tr>{cells}<td>{_image(concept.positive[0])}</td><td>{_image(concept.negative[0])}</td></tr>"


def _image(image: Picture) -> str:
    if isinstance(image.source, Sentence):
        return html.escape(image.source.text)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(image.thumbnail()).decode()}">'


def neutral_images(library: ConceptLibrary, least: int = 12) -> list[Picture]:
    """Choose images so that every concept is absent from some, spread over the categories.

    Parameters
    ----------
    library : ConceptLibrary
    least : int
        Images that lack each concept, at least: by their labels; those without labels lack the concepts whose
        negatives they are.

    Returns
    -------
    list of Picture
        Negatives of the library, taken in turn from each category and from each of its concepts. All of them where they
        are too few for some concept.
    """
    least = whole_number("least", least, 1)
    missing = dict.fromkeys(library, least)
    chosen: dict[str, Picture] = {}
    for image in _in_turn(library):
        if not any(missing.values()):
            break
        if image.key not in chosen:
            chosen[image.key] = image
            for name in _lacked(library, image):
                missing[name] = max(missing[name] - 1, 0)
    return list(chosen.values())


def _in_turn(library: ConceptLibrary) -> Iterator[Picture]:
    """Negatives: one of each category, again and again, each category going through its concepts in turn."""
    queues = [
        iter(
            [
                concept.negative[place]
                for place in range(max(len(c.negative) for c in concepts))
                for concept in concepts
                if place < len(concept.negative)
            ]
        )
        for category in library.categories
        if (concepts := [c for c in library.values() if c.category == category])
    ]
    while queues:
        for queue in list(queues):
            image = next(queue, None)
            if image is None:
                queues.remove(queue)
            else:
                yield image


def _lacked(library: ConceptLibrary, picture: Picture) -> list[str]:
    if picture.labels is not None:
        return [name for name in library if name not in picture.labels]
    return [name for name, concept in library.items() if any(picture is image for image in concept.negative)]


def showing_images(library: ConceptLibrary, count: int) -> ConceptLibrary:
    """Choose images so that each concept is shown by ``count`` of them, and as many as possible serve several.

    `count`: images of each concept; where fewer show some concept, that many of every concept, so that n is equal.
    Returns: Unpaired. The positives of a concept are images that show it, by their labels; those without labels show
    the concept whose positives they are. Its negative is one chosen image that lacks it, else its own first one. Raises
    ValueError if the count is no whole number from 1 on.
    """
    shown = _shown(library)
    count = min(whole_number("count", count, 1), *(len(keys) for keys in shown.values()))
    missing = dict.fromkeys(library, count)
    by_key: dict[str, Picture] = {image.key: image for c in library.values() for image in c.pictures}
    serves: dict[str, list[str]] = {}
    for name, keys in shown.items():
        for key in keys:
            serves.setdefault(key, []).append(name)
    chosen: dict[str, list[str]] = {name: [] for name in library}
    while any(missing.values()):
        # Of images that serve equally many, the one that comes first.
        best = max(serves, key=lambda key: sum(missing[name] > 0 for name in serves[key]))
        for name in serves.pop(best):
            if missing[name]:
                missing[name] -= 1
                chosen[name].append(best)
    every = list(dict.fromkeys(key for keys in chosen.values() for key in keys))
    concepts = []
    for name, concept in library.items():
        without = next((by_key[key] for key in every if key not in shown[name]), concept.negative[0])
        positive = [by_key[key] for key in chosen[name]]
        concepts.append(replace(concept, positive=positive, negative=[without], paired=False))
    return ConceptLibrary(concepts, library.source)


def _shown(library: ConceptLibrary) -> dict[str, dict[str, None]]:
    """Keys of the images that show each concept, its own positives first."""
    labelled = [image for concept in library.values() for image in concept.pictures if image.labels is not None]
    return {
        name: dict.fromkeys(
            [image.key for image in concept.positive]
            + [image.key for image in labelled if image.labels is not None and name in image.labels]
        )
        for name, concept in library.items()
    }
