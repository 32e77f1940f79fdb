"""What ``steering=`` of a reading function means: one function, which every kind of edit registers itself with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import singledispatch
from typing import Any

from mllm_probe.models import Encoded, ProbeModel


@singledispatch
def editing(steering: object, model: ProbeModel, encoded: Encoded) -> AbstractContextManager[Any]:
    """Context manager: forwards of ``model`` on ``encoded`` are edited while it is open.

    `steering`: ``mllm_probe.steering`` registers Steering, Composition, None, and a list or tuple of these with one per
    row. `encoded`: the batch that is fed in the block. Returns: gives the receipt of the run. Raises ValueError if
    nothing is registered for the type of ``steering``.
    """
    raise ValueError(
        "steering: expected a Steering, a Composition, None, or a list of these with one per row; got "
        f"{type(steering).__name__}. Make one with mp.Steering(vectors.sel(concept=...), layers=[...])."
    )


def require_one_edit(steering: object) -> None:
    """Raise a ValueError unless ``steering`` is one edit for all samples, of a type that :func:`editing` takes."""
    # Rows of a list are lines of one batch, but samples are read in batches of a size that is planned: refused here.
    if isinstance(steering, (list, tuple)) or editing.dispatch(type(steering)) is editing.dispatch(object):
        raise ValueError(
            "steering: expected a Steering, a Composition of several (mp.compose) or None, for all samples; got "
            f"{type(steering).__name__}."
        )
