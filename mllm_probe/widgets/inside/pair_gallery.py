"""PairGallery: pairs of images with and without a concept, and how far its direction separates each pair."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import traitlets
import xarray as xr

from mllm_probe.activations import capture
from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.metrics.projection import concept_projection
from mllm_probe.models import ProbeModel
from mllm_probe.schema import LAYER, SAMPLE, TOKEN
from mllm_probe.typing import Traits, TraitValue
from mllm_probe.widgets.base.probe_widget import bundle
from mllm_probe.widgets.inside.inside_widget import GIVEN, InsideWidget, ReadRequest, float_bytes

MOST = 12
_AT_ONCE = 4
_SIDE = 96


class PairGallery(InsideWidget):
    """A concept's pairs, each with its separation: the projection of the image with it minus that without it.

    Projections are those of the prompt's last token, in units of the concept's mean difference: 1 is as far apart as
    the images that the direction was measured with are on average, 0 not at all.

    `model`: from `mllm_probe.load` or `mllm_probe.wrap`.
    `library`: pairs to show, best held out: not those that the vectors were measured with.
    `vectors`: from `mllm_probe.concept_vectors`. May be set later.
    `prompt`: prompt with which each image is read; the model's default prompt without it.
    `concept`, `layer`: initial selection.
    `pairs`: of the concept's first 12 pairs, ``positive`` and ``negative`` as PNG and the ``label``.
    `values` (bytes): float32, layer × pair: the separation.
    `total`: how many pairs the library has.
    """

    _esm = bundle("pair_gallery")

    pairs = traitlets.List(traitlets.Dict()).tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        model: ProbeModel,
        library: ConceptLibrary,
        vectors: xr.Dataset | None = None,
        prompt: str | None = None,
        *,
        concept: str | None = None,
        layer: int | None = None,
        **traits: TraitValue,
    ) -> None:
        self.library = library
        super().__init__(model, vectors, [], prompt, concept=concept, layer=layer, **traits)

    def _compute(self, wanted: ReadRequest, cancelled: threading.Event) -> Traits | None:
        vectors = self._selected(wanted.concept)
        if vectors is None:
            return {"pairs": [], "values": b"", "total": 0}
        if wanted.concept not in self.library:
            raise ValueError(f"the library has no images of '{wanted.concept}'.")
        concept = self.library[wanted.concept]
        pairs = list(zip(concept.positive, concept.negative, strict=False))
        separations = []
        for start in range(0, min(len(pairs), MOST), _AT_ONCE):
            if cancelled.is_set():
                return None
            separations.append(self._separation(pairs[start : min(start + _AT_ONCE, MOST)], wanted.prompt, vectors))
        shown = [
            {"label": f"pair {number}", "positive": positive.thumbnail(_SIDE), "negative": negative.thumbnail(_SIDE)}
            for number, (positive, negative) in enumerate(pairs[:MOST], 1)
        ]
        meaning = self._separated(bool(concept.paired), shown=len(shown), total=len(pairs))
        values = float_bytes(np.concatenate(separations, axis=1))
        return {"pairs": shown, "values": values, "total": len(pairs), "meaning": meaning}

    def _separation(self, pairs: Sequence[tuple[Picture, Picture]], prompt: str, vectors: xr.Dataset) -> np.ndarray:
        """Projection with minus projection without: [layer, pair]."""
        images = [pair[0].image for pair in pairs] + [pair[1].image for pair in pairs]
        acts = capture(self.model, images, prompt, tokens="last_prompt", layers="all")
        at_last = concept_projection(acts, vectors).isel({TOKEN: -1}).transpose(LAYER, SAMPLE).values
        difference: np.ndarray = at_last[:, : len(pairs)] - at_last[:, len(pairs) :]
        return difference

    def _separated(self, paired: bool, shown: int, total: int) -> str:
        given = self._meaning(self.prompt) == GIVEN
        whole = "one length of the given vector" if given else "average separation in the fit set"
        kind = "Same image, one thing changed" if paired else "Two different images"
        some = f"the first {shown} of {total} pairs" if total > shown else f"all {total} pairs"
        return f"{kind}; {some} of the library; at the last token of the prompt. 1 = {whole}, 0 = no separation."

    def _summary(self) -> str:
        return f"{super()._summary()}, {len(self.pairs)} pairs"
