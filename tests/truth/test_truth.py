"""Planted models: their closed forms hold, and the package's methods find what was planted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

import mllm_probe as mp
from mllm_probe.schema import ROLES
from mllm_probe.studies.readout import NOT_DISTINGUISHABLE
from mllm_probe.studies.truth import KINDS, plant
from tests.conftest import put
from validation.truth import table
from validation.truth.measure import construction, every_site, interchanged, measured, plant_of, swept

SEEDS = (6, 9, 11, 14)
"""Of the twenty of ``python -m validation.truth.table``: few blocks, the first and the last among those planted."""


@pytest.mark.parametrize("seed", SEEDS)
def test_interchange_recovers_what_was_planted(seed, device):
    truth = plant_of(seed)
    put(truth.model, device)
    result, block, layers = interchanged(truth), construction(seed).block, construction(seed).layers
    assert result.error <= 1e-5 and result.identity == 0
    for group in (result.image, result.last_prompt):
        effective, peak = group["effective_layers"], group["peak_layer"]
        for name in ("local", "decoy"):
            assert float(effective.sel(concept=name)) == pytest.approx(1, abs=0.05)
            assert peak.sel(concept=name) == block
        assert effective.sel(concept="distributed") >= 0.95 * layers
        assert np.isnan(effective.sel(concept="null")) and group["n"].sel(concept="null") == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_planted_is_found(seed, device):
    truth = plant_of(seed)
    put(truth.model, device)
    result, block, layers = measured(truth), construction(seed).block, construction(seed).layers
    assert result.error <= 1e-5
    for scope in (result.image, result.last_prompt):
        effective, peak = scope["effective_layers"], scope["peak_layer"]
        for name in ("local", "decoy"):
            assert float(effective.sel(concept=name)) == pytest.approx(1, abs=0.05)
            assert peak.sel(concept=name) == block
        assert effective.sel(concept="distributed") >= 0.95 * layers
        shares = scope["read_out"].sel(concept=["local", "distributed"])
        planted = truth.truth["read_out"].sel(concept=shares["concept"], layer=shares["layer"])
        np.testing.assert_allclose(shares, planted, atol=2e-5 * construction(seed).gain)
    assert result.verdicts["local"] == result.verdicts["decoy"] == f"block {block}"
    assert result.verdicts["null"] == NOT_DISTINGUISHABLE
    assert result.verdicts["distributed"] == f"{layers:.1f} of {layers} blocks"
    for name in KINDS:
        for scope in ("image", "last_prompt"):
            assert result.worst_probe(name, scope) >= 0.95
    absent = result.probes.where(~truth.truth["present"])
    assert np.isfinite(absent).sum() == 2 * block, "local and null are not at the last token below their block"
    assert not (absent > 0.8).any()


def test_plain_hooks_on_the_model_give_the_closed_form(device):
    """Without any of the package's own hooks."""
    truth = plant(5, 2, gain=7.0, width=48, superposition=0.6, pairs=4)
    put(truth.model, device)
    encoded = truth.model.encode(truth.library.pictures[:6], None)
    image = (encoded.roles == ROLES.index("image")).unsqueeze(-1).to(device)
    blocks = truth.model.hf.model.language_model.layers

    def logits(layer, change):
        def at_output(module, arguments, output):
            return output + change

        def at_input(module, arguments):
            return (arguments[0] + change, *arguments[1:])

        handle = (
            blocks[0].register_forward_pre_hook(at_input)
            if layer < 0
            else blocks[layer].register_forward_hook(at_output)
        )
        with torch.no_grad():
            result = truth.model.hf(**encoded.tensors).logits[:, -1]
        handle.remove()
        return result

    for name in KINDS:
        (word,) = truth.model.text_ids(name, leading_space=False)
        for layer in range(-1, 5):
            cell = truth.truth.sel(concept=name, scope="image", layer=layer)
            direction = torch.from_numpy(cell["direction"].values).to(device)
            effect = logits(layer, image * direction) - logits(layer, 0.0)
            np.testing.assert_allclose(effect[:, word].cpu(), cell["effect"], atol=1e-5 * 7)


def test_the_seeds_cover_the_first_and_the_last_block():
    drawn = [construction(seed) for seed in SEEDS]
    assert {0} < {one.block for one in drawn} and any(one.block == one.layers - 1 for one in drawn)
    every = [construction(seed) for seed in range(20)]
    assert {one.block for one in every} >= {0} and any(one.block == one.layers - 1 for one in every)
    for name, low, high in (("layers", 4, 16), ("gain", 2, 10), ("width", 32, 512)):
        values = [getattr(one, name) for one in every]
        assert low <= min(values) < max(values) <= high and max(values) - min(values) > (high - low) / 2


def test_the_table_names_every_figure():
    truth = plant(4, 2, pairs=8)
    cells = table.line(3, measured(truth), interchanged(truth)).split("  ")
    cells = [cell.strip() for cell in cells if cell.strip()]
    assert cells[-4:] == ["block 2", "4.0 of 4 blocks", NOT_DISTINGUISHABLE, "block 2"]


@pytest.mark.parametrize("cosine", [0.0, 0.5, 0.95])
def test_closed_forms_do_not_depend_on_the_angles_of_directions(cosine):
    truth = plant(4, 2, superposition=cosine, pairs=2).truth
    arrives = truth["direction"].sel(scope="image", layer=-1).values
    np.testing.assert_allclose(arrives @ arrives.T, (1 - cosine) * np.eye(4) + cosine, atol=1e-6)
    np.testing.assert_allclose(truth["effect"].sel(concept="local", scope="image"), [4, 4, 4, 0, 0], atol=1e-12)
    np.testing.assert_allclose(truth["effect"].sel(concept="local", scope="last_prompt"), [0, 0, 0, 4, 4], atol=1e-12)
    np.testing.assert_allclose(truth["effect"].sel(concept="distributed", scope="image"), [4, 3, 2, 1, 0], atol=1e-12)
    np.testing.assert_allclose(truth["effect"].sum("scope").sel(concept="decoy"), 4)
    assert not truth["effect"].sel(concept="null").any()
    np.testing.assert_allclose(truth["effective_layers"], [1, 4, np.nan, 1])
    present = truth["present"].sel(scope="last_prompt")
    assert present.sel(concept="null").values.tolist() == [False] * 3 + [True] * 2
    assert present.sel(concept="decoy").values.tolist() == [False] + [True] * 4


def test_mean_differences_in_their_own_length_have_the_planted_effect(device):
    """To a few per cent: the noise of the images is in the vectors."""
    truth = plant(6, 3, gain=5.0, width=128, superposition=0.4)
    put(truth.model, device)
    vectors = mp.concept_vectors(truth.model, truth.library, probe_accuracy=False)
    grid = mp.sweep(
        truth.model, vectors, truth.library["null"].negative[:6], strengths=(1,), tokens="image", unit="vector",
        metrics=("logit",), controls=("random",), draws=4, progress=False,
    )  # fmt: skip
    value = mp.effect(grid, "logit")["value"].sel(strength=1)
    planted = truth.truth["effect"].sel(scope="image", layer=value["layer"])
    np.testing.assert_allclose(value, planted, atol=0.03 * 5)
    lengths = np.linalg.norm(vectors["vector"].sel(scope="image", concept="decoy").values, axis=-1)
    assert lengths[0] > 3, "most of the decoy's mean difference is what block 0 wrote on the image tokens: inert"


def test_it_is_a_genuine_llava_that_saves_and_loads(tmp_path, device):
    truth = plant(4, 1, pairs=4)
    put(truth.model, device)
    assert truth.model.verify().passed
    truth.model.hf.save_pretrained(tmp_path)
    truth.model.processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32).to(device)
    encoded = truth.model.encode(truth.library.pictures[:4], None)
    with torch.no_grad():
        assert torch.equal(again(**encoded.tensors).logits, truth.model.hf(**encoded.tensors).logits)
    loaded = mp.load(tmp_path, device=device)
    answers = [mp.generate(model, truth.library["local"].positive[0]).text for model in (loaded, truth.model)]
    assert answers[0] == answers[1]


def test_the_answer_is_the_strongest_concept_that_is_read(device):
    truth = plant(4, 1, kinds=("local", "decoy"), pixel_noise=0.0, pairs=8)
    put(truth.model, device)
    for concept in truth.library.values():
        for picture in concept.pictures:
            (answer,) = mp.generate(truth.model, picture, max_new_tokens=4).text
            assert answer in (picture.labels or {"nothing"})


def test_pairs_differ_in_one_concept_and_in_noise():
    library = plant(4, 1, pixel_noise=0.0, pairs=6, seed=3).library
    changes = {}
    for name, concept in library.items():
        for with_it, without in zip(concept.positive, concept.negative, strict=True):
            assert with_it.labels - without.labels == {name} and not without.labels - with_it.labels
            assert with_it.pair == without.pair
            changed = np.asarray(with_it.image, int) - np.asarray(without.image, int)
            changes.setdefault(name, changed)
            # Both are rounded to whole levels, with the distractors' fractions in them.
            assert abs(changed - changes[name]).max() <= 1
            assert abs(changed).max() > 8, "every patch counts as changed"
    flat = [change.reshape(-1) for change in changes.values()]
    cosines = np.corrcoef(flat)
    assert abs(cosines - np.eye(len(flat))).max() < 0.05
    noisy = plant(4, 1, pixel_noise=6.0, pairs=6, seed=3).library["local"]
    left = np.asarray(noisy.positive[0].image, int) - np.asarray(noisy.negative[0].image, int) - changes["local"]
    assert left.std() == pytest.approx(6 * 2**0.5, rel=0.1)


def test_a_seed_decides_everything():
    one, same, other = plant(4, 1, pairs=2, seed=5), plant(4, 1, pairs=2, seed=5), plant(4, 1, pairs=2, seed=6)
    assert one.model.fingerprint == same.model.fingerprint != other.model.fingerprint
    assert one.library.fingerprint == same.library.fingerprint != other.library.fingerprint
    assert one.truth.identical(same.truth)


def test_vectors_carry_words_norms_and_the_true_directions(device):
    truth = plant(4, 1, kinds="local", pairs=4)
    put(truth.model, device)
    assert list(truth.library) == ["local"]
    for scope in ("image", "last_prompt"):
        vectors = truth.vectors(scope)
        planted = truth.truth["direction"].sel(scope=scope, layer=vectors["layer"])
        assert vectors["layer"].values.tolist() == [*([-1] if scope == "image" else []), 0, 1, 2, 3]
        np.testing.assert_array_equal(vectors["vector"].sel(scope=scope).values, planted.values)
        assert json.loads(vectors["words"].item()) == ["local"]
        assert (vectors["residual_norm"] > 0).all()
    with pytest.raises(ValueError, match="scope: expected one of image, last_prompt; got 'text'"):
        truth.vectors("text")


@pytest.mark.parametrize(("distractors", "width", "side"), [(8, 64, 16), (128, 512, 32)])
def test_distractors_leave_the_effects_alone(distractors, width, side, device):
    truth = plant(4, 2, distractors=distractors, width=width, pairs=8)
    assert truth.library.pictures[0].image.size == (side, side), "more contents need larger patches"
    put(truth.model, device)
    vectors = truth.vectors()
    for name in KINDS:
        grid = swept(truth, vectors, name, "image", every_site(truth))
        value = mp.effect(grid, "logit")["value"].sel(concept=name, strength=1)
        np.testing.assert_allclose(value, truth.truth["effect"].sel(concept=name, scope="image"), atol=4e-5)
        if name == "null":
            assert float(grid["logit_unsteered"].std()) > 0.5, "its word is answered because of a distractor"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"layers": 0}, "layers: expected 1 or more"),
        ({"layers": 4, "block": 4}, "block: expected 0 … 3; got 4"),
        ({"gain": 0.0}, "gain: expected 0.01 … 1000; got 0"),
        ({"gain": float("nan")}, "gain: expected a finite number"),
        ({"superposition": 1.0}, "superposition: expected 0 … 0.95; got 1"),
        ({"pixel_noise": -1}, "pixel_noise: expected 0 … 32; got -1"),
        ({"distractors": 0}, "distractors: expected 1 or more"),
        ({"width": 18}, "width: expected an even number of at least 20, for the directions of 4 concepts and 2 dis"),
        ({"width": 65}, "width: expected an even number"),
        ({"distractors": 200, "width": 512}, "distractors: expected 1 … 185; got 200"),
        ({"width": 10**9}, "width: expected 2 … 4096; got 1000000000"),
        ({"kinds": "global"}, "kinds: expected one or more different ones of local, distributed, null, decoy; got 'gl"),
        ({"kinds": ()}, "kinds: expected one or more different ones"),
        ({"kinds": ("local", "local")}, "kinds: expected one or more different ones"),
        ({"kinds": 3}, "kinds: expected one or more different ones"),
        ({"pairs": 1}, "pairs: expected 2 or more"),
    ],
)
def test_what_cannot_be_planted_is_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        plant(**settings)
