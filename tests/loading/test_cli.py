"""The command line prints the same results and tells failure by its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from mllm_probe.cli import main
from mllm_probe.models import ProbeModel


def test_families_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "llava", "mllama", "mistral4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["llava", "verified"]
    assert "no check of image tokens: the image enters by cross-attention" in lines[1]
    assert lines[2].split()[:2] == ["mistral4", "skipped"]
    assert "LayoutError: Mistral4ForCausalLM" in lines[2]
    assert lines[-1] == "2 of 3 families verified, 1 skipped."


def test_details_show_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "qwen3_vl", "--details"]) == 0
    out = capsys.readouterr().out
    for check in (
        "hidden states",
        "edits",
        "image tokens",
        "strength 0",
        "cached decoding",
        "steered decoding",
        "padding",
    ):
        assert f"  {check} " in out


def test_verify_a_folder(tiny: ProbeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.hf.save_pretrained(tmp_path / "little")
    tiny.processor.save_pretrained(tmp_path / "little")
    assert main(["verify", str(tmp_path / "little"), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "model.language_model.layers  (4 × LlamaDecoderLayer" in out
    assert "little (family llava): verified" in out


def test_wrong_input_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "nonesuch"]) == 2
    assert "mllm-probe: There is no bundled model 'nonesuch'" in capsys.readouterr().err
    assert main(["families", "nonesuch"]) == 2
