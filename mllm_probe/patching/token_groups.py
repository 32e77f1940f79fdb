"""Token groups of a prompt: disjoint sets of positions, all positions, and single image tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mllm_probe import schema
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.argument_checks import described, listed
from mllm_probe.models.families import why_no_image_tokens
from mllm_probe.models.roles import IMAGE, SPECIAL, TEXT
from mllm_probe.patching.changed_patches import why_no_patches, why_no_pixels
from mllm_probe.tokens.positions import of_encoded

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
            own = (layout.patch_row == self.patch[0]) & (layout.patch_column == self.patch[1])
            return own if self.kind == PATCHES else _everything(layout) & ~own
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
    layout, found = TokenLayout.of(encoded), list[Group]()
    for name in asked:
        _require_known(model, encoded, name)
        if name in (PATCHES, ALL_BUT):
            rows, columns = layout.grid
            for place in np.ndindex(rows, columns):
                found.append(Group(schema.patch_name(*place, all_but=name == ALL_BUT), name, place))
            continue
        group = Group(name, name)
        if name not in _OF_PIXELS and not group.columns(layout, None).any():
            raise ValueError(f"groups: the prompt has no {name} tokens: it has {layout}. Leave '{name}' out.")
        found.append(group)
    return found


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
