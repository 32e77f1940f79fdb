"""Text about a scene: captions, questions and answers in plain English, and problems that need a procedure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mllm_probe.scenes.sampling import choose
from mllm_probe.scenes.scene import (
    ABSTRACT,
    ADJECTIVES,
    CONCEPTS,
    EMOTIONS,
    ENTITIES,
    LINE_RELATIONS,
    NEUTRAL,
    NONE,
    PLACED_RELATIONS,
    PLAIN,
    STYLES,
    Scene,
    true_concepts,
    visible_entities,
)

PROBLEMS = ("missing item", "next in a row", "two steps in a row", "larger after two steps")
"""Names of the problems: the second is the recognition question that goes with the rows."""


@dataclass(frozen=True)
class Question:
    """A question, its answer, and what kind it is."""

    kind: str
    text: str
    answer: str


def missing_item(scene: Scene) -> str:
    """Return the kind of thing that the question mark of a pattern hides."""
    return scene.entities[scene.given_pattern.missing % len(scene.entities)].kind


def row_questions(scene: Scene, g: np.random.Generator) -> list[Question]:
    """Return one question of each kind about a row of three things.

    `scene`: has a row. `g`: picks ends and directions. Returns one step, two steps, and which is larger after two
    steps.
    """
    kinds = [entity.kind for entity in scene.entities]
    large = list(scene.given_row.large)
    forward, backward = ("right of", "left of") if scene.given_row.horizontal else ("below", "above")
    step = int(g.integers(2))
    near, where = (kinds[step], forward) if g.random() < 0.5 else (kinds[step + 1], backward)
    neighbour = kinds[step + 1] if where == forward else kinds[step]
    start, way, end = (0, forward, 2) if g.random() < 0.5 else (2, backward, 0)
    larger = kinds[start] if large[start] else kinds[end]
    return [
        Question(PROBLEMS[1], f"what is {where} the {near}?", neighbour),
        Question(PROBLEMS[2], f"what is two steps {way} the {kinds[start]}?", kinds[end]),
        Question(PROBLEMS[3], f"which is larger, the {kinds[start]} or the thing two steps {way} it?", larger),
    ]


DEFAULT_PROMPT = "What do you see?"
DEFAULT_ANSWER_PREFIX = ""
CAPTION_PROMPT = "Describe the picture."

WORDINGS: dict[str, tuple[str, ...]] = {
    "list": (
        DEFAULT_PROMPT,
        "What is in the picture?",
        "List what you see.",
        "Name everything you see.",
        "What does the picture show?",
    ),
    "caption": (CAPTION_PROMPT, "Describe this image.", "What is this a picture of?", "Write a caption."),
    "style": ("What is the style?", "How is it drawn?", "What style is this picture?"),
    "emotion": (
        "What is the emotion?",
        "What does the face feel?",
        "What feeling is shown?",
        "How does the face look?",
    ),
    "arrangement": ("What is the arrangement?", "How are the things arranged?", "How is the picture arranged?"),
    "relation": ("What is the relation?", "How are the two things related?", "Which relation is shown?"),
    "things": ("Which things are there?", "Name the things.", "What things do you see?"),
    "missing item": ("What is missing?", "Which thing is missing?", "What belongs at the question mark?"),
}
"""Wordings of the questions that every picture of their kind answers, the commonest first."""

_EXISTS = ("Is there {x}?", "Do you see {x}?", "Does the picture show {x}?", "Can you see {x}?")
_EXISTS_EMOTION = ("Does the face show {x}?", "Is the face {adjective}?", "Is there {x}?")
_EXISTS_STYLE = ("Is the picture {x}?", "Is the style {x}?", "Is it {x}?")
_EXISTS_LINES = ("Are the lines {x}?", "Are there {x} lines?")
PHRASES = {
    "left": "left of",
    "right": "right of",
    "above": "above",
    "below": "below",
    "inside": "inside",
    "larger": "larger than",
}
_SOUND_LIKE_YOU, _SILENT_H = ("uni", "ufo", "euro", "use"), ("hour", "honest", "heir")
OPPOSITES = {"left": "right", "right": "left", "above": "below", "below": "above"}

suggestions: list[str] = [
    DEFAULT_PROMPT,
    CAPTION_PROMPT,
    "What is the style?",
    "What is the emotion?",
    "What is the arrangement?",
    "What is the relation?",
    "Which things are there?",
    "Is there a cat?",
    "Does the face show anger?",
    "Where is the star?",
    "What is missing?",
    "What is two steps right of the cat?",
]
"""Questions that the bundled models answer."""


def with_article(noun: str) -> str:
    """Return a noun with "a" or "an", by its sound: "an octopus", "a unicorn", "an hourglass"."""
    vowel = noun[0].lower() in "aeiou" and not noun.lower().startswith(_SOUND_LIKE_YOU)
    return f"{'an' if vowel or noun.lower().startswith(_SILENT_H) else 'a'} {noun}"


def _list(words: Sequence[str]) -> str:
    return ", ".join(words) if words else NONE


def caption(scene: Scene) -> str:
    """Return the scene's caption, in lower case and without a full stop.

    Returns: for example "a sketch picture of a cat left of a house".
    """
    things = [with_article(kind) for kind in sorted(visible_entities(scene))]
    if scene.placed_relation and scene.subject and scene.reference:
        things = [f"{with_article(scene.subject)} {PHRASES[scene.placed_relation]} {with_article(scene.reference)}"]
    if scene.face:
        feeling = scene.face.emotion
        things.insert(0, f"a face of {feeling}" if feeling else "a face")
    text = with_article(f"{scene.style} picture") if scene.style else "a picture"
    text += f" of {' and '.join(things) if things else 'nothing'}"
    if scene.line_relation:
        text += f" with {scene.line_relation} lines"
    if scene.arrangement:
        text += f" showing {scene.arrangement}"
    return text + (" in a pattern" if scene.pattern else " in a row" if scene.row else "")


def listing(scene: Scene, g: np.random.Generator) -> str:
    """Return all true concepts of a scene as a comma list in random order."""
    words = true_concepts(scene)
    return _list([words[i] for i in g.permutation(len(words))])


def parse_list(text: str) -> list[str]:
    """Return the concepts that an answer lists, in order, each once.

    `text`: for example "cat, sketch, left". Returns: names from `CONCEPTS`; other words are left out.
    """
    words = [word.strip(" .").lower() for word in text.split(",")]
    return list(dict.fromkeys(word for word in words if word in CONCEPTS))


def _wording(g: np.random.Generator, kind: str) -> str:
    wordings = WORDINGS[kind]
    return wordings[0] if g.random() < 0.4 else choose(g, wordings)


def ask(scene: Scene, kind: str, g: np.random.Generator) -> Question:
    """Return one of the questions of `WORDINGS` with its answer."""
    answers = {
        "list": lambda: listing(scene, g),
        "caption": lambda: caption(scene),
        "style": lambda: scene.style or PLAIN,
        "emotion": lambda: (scene.face.emotion or NEUTRAL) if scene.face else NONE,
        "arrangement": lambda: scene.arrangement or NONE,
        "relation": lambda: scene.relation or NONE,
        "things": lambda: _list([visible_entities(scene)[i] for i in g.permutation(len(visible_entities(scene)))]),
        "missing item": lambda: missing_item(scene),
    }
    return Question(kind, _wording(g, kind), answers[kind]())


def _pool(scene: Scene, g: np.random.Generator) -> tuple[str, ...]:
    """Concepts of one kind to ask about: kinds of which the picture shows something are asked about more often."""
    pools = [ENTITIES, ENTITIES, STYLES, ABSTRACT]
    pools += [EMOTIONS] * (3 if scene.face else 1)
    pools += [LINE_RELATIONS] * 3 if scene.line_relation else []
    return choose(g, pools)


def existence(scene: Scene, g: np.random.Generator) -> Question:
    """Return a yes-or-no question about one concept, answered yes half of the time where that is possible."""
    shown, pool = true_concepts(scene), _pool(scene, g)
    true, false = [x for x in pool if x in shown], [x for x in pool if x not in shown]
    concept = choose(g, true) if true and g.random() < 0.5 else choose(g, false or true)
    wordings = {"emotion": _EXISTS_EMOTION, "visual_style": _EXISTS_STYLE, "relation": _EXISTS_LINES}
    category = CONCEPTS[concept].category
    text = choose(g, wordings.get(category, _EXISTS))
    noun = with_article(concept) if category == "entity" else concept
    text = text.format(x=noun, adjective=ADJECTIVES.get(concept, ""))
    return Question("existence", text, "yes" if concept in shown else "no")


def relation_questions(scene: Scene, g: np.random.Generator) -> list[Question]:
    """Return two questions about a relation between two things: where one is, and whether it is at a given place."""
    relation, subject, reference = scene.placed_relation, scene.subject, scene.reference
    if relation is None:
        raise ValueError("this scene has no relation between two things: draw one with sample(rng, kind='relation')")
    if relation in OPPOSITES and reference != "box" and g.random() < 0.5:
        relation, subject, reference = OPPOSITES[relation], reference, subject
    where = Question("where", f"Where is the {subject}?", f"{PHRASES[relation]} the {reference}")
    queried = relation
    if g.random() < 0.5:
        others = [
            r for r in PLACED_RELATIONS if r != relation and r != "larger" or relation == "inside" and r != "inside"
        ]
        queried = OPPOSITES[relation] if relation in OPPOSITES and g.random() < 0.6 else choose(g, others)
    text = f"Is the {subject} {PHRASES[queried]} the {reference}?"
    return [where, Question("is it there", text, "yes" if queried == relation else "no")]


def questions(scene: Scene, g: np.random.Generator, most: int) -> list[Question]:
    """Return questions and answers about a scene, in random order.

    `most`: how many at most. The caption, the list and whatever the scene is about are always asked.
    """
    always = [ask(scene, "list", g), ask(scene, "caption", g)]
    about = [existence(scene, g), existence(scene, g)]
    rest = ["style", "things"]
    for kind, fact in (("emotion", scene.face), ("arrangement", scene.arrangement), ("relation", scene.relation)):
        if fact:
            about.insert(0, ask(scene, kind, g))
        else:
            rest.append(kind)
    if scene.placed_relation:
        about[:0] = relation_questions(scene, g)
    if scene.pattern:
        about.insert(0, ask(scene, PROBLEMS[0], g))
    if scene.row:
        about[:0] = row_questions(scene, g)
    about += [ask(scene, rest[i], g) for i in g.permutation(len(rest))]
    unique = list({question.text: question for question in always + about}.values())[:most]
    return [unique[i] for i in g.permutation(len(unique))]


def known_words() -> list[str]:
    """Return every word that questions and answers use, sorted."""
    texts = [text for texts in WORDINGS.values() for text in texts] + suggestions
    texts += [*_EXISTS, *_EXISTS_EMOTION, *_EXISTS_STYLE, *_EXISTS_LINES, *PHRASES.values(), *ADJECTIVES.values()]
    texts += [
        "where is the",
        "yes no none nothing plain neutral box a an face of and with lines showing in pattern row",
    ]
    texts += [
        "what is two steps right of left of above below the",
        "which is larger or the thing it picture question mark",
    ]
    words = set(CONCEPTS)
    for text in texts:
        plain = text.replace("{x}", " ").replace("{adjective}", " ")
        words.update("".join(c if c.isalpha() else " " for c in plain.lower()).split())
    return sorted(words)
