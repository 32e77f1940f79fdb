"""Load or wrap a model and verify its parts."""

from __future__ import annotations

from mllm_probe.loading.loaded_model import Model
from mllm_probe.loading.pretrained import load, wrap
from mllm_probe.loading.randomising import randomised
from mllm_probe.loading.verification_report import Check, Outcome, VerificationError, VerificationReport

__all__ = ["Check", "Model", "Outcome", "VerificationError", "VerificationReport", "load", "randomised", "wrap"]
