"""Code that reproduces the view of a lab: model, library, vectors, grid, and the selected steering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from mllm_probe.concepts.bundled_worlds import LibraryCall
from mllm_probe.widgets.base.recipe import python
from mllm_probe.widgets.panel.setting import Setting
from mllm_probe.widgets.panel.steering_panel import SteeringPanel

Settings: TypeAlias = dict[str, Any]
"""Keyword arguments by name."""
_MOST = 24
"""Number of library images that a panel offers."""


@dataclass(frozen=True)
class LabRecipe:
    """Arguments with which `explore` built a lab.

    `model`, `library`: lines that make them, or a comment that says which are meant; ``model`` then keeps its name.
    `images`: how many images the panel was opened with from the library; 0 where they were given.
    `vectors`, `grid`: keyword arguments of `concept_vectors` and `sweep`.
    `seed`: of the split.
    `neutral`: how many images of the held-out half that are steered for the grid lack each concept, at least.
    """

    model: str
    library: str
    images: int
    vectors: Settings
    grid: Settings
    prompt: str | None
    seed: int
    neutral: int


def library_line(made: LibraryCall) -> str:
    """Line that makes the library that a model comes with."""
    return f"library = mp.concepts.{made.function}({_keywords(made.arguments)})"


def python_of(panel: SteeringPanel, recipe: LabRecipe | None) -> str:
    """Python that computes vectors and grid with the lab's settings and gives the answers on the screen.

    `recipe`: None for a lab whose vectors and grid were given to it: the code then begins with them.
    """
    steering = _steering(panel, recipe)
    if recipe is None:
        return steering
    lines = [recipe.model, recipe.library, f"fit, held_out = library.split(seed={recipe.seed})"]
    lines += [
        "concepts = list(held_out.values())",
        f"images = [c.negative[i] for i in range({_MOST}) for c in concepts if i < len(c.negative)][:{_MOST}]",
    ]
    if not recipe.images:
        lines.append("# images: the images that were given to explore")
    lines += [
        f"vectors = mp.concept_vectors(model, fit, {recipe.prompt!r}, {_keywords(recipe.vectors)})",
        f"neutral = mp.concepts.neutral_images(held_out, {recipe.neutral})",
        f"grid = mp.sweep(model, vectors, neutral, {recipe.prompt!r}, {_keywords(recipe.grid)})",
    ]
    if not steering:
        return "\n".join(["import mllm_probe as mp", "", *lines, ""])
    head, _, rest = steering.partition("\n\n")
    chosen = [line for line in rest.splitlines() if not line.startswith("# model:")]
    return "\n".join([head, "", *lines, "", "# the selected steering", *chosen, ""])


def _steering(panel: SteeringPanel, recipe: LabRecipe | None) -> str:
    """The recipe of the panel's present setting, answered or not."""
    if not panel.concept or panel.vectors is None:
        return ""
    picture = panel.chosen(panel.picture).code
    if recipe is not None and panel.picture < recipe.images:
        picture = f"image = images[{panel.picture}]"
    return python(
        Setting.of(panel),
        panel.strength_unit,
        panel.layers,
        model=panel.model.name,
        picture=picture,
        max_new_tokens=panel.max_new_tokens,
    )


def _keywords(settings: Settings) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
