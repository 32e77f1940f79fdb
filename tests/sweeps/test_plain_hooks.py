"""Engine = plain hooks, over shapes, scopes, padding, dtypes and strengths: invariant 4 on cells that nobody chose."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.decoding.shared_prompt import difference, tolerance
from tests.conftest import noise_picture, put
from tests.hooks import active_hooks
from tests.sweeps.helpers import plain_batch, plain_edit, plain_logits, random_vectors, rounded
from tests.zoo import tiny_llava

NEXT = ("last_prompt", "generated")
SCOPES = (NEXT, "last_prompt", "image", "text", "all", ("image", "generated"))
OPERATIONS = ("add", "ablate", "replace")
WORDS = {"cat": ["cat"], "dog": ["dog"]}
PROMPTS = ("what is it ?", "what is in this image , and where is it ?", "is it a cat ?")
EACH = settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def model_of(device: str, dtype: torch.dtype, side: str) -> Any:
    """A tiny Llava that pads on one side."""
    model = put(tiny_llava(), device)
    model.hf.to(dtype)
    model.tokenizer.padding_side = side
    return model


@cache
def vectors_of(device: str, dtype: torch.dtype, side: str, seed: int) -> Any:
    return random_vectors(model_of(device, dtype, side), words=WORDS, norm=1.5, seed=seed)


cells = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(SCOPES),
        "operation": st.sampled_from(OPERATIONS),
        "layers": st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
        "strengths": st.lists(st.sampled_from((-2.5, -0.75, 0.25, 0.5, 1.0, 3.0)), min_size=1, max_size=2, unique=True),
        "prompt": st.sampled_from(PROMPTS),
        "images": st.integers(1, 3),
        "side": st.sampled_from(("left", "right")),
        "seed": st.integers(0, 2),
        "steps": st.integers(1, 4),
    }
)


def doses_of(operation: str, strengths: list[float]) -> tuple[float, ...]:
    """Strengths that the operation takes: a fraction of the projection for all but "add"."""
    return tuple(strengths) if operation == "add" else tuple(sorted({min(abs(s), 1.0) for s in strengths}))


def swept(model: Any, vectors: Any, cell: dict[str, Any], **changed: Any) -> Any:
    given = {
        "layers": cell["layers"], "strengths": doses_of(cell["operation"], cell["strengths"]), "tokens": cell["scope"],
        "operation": cell["operation"], "to": "dog" if cell["operation"] == "replace" else None,
        "metrics": ("logprob", "kl", "tokens"), "controls": (), "max_new_tokens": cell["steps"],
    } | changed  # fmt: skip
    concepts = ["cat"] if cell["operation"] == "replace" else ["cat", "dog"]
    chosen = vectors.sel(concept=[*concepts, *({"dog"} - set(concepts))])
    images = [noise_picture(seed, (32, 32)) for seed in range(cell["images"])]
    return mp.sweep(model, chosen, images, cell["prompt"], progress=False, **given), images


def word_logprob(model: Any, logits: torch.Tensor, word: str) -> float:
    from mllm_probe.metrics.words import single_token_logprob, word_table

    table = word_table(model, [[word]]).to(logits.device)
    return float(single_token_logprob(logits, table)[0, 0])


@EACH
@given(cell=cells)
def test_cells_equal_plain_hooks(device: str, cell: dict[str, Any]) -> None:
    key = (device, torch.float32, cell["side"])
    model, vectors = model_of(*key), vectors_of(*key, cell["seed"])
    grid, images = swept(model, vectors, cell)
    assert active_hooks(model) == 0
    for number, image in enumerate(images):
        encoded = model.encode([image], cell["prompt"])
        for layer in cell["layers"]:
            for strength in grid.strength.values.tolist():
                own = grid.sel(concept="cat", layer=layer, strength=strength, control="concept").isel(
                    draw=0, sample=number
                )
                edits = plain_edit(
                    model, vectors, encoded, "cat", layer, strength, cell["scope"], cell["operation"], "dog"
                )
                assert_cell(model, encoded, own, edits)


def assert_cell(model: Any, encoded: Any, own: Any, edits: Any) -> None:
    answer = [int(token) for token in own.tokens.values if token >= 0]
    logits = plain_logits(model, encoded, answer[:-1], edits)[0].float()
    scale = float(logits.abs().max())
    for step, (first, second) in enumerate(logits.topk(2).values.tolist()):
        assert first - second < 1e-3 * scale or int(logits[step].argmax()) == answer[step]
    assert float(own.logprob) == pytest.approx(word_logprob(model, logits[:1], "cat"), abs=1e-4 * scale)


@settings(EACH, max_examples=4)
@given(cell=cells)
def test_cells_agree_with_plain_hooks_in_bfloat16(device: str, cell: dict[str, Any]) -> None:
    key = (device, torch.bfloat16, cell["side"])
    model, vectors = model_of(*key), vectors_of(*key, cell["seed"])
    grid, images = swept(model, vectors, cell, metrics=("logprob",))
    encoded = model.encode([images[-1]], cell["prompt"])
    for layer in cell["layers"]:
        for strength in grid.strength.values.tolist():
            edits = plain_edit(model, vectors, encoded, "cat", layer, strength, cell["scope"], cell["operation"], "dog")
            logits = plain_logits(model, encoded, [], rounded(edits))[0].float()
            own = grid.logprob.sel(concept="cat", layer=layer, strength=strength, control="concept").isel(
                draw=0, sample=-1
            )
            expected = word_logprob(model, logits[:1], "cat")
            bound = 2 * tolerance(torch.bfloat16) * float(logits.abs().max())
            assert float(own) == pytest.approx(expected, abs=bound), (layer, strength, float(own) - expected)


ragged = st.fixed_dictionaries(
    {
        "prompts": st.lists(st.sampled_from(PROMPTS), min_size=2, max_size=3),
        "scope": st.sampled_from(SCOPES),
        "layer": st.integers(0, 3),
        "strength": st.sampled_from((-2.0, 0.5, 1.5)),
        "side": st.sampled_from(("left", "right")),
        "batch_size": st.integers(1, 3),
    }
)


@EACH
@given(case=ragged)
def test_a_steered_capture_of_ragged_prompts_equals_plain_hooks(device: str, case: dict[str, Any]) -> None:
    key = (device, torch.float32, case["side"])
    model, vectors = model_of(*key), vectors_of(*key, 0)
    prompts = case["prompts"]
    images = [noise_picture(seed, (32, 32)) for seed in range(len(prompts))]
    steering = mp.Steering(vectors.sel(concept="cat"), [case["layer"]], case["strength"], tokens=case["scope"])
    acts = mp.capture(model, images, prompts, tokens="all", steering=steering, batch_size=case["batch_size"])
    for number, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        encoded = model.encode([image], prompt)
        edits = plain_edit(model, vectors, encoded, "cat", case["layer"], case["strength"], case["scope"])
        expected = []
        plain_batch(model, encoded, [[]], [edits], expected)
        ours = acts.activation.isel(sample=number).values[:, acts.role.values[number] != "padding"] if (
            schema.SAMPLE in acts.role.dims
        ) else acts.activation.isel(sample=number).values  # fmt: skip
        kept = acts.token.values[: ours.shape[1]]
        for layer in model.layers:
            assert difference(torch.from_numpy(ours[layer]), expected[layer][0].cpu()[kept]) < 1e-4, (number, layer)


shapes = st.fixed_dictionaries(
    {
        "width": st.sampled_from((16, 32, 64)),
        "layers": st.integers(1, 5),
        "scope": st.sampled_from((NEXT, "image", "all")),
        "strength": st.sampled_from((-1.5, 2.0)),
    }
)


@settings(EACH, max_examples=6)
@given(shape=shapes)
def test_models_of_any_shape_equal_plain_hooks(device: str, shape: dict[str, Any]) -> None:
    model = put(tiny_llava(shape["layers"], shape["width"]), device)
    vectors = random_vectors(model, words=WORDS, norm=1.5)
    layers, image = list(range(shape["layers"])), noise_picture(0, (32, 32))
    grid = mp.sweep(
        model, vectors, [image], PROMPTS[0], layers=layers, strengths=(shape["strength"],), tokens=shape["scope"],
        metrics=("logprob", "tokens"), controls=(), max_new_tokens=2, progress=False,
    )  # fmt: skip
    encoded = model.encode([image], PROMPTS[0])
    for layer in layers:
        own = grid.sel(concept="cat", layer=layer, control="concept").isel(strength=0, draw=0, sample=0)
        edits = plain_edit(model, vectors, encoded, "cat", layer, shape["strength"], shape["scope"])
        assert_cell(model, encoded, own, edits)


def test_every_position_of_the_prompt_is_edited_somewhere(device: str) -> None:
    model = model_of(device, torch.float32, "left")
    encoded = model.encode([noise_picture(0, (32, 32))], PROMPTS[0])
    vectors = vectors_of(device, torch.float32, "left", 0)
    chosen = {name: set(plain_edit(model, vectors, encoded, "cat", 0, 1.0, name)[0][1]) for name in ("image", "text")}
    assert len(chosen["image"]) == 16 and chosen["text"] and not chosen["image"] & chosen["text"]
    assert np.all(encoded.roles.numpy() >= 0)
