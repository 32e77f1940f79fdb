"""TokenStrip: prompt and answer token by token, with what each holds of a concept or would say next, layer by layer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
import traitlets
import xarray as xr
from transformers import StoppingCriteria, StoppingCriteriaList

from mllm_probe import schema
from mllm_probe.activations import capture
from mllm_probe.generation import generate
from mllm_probe.metrics.projection import borrowed_scopes, concept_projection, lens_chunks
from mllm_probe.models import ProbeModel
from mllm_probe.tokens import captured_kinds
from mllm_probe.typing import Continuation, PromptImages, Traits, TraitValue
from mllm_probe.widgets.base.numbers import scale_limit
from mllm_probe.widgets.base.probe_widget import bundle
from mllm_probe.widgets.inside.inside_widget import ReadRequest, SteeringWidget, float_bytes

WORDS = 3
"""Number of logit-lens words for each token and layer."""

_LensKey: TypeAlias = tuple[tuple[int, str, str], bool, tuple[int, ...]]
"""Settings of a logit-lens reading: image, prompt and answer; whether image tokens are read too; layers."""


class TokenStrip(SteeringWidget):
    """The tokens of a prompt and its answer: projection on a concept, or logit-lens words, at every layer.

    The projection is (h·v̂ − μ₋) / ‖v‖, in units of the concept's mean difference, each token along the vector of its
    own scope. The logit lens reads a layer through the model's own final norm and head: its next word there.

    Parameters
    ----------
    model : ProbeModel
        From `mllm_probe.load` or `mllm_probe.wrap`.
    vectors : xarray.Dataset, optional
        From `mllm_probe.concept_vectors`. Without them there is the logit lens alone. May be set later.
    images : image or list, optional
        A drawn scene by default; a list is several images in one prompt, an empty list none.
    prompt : str, optional
        The model's default prompt without it.
    answer : str, optional
        Read teacher-forced; the model's own greedy answer without it.
    concept, layer : optional
        Initial selection.
    mode : {"projection", "lens"}, optional
        Projection where there are vectors.
    max_new_tokens : int
        Longest answer that is generated.

    Attributes
    ----------
    answer : str
        The answer that is read. Setting it reads that text instead; ``""`` goes back to the model's own.
    positions : list of int
        Selected tokens of the prompt, as ``Steering(tokens=…)`` takes them.
    tokens : list
        Per token its text, role (text, image, special or answer), position, patch row and patch column (or -1), and
        the scope whose vector it borrows: 0 and 1 were not measured at tokens of its kind. Empty where they were.
    values : bytes
        float32, layer × token: the projection on the chosen concept.
    lens_words, lens : list of str, bytes
        float32, layer × token × 3 × (index of the word in ``lens_words``, probability); NaN where it was not read.
    opened : bool
        Whether image tokens are shown one by one; the logit lens reads them only then.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` or ``"error"``; ``message`` holds the error.

    Examples
    --------
    >>> strip = mp.TokenStrip(model, vectors, images=picture, concept="cat")
    >>> mp.generate(model, picture, steering=strip.steering(strength=1.0))
    """

    _esm = bundle("token_strip")
    _reads = ("concept", "prompt", "answer", "mode", "opened")

    answer = traitlets.Unicode("").tag(sync=True)
    mode = traitlets.Enum(("projection", "lens"), "projection").tag(sync=True)
    opened = traitlets.Bool(False).tag(sync=True)
    tokens = traitlets.List(traitlets.List()).tag(sync=True)
    lens_words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    lens = traitlets.Bytes(b"").tag(sync=True)
    positions = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(
        self,
        model: ProbeModel,
        vectors: xr.Dataset | None = None,
        images: PromptImages = None,
        prompt: str | None = None,
        answer: str | None = None,
        *,
        concept: str | None = None,
        layer: int | None = None,
        mode: str | None = None,
        max_new_tokens: int = 32,
        **traits: TraitValue,
    ) -> None:
        self.max_new_tokens = max_new_tokens
        self._given = answer or ""
        self._lens: tuple[_LensKey, Traits] | None = None
        mode = ("lens" if vectors is None else "projection") if mode is None else mode
        traits |= {"answer": self._given, "mode": mode}
        super().__init__(model, vectors, images, prompt, concept=concept, layer=layer, **traits)

    def _selected_tokens(self) -> list[int]:
        if not self.positions:
            raise ValueError("no token is selected: click tokens of the prompt, or set strip.positions = [...].")
        return list(self.positions)

    def _release(self) -> None:
        """Drop the activations and the words."""
        super()._release()
        self._lens = None

    def _on_setting(self, change: traitlets.Bunch) -> None:
        if change.name == "answer" and not getattr(self._here, "quiet", False):
            self._given = change.new
        super()._on_setting(change)

    def show(self, images: PromptImages = None, **settings: TraitValue) -> None:
        """As for every such widget; an ``answer`` among the settings is read instead of the model's own."""
        if "answer" in settings:
            self._given = settings["answer"] or ""
            settings["answer"] = self._given
        super().show(images, **settings)

    def _wanted(self) -> ReadRequest:
        return replace(super()._wanted(), given=self._given, mode=self.mode, opened=self.opened)

    def _compute(self, wanted: ReadRequest, cancelled: threading.Event) -> Traits | None:
        key = (wanted.picture, wanted.prompt, wanted.given)
        acts = self._captured(key, lambda: self._run(wanted, cancelled))
        if cancelled.is_set():
            self._capture = None
            return None
        vectors = self._selected(wanted.concept)
        borrowed = [] if vectors is None else borrowed_scopes(acts, vectors)
        tokens = described(acts, borrowed)
        prompt = {position for _, role, position, *_ in tokens if role != "answer"}
        state: Traits = {"tokens": tokens, "answer": acts.attrs["answer"]}
        present = [position for position in self.positions if position in prompt]
        if present != self.positions:
            state["positions"] = present
        state["meaning"] = self._meaning(wanted.prompt)
        projected = None if vectors is None else concept_projection(acts, vectors).isel({schema.SAMPLE: 0})
        state["values"] = b"" if projected is None else float_bytes(projected.values)
        if projected is not None:  # the scale is made from tokens that 0 and 1 were measured for, if there are any
            measured = projected.values[:, [not scope for scope in borrowed]]
            state["limit"] = scale_limit(measured if measured.size else projected.values, self.unit)
        if wanted.mode == "lens":
            read = self._read_lens((key, wanted.opened, tuple(self.layers)), acts, cancelled)
            if read is None:
                return None
            state |= read
        elif self._lens is not None and self._lens[0][0] != key:
            self._lens = None
            state |= {"lens_words": [], "lens": b""}
        return state

    def _run(self, wanted: ReadRequest, cancelled: threading.Event) -> xr.Dataset:
        """Activations of the prompt and of the answer that is given or generated; its text is kept as an attribute."""
        images, text = [wanted.images], wanted.given
        continuation: Continuation = text
        if not text:
            stop = StoppingCriteriaList([_Cancelled(cancelled)])
            length = self.max_new_tokens
            out = generate(self.model, images, wanted.prompt, max_new_tokens=length, stopping_criteria=stop)
            text, ids = out.text[0], self.model.before_end(out.tokens[0].tolist())
            continuation = [ids] if ids else None
        acts = capture(self.model, images, wanted.prompt, tokens="all", continuation=continuation)
        return acts.assign_attrs(answer=text)

    def _read_lens(self, key: _LensKey, acts: xr.Dataset, cancelled: threading.Event) -> Traits | None:
        if self._lens is None or self._lens[0] != key:
            where = np.flatnonzero((acts[schema.ROLE].values != "image") | key[1])
            top = top_words(self.model, acts, list(self.layers), where, cancelled)
            if top is None:
                return None
            self._lens = (key, top)
        return self._lens[1]

    def _summary(self) -> str:
        return f"{len(self.tokens)} tokens × {len(self.layers)} layers, mode='{self.mode}'"


class _Cancelled(StoppingCriteria):
    """Ends a generation within a step of its cancellation."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_more: object) -> torch.Tensor:
        return torch.full((len(input_ids),), self._cancelled.is_set(), device=input_ids.device)


def described(acts: xr.Dataset, borrowed: Sequence[str] = ()) -> list[list[str | int]]:
    """Per token of a capture of one sample: text, role, position, patch row and column, borrowed scope."""
    names = (schema.TOKEN_TEXT, schema.ROLE, schema.TOKEN, schema.PATCH_ROW, schema.PATCH_COLUMN)
    rows = zip(*(acts[name].values.tolist() for name in names), captured_kinds(acts), strict=True)
    scopes = list(borrowed) or [""] * acts.sizes[schema.TOKEN]
    return [
        [
            "" if role == "image" else str(text),
            "answer" if kind == "generated" else str(role),
            position,
            row,
            column,
            scope,
        ]
        for (text, role, position, row, column, kind), scope in zip(rows, scopes, strict=True)
    ]


def top_words(
    model: ProbeModel, acts: xr.Dataset, layers: Sequence[int], where: np.ndarray, cancelled: threading.Event
) -> Traits | None:
    """Most probable next words at the tokens ``where`` as ``lens_words`` and ``lens``; None if cancelled."""
    table = np.full((len(layers), acts.sizes[schema.TOKEN], WORDS, 2), np.nan, np.float32)
    index: dict[int, int] = {}
    for number, layer in enumerate(layers):
        with model.lock.held(interactive=True), torch.inference_mode():
            hidden = acts["activation"].isel({schema.SAMPLE: 0}).sel({schema.LAYER: layer}).torch.tensor
            chosen = hidden[torch.from_numpy(where).to(hidden.device)]
            best = [logits.softmax(-1).topk(WORDS) for logits in lens_chunks(model, chosen)]
            probabilities = torch.cat([part.values for part in best]).cpu().numpy()
            ids = torch.cat([part.indices for part in best]).cpu().numpy()
        if cancelled.is_set():
            return None
        table[number, where, :, 1] = probabilities
        table[number, where, :, 0] = np.vectorize(lambda i: index.setdefault(int(i), len(index)), [float])(ids)
    tokenizer = model.tokenizer
    words = [str(i) if tokenizer is None else tokenizer.decode([i]) for i in index]
    return {"lens_words": words, "lens": table.astype("<f4").tobytes()}
