"""Interchange interventions: activations of the run on one image put into the run on its counterfactual."""

from mllm_probe.patching.interchange_api import patch

__all__ = ["patch"]
