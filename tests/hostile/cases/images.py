"""Images and folders of images that are broken, enormous, unreadable or named oddly."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import mllm_probe as mp
from tests.hostile.tries import Try

Call = Callable[[Any], Any]
RED, BLUE = Image.new("RGB", (40, 40), (200, 10, 10)), Image.new("RGB", (40, 40), (10, 10, 200))


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int = 8, colours: int = 2, data: bytes = b"") -> bytes:
    """A PNG file that says what size it is, whatever it holds."""
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bomb(side: int) -> bytes:
    """A black square of one bit a pixel: some kilobytes that become gigabytes."""
    packer, row = zlib.compressobj(9), b"\0" * (1 + (side + 7) // 8)
    return png(side, side, 1, 0, b"".join(packer.compress(row) for _ in range(side)) + packer.flush())


def made(root: Path, files: Mapping[str, bytes], concept: str = "dog", words: bytes | None = None) -> Path:
    """A folder with one concept of two pairs, and further files in it by their path below the concept."""
    home = root / "entity" / concept
    plain = {f"{side}/b.png": encoded(one) for side, one in (("positive", RED), ("negative", BLUE))}
    for name, content in (plain | dict(files) | ({} if words is None else {"words.txt": words})).items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    return root


def _first(content: bytes, ending: str) -> Callable[[Any], np.ndarray]:
    def call(s: Any) -> np.ndarray:
        both = {f"positive/a.{ending}": content, f"negative/a.{ending}": encoded(BLUE)}
        return np.asarray(mp.concepts.from_folder(made(s.folder, both))["dog"].positive[0].image)

    return call


def _of_colour(*colour: int, within: int = 2) -> Callable[[np.ndarray], bool]:
    return lambda pixels: np.abs(pixels.reshape(-1, 3).mean(0) - colour).max() <= within


def _answers(*images: Any) -> Call:
    """Answers to images; one that is a function is made for the try."""
    return lambda s: [mp.generate(s.model, one(s) if callable(one) else one, max_new_tokens=2).text for one in images]


def _closed(s: Any) -> Image.Image:
    RED.save(s.folder / "c.png")
    picture = Image.open(s.folder / "c.png")
    picture.close()
    return picture


GREY16 = encoded(Image.fromarray((np.arange(1600).reshape(40, 40) * 40).astype(np.uint16)))
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0"
TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 5_000_000))
PNG, JPG, WHITE = encoded(RED), encoded(RED, "JPEG"), Image.new("RGB", (8, 8), "white")
UNREADABLE = "cannot be read as an image"
BROKEN = {
    "truncated png": (PNG[: len(PNG) // 2], "png", UNREADABLE),
    "EPS named png": (EPS, "png", "its content is of another kind"),
    "huge header 60000x60000": (png(60000, 60000, 8, 2, zlib.compress(b"\0" * 100)), "png", "megapixels that are dec"),
    "bomb of 144 megapixels": (bomb(12000), "png", "12000×12000 = 144 megapixels is larger than the 64"),
    "png text chunk bomb": (PNG[:33] + TEXT + PNG[33:], "png", UNREADABLE),
}
ODD = {
    "16 bit grey": (GREY16, "png", _of_colour(*[1599 / 2 * 40 / 257] * 3)),
    "CMYK": (encoded(Image.new("CMYK", (40, 40), (0, 255, 0, 0)), "JPEG"), "jpg", _of_colour(255, 0, 255, within=9)),
    "animated": (encoded(RED, "GIF", save_all=True, append_images=[BLUE]), "gif", _of_colour(200, 10, 10, within=9)),
    "palette+transparency": (encoded(RED.quantize(2), transparency=0), "png", _of_colour(255, 255, 255)),
    "bad EXIF orientation": (encoded(RED, "JPEG", exif=EXIF), "jpg", _of_colour(200, 10, 10)),
}
GIVEN: dict[str, tuple[Any, str]] = {
    "a folder": ("/tmp", "'/tmp' is a folder"), "-1": (np.full((4, 4, 3), -1), "between 0 and 255"),
    "100 megapixels": (np.broadcast_to(np.uint8(0), (10_000, 10_000)), "larger than the 64"),
    "closed PIL": (_closed, "open it again"),
    "PIL F 1e9": (Image.fromarray(np.full((8, 8), 1e9, np.float32)), "between 0 and 1"),
}  # fmt: skip
ALIKE: dict[str, tuple[Any, Any]] = {
    "PIL LAB": (Image.new("LAB", (8, 8)), Image.new("LAB", (8, 8)).convert("RGB")),
    "None and a list of it": (None, [None]),
}


def _folder(change: Callable[[Path], object]) -> Call:
    """Read a folder after a change to its concept."""

    def call(s: Any) -> Any:
        change(made(s.folder, {}) / "entity/dog")
        return mp.concepts.from_folder(s.folder)

    return call


def _same_twice(s: Any) -> Any:
    library = mp.concepts.from_folder(made(s.folder, {"negative/b.png": encoded(RED)}))
    vectors = mp.concept_vectors(s.model, library, shuffled_draws=0)
    return mp.generate(s.model, RED, steering=mp.Steering(vectors.sel(concept="dog"), [3], 1.0))


FOLDERS: list[tuple[str, Call, str]] = [
    ("/proc", lambda s: mp.concepts.from_folder("/proc"), "'/proc/"),
    ("only positive", _folder(lambda home: (home / "negative/b.png").unlink()), "holds no images"),
    ("same picture both sides", _same_twice, "give the same activations there"),
    ("a link to /etc/passwd", _folder(lambda home: (home / "positive/p.png").symlink_to("/etc/passwd")), UNREADABLE),
]


def _loop(home: Path) -> None:
    (home / "positive/loop").symlink_to("..")
    (home.parent / ".back").symlink_to(home.parent.parent)


SEEN = ["<script>alert(1)<", "a'b\"c", "éà😀", "%s%n", "$(touch x)", "con;rm -rf"]
UNSEEN = {
    "..hidden": "holds no concepts", " ": "expected at least one visible character",
    "x" * 200: "has 200 characters; at most 100",
}  # fmt: skip


def _names(concept: str) -> Call:
    return lambda s: list(mp.concepts.from_folder(made(s.folder, {}, concept)))


TRIES = [
    *(Try("image file", name, _first(data, kind), "error", says) for name, (data, kind, says) in BROKEN.items()),
    *(Try("image file", name, _first(data, kind), "result", right=ok) for name, (data, kind, ok) in ODD.items()),
    *(Try("image", name, _answers(one), "error", says) for name, (one, says) in GIVEN.items()),
    *(Try("image", name, _answers(*two), "result", right=lambda out: out[0] == out[1]) for name, two in ALIKE.items()),
    Try("image", "two of one prompt", _answers(lambda s: [[s.picture] * 2]), "result", right=lambda out: len(out) == 1),
    *(Try("folder", name, call, "error", says) for name, call, says in FOLDERS),
    Try("folder", "links in a circle", _folder(_loop), "result", right=lambda library: list(library) == ["dog"]),
    *(Try("name of a folder", repr(n), _names(n), "result", right=lambda found, n=n: found == [n]) for n in SEEN),
    *(Try("name of a folder", repr(n[:12]), _names(n), "error", says) for n, says in UNSEEN.items()),
]  # fmt: skip
