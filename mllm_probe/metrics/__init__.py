"""Scores of steered answers and the statistics that go with them."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept
    from mllm_probe.metrics.projection import borrowed_scopes, concept_projection, lens_chunks, lens_logits
    from mllm_probe.metrics.statistics import (
        Draws,
        bootstrap_interval,
        difference_interval,
        draw_interval,
        draw_test,
        false_discovery_rate,
        median_interval,
        rank_test,
        share_interval,
        summarise_draws,
        wilson_interval,
    )
    from mllm_probe.metrics.text import Span, forms, spans
    from mllm_probe.metrics.wording import NEGATIONS
    from mllm_probe.metrics.words import WordTable, word_table, word_variants
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "Answer",
    "Draws",
    "Metric",
    "NEGATIONS",
    "ScoredConcept",
    "Span",
    "WordTable",
    "bootstrap_interval",
    "borrowed_scopes",
    "concept_projection",
    "difference_interval",
    "draw_interval",
    "draw_test",
    "false_discovery_rate",
    "forms",
    "lens_chunks",
    "lens_logits",
    "median_interval",
    "rank_test",
    "share_interval",
    "spans",
    "summarise_draws",
    "wilson_interval",
    "word_table",
    "word_variants",
]
