"""Families of Transformers' image-text-to-text models that were verified, as a table in the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mllm_probe.typing import JsonObject

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
