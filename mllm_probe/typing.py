"""Types of public arguments: images, layers, token scopes, steering and traits of widgets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, Union

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

# Classes of other libraries are named as texts: nearly every module reads this one, also where an answer needs none.


class HasImage(Protocol):
    """An object that holds an image, such as `mllm_probe.concepts.Picture`."""

    @property
    def image(self) -> Any:
        """The image."""


Picture: TypeAlias = Union["Image", "np.ndarray", "Tensor", str, PathLike[str], HasImage]
"""One image: a PIL image, a path, an array or tensor [height, width, 3], or an object with an ``image``."""

Images: TypeAlias = Picture | Sequence[Picture | Sequence[Picture] | None] | None
"""Images of samples: one; a list with one per sample, in which a nested list is several images of one prompt and
None (or an empty list) a prompt without image; None with ``inputs``, or for a prompt without image."""

PromptImages: TypeAlias = Picture | Sequence[Picture] | None
"""Images of one prompt: one, several, or none."""

Inputs: TypeAlias = Mapping[str, "Tensor"] | Sequence[Mapping[str, "Tensor"]] | None
"""Processed tensors in place of images and prompt: of one batch, or one mapping for each sample."""

Continuation: TypeAlias = str | Sequence[str | Sequence[int]] | None
"""Text after the prompt: one for all samples, or one each, as a text or as token ids."""

Edits: TypeAlias = object
"""What ``steering=`` takes: a `mllm_probe.Steering`, a composition of several, or an object of another type that is
registered with `mllm_probe.activations.editing`."""

Attributes: TypeAlias = dict[str, Any]
"""Attributes of a dataset or a variable: plain values that Zarr and JSON keep."""

Coordinates: TypeAlias = dict[Hashable, Any]
"""Coordinates of a dataset by name, as `xarray.Dataset` takes them."""

DataVariables: TypeAlias = dict[str, Any]
"""Variables of a dataset by name, as `xarray.Dataset` takes them."""

Library: TypeAlias = Mapping[str, Any]
"""A `mllm_probe.concepts.ConceptLibrary`, or a mapping from names to objects with its concepts' attributes."""

CallArguments: TypeAlias = Mapping[str, Any]
"""Arguments of a call of the model by name: tensors, the cache, switches."""

HfModel: TypeAlias = Any
"""A `transformers.PreTrainedModel`: what its modules and its configuration are called differs between families."""

Processor: TypeAlias = Any
"""A processor of transformers, or a tokenizer alone; remote code brings classes of its own."""

Layers: TypeAlias = Literal["all", "input"] | int | slice | Iterable[int | str]
"""Decoder blocks: ``"all"``, a number (-1 is the last), several, or a slice of them. ``"input"``, alone or among
several, is the input of block 0 (coordinate -1 in datasets); ``"all"`` does not include it."""

TokenScope: TypeAlias = Union[str, int, Sequence[str], Sequence[int], Sequence[bool], "np.ndarray", "Tensor"]
"""Tokens: a named scope (``"last_prompt"``, ``"generated"``, ``"image"``, ``"text"``, ``"all"``) or several; positions
in the unpadded prompt, negative ones from its end; or a boolean mask [positions], [patch rows, patch columns] of the
image, or [images, patch rows, patch columns] of several."""

TraitValue: TypeAlias = Any
"""The value of a widget's trait; the trait checks it."""

Traits: TypeAlias = dict[str, TraitValue]
"""Traits of a widget by name: what is published, or what a page keeps."""

JsonObject: TypeAlias = dict[str, Any]
"""An object of JSON: plain values by name."""
