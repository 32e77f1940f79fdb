"""Base of the widgets that look inside one run: a model, an image, a prompt, a concept, and the newest reading."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import traitlets
import xarray as xr

from mllm_probe.activations.hooks import resolve_blocks
from mllm_probe.metrics.projection import UNIT
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.schema import CATEGORY, CONCEPT, INPUT, LAYER, require, require_same_model
from mllm_probe.steering import Steering
from mllm_probe.typing import Layers, PromptImages, TokenScope, Traits, TraitValue
from mllm_probe.widgets.base.choices import images_from
from mllm_probe.widgets.base.probe_widget import ProbeWidget, sentence
from mllm_probe.widgets.pages.export_pages import LARGEST, Recording, Recordings, recorded_within

logger = logging.getLogger(__name__)

MEASURED = "0 = mean of images without the concept, 1 = mean of images with it"
_BLOCKS = "what is shown here are outputs of blocks"
GIVEN = "0 = no component along the direction, 1 = length of the given vector"


@dataclass(frozen=True)
class ReadRequest:
    """Settings of a reading: taken when it begins, and published with it.

    `picture`: counted up by each new image.
    `given`: the answer that is read; the model's own where it is empty.
    `mode`: {"projection", "lens"}.
    `opened`: whether image tokens are read one by one.
    """

    images: PromptImages
    picture: int
    prompt: str
    concept: str
    given: str = ""
    mode: str = "projection"
    opened: bool = False


class InsideWidget(ProbeWidget):
    """Base of the widgets that read one run of a model; a change of a setting starts a reading, the newest wins.

    Attributes
    ----------
    concept : str
        The concept whose direction tokens are projected on. Setting it starts a reading; so for ``prompt``.
    layer : int
        The layer on the screen; all layers are sent, so that changing it costs nothing.
    values : bytes
        float32, layer × …: the projection in ``unit``, whose scale ``meaning`` explains; NaN where there is none.
    limit : float
        End of the colour scale.
    shown : dict
        What ``values`` are of: ``concept``, ``prompt`` and ``picture`` (which is counted up by each new image).
    """

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    concept = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    prompt = traitlets.Unicode("").tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    unit = traitlets.Unicode(UNIT).tag(sync=True)
    limit = traitlets.Float(1.0).tag(sync=True)
    meaning = traitlets.Unicode(MEASURED).tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)

    _reads: tuple[str, ...] = ("concept", "prompt")
    _recorded: tuple[str, ...] = ("values", "limit", "meaning")

    def __init__(
        self,
        model: ProbeModel,
        vectors: xr.Dataset | None = None,
        images: PromptImages = None,
        prompt: str | None = None,
        *,
        concept: str | None = None,
        layer: int | None = None,
        **traits: TraitValue,
    ) -> None:
        require_model(model, type(self).__name__)
        known = list(model.layers)
        middle = known[round(0.4 * (len(known) - 1))]
        super().__init__(
            layers=known,
            layer=middle if layer is None else resolve_blocks(layer, len(known), _BLOCKS)[0],
            prompt=model.default_prompt if prompt is None else prompt,
            **traits,
        )
        self.model, self._worker.lock = model, model.lock
        self._image = images_from(None, model.name)[0] if images is None else _single_prompt(images)
        self._pictures = 0
        self._vectors: xr.Dataset | None = None
        self._capture: tuple[Hashable, xr.Dataset] | None = None
        self._numbering = threading.Lock()
        if vectors is not None:
            self._take_vectors(vectors, concept)
        self.observe(self._on_setting, list(self._reads))
        self.run()

    @property
    def images(self) -> PromptImages:
        """The image that is read, or the images of one prompt; setting it starts a reading."""
        return self._image

    @images.setter
    def images(self, images: PromptImages) -> None:
        self.show(images)

    @property
    def vectors(self) -> xr.Dataset | None:
        """Concept vectors to project on; setting them offers their concepts and starts a reading."""
        return self._vectors

    @vectors.setter
    def vectors(self, vectors: xr.Dataset) -> None:
        self._take_vectors(vectors, None)
        self.run()

    def show(self, images: PromptImages = None, **settings: TraitValue) -> None:
        """Set the image and any traits at once, which starts one reading; nothing happens if all are as they are.

        Parameters
        ----------
        images : image or list, optional
            A list is the images of one prompt.
        **settings
            Such as ``prompt="…"``, ``concept="cat"``, ``layer=4``.
        """
        if images is not None:
            self._image, self._pictures = _single_prompt(images), self._pictures + 1
        changed = self.publish_changed(settings)
        if images is not None or set(changed) & set(self._reads):
            self.run()

    def run(self) -> None:
        """Read the model with the present settings; a reading that runs is cancelled."""
        with self._numbering:
            wanted = self._wanted()
            self._worker.submit(lambda cancelled: self._read(wanted, cancelled))

    def _release(self) -> None:
        """Drop the activations."""
        self._capture = None

    def recordings(self, largest: int = LARGEST) -> Recordings:
        """Record the projection on every concept, the chosen one first, as far as ``largest`` bytes go.

        Nothing is run: captured activations are projected again. While a reading runs nothing is recorded.
        """
        if self.status != "idle" or self._capture is None:
            return Recordings((CONCEPT,))
        concepts = dict.fromkeys((self.concept, *self.concepts))
        return recorded_within((CONCEPT,), (self._recording(concept) for concept in concepts), largest)

    def _recording(self, concept: str) -> Recording:
        state = self._compute(replace(self._wanted(), concept=concept), threading.Event()) or {}
        shown = {name: state[name] for name in self._recorded if name in state}
        return Recording({CONCEPT: concept}, shown | {"shown": self.shown | {CONCEPT: concept}})

    def _wanted(self) -> ReadRequest:
        return ReadRequest(self._image, self._pictures, self.prompt, self.concept)

    def _compute(self, wanted: ReadRequest, cancelled: threading.Event) -> Traits | None:
        """Traits that show ``wanted``; None, or any traits, when it was cancelled."""
        raise NotImplementedError

    def _captured(self, key: Hashable, read: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The activations of ``key``, read once; those of another image or prompt are released first."""
        if self._capture is None or self._capture[0] != key:
            self._capture = None
            self._capture = (key, read())
        return self._capture[1]

    def _selected(self, concept: str) -> xr.Dataset | None:
        """Vectors of one concept; None while there are none at all."""
        if self._vectors is None:
            return None
        if concept not in self._vectors[CONCEPT].values:
            raise ValueError(f"there is no vector for concept '{concept}'; choose one of the list.")
        return self._vectors.sel({CONCEPT: concept})

    def _meaning(self, prompt: str) -> str:
        """Meaning of 0 and 1 on the scale, with a note when they were measured with another prompt."""
        about = {} if self._vectors is None else self._vectors.attrs
        if about.get("method") == "given":
            return GIVEN
        measured = str(about.get("prompt", prompt))
        other = "" if measured.strip() == prompt.strip() else f", both measured with the prompt “{measured}”"
        return MEASURED + other

    def _take_vectors(self, vectors: xr.Dataset, concept: str | None) -> None:
        what = f"the vectors given to {type(self).__name__}"
        require(vectors, "vector", dims=(CONCEPT, LAYER), what=what)
        require_same_model(vectors, self.model, what=what)
        names = [str(name) for name in vectors[CONCEPT].values]
        if concept is not None and concept not in names:
            raise ValueError(f"there is no vector for concept '{concept}'; there are {', '.join(names)}.")
        wanted = concept or self.concept
        categories = vectors[CATEGORY].values if CATEGORY in vectors.coords else [""] * len(names)
        self._vectors = vectors
        layers = self._offered_layers()
        self.publish(
            concepts=names,
            categories=[str(name) for name in categories],
            layers=layers,
            layer=min(layers, key=lambda each: abs(each - self.layer)),
            concept=wanted if wanted in names else names[0],
            unit=self._unit(),
        )

    def _offered_layers(self) -> list[int]:
        """Blocks that values are shown of: those of the vectors."""
        known = self.model.layers if self._vectors is None else self._vectors[LAYER].values
        return [int(layer) for layer in known if layer != INPUT]

    def _unit(self) -> str:
        """Unit of projections on the vectors."""
        given = self._vectors is not None and self._vectors.attrs.get("method") == "given"
        return "× vector length" if given else UNIT

    def _on_setting(self, change: traitlets.Bunch) -> None:
        if not getattr(self._here, "quiet", False):
            self.run()

    def _read(self, wanted: ReadRequest, cancelled: threading.Event) -> None:
        self.publish(status="running", message="")
        about = {"concept": wanted.concept, "prompt": wanted.prompt, "picture": wanted.picture}
        try:
            state = self._compute(wanted, cancelled)
            state = None if cancelled.is_set() or state is None else state | {"status": "idle", "shown": about}
        except Exception as error:
            logger.exception("a reading of %s failed", type(self).__name__)
            state = {"status": "error", "message": sentence(error)}
        self.publish(**(state or {"status": "cancelled"}))

    def _settle(self) -> None:
        self._worker.wait()

    def _summary(self) -> str:
        return f"{len(self.concepts)} concepts × {len(self.layers)} layers"


class SteeringWidget(InsideWidget):
    """Base of the widgets in which tokens are selected, to be steered with the chosen concept."""

    def steering(self, strength: float = 1.0, layers: Layers | None = None, **settings: Any) -> Steering:
        """Steer the selected tokens or patches with the chosen concept.

        Parameters
        ----------
        strength : float
        layers : int, list of int or "all", optional
            The layer on the screen by default.
        **settings
            As for `mllm_probe.Steering`, such as ``unit``, ``operation`` and ``to``.

        Raises
        ------
        ValueError
            If nothing is selected or there are no vectors.
        """
        vectors = self._selected(self.concept)
        if vectors is None:
            raise ValueError("there are no vectors to steer with: set the widget's vectors = mp.concept_vectors(…).")
        layers = [self.layer] if layers is None else layers
        return Steering(vectors, layers=layers, strength=strength, tokens=self._selected_tokens(), **settings)

    def _selected_tokens(self) -> TokenScope:
        """Tokens that are selected; a ValueError that says how to select some where none is."""
        raise NotImplementedError


def _single_prompt(images: PromptImages) -> PromptImages:
    """The images of one prompt: a list of one is that image."""
    return images[0] if isinstance(images, (list, tuple)) and len(images) == 1 else images


def float_bytes(array: np.ndarray) -> bytes:
    """An array as float32 bytes in C order, little-endian."""
    return np.ascontiguousarray(array, dtype="<f4").tobytes()
