"""Checks of arguments that many public functions take, warnings that point at the caller, the user's cache."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from platformdirs import user_cache_path

if TYPE_CHECKING:
    import torch

_LONGEST_NAME = 200
"""Bytes of a file name: file systems take 255, and unfinished files carry a suffix."""


def described(value: object) -> str:
    """A value as error messages show it: short plain values as Python writes them, others by their type."""
    plain = isinstance(value, (str, bytes, Real, complex, list, tuple, dict, type(None)))
    return shortened(repr(value) if plain else f"a {type(value).__name__}")


def shortened(text: str, most: int = 60) -> str:
    """A text of at most ``most`` characters, its end left out where it is longer."""
    return text if len(text) <= most else f"{text[: most - 3]}…"


def whole_number(name: str, value: object, at_least: int = 0) -> int:
    """``value`` as an int of ``at_least`` or more.

    Raises ValueError for anything else, truth values, fractions and text that reads like a number included.
    """
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, Integral):
        raise ValueError(f"{name}: expected a whole number, such as {max(at_least, 1)}; got {described(value)}.")
    if number < at_least:
        raise ValueError(f"{name}: expected {at_least} or more; got {described(value)}.")
    return int(number)


def finite_number(name: str, value: object) -> float:
    """``value`` as a finite float.

    Raises ValueError for anything else, truth values and text that reads like a number included.
    """
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, Real):
        raise ValueError(f"{name}: expected a number; got {described(value)}.")
    try:
        converted = float(number)
    except OverflowError:
        converted = math.inf
    if not math.isfinite(converted):
        raise ValueError(f"{name}: expected a finite number; got {described(value)}.")
    return converted


def batch_size_of(value: object) -> int | Literal["auto"]:
    """The argument ``batch_size``: "auto", or an int of 1 or more; a ValueError for anything else."""
    if isinstance(value, str) and value == "auto":
        return "auto"
    try:
        return whole_number("batch_size", value, 1)
    except ValueError:
        got = described(value)
        raise ValueError(f"batch_size: expected 'auto' or a number of samples, 1 or more; got {got}.") from None


def require_one_of(name: str, value: object, known: Iterable[object]) -> None:
    """Raise a ValueError that lists what is known, unless ``value`` is among it."""
    known = tuple(known)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(str, known))}; got {described(value)}.")


def require_function(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` can be called."""
    if not callable(value):
        raise ValueError(f"{name} must be a function; got {type(value).__name__}.")


def listed(value: object) -> list[Any] | None:
    """Elements of a list, tuple, array, iterator …; None for a single value, text and mappings included."""
    single = isinstance(value, (str, bytes, Mapping)) or getattr(value, "shape", None) == ()
    return None if single or not isinstance(value, Iterable) else list(value)


def path_of(name: str, value: object) -> Path:
    """``value`` as a path.

    Raises ValueError unless it is text or a path, without a NUL character.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise ValueError(f"{name}: expected text or a path; got {described(value)}.")
    if "\0" in text:
        raise ValueError(f"{name}: {described(text)} holds a NUL character, which no file name can.")
    return Path(text)


def readable_path_of(name: str, value: object, what: str) -> Path:
    """``value`` as the path of a file that is there, which errors call ``what``.

    Raises
    ------
    ValueError
        If it is no path.
    FileNotFoundError
        If there is no such file.
    """
    path = path_of(name, value)
    if not path.is_file():
        raise FileNotFoundError(f"There is no {what} at {path}.")
    return path


def writable_path_of(name: str, value: object) -> Path:
    """``value`` as the path of a file to be written.

    Raises ValueError if it is no path, or a name too long for a file. Raises FileNotFoundError if its folder does not
    exist. Raises IsADirectoryError if it is a folder.
    """
    path = path_of(name, value)
    require_short_name(name, path)
    if path.is_dir():
        raise IsADirectoryError(f"{name}: '{path}' is a folder; give the name of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder '{path.parent}' to write '{path.name}' to; make it first.")
    return path


def require_short_name(name: str, path: Path) -> None:
    """Raise a ValueError if the name of a file or folder is longer than file systems take."""
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise ValueError(f"{name}: the name {described(path.name)} is too long for a file: use {_LONGEST_NAME} bytes.")


def _scalar(value: Any) -> Any:
    """The number of an array or tensor without dimensions; other values as they are."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def device_of(device: str | torch.device) -> torch.device:
    """A device that PyTorch has here.

    Raises ValueError if it is not the name of one, holds no numbers, or does not exist.
    """
    import torch

    expected = f"device: expected 'cpu', 'cuda', 'cuda:1' or 'mps'; got {described(device)}"
    if not isinstance(device, (str, torch.device)):
        raise ValueError(f"{expected}.")
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"{expected}.") from error
    if where.type == "meta":
        raise ValueError(f"{expected}, which holds no numbers.")
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device='{device}' was requested, but PyTorch sees no CUDA device here; leave device= out.")
    if where.type == "cuda" and (where.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device='{device}' was requested, but PyTorch sees {count} CUDA devices: 0 … {count - 1}.")
    return where


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning for the nearest caller that is not part of this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("mllm_probe"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def cache_root() -> Path:
    """Folder of the package in the user's cache; it need not exist."""
    return user_cache_path("mllm_probe", appauthor=False)
