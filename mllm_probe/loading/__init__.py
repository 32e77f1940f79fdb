"""Load or wrap a model and verify its parts."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.loading.loaded_model import Model, randomised
    from mllm_probe.loading.pretrained import load, wrap
    from mllm_probe.loading.verification import Check, Outcome, VerificationError, VerificationReport
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = ["Check", "Model", "Outcome", "VerificationError", "VerificationReport", "load", "randomised", "wrap"]
