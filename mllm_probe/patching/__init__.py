"""Interchange interventions: activations of the run on one image put into the run on its counterfactual."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.patching.interchange_api import patch
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = ["patch"]
