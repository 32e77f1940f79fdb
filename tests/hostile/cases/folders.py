"""Folders of pictures that are broken, enormous, unreadable or named oddly."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import mllm_probe as mp
from tests.hostile.tries import Try

FOLDER, WORDS, NAME = "from_folder", "words.txt", "concept folder name"
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


def first_picture(content: bytes, ending: str) -> Callable[[Any], np.ndarray]:
    def call(s: Any) -> np.ndarray:
        both = {f"positive/a.{ending}": content, f"negative/a.{ending}": encoded(BLUE)}
        return np.asarray(mp.concepts.from_folder(made(s.folder, both))["dog"].positive[0].image)

    return call


def of_colour(*colour: int, within: int = 2) -> Callable[[np.ndarray], bool]:
    return lambda pixels: np.abs(pixels.reshape(-1, 3).mean(0) - colour).max() <= within


GREY16 = encoded(Image.fromarray((np.arange(1600).reshape(40, 40) * 40).astype(np.uint16)))
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0"
TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 5_000_000))
PNG, JPG = encoded(RED), encoded(RED, "JPEG")
UNREADABLE = "cannot be read as an image"
LARGE = "megapixels that are decoded"

BROKEN = {
    "zero bytes": (b"", "png", UNREADABLE),
    "random bytes": (np.random.default_rng(0).bytes(500), "png", UNREADABLE),
    "truncated png": (PNG[: len(PNG) // 2], "png", UNREADABLE),
    "truncated jpg": (JPG[: len(JPG) // 2], "jpg", UNREADABLE),
    "png header, no data": (png(10, 10), "png", UNREADABLE),
    "text file named png": (b"hello", "png", "its content is of another kind"),
    "html named png": (b"<svg onload=alert(1)>", "png", UNREADABLE),
    "float tiff named png": (encoded(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"), "png", UNREADABLE),
    "EPS named png": (EPS, "png", "its content is of another kind"),
    "PDF named png": (b"%PDF-1.4\n1 0 obj<<>>endobj", "png", UNREADABLE),
    "huge header 60000x60000": (png(60000, 60000, 8, 2, zlib.compress(b"\0" * 100)), "png", LARGE),
    "bomb of 400 megapixels": (bomb(20000), "png", LARGE),
    "bomb of 144 megapixels": (bomb(12000), "png", "12000×12000 = 144 megapixels is larger than the 64"),
    "png text chunk bomb": (PNG[:33] + TEXT + PNG[33:], "png", UNREADABLE),
}
ODD = {
    "1 px": (encoded(Image.new("RGB", (1, 1))), "png", of_colour(0, 0, 0)),
    "1x5000": (encoded(Image.new("RGB", (1, 5000))), "png", of_colour(0, 0, 0)),
    "16 bit grey": (GREY16, "png", of_colour(*[1599 / 2 * 40 / 257] * 3)),
    "CMYK jpg": (encoded(Image.new("CMYK", (40, 40), (0, 255, 0, 0)), "JPEG"), "jpg", of_colour(255, 0, 255, within=9)),
    "animated gif": (encoded(RED, "GIF", save_all=True, append_images=[BLUE]), "gif", of_colour(200, 10, 10, within=9)),
    "palette+transparency": (encoded(RED.quantize(2), transparency=0), "png", of_colour(255, 255, 255)),
    "1-bit": (encoded(Image.new("1", (40, 40), 1)), "png", of_colour(255, 255, 255)),
    "jpg with bad EXIF orientation": (encoded(RED, "JPEG", exif=EXIF), "jpg", of_colour(200, 10, 10)),
    "garbage EXIF": (encoded(RED, "JPEG", exif=b"Exif\0\0" + b"\xff" * 60), "jpg", of_colour(200, 10, 10)),
    "icc profile junk": (encoded(RED, icc_profile=b"junk" * 10), "png", of_colour(200, 10, 10)),
}

PATHS = {
    "missing": (lambda s: s.folder / "none", "there is no folder"),
    "empty folder": (lambda s: s.folder, "holds no concepts"),
    "a file": (lambda s: made(s.folder, {}) / "entity/dog/positive/b.png", "there is no folder"),
    "None": (lambda s: None, "expected a path to a folder"),
    "bytes": (lambda s: b"/tmp", "expected a path to a folder"),
    "int": (lambda s: 3, "expected a path to a folder"),
    "empty str": (lambda s: "", "holds no concepts"),
    "nul": (lambda s: "a\0b", "there is no folder"),
    "root /proc": (lambda s: "/proc", "'/proc/"),
    "url": (lambda s: "https://x/y", "there is no folder"),
}


def linked(target: str, name: str = "p.png") -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        root = made(s.folder, {})
        (root / "entity/dog/positive" / name).symlink_to(target)
        return mp.concepts.from_folder(root)

    return call


def pipe(s: Any) -> Any:
    os.mkfifo(made(s.folder, {}) / "entity/dog/positive/p.png")
    return mp.concepts.from_folder(s.folder)


def folder_named_png(s: Any) -> Any:
    (made(s.folder, {}) / "entity/dog/positive/d.png").mkdir()
    return mp.concepts.from_folder(s.folder)


def loops(s: Any) -> Any:
    root = made(s.folder, {})
    (root / "entity/dog/positive/loop").symlink_to("..")
    (root / "entity/.back").symlink_to(root)
    return list(mp.concepts.from_folder(root))


def unreadable(name: str) -> Callable[[Any], Any]:
    def call(s: Any) -> Any:
        with tempfile.TemporaryDirectory() as open_to_all:
            root, user = made(Path(open_to_all), {}), os.geteuid()
            root.chmod(0o755)
            (root / name).chmod(0)
            try:
                if user == 0:
                    os.seteuid(65534)
                return mp.concepts.from_folder(root)
            finally:
                os.seteuid(user)
                (root / name).chmod(0o755)

    return call


def same_picture_twice(s: Any) -> Any:
    library = mp.concepts.from_folder(made(s.folder, {"negative/b.png": encoded(RED)}))
    vectors = mp.concept_vectors(s.model, library, shuffled_draws=0)
    return mp.generate(s.model, RED, steering=mp.Steering(vectors.sel(concept="dog"), [3], 1.0))


def with_files(files: Mapping[str, bytes]) -> Callable[[Any], Any]:
    return lambda s: mp.concepts.from_folder(made(s.folder, files))


def only_positive(s: Any) -> Any:
    (made(s.folder, {}) / "entity/dog/negative/b.png").unlink()
    return mp.concepts.from_folder(s.folder)


def own_category(s: Any) -> Any:
    (made(s.folder, {}) / "entity").rename(s.folder / "animals")
    return mp.concepts.from_folder(s.folder)["dog"].category


LAYOUTS = [
    Try(FOLDER, "unknown category", own_category, "result", right=lambda found: found == "animals"),
    Try(FOLDER, "only positive", only_positive, "error", "holds no images"),
    Try(FOLDER, "same picture both sides", same_picture_twice, "error", "give the same activations there"),
    Try(FOLDER, "a.png and a.jpg", with_files({"positive/b.jpg": JPG}), "error", "have the same name"),
    Try(FOLDER, "symlink loop folder", loops, "result", right=lambda found: found == ["dog"]),
    Try(FOLDER, "symlink to itself .png", linked("p.png"), "error", "Too many levels of symbolic links"),
    Try(FOLDER, "symlink /etc/passwd as png", linked("/etc/passwd"), "error", UNREADABLE),
    Try(FOLDER, "a FIFO named p.png", pipe, "error", "is a named pipe"),
    Try(FOLDER, "symlink to /dev/zero", linked("/dev/zero"), "error", "is a device"),
    Try(FOLDER, "a folder named d.png", folder_named_png, "error", "is a folder"),
    Try(FOLDER, "unreadable folder (other user)", unreadable("entity/dog/positive"), "error", "Permission denied"),
    Try(FOLDER, "unreadable file (other user)", unreadable("entity/dog/positive/b.png"), "error", "Permission denied"),
]


def scored(words: bytes, concept: str = "dog") -> Callable[[Any], Any]:
    """The words that are read, and how the model scores them."""

    def call(s: Any) -> Any:
        library = mp.concepts.from_folder(made(s.folder, {}, concept, words))
        options = {"layers": [2], "strengths": (1,), "draws": 4, "metrics": ("logprob",), "progress": False}
        vectors = mp.concept_vectors(s.model, library, shuffled_draws=0)
        grid = mp.sweep(s.model, vectors, library.pictures[:1], **options)
        own = grid["logprob"].sel(control="concept").isel(draw=0)
        return library[concept].words, bool(np.isfinite(own.values).all())

    return call


UNKNOWN = "has words unknown to the model"
CONTROL = "holds the control character"
BAD_WORDS = {
    "empty": (b"", "is empty"),
    "blank lines": (b"\n\n", "is empty"),
    "latin-1": (b"caf\xe9\n", "is no UTF-8 text"),
    "utf-16": ("dog\n".encode("utf-16"), "is no UTF-8 text"),
    "nul": (b"a\0b\n", CONTROL),
    "html": (b"<script>alert(1)</script>\n", UNKNOWN),
    "ansi": (b"\x1b[31mred\n", CONTROL),
    "huge 5 MB one line": (b"cat " * 1_250_000, "5,000,000 bytes is larger than"),
    "60 kB in one line": (b"cat " * 15_000, "60000 characters; at most 100"),
    "100k words": (b"\n".join(b"w%d" % i for i in range(100_000)), "is larger than"),
    "9000 words": (b"\n".join(b"w%d" % i for i in range(9000)), "9000 words; at most 256"),
    "image token": (b"<image>\n", UNKNOWN),
    "unknown word": (b"zebra\n", UNKNOWN),
}
CATS = (("cat", "kitten"), True)

SEEN = ["<script>alert(1)<", "a'b\"c", "éà😀", "%s%n", "$(touch x)", "con;rm -rf"]
UNSEEN = {
    "..hidden": "holds no concepts",
    "\u202eevil": CONTROL,
    "\x1b[31mred": CONTROL,
    "a\nb": CONTROL,
    " ": "expected at least one visible character",
    "x" * 200: "has 200 characters; at most 100",
}


def names(concept: str) -> Callable[[Any], list[str]]:
    return lambda s: list(mp.concepts.from_folder(made(s.folder, {}, concept)))


TRIES = [
    *(Try(FOLDER, name, first_picture(data, kind), "error", says) for name, (data, kind, says) in BROKEN.items()),
    *(Try(FOLDER, name, first_picture(data, kind), "result", right=ok) for name, (data, kind, ok) in ODD.items()),
    *(
        Try(FOLDER, name, lambda s, path=path: mp.concepts.from_folder(path(s)), "error", says)
        for name, (path, says) in PATHS.items()
    ),
    *LAYOUTS,
    *(Try(WORDS, name, scored(words), "error", says) for name, (words, says) in BAD_WORDS.items()),
    Try(WORDS, "BOM", scored(b"\xef\xbb\xbfcat\nkitten\n"), "result", right=lambda found: found == CATS),
    Try(WORDS, "CRLF", scored(b"cat\r\nkitten\r\n"), "result", right=lambda found: found == CATS),
    *(Try(NAME, repr(n), names(n), "result", right=lambda found, n=n: found == [n]) for n in SEEN),
    *(Try(NAME, repr(n[:12]), names(n), "error", says) for n, says in UNSEEN.items()),
]
