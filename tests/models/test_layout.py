"""The parts of a model are found by one rule, given by hand, or refused with a text that helps."""

from __future__ import annotations

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from mllm_probe.models import LayoutError, ProbeModel, find_layout
from tests.zoo import FAMILIES, build


def test_parts_of_a_llava(tiny: ProbeModel) -> None:
    hf, layout = tiny.hf, tiny.layout
    assert list(layout.blocks) == list(hf.model.language_model.layers)
    assert layout.backbone is hf.model.language_model
    assert layout.final_norm is hf.model.language_model.norm
    assert layout.head is hf.lm_head
    assert layout.vision_tower is hf.model.vision_tower
    assert layout.projector is hf.model.multi_modal_projector
    assert layout.caller is hf
    assert layout.image_token_id == hf.config.image_token_index
    assert layout.paths["blocks"] == "model.language_model.layers"


@pytest.mark.parametrize(
    ("name", "blocks", "norm"),
    [
        ("mllama", "model.language_model.layers", "model.language_model.norm"),
        ("idefics", "model.layers", "model.norm"),
        ("florence2", "model.language_model.decoder.layers", None),
        ("lfm2_vl", "model.language_model.layers", "model.language_model.embedding_norm"),
        ("blip2", "language_model.model.decoder.layers", "language_model.model.decoder.final_layer_norm"),
        ("gemma3n", "model.language_model.layers", "model.language_model.norm"),
    ],
)
def test_parts_of_uncommon_families(name: str, blocks: str, norm: str | None) -> None:
    layout = find_layout(build(FAMILIES[name])[0])
    assert layout.paths["blocks"] == blocks
    assert layout.paths.get("final_norm") == norm


def test_blocks_by_path_list_or_modules_are_the_same(tiny: ProbeModel) -> None:
    path = "model.language_model.layers"
    inside = tiny.hf.get_submodule(path)
    for given in (path, inside, list(inside)):
        layout = find_layout(tiny.hf, blocks=given)
        assert layout.blocks == tiny.layout.blocks
        assert layout.backbone is tiny.layout.backbone


def test_a_stream_is_chosen_where_blocks_carry_several() -> None:
    assert find_layout(build(FAMILIES["gemma3n"])[0]).stream_index == 0


def test_a_language_model_without_pictures_is_refused() -> None:
    text = LlamaForCausalLM(
        LlamaConfig(vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    )
    with pytest.raises(LayoutError, match=r"LlamaForCausalLM \(family llama\) takes no images.*scenes-8l"):
        find_layout(text)


def test_blocks_that_are_not_found_say_what_was_tried(tiny: ProbeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.hf.config.get_text_config(decoder=True), "num_hidden_layers", 7)
    with pytest.raises(LayoutError, match=r"Tried: .* length 7 .*layers \(4\).*mp\.wrap\(hf_model, blocks="):
        find_layout(tiny.hf)


@pytest.mark.parametrize("given", ["model.nothing", [], [object()]])
def test_wrong_blocks_by_hand_are_refused(tiny: ProbeModel, given: object) -> None:
    with pytest.raises(LayoutError, match=r"family llava\).*blocks="):
        find_layout(tiny.hf, blocks=given)  # type: ignore[arg-type]
