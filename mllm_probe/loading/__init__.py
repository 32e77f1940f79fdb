"""Load or wrap a model and verify its parts."""

from __future__ import annotations

from mllm_probe.loading.load import load, wrap
from mllm_probe.loading.model import Model
from mllm_probe.loading.report import Check, Outcome, VerificationError, VerificationReport

__all__ = ["Check", "Model", "Outcome", "VerificationError", "VerificationReport", "load", "wrap"]
