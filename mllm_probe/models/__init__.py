"""A Hugging Face image-text model: its blocks, token roles, batches and position ids."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.models.bundled import assembled_names, bundled_folder, bundled_names
    from mllm_probe.models.images import as_image, content_hash
    from mllm_probe.models.inputs import Encoded, Request, continuation_positions, prompt_positions, token_roles
    from mllm_probe.models.layout import Layout, LayoutError, find_layout
    from mllm_probe.models.probe_model import ModelLock, ProbeModel, require_model
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "Encoded",
    "Layout",
    "LayoutError",
    "ModelLock",
    "ProbeModel",
    "Request",
    "as_image",
    "assembled_names",
    "bundled_folder",
    "bundled_names",
    "content_hash",
    "continuation_positions",
    "find_layout",
    "prompt_positions",
    "require_model",
    "token_roles",
]
