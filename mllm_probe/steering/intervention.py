"""Steering and Composition: which vector edits which layers and tokens, at what strength, by which operation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import content_hash
from mllm_probe.activations.hooks import listed_layers
from mllm_probe.models.argument_checks import require_one_of, whole_number
from mllm_probe.steering.operations import CONCEPT, CONTROLS, ChangeFunction, Draw, Operation, as_operation, is_seeded
from mllm_probe.tokens.selection import Scope, parse_scope, require_image_at_input
from mllm_probe.typing import Layers, TokenScope
from mllm_probe.vectors.directions import Directions, directions_of

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

_PART_SEEDS = 1_000_003


@dataclass(frozen=True, eq=False)
class Steering:
    """One intervention on the residual stream.

    Parameters
    ----------
    vectors : xarray.Dataset
        Vectors of one concept, such as ``vectors.sel(concept="cat")``. Each edited position uses the vector captured
        at its own scope (the last prompt position and generated ones last_prompt's, special tokens text's), else one
        captured at ``all``, else last_prompt's, else the only one there is.
    layers : int, "input", sequence of int or "input", slice or "all"
        Blocks whose output is edited, -1 is the last; each gets the full dose. ``"input"`` edits the input of block 0,
        at image positions alone.
    strength : float
        Signed dose for ``add``; for ``ablate`` and ``replace`` the fraction 0 … 1. At 0 nothing is edited.
    unit : {"residual", "vector", "raw"}
        ``residual``: strength × the residual norm of the position's own role at that layer; ``vector``: strength ×
        the vector (probe and PCA directions have the mean difference's length); ``raw``: strength × the vector as its
        method gave it. Not for ``ablate`` and ``replace``.
    tokens : str, tuple of str, list of int or bool array
        ``"all"`` (every position but padding and begin-of-sequence, and the generated ones), ``"image"``, ``"text"``,
        ``"last_prompt"``, ``"generated"``, several of these, positions in the prompt (negative from its end), or a mask
        [positions] of the prompt, [patch rows, patch columns] of the image, or
        [images, patch rows, patch columns] of several. Generated token k is edited when it is fed back to give
        token k + 1; token 0 comes from the last prompt position.
    operation : {"add", "ablate", "replace"}, Operation or callable
        h + dose; h − f (h·v̂ − μ₋) v̂; h − f (h·v̂ − μ₋)(v̂ − v̂_to). Or an :class:`Operation`, or a function
        ``(h, v, dose) -> change``, see there.
    to : xarray.Dataset, optional
        The concept that replaces, such as ``vectors.sel(concept="dog")``.
    kind : {"concept", "random", "on_manifold", "shuffled", "orthogonal"}
        Set by :meth:`control`.
    seed, draw : int
        Of a control.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> cat = mp.Steering(vectors.sel(concept="cat"), layers=[4], strength=1.0)
    >>> both = mp.compose(cat, mp.Steering(vectors.sel(concept="neon"), layers=[2], strength=0.5, tokens="image"))
    """

    vectors: xr.Dataset = field(repr=False)
    layers: Layers
    strength: float = 1.0
    unit: str = "residual"
    tokens: TokenScope = ("last_prompt", "generated")
    operation: str | Operation | ChangeFunction = "add"
    to: xr.Dataset | None = field(default=None, repr=False)
    kind: str = CONCEPT
    seed: int = 0
    draw: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "_blocks", _checked_layers(self.layers, self.directions))
        # As they were asked for: `replace` reads them again, and a coordinate -1 would then mean the last block.
        object.__setattr__(self, "layers", tuple(schema.layer_names(self.blocks)))
        operation = as_operation(self.operation)
        object.__setattr__(self, "_declared", operation)
        object.__setattr__(self, "strength", operation.checked_strength(self.strength))
        require_one_of("unit", self.unit, schema.UNITS)
        require_one_of("kind", self.kind, (CONCEPT, *CONTROLS))
        object.__setattr__(self, "_scope", parse_scope(self.tokens))
        require_image_at_input(self.scope.names, self.blocks, f"tokens '{self.scope}'")
        if (self.to is not None) != ("to" in operation.uses):
            raise ValueError(
                "operation 'replace' needs to=, the vectors of the other concept, such as to=vectors.sel(concept='dog')"
                f"; only 'replace' takes it. Got operation '{operation.name}' with to={_named(self.to)}."
            )
        if self.to is not None:
            _checked_layers(self.layers, directions_of(self.to))
        _require_control(self)

    @property
    def directions(self) -> Directions:
        """The vectors as tensors."""
        return directions_of(self.vectors)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Coordinates of what ``layers`` means: numbers of blocks, ``schema.INPUT`` for the input of block 0."""
        return self._blocks  # type: ignore[attr-defined]

    @property
    def scope(self) -> Scope:
        """The parsed token scope."""
        return self._scope  # type: ignore[attr-defined]

    @property
    def declared(self) -> Operation:
        """The declaration of the operation."""
        return self._declared  # type: ignore[attr-defined]

    @property
    def parts(self) -> tuple[Steering, ...]:
        """Itself, as a composition of one."""
        return (self,)

    @property
    def needs_editor(self) -> bool:
        """Whether only the general :class:`~mllm_probe.steering.editor.Editor` can make this edit, not a buffer.

        True where it edits the prompt before its last token, or where its operation has no affine form.
        """
        return self.strength != 0 and (self.scope.touches_prompt or self.declared.affine is None)

    def control(self, kind: str, seed: int = 0, draw: int = 0) -> Steering:
        """The same intervention along a direction that is not the concept's.

        Parameters
        ----------
        kind : {"random", "on_manifold", "shuffled", "orthogonal", "concept"}
            At each position a control changes the activation by the length that this steering would, along its own
            direction. ``random``: isotropic, the same at every layer. ``on_manifold``: one in which the activations of
            the vectors' own images differ. ``shuffled``: a vector from exchanged labels, kept with the vectors.
            ``orthogonal``: the random direction without its component along the concept's vector at the edited layer,
            which in a residual stream of width d is about 1/√d of it.
        seed : int
            Of all but ``shuffled``, whose seed is that of the vectors.
        draw : int
            Number of the draw; of all but ``shuffled``, draw 2j + 1 is the opposite of draw 2j.
        """
        require_one_of("kind", kind, (CONCEPT, *CONTROLS))
        return replace(self, kind=kind, seed=seed, draw=draw)

    def direction(self, kind: str, layer: int) -> Tensor:
        """Unit vector [hidden], float32, of the concept, or of the control that this is, at a kind of position.

        Parameters
        ----------
        kind : str
            One of ``KINDS``; the vector is that of its own scope, else of another one, as for the edit.
        layer : int
            Any layer that the vectors have, edited or not.
        """
        directions, control = self.directions, CONTROLS.get(self.kind)
        scope = directions.scope_for(kind)
        if control is None:
            return directions.unit(scope, layer)
        return control.direction(directions, scope, layer, Draw(self.seed, self.draw))

    @property
    def label(self) -> str:
        """The concept's name, marked when this is a control of it."""
        if self.kind == CONCEPT:
            return self.directions.name
        seed = f"seed {self.seed}, " * is_seeded(self.kind)
        return f"{self.kind} ({seed}draw {self.draw}) for {self.directions.name}"

    @property
    def identity(self) -> str:
        """A text that differs wherever the edits do, numbers of the vectors included: stores are told apart by it."""
        vectors = [content_hash(dataset) for dataset in (self.vectors, self.to) if dataset is not None]
        facts = [str(self), self.declared.identity, self.scope.plain(), self.kind, self.seed, self.draw, *vectors]
        return json.dumps(facts)

    def __str__(self) -> str:
        layers = ", ".join(map(str, self.layers))  # type: ignore[arg-type]
        dose = f"{self.strength:+g} {self.unit}" if self.declared.in_unit else f"{self.strength:g}"
        how = dose if self.declared.name == "add" else f"{self.declared.name} {dose}"
        other = f" → {directions_of(self.to).name}" if self.to is not None else ""
        return f"{self.label}{other}, layers {layers}, {how}, {self.scope}"

    def __repr__(self) -> str:
        return f"<Steering {self}>"


@dataclass(frozen=True, eq=False, repr=False)
class Composition:
    """Several steerings of one row, applied in order where they meet."""

    parts: tuple[Steering, ...]

    def control(self, kind: str, seed: int = 0, draw: int = 0) -> Composition:
        """The control of every part; random parts draw independently of each other."""
        apart = _PART_SEEDS if is_seeded(kind) else 0
        return Composition(tuple(part.control(kind, seed + apart * i, draw) for i, part in enumerate(self.parts)))

    @property
    def label(self) -> str:
        """Names of the parts."""
        return " + ".join(part.label for part in self.parts)

    @property
    def identity(self) -> str:
        """Identities of the parts, in their order."""
        return "; ".join(part.identity for part in self.parts)

    def __str__(self) -> str:
        return "; ".join(map(str, self.parts))

    def __repr__(self) -> str:
        return f"<Composition {self}>"


RowEdit = Steering | Composition | None


def compose(*parts: Steering | Composition) -> Composition:
    """Several steerings as one.

    Parameters
    ----------
    *parts : Steering or Composition
        At least one. Where two edit the same position of a layer, they apply in this order.
    """
    wrong = [part for part in parts if not isinstance(part, (Steering, Composition))]
    if wrong or not parts:
        raise ValueError(f"compose expects one or more steerings; got {type(wrong[0]).__name__ if wrong else 'none'}.")
    return Composition(tuple(single for part in parts for single in part.parts))


def as_rows(steering: RowEdit | Sequence[RowEdit]) -> list[RowEdit]:
    """One steering, None, or a list of them with one per row, as a list."""
    if steering is None or isinstance(steering, (Steering, Composition)):
        return [steering]
    rows: list[Any] = list(steering) if isinstance(steering, (list, tuple)) else [steering]
    wrong = [row for row in rows if row is not None and not isinstance(row, (Steering, Composition))]
    if wrong or not rows:
        got = type(wrong[0]).__name__ if wrong else "an empty list"
        raise ValueError(f"steering: expected a Steering, a Composition, None, or a list of these; got {got}.")
    return rows


def _named(vectors: xr.Dataset | None) -> str:
    return "None" if vectors is None else directions_of(vectors).name


def _checked_layers(layers: Layers, directions: Directions) -> tuple[int, ...]:
    if isinstance(layers, str) and layers == "all":
        layers = [n for n in directions.layers if n != schema.INPUT]
    total = directions.total_layers
    given = listed_layers(layers, total)
    numbers = [schema.INPUT if isinstance(n, str) else n + total if n < 0 else n for n in given]
    for asked, number in zip(given, numbers, strict=True):
        # A block below the first has the input's coordinate: -1 of vectors that hold no block, -5 of four blocks.
        if number not in directions.layers or (number < 0 and not isinstance(asked, str)):
            available = ", ".join(map(str, schema.layer_names(directions.layers)))
            raise ValueError(
                f"layers: no vector of '{directions.name}' at layer {asked}; there are vectors at {available}."
            )
    return tuple(dict.fromkeys(numbers))


def _require_control(steering: Steering) -> None:
    whole_number("seed", steering.seed)
    whole_number("draw", steering.draw)
    control = CONTROLS.get(steering.kind)
    available = None if control is None else control.available(steering.vectors)
    if control is not None and available is not None and steering.draw >= available:
        raise ValueError(
            f"no {control.name} draw {steering.draw} of '{_named(steering.vectors)}': the vectors carry {available}. "
            f"Make them with {control.how_to_get}."
        )


def require_vectors_of(model: ProbeModel, rows: Sequence[RowEdit]) -> None:
    """Raise a ValueError unless all vectors of the rows were made with the weights of ``model``.

    The weights are looked at once, by PyTorch's counters: this runs for every slider move and every chunk of a sweep.
    """
    parts = [part for row in rows if row is not None for part in row.parts]
    given = [(vectors, part) for part in parts for vectors in (part.vectors, part.to) if vectors is not None]
    weights = model.weights.fingerprint(counted=True) if given else None
    for vectors, part in given:
        what = f"the vectors of '{part.directions.name}'"
        if vectors.attrs.get("weights") != weights:
            schema.require_same_model(vectors, model, what)
        schema.require_width(vectors, model, what)
