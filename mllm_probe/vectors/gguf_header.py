"""The header of a GGUF file against the size of the file, before the package ``gguf`` reads it.

Its reader trusts the lengths of arrays: a header of 100 bytes that announces 2**40 elements keeps it busy without end.
"""

from __future__ import annotations

import mmap
import struct
from math import prod
from pathlib import Path

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of the plain kinds of value, by their number in the format."""
_TEXT, _ARRAY = 8, 9
_MOST_ELEMENTS = 100_000
"""Of one array: control vectors carry none, and readers make an object of each element."""
_MOST_DIMENSIONS = 4


class HeaderError(ValueError):
    """A header that announces more than the file holds."""


def check_header(path: Path) -> None:
    """Walk the header of a GGUF file.

    Raises HeaderError if it is no little-endian GGUF of version 2 or 3, or a length, a count or a size is beyond the
    file's end.
    """
    if not path.stat().st_size:
        raise HeaderError("the file is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _Walk(data, len(data)).header()


class _Walk:
    def __init__(self, data: mmap.mmap, size: int) -> None:
        self.data, self.size, self.at = data, size, 0

    def header(self) -> None:
        if self.take(4) != _MAGIC:
            raise HeaderError("it does not begin with 'GGUF'")
        version = self.number("I")
        if version not in _VERSIONS:
            raise HeaderError(f"version {version}; expected one of {', '.join(map(str, _VERSIONS))}, little-endian")
        tensors, entries = self.count("tensors", 24), self.count("entries", 13)
        for _ in range(entries):
            self.text()
            self.value(self.number("I"))
        for _ in range(tensors):
            self.tensor()

    def take(self, length: int) -> bytes:
        self.skip(length)
        return self.data[self.at - length : self.at]

    def skip(self, length: int) -> None:
        if length > self.size - self.at:
            raise HeaderError(f"its header announces {length:,} bytes at {self.at:,}, but the file has {self.size:,}")
        self.at += length

    def number(self, kind: str) -> int:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))[0]

    def count(self, what: str, least: int) -> int:
        """A count of things that take at least ``least`` bytes each."""
        count = self.number("Q")
        if count * least > self.size - self.at:
            raise HeaderError(f"its header announces {count:,} {what}, but the file has {self.size:,} bytes")
        return count

    def text(self) -> None:
        self.skip(self.number("Q"))

    def value(self, kind: int) -> None:
        if kind == _TEXT:
            self.text()
        elif kind == _ARRAY:
            self.array()
        elif kind in _SIZES:
            self.skip(_SIZES[kind])
        else:
            raise HeaderError(f"its header holds a value of unknown kind {kind}")

    def array(self) -> None:
        kind, length = self.number("I"), self.number("Q")
        if length > _MOST_ELEMENTS:
            raise HeaderError(
                f"its header announces an array of {length:,} elements; at most {_MOST_ELEMENTS:,} are read"
            )
        if kind == _ARRAY:
            raise HeaderError("its header nests arrays, which no control vector does")
        for _ in range(length) if kind == _TEXT else ():
            self.text()
        if kind != _TEXT:
            if kind not in _SIZES:
                raise HeaderError(f"its header holds an array of unknown kind {kind}")
            self.skip(length * _SIZES[kind])

    def tensor(self) -> None:
        self.text()
        dimensions = self.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise HeaderError(f"its header announces a tensor of {dimensions:,} dimensions; at most {_MOST_DIMENSIONS}")
        elements = prod(self.number("Q") for _ in range(dimensions))
        self.skip(4)
        offset = self.number("Q")
        if elements > 8 * self.size or offset > self.size:
            raise HeaderError(
                f"its header announces a tensor of {elements:,} numbers at {offset:,}, but the file has {self.size:,} "
                "bytes"
            )
