"""The emoji world: pictures of known things in eight styles, with emotions, arrangements and relations."""

from mllm_probe.emoji.emoji_drawing import draw
from mllm_probe.emoji.emoji_scene import EmojiScene, Item, pair, sample, true_concepts
from mllm_probe.emoji.lexicon import CONCEPTS, EmojiConcept

__all__ = ["CONCEPTS", "EmojiConcept", "EmojiScene", "Item", "draw", "pair", "sample", "true_concepts"]
