"""The pairs of a library as a patch runs them: images, token groups, changed image tokens, donors of the controls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe import schema
from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.models.argument_checks import described, listed
from mllm_probe.models.inputs import IMAGE, SPECIAL, TEXT
from mllm_probe.models.layout import family_of, why_no_image_tokens
from mllm_probe.models.prompts import processed_tensors
from mllm_probe.tokens.positions import of_encoded
from mllm_probe.typing import Library
from mllm_probe.vectors.pooling import as_requests

THRESHOLD = 8
"""Largest difference of two equal pixels, of 255: what resampling and compression change."""
_ROUNDING = 1e-3
"""Levels that normalising and its inverse may lose in float32."""


def why_no_patches(model: ProbeModel, encoded: Encoded) -> str:
    """Why the pixels of each image token are not known, in words for an error; empty where they are."""
    if family_of(model.hf.config).image_queries:
        return "each of its image tokens reads the whole image"
    image = encoded.roles[0].numpy() == 1
    if not image.any():
        return "its sequence has no image tokens"
    if (encoded.patch_row[0, image] < 0).any() or encoded.image[0].max() > 0:
        return "its image tokens form no single grid"
    return ""


def why_no_pixels(model: ProbeModel, encoded: Encoded) -> str:
    """Why changed patches cannot be found, in words for an error; empty where they can."""
    why = why_no_patches(model, encoded)
    if why:
        return why
    if _image_processor(model) is None:
        return "it was wrapped without a processor, so that the normalisation of its pixels is not known"
    tensors, shape = encoded.tensors, tuple(encoded.tensors["pixel_values"].shape) if _has_pixels(encoded) else ()
    tokens = int((encoded.roles[0].numpy() == 1).sum())
    if len(shape) == 4 or (len(shape) == 5 and shape[1] == 1):
        return ""
    if len(shape) == 2 and "image_grid_thw" in tensors and shape[0] % tokens == 0:
        return ""
    return f"pixels of shape {list(shape)} are not known to lie as its image tokens do"


def changed_tokens(model: ProbeModel, base: Encoded, other: Encoded, requests: tuple[Request, Request]) -> np.ndarray:
    """Image tokens whose own pixels differ by more than ``THRESHOLD`` of 255, before normalisation.

    `base`, `other`: of a pair, with equal layout; see :func:`why_no_pixels`. `requests`: the same, to process them anew
    where the model's type holds pixels only roughly. Returns bool array [tokens].
    """
    exact = [encoded.tensors for encoded in (base, other)]
    if model.dtype.itemsize < torch.float32.itemsize:
        exact = [processed_tensors(model, [request]) for request in requests]
    first, second = (tensors["pixel_values"].float().cpu() for tensors in exact)
    image = base.roles[0].numpy() == 1
    tokens = int(image.sum())
    if first.ndim == 2:
        differs = _of_patches(model, first, second, tokens)
    else:
        rows, columns = int(base.patch_row[0].max()) + 1, int(base.patch_column[0].max()) + 1
        grid = _of_image(model, first.reshape(-1, *first.shape[-3:])[0], second.reshape(-1, *second.shape[-3:])[0])
        cells = _tiles(grid, rows, columns)
        differs = cells[base.patch_row[0, image], base.patch_column[0, image]]
    changed = np.zeros(len(image), bool)
    changed[image] = differs
    return changed


def _of_patches(model: ProbeModel, first: Tensor, second: Tensor, tokens: int) -> np.ndarray:
    """Patches [patches, channels · …] that belong to tokens in order, as many for each."""
    channels = len(_scale(model, 3))
    apart = (first - second).abs().reshape(len(first), channels, -1).amax(-1) * _scale(model, channels)
    return (apart > THRESHOLD + _ROUNDING).any(-1).reshape(tokens, -1).any(-1).numpy()


def _of_image(model: ProbeModel, first: Tensor, second: Tensor) -> np.ndarray:
    """Pixels [height, width] of images [channels, height, width] that differ."""
    scale = _scale(model, first.shape[0])
    return ((first - second).abs() * scale[:, None, None] > THRESHOLD + _ROUNDING).any(0).numpy()


def _tiles(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Whether any pixel of each cell of a grid is set, [rows, columns]; a pixel on a border counts for both cells."""
    height, width = pixels.shape
    cells = np.zeros((rows, columns), bool)
    for r, c in np.ndindex(rows, columns):
        top, left = r * height // rows, c * width // columns
        cells[r, c] = pixels[top : -(-(r + 1) * height // rows), left : -(-(c + 1) * width // columns)].any()
    return cells


def _scale(model: ProbeModel, channels: int) -> Tensor:
    """Levels of 255 in one unit of each processed channel: processed = (level · rescale − mean) / std."""
    processor = _image_processor(model)
    std = getattr(processor, "image_std", None) if getattr(processor, "do_normalize", False) else None
    rescale = getattr(processor, "rescale_factor", 1.0) if getattr(processor, "do_rescale", False) else 1.0
    given = [1.0] * channels if std is None else [std] * channels if isinstance(std, float) else list(std)
    return torch.tensor(given) / rescale


def _image_processor(model: ProbeModel) -> Any:
    return getattr(model.processor, "image_processor", None)


def _has_pixels(encoded: Encoded) -> bool:
    return isinstance(encoded.tensors.get("pixel_values"), Tensor)


PATCHES, ALL_BUT = "patches", "all_but_patches"
_OF_PIXELS = ("changed", "unchanged")
_OF_IMAGES = (*_OF_PIXELS, "image", PATCHES, ALL_BUT)


@dataclass(frozen=True)
class TokenLayout:
    """Where a prompt has which tokens; two prompts of equal ``key`` differ in their images alone.

    `roles`: int8 array [tokens]. `last`: column of the last prompt token. `patch_row`, `patch_column`: int array
    [tokens].
    """

    roles: np.ndarray
    last: int
    patch_row: np.ndarray
    patch_column: np.ndarray
    key: str = field(init=False)
    ids: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        words = np.where(self.roles == IMAGE, -1, self.ids)
        parts = (self.roles.astype(np.int64), words, self.patch_row, self.patch_column)
        digest = hashlib.blake2b(b"|".join(np.ascontiguousarray(part).tobytes() for part in parts), digest_size=8)
        object.__setattr__(self, "key", digest.hexdigest())

    @classmethod
    def of(cls, encoded: Encoded) -> TokenLayout:
        """Of one sample."""
        where = of_encoded(encoded)
        ids = encoded.sequence[0].cpu().numpy()
        return cls(where.roles[0], int(where.last[0]), where.patch_row[0], where.patch_column[0], ids)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return int(self.patch_row.max(initial=-1)) + 1, int(self.patch_column.max(initial=-1)) + 1

    def __str__(self) -> str:
        counts = [f"{(self.roles == i).sum()} {name}" for i, name in enumerate(schema.ROLES) if (self.roles == i).any()]
        return f"{len(self.roles)} positions ({', '.join(counts)})"


@dataclass(frozen=True)
class Group:
    """One token group.

    `name`: in the dimension ``group``. `kind`: as it was asked for. `patch`: row and column of the image token of
    ``"patches"`` and ``"all_but_patches"``.
    """

    name: str
    kind: str
    patch: tuple[int, int] | None = None

    def columns(self, layout: TokenLayout, changed: np.ndarray | None) -> np.ndarray:
        """Positions, bool [tokens].

        `changed` (bool array [tokens] or None): image tokens whose pixels differ, where that is known.
        """
        roles, last = layout.roles, np.arange(len(layout.roles)) == layout.last
        if self.patch is not None:
            inside = (layout.patch_row == self.patch[0]) & (layout.patch_column == self.patch[1])
            return inside if self.kind == PATCHES else _everything(layout) & ~inside
        if self.kind in _OF_PIXELS:
            assert changed is not None
            return (roles == IMAGE) & (changed if self.kind == "changed" else ~changed)
        masks = {
            "image": (roles == IMAGE) & ~last,
            "text": (roles == TEXT) & ~last,
            "last_prompt": last,
            "special": (roles == SPECIAL) & ~last,
            "all": _everything(layout),
        }
        return masks[self.kind]


def _everything(layout: TokenLayout) -> np.ndarray:
    return layout.roles != schema.ROLES.index("padding")


def asked_groups(groups: object) -> tuple[str, ...]:
    """Names in a ``groups=`` argument, each once, or a ValueError that lists what there is."""
    given = [groups] if isinstance(groups, str) else listed(groups)
    known = (*schema.GROUPS, PATCHES, ALL_BUT)
    wrong = [name for name in given or [] if name not in known]
    if not given or wrong:
        got = described(wrong[0] if wrong else groups)
        raise ValueError(f"groups: expected one or more of {', '.join(known)}; got {got}.")
    return tuple(dict.fromkeys(given))


def resolve_groups(model: ProbeModel, encoded: Encoded, asked: Sequence[str]) -> list[Group]:
    """The groups of a prompt; single patches each by themselves.

    Raises ValueError if this family has no image tokens, or no known pixels of each, and a group needs them; or if a
    group is empty.
    """
    layout, groups = TokenLayout.of(encoded), list[Group]()
    for name in asked:
        _require_known(model, encoded, name)
        if name in (PATCHES, ALL_BUT):
            rows, columns = layout.grid
            for place in np.ndindex(rows, columns):
                groups.append(Group(schema.patch_name(*place, all_but=name == ALL_BUT), name, place))
            continue
        group = Group(name, name)
        if name not in _OF_PIXELS and not group.columns(layout, None).any():
            raise ValueError(f"groups: the prompt has no {name} tokens: it has {layout}. Leave '{name}' out.")
        groups.append(group)
    return groups


def _require_known(model: ProbeModel, encoded: Encoded, name: str) -> None:
    absent = why_no_image_tokens(model.hf.config)
    if name in _OF_IMAGES and absent:
        rest = "'text', 'last_prompt' or 'all'"
        raise ValueError(f"groups: '{name}' does not exist in {model.family}: {absent}. Use the groups {rest}.")
    why = why_no_pixels(model, encoded) if name in _OF_PIXELS else ""
    why = why_no_patches(model, encoded) if name in (PATCHES, ALL_BUT) else why
    if why:
        raise ValueError(
            f"groups: '{name}' needs to know which pixels each image token of {model.family} reads, and that is not "
            f"known: {why}. Use the groups 'image', 'text', 'last_prompt' or 'all'."
        )


SIDES = {"insert": ("negative", "positive"), "remove": ("positive", "negative")}
"""Direction → the side whose run is edited, and the side whose activations it takes."""


@dataclass(frozen=True, eq=False)
class Side:
    """One image of a pair.

    `id`: content hash. `labels`: what it shows, where that is known. `group`: shared with its near-duplicates, where
    these are known.
    """

    request: Request
    id: str
    layout: TokenLayout
    labels: frozenset[str] | None
    group: str | None


@dataclass(eq=False)
class Pair:
    """One counterfactual pair of a concept.

    `number`: in its concept.
    `label`: number that its images carry, else ``number``.
    `changed` (bool array [tokens] or None): image tokens whose pixels differ, where it was asked for.
    `donors`: of the controls.
    `shared`: how many labels the unrelated donor has in common with the pair; -1 where labels are not known.
    `counterpart`: what the negative shows in the concept's place; empty where that is not known.
    """

    number: int
    label: int
    positive: Side
    negative: Side
    changed: np.ndarray | None
    donors: dict[str, Side]
    shared: int = -1
    counterpart: str = ""

    def side(self, name: str) -> Side:
        """``"positive"`` or ``"negative"``."""
        return self.positive if name == "positive" else self.negative


class Counterfactuals:
    """All pairs of a library, read and compared before anything runs.

    `pairs`: filled by :meth:`read`. `first`: the first image of the first pair. Raises ValueError if the library is
    none, or a concept is unpaired.
    """

    def __init__(self, model: ProbeModel, library: Library, prompt: str | None) -> None:
        self.model, self.library, self.prompt = model, _checked(library), prompt
        self._sides: dict[str, Side] = {}
        self._layouts: dict[str, TokenLayout] = {}
        self.first: Encoded = self._encoded(self._requests(next(iter(self.library.values())).positive[:1])[0])
        self.pairs: dict[str, list[Pair]] = {}

    def read(self, *, pixels: bool, controls: Sequence[str], seed: int) -> None:
        """Read and compare all pairs, and choose the donors of the controls.

        `pixels`: whether changed patches are needed. `controls`: whose donors are chosen. `seed`: which pairs controls
        take their donors from. Raises ValueError if the images of a pair give prompts of unequal layout, or a control
        has no donor.
        """
        self.pairs = {name: list(self._read(name, pixels)) for name in self.library}
        for name, pairs in self.pairs.items():
            for pair in pairs:
                pair.counterpart = self._counterpart(name, pair)
                for control in controls:
                    self._choose(control, name, pair, seed)

    @property
    def most(self) -> int:
        """Largest number of pairs of a concept."""
        return max(map(len, self.pairs.values()))

    @cached_property
    def counterparts(self) -> list[str]:
        """Names that stand in a concept's place somewhere."""
        return sorted({pair.counterpart for pairs in self.pairs.values() for pair in pairs if pair.counterpart})

    def words(self, name: str) -> tuple[Any, ...]:
        """Words of a concept of the library, or of a label outside of it: its name."""
        return tuple(self.library[name].words) if name in self.library else (name,)

    def _requests(self, images: Sequence[Any]) -> list[Request]:
        return as_requests(self.model, list(images), self.prompt)

    def _encoded(self, request: Request) -> Encoded:
        return self.model.encode_samples([request])

    def _read(self, name: str, pixels: bool) -> Iterator[Pair]:
        concept = self.library[name]
        sides = [self._requests(side) for side in (concept.positive, concept.negative)]
        for number, requests in enumerate(zip(*sides, strict=True)):
            images = (concept.positive[number], concept.negative[number])
            both = [self._encoded(request) for request in requests]
            first, other = (self._side(*each) for each in zip(requests, both, images, strict=True))
            _require_alike(name, number, first, other)
            changed = changed_tokens(self.model, both[0], both[1], requests) if pixels else None
            label = getattr(images[0], "pair", None)
            yield Pair(number, number if label is None else int(label), first, other, changed, {})

    def _side(self, request: Request, encoded: Encoded, image: object) -> Side:
        name = encoded.sample_ids[0]
        if name not in self._sides:
            layout = TokenLayout.of(encoded)
            layout = self._layouts.setdefault(layout.key, layout)  # nearly all images have the same
            facts = (getattr(image, fact, None) for fact in ("labels", "group"))
            self._sides[name] = Side(request, name, layout, *facts)
        return self._sides[name]

    def _counterpart(self, name: str, pair: Pair) -> str:
        """The label that only the negative has; of several, the one of the concept's own category."""
        if pair.positive.labels is None or pair.negative.labels is None:
            return ""
        new = sorted(pair.negative.labels - pair.positive.labels)
        category = str(self.library[name].category)
        alike = [
            candidate
            for candidate in new
            if candidate in self.library and str(self.library[candidate].category) == category
        ]
        among = alike or new
        return among[0] if len(among) == 1 else ""

    def _choose(self, control: str, name: str, pair: Pair, seed: int) -> None:
        """Find the donor of a control, among prompts of the same layout."""
        same = [other for other in self._others(name, pair, seed) if _fits(other, pair)]
        if control == "other_positive":
            donor = next((other.positive for other in same if other.positive.id != pair.positive.id), None)
        else:
            elsewhere = (other for concept in self.pairs if concept != name for other in self.pairs[concept])
            among = chain(same, (other for other in elsewhere if _fits(other, pair)))
            donor = self._unrelated(name, pair, (other.negative for other in among))
        if donor is None:
            raise ValueError(
                f"controls: '{control}' of '{name}' needs another pair whose prompt has the token layout of pair "
                f"{pair.number} ({pair.positive.layout}), and there is none: give more pairs, images of one size, or "
                f"leave '{control}' out."
            )
        pair.donors[control] = donor

    def _others(self, name: str, pair: Pair, seed: int) -> list[Pair]:
        """The other pairs of the concept, beginning behind this one so that neighbours share what is in memory."""
        pairs = self.pairs[name]
        first = pair.number + 1 + seed % max(len(pairs) - 1, 1)
        order = [pairs[(first + step) % len(pairs)] for step in range(len(pairs))]
        return [other for other in order if other is not pair]

    def _unrelated(self, name: str, pair: Pair, among: Iterable[Side]) -> Side | None:
        """The first image that shares least with the pair, where possible one that lacks the concept."""
        mine = (pair.positive.labels or frozenset()) | (pair.negative.labels or frozenset())
        best: Side | None = None
        fewest = (True, len(mine) + 1)
        for side in among:
            if side.id in (pair.positive.id, pair.negative.id):
                continue
            if not mine:
                return side
            labels = side.labels or frozenset()
            shared = (side.labels is None or name in labels, len(labels & mine))
            if shared < fewest:
                best, fewest = side, shared
                pair.shared = shared[1] if side.labels is not None else -1
            if fewest == (False, 0):
                break
        return best


def _fits(other: Pair, pair: Pair) -> bool:
    """Whether images of another pair may be donors: of one token layout, and no near-duplicates of the pair's."""
    groups = [{side.group for side in (member.positive, member.negative)} - {None} for member in (other, pair)]
    return other.positive.layout.key == pair.positive.layout.key and groups[0].isdisjoint(groups[1])


def _checked(library: object) -> Library:
    expected = "library: expected a library of counterfactual pairs, such as mp.concepts.scenes(negative='replace')"
    if not isinstance(library, Mapping) or not len(library):
        raise ValueError(f"{expected}; got {described(library)}.")
    for name, concept in library.items():
        lacking = [part for part in ("positive", "negative", "words", "paired") if not hasattr(concept, part)]
        if lacking:
            raise ValueError(f"{expected}; '{name}' is a {type(concept).__name__} without '{lacking[0]}'.")
        if not concept.paired or len(concept.positive) != len(concept.negative):
            raise ValueError(
                f"{expected}; the images of '{name}' are not paired, so that no run has a counterfactual. For unpaired "
                "images, steer with a vector instead: mp.sweep(model, mp.concept_vectors(model, library), …)."
            )
    return library


def _require_alike(name: str, number: int, first: Side, other: Side) -> None:
    if first.layout.key != other.layout.key:
        raise ValueError(
            f"the images of pair {number} of '{name}' give prompts of unequal token layout: {first.layout} and "
            f"{other.layout}. Activations can be exchanged position by position only: give both images of a pair one "
            "size, or steer with a vector instead (mp.sweep), which needs no pairs."
        )
