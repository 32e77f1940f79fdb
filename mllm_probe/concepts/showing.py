"""Images that show the concepts of a library, as few as serve them all, since one image may show several at once."""

from __future__ import annotations

from dataclasses import replace

from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.concepts.picture import Picture
from mllm_probe.models.argument_checks import whole_number


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
    by_key: dict[str, Picture] = {picture.key: picture for c in library.values() for picture in c.pictures}
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
    labelled = [picture for concept in library.values() for picture in concept.pictures if picture.labels is not None]
    return {
        name: dict.fromkeys(
            [picture.key for picture in concept.positive]
            + [picture.key for picture in labelled if picture.labels is not None and name in picture.labels]
        )
        for name, concept in library.items()
    }
