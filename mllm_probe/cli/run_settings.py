"""Settings of a command: from its options and a TOML file, and written as TOML beside its result."""

from __future__ import annotations

import os
import re
import tomllib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from mllm_probe import schema
from mllm_probe.cli.printed_results import note, plain_value

if TYPE_CHECKING:
    from mllm_probe.typing import JsonObject

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
MADE_WITH = "made_with"
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
            _compare(settings.pop(MADE_WITH, {}), " ".join(commands), path)
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
    written = MADE_WITH in _read(path) if _content(path) is not None else not os.path.lexists(path)
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
    record = {MADE_WITH: {"command": command, **schema.provenance()}}
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
        said = f"the settings '{path}' could not be written ({error.strerror or error})"
        raise type(error)(error.errno, said) from error


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
        raise ValueError(f"{path}: {MADE_WITH} is the table that a command writes, not {record!r}; remove it.")
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
