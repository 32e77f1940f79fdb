"""Models come from folders, from the hub's cache and from the user's hands; what is wrong is said."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations import hub_kernels
from transformers.utils import logging as progress

from mllm_probe.loading import Model, VerificationError, load, wrap
from mllm_probe.loading.pretrained import require_all_weights
from mllm_probe.models import ProbeModel
from tests.zoo import FAMILIES, build

FACTS = {
    "default_prompt": "What is in this picture?",
    "default_answer_prefix": "a",
    "suggestions": ["What do you see?"],
}


@pytest.fixture(scope="module")
def folder(tiny: ProbeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "little"
    tiny.hf.save_pretrained(path)
    tiny.processor.save_pretrained(path)
    (path / "mllm_probe.json").write_text(json.dumps(FACTS), encoding="utf-8")
    return path


def test_a_folder_by_path_and_by_text(folder: Path, tiny: ProbeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    for name in (folder, str(folder), "./little", "../models0/little" if folder.parent.name == "models0" else folder):
        model = load(name, device="cpu")
        assert isinstance(model, Model)
        assert (model.name, model.fingerprint) == ("little", tiny.fingerprint)
        assert (model.default_prompt, model.default_answer_prefix) == (FACTS["default_prompt"], "a")
        assert model.suggestions == ("What do you see?",)
        assert model.dtype == torch.float32
        assert model.device.type == "cpu"


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_precision(folder: Path, dtype: str | torch.dtype) -> None:
    model = load(folder, device="cpu", dtype=dtype)
    assert model.dtype == torch.bfloat16
    assert model.verify().passed


def test_a_loaded_model_is_verified_in_full(folder: Path) -> None:
    report = load(folder, device="cpu").verify()
    assert report.passed, str(report)
    assert len(report.checks) == 8


def test_a_hub_id_is_read_from_the_cache(
    folder: Path, tiny: ProbeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for revision, commit in (("main", "a" * 40), ("older", "b" * 40)):
        home = tmp_path / "models--org--little"
        shutil.copytree(folder, home / "snapshots" / commit)
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / revision).write_text(commit, encoding="utf-8")
    shutil.rmtree(home / "snapshots" / ("a" * 40))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = load("org/little", device="cpu", revision="older")
    assert (model.name, model.fingerprint) == ("org/little", tiny.fingerprint)
    with pytest.raises(ValueError, match=r"org/little \(taken for a hub id; a folder starts with"):
        load("org/little", device="cpu")


def test_a_model_of_the_hub_that_names_a_kernel_of_the_hub_is_refused_unless_trusted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "models--org--little"
    shutil.copytree(folder, home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert load("org/little", device="cpu").name == "org/little"
    config = home / "snapshots" / ("a" * 40) / "config.json"
    named = json.loads(config.read_text(encoding="utf-8")) | {"attn_implementation": "org/kernel"}
    config.write_text(json.dumps(named), encoding="utf-8")
    with pytest.raises(ValueError, match="org/little .*: config.json has attn_implementation = 'org/kernel'"):
        load("org/little", device="cpu")
    asked = []
    monkeypatch.setattr(hub_kernels, "get_kernel", lambda name, **_: asked.append(name))
    with pytest.raises(ValueError, match="could not be loaded"):
        load("org/little", device="cpu", trust_remote_code=True)
    assert asked == ["org/kernel"], "who trusts the code gets what Transformers makes of it"


def test_pickled_weights_are_not_read(folder: Path, tiny: ProbeModel, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(tiny.hf.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ValueError, match="could not be loaded as an image-text-to-text model"):
        load(tmp_path / "pickled", device="cpu")


def test_a_language_model_without_pictures_is_refused(tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    LlamaForCausalLM(LlamaConfig(vocab_size=10, **sizes)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="could not be loaded as an image-text-to-text model: .*LlamaConfig") as caught:
        load(tmp_path, device="cpu")
    assert len(str(caught.value)) < 400


def test_a_device_map_places_the_model(folder: Path, tiny: ProbeModel) -> None:
    model = load(folder, device_map={"": "cpu"})
    assert model.fingerprint == tiny.fingerprint
    assert model.verify().passed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scenes-9000l", r"no bundled model 'scenes-9000l' .*hub id reads 'org/name'; a folder starts with"),
        ("./nowhere", r"a folder with a model .* at nowhere; there is none"),
        (Path("nowhere"), r"a folder with a model .* at nowhere; there is none"),
        ("a/b/c", "no bundled model 'a/b/c'"),
    ],
)
def test_names_that_lead_nowhere(name: str | Path, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(name)


def test_wrong_options(folder: Path) -> None:
    with pytest.raises(ValueError, match="dtype: expected a floating-point torch dtype or its name .*; got 'float31'"):
        load(folder, dtype="float31")
    with pytest.raises(ValueError, match="device= or device_map=, not both"):
        load(folder, device="cpu", device_map="auto")


def test_no_cuda_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="PyTorch sees no CUDA device"):
        load(folder, device="cuda")


def test_load_refuses_what_does_not_verify(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mllm_probe.models.layout._image_token", lambda hf: None)
    with pytest.raises(
        VerificationError, match=r"(?s)little \(family llava\).*Tried: decoder blocks at model.language_model"
    ):
        load(folder, device="cpu")


def test_load_says_when_the_processor_makes_no_sample(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise TypeError("no such picture")

    monkeypatch.setattr("transformers.LlavaProcessor.__call__", refuse)
    with pytest.raises(ValueError, match=r"little \(family llava\).*Tried: an image.*no such picture.*inputs="):
        load(folder, device="cpu")


def test_wrap_with_blocks_by_hand(tiny: ProbeModel) -> None:
    hf = copy.deepcopy(tiny.hf)
    model = wrap(hf, tiny.processor, blocks=hf.model.language_model.layers, name="by hand")
    assert model.verify().passed
    assert model.layout.blocks == tuple(hf.model.language_model.layers)


def test_wrap_without_processor_verifies_on_tensors() -> None:
    hf, inputs = build(FAMILIES["llava"])
    model = wrap(hf, name="bare")
    assert model.verify(inputs=inputs).passed
    with pytest.raises(ValueError, match=r"bare was wrapped without a processor.*model\.verify\(inputs="):
        model.verify()


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        (5, r"\d+ weights of the model are missing, .*layers\.4\."),
        (3, r"\d+ weights that the model has no place for .*layers\.3\."),
    ],
)
def test_a_checkpoint_that_lacks_weights_or_holds_others_is_refused(
    folder: Path, tmp_path: Path, blocks: int, text: str
) -> None:
    shutil.copytree(folder, tmp_path / "edited")
    config = json.loads((tmp_path / "edited" / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["num_hidden_layers"] = blocks
    (tmp_path / "edited" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{text}.*mp\.wrap\(hf_model, processor\)"):
        load(tmp_path / "edited", device="cpu")


def test_weights_that_are_harmless_to_lack_or_to_have_are_not_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "more")
    tensors = load_file(tmp_path / "more" / "model.safetensors")
    for name in (
        "vision_tower.vision_model.head.probe",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "mtp.fc.weight",
    ):
        tensors[name] = torch.zeros(2)
    save_file(tensors, tmp_path / "more" / "model.safetensors", metadata={"format": "pt"})
    assert load(tmp_path / "more", device="cpu").verify(quick=True).passed
    tensors["model.extra.weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / "more" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"1 weights that the model has no place for \(model.extra.weight\)"):
        load(tmp_path / "more", device="cpu")


def test_weights_of_another_shape_are_named_with_both_shapes() -> None:
    info: dict[str, set[Any]] = {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set()}
    require_all_weights("m", info)
    info["mismatched_keys"] = {("a.b", (2, 3), (3, 2))}
    with pytest.raises(ValueError, match=r"1 weights of another shape than the model's \(a.b \[2, 3\] for \[3, 2\]\)"):
        require_all_weights("m", info)


def test_a_bundled_model_shows_no_progress_bar_and_others_do(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_tqdm_active", True)
    load("scenes-4l", device="cpu")
    assert "Loading weights" not in capfd.readouterr().err
    assert progress.is_progress_bar_enabled()
    load(folder, device="cpu")
    assert "Loading weights" in capfd.readouterr().err
