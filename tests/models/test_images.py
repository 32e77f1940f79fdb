"""Whatever holds a picture becomes the same RGB picture; what does not is refused in words."""

from __future__ import annotations

import io
import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mllm_probe.models import as_image, content_hash
from mllm_probe.models import images as module
from mllm_probe.models.images import MOST_PIXELS, open_image


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
    with pytest.raises(ValueError, match=r"broken\.png' cannot be read as an image \(.*\); expected PNG, JPEG"):
        as_image(path)
    whole = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    whole.write_bytes(whole.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"cut\.png' cannot be read as an image"):
        as_image(whole)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.png' cannot be read as an image"):
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
        (np.full((2, 2, 3), 300), "between 0 and 255; got .* from 300 to 300.*Give uint16 for 0 … 65535"),
        (np.zeros((4, 4, 2)), r"got an array of shape \(4, 4, 2\)"),
        (np.zeros((3, 4, 2)), r"got an array of shape \(3, 4, 2\)"),
        (np.ones((4, 4, 3), complex), "real numbers; got .* complex128"),
        (np.full((4, 4, 3), "x"), "real numbers; got .* <U1"),
        (np.full((4, 4, 3), "x", object), "real numbers; got .* object"),
        (torch.empty(3, 4, 4, device="meta"), "holds no numbers"),
        (b"not a photo", "11 bytes cannot be read as an image .*expected PNG, JPEG, WEBP, BMP, GIF"),
        ("https://x.org/a.png", "URLs are not fetched; download the image.*https://x.org/a.png"),
        (Path("https://x.org/a.png"), "URLs are not fetched"),
        (Image.new("RGB", (0, 4)), r"size \(0, 4\)"),
    ],
)
def test_what_is_no_picture_is_refused(source: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        as_image(source)


def _ramp(most: float, dtype: str) -> np.ndarray:
    return np.linspace(0, most, 1600).reshape(40, 40).astype(dtype)


def _file(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        Image.fromarray(_ramp(65535, "u2")),
        _file(Image.fromarray(_ramp(65535, "u2"))),
        _ramp(65535, "u2"),
        _ramp(65535, ">u2"),
        torch.from_numpy(_ramp(65535, "u2").astype("i4")).to(torch.uint16),
        Image.fromarray(_ramp(1, "f4")),
        _ramp(1, "f2"),
        Image.fromarray(_ramp(255, "i4")),
    ],
    ids=["16 bit", "16-bit PNG", "uint16", "big-endian", "tensor", "float", "half", "32 bit"],
)
def test_deep_pixels_keep_their_brightness(source: object) -> None:
    grey = np.asarray(as_image(source))[..., 0].astype(float)
    assert np.abs(grey - np.linspace(0, 255, 1600).reshape(40, 40)).max() <= 1


def test_booleans_are_black_and_white() -> None:
    assert np.asarray(as_image(np.eye(2, dtype=bool)))[..., 0].tolist() == [[255, 0], [0, 255]]


def test_transparent_grey_of_sixteen_bits_is_white() -> None:
    pixels = np.array([[0, 40000]], np.uint16)
    found = as_image(_file(Image.fromarray(pixels), transparency=40000))
    assert np.asarray(found)[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (Image.fromarray(_ramp(200, "u2")), r"mode I;16 from 0 to 200.*may as well mean 0 … 255.*astype\('uint8'\)"),
        (_ramp(200, "u2"), "may as well mean 0 … 255"),
        (Image.fromarray(_ramp(65535, "i4")), "mode I from 0 to 65535, outside of that range. Give uint16"),
        (Image.fromarray(_ramp(255, "f4")), "mode F from 0.0 to 255.0, outside .*Divide by the largest value"),
    ],
)
def test_pixels_that_can_mean_two_things_are_refused(source: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        as_image(source)


def test_bands_that_are_called_a_are_not_taken_for_transparency() -> None:
    assert as_image(Image.new("LAB", (2, 2))).getpixel((0, 0)) == Image.new("LAB", (1, 1)).convert("RGB").getpixel(
        (0, 0)
    )
    assert as_image(Image.new("LA", (2, 2), (9, 0)).convert("La")).getpixel((0, 0)) == (255, 255, 255)


def test_only_listed_formats_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    tool = tmp_path / "gs"
    tool.write_text(f"#!/bin/sh\ntouch {ran}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    assert shutil.which("gs") == str(tool)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(postscript)
    for source in (tmp_path / "a.png", postscript, _file(Image.new("L", (4, 4)), "TIFF")):
        with pytest.raises(ValueError, match="its content is of another kind"):
            as_image(source)
    assert not ran.exists()
    for kind in module.FORMATS:
        assert as_image(_file(Image.new("RGB", (4, 4), (200, 10, 10)), kind)).size == (4, 4)


def test_large_pictures_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    header = _file(Image.new("1", (12_000, 12_000)))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"12000×12000 = 144 megapixels is larger than the 64 .*image\.thumbnail"):
        as_image(header)
    with pytest.raises(ValueError, match="larger than the 64 megapixels"):
        as_image(np.broadcast_to(np.uint8(0), (9000, 9000)))
    assert MOST_PIXELS == 64_000_000


def test_the_bomb_error_of_pillow_is_reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="'a.png' is larger than the 64 megapixels that are decoded"):
        open_image(_file(Image.new("L", (40, 40))), "a.png")


@pytest.mark.parametrize("kind", ["named pipe", "folder", "socket", "device"])
def test_what_is_no_regular_file_is_refused_before_it_is_opened(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.png"
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        server = socket.socket(socket.AF_UNIX)
        monkeypatch.chdir(tmp_path)  # the path of a socket has at most some hundred characters
        server.bind("p.png")
        server.close()
    for read in (as_image, module.read_file):
        with pytest.raises(ValueError, match=rf"Expected an image file; '.*p\.png' is a {kind}"):
            read(path)


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(module.MOST_BYTES + 1)
    with pytest.raises(ValueError, match=r"a\.png' of 268,435,457 bytes is larger than the 268,435,456 bytes"):
        as_image(path)


def test_a_closed_picture_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    picture = Image.open(tmp_path / "a.png")
    picture.close()
    with pytest.raises(ValueError, match="cannot be decoded .*open it again"):
        as_image(picture)


def test_control_characters_of_a_name_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m.png"
    path.write_bytes(b"x")
    with pytest.raises(ValueError) as raised:
        as_image(path)
    assert "\\x1b[31m.png" in str(raised.value) and "\x1b" not in str(raised.value)
