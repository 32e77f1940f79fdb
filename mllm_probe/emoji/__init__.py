"""The emoji world: pictures of known things in eight styles, with emotions, arrangements and relations."""

from mllm_probe.emoji.emoji_drawing import draw
from mllm_probe.emoji.emoji_pairs import pair
from mllm_probe.emoji.emoji_sampling import sample
from mllm_probe.emoji.emoji_scene import EmojiScene, Item, true_concepts
from mllm_probe.emoji.lexicon import CONCEPTS, EmojiConcept

__all__ = ["CONCEPTS", "EmojiConcept", "EmojiScene", "Item", "draw", "pair", "sample", "true_concepts"]
