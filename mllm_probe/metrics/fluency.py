"""How well an answer reads: its perplexity under the unsteered model with the concept's first mention left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch

from mllm_probe.metrics.text import spans


def first_mention(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], words: Sequence[str]
) -> tuple[int, int] | None:
    """Positions of the tokens that make up the first mention of a concept, negated or not.

    Parameters
    ----------
    tokens : sequence of int
        An answer without its end-of-sequence token.
    decode : callable
        Token ids → text.
    words : sequence of str
        The concept's words.

    Returns
    -------
    (start, stop) or None
        ``tokens[start:stop]`` holds the mention; None when the answer does not mention the concept.
    """
    found = spans(decode(tokens), words)
    if not found:
        return None
    low, high, _ = found[0]
    ends = [len(decode(tokens[: i + 1])) for i in range(len(tokens))]
    start = next(i for i, end in enumerate(ends) if end > low)
    stop = next((i + 1 for i, end in enumerate(ends) if end >= high), len(tokens))
    return start, stop


def answer_perplexity(logprobs: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Perplexity of answers from the log-probabilities of their tokens.

    Parameters
    ----------
    logprobs : Tensor [rows, steps]
        Log-probability of each token of the answer under the unsteered model.
    counted : Tensor of bool [rows, steps]
        Tokens that count: not padding, not the first mention of the concept.

    Returns
    -------
    Tensor of float32 [rows]
        exp of the mean negative log-probability; NaN where no token counts (an empty answer).
    """
    number = counted.sum(-1)
    total = torch.where(counted, logprobs.float(), 0.0).sum(-1)
    return torch.where(number > 0, (-total / number.clamp_min(1)).exp(), torch.nan)


def first_mention_tokens(tokens: Sequence[int], variants: Iterable[Sequence[int]]) -> tuple[int, int] | None:
    """Positions of the first of the token sequences in an answer; for models without a tokenizer."""
    answer = tuple(tokens)
    found = [
        (i, i + len(v))
        for v in map(tuple, variants)
        if v
        for i in range(len(answer) - len(v) + 1)
        if answer[i : i + len(v)] == v
    ]
    return min(found, default=None)
