"""Neutral images: few that lack many concepts, spread over the categories."""

from PIL import Image

import mllm_probe as mp
from mllm_probe.concepts import neutral_images


def test_every_concept_is_absent_from_enough_images_of_all_categories():
    library = mp.concepts.scenes(pairs=4)
    images = neutral_images(library, 12)
    assert 12 <= len(images) < 24 and len({image.key for image in images}) == len(images)
    for name in library:
        assert sum(name not in image.labels for image in images) >= 12
    of = {image.key: c.category for c in library.values() for image in c.negative}
    counts = [list(map(of.get, [image.key for image in images])).count(category) for category in library.categories]
    assert max(counts) - min(counts) <= 1


def test_images_without_labels_lack_the_concepts_whose_negatives_they_are(tmp_path):
    for name in ("cat", "dog"):
        for side, tone in (("positive", 40), ("negative", 200)):
            folder = tmp_path / "entity" / name / side
            folder.mkdir(parents=True)
            for number in range(5):
                Image.new("RGB", (32, 32), (tone, 20 * number, 90 if name == "cat" else 10)).save(
                    folder / f"{number}.png"
                )
    library = mp.concepts.from_folder(tmp_path)
    images = neutral_images(library, 3)
    for concept in library.values():
        assert sum(any(image is one for one in concept.negative) for image in images) == 3
    assert len(neutral_images(library, 50)) == 10
