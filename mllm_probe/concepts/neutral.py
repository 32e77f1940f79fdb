"""Neutral images of a library: few images that serve many concepts, since each lacks nearly all of them."""

from __future__ import annotations

from collections.abc import Iterator

from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.concepts.picture import Picture
from mllm_probe.models.argument_checks import whole_number


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
    for picture in _in_turn(library):
        if not any(missing.values()):
            break
        if picture.key not in chosen:
            chosen[picture.key] = picture
            for name in _lacked(library, picture):
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
            picture = next(queue, None)
            if picture is None:
                queues.remove(queue)
            else:
                yield picture


def _lacked(library: ConceptLibrary, picture: Picture) -> list[str]:
    if picture.labels is not None:
        return [name for name in library if name not in picture.labels]
    return [name for name, concept in library.items() if any(picture is one for one in concept.negative)]
