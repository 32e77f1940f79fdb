"""Prompts whose answers by the untouched decoder keep the language: chats, and questions about what is seen."""

from functools import cache
from importlib import resources

_FOLDER = "training.emoji.language_prompts"
_OF_TOPICS = (
    "Tell me about {}.",
    "Write a sentence about {}.",
    "Write a short story about {}.",
    "Write a poem about {}.",
    "Give me a fun fact about {}.",
    "What do you know about {}?",
    "What do you think about {}?",
    "Ask me a question about {}.",
    "Write two sentences about {}.",
    "Give me a title for a story about {}.",
    "What is special about {}?",
    "Say something nice about {}.",
    "Write a diary entry about {}.",
    "Describe {} in a few words.",
    "Explain {} in simple words.",
    "Write a slogan about {}.",
    "Make a riddle about {}.",
    "Write a dialogue about {}.",
    "Why are people interested in {}?",
    "What words come to mind when you hear about {}?",
)
_OF_LISTS = {
    "countries": ("What is the capital of {}?",),
    "opposites": ("What is the opposite of {}?",),
    "words": ("What does the word {} mean?", "Use the word {} in a sentence."),
}


def _lines(name: str) -> list[str]:
    return (resources.files(_FOLDER) / f"training_{name}.txt").read_text(encoding="utf-8").splitlines()


@cache
def about() -> tuple[str, ...]:
    """Return questions about one thing that is seen."""
    return tuple(_lines("about"))


@cache
def single_chats() -> tuple[str, ...]:
    """Return chats without an image that are questions of their own."""
    listed = [text.format(entry) for name, texts in _OF_LISTS.items() for text in texts for entry in _lines(name)]
    return tuple(dict.fromkeys([*_lines("chats"), *listed]))


@cache
def chats() -> tuple[str, ...]:
    """Return every chat without an image that may be trained on: single ones, then every request with every topic."""
    made = [text.format(topic) for text in _OF_TOPICS for topic in _lines("topics")]
    return tuple(dict.fromkeys([*single_chats(), *made]))
