"""PatchOverlay: how much of a concept each patch of an image holds, layer by layer, and patches painted to steer."""

from __future__ import annotations

import threading
from typing import cast

import numpy as np
import traitlets
import xarray as xr
from PIL import Image

from mllm_probe import schema, typing
from mllm_probe.activations import capture
from mllm_probe.concepts import Picture
from mllm_probe.metrics.projection import borrowed_scopes, concept_projection
from mllm_probe.models import ProbeModel
from mllm_probe.models.families import why_no_image_tokens
from mllm_probe.models.images import as_image
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import scale_limit
from mllm_probe.widgets.base.probe_widget import bundle
from mllm_probe.widgets.inside.inside_widget import SteeringWidget, Wanted, float_bytes
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import picture_of_patches

_SIDE = 640
"""Pixels of the longer side of the image that is sent, at most."""


class PatchOverlay(SteeringWidget):
    """An image under its grid of image tokens, coloured by their projection on a concept; paint patches to steer them.

    The value of a patch is (h·v̂ − μ₋) / ‖v‖, in units of the concept's mean difference: 0 is the mean over images
    without the concept, 1 the mean over images with it, so that layers compare.

    Parameters
    ----------
    model : ProbeModel
        From `mllm_probe.load` or `mllm_probe.wrap`.
    vectors : xarray.Dataset, optional
        From `mllm_probe.concept_vectors`, best with ``tokens`` that include ``"image"``. May be set later.
    images : image, optional
        A drawn scene by default. ``overlay.images = …`` shows another.
    prompt : str, optional
        Prompt with which the image is read; the model's default prompt without it.
    concept, layer : optional
        Initial selection.

    Attributes
    ----------
    mask : list of list of bool
        Painted patches [rows][columns], set by hand or by `paint`.
    scope : bool array [rows, columns]
        The mask as ``tokens=`` takes it.
    values : bytes
        float32, layer × row × column, of the chosen concept.
    rows, columns : int
        Size of the grid; 0 while it is not known.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` or ``"error"``; ``message`` holds the error.

    Examples
    --------
    >>> overlay = mp.PatchOverlay(model, vectors, images=picture, concept="cat")
    >>> mp.generate(model, picture, steering=overlay.steering(strength=1.0))
    """

    _esm = bundle("patch_overlay")

    picture = traitlets.Bytes(b"").tag(sync=True)
    rows = traitlets.Int(0).tag(sync=True)
    columns = traitlets.Int(0).tag(sync=True)
    mask = traitlets.List(traitlets.List(traitlets.Bool())).tag(sync=True)

    @property
    def scope(self) -> np.ndarray:
        """Painted patches as a bool array [rows, columns]: what ``Steering(tokens=…)`` takes."""
        mask = np.array(self.mask, dtype=bool)
        if not mask.any():
            raise ValueError("no patch is painted: paint some on the image, or call paint(mask).")
        return mask

    def paint(self, mask: np.typing.ArrayLike) -> None:
        """Set the painted patches from a bool array [rows, columns]."""
        array = np.asarray(mask)
        if array.dtype != bool or array.ndim != 2 or (self.rows and array.shape != (self.rows, self.columns)):
            grid = f"[{self.rows}, {self.columns}]" if self.rows else "[rows, columns]"
            raise ValueError(f"expected a bool array {grid}; got {array.dtype} of shape {list(array.shape)}.")
        self.mask = array.tolist()

    def _selected_tokens(self) -> np.ndarray:
        return self.scope

    def _compute(self, wanted: Wanted, cancelled: threading.Event) -> Traits | None:
        if self.shown.get("picture") != wanted.picture:
            seen = seen_by(self.model, as_image(cast(typing.Picture, wanted.images)))
            self.publish(picture=Picture(seen).thumbnail(_SIDE))
        acts = self._captured((wanted.picture, wanted.prompt), lambda: self._image_tokens(wanted))
        if cancelled.is_set():
            return None
        row, column = acts[schema.PATCH_ROW].values, acts[schema.PATCH_COLUMN].values
        if (row < 0).any():
            raise ValueError(
                f"the image tokens of {self.model.name} have no known grid of rows and columns, so they cannot be laid "
                "over the image; mp.TokenStrip shows them one by one."
            )
        shape = int(row.max()) + 1, int(column.max()) + 1
        state: Traits = {"rows": shape[0], "columns": shape[1]}
        if np.array(self.mask, dtype=object).shape != shape:
            state["mask"] = np.zeros(shape, dtype=bool).tolist()
        vectors = self._selected(wanted.concept)
        if vectors is not None:
            projected = concept_projection(acts, vectors)
            values = np.full((projected.sizes[schema.LAYER], *shape), np.nan, np.float32)
            values[:, row, column] = projected.isel({schema.SAMPLE: 0}).values
            state |= {"values": float_bytes(values), "limit": scale_limit(values, self.unit)}
            state["meaning"] = self._meaning(wanted.prompt)
            (scope,) = set(borrowed_scopes(acts, vectors))
            if scope:
                state["meaning"] += f", at tokens of the scope {scope} and not at image tokens"
        return state

    def _image_tokens(self, wanted: Wanted) -> xr.Dataset:
        why = why_no_image_tokens(self.model.hf.config)
        if why:
            raise ValueError(f"{self.model.name} has no image tokens that could be laid over the image: {why}.")
        return capture(self.model, [wanted.images], wanted.prompt, tokens="image", layers="all")

    def drawing(self) -> Drawing:
        """Draw the image, shaded by the concept at the chosen layer, with the painted patches framed."""
        return picture_of_patches(self)

    def _summary(self) -> str:
        return f"{super()._summary()} × {self.rows}×{self.columns} patches"


def seen_by(model: ProbeModel, image: Image.Image) -> Image.Image:
    """The part of an image that the grid of patches covers: the middle, where the processor crops."""
    options = getattr(model.processor, "image_processor", None)
    crop = getattr(options, "crop_size", None)
    if not getattr(options, "do_center_crop", False) or not crop:
        return image
    size = getattr(options, "size", None) or {}
    short = size.get("shortest_edge") if getattr(options, "do_resize", True) else min(image.size)
    if not short:
        return image
    scale = min(image.size) / short
    width, height = (min(side, crop[name] * scale) for side, name in zip(image.size, ("width", "height"), strict=True))
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return image.crop((round(left), round(top), round(left + width), round(top + height)))
