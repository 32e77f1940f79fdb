"""The loaded model tells its parts and knows its weights."""

from __future__ import annotations

import copy

import torch

from mllm_probe.loading import wrap
from mllm_probe.models import ProbeModel, bundled_folder, bundled_names
from tests.conftest import put
from tests.zoo import tiny_llava


def test_describe_names_every_part(tiny: ProbeModel) -> None:
    text = tiny.describe()
    for part in (
        "model.language_model.layers  (4 × LlamaDecoderLayer, width 32)",
        "last block → model.language_model.norm",
        "lm_head",
        "model.vision_tower",
        "model.multi_modal_projector",
        "LlavaProcessor",
        f"{tiny.device}, float32",
        tiny.fingerprint,
    ):
        assert part in text
    assert "0x" not in repr(tiny)


def test_evaluation_mode_without_gradients(tiny: ProbeModel) -> None:
    hf = copy.deepcopy(tiny.hf).train().requires_grad_(True)
    model = wrap(hf, tiny.processor)
    assert not hf.training
    assert not any(parameter.requires_grad for parameter in hf.parameters())
    assert (list(model.layers), model.hidden_size, model.dtype) == ([0, 1, 2, 3], 32, torch.float32)


def test_fingerprint_follows_weights_not_precision(tiny: ProbeModel, device: str) -> None:
    same, other = put(tiny_llava(), device), put(tiny_llava(seed=1), device)
    assert len(tiny.fingerprint) == 12
    assert tiny.fingerprint == same.fingerprint != other.fingerprint
    assert wrap(copy.deepcopy(tiny.hf).bfloat16()).fingerprint == tiny.fingerprint
    changed = copy.deepcopy(tiny.hf)
    with torch.no_grad():
        changed.model.language_model.layers[2].mlp.up_proj.weight.mul_(1.5)
    assert wrap(changed).fingerprint != tiny.fingerprint


def test_generic_prompt_and_suggestions(tiny: ProbeModel) -> None:
    plain = wrap(copy.deepcopy(tiny.hf), tiny.processor)
    assert (plain.default_prompt, plain.default_answer_prefix) == ("Describe the image.", "")
    assert "What do you see?" in plain.suggestions
    facts = {"default_prompt": "which words ?", "default_answer_prefix": "a", "suggestions": ["cat ?"]}
    told = wrap(plain.hf, tiny.processor, facts=facts)
    assert (told.default_prompt, told.default_answer_prefix, told.suggestions) == ("which words ?", "a", ("cat ?",))


def test_bundled_models_are_folders() -> None:
    assert bundled_folder("nonesuch") is None
    for name in bundled_names():
        folder = bundled_folder(name)
        assert folder is not None and (folder / "config.json").is_file()
