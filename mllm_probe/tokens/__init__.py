"""Token selection: the kind of every position, scopes that choose positions, and their columns in a batch."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.tokens.positions import (
        KINDS,
        POSITION_KINDS,
        PromptPositions,
        captured_kinds,
        measured_kinds,
        measured_names,
        of_call,
        of_encoded,
    )
    from mllm_probe.tokens.selection import (
        SCOPES,
        NamedScope,
        Places,
        Scope,
        companions,
        find_places,
        parse_scope,
        parse_vector_scopes,
        scope_choices,
        scope_label,
        vector_scopes,
    )
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "KINDS",
    "POSITION_KINDS",
    "SCOPES",
    "NamedScope",
    "Places",
    "PromptPositions",
    "Scope",
    "captured_kinds",
    "companions",
    "find_places",
    "measured_kinds",
    "measured_names",
    "of_call",
    "of_encoded",
    "parse_scope",
    "parse_vector_scopes",
    "scope_choices",
    "scope_label",
    "vector_scopes",
]
