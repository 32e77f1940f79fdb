"""PatchOverlay: how much of a concept each patch of an image holds, or carries, layer by layer."""

from __future__ import annotations

import threading
from dataclasses import dataclass
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
from mllm_probe.models.images import as_image, content_hash
from mllm_probe.models.layout import why_no_image_tokens
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import scale_limit
from mllm_probe.widgets.base.probe_widget import bundle
from mllm_probe.widgets.inside.inside_widget import ReadRequest, SteeringWidget, float_bytes
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import picture_of_patches

UNIT = "of the difference"


@dataclass(frozen=True, eq=False)
class CausalMap:
    """Recovered share of single patches of one pair.

    `values` (float32 array [layer, row, column]): (patched − base) / (source − base); NaN where the grid holds no
    patch. `layers`: coordinates; -1 is the input of block 0. `ids`: content hashes of the pair's images.
    """

    values: np.ndarray
    layers: list[int]
    concept: str
    meaning: str
    prompt: str
    ids: tuple[str, str]


def causal_map(grid: xr.Dataset, concept: str, sample: int, direction: str, metric: str) -> CausalMap:
    """The map of one pair.

    `grid`: from ``mp.patch(…, groups="patches")``. `sample`: number of the pair. `direction`: {"insert", "remove"}.
    Raises ValueError if the grid holds no single patches or not this pair, or its runs differ by less than
    ``minimum_gap``.
    """
    what = "the grid of mp.patch"
    schema.require(grid, metric, f"{metric}_base", f"{metric}_source", dims=(schema.GROUP, schema.DIRECTION), what=what)
    place = {schema.CONCEPT: concept, schema.DIRECTION: direction, schema.SAMPLE: sample}
    for dim, value in place.items():
        if value not in grid[dim].values:
            raise ValueError(f"{dim} {value!r} is not in {what}; it has {', '.join(map(str, grid[dim].values[:12]))}.")
    names = [str(group) for group in grid[schema.GROUP].values]
    single = [i for i, name in enumerate(names) if name.startswith("patch ")]
    if not single:
        raise ValueError(f"{what} holds no single patches: run mp.patch(model, library, groups='patches').")
    cells = grid.sel({**place, schema.CONTROL: "pair"}).isel({schema.GROUP: single})
    row, column = cells[schema.PATCH_ROW].values, cells[schema.PATCH_COLUMN].values
    base = cells[f"{metric}_base"].transpose(schema.LAYER, schema.GROUP).values
    gap = float(cells[f"{metric}_source"]) - float(base.mean())
    least = float(grid.attrs.get("minimum_gap", 0.0))
    if not abs(gap) >= least:
        raise ValueError(
            f"the runs of pair {sample} of '{concept}' differ by {gap:.2g}, less than {least:g} ('minimum_gap'), so "
            "that shares of it mean nothing: choose another pair."
        )
    values = np.full((cells.sizes[schema.LAYER], row.max() + 1, column.max() + 1), np.nan, np.float32)
    values[:, row, column] = (cells[metric].transpose(schema.LAYER, schema.GROUP).values - base) / gap
    label = str(grid[metric].attrs.get("long_name", metric))
    meaning = f"1 = this patch alone brings all of the difference ({direction}) in the {label}, 0 = nothing of it"
    layers = [int(layer) for layer in grid[schema.LAYER].values]
    ids = (str(cells[schema.POSITIVE].values), str(cells[schema.NEGATIVE].values))
    return CausalMap(values, layers, concept, meaning, str(grid.attrs.get("prompt", "")), ids)


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
    >>> grid = mp.patch(model, library, groups="patches", controls=())
    >>> overlay.show_causal(grid, library["cat"].positive[0], concept="cat")
    """

    _esm = bundle("patch_overlay")

    picture = traitlets.Bytes(b"").tag(sync=True)
    rows = traitlets.Int(0).tag(sync=True)
    columns = traitlets.Int(0).tag(sync=True)
    mask = traitlets.List(traitlets.List(traitlets.Bool())).tag(sync=True)
    _causal: tuple[tuple[int, str, str], CausalMap] | None = None

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

    def show_causal(
        self,
        grid: xr.Dataset,
        image: typing.Picture,
        concept: str | None = None,
        sample: int = 0,
        *,
        direction: str = "insert",
        metric: str = "logprob",
    ) -> None:
        """Show what each patch of a pair brings along by itself, until another image, prompt or concept is chosen.

        Parameters
        ----------
        grid : Dataset
            From ``mp.patch(model, library, groups="patches")`` with this model.
        image : image
            One of the pair, to lie below the map.
        concept : str, optional
            The first of the grid by default.
        sample : int
            Number of the pair.
        direction, metric : str
            Of the grid.

        Raises
        ------
        ValueError
            If the grid is another model's or holds no single patches, the image is none of the pair, or the pair's
            runs hardly differ.
        """
        schema.require_same_model(grid, self.model, "the grid of mp.patch")
        name = str(grid[schema.CONCEPT].values[0]) if concept is None else concept
        causal = causal_map(grid, name, sample, direction, metric)
        if content_hash(image) not in causal.ids:
            raise ValueError(
                f"the image is none of pair {sample} of '{name}': give the pair's positive or negative, as they are in "
                "the library."
            )
        self._image, self._pictures = image, self._pictures + 1
        offered = {} if name in self.concepts else {"concepts": [*self.concepts, name]}
        self.publish_changed({**offered, "concept": name, "prompt": causal.prompt or self.prompt})
        self._causal = _key(self._wanted()), causal
        self.run()

    def _selected_tokens(self) -> np.ndarray:
        return self.scope

    def _compute(self, wanted: ReadRequest, cancelled: threading.Event) -> Traits | None:
        if self._causal is not None and self._causal[0] == _key(wanted):
            return self._causal_state(wanted, self._causal[1])
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
        state = self._grid_state(shape)
        vectors = self._selected(wanted.concept)
        if vectors is not None:
            projected = concept_projection(acts, vectors)
            values = np.full((projected.sizes[schema.LAYER], *shape), np.nan, np.float32)
            values[:, row, column] = projected.isel({schema.SAMPLE: 0}).values
            state |= {"values": float_bytes(values), "limit": scale_limit(values, self.unit)}
            state["meaning"] = self._meaning(wanted.prompt)
            state |= self._layers_state(self._offered_layers(), self._unit())
            (scope,) = set(borrowed_scopes(acts, vectors))
            if scope:
                state["meaning"] += f", at tokens of the scope {scope} and not at image tokens"
        elif self.values:
            state |= {"values": b"", "meaning": ""} | self._layers_state(self._offered_layers(), self._unit())
        return state

    def _causal_state(self, wanted: ReadRequest, causal: CausalMap) -> Traits:
        """Traits that show a map of patched runs; nothing is computed on the model, and no activations are kept."""
        self._capture = None
        seen = seen_by(self.model, as_image(cast(typing.Picture, wanted.images)))
        state = self._grid_state(causal.values.shape[1:]) | self._layers_state(causal.layers, UNIT)
        limit = scale_limit(causal.values, UNIT)
        image = Picture(seen).thumbnail(_SIDE)
        return state | {
            "picture": image, "values": float_bytes(causal.values), "limit": limit, "meaning": causal.meaning,
        }  # fmt: skip

    def _grid_state(self, shape: tuple[int, ...]) -> Traits:
        """Size of the grid, and an empty mask where the one there is has another."""
        state: Traits = {"rows": shape[0], "columns": shape[1]}
        if np.array(self.mask, dtype=object).shape != shape:
            state["mask"] = np.zeros(shape, dtype=bool).tolist()
        return state

    def _layers_state(self, layers: list[int], unit: str) -> Traits:
        """Layers and unit of the values, where others are shown: a causal map has those of its grid."""
        state: Traits = {} if self.unit == unit else {"unit": unit}
        if self.layers != layers:
            state |= {"layers": layers, "layer": min(layers, key=lambda each: abs(each - self.layer))}
        return state

    def _image_tokens(self, wanted: ReadRequest) -> xr.Dataset:
        why = why_no_image_tokens(self.model.hf.config)
        if why:
            raise ValueError(f"{self.model.name} has no image tokens that could be laid over the image: {why}.")
        return capture(self.model, [wanted.images], wanted.prompt, tokens="image", layers="all")

    def drawing(self) -> Drawing:
        """Draw the image, shaded by the concept at the chosen layer, with the painted patches framed."""
        return picture_of_patches(self)

    def _summary(self) -> str:
        return f"{super()._summary()} × {self.rows}×{self.columns} patches"


def _key(wanted: ReadRequest) -> tuple[int, str, str]:
    return wanted.picture, wanted.prompt, wanted.concept


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
