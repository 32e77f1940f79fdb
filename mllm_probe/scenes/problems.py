"""Questions that need a procedure, each with the recognition question of the same picture."""

from dataclasses import dataclass

import numpy as np

from mllm_probe.scenes.scene import Scene

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
