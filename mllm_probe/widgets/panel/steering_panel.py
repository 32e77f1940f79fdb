"""SteeringPanel: an image and a prompt, concepts at a dose, and three answers streaming side by side."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence

import traitlets
import xarray as xr
from traitlets.utils.bunch import Bunch

from mllm_probe.activations.hooks import resolve_blocks
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.drawn import map_settings
from mllm_probe.generation import stream
from mllm_probe.generation.decoders import prompts_of
from mllm_probe.metrics import NEGATIONS
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.images import content_hash
from mllm_probe.schema import CONCEPT, LAYER, UNITS, require, require_same_model
from mllm_probe.steering.intervention import RowEdit
from mllm_probe.studies.recommendation import Recommended
from mllm_probe.typing import Picture, Traits
from mllm_probe.vectors.directions import unlike_note
from mllm_probe.widgets.base.choices import (
    Choice,
    Offer,
    choices_from,
    drawn_choice,
    offered_by,
    python,
    uploaded_choice,
)
from mllm_probe.widgets.base.probe_widget import (
    Content,
    ProbeWidget,
    bundle,
    message_part,
    sentence,
    traits_of_message,
)
from mllm_probe.widgets.pages.export_pages import Recordings, answered
from mllm_probe.widgets.panel.answer_facts import (
    AnswerRules,
    LivePerplexity,
    broken_answers,
    eligibility,
    examples_of,
    image_for,
    prompt_note,
    read,
)
from mllm_probe.widgets.panel.setting import (
    SETTINGS,
    ByConcept,
    Setting,
    SettingError,
    SettingTraits,
    advice_for,
    cause_of,
    controls_at,
    following_from,
    scopes_for,
    weighed,
    with_pin,
    without_pin,
)
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import picture_of_panel

logger = logging.getLogger(__name__)
NAMING, _SHOWN = ("words", "negations"), ("projector", "revealed")
_BLOCKS = "the panel steers at outputs of blocks"
_CAUSES = {
    "scene": "picture",
    "picture": "picture",
    "eligible": "picture",
    "pin": "pin",
    "unpin": "pin",
    "naming": "words",
    "show": "",
}
"""Control next to which an error of each message is shown."""


class SteeringPanel(ProbeWidget, SettingTraits):
    """Steer a model by hand: move a control and three answers start anew, unsteered, steered and random.

    Until there are vectors, the unsteered answer alone is shown.

    Parameters
    ----------
    model : ProbeModel
        From `mllm_probe.load` or `mllm_probe.wrap`.
    vectors : xarray.Dataset, optional
        From `mllm_probe.concept_vectors`, made with this model. May be set later: ``panel.vectors = …``.
    images : optional
        An image, several, or a concept library; drawn scenes by default.
    prompt : str, optional
        The model's default prompt without it.
    concept, layer, strength, scope, seed : optional
        The first setting. By default the first concept, a layer before the middle, strength 1, and the tokens that suit
        the model: the last prompt token for the drawn scenes, for other models the generated ones too. A negative layer
        counts from the last block. A scope joins names of tokens by ``+``, such as ``"last_prompt"``,
        ``"last_prompt+generated"``, ``"image"``; the seed is that of the random direction.
    unit : {"residual", "vector", "raw"}
        What one unit of strength means.
    strength_limit : float
        The sliders run from −limit to limit.
    max_new_tokens : int
        Longest answer.
    recommended : mapping of str to Recommended, optional
        See the attribute.
    library : ConceptLibrary, optional
        Has images with each concept, under which the fluency of answers is read; ``images`` if that is a library.

    Attributes
    ----------
    image, prompt, concept, second, second_strength, layer, window, strength, scope, patches, positions, seed
        The setting, as `Setting` describes it; each may be set from Python and starts a new generation. Setting
        ``layer`` alone makes a window of one.
    unfit : dict of str to str
        Concepts that are greyed in the menus, each with why, such as those that `mllm_probe.check` finds not fit.
    words : dict of str to list of str
        What counts as naming each concept, and ``negations``, which negate a mention a few words after them (list of
        str). Setting either marks the answers shown, the pins and the recorded answers anew.
    answers : dict
        ``"baseline"``, ``"steered"`` and ``"random"`` of the newest setting that was finished; ``"spans"``: for
        each of them ``[start, stop, negated]`` of every mention of the steered concepts, in UTF-16 code units; and
        ``"facts"``: for each of them ``[kind, text]`` of what the answer is (names the concept, keeps so much of the
        image's content, is broken).
    receipt : list of str
        Edits: first of the steered row, then of every row.
    code : str
        Code that reproduces those answers.
    doses : list of [strength, ratio]
        Strengths that the grid has run for this setting, with their perplexity ratio; in ``safe_low`` … ``safe_high``
        it stays under 2.
    pins : list of dict
        Pinned settings with their answers and the spans of these.
    projector, revealed : bool
        For teaching: large type, the steered answer hidden until it is revealed.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` or ``"error"``.
    message, cause : str
        The last error, and the control next to which it is shown: one of the setting, ``"pin"``, ``"words"``, or empty.
    prompt_note, scope_note, picture_note : str
        Warnings about the prompt (words that the model does not know), the tokens that are steered (painted patches of
        another image) and the image (unlike those of the vectors).
    image_note, other_image : str, int
        Why the doses can show little on the image (it shows the concept already), and the number of an image that
        suits them, or −1. Until somebody chooses an image, a concept that is chosen brings one that suits its dose.
    recommended : mapping of str to Recommended
        Settings to open each concept at, such as ``mp.recommend(…).settings``. While the panel shows one of them, it
        goes to another concept's when that is chosen; ``advice`` says what is known of it.
    activity : str
        What runs in the background before the panel can steer.
    compact : bool
        As in the lab: a line of controls, the image beside the answers, and everything rare behind a button. Set before
        the panel is shown.
    verdict : str
        What the map says of the setting, in one line; written by the lab.
    calls : dict of str to callable
        What the buttons ``"why"``, ``"recommended"`` and ``"surprise"`` of the compact form do; filled by the lab.
    """

    _esm = bundle("steering_panel")

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    unfit = traitlets.Dict(traitlets.Unicode(), traitlets.Unicode()).tag(sync=True)
    words = traitlets.Dict(traitlets.List(traitlets.Unicode()), traitlets.Unicode()).tag(sync=True)
    negations = traitlets.List(traitlets.Unicode(), list(NEGATIONS)).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    pictures = traitlets.List(traitlets.Dict()).tag(sync=True)
    scene_seed = traitlets.Int(0).tag(sync=True)
    suggestions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scopes = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    strength_limit = traitlets.Float(3.0).tag(sync=True)
    strength_step = traitlets.Float(0.25).tag(sync=True)
    strength_unit = traitlets.Enum(UNITS, "residual").tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    receipt = traitlets.List(traitlets.Unicode()).tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    rate = traitlets.Float(0.0).tag(sync=True)
    doses = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    safe_low = traitlets.Float(0.0).tag(sync=True)
    safe_high = traitlets.Float(0.0).tag(sync=True)
    pins = traitlets.List(traitlets.Dict()).tag(sync=True)
    projector = traitlets.Bool(False).tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)
    serial = traitlets.Int(0).tag(sync=True)
    cause = traitlets.Unicode("").tag(sync=True)
    prompt_note = traitlets.Unicode("").tag(sync=True)
    scope_note = traitlets.Unicode("").tag(sync=True)
    picture_note = traitlets.Unicode("").tag(sync=True)
    image_note = traitlets.Unicode("").tag(sync=True)
    other_image = traitlets.Int(-1).tag(sync=True)
    advice = traitlets.Unicode("").tag(sync=True)
    activity = traitlets.Unicode("").tag(sync=True)
    compact = traitlets.Bool(False).tag(sync=True)
    verdict = traitlets.Unicode("").tag(sync=True)
    moves = traitlets.Int(0, help="Moves of the controls, with those that change nothing; not for the front-end.")

    def __init__(
        self,
        model: ProbeModel,
        vectors: xr.Dataset | None = None,
        images: Offer = None,
        prompt: str | None = None,
        *,
        concept: str | None = None,
        layer: int | None = None,
        strength: float = 1.0,
        scope: str | None = None,
        unit: str = "residual",
        strength_limit: float = 3.0,
        max_new_tokens: int = 32,
        seed: int = 0,
        recommended: Mapping[str, Recommended] | None = None,
        library: ConceptLibrary | None = None,
        **traits: object,
    ) -> None:
        require_model(model, "SteeringPanel")
        if not (math.isfinite(strength_limit) and strength_limit > 0):
            raise ValueError(f"strength_limit: expected a positive number; got {strength_limit!r}.")
        known = list(model.layers)
        self._choices = choices_from(images, model.name)
        first = known[round(0.4 * (len(known) - 1))] if layer is None else resolve_blocks(layer, len(known), _BLOCKS)[0]
        super().__init__(
            layers=known,
            **{"layer": first, "window": [first, first]} | traits,
            pictures=[choice.described() for choice in self._choices],
            prompt=model.default_prompt if prompt is None else prompt,
            suggestions=list(model.suggestions),
            strength=strength,
            scope="+".join(map_settings(model.name).tokens) if scope is None else scope,
            strength_unit=unit,
            strength_limit=strength_limit,
            seed=seed,
        )
        self.scopes = scopes_for(Setting.of(self))
        self.calls: dict[str, Callable[[], object]] = {}
        self.model, self.max_new_tokens, self._worker.lock = model, max_new_tokens, model.lock
        self.generation = 0
        self._first = concept
        self._numbering = threading.RLock()
        self.recommended: Mapping[str, Recommended] = dict(recommended or {})
        self._vectors: xr.Dataset | None = None
        self._by_concept: ByConcept | None = None
        self._grid: xr.Dataset | None = None
        self._image_chosen = False
        self._perplexity = LivePerplexity(model, examples_of(images if isinstance(images, ConceptLibrary) else library))
        self._asked: Setting | None = None
        self._finished: tuple[int, Setting, Traits] | None = None
        self._recorded = Recordings(SETTINGS)
        # Held while spans are computed and sent, so that none of older words is sent after those of newer ones.
        self._marking = threading.RLock()
        self._streaming: dict[int, tuple[dict[str, int], Setting, int, str]] = {}
        self.observe(self._on_setting, SETTINGS)
        self.observe(self._on_naming, NAMING)
        if vectors is None:
            self.run()
        else:
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
        concept = wanted if wanted in names else names[0]
        self.publish(
            **offered,
            layer=first,
            window=[first, last],
            concept=concept,
            second=self.second if self.second in names else "",
        )
        place: Traits = {"concept": concept}
        if not self.moves and concept in self.recommended:
            place |= controls_at(self.recommended[concept])
        self.publish(**self._following(place, Setting.of(self)))
        self.run()

    def offer(self, concepts: Sequence[str], categories: Sequence[str], activity: str) -> None:
        """Offer concepts whose vectors will be set later, and show the progress.

        Parameters
        ----------
        concepts, categories : sequence of str
            One category for each concept.
        activity : str
        """
        chosen = {} if self.concept or not concepts else {"concept": concepts[0]}
        self.publish_changed(
            {"concepts": list(concepts), "categories": list(categories), "activity": activity, **chosen}
        )

    @property
    def grid(self) -> xr.Dataset | None:
        """A sweep of the same vectors, whole or still filling, that says at which doses answers stay fluent."""
        return self._grid

    @grid.setter
    def grid(self, grid: xr.Dataset | None) -> None:
        if grid is not None:
            require_same_model(grid, self.model, what="the grid given to the panel")
        self._grid = grid
        self.publish_changed(weighed(grid, Setting.of(self), self.strength_unit))

    def add_picture(self, image: Picture, label: str = "") -> None:
        """Offer one more image and choose it, which starts a generation."""
        choice = choices_from([image])[0]
        self._add(Choice(choice.source, label or f"image {len(self._choices) + 1}", choice.code))

    def new_scene(self, seed: int | None = None) -> None:
        """Draw a random scene and choose it; without a seed the next one, ``scene_seed``."""
        seed = self.scene_seed if seed is None else seed
        if seed < 0:
            raise ValueError(f"the seed of a scene is a number from 0; got {seed}.")
        choice = drawn_choice(seed, self.model.name)
        self.publish(scene_seed=seed + 1)
        self._add(choice)

    def upload(self, content: bytes, name: str) -> None:
        """Offer an image file and choose it.

        Raises
        ------
        ValueError
            If the bytes are no readable image.
        """
        self._add(uploaded_choice(content, name))

    def run(self) -> None:
        """Start a generation with the present setting; one that runs is cancelled."""
        with self._numbering:
            setting, numbers = Setting.of(self), self._number()
            if self.revealed and setting != self._asked:
                self.publish(revealed=False)
            self._asked = setting
            self._worker.submit(lambda cancelled: self._answer(setting, numbers, cancelled))

    def choose(self, **setting: object) -> None:
        """Set several controls at once, which starts one generation; nothing happens if all are as they are."""
        self.moves += 1
        if self.publish_changed(self._following(setting, Setting.of(self))).keys() & set(SETTINGS):
            self.run()

    def use_other_image(self) -> None:
        """Show the image that is offered in place of one on which the doses show little, and go on choosing such."""
        if self.other_image >= 0:
            self.choose(picture=self.other_image)
            self._image_chosen = False

    def _following(self, state: Traits, before: Setting) -> Traits:
        """A change of controls with what follows from it: another concept brings an image that suits its dose.

        An image that somebody chose stays, and so does any while a slider is moved.
        """
        self._image_chosen |= "picture" in state
        following = following_from(state, before, self.recommended)
        now = Setting.of(self, **{name: value for name, value in following.items() if name in SETTINGS})
        if "concept" in state and not self._image_chosen and 0 <= now.picture < len(self._choices):
            image = image_for(self._choices, now)
            if image != now.picture:
                following |= following_from({"picture": image}, now)
        return following

    def cancel(self) -> None:
        """Stop the running generation after the current step."""
        self._worker.cancel()

    def pin(self) -> None:
        """Pin the current answers with their setting, for comparison with later ones.

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
            read = self._reading.read(setting.plain(), answers)
            self.publish(pins=with_pin(self.pins, setting, label, answers, read, self.code))

    def unpin(self, number: int) -> None:
        """Remove a pinned setting by its ``id``."""
        self.publish(pins=without_pin(self.pins, number))

    def _release(self) -> None:
        """Drop the vectors and the prefilled prompts."""
        perplexity = self.__dict__.get("_perplexity")  # missing where the arguments were refused
        if perplexity is not None and isinstance(self.model, ProbeModel):
            prompts_of(self.model).forget({content_hash(choice.image) for choice in self._choices})
            perplexity.forget()
        self._vectors = self._by_concept = self._grid = None

    def drawing(self) -> Drawing:
        """Draw the image, the setting and the three answers."""
        return picture_of_panel(self)

    def recordings(self) -> Recordings:
        """Settings that were answered, the newest 256, marked by the words that count as naming now."""
        return self._recorded.changed(lambda recording: self._marked(recording.shown, recording.when))

    def chosen(self, picture: int) -> Choice:
        """The image with this number.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not 0 <= picture < len(self._choices):
            raise SettingError(
                "picture", f"there is no image {picture}; there are {len(self._choices)}, counted from 0."
            )
        return self._choices[picture]

    def _add(self, choice: Choice) -> None:
        self.publish(pictures=[*self.pictures, choice.described()])
        self._choices.append(choice)
        self.picture = len(self._choices) - 1

    @traitlets.validate("patches")
    def _rectangular(self, proposal: Bunch) -> list[list[bool]]:
        if len({len(row) for row in proposal.value}) > 1:
            raise traitlets.TraitError("patches: expected rows of equal length.")
        return list(proposal.value)

    def _refuse(self, error: Exception, kind: str) -> None:
        """Report a message that was refused; a refused move has no answers, so what runs is cancelled."""
        if kind == "set":
            failure = self._failed(error, Setting.of(self), self._number())
            self._worker.submit(lambda cancelled: self.publish(**failure))
        else:
            self.publish(message=sentence(error), cause=_CAUSES.get(kind, ""))

    def _on_setting(self, change: Bunch) -> None:
        """A trait that was set from Python."""
        if not getattr(self._here, "quiet", False):
            self.moves += 1
            before = Setting.of(self, **{change.name: change.old})
            self.publish_changed(self._following({change.name: change.new}, before))
            self.run()

    def _on_message(self, widget: object, content: object, buffers: Sequence[bytes]) -> None:
        if isinstance(content, dict) and str(content.get("kind")) in _CAUSES:
            self.publish(message="", cause="")
        super()._on_message(widget, content, buffers)

    def _take_setting(self, content: Content, _buffers: Sequence[bytes]) -> None:
        """Take a setting that the front-end has already, send what follows from it, and start a generation."""
        self.moves += 1
        self.take(serial=message_part(content, "serial", int))
        before, state = Setting.of(self), traits_of_message(content, SETTINGS)
        self.take_checked(state)
        self.publish_changed(self._following(state, before))
        self.run()

    def _take_naming(self, content: Content, _buffers: Sequence[bytes]) -> None:
        naming = traits_of_message(content, NAMING)
        self.take_checked(naming)
        self.send_state(list(naming))

    def _take_image(self, content: Content, buffers: Sequence[bytes]) -> None:
        if not buffers:
            raise ValueError("no image came with the upload; choose the file again.")
        self.upload(bytes(buffers[0]), str(content.get("name", "")))

    _acts = {
        "cancel": lambda panel, _content, _buffers: panel.cancel(),
        "set": _take_setting,
        "show": lambda panel, content, _buffers: panel.take_checked(traits_of_message(content, _SHOWN)),
        "naming": _take_naming,
        "eligible": lambda panel, _content, _buffers: panel.use_other_image(),
        "scene": lambda panel, content, _buffers: panel.new_scene(message_part(content, "seed", int)),
        "picture": _take_image,
        "pin": lambda panel, _content, _buffers: panel.pin(),
        "unpin": lambda panel, content, _buffers: panel.unpin(message_part(content, "id", int)),
        "call": lambda panel, content, _buffers: panel.calls[message_part(content, "name", str)](),
    }

    def _number(self) -> dict[str, int]:
        with self._numbering:
            self.generation += 1
            return {"generation": self.generation, "serial": self.serial}

    def _answer(self, setting: Setting, numbers: dict[str, int], cancelled: threading.Event) -> None:
        with self._marking:
            self._streaming = {}
        self.send({"kind": "start", **numbers})
        try:
            note, advice = prompt_note(self.model, setting.prompt), advice_for(setting, self.recommended)
            self.publish(status="running", message="", cause="", prompt_note=note)
            self.publish_changed({"advice": advice})
            self.publish_changed(weighed(self._grid, setting, self.strength_unit))
            outcome = self._streamed(setting, numbers, cancelled)
        except Exception as error:
            logger.exception("generation %d of a steering panel failed", numbers["generation"])
            outcome = self._failed(error, setting, numbers)
        with self._marking:
            self.publish(**self._marked(outcome, setting.plain()))
            if "answers" in outcome:
                self._streaming = {}
        if outcome["status"] == "idle" and self._vectors is not None:
            named = self._reading.named([name for name, _ in setting.concepts], outcome["answers"]["baseline"])
            self.publish_changed(eligibility(self._choices, setting, named))
            self.publish_changed({"picture_note": self._picture_note(setting, self._vectors)})

    def _picture_note(self, setting: Setting, vectors: xr.Dataset) -> str:
        """Whether the image is unlike those of the vectors; the answers stay where that cannot be found out."""
        try:
            return unlike_note(self.model, vectors, self.chosen(setting.picture).image)
        except Exception as error:
            logger.exception("an image could not be compared with those of the vectors")
            return f"It could not be found out whether the image is like those of the vectors: {sentence(error)}"

    def _streamed(self, setting: Setting, numbers: dict[str, int], cancelled: threading.Event) -> Traits:
        vectors, choice, unit = self._by_concept, self.chosen(setting.picture), self.strength_unit
        rows: list[RowEdit] = [None]
        if vectors is not None:
            steering = setting.steering(vectors, unit, self.layers)
            rows += [steering, steering.control("random", seed=setting.seed)]

        def send(row: int, step: int, text: str) -> None:
            with self._marking:
                self._streaming[row] = (numbers, setting, step, text)
                self._send_text(row)

        most = self.max_new_tokens
        running = stream(self.model, choice.image, setting.prompt, steering=rows, max_new_tokens=most)
        answer = read(running, len(rows), send, cancelled)
        if answer is None or cancelled.is_set():
            return {"status": "cancelled"}
        answers: Traits = answer.texts | numbers
        outcome = {"answers": answers, "receipt": answer.receipt, "rate": answer.rate, "code": ""}
        if vectors is not None:
            ratios = None
            if self._vectors is not None:
                image = choice.source
                ratios = self._perplexity.ratios(
                    self._vectors, setting.concept, image, setting.prompt, answer.tokens, most
                )
            answers["broken"] = broken_answers(answer.texts, ratios)
            answers["labels"] = None if choice.labels is None else sorted(choice.labels)
            self._finished = numbers["generation"], setting, answers
            outcome["code"] = python(
                setting, unit, self.layers, model=self.model.name, picture=choice.code, max_new_tokens=most
            )
            advice = {"advice": advice_for(setting, self.recommended)}
            self._recorded.add(answered(setting, choice.label, unit, outcome | advice))
        return outcome | {"status": "idle"}

    def _failed(self, error: Exception, setting: Setting, numbers: dict[str, int]) -> Traits:
        cause = cause_of(error, setting, self._finished and self._finished[1], self.concepts)
        state = {"status": "error", "message": sentence(error), "cause": cause}
        return {**state, "answers": numbers, "receipt": [], "rate": 0.0, "code": ""}

    def _settle(self) -> None:
        self.wait_until_free()

    def _send_text(self, row: int) -> None:
        """Send the text of a row of the running generation so far, with the spans that name its concepts."""
        numbers, setting, step, text = self._streaming[row]
        spans = self._reading.spans(setting.plain(), text)
        self.send({"kind": "token", **numbers, "row": row, "step": step, "text": text, "spans": spans})

    @property
    def _reading(self) -> AnswerRules:
        categories = dict(zip(self.concepts, self.categories, strict=False))
        return AnswerRules(self.words, self.negations, categories)

    def _marked(self, shown: Traits, setting: Traits) -> Traits:
        """Traits with the spans and the facts of their answers; without answers as they are."""
        if "answers" not in shown:
            return shown
        return shown | {"answers": shown["answers"] | self._reading.read(setting, shown["answers"])}

    def _on_naming(self, _change: Bunch) -> None:
        """Words that count as naming changed: mark what streams, the finished answers and the pins anew."""
        with self._marking:
            for row in self._streaming:
                self._send_text(row)
            pins = [pin | self._reading.read(pin["setting"], pin["answers"]) for pin in self.pins]
            shown: Traits = {"pins": pins} if pins else {}
            if self._finished is not None and self._finished[0] == self.answers.get("generation"):
                shown |= self._marked({"answers": self.answers}, self._finished[1].plain())
            if shown:
                self.publish(**shown)

    def _summary(self) -> str:
        return f"{len(self.concepts)} concepts × {len(self.layers)} layers, {len(self.pictures)} images"
