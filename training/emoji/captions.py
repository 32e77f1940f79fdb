"""Text about a picture of the emoji world: captions, questions and answers in plain English sentences.

Each kind of question is one function from a scene and a generator to a `Question`; `questions` mixes them. Open
questions have no fixed answer: `open_question` gives the question and what to tell somebody who cannot see the picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mllm_probe.emoji.emoji_scene import EmojiScene, Item
from mllm_probe.emoji.lexicon import EMOTIONS, ENTITIES, FEELINGS, NOUNS, RELATIONS, STYLES, phrase
from mllm_probe.scenes.language import OPPOSITES, Question, with_article
from mllm_probe.scenes.sampling import choose
from mllm_probe.scenes.scene import NEUTRAL

SEE_PROMPT = "What do you see?"
DEFAULT_PROMPT, DEFAULT_ANSWER_PREFIX = "Describe the picture.", "A"
"""A question whose answer can name any concept, and how that answer begins: things, styles and feelings come next."""

Templates = tuple[str, ...]

SEE: Templates = (
    SEE_PROMPT,
    "What is in the picture?",
    "What does the picture show?",
    "What is this?",
    "What is it?",
    "Can you tell me what you see here?",
    "Look at the picture. What do you see?",
    "Please name what is in this image.",
)
SEEN: Templates = ("I see {x}.", "The picture shows {x}.", "This is a picture of {x}.")
SHORT: Templates = ("Name it.", "Answer briefly: what is it?", "In a few words, what is shown?")
DESCRIBE: Templates = (
    DEFAULT_PROMPT,
    "Describe this image.",
    "Describe what you see.",
    "Write a caption.",
    "Give me a caption for this image.",
    "Please describe this picture in one sentence.",
)
STYLE: Templates = (
    "What is the style?",
    "In what style is it drawn?",
    "What style is this picture?",
    "How is it drawn?",
    "Which visual style does this image have?",
)
STYLE_ANSWERS: Templates = (
    "The style is {style}.",
    "It is drawn in {a_style} style.",
    "The picture has {a_style} style.",
)
EMOTION: Templates = (
    "What is the emotion?",
    "How does the face feel?",
    "What feeling is shown?",
    "How does the face look?",
    "What mood is the face in?",
    "Which emotion does the face show?",
)
EMOTION_ANSWERS: Templates = ("The face is {x}.", "The face looks {x}.", "It is {a_x} face.")
NO_FACE: Templates = ("There is no face in the picture.", "I see no face.")
ARRANGEMENT: Templates = (
    "What is the arrangement?",
    "How are the things arranged?",
    "What does the arrangement express?",
    "What is the picture about as a composition?",
)
ARRANGEMENT_ANSWERS: Templates = (
    "The arrangement shows {x}.",
    "The picture shows {x}.",
    "The arrangement expresses {x}.",
)
NO_ARRANGEMENT: Templates = ("There is no special arrangement.", "Nothing is arranged in a special way.")
RELATION: Templates = (
    "What is the relation?",
    "How are the two things related?",
    "Which relation is shown?",
    "How do the two things stand to each other?",
)
NO_RELATION: Templates = ("There is no special relation.", "No relation is shown.")
WHERE: Templates = ("Where {is_it}?", "Where exactly {is_it}?")
HOW_LARGE: Templates = ("How large {is_it}?", "What about the size of {the}?")
BACKGROUND: Templates = (
    "What color is the background?",
    "Which color is behind it?",
    "Tell me the color of the background.",
)
BACKGROUND_ANSWERS: Templates = ("The background is {x}.", "It is {x}.")
NUMBER: Templates = ("How many things are in the picture?", "Is it one thing or two?")
KIND: Templates = ("What kind of thing is it?", "What sort of thing is this?")
THERE: Templates = ("{is_there} {x}?", "Do you see {x}?", "Does the picture show {x}?", "Can you see {x}?")
IS_STYLE: Templates = ("Is the style {x}?", "Is it drawn in {a_x} style?")
FEELS: Templates = ("Is the face {x}?", "Does the face look {x}?")

GROUPS = {
    "animal": "an animal",
    "plant": "a plant",
    "food": "something to eat or drink",
    "vehicle": "a vehicle",
    "place": "a place",
    "clothing": "something to wear",
    "body": "a part of the body",
}
"""Groups of nouns that a question can ask for, as they are said."""
PHRASES = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
    "inside": "inside",
    "larger": "larger than",
}
ARRANGED = {
    "symmetry": "{many} in symmetry",
    "order": "{many} in perfect order",
    "chaos": "{many} in chaos",
    "crowding": "a crowding of {many}",
    "loneliness": "{lonely} in a corner",
    "balance": "{each} in balance on a beam",
    "rhythm": "{many} in a rhythm of large and small",
    "emphasis": "{large} among small {first} for emphasis",
}
OPEN_ONE: Templates = (
    "Tell me a short story about it.",
    "Write a short poem about it.",
    "What do you know about it?",
    "What comes to your mind when you see it?",
    "Make up a title for a book about it.",
    "Say something funny about it.",
    "Explain to a child what it is.",
    "Why might somebody take a picture of it?",
    "Write a postcard that mentions it.",
    "What could happen next?",
)
OPEN_TWO: Templates = (
    "Tell me a short story about them.",
    "Write a short poem about them.",
    "What do they have in common?",
    "How do they differ?",
    "What could happen next?",
    "Write a postcard that mentions both of them.",
    "Make up a title for a book about them.",
)
OPEN_FACE: Templates = (
    "Why might this person feel like that?",
    "What would you say to this person?",
    "What may have happened to this person?",
    "Write a short diary entry for this person.",
    "Tell me a short story about this person.",
    "What could happen next?",
)
_FIRST_SHARE = 0.35
_CASUAL = 0.5


@dataclass(frozen=True)
class OpenQuestion:
    """A question without a fixed answer, and the sentence that tells the picture to somebody who cannot see it."""

    text: str
    premise: str


def _wording(g: np.random.Generator, templates: Templates) -> str:
    """The first one often, so that the default prompt and its answer are learned best."""
    return templates[0] if g.random() < _FIRST_SHARE else choose(g, templates)


def sentence(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


def qualified(adjective: str, name: str) -> str:
    """Return a noun or a feeling with an adjective: "a lonely cat", "lonely bread", "a lonely sad face"."""
    if name in FEELINGS:
        return with_article(f"{adjective} {name} face")
    text = f"{adjective} {name}"
    return text if NOUNS[name].use in ("mass", "plural") else with_article(text)


def definite(name: str) -> str:
    """Return a noun or a feeling as English says it again: "the octopus", "the bread", "the sad face"."""
    if name in FEELINGS:
        return f"the {name} face"
    return name if NOUNS[name].use == "name" else f"the {name}"


def plural(name: str) -> str:
    """Return many of a thing: "octopuses", "bread", "sad faces"; of what there is only one, copies."""
    if name in FEELINGS:
        return f"{name} faces"
    noun = NOUNS[name]
    return f"copies of {phrase(name)}" if noun.use in ("unique", "name") else noun.plural


def verb(name: str) -> str:
    """Return "is", or "are" for nouns in the plural."""
    return "are" if name in NOUNS and NOUNS[name].use == "plural" else "is"


def joined(parts: Sequence[str]) -> str:
    """Return phrases as an English list: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _names(scene: EmojiScene) -> list[str]:
    return [item.name for item in scene.items]


def _face(scene: EmojiScene) -> Item | None:
    return next((item for item in scene.items if item.is_face), None)


def shown(scene: EmojiScene) -> str:
    """Return what the picture shows as a phrase, without style and background.

    Returns: for example "a cat to the left of a house" or "cats and doughnuts in symmetry".
    """
    names = _names(scene)
    if scene.relation:
        return f"{phrase(names[0])} {PHRASES[scene.relation]} {phrase(names[1])}"
    if scene.arrangement:
        each = [phrase(name) for name in names] if len(names) > 1 else [f"two {plural(names[0])}"]
        if len(names) == 1 and names[0] in NOUNS and NOUNS[names[0]].use != "count":
            each = [f"{phrase(names[0])} twice"]
        return ARRANGED[scene.arrangement].format(
            many=joined([plural(name) for name in names]),
            lonely=qualified("lonely", names[0]),
            each=joined(each),
            first=plural(names[0]),
            large=qualified("large", names[-1]),
        )
    return joined([phrase(name) for name in names]) if names else "nothing"


def see(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for what is seen, answered by naming it."""
    return Question("see", _wording(g, SEE), _wording(g, SEEN).format(x=shown(scene)))


def short(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for what is seen, answered by the bare phrase."""
    return Question("short", choose(g, SHORT), sentence(f"{shown(scene)}."))


def describe(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the request for a caption, answered with style and, half of the time, the background."""
    text = shown(scene)
    style = with_article(f"{scene.style} style")
    ground = f" on {with_article(scene.ground)} background" if g.random() < _CASUAL else ""
    forms = (
        f"{text}{ground}, drawn in {style}.",
        f"{with_article(f'{scene.style} picture')} of {text}{ground}.",
        f"the picture shows {text}{ground} in {style}.",
    )
    return Question("describe", _wording(g, DESCRIBE), sentence(choose(g, forms)))


def style(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for the visual style."""
    answer = _wording(g, STYLE_ANSWERS).format(style=scene.style, a_style=with_article(scene.style))
    return Question("style", _wording(g, STYLE), answer)


def emotion(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for the emotion of the face; the answer may be that there is no face."""
    face = _face(scene)
    if face is None:
        return Question("emotion", _wording(g, EMOTION), choose(g, NO_FACE))
    answer = _wording(g, EMOTION_ANSWERS).format(x=face.name, a_x=with_article(face.name))
    return Question("emotion", _wording(g, EMOTION), answer)


def arrangement(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for the arrangement; the answer may be that there is none."""
    answer = choose(g, NO_ARRANGEMENT)
    if scene.arrangement:
        answer = _wording(g, ARRANGEMENT_ANSWERS).format(x=scene.arrangement)
    return Question("arrangement", _wording(g, ARRANGEMENT), answer)


def stands(scene: EmojiScene) -> str:
    """Return the relation as a sentence: "The cat is to the left of the house."."""
    subject, reference = _names(scene)
    if scene.relation is None:
        raise ValueError("this scene has no relation: draw one with sample(rng, kind='relation')")
    return sentence(f"{definite(subject)} {verb(subject)} {PHRASES[scene.relation]} {definite(reference)}.")


def relation(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for the relation; the answer may be that there is none."""
    return Question("relation", _wording(g, RELATION), stands(scene) if scene.relation else choose(g, NO_RELATION))


def where(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question where one of two related things is, or how large it is; half of the time of the other one."""
    text = stands(scene)
    subject, reference = _names(scene)
    if scene.relation in OPPOSITES and g.random() < 0.5:
        subject, reference = reference, subject
        place = PHRASES[OPPOSITES[scene.relation]]
        text = sentence(f"{definite(subject)} {verb(subject)} {place} {definite(reference)}.")
    templates = HOW_LARGE if scene.relation == "larger" else WHERE
    asked = choose(g, templates).format(is_it=f"{verb(subject)} {definite(subject)}", the=definite(subject))
    return Question("where", asked, text)


def is_there_in_relation(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the yes-or-no question whether a relation holds, answered with what is true."""
    subject, reference = _names(scene)
    true = stands(scene)
    asked = scene.relation
    if g.random() < 0.5:
        opposite = OPPOSITES.get(scene.relation or "")
        # What is inside a thing is no place beside it, and a large thing may stand anywhere.
        others = [one for one in RELATIONS if one != scene.relation and one != "larger"]
        others = ["inside"] if scene.relation == "larger" else others
        asked = opposite if opposite and g.random() < 0.6 else choose(g, others)
    place = PHRASES[asked or ""]
    text = sentence(f"{verb(subject)} {definite(subject)} {place} {definite(reference)}?")
    answer = f"Yes, {true[0].lower() if true.startswith('The') else true[0]}{true[1:]}"
    if asked != scene.relation:
        answer = f"No. {true}"
    return Question("is there in relation", text, answer)


def background(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for the colour of the background."""
    return Question("background", choose(g, BACKGROUND), choose(g, BACKGROUND_ANSWERS).format(x=scene.ground))


def number(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question how many things there are; for a scene without arrangement."""
    if scene.arrangement:
        raise ValueError("an arrangement repeats its things: ask for its arrangement instead")
    count = ("nothing", "one thing", "two things")[len(scene.items)]
    listed = f": {joined([phrase(name) for name in _names(scene)])}" if scene.items else ""
    are = "are" if len(scene.items) == 2 else "is"
    return Question("number", choose(g, NUMBER), f"There {are} {count}{listed}.")


def kind(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the question for the group of the only thing; for a noun whose group is in `GROUPS`."""
    name = scene.items[0].name
    if not asks_kind(scene):
        raise ValueError(f"{name!r} is of no group that can be asked for: only {', '.join(GROUPS)}")
    it = "They are" if verb(name) == "are" else "It is"
    answer = f"{it} {GROUPS[NOUNS[name].group]}: {phrase(name)}."
    return Question("kind", choose(g, KIND), answer)


def asks_kind(scene: EmojiScene) -> bool:
    """Return whether `kind` can ask about a scene."""
    name = scene.items[0].name
    return len(scene.items) == 1 and name in NOUNS and NOUNS[name].group in GROUPS


def there(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the yes-or-no question for a noun, answered yes half of the time."""
    true = [name for name in _names(scene) if name in NOUNS]
    asks_true = bool(true) and g.random() < 0.5
    name = choose(g, true) if asks_true else choose(g, [noun for noun in ENTITIES if noun not in true])
    text = choose(g, THERE).format(is_there=f"{verb(name)} there", x=phrase(name))
    if asks_true:
        return Question("there", sentence(text), f"Yes, there {verb(name)} {phrase(name)}.")
    bare = phrase(name) if NOUNS[name].use in ("unique", "name") else f"no {name}"
    no = f"I do not see {bare}" if bare == phrase(name) else f"there {verb(name)} {bare}"
    return Question("there", sentence(text), f"No, {no}. I see {shown(scene)}.")


def _yes_or_no(kind_name: str, text: str, asked: str, true: str, what: str) -> Question:
    answer = f"Yes, {what} is {true}." if asked == true else f"No, {what} is {true}."
    return Question(kind_name, text, answer)


def is_style(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the yes-or-no question for a style, answered yes half of the time."""
    asked = scene.style if g.random() < 0.5 else choose(g, [one for one in STYLES if one != scene.style])
    text = choose(g, IS_STYLE).format(x=asked, a_x=with_article(asked))
    return _yes_or_no("is style", text, asked, scene.style, "the style")


def feels(scene: EmojiScene, g: np.random.Generator) -> Question:
    """Return the yes-or-no question for an emotion of the face, answered yes half of the time."""
    face = _face(scene)
    if face is None:
        raise ValueError("this scene has no face: ask emotion(scene, rng), which can say so")
    true = face.name
    asked = true if g.random() < 0.5 else choose(g, [one for one in (*EMOTIONS, NEUTRAL) if one != true])
    return _yes_or_no("feels", choose(g, FEELS).format(x=asked), asked, true, "the face")


def premise(scene: EmojiScene) -> str:
    """Return the sentence that tells the picture to somebody who cannot see it: "I see a cat and a house."."""
    return f"I see {shown(scene)}."


def open_question(scene: EmojiScene, g: np.random.Generator) -> OpenQuestion:
    """Return a question without a fixed answer.

    A language model that is told the premise and asked the question answers as the one that sees the picture should.
    """
    one = len(scene.items) == 1
    templates = OPEN_ONE if one else OPEN_TWO
    if one and scene.items[0].is_face:
        templates = OPEN_FACE
    return OpenQuestion(choose(g, templates), premise(scene))


Ask = Callable[[EmojiScene, np.random.Generator], Question]


def _about(scene: EmojiScene) -> list[Ask]:
    """Questions for what this scene has and others lack."""
    asks: list[Ask] = []
    if _face(scene) is not None:
        asks += [emotion, feels]
    if scene.arrangement:
        asks.append(arrangement)
    if scene.relation:
        asks += [relation, where, is_there_in_relation]
    if asks_kind(scene) and not scene.arrangement:
        asks.append(kind)
    return asks


def _always_askable(scene: EmojiScene) -> list[Ask]:
    absent: list[Ask] = [] if scene.arrangement else [arrangement, number]
    absent += [] if scene.relation else [relation]
    absent += [emotion] if _face(scene) is None else []
    return [style, there, short, background, is_style, *absent]


def questions(scene: EmojiScene, g: np.random.Generator, most: int) -> list[Question]:
    """Return questions and answers about a scene, in random order.

    `scene`: with one item at least. `most`: how many at most. What is seen comes first, then what the scene is about,
    then the rest at random. Returns: with different texts.
    """
    about, rest = _about(scene), _always_askable(scene)
    asks = [see, *(about[i] for i in g.permutation(len(about))), describe, *(rest[i] for i in g.permutation(len(rest)))]
    unique = list({question.text: question for question in (ask(scene, g) for ask in asks)}.values())[:most]
    return [unique[i] for i in g.permutation(len(unique))]


WORDINGS: dict[str, Templates] = {
    "see": SEE,
    "short": SHORT,
    "describe": DESCRIBE,
    "style": STYLE,
    "emotion": EMOTION,
    "arrangement": ARRANGEMENT,
    "relation": RELATION,
    "where": WHERE + HOW_LARGE,
    "background": BACKGROUND,
    "number": NUMBER,
    "kind": KIND,
    "there": THERE,
    "is style": IS_STYLE,
    "feels": FEELS,
    "open": tuple(dict.fromkeys(OPEN_ONE + OPEN_TWO + OPEN_FACE)),
}
"""Every wording that training asks in, by kind of question."""
