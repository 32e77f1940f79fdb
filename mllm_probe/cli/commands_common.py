"""What commands share: settings from options and TOML files, exit statuses, and how results are printed."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tomllib
import uuid
import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.models.bundled import source_of

if TYPE_CHECKING:
    from mllm_probe.concepts import ConceptLibrary
    from mllm_probe.loading import Model, VerificationReport
    from mllm_probe.typing import JsonObject, Layers


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
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_value(item) for item in value]
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


_OPTION = "--config"
_MOST_BYTES = 1 << 16  # 100,000 tables in one another would take a minute
_FRACTION = re.compile(r"[+-]?[0-9_]*[.][0-9_]*(e[+-]?[0-9_]+)?", re.IGNORECASE)
Config = Annotated[
    str | None,
    Parameter(
        name=_OPTION,
        help="TOML file with any of the options here, such as the one beside a result. Options that are typed win "
        "over it; paths in it are relative to the current folder.",
    ),
]
"""The option of every command that writes a result."""
PROVENANCE_TABLE = "made_with"
"""Table of a written file that records the command and the versions; it is no setting."""
_NO_SETTINGS = {_OPTION, "--json"}


def settings_from_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill the options that were not typed from the file that ``--config`` names; a configuration source of cyclopts.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, was written by another command, or has a key that is no option.
    """
    for argument in arguments:
        if argument.name == _OPTION and argument.tokens:
            path = argument.tokens[0].value
            settings = _read(path)
            _compare(settings.pop(PROVENANCE_TABLE, {}), " ".join(commands), path)
            _require_known(settings, arguments, path)
            for command in reversed(commands):  # without their names, keys that are commands too would be passed over
                settings = {command: settings}
            Dict(settings, source=str(path))(app, commands, arguments)


def whole_numbers_alone(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse fractions where whole numbers are taken; a configuration source of cyclopts, which would round them.

    Raises
    ------
    ValueError
        Naming the option and what was given.
    """
    for argument in arguments:
        if _takes_whole_numbers(argument.hint):
            for value in (token.value for token in argument.tokens):
                if _FRACTION.fullmatch(value):
                    name = argument.name.lstrip("-").replace("-", "_")
                    raise ValueError(f"{name}: expected a whole number; got {value}.")


def _takes_whole_numbers(hint: Any) -> bool:
    return hint is int or any(_takes_whole_numbers(part) for part in get_args(hint))


def settings_beside(result: str | Path) -> str | Path:
    """The file, or the address in an object store, at which the settings of a result are written.

    Raises
    ------
    ValueError
        If there is something that no command wrote, such as the file that the settings come from.
    """
    from mllm_probe.models.argument_checks import path_of

    if _is_address(result):
        path: str | Path = f"{str(result).rstrip('/')}.toml"
    else:
        result = path_of("the result", result)
        path = result.with_name(f"{result.name}.toml") if result.name else Path(f"{result}.toml")
    written = PROVENANCE_TABLE in _read(path) if _content(path) is not None else not os.path.lexists(path)
    if not written:
        raise ValueError(
            f"'{path}' is there, and no command wrote it: settings are kept beside their result under this name. Give "
            "the result another name, or move the file."
        )
    return path


def write_settings(command: str, result: str | Path, settings: Mapping[str, object]) -> str | Path:
    """Write the settings of a run beside its result, as ``<result>.toml``.

    Parameters
    ----------
    command : str
    result : str or Path
        What the run wrote.
    settings : mapping
        By option, in Python's spelling. What is None was left to the package: TOML has no such value, so that its name
        alone is written, as a comment.

    Returns
    -------
    str or Path

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import tomli_w

    path = settings_beside(result)
    given = {name: plain_value(value) for name, value in settings.items() if value is not None}
    left = [name for name, value in settings.items() if value is None]
    name = str(path).rpartition("/")[2]
    head = f"# mllm-probe {command} --config {name} repeats the run; paths are relative to the current folder.\n"
    head += f"# Not given, so that the defaults hold: {', '.join(left)}\n" if left else ""
    record = {PROVENANCE_TABLE: {"command": command, **schema.provenance()}}
    _write(path, f"{head}{tomli_w.dumps(given)}\n{tomli_w.dumps(record)}".encode())
    return path


def _is_address(path: str | Path) -> bool:
    return "://" in str(path)


def _write(path: str | Path, content: bytes) -> None:
    if _is_address(path):
        from mllm_probe.activations.store_places import write_object

        write_object(str(path), content)
        return
    file = Path(path)
    partial = file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")  # others may write the same one
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(file)
    except OSError as error:
        message = f"the settings '{path}' could not be written ({error.strerror or error})"
        raise type(error)(error.errno, message) from error


def _content(path: str | Path) -> bytes | None:
    if _is_address(path):
        from mllm_probe.activations.store_places import read_object

        return read_object(str(path))
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _read(path: str | Path) -> JsonObject:
    content = _content(path)
    if content is None:
        raise FileNotFoundError(f"there is no settings file at {path}; expected TOML, such as `model = 'scenes-4l'`.")
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} has over {_MOST_BYTES:,} bytes, more than a file of settings has.")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no TOML ({error}): correct it, or give the options by hand.") from error


def _compare(record: object, command: str, path: str) -> None:
    """Refuse a file of another command, and say where versions differ from those that it was written with."""
    if not isinstance(record, dict):
        raise ValueError(f"{path}: {PROVENANCE_TABLE} is the table that a command writes, not {record!r}; remove it.")
    if record.get("command", command) != command:
        raise ValueError(f"{path} holds settings of `mllm-probe {record['command']}`, not of `mllm-probe {command}`.")
    now = schema.provenance()
    changed = [f"{key.removeprefix('version_')} {record[key]}" for key in now if record.get(key, now[key]) != now[key]]
    if changed:
        note(f"warning: {path} was written with {', '.join(changed)}; numbers may differ from those of that run.")


def _require_known(settings: JsonObject, arguments: ArgumentCollection, path: str) -> None:
    names = [argument.name for argument in arguments if argument.name not in _NO_SETTINGS]
    known = [name.removeprefix("--").replace("-", "_") for name in names if name.startswith("--")]
    unknown = [key for key in settings if key.replace("-", "_") not in known]
    if unknown:
        hint = schema.did_you_mean(unknown[0], known)
        raise ValueError(f"{path}: there is no setting {unknown[0]!r}{hint}; there are {', '.join(known)}.")


DONE, CHECK_FAILED, WRONG_INPUT, INCOMPLETE = 0, 1, 2, 3
"""Done; a check failed; wrong input; incomplete, the same command goes on."""


class CheckFailed(Exception):
    """A model failed a check, so that the command was not run; ``report`` holds all checks."""

    def __init__(self, message: str, report: VerificationReport) -> None:
        self.report = report
        super().__init__(message)


Names = Annotated[list[str] | None, Parameter(consume_multiple=True)]
"""An option that takes several names."""
Blocks = Annotated[list[int | str] | None, Parameter(consume_multiple=True)]
"""An option that takes numbers of decoder blocks, "all" or "input"."""

Scopes = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
"""An option that takes several token scopes."""


@Parameter(name="*")
@dataclass(frozen=True)
class LoadingSettings:
    """Options of loading a model.

    Parameters
    ----------
    device
        cuda when there is one, else cpu.
    dtype
        float32, bfloat16 …
    device_map
        Share the blocks out over several devices, for instance auto.
    revision
        Branch, tag or commit on the hub.
    trust_remote_code
        Run code that comes with the checkpoint.
    """

    device: str | None = None
    dtype: str | None = None
    device_map: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    def load(self, name: str) -> Model:
        """Load a model.

        Raises
        ------
        CheckFailed
            If its parts do not behave as decoder blocks do.
        ValueError, OSError
            As :func:`mllm_probe.load`.
        """
        source_of(name)  # before PyTorch is imported
        try:
            return mp.loading.load(name, **asdict(self))
        except mp.loading.VerificationError as error:
            raise CheckFailed(str(error), error.report) from error

    def resolved(self, model: Model) -> dict[str, Any]:
        """Settings with the device and type that the model has."""
        known = asdict(self) | {"dtype": str(model.dtype).removeprefix("torch.")}
        return known if self.device_map is not None else known | {"device": str(model.device)}


BY_DEFAULT = LoadingSettings()
"""Loading as :func:`mllm_probe.load` does where nothing is asked for."""


@Parameter(name="*")
@dataclass(frozen=True)
class LibrarySettings:
    """Options that choose concepts and their images.

    Parameters
    ----------
    library
        scenes, emoji, or a folder of <category>/<concept>/{positive,negative}/ with images.
    concepts
        Some of its concepts; all by default.
    categories
        Concepts of some categories only.
    pairs
        Pairs of each concept (of a folder, images of each class); 48 drawn ones by default, all of a folder.
    negative
        Of drawn libraries, what takes the concept's place: replace (another value, the default) or remove.
    size
        Of drawn libraries, side of the images in pixels; 224 by default.
    library_seed
        Of drawn libraries, which scenes; 0 by default.
    groups
        Of folders, CSV file with the columns file and group, whose images stay on one side of the split.
    fit
        Share of the images that vectors are made with; the others are held out. 1 takes all of them.
    split_seed
        Decides which.
    """

    library: str | None = None
    concepts: Names = None
    categories: Names = None
    pairs: int | None = None
    negative: str | None = None
    size: int | None = None
    library_seed: int | None = None
    groups: str | None = None
    fit: float = 0.5
    split_seed: int = 0

    def resolved(self) -> LibrarySettings:
        """Settings with the defaults of drawn libraries.

        Raises
        ------
        ValueError
            If there is no library, or a setting does not apply to it.
        """
        drawn: dict[str, Any] = {"pairs": 48, "negative": "replace", "size": 224, "library_seed": 0}
        if self.library is None:
            raise ValueError("library: expected scenes, emoji or a folder of concepts; got none (--library scenes).")
        other = ("groups",) if self.is_drawn else ("negative", "size", "library_seed")
        kind = "folders" if self.is_drawn else "the drawn libraries (scenes, emoji)"
        for name in other:
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: a setting of {kind}, which '{self.library}' is not; leave it out.")
        if not self.is_drawn:
            return self
        return replace(self, **{name: value for name, value in drawn.items() if getattr(self, name) is None})

    @property
    def is_drawn(self) -> bool:
        """Whether the library is one that comes with the package."""
        return self.library in ("scenes", "emoji")

    def make(self) -> ConceptLibrary:
        """Draw or read the library.

        Raises
        ------
        ValueError, OSError
            As the functions of :mod:`mllm_probe.concepts`.
        """
        settings = self.resolved()
        try:
            if settings.is_drawn:
                drawn = {
                    "concepts": settings.concepts,
                    "pairs": settings.pairs,
                    "negative": settings.negative,
                    "size": settings.size,
                }
                library = getattr(mp.concepts, str(settings.library))(seed=settings.library_seed, **drawn)
                return library if settings.categories is None else library.subset(categories=settings.categories)
            library = mp.concepts.from_folder(str(settings.library), groups=settings.groups)
            return library.subset(concepts=settings.concepts, categories=settings.categories, pairs=settings.pairs)
        except KeyError as error:  # an unknown concept; its text as it was written
            raise ValueError(error.args[0]) from error

    def fit_half(self) -> ConceptLibrary:
        """Images to make vectors with: the fitted half, or all of them for a share of 1."""
        return self.make() if self.fit == 1 else self.make().split(self.fit, self.split_seed)[0]


NO_LIBRARY = LibrarySettings()
"""Where no library is asked for."""


def layers_of(layers: list[int | str] | None) -> Layers:
    """Blocks as the package takes them: ``"all"`` where none or "all" was asked for, ``"input"`` by itself."""
    if layers is None or layers == ["all"]:
        return "all"
    return "input" if layers == ["input"] else layers
