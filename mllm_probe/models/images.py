"""Anything a person may call an image, as a PIL picture."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from mllm_probe.models.warn import warn_caller

ACCEPTED = "a PIL image, a path, an array or tensor [height, width, 3], or an object with an `image`"

_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_images(function: _Function) -> _Function:
    """Let a function with a parameter ``images`` be called with ``image=``, its former name: warns, until 1.0."""

    @functools.wraps(function)
    def renamed(*arguments: Any, **named: Any) -> Any:
        if "image" in named:
            if "images" in named:
                raise TypeError("give images= alone; image= is its former name.")
            warn_of_image()
            named["images"] = named.pop("image")
        return function(*arguments, **named)

    return cast(_Function, renamed)


def warn_of_image() -> None:
    """Warn that ``image`` is the former name of ``images``."""
    warn_caller("image is called images now; the former name works until 1.0.", DeprecationWarning)


def as_image(source: Any) -> Image.Image:
    """Read a picture from whatever holds one.

    Parameters
    ----------
    source : PIL image, str, Path, numpy array, torch tensor or object with ``.image``
        Arrays are [height, width], [height, width, 1 | 3 | 4] or the same with channels first; integers
        mean 0 … 255, floating-point numbers 0 … 1. Transparency is laid on white.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    ValueError
        If it cannot be read as a picture, or is empty.
    FileNotFoundError
        If a path leads nowhere.
    """
    if isinstance(source, Image.Image):
        picture = source
    elif isinstance(source, (str, Path)):
        picture = _read(Path(source))
    elif isinstance(source, torch.Tensor):
        numbers = source.detach().cpu()
        picture = _from_array((numbers.float() if numbers.is_floating_point() else numbers).numpy())
    elif isinstance(source, np.ndarray):
        picture = _from_array(source)
    elif hasattr(source, "image"):
        return as_image(source.image)
    else:
        raise ValueError(f"Expected {ACCEPTED}; got {type(source).__name__}.")
    if 0 in picture.size:
        raise ValueError(f"Expected a picture with pixels; got one of size {picture.size}.")
    return _on_white(picture)


def content_hash(source: Any) -> str:
    """Name of a picture by its pixels: 16 hexadecimal digits, the same for equal RGB content."""
    picture = as_image(source)
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()[:16]


def _read(path: Path) -> Image.Image:
    if not path.is_file():
        raise FileNotFoundError(f"There is no image file at {path}.")
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} could not be read as an image ({error}). Replace or leave out that file.") from error


def _from_array(array: np.ndarray) -> Image.Image:
    got = f"an array of shape {array.shape} and type {array.dtype}"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)) or 0 in array.shape:
        raise ValueError(f"Expected {ACCEPTED}; got {got}.")
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError(f"Expected floating-point pixels between 0 and 1; got {got} outside of that range.")
        array = np.rint(array * 255)
    elif array.dtype != np.uint8 and (array.min() < 0 or array.max() > 255):
        raise ValueError(f"Expected integer pixels between 0 and 255; got {got} outside of that range.")
    return Image.fromarray(array.astype(np.uint8))


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if "A" in picture.getbands() or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layered).convert("RGB")
    return picture.convert("RGB")
