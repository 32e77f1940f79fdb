"""Whatever holds a picture becomes the same RGB picture; what does not is refused in words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mllm_probe.models import as_image, content_hash


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_every_form_gives_the_same_picture(tmp_path: Path) -> None:
    pixels = _pixels()
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    forms = [
        picture,
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        pixels,
        pixels.transpose(2, 0, 1),
        pixels.astype(np.int64),
        pixels / 255,
        torch.from_numpy(pixels),
        torch.from_numpy(pixels).permute(2, 0, 1) / 255,
        SimpleNamespace(image=picture),
    ]
    for form in forms:
        got = as_image(form)
        assert got.mode == "RGB"
        assert np.array_equal(np.asarray(got), pixels), type(form)
        assert content_hash(form) == content_hash(picture)
    assert len(content_hash(picture)) == 16


def test_grey_and_transparent_pictures() -> None:
    grey = np.full((4, 4), 100, dtype=np.uint8)
    assert np.asarray(as_image(grey))[0, 0].tolist() == [100, 100, 100]
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    assert np.asarray(as_image(clear))[0, 0].tolist() == [255, 255, 255]


def test_another_pixel_is_another_name() -> None:
    pixels = _pixels()
    changed = pixels.copy()
    changed[0, 0, 0] ^= 1
    assert content_hash(pixels) != content_hash(changed)
    assert content_hash(np.zeros((2, 6, 3), np.uint8)) != content_hash(np.zeros((3, 4, 3), np.uint8))


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    with pytest.raises(ValueError, match=r"broken\.png could not be read as an image"):
        as_image(path)
    whole = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    whole.write_bytes(whole.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"cut\.png could not be read as an image"):
        as_image(whole)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.png could not be read"):
        as_image(tmp_path / "empty.png")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no image file at .*nothing\.png"):
        as_image(tmp_path / "nothing.png")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (3, "Expected a PIL image, a path, .*; got int"),
        (np.zeros((2, 2, 5)), r"got an array of shape \(2, 2, 5\)"),
        (np.zeros((0, 4, 3)), r"got an array of shape \(0, 4, 3\)"),
        (np.full((2, 2, 3), 7.0), "between 0 and 1"),
        (np.full((2, 2, 3), np.nan), "between 0 and 1"),
        (np.full((2, 2, 3), 300), "between 0 and 255"),
        (Image.new("RGB", (0, 4)), r"size \(0, 4\)"),
    ],
)
def test_what_is_no_picture_is_refused(source: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        as_image(source)
