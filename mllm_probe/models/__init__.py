"""A Hugging Face image-text model: its blocks, token roles, batches and position ids."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.models.bundled import assembled_names, bundled_folder, bundled_names
    from mllm_probe.models.images import as_image, content_hash
    from mllm_probe.models.inputs import Encoded, Request
    from mllm_probe.models.layout import Layout, LayoutError, find_layout
    from mllm_probe.models.lock import ModelLock
    from mllm_probe.models.position_ids import continuation_positions, prompt_positions
    from mllm_probe.models.probe_model import ProbeModel, require_model
    from mllm_probe.models.roles import token_roles
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
