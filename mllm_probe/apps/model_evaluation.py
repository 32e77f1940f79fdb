"""Evaluation of any model of the list, from the options of the command line."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import torch

from mllm_probe.apps.evaluate import main as evaluate_drawn
from mllm_probe.models.argument_checks import whole_number
from mllm_probe.models.bundled import ASSEMBLED, ASSEMBLY, bundled_folder
from training.emoji.emoji_evaluation import evaluate_emoji, keep_results, unseen_artwork
from training.emoji.emoji_folder import PARTS

_DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def evaluate_listed(
    name: str,
    *,
    count: int = 500,
    only: str | None = None,
    without_unseen_artist: bool = False,
    threads: int = 1,
    dtype: str = "bfloat16",
    save: bool = False,
) -> dict[str, list[str]]:
    """Print the tables of a model.

    Parameters
    ----------
    name : str
        Of a bundled model, or its folder.
    count : int
        Images of each row.
    only : str, optional
        A part of the emoji model's evaluation.
    without_unseen_artist : bool
    threads : int
    dtype : str
    save : bool
        Keep them in the model's card; with ``only``, the tables of other parts stay there.

    Returns
    -------
    dict of str to list of str
        The same tables, Markdown, by part.

    Raises
    ------
    ValueError
        For an unknown model, part or dtype, or no images or threads.
    OSError
        If the artwork of the unseen artist cannot be had.
    """
    count, threads = whole_number("count", count, 1), whole_number("threads", threads, 1)
    folder = bundled_folder(name) or Path(name)
    if not (folder / ASSEMBLY).is_file():
        if name in ASSEMBLED or not (folder / "config.json").is_file():
            raise ValueError(f"There is no model '{name}' to evaluate: expected a bundled name or a model's folder.")
        return evaluate_drawn(["--models", name, "--pictures", str(count), *(["--save"] if save else [])])[name]
    if only not in (None, *PARTS):
        raise ValueError(f"only: expected one of {', '.join(PARTS)}; got {only!r}.")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}; got {dtype!r}.")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    artwork = _artwork() if only in (None, "recognition") and not without_unseen_artist else None
    tables = evaluate_emoji(folder, count, PARTS if only is None else (only,), artwork, _DTYPES[dtype])
    if save:
        keep_results(folder, tables)
    return tables


def _artwork() -> dict:
    try:
        return dict(unseen_artwork())
    except OSError as error:
        raise OSError(f"{error}. Put that right, or leave it out: --without-unseen-artist") from error
