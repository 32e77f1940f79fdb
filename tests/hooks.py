"""Hooks of the package that are on a model now, for tests that none of them stays."""

from mllm_probe.activations import hooks
from mllm_probe.models import ProbeModel


def active_hooks(model: ProbeModel) -> int:
    """Count the hooks of the package on the model's modules; 0 outside every ``with`` block."""
    modules = {id(m): m for m in (*model.hf.modules(), *model.layout.blocks, model.layout.caller)}.values()
    tables = (table for m in modules for table in (m._forward_hooks, m._forward_pre_hooks))
    return sum(type(hook).__module__ == hooks.__name__ for table in tables for hook in table.values())
