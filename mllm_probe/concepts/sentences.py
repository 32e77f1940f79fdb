"""Concepts from sentences: the same concepts in words, as contrasting prompts without an image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mllm_probe.concepts.concept import Concept, Picture, Sentence, category_name
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.emoji.lexicon import NOUNS, phrase
from mllm_probe.scenes.language import with_article

_SHOWN = (
    "The picture shows {}.",
    "There is {} in the picture.",
    "I see {}.",
    "I am looking at {}.",
    "This is a picture of {}.",
    "In front of me is {}.",
)
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "entity": _SHOWN,
    "visual_style": (
        "The style of the picture is {}.",
        "The picture is drawn in this style: {}.",
        "The visual style is {}.",
        "I see a picture whose style is {}.",
        "The artist chose this style: {}.",
        "It is a picture, and its style is {}.",
    ),
    "emotion": (
        "The mood of the picture is {}.",
        "The face in the picture is {}.",
        "Somebody in the picture feels {}.",
        "The emotion in the picture is {}.",
        "I see a picture whose mood is {}.",
        "The picture expresses this feeling: {}.",
    ),
    "relation": (
        "Seen from the second thing, the first is: {}.",
        "The relation of the two things is: {}.",
        "I see two things, and the relation is: {}.",
        "The relation in the picture is {}.",
        "How the two things stand: {}.",
        "The word for their relation is {}.",
    ),
}
"""Sentences by category; ``{}`` is the place of the concept."""
OTHERS = (
    "The picture shows {}.",
    "The theme of the picture is {}.",
    "The picture expresses {}.",
    "I see a picture of {}.",
    "The arrangement in the picture shows {}.",
    "What I see is about {}.",
)
"""Sentences for all other categories."""
_ABSENT = ("There is no {} in the picture.", "The picture shows no {}.", "I see no {}.")
DENIALS: Mapping[str, tuple[str, ...]] = {
    "entity": _ABSENT,
    "visual_style": ("The style of the picture is not {}.", *_ABSENT),
    "emotion": ("The emotion in the picture is not {}.", *_ABSENT),
    "relation": ("The relation in the picture is not {}.", *_ABSENT),
}
"""Sentences by category that deny a concept, which is named without an article."""


@dataclass(frozen=True)
class TextConcept:
    name: str
    category: str
    words: tuple[str, ...]
    phrase: str


def from_text(
    concepts: ConceptLibrary | Mapping[str, str],
    category: str | Mapping[str, str] | None = None,
    *,
    templates: Sequence[str] | None = None,
) -> ConceptLibrary:
    """Make a concept library of sentences: for every concept, pairs of a sentence with it and the same with another.

    A sentence stands in place of an image: the prompt of a concept vector comes after it. The same concepts from images
    and from sentences show how far a direction belongs to the image or to the word.

    Parameters
    ----------
    concepts : ConceptLibrary or mapping of str to str
        A library, whose concepts are told in words; or by name what the sentences say, as ``{"cat": "a cat"}``.
    category : str or mapping of str to str, optional
        Category of all, or of each name; of a mapping only, ``"entity"`` by default.
    templates : sequence of str, optional
        Sentences with ``{}`` in the place of the concept; six for each category by default.

    Returns
    -------
    ConceptLibrary
        Paired: each positive is a sentence with the concept, its negative the same sentence with another concept of
        the category. ``split()`` divides the sentences, not the concepts. Its members have no image: vectors can be
        made of them (:func:`mllm_probe.concept_vectors`, scopes ``"last_prompt"``, ``"text"`` and ``"all"``), but
        sweeps need images to steer.

    Raises
    ------
    TypeError
        If ``concepts`` is neither a library nor a mapping of text, or ``category`` comes with a library.
    ValueError
        If a category has one concept only, which leaves nothing to contrast it with, or a template has no ``{}``.

    Examples
    --------
    >>> told = from_text({"cat": "a cat", "dog": "a dog"})
    >>> told["cat"].positive[0].source.text, told["cat"].negative[0].source.text
    ('The picture shows a cat.', 'The picture shows a dog.')
    """
    entries = _text_concepts(concepts, category)
    by_category: dict[str, list[TextConcept]] = defaultdict(list)
    for entry in entries:
        by_category[entry.category].append(entry)
    lonely = next((members[0].name for members in by_category.values() if len(members) < 2), None)
    if lonely is not None:
        raise ValueError(
            f"from_text: {lonely!r} is the only concept of its category, so there is nothing to contrast it with: give "
            "at least two concepts of every category."
        )
    return ConceptLibrary((_concept(entry, by_category[entry.category], templates) for entry in entries), "sentences")


def sentences_about(name: str, category: str, *, denied: bool = False) -> tuple[str, ...]:
    """Sentences that tell a concept in words.

    `name`, `category`: of the concept. `denied`: whether they say that it is not there.

    >>> sentences_about("cat", "entity")[1], sentences_about("cat", "entity", denied=True)[0]
    ('There is a cat in the picture.', 'There is no cat in the picture.')
    """
    texts = DENIALS.get(category, _ABSENT) if denied else TEMPLATES.get(category, OTHERS)
    wording = _bare(name) if denied else _wording(name, category)
    return tuple(text.format(wording) for text in texts)


def _text_concepts(concepts: object, category: str | Mapping[str, str] | None) -> list[TextConcept]:
    if isinstance(concepts, ConceptLibrary):
        if category is not None:
            raise TypeError("from_text: category is for a mapping of names; a library's concepts have theirs.")
        return [TextConcept(c.name, c.category, c.words, _wording(c.name, c.category)) for c in concepts.values()]
    if not isinstance(concepts, Mapping) or not all(isinstance(text, str) for text in concepts.values()):
        raise TypeError(
            "from_text: expected a concept library, or a mapping from names to what sentences say, such as "
            f"{{'cat': 'a cat'}}; got {type(concepts).__name__}."
        )
    if isinstance(category, Mapping):
        missing = [name for name in concepts if name not in category]
        if missing:
            raise ValueError(f"from_text: category lacks {missing[0]!r}; it has {', '.join(category)}.")
        kinds = dict(category)
    else:
        kinds = dict.fromkeys(concepts, category or "entity")
    return [TextConcept(name, category_name(kinds[name]), (name,), text) for name, text in concepts.items()]


def _wording(name: str, category: str) -> str:
    """Words of a concept in a sentence: a thing with its article, everything else by its name."""
    if name in NOUNS:
        return phrase(name)
    return with_article(name) if category == "entity" else name


def _bare(name: str) -> str:
    """A concept as it follows "no": a noun without its article."""
    if name not in NOUNS:
        return name
    text = phrase(name)
    return text.split(" ", 1)[1] if text.startswith(("a ", "an ", "the ")) else text


def _concept(entry: TextConcept, members: Sequence[TextConcept], templates: Sequence[str] | None) -> Concept:
    texts = TEMPLATES.get(entry.category, OTHERS) if templates is None else tuple(templates)
    unfit = next((text for text in texts if "{}" not in text), None)
    if unfit is not None or not texts:
        raise ValueError(f"from_text: expected templates with {{}} in the place of the concept; got {unfit!r}.")
    others = [other for other in members if other is not entry]
    sides: tuple[list[Picture], list[Picture]] = ([], [])
    for number, text in enumerate(texts):
        other = others[number % len(others)]
        for side, shown in zip(sides, (entry, other), strict=True):
            sentence = Sentence(text.format(shown.phrase))
            side.append(Picture(sentence, labels=frozenset({shown.name}), pair=number))
    return Concept(entry.name, entry.category, entry.words, *sides, paired=True)
