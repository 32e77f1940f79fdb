"""Which parts of a model lie on which device."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mllm_probe.models.probe_model import ProbeModel


def placement(model: ProbeModel) -> dict[str, str]:
    """Which parts of a model lie on which device, where they lie on several."""
    layout = model.layout
    named = {"embeddings": model.hf.get_input_embeddings(), "vision tower": layout.vision_tower}
    named |= {"projector": layout.projector, "final norm": layout.final_norm, "head": layout.head}
    found: dict[str, list[str]] = {}
    blocks: dict[str, list[int]] = {}
    for number, block in enumerate(layout.blocks):
        blocks.setdefault(_device_of(block), []).append(number)
    for device, numbers in blocks.items():
        found[device] = [f"blocks {_spans(numbers)}"]
    for name, module in named.items():
        if module is not None and (device := _device_of(module)):
            found.setdefault(device, []).append(name)
    return {device: ", ".join(parts) for device, parts in found.items()} if len(found) > 1 else {}


def _device_of(module: nn.Module) -> str:
    """Device of a module's first parameter, empty without any."""
    return next((str(parameter.device) for parameter in module.parameters()), "")


def _spans(numbers: Sequence[int]) -> str:
    """Numbers as spans: 0–3, 5."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{span[0]}–{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)
