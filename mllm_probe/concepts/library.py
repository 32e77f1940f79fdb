"""A set of concepts: a mapping from names, with splits, subsets, a hash and a view for notebooks."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mllm_probe.concepts.concept import Concept, category_name
from mllm_probe.concepts.grouping import Groups, with_groups
from mllm_probe.concepts.limits import checked_count
from mllm_probe.concepts.picture import Picture, Sentence
from mllm_probe.concepts.splitting import fit_keys, hash_share
from mllm_probe.schema import unknown_name

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
            for picture in concept.pictures:
                unique.setdefault(picture.id, picture)
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
        return marked.where(lambda picture: picture.split == "fit"), marked.where(lambda one: one.split == "held_out")

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
        return self._each_picture(lambda one: one.marked(split="fit" if one.key in keys else "held_out"))

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
        return self._each_picture(lambda picture: picture if keep(picture) else None)

    def _each_picture(self, change: Callable[[Picture], Picture | None]) -> ConceptLibrary:
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
    there = min(len(concept.positive), len(concept.negative))
    if not 1 <= checked_count("pairs", pairs) <= there:
        raise ValueError(f"concept {concept.name!r} has {there} pairs of images; pairs={pairs} must be 1 to {there}.")
    return replace(concept, positive=concept.positive[:pairs], negative=concept.negative[:pairs])


def _row(concept: Concept) -> str:
    counts = f"{len(concept.positive)} + {len(concept.negative)}{' in pairs' if concept.paired else ''}"
    texts = (concept.name, concept.category, ", ".join(concept.words), counts)
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    return f"<tr>{cells}<td>{_image(concept.positive[0])}</td><td>{_image(concept.negative[0])}</td></tr>"


def _image(picture: Picture) -> str:
    if isinstance(picture.source, Sentence):
        return html.escape(picture.source.text)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(picture.thumbnail()).decode()}">'
