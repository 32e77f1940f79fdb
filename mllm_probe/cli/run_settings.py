"""Settings of a command: from its options and a TOML file, and written as TOML beside its result."""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from mllm_probe import schema
from mllm_probe.cli.printed_results import note, plain_value

if TYPE_CHECKING:
    from mllm_probe.typing import JsonObject

_OPTION = "--config"
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


def settings_beside(result: str | Path) -> str | Path:
    """The file, or the address in an object store, at which the settings of a result are written."""
    if _is_address(result):
        return f"{str(result).rstrip('/')}.toml"
    result = Path(result)
    return result.with_name(f"{result.name}.toml")


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
    partial.write_bytes(content)
    partial.replace(file)


def _content(path: str) -> bytes | None:
    if _is_address(path):
        from mllm_probe.activations.store_places import read_object

        return read_object(path)
    return Path(path).read_bytes() if Path(path).is_file() else None


def _read(path: str) -> JsonObject:
    content = _content(path)
    if content is None:
        raise FileNotFoundError(f"there is no settings file at {path}; expected TOML, such as `model = 'scenes-4l'`.")
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
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
        raise ValueError(f"{path}: there is no setting {unknown[0]!r}; there are {', '.join(known)}.")
