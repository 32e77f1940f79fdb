"""Where an answer first mentions a concept, in tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mllm_probe.metrics.text import spans


def first_mention(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], words: Sequence[str]
) -> tuple[int, int] | None:
    """Positions of the tokens that make up the first mention of a concept, negated or not.

    `tokens`: an answer without its end-of-sequence token. `decode`: token ids → text. `words`: the concept's words.
    Returns: ``tokens[start:stop]`` holds the mention; None when the answer does not mention the concept.
    """
    mentions = spans(decode(tokens), words)
    if not mentions:
        return None
    low, high, _ = mentions[0]
    ends = [len(decode(tokens[: i + 1])) for i in range(len(tokens))]
    start = next(i for i, end in enumerate(ends) if end > low)
    stop = next((i + 1 for i, end in enumerate(ends) if end >= high), len(tokens))
    return start, stop


def first_mention_tokens(tokens: Sequence[int], variants: Iterable[Sequence[int]]) -> tuple[int, int] | None:
    """Positions of the first of the token sequences in an answer; for models without a tokenizer."""
    answer = tuple(tokens)
    places = [
        (i, i + len(v))
        for v in map(tuple, variants)
        if v
        for i in range(len(answer) - len(v) + 1)
        if answer[i : i + len(v)] == v
    ]
    return min(places, default=None)
