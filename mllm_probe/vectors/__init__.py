"""Concept vectors: their construction, the directions that a steering uses, and their files."""

from __future__ import annotations

from mllm_probe.vectors.construction import concept_vectors, vectors_from
from mllm_probe.vectors.files import load_vectors, save_vectors
from mllm_probe.vectors.nearest_images import likeness

__all__ = ["concept_vectors", "likeness", "load_vectors", "save_vectors", "vectors_from"]
