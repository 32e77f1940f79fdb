"""What commands print: one result on standard output, as text or as JSON, and everything else on standard error."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    import pandas as pd

    from mllm_probe.typing import JsonObject

AsJson = Annotated[bool, Parameter(name="--json", help="Print the result as one JSON document.")]
"""The option of every command that prints a result."""


def show(text: str, document: JsonObject, as_json: bool) -> None:
    """Print a result.

    Parameters
    ----------
    text : str
        The result for people.
    document : dict
        The same for programs. Arrays become lists; numbers that are not finite become null.
    as_json : bool
        Print the document in place of the text.
    """
    shown = json.dumps(plain_value(document), ensure_ascii=False, allow_nan=False, indent=1) if as_json else text
    print(shown, flush=True)


def plain_value(value: Any) -> Any:
    """A value as JSON has it: arrays and sets as lists, keys as text, numbers that are not finite as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_value(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def shape_text(sizes: Mapping[Hashable, int]) -> str:
    """Sizes by dimension in one line, such as ``concept 2 × layer 4``."""
    return " × ".join(f"{dim} {size}" for dim, size in sizes.items())


def provenance_of(attributes: Mapping[Hashable, Any]) -> JsonObject:
    """Attributes of a dataset without the bookkeeping of its store."""
    return {str(name): value for name, value in attributes.items() if not str(name).startswith("store_")}


def table_text(table: pd.DataFrame) -> str:
    """A table for people: three digits, – where a number is not known."""
    return str(table.to_string(index=False, na_rep="–", float_format=lambda number: f"{number:.3g}"))


def note(message: str) -> None:
    """Print a message as one line of printable characters on standard error: names from files may hold any."""
    line = " ".join(message.split())
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in line)
    print(f"mllm-probe: {shown}", file=sys.stderr, flush=True)


@contextmanager
def alone_on_stdout(as_json: bool) -> Iterator[None]:
    """Send what is printed on the way to standard error, where the result is one JSON document."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print warnings as one line each, without the line of code that they were raised in."""

    def shown(message: Warning | str, *_: Any, **__: Any) -> None:
        note(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = shown
        yield
