"""Tiny models on the devices that calls are tried on."""

from __future__ import annotations

import accelerate

from mllm_probe.models import ProbeModel
from tests import accelerator
from tests.device.calls import Subject
from tests.zoo import tiny_llava


def on(device: str, layers: int = 4) -> Subject:
    """A tiny Llava of some blocks on a device; ``sharded`` has the upper half of its blocks on a second accelerator."""
    accelerator.install()
    model = tiny_llava(layers)
    if device == "sharded":
        _shard(model)
    else:
        model.hf.to(device)
    return Subject(model)


def _shard(model: ProbeModel) -> None:
    """Place the lower half of the blocks and all else on ``sim:0``, the upper half on ``sim:1``."""
    names = {id(module): name for name, module in model.hf.named_modules()}
    blocks = [names[id(block)] for block in model.layout.blocks]
    places = {name: f"sim:{int(i >= len(blocks) // 2)}" for i, name in enumerate(blocks)}
    for name, module in model.hf.named_modules():
        inside = any(name == block or name.startswith(f"{block}.") for block in blocks)
        if not inside and not any(True for _ in module.children()):
            places[name] = "sim:0"
    accelerate.dispatch_model(model.hf, places, main_device="sim:0", force_hooks=True)
