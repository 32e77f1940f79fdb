"""Verdicts on ways of sharing a prompt: kept by architecture in the user's cache, and believed only after a check."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mllm_probe import schema
from mllm_probe.decoding import paths
from mllm_probe.decoding.depth import DepthPrefix, Groups
from mllm_probe.decoding.paths import FOLDER, Verdict, keep_verdict, read_verdict, verdict_key
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.resume import Resume
from mllm_probe.decoding.shared_prompt import WholeForwards
from mllm_probe.loading import wrap
from mllm_probe.steering.tensors import path_of
from tests.conftest import noise_picture, put
from tests.zoo import FAMILIES, build, tiny_llava

WAYS = {kind.__name__: kind for kind in (*paths.NEXT_WAYS, *paths.PROMPT_WAYS)}
GOOD = Verdict("DepthPrefix", False, {"another way": "logits differ"})


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the verdicts of one test."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "ways"))
    return tmp_path / "ways"


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was run: ``"trial"`` for a full one, ``"whole"`` for each batch of whole forwards."""
    found: list[str] = []

    def noting(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            found.append(name)
            return plain(*arguments, **named)

        return run

    monkeypatch.setattr(paths, "_tested", noting("trial", paths._tested))
    monkeypatch.setattr(paths, "whole_forward", noting("whole", paths.whole_forward))
    return found


def fresh(device: str, family: str = "") -> tuple[Any, Any]:
    """A model that nothing is remembered of, and one sample."""
    if family:
        hf, inputs = build(FAMILIES[family])
        model = put(wrap(hf), device)
        return model, model.encode(None, inputs=inputs)
    model = put(tiny_llava(), device)
    return model, model.encode([noise_picture(0)])


def chosen(device: str, *, prompt_edited: bool = False, family: str = "") -> Any:
    model, encoded = fresh(device, family)
    return path_of(model, encoded, prompt_edited=prompt_edited)


@pytest.mark.parametrize("prompt_edited", [False, True])
def test_the_next_model_of_an_architecture_is_checked_and_not_tried(
    device: str, kept: Path, trials: list[str], prompt_edited: bool
) -> None:
    first = chosen(device, prompt_edited=prompt_edited)
    # Where the prompt is left alone the model's own cached decoding is the reference, and no whole forward is run.
    assert trials == (["trial", "whole"] if prompt_edited else ["trial"]) and len(list(kept.iterdir())) == 1
    trials.clear()
    again = chosen(device, prompt_edited=prompt_edited)
    assert trials == (["whole"] if prompt_edited else [])
    assert (again.kind, again.token_by_token, again.tried) == (first.kind, first.token_by_token, first.tried)


@pytest.mark.parametrize("family", ["llava", "gemma3", "mllama", "qwen2_5_vl"])
def test_cached_decoding_is_the_reference_where_it_gives_what_the_prefill_gave(
    device: str, kept: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    assert chosen(device, family=family).kind is DepthPrefix and trials == ["trial"]
    trials.clear()
    monkeypatch.setenv(FOLDER, str(kept / "others"))
    plain = SharedPrefix.before_the_end

    def late(self: Any, back: int) -> Any:
        rows = plain(self, back)
        rows.positions = rows.positions + 1
        return rows

    monkeypatch.setattr(SharedPrefix, "before_the_end", late)
    assert chosen(device, family=family).kind is DepthPrefix and trials == ["trial", "whole"]


@pytest.mark.parametrize(("family", "whole"), [("paligemma", [1, 1]), ("qwen3_5", [1]), ("idefics2", [1])])
def test_where_the_prefill_tells_nothing_rows_are_run_as_whole_forwards(
    device: str, kept: Path, monkeypatch: pytest.MonkeyPatch, family: str, whole: list[int]
) -> None:
    """Attention that reads the prompt in both directions, states that cannot be cut back, and a window that is full."""
    rows = list[int]()
    plain = paths.whole_forward

    def counted(model: Any, encoded: Any, following: torch.Tensor, last: int) -> torch.Tensor:
        rows.append(len(following))
        return plain(model, encoded, following, last)

    monkeypatch.setattr(paths, "whole_forward", counted)
    chosen(device, family=family)
    assert rows == whole


def test_where_cached_decoding_differs_every_row_is_compared_with_a_whole_forward(
    device: str, kept: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = DepthPrefix.copied

    def wrong(self: Any, rows: int, *, token_by_token: bool) -> Any:
        copied = plain(self, rows, token_by_token=token_by_token)
        copied.logits = copied.logits + torch.linspace(0, 1, copied.logits.shape[-1]).to(copied.logits)
        return copied

    monkeypatch.setattr(DepthPrefix, "copied", wrong)
    monkeypatch.setattr(paths, "_decodes_as_it_prefills", lambda shared: False)
    assert chosen(device).kind is DepthPrefix and trials == ["trial", "whole", "whole"]


def test_a_way_that_confuses_rows_is_refused(device: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Groups.fed

    def confused(self: Any, tokens: Any) -> Any:
        return plain(self, tokens[[0] * len(tokens)])  # as if all rows had been fed the same tokens

    monkeypatch.setattr(Groups, "fed", confused)
    found = chosen(device)
    assert found.kind is not DepthPrefix and "logits differ" in found.tried[DepthPrefix.path]


@pytest.mark.parametrize("prompt_edited", [False, True])
def test_a_model_of_no_numbers_is_named_at_its_first_trial(device: str, kept: Path, prompt_edited: bool) -> None:
    model, encoded = fresh(device)
    with torch.no_grad():
        model.layout.blocks[1].mlp.down_proj.weight[:, 1] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinity .* first in block 1"):
        path_of(model, encoded, prompt_edited=prompt_edited)
    assert not kept.exists()


def test_a_verdict_that_fails_its_check_is_thrown_away(
    device: str, kept: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(device).kind is DepthPrefix
    trials.clear()
    plain = DepthPrefix.start

    def wrong(self: Any, *arguments: Any) -> Any:
        rows = plain(self, *arguments)
        rows.logits = rows.logits + torch.linspace(0, 1, rows.logits.shape[-1]).to(rows.logits)
        return rows

    monkeypatch.setattr(DepthPrefix, "start", wrong)
    found = chosen(device)
    assert trials == ["trial"] and found.kind is not DepthPrefix
    [file] = kept.iterdir()
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["way"] == found.kind.__name__ and "logits differ" in told["tried"][DepthPrefix.path]


def test_a_verdict_that_cannot_be_run_is_thrown_away(
    device: str, kept: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(device)
    trials.clear()
    monkeypatch.setattr(DepthPrefix, "start", lambda *_: (_ for _ in ()).throw(RuntimeError("no such kernel")))
    assert chosen(device).kind is not DepthPrefix and trials[0] == "trial"


def test_running_out_of_memory_is_no_verdict(device: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen(device)
    monkeypatch.setattr(DepthPrefix, "start", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        chosen(device)
    assert len(list(kept.iterdir())) == 1


@pytest.mark.parametrize("prompt_edited", [False, True])
def test_a_model_that_cannot_be_run_is_no_verdict(device: str, kept: Path, prompt_edited: bool) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("for this once")

    model, encoded = fresh(device)
    handle = model.layout.blocks[2].register_forward_pre_hook(fails)
    with pytest.raises(RuntimeError, match="for this once"):
        path_of(model, encoded, prompt_edited=prompt_edited)
    handle.remove()
    assert path_of(model, encoded, prompt_edited=prompt_edited).kind is (Resume if prompt_edited else DepthPrefix)


def test_what_the_trial_has_opened_is_what_opening_gives(device: str, kept: Path) -> None:
    for _ in range(2):  # by a full trial, and by the check of its verdict
        model, encoded = fresh(device)
        opened: list[Any] = []
        path = path_of(model, encoded, prompt_edited=False, on_opened=opened.append)
        with torch.no_grad():
            ours, plain = opened[0].start(2).logits, path.open(model, encoded).start(2).logits
        assert type(opened[0]) is path.kind and torch.equal(ours, plain)


def test_a_model_that_shares_nothing_is_tried_again(
    device: str, kept: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "NEXT_WAYS", ())
    monkeypatch.setattr(paths, "PROMPT_WAYS", ())
    assert chosen(device).kind is WholeForwards and not kept.exists()


def test_a_key_names_everything_but_the_weights(device: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = fresh(device)
    key = verdict_key(model, ("kind", frozenset({"b", "a"})))
    with torch.no_grad():
        next(model.hf.parameters()).add_(1)
    assert verdict_key(model, ("kind", frozenset({"a", "b"}))) == key
    assert verdict_key(model, "another kind") != key
    other, _ = fresh(device, "qwen2_5_vl")
    assert verdict_key(other, ("kind", frozenset({"b", "a"}))) != key
    longer, _ = fresh(device)
    longer.hf.config.text_config.rms_norm_eps = 1e-3
    assert verdict_key(longer, ("kind", frozenset({"b", "a"})))["configuration"] != key["configuration"]
    model.hf.to(torch.bfloat16)
    assert verdict_key(model, ("kind", frozenset({"b", "a"})))["dtype"] != key["dtype"]
    versions = schema.dependency_versions()
    for name in ("torch", "transformers", "mllm_probe"):
        monkeypatch.setattr(schema, "dependency_versions", lambda name=name: versions | {name: "0"})
        assert verdict_key(other, "k")["versions"][name] == "0"
    assert set(key) == {"format", "class", "modules", "configuration", "kind", "dtype", "device", "versions", "code"}


KEY = {"kind": [False], "dtype": "torch.float32"}


def _content(**changed: Any) -> bytes:
    return json.dumps({"key": KEY, "way": "DepthPrefix", "one_by_one": False, "tried": {}} | changed).encode()


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"\x80\x04K\x01.",
    "cut short": _content()[:-9],
    "deep": b"[" * 60_000,
    "too large": _content(tried={"x": "y" * 200}) + b" " * (1 << 17),
    "a list": b"[1, 2]",
    "another key": _content(key=KEY | {"dtype": "torch.float16"}),
    "no key": json.dumps({"way": "DepthPrefix", "one_by_one": False, "tried": {}}).encode(),
    "more than that": _content(more=1),
    "an unknown way": _content(way="os.system"),
    "a way of another kind": _content(way="WholeForwards"),
    "a way that is a list": _content(way=["DepthPrefix"]),
    "one_by_one a number": _content(one_by_one=1),
    "tried a list": _content(tried=["x"]),
    "tried of numbers": _content(tried={"x": 1}),
    "control characters": _content(tried={"x": "\x1b[31mred"}),
    "a long text": _content(tried={"x": "y" * 5000}),
    "many": _content(tried={str(n): "y" for n in range(500)}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_the_package_did_not_write_is_ignored_and_overwritten(kept: Path, name: str) -> None:
    keep_verdict(KEY, GOOD)
    [file] = kept.iterdir()
    assert read_verdict(KEY, WAYS) == GOOD
    file.write_bytes(HOSTILE[name])
    assert read_verdict(KEY, WAYS) is None
    keep_verdict(KEY, GOOD)
    assert read_verdict(KEY, WAYS) == GOOD and [one.name for one in kept.iterdir()] == [file.name]


def test_what_is_no_file_is_ignored(kept: Path, tmp_path: Path) -> None:
    keep_verdict(KEY, GOOD)
    [file] = kept.iterdir()
    elsewhere = tmp_path / "elsewhere.json"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert read_verdict(KEY, WAYS) is None
    keep_verdict(KEY, replace(GOOD, token_by_token=True))
    assert not file.is_symlink() and read_verdict(KEY, WAYS) == replace(GOOD, token_by_token=True)
    assert json.loads(elsewhere.read_text(encoding="utf-8"))["one_by_one"] is False
    file.unlink()
    os.mkfifo(file)
    assert read_verdict(KEY, WAYS) is None  # without waiting for somebody to write
    file.unlink()
    file.mkdir()
    keep_verdict(KEY, GOOD)
    assert read_verdict(KEY, WAYS) is None and [one.name for one in kept.iterdir()] == [file.name]


def test_a_folder_that_cannot_be_written_to_is_left_alone(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    assert chosen(device).kind is DepthPrefix
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_write_that_fails_leaves_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    keep_verdict(KEY, GOOD)
    assert list(kept.iterdir()) == []


def test_verdicts_can_be_turned_off_and_lie_in_the_users_cache_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, "off")
    keep_verdict(KEY, GOOD)
    assert paths.folder() is None and read_verdict(KEY, WAYS) is None
    monkeypatch.setattr(paths, "cache_root", lambda: tmp_path)
    monkeypatch.delenv(FOLDER)
    assert paths.folder() == tmp_path / "ways"
