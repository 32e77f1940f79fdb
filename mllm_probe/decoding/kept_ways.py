"""Verdicts on the ways of sharing a prompt, kept in the user's cache: small JSON files, believed only after a check."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mllm_probe import schema
from mllm_probe.models.fingerprints import architecture
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.models.user_cache import cache_root
from mllm_probe.typing import JsonObject

FOLDER = "MLLM_PROBE_WAYS"
"""Environment variable: another folder for the verdicts, or ``off`` to keep none on the disk."""
_FORMAT = 1
_OFF = "off"
_MOST_BYTES, _MOST_TEXT, _MOST_TRIED = 1 << 16, 400, 20


@dataclass(frozen=True)
class Verdict:
    """Which way was found exact, and which were refused before it.

    `way`: name of a class of :mod:`mllm_probe.decoding`. `tried`: refused ways, and why.
    """

    way: str
    one_by_one: bool
    tried: dict[str, str] = field(default_factory=dict)


def folder() -> Path | None:
    """Where verdicts are kept, None where the environment says that none are."""
    given = os.environ.get(FOLDER)
    return None if given == _OFF else Path(given) if given else cache_root() / "ways"


def verdict_key(model: ProbeModel, kind: object) -> JsonObject:
    """Everything that a verdict may depend on but the weights.

    `kind`: of the scope and sample: what JSON can write. Returns: architecture, attention, type, device type, library
    versions and the package's own code.
    """
    versions = {name: value for name, value in schema.dependency_versions().items() if name != "xarray"}
    key = {
        "format": _FORMAT, **architecture(model.hf), "kind": kind, "dtype": str(model.dtype),
        "device": model.device.type, "versions": versions, "code": _own_code(),
    }  # fmt: skip
    plain: JsonObject = json.loads(json.dumps(key, default=sorted))
    return plain


def read_verdict(key: JsonObject, ways: Mapping[str, Any]) -> Verdict | None:
    """The verdict that is kept under a key; None without one, and for a file that is not what this package writes.

    `key`: of :func:`verdict_key`. `ways`: names of the ways that there are.
    """
    path = _file(key)
    if path is None:
        return None
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return _checked(found, key, ways)


def _checked(found: object, key: JsonObject, ways: Mapping[str, Any]) -> Verdict | None:
    if not isinstance(found, dict) or set(found) != {"key", "way", "one_by_one", "tried"} or found["key"] != key:
        return None
    way, one_by_one, tried = found["way"], found["one_by_one"], found["tried"]
    if not isinstance(way, str) or way not in ways or not isinstance(one_by_one, bool) or not isinstance(tried, dict):
        return None
    texts = [text for pair in tried.items() for text in pair]
    plain = all(isinstance(text, str) and text.isprintable() and len(text) <= _MOST_TEXT for text in texts)
    return Verdict(way, one_by_one, tried) if plain and len(tried) <= _MOST_TRIED else None


def keep_verdict(key: JsonObject, verdict: Verdict | None) -> None:
    """Keep a verdict, or with None forget the one that is there; a folder that cannot be written to is left alone."""
    path = _file(key)
    if path is None:
        return
    with suppress(OSError):
        if verdict is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"key": key, "way": verdict.way, "one_by_one": verdict.one_by_one, "tried": verdict.tried}
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
        try:
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _file(key: JsonObject) -> Path | None:
    where = folder()
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    return None if where is None else where / f"{name}.json"


@cache
def _own_code() -> str:
    """Hash of the ways' own sources: a verdict on other code says nothing."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
