"""The body of every script: its sizes, its work, a process of its own for peak memory, and the file of figures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import torch

from common import models, report
from common.measuring import MEMORY_LINE
from common.work import LAST, Work, strengths

SMALL, LARGE = ("llava", "qwen"), ("qwen_7b", "llava_7b")
SIZES = ("width", "layers", "vocabulary", "dtype")
One = Callable[[argparse.Namespace, dict[str, Any], str, int], dict[str, Any]]


def run(
    options: argparse.Namespace, title: str, one: One, peak_of: Callable[[argparse.Namespace], int] | None = None
) -> None:
    """Measure every model and length of prompt and write the figures.

    Parameters
    ----------
    options : Namespace
        Of a parser that went through :func:`sized`.
    title : str
        Name of the file of figures.
    one : callable
        ``one(options, facts, model, tokens)`` prints the tables of one model and length and returns their figures.
    peak_of : callable, optional
        Peak bytes of what ``options.memory_of`` names; this process then prints them and does nothing else.
    """
    torch.set_num_threads(options.threads)
    if peak_of is not None and options.memory_of:
        print(MEMORY_LINE + json.dumps(peak_of(options)))
        return
    facts = report.facts(options.threads, "cuda" if set(options.model) & set(LARGE) else "cpu")
    parts = [one(options, facts, name, tokens) for name in options.model for tokens in options.tokens]
    report.write(options.json, title, facts | {"benchmark": title, "parts": parts})


def sized(parser: argparse.ArgumentParser) -> None:
    """Options for the size of the work."""
    large = list(LARGE) if torch.cuda.is_available() else []
    parser.add_argument("--model", nargs="+", default=[SMALL[0], *large], choices=[*SMALL, *LARGE])
    parser.add_argument("--tokens", type=int, nargs="+", default=[300, 600], help="lengths of the prompt")
    parser.add_argument("--swept", type=int, default=16, help="layers of the map")
    parser.add_argument("--strengths", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8, help="new tokens")
    parser.add_argument("--sampled", type=int, default=4, help="cells timed one at a time; the rest is scaled")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)


def child_arguments(options: argparse.Namespace, name: str, tokens: int, *further: str) -> list[str]:
    """Options with which a process of its own does the work of one model and length; its ``--memory-of`` follows."""
    given = [text for key in (*SIZES, *further) for text in (f"--{key.replace('_', '-')}", str(getattr(options, key)))]
    return [*given, "--threads", str(options.threads), "--model", name, "--tokens", str(tokens), "--memory-of"]


def make_work(options: argparse.Namespace, name: str, tokens: int, scope: Any = LAST, **placing: Any) -> Work:
    """A model of the kind asked for, and the cells of the map."""
    if name in SMALL:
        placing |= {"width": options.width, "layers": options.layers, "vocabulary": options.vocabulary}
        placing["dtype"] = getattr(torch, getattr(options, "dtype", "float32"))
    subject = getattr(models, name)(tokens, **placing)
    count = len(subject.model.layers)
    layers = sorted({round(i * (count - 1) / max(options.swept - 1, 1)) for i in range(options.swept)})
    return Work(subject, tuple(layers), strengths(options.strengths), options.steps, scope)
