"""SteeringPanel: a picture and a question, concepts at a dose, and three answers streaming side by side."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import xarray as xr

from mllm_probe.generation import stream
from mllm_probe.generation.prefixes import prompts_of
from mllm_probe.models.images import content_hash
from mllm_probe.schema import CONCEPT, LAYER, require, require_same_model
from mllm_probe.widgets.answering import ROWS, read
from mllm_probe.widgets.base import sentence
from mllm_probe.widgets.choices import choices_from, offered_by
from mllm_probe.widgets.doses import fluent_range, tried
from mllm_probe.widgets.drawing import Drawing
from mllm_probe.widgets.marks import Marks, marks
from mllm_probe.widgets.panel_pictures import PanelPictures
from mllm_probe.widgets.pins import with_pin, without_pin
from mllm_probe.widgets.recipe import python
from mllm_probe.widgets.recording import Recordings, answered
from mllm_probe.widgets.setting import SETTINGS, ByConcept, Setting, following_from, scopes_for
from mllm_probe.widgets.static_picture import picture_of_panel

logger = logging.getLogger(__name__)
NAMING = ("words", "negations")


class SteeringPanel(PanelPictures):
    """Steer a model by hand: move a control and three answers start anew, unsteered, steered and random.

    Its traits, which say what can be set and read, are described in `PanelTraits`.

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
    concept, layer, strength, scope, seed : optional
        The first setting. By default the first concept, a layer before the middle, strength 1. A scope joins names of
        tokens by ``+``, such as ``"last_prompt"``, ``"last_prompt+generated"``, ``"image"``; the seed is that of the
        random direction.
    unit : {"residual", "vector", "raw"}
        What one unit of strength means.
    strength_limit : float
        The sliders run from −limit to limit.
    max_new_tokens : int
        Longest answer.
    """

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
        self._choices = choices_from(images)
        layer = known[round(0.4 * (len(known) - 1))] if layer is None else layer
        super().__init__(
            layers=known,
            **{"layer": layer, "window": [layer, layer]} | traits,
            pictures=[choice.described() for choice in self._choices],
            prompt=model.default_prompt if prompt is None else prompt,
            suggestions=list(model.suggestions),
            strength=strength,
            scope=scope,
            strength_unit=unit,
            strength_limit=strength_limit,
            seed=seed,
        )
        self.scopes = scopes_for(scope, any(map(any, self.patches)))
        self.model, self.max_new_tokens = model, max_new_tokens
        self.generation = 0
        self._first = concept
        self._numbering = threading.RLock()
        self._vectors: xr.Dataset | None = None
        self._by_concept: ByConcept | None = None
        self._grid: xr.Dataset | None = None
        self._asked: Setting | None = None
        self._finished: tuple[int, Setting, dict[str, str]] | None = None
        self._recorded = Recordings(SETTINGS)
        # Held while spans are computed and sent, so that none of older words is sent after those of newer ones.
        self._marking = threading.RLock()
        self._streaming: dict[int, tuple[dict[str, int], Setting, int, str]] = {}
        self.on_msg(self._on_message)
        self.observe(self._on_setting, SETTINGS)
        self.observe(self._on_naming, NAMING)
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
        offered = offered_by(vectors)
        names, layers = offered["concepts"], offered["layers"]
        wanted = self._first or self.concept
        if self._first is not None and wanted not in names:
            raise ValueError(f"there is no vector for concept '{wanted}'; there are {', '.join(names)}.")
        self._first, self._vectors, self._by_concept = None, vectors, ByConcept(vectors)
        first, last = (min(layers, key=lambda layer: abs(layer - end)) for end in self.window)
        self.publish(
            **offered,
            layer=first,
            window=[first, last],
            concept=wanted if wanted in names else names[0],
            second=self.second if self.second in names else "",
        )
        self.run()

    @property
    def grid(self) -> xr.Dataset | None:
        """A sweep of the same vectors, whole or still filling, that says at which doses answers stay fluent."""
        return self._grid

    @grid.setter
    def grid(self, grid: xr.Dataset | None) -> None:
        if grid is not None:
            require_same_model(grid, self.model, what="the grid given to the panel")
        self._grid = grid
        self.publish(**self._weighed(Setting.of(self)))

    def run(self) -> None:
        """Start a generation with the present setting; one that runs is cancelled."""
        if self._vectors is None:
            return
        with self._numbering:
            setting, numbers = Setting.of(self), self._number()
            if self.revealed and setting != self._asked:
                self.publish(revealed=False)
            self._asked = setting
            self._worker.submit(lambda cancelled: self._answer(setting, numbers, cancelled))

    def choose(self, **setting: Any) -> None:
        """Set several controls at once, which starts one generation; nothing happens if all are as they are."""
        setting = following_from(setting, self.window, self.scope)
        changed = {name: value for name, value in setting.items() if getattr(self, name) != value}
        if changed:
            self.publish(**changed)
            self.run()

    def cancel(self) -> None:
        """Stop the running generation after the step in flight."""
        self._worker.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the newest setting's answers.

        True when they are there; False when ``timeout`` seconds passed first, the generation was cancelled, or
        ``status`` is ``"error"``.
        """
        return self._worker.wait(timeout) and self.status == "idle"

    def pin(self) -> None:
        """Keep the answers on the screen, with their setting, beside those that follow.

        Raises
        ------
        ValueError
            If the newest setting is not answered yet, or four are pinned.
        """
        if self._finished is None or self._finished[0] != self.generation:
            raise ValueError("the answers of this setting are not there yet; wait for them before pinning it.")
        _, setting, answers = self._finished
        label = self._choices[setting.picture].label
        with self._marking:
            spans = self._spans(setting.said(), answers)
            self.publish(pins=with_pin(self.pins, setting, label, answers, spans, self.code))

    def unpin(self, number: int) -> None:
        """Remove a pinned setting by its ``id``."""
        self.publish(pins=without_pin(self.pins, number))

    def close(self) -> None:
        """Cancel what runs, end the thread, let go of vectors and prefilled prompts, and remove the widget."""
        super().close()
        kept = getattr(self.__dict__.get("model"), "kept", None)
        if kept and "prompts" in kept:
            prompts_of(self.model).forget({content_hash(choice.image) for choice in self._choices})
        self._vectors = self._by_concept = self._grid = None

    def _on_message(self, _widget: Any, content: Any, buffers: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        try:
            if kind == "cancel":
                self.cancel()
            elif kind in ("set", "scene", "picture"):
                self.take(serial=int(content["serial"]))
                self._move(kind, content, buffers)
            elif kind == "pin":
                self.pin()
            elif kind == "unpin":
                self.unpin(content["id"])
            elif kind == "naming":
                self._take_naming(content["state"])
        except Exception as error:
            logger.exception("a message from the front-end was refused")
            self._refuse(sentence(error), kind not in ("pin", "unpin", "naming"))

    def _move(self, kind: str, content: Any, buffers: Any) -> None:
        if kind == "scene":
            self.new_scene(content.get("seed"))
        elif kind == "picture":
            self.upload(bytes(buffers[0]), str(content.get("name", "")))
        else:
            self._take_all({name: value for name, value in content["state"].items() if name in SETTINGS})
            self.run()

    def _refuse(self, said: str, was_move: bool) -> None:
        """Say what was wrong; after a move there is no answer, so what runs is cancelled."""
        if was_move:
            numbers = self._number()
            self._worker.submit(lambda cancelled: self.publish(**_failed(said, numbers)))
        else:
            self.publish(message=said)

    def _on_setting(self, change: Any) -> None:
        if not getattr(self._here, "quiet", False):
            self._take_all({change.name: change.new})
            self.run()

    def _take_all(self, state: dict[str, Any]) -> None:
        """Take a state that the front-end or the caller has already, and send what follows from it."""
        following = following_from(state, self.window, self.scope)
        self.take(**state)
        self.publish(**{name: value for name, value in following.items() if getattr(self, name) != value})

    def _number(self) -> dict[str, int]:
        with self._numbering:
            self.generation += 1
            return {"generation": self.generation, "serial": self.serial}

    def _weighed(self, setting: Setting) -> dict[str, Any]:
        doses = tried(self._grid, setting, self.strength_unit)
        low, high = fluent_range(doses)
        found = {"doses": doses, "safe_low": low, "safe_high": high}
        return {name: value for name, value in found.items() if getattr(self, name) != value}

    def _answer(self, setting: Setting, numbers: dict[str, int], cancelled: threading.Event) -> None:
        with self._marking:
            self._streaming = {}
        self.send({"kind": "start", **numbers})
        try:
            self.publish(status="running", message="", **self._weighed(setting))
            outcome = self._streamed(setting, numbers, cancelled)
        except Exception as error:
            logger.exception("generation %d of a steering panel failed", numbers["generation"])
            outcome = _failed(sentence(error), numbers)
        with self._marking:
            self.publish(**self._marked(outcome, setting.said()))
            if "answers" in outcome:
                self._streaming = {}

    def _streamed(self, setting: Setting, numbers: dict[str, int], cancelled: threading.Event) -> dict[str, Any]:
        vectors, choice, unit = self._by_concept, self._chosen(setting.picture), self.strength_unit
        assert vectors is not None
        steering = setting.steering(vectors, unit, self.layers)
        rows = [None, steering, steering.control("random", seed=setting.seed)]

        def tell(row: int, step: int, text: str) -> None:
            with self._marking:
                self._streaming[row] = (numbers, setting, step, text)
                self._send_text(row)

        most = self.max_new_tokens
        running = stream(self.model, choice.image, setting.prompt, steering=rows, max_new_tokens=most)
        found = read(running, tell, cancelled)
        if found is None:
            return {"status": "cancelled"}
        self._finished = numbers["generation"], setting, found.texts
        code = python(setting, unit, self.layers, model=self.model.name, picture=choice.code, max_new_tokens=most)
        outcome = {"answers": found.texts | numbers, "code": code, "receipt": found.receipt, "rate": found.rate}
        self._recorded.add(answered(setting, choice.label, unit, outcome))
        return outcome | {"status": "idle"}

    def _send_text(self, row: int) -> None:
        """Send what a row of the running generation says so far, with the spans that name its concepts."""
        numbers, setting, step, text = self._streaming[row]
        spans = self._spans(setting.said(), {ROWS[row]: text})[ROWS[row]]
        self.send({"kind": "token", **numbers, "row": row, "step": step, "text": text, "spans": spans})

    def _spans(self, setting: Mapping[str, Any], answers: Mapping[str, str]) -> dict[str, Marks]:
        """Where answers of a setting (as plain data) name its concepts."""
        concepts = [self.words.get(setting[name], ()) for name in ("concept", "second")]
        return {row: marks(answers[row], concepts, self.negations) for row in ROWS if row in answers}

    def _marked(self, shown: dict[str, Any], setting: Mapping[str, Any]) -> dict[str, Any]:
        """Traits with the spans of their answers; without answers as they are."""
        if "answers" not in shown:
            return shown
        answers = shown["answers"]
        return shown | {"answers": answers | {"spans": self._spans(setting, answers)}}

    def _take_naming(self, state: dict[str, Any]) -> None:
        """Take words that count as naming from the front-end, which shows what comes back."""
        for name in NAMING:
            if name in state:
                self.publish(**{name: state[name]})

    def _on_naming(self, _change: Any) -> None:
        """Words that count as naming changed: mark what streams, the finished answers and the pins anew."""
        with self._marking:
            for row in self._streaming:
                self._send_text(row)
            pins = [pin | {"spans": self._spans(pin["setting"], pin["answers"])} for pin in self.pins]
            shown: dict[str, Any] = {"pins": pins} if pins else {}
            if self._finished is not None and self._finished[0] == self.answers.get("generation"):
                shown |= self._marked({"answers": self.answers}, self._finished[1].said())
            if shown:
                self.publish(**shown)

    def drawing(self) -> Drawing:
        """Draw the photograph, the setting and the three answers."""
        return picture_of_panel(self)

    def recordings(self) -> Recordings:
        """Settings that were answered, the newest 256, marked by the words that count as naming now."""
        return self._recorded.changed(lambda one: self._marked(one.shown, one.when))

    def _summary(self) -> str:
        return f"{len(self.concepts)} concepts × {len(self.layers)} layers, {len(self.pictures)} pictures"


def _failed(said: str, numbers: dict[str, int]) -> dict[str, Any]:
    return {"status": "error", "message": said, "answers": numbers, "receipt": [], "rate": 0.0, "code": ""}
