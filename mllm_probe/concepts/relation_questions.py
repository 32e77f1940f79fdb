"""Questions for a relation that an image shows, and for what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mllm_probe.concepts.concept import Picture
from mllm_probe.concepts.drawn import Drawing
from mllm_probe.scenes import Scene
from mllm_probe.scenes.language import OPPOSITES, PHRASES, WORDINGS

RECOGNITION, READING, PROBLEM = "recognition", "reading", "problem"
QUESTIONS = (RECOGNITION, READING, PROBLEM)
"""What the relation is, the same relation asked for in other words, and something that has to be worked out from it."""


@dataclass(frozen=True)
class RelationQuestions:
    """Questions for a relation in an image, and for what follows from it.

    Parameters
    ----------
    ask : callable
        Takes an image (:class:`mllm_probe.concepts.Picture`) and returns the three prompts by name
        (``"recognition"``, ``"reading"``, ``"problem"``), or None for an image that does not pose the problem.
    answers : mapping of str to (mapping of str to tuple of str)
        For each of the three, by relation: words of the right answer.
    state : callable
        Takes an image and a relation, and returns a sentence that states the relation in words.
    step : callable
        Takes an image and a relation, and returns a sentence that states what follows from it.
    shown : callable
        Takes an image and returns the relation that it truly shows.
    """

    ask: Callable[[Picture], Mapping[str, str] | None]
    answers: Mapping[str, Mapping[str, tuple[str, ...]]]
    state: Callable[[Picture, str], str]
    step: Callable[[Picture, str], str]
    shown: Callable[[Picture], str]

    @property
    def relations(self) -> list[str]:
        """Relations that the questions are about."""
        return list(self.answers[PROBLEM])


def drawn_relations() -> RelationQuestions:
    """Questions about two things in a drawn scene: where the one is, when the relation was drawn from the other.

    The relation is that of the scene's subject to its reference ("cat left of house"). Recognition asks which relation
    is shown, reading asks where the subject is, and the problem asks where the reference is: the answer is the opposite
    relation, which has to be worked out.

    Returns
    -------
    RelationQuestions
        For images of :func:`mllm_probe.concepts.scenes` with the concepts left, right, above and below between two
        things; other images do not pose the problem.
    """
    same = {relation: (relation,) for relation in OPPOSITES}
    turned = {relation: (opposite,) for relation, opposite in OPPOSITES.items()}
    return RelationQuestions(
        ask=_asked,
        answers={RECOGNITION: same, READING: same, PROBLEM: turned},
        state=lambda image, relation: _sentence(scene_of(image), relation),
        step=lambda image, relation: _sentence(scene_of(image), OPPOSITES[relation], turned=True),
        shown=lambda image: str(scene_of(image).placed_relation),
    )


def scene_of(picture: Picture) -> Scene:
    """Return the scene of a drawn image.

    Raises ValueError if it is no drawing of a scene.
    """
    source = picture.source
    if isinstance(source, Drawing) and isinstance(source.scene, Scene):
        return source.scene
    raise ValueError(
        "questions about relations are known for images of mp.concepts.scenes only; for others give questions=, a "
        "mllm_probe.studies.RelationQuestions."
    )


def _asked(image: Picture) -> dict[str, str] | None:
    scene = scene_of(image)
    if scene.placed_relation not in OPPOSITES or len(scene.entities) < 2:
        return None
    return {
        RECOGNITION: WORDINGS["relation"][0],
        READING: f"Where is the {scene.subject}?",
        PROBLEM: f"Where is the {scene.reference}?",
    }


def _sentence(scene: Scene, relation: str, *, turned: bool = False) -> str:
    things = (scene.reference, scene.subject) if turned else (scene.subject, scene.reference)
    return f"The {things[0]} is {PHRASES[relation]} the {things[1]}."
