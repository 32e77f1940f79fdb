"""SteeringPanel: a picture and a question, a concept at a dose, and three answers streaming side by side."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import traitlets
import xarray as xr

from mllm_probe.schema import CATEGORY, CONCEPT, LAYER, UNITS, require, require_same_model
from mllm_probe.steering import Steering, stream
from mllm_probe.widgets.base import ProbeWidget, bundle, sentence
from mllm_probe.widgets.choices import described, pictures_from, words_of

logger = logging.getLogger(__name__)

SETTINGS = ("picture", "prompt", "concept", "layer", "strength", "scope")
ROWS = ("baseline", "steered", "random")
SCOPES = (("image", "image"), ("text", "text"), ("last_prompt+generated", "last + new"), ("all", "all"))


@dataclass(frozen=True)
class Setting:
    """What one generation is made with, and the numbers that tie its messages to it."""

    picture: int
    prompt: str
    concept: str
    layer: int
    strength: float
    scope: str
    generation: int
    serial: int

    @property
    def tokens(self) -> tuple[str, ...]:
        """The scope as `Steering` takes it."""
        return tuple(self.scope.split("+"))


class SteeringPanel(ProbeWidget):
    """Steer a model by hand: move a control and three answers start anew, unsteered, steered and random.

    Parameters
    ----------
    model : ProbeModel
        From `mllm_probe.load` or `mllm_probe.wrap`.
    vectors : xarray.Dataset, optional
        From `mllm_probe.concept_vectors`, made with this model. May be set later: ``panel.vectors = …``.
    images : optional
        A picture, several, or a concept library; drawn scenes by default.
    prompt : str, optional
        The question; the model's default one without it.
    concept, layer, strength : optional
        The first setting. By default the first concept, a layer before the middle, strength 1.
    scope : str
        Tokens to edit, joined by ``+``: ``"last_prompt+generated"``, ``"image"``, ``"text"``, ``"all"``.
    unit : {"residual", "vector", "raw"}
        What one unit of strength means.
    strength_limit : float
        The slider runs from −limit to limit.
    max_new_tokens : int
        Longest answer.
    seed : int
        Of the random direction.

    Attributes
    ----------
    picture, prompt, concept, layer, strength, scope
        The setting; each may be set from Python and starts a new generation.
    answers : dict
        ``"baseline"``, ``"steered"`` and ``"random"`` of the newest setting that was finished.
    receipt : list of str
        What was edited: first the steered row, then every row.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` or ``"error"``; ``message`` says what was wrong.
    """

    _esm = bundle("panel")

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    concept_words = traitlets.Dict().tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    pictures = traitlets.List(traitlets.Dict()).tag(sync=True)
    suggestions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scopes = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    strength_limit = traitlets.Float(3.0).tag(sync=True)
    strength_step = traitlets.Float(0.25).tag(sync=True)
    strength_unit = traitlets.Enum(UNITS, "residual").tag(sync=True)
    picture = traitlets.Int(0).tag(sync=True)
    prompt = traitlets.Unicode("").tag(sync=True)
    concept = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    strength = traitlets.Float(1.0).tag(sync=True)
    scope = traitlets.Unicode("last_prompt+generated").tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    receipt = traitlets.List(traitlets.Unicode()).tag(sync=True)
    rate = traitlets.Float(0.0).tag(sync=True)
    serial = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        model: Any,
        vectors: xr.Dataset | None = None,
        images: Any = None,
        prompt: str | None = None,
        *,
        concept: str | None = None,
        layer: int | None = None,
        strength: float = 1.0,
        scope: str = "last_prompt+generated",
        unit: str = "residual",
        strength_limit: float = 3.0,
        max_new_tokens: int = 32,
        seed: int = 0,
        **traits: Any,
    ) -> None:
        known = list(model.layers)
        scopes = [list(pair) for pair in SCOPES] + ([] if scope in dict(SCOPES) else [[scope, scope]])
        self._images = pictures_from(images)
        super().__init__(
            layers=known,
            layer=known[round(0.4 * (len(known) - 1))] if layer is None else layer,
            pictures=described(self._images),
            prompt=model.default_prompt if prompt is None else prompt,
            suggestions=list(model.suggestions),
            strength=strength,
            scope=scope,
            scopes=scopes,
            strength_unit=unit,
            strength_limit=strength_limit,
            **traits,
        )
        self.model, self.max_new_tokens, self.seed = model, max_new_tokens, seed
        self.generation = 0
        self._first = concept
        self._numbering = threading.Lock()
        self._vectors: xr.Dataset | None = None
        self.on_msg(self._on_message)
        self.observe(self._on_setting, SETTINGS)
        if vectors is not None:
            self.vectors = vectors

    @property
    def vectors(self) -> xr.Dataset | None:
        """Concept vectors to steer with; setting them offers their concepts and starts a generation."""
        return self._vectors

    @vectors.setter
    def vectors(self, vectors: xr.Dataset) -> None:
        require(vectors, "vector", dims=(CONCEPT, LAYER), what="the vectors given to the panel")
        require_same_model(vectors, self.model, what="the vectors given to the panel")
        names = [str(name) for name in vectors[CONCEPT].values]
        wanted = self._first or self.concept
        if self._first is not None and wanted not in names:
            raise ValueError(f"there is no vector for concept '{wanted}'; there are {', '.join(names)}.")
        self._first, self._vectors = None, vectors
        categories = vectors[CATEGORY].values if CATEGORY in vectors.coords else [""] * len(names)
        layers = [int(layer) for layer in vectors[LAYER].values]
        self.publish(
            concepts=names,
            categories=[str(name) for name in categories],
            concept_words=words_of(vectors),
            layers=layers,
            layer=min(layers, key=lambda layer: abs(layer - self.layer)),
            concept=wanted if wanted in names else names[0],
        )
        self.run()

    def run(self) -> None:
        """Start a generation with the present setting; one that runs is cancelled."""
        if self._vectors is None:
            return
        with self._numbering:
            self.generation += 1
            values = {name: getattr(self, name) for name in SETTINGS}
            setting = Setting(**values, generation=self.generation, serial=self.serial)
            self._worker.submit(lambda cancelled: self._answer(setting, cancelled))

    def choose(self, **setting: Any) -> None:
        """Set several controls at once, which starts one generation; nothing happens if all are as they are."""
        changed = {name: value for name, value in setting.items() if getattr(self, name) != value}
        if changed:
            self.publish(**changed)
            self.run()

    def cancel(self) -> None:
        """Stop the running generation after the step in flight."""
        self._worker.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the newest setting's answers.

        Returns
        -------
        bool
            True when they are there; False when ``timeout`` seconds passed first, the generation was
            cancelled, or ``status`` is ``"error"``.
        """
        return self._worker.wait(timeout) and self.status == "idle"

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "cancel":
            self.cancel()
        elif kind == "set":
            try:
                state = {name: value for name, value in content["state"].items() if name in SETTINGS}
                self.take(serial=int(content["serial"]), **state)
                self.run()
            except Exception as error:
                logger.exception("a setting from the front-end was refused")
                self.publish(status="error", message=sentence(error))

    def _on_setting(self, _change: Any) -> None:
        if not getattr(self._here, "quiet", False):
            self.run()

    def _answer(self, setting: Setting, cancelled: threading.Event) -> None:
        numbers = {"generation": setting.generation, "serial": setting.serial}
        self.send({"kind": "start", **numbers})
        self.publish(status="running", message="")
        try:
            outcome = self._streamed(setting, numbers, cancelled)
        except Exception as error:
            logger.exception("generation %d of a steering panel failed", setting.generation)
            outcome = {"status": "error", "message": sentence(error), "answers": numbers, "receipt": [], "rate": 0.0}
        self.publish(**outcome)

    def _streamed(self, setting: Setting, numbers: dict[str, int], cancelled: threading.Event) -> dict[str, Any]:
        steering = self._steering(setting)
        texts = dict.fromkeys(ROWS, "")
        image = self._images[setting.picture]
        rows = [None, steering, steering.control("random", seed=self.seed)]
        start, steps = time.perf_counter(), 0
        running = stream(self.model, image, setting.prompt, steering=rows, max_new_tokens=self.max_new_tokens)
        try:
            for row, step, text in running:
                if cancelled.is_set():
                    return {"status": "cancelled"}
                texts[ROWS[row]], steps = text, max(steps, step + 1)
                self.send({"kind": "token", **numbers, "row": row, "step": step, "text": text})
        finally:
            running.close()
        if cancelled.is_set():
            return {"status": "cancelled"}
        rate = steps / max(time.perf_counter() - start, 1e-9)
        return {"status": "idle", "answers": texts | numbers, "receipt": _lines(running.receipt), "rate": rate}

    def _steering(self, setting: Setting) -> Steering:
        vectors = self._vectors
        if vectors is None or setting.concept not in self.concepts:
            raise ValueError(f"there is no vector for concept '{setting.concept}'; choose one of the list.")
        if not 0 <= setting.picture < len(self._images):
            raise ValueError(f"there is no picture {setting.picture}; there are {len(self._images)}, counted from 0.")
        return Steering(
            vectors.sel({CONCEPT: setting.concept}),
            layers=[setting.layer],
            strength=setting.strength,
            unit=self.strength_unit,
            tokens=setting.tokens,
        )

    def _summary(self) -> str:
        return f"{len(self.concepts)} concepts × {len(self.layers)} layers, {len(self.pictures)} pictures"


def _lines(receipt: Any) -> list[str]:
    rows = [str(row) for row in receipt]
    return [rows[1], *(f"{name}: {row}" for name, row in zip(ROWS, rows, strict=True))]
