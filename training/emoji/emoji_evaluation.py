"""The evaluation of the emoji model: what it sees, what is kept of its decoder's language, and how it is steered."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from mllm_probe.concepts.drawn import PAIRS, LibraryCall
from mllm_probe.emoji.lexicon import FIRST_CONCEPTS
from mllm_probe.loading.assembling import read_assembly
from mllm_probe.loading.decoder_cache import cached_decoder
from mllm_probe.models.argument_checks import cache_root
from mllm_probe.studies.recommendation import STORED
from training.emoji.build_art import UNSEEN, sprites_of
from training.emoji.emoji_folder import PARTS, refresh_emoji_card
from training.emoji.emoji_recognition import ROWS, Artwork, majority_shares, recognition_scores
from training.emoji.language_kept import language_lines
from training.evaluation.accuracy import Score, table
from training.evaluation.answerer import Answerer
from training.evaluation.steerability import recommended, tables_of
from training.scenes.card import RESULTS

log = logging.getLogger(__name__)
_BLOCKS = (2, 6, 11, 17, 23)
_SEARCHED = {"image": (0.5, 0.75, 1.0), "last_prompt+generated": (0.35, 0.5)}
_IMAGES = 8
"""Where settings are looked for: fewer cells and images than `mllm_probe.recommend` tries by itself, as each answer
costs twenty times as much here."""
_LONGEST = 20
"""Tokens of an answer: descriptions name the style last."""


def unseen_artwork() -> Artwork:
    """Return the sprites of an artist's set that is for evaluation alone; fetched once into the user's cache.

    Raises OSError if npm or the package ``cairosvg`` is missing, or the set cannot be fetched.
    """
    try:
        return sprites_of(UNSEEN, cache_root() / "artwork")
    except ImportError as error:
        raise OSError(f"{UNSEEN.title} is drawn with cairosvg: pip install 'mllm-probe[art]'") from error
    except (OSError, ValueError) as error:
        raise OSError(f"{UNSEEN.title} could not be fetched with npm ({error})") from error


def _recognition_tables(
    answer: Answerer, count: int, artwork: Artwork | None, print_line: Callable[[str], None]
) -> list[str]:
    scores: list[Score] = []
    for row in ROWS:
        scores += recognition_scores(answer, count, artwork, (row,))
        log.info("%s", scores[-1] if scores else row.name)
    constant = "; ".join(f"{name}: {share:.3f}" for name, share in majority_shares(count).items())
    left = "" if artwork is not None else f"\n\n{UNSEEN.title} was not at hand: its rows were not measured."
    made = f"{table('What it sees, on new images', scores)}\n\nA constant answer would get: {constant}.{left}"
    print_line(made)
    return [made]


def evaluate_emoji(
    folder: Path,
    count: int,
    parts: Sequence[str] = PARTS,
    artwork: Artwork | None = None,
    dtype: torch.dtype = torch.bfloat16,
    print_line: Callable[[str], None] = print,
) -> dict[str, list[str]]:
    """Print the tables of the emoji model in a folder, each as soon as it is measured.

    `count`: images of each row. `parts`: of `PARTS`. `artwork`: from `unseen_artwork`; without it its rows are left
    out, and the table says so. Returns: Markdown, by part.
    """
    answer = Answerer(folder, dtype=dtype)
    tables: dict[str, list[str]] = {}
    if "recognition" in parts:
        tables["recognition"] = _recognition_tables(answer, count, artwork, print_line)
    if "language" in parts:
        decoder = cached_decoder(folder.name, read_assembly(folder).decoder)
        scores, line = language_lines(answer, decoder, dtype, count)
        tables["language"] = [f"{table('Language', scores)}\n\n{line}"]
        print_line(tables["language"][0])
    if "steering" in parts:
        tables["steering"] = steering_tables(folder, print_line)
    return tables


def steering_tables(folder: Path, print_line: Callable[[str], None]) -> list[str]:
    """Recommend a setting for each of the lab's concepts, keep them with the model, and print what they do.

    Returns: Markdown.
    """
    made = LibraryCall("emoji", {"concepts": list(FIRST_CONCEPTS), "pairs": PAIRS})
    search = {"layers": _BLOCKS, "strengths": _SEARCHED, "images": _IMAGES, "max_new_tokens": _LONGEST}
    found = recommended(folder, made(), **search)
    found.save(folder / STORED)
    tables = tables_of(found)
    print_line("\n\n".join(tables))
    return tables


def keep_results(folder: Path, tables: Mapping[str, Sequence[str]]) -> None:
    """Keep the tables of some parts beside a model, and in its card; those of other parts stay."""
    path = folder / RESULTS
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(known | {part: list(some) for part, some in tables.items()}, indent=1) + "\n")
    refresh_emoji_card(folder)
