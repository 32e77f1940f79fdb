"""Evaluation of any bundled model by its name."""

from __future__ import annotations

from pathlib import Path

import torch

from mllm_probe.models.argument_checks import whole_number
from mllm_probe.models.bundled import ASSEMBLED, ASSEMBLY, bundled_folder, bundled_names
from training.emoji.emoji_evaluation import evaluate_emoji, keep_results, unseen_artwork
from training.emoji.emoji_folder import PARTS
from training.evaluation import evaluate_scenes as scenes

_DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def evaluate_listed(
    *names: str,
    count: int | None = None,
    only: str | None = None,
    without_unseen_artist: bool = False,
    threads: int = 1,
    dtype: str = "bfloat16",
    save: bool = False,
) -> dict[str, dict[str, list[str]]]:
    """Print how well models see and can be steered, and return the same Markdown tables by model and part.

    Parameters
    ----------
    names
        Bundled names, or folders; all bundled models by default.
    count
        Images of each table: 1000 for models of the drawn world, 500 of each row for the emoji model.
    only
        One part: recognition or steerability, of the emoji model recognition or language.
    without_unseen_artist
        Of the emoji model: leave out the artwork of OpenMoji, which npm fetches.
    threads
        Of the processor, for the emoji model; models of the drawn world take one.
    dtype
        Of the emoji model: bfloat16 or float32.
    save
        Keep the tables in the model's card; with only, those of other parts stay there.
    """
    threads = whole_number("threads", threads, 1)
    if count is not None:
        count = whole_number("count", count, 1)
    folders = {name: bundled_folder(name) or Path(name) for name in names or bundled_names()}
    for name, folder in folders.items():
        whole = (folder / ASSEMBLY).is_file() or (folder / "config.json").is_file()
        if not whole or (name in ASSEMBLED and not (folder / ASSEMBLY).is_file()):
            raise ValueError(f"There is no model '{name}' to evaluate: expected a bundled name or a model's folder.")
        parts: tuple[str, ...] = PARTS if (folder / ASSEMBLY).is_file() else scenes.PARTS
        if only not in (None, *parts):
            raise ValueError(f"only: expected one of {', '.join(parts)}; got {only!r}.")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}; got {dtype!r}.")
    tables = {}
    for name, folder in folders.items():
        print(f"## {name}", flush=True)
        if (folder / ASSEMBLY).is_file():
            torch.set_num_threads(threads)
            artwork = _artwork() if only in (None, "recognition") and not without_unseen_artist else None
            chosen = PARTS if only is None else (only,)
            tables[name] = evaluate_emoji(folder, count or 500, chosen, artwork, _DTYPES[dtype])
            if save:
                keep_results(folder, tables[name])
        else:
            named = scenes.PARTS if only is None else (only,)
            tables[name] = scenes.evaluate_scenes(folder, count or 1000, named, save=save)
    return tables


def _artwork() -> dict:
    try:
        return dict(unseen_artwork())
    except OSError as error:
        raise OSError(f"{error}. Put that right, or leave it out: --without-unseen-artist") from error
