"""A loaded model that can verify itself."""

from __future__ import annotations

from mllm_probe.models import ProbeModel


class Model(ProbeModel):
    """A ``ProbeModel`` with checks of its parts; made by ``load`` and ``wrap``."""

    def require_verified(self) -> None:
        """Raise unless the quick checks pass."""
