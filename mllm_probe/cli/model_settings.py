"""Settings that several commands share: how a model is loaded, and which library its images come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import mllm_probe as mp
from mllm_probe.cli.exit_status import CheckFailed
from mllm_probe.models.bundled import source_of

if TYPE_CHECKING:
    from mllm_probe.concepts import ConceptLibrary
    from mllm_probe.loading import Model
    from mllm_probe.typing import Layers

Names = Annotated[list[str] | None, Parameter(consume_multiple=True)]
"""An option that takes several names."""
Blocks = Annotated[list[int | str] | None, Parameter(consume_multiple=True)]
"""An option that takes numbers of decoder blocks, "all" or "input"."""

Scopes = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
"""An option that takes several token scopes."""


@Parameter(name="*")
@dataclass(frozen=True)
class LoadingSettings:
    """How a model is loaded.

    Parameters
    ----------
    device
        cuda when there is one, else cpu.
    dtype
        float32, bfloat16 …
    device_map
        Share the blocks out over several devices, for instance auto.
    revision
        Branch, tag or commit on the hub.
    trust_remote_code
        Run code that comes with the checkpoint.
    """

    device: str | None = None
    dtype: str | None = None
    device_map: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    def load(self, name: str) -> Model:
        """Load a model.

        Raises
        ------
        CheckFailed
            If its parts do not behave as decoder blocks do.
        ValueError, OSError
            As :func:`mllm_probe.load`.
        """
        source_of(name)  # before PyTorch is imported
        try:
            return mp.loading.load(name, **asdict(self))
        except mp.loading.VerificationError as error:
            raise CheckFailed(str(error), error.report) from error

    def resolved(self, model: Model) -> dict[str, Any]:
        """Settings with the device and type that the model has."""
        known = asdict(self) | {"dtype": str(model.dtype).removeprefix("torch.")}
        return known if self.device_map is not None else known | {"device": str(model.device)}


BY_DEFAULT = LoadingSettings()
"""Loading as :func:`mllm_probe.load` does where nothing is asked for."""


@Parameter(name="*")
@dataclass(frozen=True)
class LibrarySettings:
    """Which concepts there are, and their images.

    Parameters
    ----------
    library
        scenes, emoji, or a folder of <category>/<concept>/{positive,negative}/ with images.
    concepts
        Some of its concepts; all by default.
    categories
        Concepts of some categories only.
    pairs
        Pairs of each concept (of a folder, images of each class); 48 drawn ones by default, all of a folder.
    negative
        Of drawn libraries, what takes the concept's place: replace (another value, the default) or remove.
    size
        Of drawn libraries, side of the images in pixels; 224 by default.
    library_seed
        Of drawn libraries, which scenes; 0 by default.
    groups
        Of folders, CSV file with the columns file and group, whose images stay on one side of the split.
    fit
        Share of the images that vectors are made with; the others are held out. 1 takes all of them.
    split_seed
        Decides which.
    """

    library: str | None = None
    concepts: Names = None
    categories: Names = None
    pairs: int | None = None
    negative: str | None = None
    size: int | None = None
    library_seed: int | None = None
    groups: str | None = None
    fit: float = 0.5
    split_seed: int = 0

    def resolved(self) -> LibrarySettings:
        """Settings with the defaults of drawn libraries.

        Raises
        ------
        ValueError
            If there is no library, or a setting does not apply to it.
        """
        drawn: dict[str, Any] = {"pairs": 48, "negative": "replace", "size": 224, "library_seed": 0}
        if self.library is None:
            raise ValueError("library: expected scenes, emoji or a folder of concepts; got none (--library scenes).")
        other = ("groups",) if self.is_drawn else ("negative", "size", "library_seed")
        kind = "folders" if self.is_drawn else "the drawn libraries (scenes, emoji)"
        for name in other:
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: a setting of {kind}, which '{self.library}' is not; leave it out.")
        if not self.is_drawn:
            return self
        return replace(self, **{name: value for name, value in drawn.items() if getattr(self, name) is None})

    @property
    def is_drawn(self) -> bool:
        """Whether the library is one that comes with the package."""
        return self.library in ("scenes", "emoji")

    def make(self) -> ConceptLibrary:
        """Draw or read the library.

        Raises
        ------
        ValueError, OSError
            As the functions of :mod:`mllm_probe.concepts`.
        """
        own = self.resolved()
        try:
            if own.is_drawn:
                drawn = {"concepts": own.concepts, "pairs": own.pairs, "negative": own.negative, "size": own.size}
                library = getattr(mp.concepts, str(own.library))(seed=own.library_seed, **drawn)
                return library if own.categories is None else library.subset(categories=own.categories)
            library = mp.concepts.from_folder(str(own.library), groups=own.groups)
            return library.subset(concepts=own.concepts, categories=own.categories, pairs=own.pairs)
        except KeyError as error:  # an unknown concept; its text as it was written
            raise ValueError(error.args[0]) from error

    def fit_half(self) -> ConceptLibrary:
        """Images to make vectors with: the fitted half, or all of them for a share of 1."""
        return self.make() if self.fit == 1 else self.make().split(self.fit, self.split_seed)[0]


NO_LIBRARY = LibrarySettings()
"""Where no library is asked for."""


def layers_of(layers: list[int | str] | None) -> Layers:
    """Blocks as the package takes them: ``"all"`` where none or "all" was asked for, ``"input"`` by itself."""
    if layers is None or layers == ["all"]:
        return "all"
    return "input" if layers == ["input"] else layers
