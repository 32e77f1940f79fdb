"""Scores of steered answers and the statistics that go with them."""

from mllm_probe.metrics.fluency import answer_perplexity, first_mention, first_mention_tokens
from mllm_probe.metrics.lens import lens_chunks, lens_logits
from mllm_probe.metrics.logits import (
    WordTable,
    first_token_logit,
    first_token_logprob,
    kl_divergence,
    single_token_logprob,
    word_table,
    word_variants,
)
from mllm_probe.metrics.projection import borrowed_scopes, concept_projection, token_kinds
from mllm_probe.metrics.statistics import (
    bootstrap_interval,
    false_discovery_rate,
    median_interval,
    null_interval,
    wilson_interval,
)
from mllm_probe.metrics.text import NEGATIONS, Span, forms, kept, named, named_tokens, repetition, spans

__all__ = [
    "NEGATIONS",
    "Span",
    "WordTable",
    "answer_perplexity",
    "bootstrap_interval",
    "borrowed_scopes",
    "concept_projection",
    "false_discovery_rate",
    "first_mention",
    "first_mention_tokens",
    "first_token_logit",
    "first_token_logprob",
    "forms",
    "kept",
    "kl_divergence",
    "lens_chunks",
    "lens_logits",
    "median_interval",
    "named",
    "named_tokens",
    "null_interval",
    "repetition",
    "single_token_logprob",
    "spans",
    "token_kinds",
    "wilson_interval",
    "word_table",
    "word_variants",
]
