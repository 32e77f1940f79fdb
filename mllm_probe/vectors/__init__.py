"""Concept vectors: their construction, the directions that a steering uses, and their files."""

from __future__ import annotations

from mllm_probe.vectors.construction import concept_vectors, vectors_from
from mllm_probe.vectors.files import load_vectors, save_vectors

__all__ = ["concept_vectors", "load_vectors", "save_vectors", "vectors_from"]
