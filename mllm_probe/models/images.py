"""Conversion of files, bytes, arrays and tensors to PIL images: the only module that decodes image files."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from mllm_probe.typing import Picture

if TYPE_CHECKING:
    import torch

ACCEPTED = "a PIL image, a path, encoded bytes, an array or tensor [height, width, 3], or an object with an `image`"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""Formats that are decoded. Pillow picks a decoder by content, not by name, and some of its decoders start programs."""
MOST_PIXELS = 64_000_000
"""Pixels of the largest image that is decoded: 64 megapixels, 192 MB as RGB."""
MOST_BYTES = 256 * 2**20
"""Size of the largest image file that is read."""

_URL = re.compile(r"^(?:https?|ftps?|s3|gs|hf|data|file):", re.IGNORECASE)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_TO_EIGHT_BITS = 65535 / 255


def as_image(source: Picture | bytes) -> Image.Image:
    """Convert an image of any accepted type to a PIL image.

    `source` (PIL image, str, Path, bytes, numpy array, torch tensor or object with .image): files and bytes are PNG,
    JPEG, WEBP, BMP or GIF (the first frame of an animated one). Arrays are [height, width], [height, width, 1 | 3 | 4]
    or the same with channels first. Integers mean 0 … 255, 16-bit ones 0 … 65535, floating-point numbers 0 … 1,
    booleans black and white; the same holds for PIL images of 16-bit, 32-bit and floating-point modes. Transparency is
    laid on white. Returns: mode RGB. Raises ValueError if it cannot be read as an image, is empty, has more than
    ``MOST_PIXELS`` pixels, or if its range of values is ambiguous. Raises FileNotFoundError if a path leads nowhere.
    """
    if isinstance(source, Image.Image):
        image = source
    elif isinstance(source, (str, Path, bytes)):
        image = open_image(source if isinstance(source, bytes) else _path(source))
    elif "torch" in sys.modules and isinstance(source, sys.modules["torch"].Tensor):  # none where it is not imported
        image = _from_array(_pixel_values(source))
    elif isinstance(source, np.ndarray):
        image = _from_array(source)
    elif (held := getattr(source, "image", None)) is not None:  # read once: a concept's image is drawn at each look
        return as_image(held)
    else:
        raise ValueError(f"Expected {ACCEPTED}; got {type(source).__name__}.")
    if 0 in image.size:
        raise ValueError(f"Expected an image with pixels; got one of size {image.size}.")
    _require_size(image.size, "an image")
    return _on_white(image)


def content_hash(source: Picture | bytes) -> str:
    """Name of an image by its pixels: 16 hexadecimal digits, the same for equal RGB content."""
    image = as_image(source)
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:16]


def open_image(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Decode an image file, turned upright.

    `source` (Path or bytes): a file, or the content of one. `name`: what errors call it; the path, or the number of
    bytes, without it. Returns: of the mode that the file has. Raises ValueError if it is no regular file, of none of
    ``FORMATS``, broken, or larger than the limits. Raises FileNotFoundError if there is no such file.
    """
    with _opened(source, name) as image:
        return ImageOps.exif_transpose(image).copy()


def check_image_file(file: Path) -> None:
    """Raise what ``open_image`` would raise for a file, without decoding its pixels (a broken JPEG may pass)."""
    with _opened(file) as image:
        image.verify()


def read_text(file: Path, most: int) -> str:
    """Text of a UTF-8 file of at most ``most`` bytes, a byte-order mark left out.

    Raises ValueError if it is no regular file, larger, or of another encoding; the text names the file. Raises
    FileNotFoundError if there is no such file.
    """
    try:
        return read_file(file, "text", most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{str(file)!r} is no UTF-8 text (byte {error.start} is 0x{error.object[error.start]:02x}; it may be "
            "Latin-1 or UTF-16): save it again with the encoding UTF-8."
        ) from error


def read_file(file: Path, what: str = "image", most: int = MOST_BYTES) -> bytes:
    """Content of a file; raises for what is no regular file or is larger than ``most`` bytes."""
    _require_regular(file, what, most)
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"the file {str(file)!r} cannot be read ({_reason(error)}).") from error


@contextmanager
def _opened(source: Path | bytes, name: str | None = None) -> Iterator[Image.Image]:
    if isinstance(source, Path):
        _require_regular(source)
        name = name or str(source)
    called = f"{name!r}" if name else f"{len(source)} bytes" if isinstance(source, bytes) else "the file"
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            _require_size(image.size, called)
            yield image
    except _TooLarge:
        raise
    except Image.DecompressionBombError as error:
        raise _TooLarge(called) from error
    except Exception as error:  # Pillow's decoders raise whatever foreign bytes lead them to
        raise ValueError(
            f"{called} cannot be read as an image ({_reason(error)}); expected {', '.join(FORMATS)}. "
            "Convert, replace or remove it."
        ) from error


class _TooLarge(ValueError):
    """An image has more pixels than are decoded."""

    def __init__(self, called: str, size: tuple[int, int] | None = None) -> None:
        measured = f" of {size[0]}×{size[1]} = {size[0] * size[1] / 1e6:.0f} megapixels" if size else ""
        super().__init__(
            f"{called}{measured} is larger than the {MOST_PIXELS // 10**6} megapixels that are decoded, since a model "
            "reads far fewer. Make it smaller first, for example with PIL: image.thumbnail((2048, 2048))."
        )


def _reason(error: Exception) -> str:
    """Reason of an error, without the file's name or an object's address."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "its content is of another kind"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _require_size(size: tuple[int, int], called: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise _TooLarge(called, size)


def _require_regular(file: Path, what: str = "image", most: int = MOST_BYTES) -> None:
    """Refuse files that block or never end when they are read (pipes, devices)."""
    expected = "an image" if what == "image" else f"a {what}"
    try:
        status = file.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no {what} file at {str(file)!r}.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"the file {str(file)!r} cannot be read ({_reason(error)}).") from error
    if not stat.S_ISREG(status.st_mode):
        kind = next((text for test, text in _KINDS if test(status.st_mode)), "of another kind")
        raise ValueError(f"Expected {expected} file; {str(file)!r} is {kind}.")
    if status.st_size > most:
        raise ValueError(
            f"the file {str(file)!r} of {status.st_size:,} bytes is larger than the {most:,} bytes that are read as "
            f"{expected}; save a smaller one."
        )


def _path(source: str | Path) -> Path:
    if _URL.match(str(source)):
        raise ValueError(f"URLs are not fetched; download the image and give its path. Got {str(source)!r}.")
    return Path(source)


def _pixel_values(tensor: torch.Tensor) -> np.ndarray:
    if tensor.is_meta:
        raise ValueError("Expected a tensor with pixels; got one on the device 'meta', which holds no numbers.")
    numbers = tensor.detach().cpu()
    return (numbers.float() if numbers.is_floating_point() else numbers).numpy()


def _from_array(array: np.ndarray) -> Image.Image:
    got = f"an array of shape {array.shape} and type {array.dtype}"
    if array.dtype.kind not in "buif":
        raise ValueError(f"Expected pixels that are real numbers; got {got}.")
    # A last dimension of 2 is refused below: it reads as two channels rather than as an image two pixels wide.
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[-1] not in (1, 2, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)) or 0 in array.shape:
        raise ValueError(f"Expected {ACCEPTED}; got {got}.")
    _require_size((array.shape[1], array.shape[0]), "an image")
    return Image.fromarray(_eight_bits(array, got))


def _eight_bits(array: np.ndarray, got: str) -> np.ndarray:
    """Pixels as uint8, scaled by the range of their type; ambiguous ranges are refused."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"Expected floating-point pixels between 0 and 1; got {got} from {low} to {high}, outside of that "
                "range. Divide by the largest value that a pixel can have, such as 255 or 65535."
            )
        return np.rint(array * 255).astype(np.uint8)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        if 0 < high <= 255:
            raise ValueError(
                f"Expected 16-bit pixels between 0 and 65535; got {got} from {low} to {high}, which may as well mean "
                "0 … 255. Give pixels.astype('uint8') if so, else pixels / 65535."
            )
        return np.rint(array / _TO_EIGHT_BITS).astype(np.uint8)
    if low < 0 or high > 255:
        raise ValueError(
            f"Expected integer pixels between 0 and 255; got {got} from {low} to {high}, outside of that range. "
            "Give uint16 for 0 … 65535, or divide by the largest value that a pixel can have."
        )
    return array.astype(np.uint8)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(image)
    if not image.has_transparency_data:
        return _converted(image, "RGB")
    # Pillow cannot go from the premultiplied mode La to RGBA at once.
    layered = _converted(_converted(image, "LA") if image.mode == "La" else image, "RGBA")
    white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered).convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    """Images of more than 8 bits a pixel, which Pillow's own conversion clips at 255."""
    pixels = np.asarray(_converted(image, image.mode))
    grey = _eight_bits(pixels, f"an image of mode {image.mode}")
    if "transparency" in image.info:
        grey = np.where(pixels == image.info["transparency"], np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The image in another mode, its file decoded if it was opened only."""
    try:
        image.load()
        return image if image.mode == mode else image.convert(mode)
    except Exception as error:
        raise ValueError(
            f"the image {image!r} cannot be decoded ({_reason(error)}). If it was closed, open it again."
        ) from error
