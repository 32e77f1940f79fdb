"""Concepts as images with and without them, from the drawn and the emoji world, a folder, the Hub or sentences."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.concepts.concept import Concept, Picture
    from mllm_probe.concepts.drawn import emoji, scenes
    from mllm_probe.concepts.folder import from_folder, image_files
    from mllm_probe.concepts.hub import from_hub
    from mllm_probe.concepts.library import ConceptLibrary, neutral_images
    from mllm_probe.concepts.sentences import from_text
else:
    __getattr__, __dir__ = lazy_names(__name__)

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
