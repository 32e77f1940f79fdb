"""Few images that show all concepts of a library."""

import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe.concepts import Concept, ConceptLibrary, Picture
from mllm_probe.concepts.library import showing_images


def made(number, labels):
    return Picture(Image.new("RGB", (4, 4), (number, 0, 0)), labels=None if labels is None else frozenset(labels))


def test_an_image_serves_all_concepts_that_its_labels_name():
    both = [made(n, {"cat", "neon"}) for n in range(4)]
    cats, neons = ([made(10 * k + n, {name}) for n in range(4)] for k, name in ((2, "cat"), (3, "neon")))
    library = ConceptLibrary(
        [
            Concept("cat", "entity", ("cat",), [*cats, *both[:2]], neons, paired=False),
            Concept("neon", "visual_style", ("neon",), [*neons, *both[2:]], cats, paired=False),
        ]
    )
    chosen = showing_images(library, 3)
    keys = {name: {p.key for p in concept.positive} for name, concept in chosen.items()}
    assert keys["cat"] == keys["neon"] == {p.key for p in both[:3]}, "three images serve both"
    assert len(showing_images(library, 5)["cat"].positive) == 5


def test_every_concept_has_as_many_images_and_they_show_it():
    library = mp.concepts.scenes(concepts=["cat", "bird", "neon", "awe", "order"], pairs=12)
    chosen = showing_images(library, 6)
    for name, concept in chosen.items():
        assert len({p.key for p in concept.positive}) == 6 and not concept.paired
        assert all(name in p.labels for p in concept.positive)
        assert all(name not in p.labels for p in concept.negative)
    assert len(chosen.pictures) < 30, "fewer than one concept after the other"


def test_images_without_labels_show_the_concept_whose_positives_they_are():
    sides = [[made(100 * k + n, None) for n in range(size)] for k, size in enumerate((4, 3))]
    library = ConceptLibrary(
        [
            Concept("cat", "entity", ("cat",), *sides, paired=False),
            Concept("dog", "entity", ("dog",), *sides[::-1], paired=False),
        ]
    )
    chosen = showing_images(library, 6)
    assert [p.key for p in chosen["cat"].positive] == [p.key for p in sides[0][:3]], "as many as the other one has"
    assert [p.key for p in chosen["dog"].positive] == [p.key for p in sides[1]]


def test_the_count_is_checked():
    with pytest.raises(ValueError, match="count: expected 1 or more"):
        showing_images(mp.concepts.scenes(concepts=["cat"], pairs=2), 0)
