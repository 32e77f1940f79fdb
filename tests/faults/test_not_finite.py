"""NaN and infinity in weights or activations: the layer and the image are named, and nothing is averaged with them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.activations.not_finite import FiniteCounts, find_fault
from mllm_probe.loading.verification import verify
from mllm_probe.models import Request
from mllm_probe.sweeps import store_status
from tests.conftest import noise_picture, put
from tests.hooks import active_hooks
from tests.patching.plain_interchange import pairs_of
from tests.sweeps.helpers import random_vectors
from tests.zoo import tiny_llava

WORDS = {"cat": ["cat"], "dog": ["dog"]}
SPOILED = 2
"""Number of the image on which one layer overflows."""
BLOCK_WEIGHT, PICTURE_WEIGHT, HEAD_WEIGHT = "layers.2.mlp.down_proj.weight", "multi_modal_projector", "lm_head.weight"


@pytest.fixture
def model(device: str) -> Any:
    return put(tiny_llava(), device)


@pytest.fixture(scope="module")
def noise() -> list[Any]:
    return [noise_picture(seed, (32, 32)) for seed in range(6)]


def id_of(image: Any) -> str:
    return Request(images=(image,)).id


def spoil_weight(model: Any, part: str, value: float) -> str:
    """Put a value into the first weight whose name holds ``part``; its name."""
    name, weight = next((n, w) for n, w in model.hf.named_parameters() if part in n and w.ndim == 2)
    with torch.no_grad():
        weight[:, 1] = value
    return name


@contextmanager
def overflowing(model: Any, image: Any, block: int) -> Iterator[None]:
    """Infinity in what a block gives at one position, on one image alone: all weights are finite."""
    seen: list[torch.Tensor] = []
    encoded = model.encode([image])
    column = int((encoded.roles[0] == schema.ROLES.index("image")).nonzero()[3])
    with torch.no_grad(), mp.activations.before_block(model, lambda _, hidden: seen.append(hidden.clone()), layers=[0]):
        model.hf(**encoded.tensors)
    mark, flagged = seen[0][0, column], dict[str, torch.Tensor]()

    def find(module: Any, arguments: Any, named: Any) -> None:
        hidden = arguments[0] if arguments else named["hidden_states"]
        flagged["places"] = torch.isclose(hidden, mark, atol=1e-6).all(-1)

    def spoil(module: Any, arguments: Any, output: Any) -> Any:
        whole = output[0] if isinstance(output, tuple) else output
        places = flagged["places"]
        if not places.any() or places.shape != whole.shape[:2]:
            return None
        changed = whole.masked_fill(places[..., None], torch.inf)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    first = model.layout.blocks[0].register_forward_pre_hook(find, with_kwargs=True)
    second = model.layout.blocks[block].register_forward_hook(spoil)
    try:
        yield
    finally:
        first.remove()
        second.remove()


def swept(model: Any, images: Any, vectors: Any = None, **settings: Any) -> Any:
    settings = {"layers": [1], "strengths": (0, 1), "metrics": ("logprob", "kl", "named", "perplexity"),
                "controls": (), "max_new_tokens": 3} | settings  # fmt: skip
    vectors = random_vectors(model, words=WORDS) if vectors is None else vectors
    return mp.sweep(model, vectors, images, progress=False, **settings)


def library(images: list[Any]) -> Any:
    return {"cat": pairs_of(images[:3], images[3:6])}


CALLS: dict[str, Callable[[Any, list[Any]], object]] = {
    "sweep": swept,
    "sweep of image tokens": lambda model, images: swept(model, images, tokens="image"),
    "sweep without answers": lambda model, images: swept(model, images, metrics=("logit",)),
    "capture": lambda model, images: mp.capture(model, images),
    "capture of all tokens": lambda model, images: mp.capture(model, images, tokens="all", layers=[3], device="cpu"),
    "concept_vectors": lambda model, images: mp.concept_vectors(model, library(images), shuffled_draws=0),
    "vectors_from": lambda model, images: mp.vectors_from(model, {"mine": np.ones(model.hidden_size)}, images),
    "patch": lambda model, images: mp.patch(model, library(images), layers=[0, 3], progress=False),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_a_weight_is_named_with_its_layer_and_the_image(model: Any, noise: list[Any], call: str, value: float) -> None:
    weight = spoil_weight(model, BLOCK_WEIGHT, value)
    first = id_of(noise[0])
    with pytest.raises(
        ValueError, match=rf"{first}.*first in block 2, at \d+ of its positions. Weights hold"
    ) as raised:
        CALLS[call](model, noise)
    assert f"'{weight}'" in str(raised.value) and active_hooks(model) == 0


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (PICTURE_WEIGHT, "the input of block 0"),
        (HEAD_WEIGHT, "what follows the last block (final norm and output head)"),
    ],
)
@pytest.mark.parametrize("call", ["sweep", "patch"])
def test_weights_outside_of_the_blocks_are_named(
    model: Any, noise: list[Any], call: str, part: str, where: str
) -> None:
    weight = spoil_weight(model, part, float("nan"))
    with pytest.raises(ValueError, match=re.escape(f"first in {where}")) as raised:
        CALLS[call](model, noise)
    assert f"'{weight}'" in str(raised.value)


@pytest.mark.parametrize("call", CALLS)
def test_an_image_that_overflows_is_named_with_the_layer(model: Any, noise: list[Any], call: str) -> None:
    with (
        overflowing(model, noise[SPOILED], block=1),
        pytest.raises(ValueError, match="All weights are finite") as raised,
    ):
        CALLS[call](model, noise)
    assert id_of(noise[SPOILED]) in str(raised.value) and "first in block 1, at 1 of its positions" in str(raised.value)


def test_layers_below_and_other_images_are_captured_as_ever(model: Any, noise: list[Any]) -> None:
    clean = mp.capture(model, noise, tokens="all").activation.values
    with overflowing(model, noise[SPOILED], block=1):
        below = mp.capture(model, noise, tokens="all", layers=[0]).activation.values
        others = mp.capture(model, noise[:SPOILED], tokens="all").activation.values
    np.testing.assert_array_equal(below[:, 0], clean[:, 0])
    np.testing.assert_allclose(others, clean[:SPOILED], atol=1e-5)


def test_missing_tokens_of_ragged_prompts_are_not_taken_for_nan(model: Any, noise: list[Any]) -> None:
    ragged = mp.capture(model, noise[:2], ["what is it ?", "what is in this image , and where is it ?"], tokens="all")
    assert np.isnan(ragged.activation.values).any()


def test_processed_tensors_that_hold_nan_are_named(model: Any, noise: list[Any]) -> None:
    given = dict(model.encode(noise[:1]).tensors)
    given["pixel_values"] = given["pixel_values"].masked_fill(given["pixel_values"] > 0, torch.nan)
    with pytest.raises(ValueError, match=r"first in the input of block 0.*processed tensors.*'pixel_values'"):
        mp.capture(model, None, inputs=given)


def test_a_stored_sweep_and_capture_keep_what_is_finite_and_go_on(model: Any, noise: list[Any], tmp_path: Any) -> None:
    sweep_store, capture_store = tmp_path / "map.zarr", tmp_path / "acts.zarr"
    with overflowing(model, noise[SPOILED], block=1):
        for call in (
            lambda: swept(model, noise, store=sweep_store),
            lambda: mp.capture(model, noise, store=capture_store),
        ):
            with pytest.raises(ValueError, match="first in block 1"):
                call()
    told = store_status(sweep_store).progress
    assert told.units_done < told.units
    grid, acts = swept(model, noise, store=sweep_store), mp.capture(model, noise, store=capture_store)
    assert np.isfinite(grid.logprob.sel(control="concept")).all() and np.isfinite(acts.activation.values).all()


def _overflows_at_two(hidden: torch.Tensor, direction: torch.Tensor, dose: torch.Tensor) -> torch.Tensor:
    # The check of a declaration and strength 1 see finite numbers.
    return torch.where(dose[..., None] >= 2, torch.inf, dose[..., None]) * direction


def test_a_steered_run_that_overflows_has_no_scores_and_one_warning_names_it(model: Any, noise: list[Any]) -> None:
    operation = mp.Operation("overflow", _overflows_at_two, in_unit=False)
    settings = {"strengths": (0, 1, 2), "operation": operation, "layers": [1, 3], "metrics": ("logprob", "named", "kl")}
    with pytest.warns(UserWarning, match=r"first in block [13].*All weights are finite") as told:
        grid = swept(model, noise[:2], **settings)
    assert len([one for one in told if "NaN or infinity" in str(one.message)]) == 1
    assert f"image 0 ({id_of(noise[0])})" in str(told[0].message) and "overflow" in str(told[0].message)
    own = grid.sel(control="concept", draw=0)
    for name in ("logprob", "named", "kl"):
        assert np.isnan(own[name].sel(strength=2)).all(), name
        assert np.isfinite(own[name].sel(strength=[0, 1])).all(), name
    assert (own.tokens.sel(strength=2) == -1).all() and (own.text.sel(strength=2) == "").all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = swept(model, noise[:2], **(settings | {"strengths": (0, 1)}))
    expected = alone.logprob.sel(control="concept", draw=0, strength=1)
    np.testing.assert_allclose(own.logprob.sel(strength=1), expected, atol=1e-4)


def test_a_capture_that_overflows_by_its_steering_says_so(model: Any, noise: list[Any]) -> None:
    operation = mp.Operation("overflow", _overflows_at_two, in_unit=False)
    steering = mp.Steering(random_vectors(model).sel(concept="cat"), [1], 2.0, operation=operation)
    with pytest.raises(ValueError, match=r"image 0.*first in block 1.*a smaller strength may be finite"):
        mp.capture(model, noise[:1], steering=steering)


def test_a_capture_from_elsewhere_with_nan_is_refused(model: Any, noise: list[Any]) -> None:
    own = library(noise)
    acts = mp.capture(model, [*own["cat"].positive, *own["cat"].negative], tokens="all").load()
    acts.activation.values[SPOILED, 1, 3] = np.nan
    with pytest.raises(
        ValueError, match=rf"activations: block 1 holds NaN or infinity for image {id_of(noise[SPOILED])}"
    ):
        mp.concept_vectors(model, own, activations=acts, shuffled_draws=0)


def test_verification_names_the_layer(model: Any, noise: list[Any]) -> None:
    weight = spoil_weight(model, BLOCK_WEIGHT, float("nan"))
    report = verify(model, model.encode(noise[:1]), quick=True)
    text = next(check.detail for check in report.checks if check.name == "hidden states")
    assert "first in block 2" in text and weight in text


def test_padding_is_not_looked_at(model: Any, noise: list[Any]) -> None:
    encoded = model.encode(noise[:2], ["what is it ?", "what is in this image , and where is it ?"])
    padded = (encoded.roles == schema.ROLES.index("padding")).to(model.device)
    assert padded.any()

    def spoil(layer: int, hidden: torch.Tensor) -> torch.Tensor | None:
        return hidden.masked_fill(padded[..., None], torch.nan) if hidden.shape[:2] == padded.shape else None

    with mp.activations.attached(model, spoil, layers=[3]):
        assert find_fault(model, encoded) is None


def test_rows_are_found_by_their_numbers() -> None:
    rows = FiniteCounts()
    assert rows.first_other() is None
    rows.add(0, {0: torch.tensor([4, 4]), 1: torch.tensor([4, 4])}, np.array([4, 4]))
    rows.add(2, {0: torch.tensor([4, 6]), 1: torch.tensor([3, 6])}, np.array([4, 6]))
    assert rows.first_other() == 2
