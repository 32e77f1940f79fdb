"""Choices of a panel, images and concepts with names, and the code that reproduces what a widget shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import xarray as xr
from PIL import Image

from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.concepts.drawn import Drawing, LibraryCall, sampled, world_of
from mllm_probe.metrics.words import words_of
from mllm_probe.models.images import as_image, open_image
from mllm_probe.schema import CATEGORY, CONCEPT, INPUT, LAYER
from mllm_probe.typing import Picture as GivenImage
from mllm_probe.typing import Traits
from mllm_probe.widgets.panel.setting import PAINTED, Setting

Offer: TypeAlias = GivenImage | Sequence[GivenImage] | ConceptLibrary | None
"""Images to choose from: one, several, those of a library, or drawn scenes where none are given."""
SIDE = 320
_MOST = 24
_DRAWN_SEED = 10_007
_OFFERED = {"scenes": ("cat", "house", "tree", "star"), "emoji": ("cat", "octopus", "happy", "sad")}
"""Concepts of whose scenes a panel offers some where it is given no images, by world."""


@dataclass
class Choice:
    """One image to choose: how it is called, and the lines of Python that put it into the name ``image``.

    `source`: as it was given; read when it is first used. `labels`: concepts that it truly shows, where that is known.
    """

    source: GivenImage
    label: str
    code: str
    labels: frozenset[str] | None = None
    _image: Image.Image | None = field(default=None, repr=False)

    @property
    def image(self) -> Image.Image:
        """The image itself, read or drawn once, so that a moved slider does not draw it again."""
        if self._image is None:
            self._image = as_image(self.source)
        return self._image

    def described(self) -> Traits:
        """Data for the front-end: the ``label`` and a ``png`` of at most 320 pixels a side."""
        small = self.image.copy()
        small.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        small.save(buffer, format="PNG")
        return {"label": self.label, "png": buffer.getvalue()}


def images_from(images: Offer = None, model: str = "") -> list[GivenImage]:
    """List the images to choose from.

    `images`: one image, several, or a concept library (the first 24 of its images). Without it, scenes that suit the
    model. `model`: its name.
    """
    if images is None:
        world = world_of(model)
        images = LibraryCall(world, {"concepts": _OFFERED[world], "pairs": 2, "seed": _DRAWN_SEED})()
    if isinstance(images, ConceptLibrary):
        concepts = list(images.values())
        images = [c.negative[i] for i in range(_MOST) for c in concepts if i < len(c.negative)][:_MOST]
    if not isinstance(images, Sequence) or isinstance(images, str):
        images = [images]
    if not images:
        raise ValueError("the panel needs at least one image; `images` is empty.")
    return list(images)


def choices_from(images: Offer = None, model: str = "") -> list[Choice]:
    """`images_from` with names and code."""
    return [
        Choice(image, _label(image, i), _code(image, i), image.labels if isinstance(image, Picture) else None)
        for i, image in enumerate(images_from(images, model))
    ]


def drawn_choice(seed: int, model: str = "") -> Choice:
    """A random scene that suits a model of this name; the same for the same seed."""
    drawing, code = sampled(world_of(model), seed)
    return Choice(drawing(), f"drawn scene, seed {seed}", code, drawing.labels)


def uploaded_choice(content: bytes, name: str) -> Choice:
    """An image that came from the browser.

    Raises ValueError if the bytes are no readable image.
    """
    name = name.strip() or "pasted image"
    code = f"from PIL import Image\nimage = Image.open({name!r})  # the file that was given to the panel"
    return Choice(as_image(open_image(content, name)), name, code)


def _label(image: GivenImage, index: int) -> str:
    labels = image.labels if isinstance(image, Picture) else None
    about = f": {', '.join(sorted(labels))}" if labels else ""
    return f"image {index + 1}{about}"


def _code(image: GivenImage, index: int) -> str:
    source = image.source if isinstance(image, Picture) else image
    if isinstance(source, Drawing):
        return source.code
    if isinstance(source, (str, Path)):
        return f"from PIL import Image\nimage = Image.open({str(source)!r})"
    return f"image = images[{index}]  # images: those given to the panel"


def offered_by(vectors: xr.Dataset) -> Traits:
    """Traits of a panel that follow from its vectors: concepts, categories, words and layers."""
    names = [str(name) for name in vectors[CONCEPT].values]
    categories = vectors[CATEGORY].values if CATEGORY in vectors.coords else [""] * len(names)
    return {
        "concepts": names,
        "categories": [str(name) for name in categories],
        "words": words_of(vectors),
        "layers": [int(layer) for layer in vectors[LAYER].values if layer != INPUT],
    }


_FIELD = "\ue000"
"""Delimiter around a placeholder; from the private use area, so it occurs in no text."""
CONCEPT_FIELD, LAYERS, SITES, STRENGTH = (
    f"{_FIELD}{name}{_FIELD}" for name in ("concept", "layers", "sites", "strength")
)


def python(setting: Setting, unit: str, known: list[int], *, model: str, picture: str, max_new_tokens: int) -> str:
    """Code that reproduces the three answers; ``vectors`` are those of the panel."""
    parts = [
        _steering(repr(name), str(setting.layers(known)), repr(strength), unit) for name, strength in setting.concepts
    ]
    steering = parts[0] if len(parts) == 1 else f"mp.compose(\n    {parts[0]},\n    {parts[1]},\n)"
    imports = [line for line in picture.splitlines() if line.startswith(("import ", "from "))]
    rest = [line for line in picture.splitlines() if line not in imports]
    tokens = repr(setting.tokens)
    if setting.scope == PAINTED:
        imports.append("import numpy as np")
        tokens = f"np.array({[list(map(int, row)) for row in setting.patches]}, dtype=bool)"
    return "\n".join(
        [
            *sorted(set(imports), key=lambda line: (line.startswith("from"), line)),
            "import mllm_probe as mp",
            "",
            f"# model: {model}; vectors: the concept vectors that were given to the panel",
            *rest,
            f"tokens = {tokens}",
            f"steering = {steering}",
            _rows(setting.seed),
            f"out = mp.generate(model, image, {setting.prompt!r}, steering=rows, max_new_tokens={max_new_tokens})",
            "print(out)",
            "print(out.receipt)",
            "",
        ]
    )


def map_recipe(provenance: Traits, strength_unit: str) -> list[str]:
    """Python that steers with cells of a map and gives their effect, with the cells left open.

    `provenance`: provenance of the grid and the displayed metric and average: trait ``provenance`` of the heatmap.
    Returns: pieces of the code; every second one names a placeholder for the selection: ``"concept"`` and
    ``"strength"`` as literals, ``"layers"`` as coordinates with commas between them, ``"sites"`` as elements of
    ``layers=``.
    """
    name = str(provenance.get("model", "the one of the grid")).replace(_FIELD, "")
    model = f"model = mp.load({name!r})" if provenance.get("bundled") else f"# model: {' '.join(name.split())}"
    tokens = tuple(provenance["tokens"]) if provenance.get("tokens") else ...
    options = [f"operation={provenance['operation']!r}"] if provenance.get("operation", "add") != "add" else []
    options += [f"to=vectors.sel(concept={provenance['to']!r})"] if provenance.get("to") else []
    prompt = provenance.get("prompt") if isinstance(provenance.get("prompt"), str) else None
    most = provenance.get("max_new_tokens", 16)
    cell = f"effect.sel(concept={CONCEPT_FIELD}, layer=[{LAYERS}], strength={STRENGTH})"
    against = provenance.get("against", "random")
    shown = '[["difference", "low", "high"]]' if against == "random" else f".sel(control={against!r})"
    steering = _steering(CONCEPT_FIELD, f"[{SITES}]", STRENGTH, str(provenance.get("unit", strength_unit)), options)
    lines = [
        "import mllm_probe as mp",
        "",
        model,
        "# vectors, grid and image are those of this map",
        f"tokens = {'...' if tokens is ... else _text(tokens)}",
        f"steering = {steering}",
        _rows(provenance.get("seed", 0)),
        f"print(mp.generate(model, image, {_text(prompt)}, steering=rows, max_new_tokens={most}))",
        "",
        f"effect = {_effect(provenance)}",
        f"print({cell}{shown}.to_dataframe())",
        "",
    ]
    return "\n".join(lines).split(_FIELD)


def _effect(provenance: Traits) -> str:
    metric = _text(str(provenance.get("metric", "logprob")))
    if provenance.get("average") == "single":
        return f"mp.effect(grid.isel(sample=[{int(provenance.get('sample', 0))}]), {metric})"
    return f"mp.effect(grid, {metric}{', average=' + repr('median') if provenance.get('average') == 'median' else ''})"


def _steering(concept: str, layers: str, strength: str, unit: str, options: Sequence[str] = ()) -> str:
    vectors = f"vectors.sel(concept={concept})"
    settings = [f"layers={layers}", f"strength={strength}", f"unit={unit!r}", "tokens=tokens", *options]
    return f"mp.Steering({vectors}, {', '.join(settings)})"


def _rows(seed: int) -> str:
    return f'rows = [None, steering, steering.control("random", seed={seed})]'


def _text(value: object) -> str:
    """A literal that holds no mark of a field."""
    return repr(value).replace(_FIELD, "")
