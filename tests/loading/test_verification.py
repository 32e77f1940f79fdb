"""Each check of ``verify`` fails on a model that is broken in just that way, and a sound model is left as it was."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mllm_probe.loading import Model, Outcome, VerificationError, VerificationReport, wrap
from mllm_probe.loading.verification import hook_count, without_new_hooks
from mllm_probe.models import ProbeModel
from mllm_probe.models.layout import given_cache
from tests.zoo import tiny_llava


@pytest.fixture
def model() -> Model:
    """A model of its own: the shared one may carry recorders that Transformers installed in an earlier test."""
    fresh = tiny_llava()
    return wrap(fresh.hf, fresh.processor, name="broken")


def _failed(report: VerificationReport) -> set[str]:
    return {check.name for check in report.checks if check.outcome is Outcome.FAILED}


def _change_forward(module: nn.Module, change: Callable[..., Any]) -> None:
    original = module.forward
    changed = functools.wraps(original)(lambda *args, **named: change(original, *args, **named))
    module.forward = changed  # type: ignore[method-assign]


def test_a_sound_model_passes_and_is_left_as_it_was(model: Model) -> None:
    before = {module: (dict(module._forward_hooks), set(vars(module))) for module in model.hf.modules()}
    report = model.verify()
    assert report.passed, str(report)
    assert "verified" in str(report)
    for module, (hooks, attributes) in before.items():
        assert (dict(module._forward_hooks), set(vars(module))) == (hooks, attributes), type(module)


def test_recorders_of_transformers_are_taken_off_and_come_again(model: Model, pictures: list[Image.Image]) -> None:
    tensors = model.encode(pictures[0]).tensors
    with torch.no_grad():
        model.hf(**tensors)
    at_rest = hook_count(model.hf)
    with torch.no_grad(), without_new_hooks(model.hf):
        first = model.hf(**tensors, output_hidden_states=True).hidden_states
        assert hook_count(model.hf) > at_rest, "Transformers leaves no hooks: without_new_hooks has nothing to do"
    assert hook_count(model.hf) == at_rest
    with torch.no_grad():
        again = model.hf(**tensors, output_hidden_states=True).hidden_states
        installed = hook_count(model.hf)
        with without_new_hooks(model.hf):
            model.hf(**tensors, output_hidden_states=True)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert hook_count(model.hf) == installed > at_rest, "hooks that were there before stay"


@pytest.mark.parametrize("quick", [True, False])
def test_other_blocks_are_not_taken_for_the_decoder(tiny: ProbeModel, quick: bool) -> None:
    hf = copy.deepcopy(tiny.hf)
    model = wrap(hf, tiny.processor, blocks=hf.model.vision_tower.encoder.layers, name="wrong blocks")
    report = model.verify(quick=quick)
    assert "hidden states" in _failed(report)
    with pytest.raises(VerificationError) as caught:
        report.require()
    for part in ("wrong blocks (family llava)", "Tried: decoder blocks at model.vision_tower", "mp.wrap(", "blocks="):
        assert part in str(caught.value)
    assert caught.value.report is report


@pytest.mark.parametrize("order", [[0, 1, 3, 2], [0, 1, 2]])
def test_blocks_in_another_order_or_too_few(tiny: ProbeModel, order: list[int]) -> None:
    hf = copy.deepcopy(tiny.hf)
    layers = hf.model.language_model.layers
    assert "hidden states" in _failed(wrap(hf, tiny.processor, blocks=[layers[i] for i in order]).verify(quick=True))


def test_a_block_that_the_logits_do_not_need(model: Model) -> None:
    def keep_input(original: Callable[..., Any], hidden: Tensor, *args: Any, **named: Any) -> Any:
        original(hidden, *args, **named)
        return hidden * 0

    _change_forward(model.hf.model.language_model.layers[3], keep_input)
    assert _failed(model.verify()) >= {"edits", "steered decoding"}


def test_another_image_token(model: Model) -> None:
    model.layout = dataclasses.replace(model.layout, image_token_id=model.text_ids("what", leading_space=False)[0])
    model.default_prompt = "what do you see ?"
    check = next(c for c in model.verify(quick=True).checks if c.name == "image tokens")
    assert check.outcome is Outcome.FAILED
    assert "16 positions outside of the image tokens depend on the pixels" in check.detail


def test_pixels_that_do_not_matter(model: Model) -> None:
    _change_forward(model.hf.model.multi_modal_projector, lambda original, x: torch.ones_like(original(x)))
    assert "image tokens" in _failed(model.verify(quick=True))


def test_a_cache_that_changes_the_logits(model: Model) -> None:
    def drift(original: Callable[..., Any], *args: Any, **named: Any) -> Any:
        output = original(*args, **named)
        cache = given_cache(named)
        if cache is not None and named["input_ids"].shape[1] == 1:
            output.logits = output.logits + torch.linspace(0, 0.1, output.logits.shape[-1])
        return output

    _change_forward(model.hf, drift)
    assert _failed(model.verify()) == {"cached decoding", "steered decoding"}


def test_padding_that_is_seen(model: Model) -> None:
    def unmasked(original: Callable[..., Any], *args: Any, **named: Any) -> Any:
        named.pop("attention_mask", None)
        return original(*args, **named)

    _change_forward(model.hf.model.language_model, unmasked)
    assert _failed(model.verify()) == {"padding"}


def test_a_model_that_answers_differently_each_time(model: Model) -> None:
    def noisy(original: Callable[..., Any], *args: Any, **named: Any) -> Any:
        output = original(*args, **named)
        output.logits = output.logits + torch.randn_like(output.logits)
        return output

    _change_forward(model.hf, noisy)
    assert "strength 0" in _failed(model.verify())


def test_an_exception_is_a_failed_check_that_shows_it(model: Model) -> None:
    def refuse(original: Callable[..., Any], *args: Any, **named: Any) -> Any:
        raise RuntimeError("no kernel for this")

    _change_forward(model.hf.model.language_model.layers[1], refuse)
    before = hook_count(model.hf)
    report = model.verify(quick=True)
    assert "RuntimeError: no kernel for this" in str(report)
    assert hook_count(model.hf) == before


def test_one_sample_at_a_time(model: Model, pictures: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="one sample to verify on; got 2"):
        model.verify(pictures[:2])
