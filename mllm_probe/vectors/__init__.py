"""Concept vectors: their construction, the directions that a steering uses, and their files."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.vectors.construction import concept_vectors, vectors_from
    from mllm_probe.vectors.directions import likeness
    from mllm_probe.vectors.files import load_vectors, save_vectors
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = ["concept_vectors", "likeness", "load_vectors", "save_vectors", "vectors_from"]
