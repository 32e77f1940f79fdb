"""The program ``mllm-probe``: its commands, and how it ends."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from mllm_probe.cli import grid_commands, model_commands, sweep_commands
from mllm_probe.cli.commands_common import (
    CHECK_FAILED,
    DONE,
    INCOMPLETE,
    WRONG_INPUT,
    CheckFailed,
    note,
    settings_from_file,
    warnings_as_notes,
    whole_numbers_alone,
)
from mllm_probe.schema import package_version

_WRONG = (ImportError, MemoryError, OSError, ValueError)
"""Errors of the package for wrong input; their messages say what to do."""
_EXAMPLES = "Examples: run them in an empty folder, in this order."
"""Heading of the examples in a command's help; a plain ``Examples:`` would be taken for a part of a docstring."""

app = App(
    name="mllm-probe",
    help="Causal probing of vision-language models.",
    version=package_version,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    config=(settings_from_file, whole_numbers_alone),
    suppress_keyboard_interrupt=False,  # else cyclopts ends the process with 130
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``mllm-probe``.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status: 0 when all is well, 1 when a check failed, 2 for wrong input, 3 when it is incomplete and the same
        command goes on, as after Ctrl-C or where the scheduler of a cluster is gone.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with warnings_as_notes():
            status = app(
                words,
                exit_on_error=False,
                help_on_error=False,
                print_error=False,
                result_action="return_value",
            )
    except CycloptsError as error:
        return _refused(f"{error} See: mllm-probe {f'{words[0]} ' if words and words[0] in app else ''}--help")
    except CheckFailed as error:
        note(str(error))
        return CHECK_FAILED
    except ConnectionError as error:  # the scheduler of a cluster is gone
        note(str(error))
        return INCOMPLETE
    except _WRONG as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        note("interrupted; the same command goes on where it keeps what is done, and else begins again.")
        return INCOMPLETE
    return status if isinstance(status, int) else DONE


_READS_SWEEP = (
    sweep_commands.work,
    sweep_commands.status,
    grid_commands.effect,
    grid_commands.export,
    grid_commands.report,
)
_AFTER = {sweep_commands.sweep: model_commands.vectors} | dict.fromkeys(_READS_SWEEP, sweep_commands.sweep)
"""Commands whose examples read what the first example of another command writes: their help begins with that one."""


def help_of(command: Callable[..., Any]) -> str:
    """Description of a command and its examples, after those that make their input, as help shows them."""
    text = inspect.getdoc(command) or ""
    description = text.split("\nParameters\n---")[0].split("\nExamples\n---")[0].strip()
    lines = [line for example in [*_needed_by(command), *_examples_of(command)] for line in example.splitlines()]
    return with_examples(description, lines)


def _examples_of(command: Callable[..., Any]) -> list[str]:
    """Examples of a command's docstring, each with the lines on which it goes on."""
    text = (inspect.getdoc(command) or "").partition("\nExamples\n--------\n")[2]
    return [f"$ {example.rstrip()}" for example in text.split("$ ")[1:]]


def _needed_by(command: Callable[..., Any]) -> list[str]:
    """Examples of other commands that make what those of a command read, in their order."""
    before = _AFTER.get(command)
    return [] if before is None else [*_needed_by(before), _examples_of(before)[0]]


def with_examples(description: str, lines: Sequence[str]) -> str:
    """Description and examples as help shows them."""
    return "\n".join([description, "", _EXAMPLES, "", *(f"  {line}" for line in lines)])


def _refused(message: str) -> int:
    note(message)
    return WRONG_INPUT


def _add(group: App, command: Callable[..., Any], name: str | None = None) -> None:
    group.command(command, help=help_of(command), **({} if name is None else {"name": name}))


for _command in (
    model_commands.families,
    model_commands.verify,
    model_commands.describe,
    model_commands.capture,
    model_commands.vectors,
    sweep_commands.sweep,
    sweep_commands.work,
    sweep_commands.status,
    grid_commands.effect,
    grid_commands.export,
    grid_commands.report,
):
    _add(app, _command)
models = App(
    name="models",
    help=with_examples(
        "The models that come with the package: list them, and fetch what one needs.",
        ["$ mllm-probe models", "$ mllm-probe models --json"],
    ),
)
app.command(models)
models.default(model_commands.list_models)
_add(models, model_commands.get_model, "get")
studies = App(
    name="studies",
    help=with_examples(
        "Studies of models: what they conclude, with their controls.", ["$ mllm-probe studies bundled --help"]
    ),
)
app.command(studies)
_add(studies, grid_commands.bundled_studies, "bundled")
app.register_install_completion_command(help="Install completion for the shell that is running, or for --shell.")
