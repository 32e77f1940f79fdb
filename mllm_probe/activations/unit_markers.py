"""Markers of finished units: what a unit wrote, with checksums of its chunks and of the marker itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from mllm_probe.typing import JsonObject

MARKERS, LAYOUT, ENDING = "unit_markers", "layout", ".json"
"""Group of the markers, the marker of the layout, and how their names end."""
_SEAL = "checksum"
_UNIT = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


def marker_key(name: str) -> str:
    """Key of a unit's marker."""
    return f"{MARKERS}/{name}{ENDING}"


def require_names(names: Sequence[str]) -> None:
    """Raise a ValueError unless units have plain names, each once."""
    wrong = [name for name in names if not _UNIT.fullmatch(name) or name == LAYOUT]
    if wrong or len(set(names)) < len(names) or not names:
        raise ValueError(
            "units: expected at least one name, each once, of letters, digits, '_', '-' and '.'; got "
            f"{wrong[0] if wrong else sorted(names)!r}."
        )


def checksum(content: bytes) -> JsonObject:
    """Size and hash of what was stored under a key."""
    return {"bytes": len(content), "blake2b": hashlib.blake2b(content, digest_size=8).hexdigest()}


def sealed(content: JsonObject) -> bytes:
    """A marker's text, with a checksum of itself."""
    return json.dumps(content | {_SEAL: _seal_of(content)}, indent=1).encode()


def unsealed(text: bytes) -> JsonObject:
    """Content of a marker; a ValueError if it is not as it was written, or names what is outside its store."""
    try:
        content = json.loads(text)
        seal = content.pop(_SEAL)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError("it was cut short or changed") from error
    if seal != _seal_of(content):
        raise ValueError("it was changed")
    if not _names_chunks(content.get("chunks")):
        raise ValueError("it does not name chunks of its store")
    return dict(content)


def _names_chunks(chunks: object) -> bool:
    """Whether these are chunks below the folder of a store, with a size and hash each."""
    return isinstance(chunks, dict) and all(
        not key.startswith("/")
        and ".." not in key.split("/")
        and isinstance(noted, dict)
        and isinstance(noted.get("bytes"), int)
        for key, noted in chunks.items()
    )


def _seal_of(content: JsonObject) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
