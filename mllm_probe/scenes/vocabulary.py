"""The words of the drawn world: which concepts exist, their category, and every form that counts as naming them."""

from dataclasses import dataclass

CATEGORIES = ("entity", "visual_style", "emotion", "abstract", "relation")

FIGURES = ("cat", "fish", "bird", "star", "heart", "key", "flower", "rocket")
GROUNDS = ("tree", "house", "car", "cup", "boat", "umbrella", "mushroom", "moon")
ENTITIES = tuple(sorted(FIGURES + GROUNDS))
STYLES = ("sketch", "pixelated", "dotted", "hatched", "blueprint", "neon", "silhouette", "cartoon")
EMOTIONS = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")
ABSTRACT = ("symmetry", "order", "chaos", "crowding", "loneliness", "balance", "rhythm", "emphasis")
LINE_RELATIONS = ("parallel", "crossing")
PLACED_RELATIONS = ("left", "right", "above", "below", "inside", "larger")
RELATIONS = PLACED_RELATIONS + LINE_RELATIONS

PLAIN = "plain"
"""The answer to the style question when the picture has no style."""
NEUTRAL = "neutral"
"""The answer to the emotion question when the face shows none."""
NONE = "none"
"""The answer when the slot that was asked for is empty."""

ADJECTIVES = {
    "amusement": "amused",
    "awe": "awed",
    "contentment": "content",
    "excitement": "excited",
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "sadness": "sad",
}

_FORMS = {
    **{name: (name, name + "s") for name in ENTITIES},
    "cat": ("cat", "cats", "kitten"),
    "fish": ("fish", "fishes"),
    "cup": ("cup", "cups", "mug"),
    "sketch": ("sketch", "sketched", "sketchy"),
    "pixelated": ("pixelated", "pixels"),
    "dotted": ("dotted", "dots"),
    "hatched": ("hatched", "hatching"),
    "blueprint": ("blueprint", "blueprints"),
    "silhouette": ("silhouette", "silhouettes"),
    "cartoon": ("cartoon", "cartoons"),
    **{name: (name, adjective) for name, adjective in ADJECTIVES.items()},
    "symmetry": ("symmetry", "symmetric", "symmetrical"),
    "order": ("order", "ordered", "orderly"),
    "chaos": ("chaos", "chaotic"),
    "crowding": ("crowding", "crowded"),
    "loneliness": ("loneliness", "lonely"),
    "balance": ("balance", "balanced"),
    "rhythm": ("rhythm", "rhythmic"),
    "emphasis": ("emphasis", "emphasised", "emphasized"),
    "crossing": ("crossing", "crossed"),
    "larger": ("larger", "bigger"),
}


@dataclass(frozen=True)
class SceneConcept:
    """One concept of the drawn world.

    `name`: the word with which the bundled models name it. `category`: one of `CATEGORIES`. `words`: every form that
    counts as naming it, the name first.
    """

    name: str
    category: str
    words: tuple[str, ...]


def _concepts() -> dict[str, SceneConcept]:
    names_of = dict(zip(CATEGORIES, (ENTITIES, STYLES, EMOTIONS, ABSTRACT, RELATIONS), strict=True))
    return {
        name: SceneConcept(name, category, _FORMS.get(name, (name,)))
        for category, names in names_of.items()
        for name in names
    }


CONCEPTS: dict[str, SceneConcept] = _concepts()
"""All 48 concepts by name."""


def names(category: str) -> tuple[str, ...]:
    """Return the concept names of one category, in a fixed order."""
    return tuple(concept.name for concept in CONCEPTS.values() if concept.category == category)
