"""Concepts as images with and without them, from the drawn and the emoji world, a folder, the Hub or sentences."""

from mllm_probe.concepts.concept import Concept
from mllm_probe.concepts.drawn import emoji, scenes
from mllm_probe.concepts.folder import from_folder, image_files
from mllm_probe.concepts.hub import from_hub
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.concepts.neutral import neutral_images
from mllm_probe.concepts.picture import Picture
from mllm_probe.concepts.told import from_text

__all__ = [
    "Concept",
    "ConceptLibrary",
    "Picture",
    "emoji",
    "from_folder",
    "from_hub",
    "from_text",
    "image_files",
    "neutral_images",
    "scenes",
]
