"""Warnings that point at the line outside of the package that led to them."""

from __future__ import annotations

import sys
import warnings


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning for the nearest caller that is not part of this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("mllm_probe"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
