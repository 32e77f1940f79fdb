"""Prompts, processed tensors and options of ``generate``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import mllm_probe as mp
from tests.hostile.tries import Try

prompt = partial(Try, "generate: prompts")
option = partial(Try, "generate: arguments")


def _ask(text: Any) -> Callable[[Any], Any]:
    return lambda s: mp.generate(s.model, s.picture, text, max_new_tokens=2).text


def _with(**given: Any) -> Callable[[Any], Any]:
    return lambda s: mp.generate(s.model, s.picture, **{"max_new_tokens": 2, **given}).text


def _ids(ids: Any) -> Callable[[Any], Any]:
    return lambda s: mp.generate(s.model, inputs={"input_ids": ids}, max_new_tokens=2).text


def _answers(out: list[str]) -> bool:
    return len(out) == 1 and bool(out[0])


_PROMPTS: list[tuple[str, Any, str]] = [
    ("a number", 5, "prompt: expected text, or one text per sample; got 5"),
    ("bytes", b"hi", "prompt: expected text, or one text per sample; got b'hi'"),
    ("a list with None", [None], "prompt: expected text, or one text per sample; got None"),
    ("chat messages", [{"role": "user", "content": "Hi"}], "the chat template is applied to it"),
    ("two for one picture", ["a", "b"], "Expected one prompt, or one per sample (1); got 2"),
    ("none for one picture", [], "Expected one prompt, or one per sample (1); got 0"),
    ("25,000 words", "cat " * 25_000, "shorten the prompt"),
    ("an image token", "<image>", "prompt: holds the image token '<image>'"),
    ("three image tokens", "<image><image> x <image>", "prompt: holds the image token '<image>'"),
    ("half a surrogate pair", "\ud800", "prompt: holds '\\ud800', which is no character"),
]
_WARNED: list[tuple[str, str, str]] = [
    ("a NUL", "a\0b", "does not know the word"),
    ("markup", "<script>x</script>", "does not know the word"),
    ("unknown words", "zqx wvy", "does not know the words 'zqx', 'wvy'"),
    ("an emoji", "\U0001f600", "does not know"),
    ("special tokens", "</s><s><pad>", "does not know"),
]
_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"max_new_tokens": 0}, "max_new_tokens: expected 1 or more; got 0"),
    ({"max_new_tokens": -1}, "max_new_tokens: expected 1 or more; got -1"),
    ({"max_new_tokens": 2.5}, "max_new_tokens: expected a whole number, such as 1; got 2.5"),
    ({"max_new_tokens": float("nan")}, "max_new_tokens: expected a whole number, such as 1; got nan"),
    ({"max_new_tokens": "3"}, "max_new_tokens: expected a whole number, such as 1; got '3'"),
    ({"max_new_tokens": None}, "max_new_tokens: expected a whole number, such as 1; got None"),
    ({"max_new_tokens": True}, "max_new_tokens: expected a whole number, such as 1; got True"),
    ({"temperature": float("nan"), "do_sample": True}, "temperature: expected a finite number"),
    ({"temperature": -1.0, "do_sample": True}, "temperature: expected a number above 0"),
    ({"num_beams": 0}, "num_beams: expected 1 or more; got 0"),
    ({"do_sample": True, "top_k": -5}, "top_k: expected 0 or more; got -5"),
    ({"nonsense": 1}, "generate has no option 'nonsense'"),
    ({"answer_prefix": 5}, "answer_prefix: expected text or a list of token ids; got 5"),
    ({"answer_prefix": "<image>"}, "answer_prefix: holds the image token"),
    ({"answer_prefix": "\ud800"}, "answer_prefix: holds '\\ud800', which is no character"),
    ({"inputs": {}}, "inputs= expects processed tensors with 'input_ids'"),
    ({"inputs": []}, "inputs= expects processed tensors of at least one sample"),
    ({"inputs": 5}, "inputs= expects processed tensors with 'input_ids'"),
    ({"inputs": [None]}, "inputs= expects processed tensors with 'input_ids'"),
    ({"steering": "cat"}, "steering: expected a Steering"),
    ({"steering": []}, "steering: expected a Steering"),
    ({"steering": 5}, "steering: expected a Steering"),
    ({"steering": {}}, "steering: expected a Steering"),
]
_IDS: list[tuple[str, Any, str]] = [
    ("beyond the vocabulary", torch.tensor([[10**6]]), "token ids between 0 and"),
    ("negative", torch.tensor([[-1]]), "token ids between 0 and"),
    ("none", torch.zeros(1, 0, dtype=torch.long), "at least one token"),
    ("fractions", torch.rand(1, 4), "whole numbers"),
    ("one dimension", torch.tensor([1, 2]), "[rows, tokens]"),
    ("text", "abc", "[rows, tokens]"),
]

_NO_MODEL = "model: expected a loaded model (mp.load or mp.wrap)"

TRIES = [
    *(prompt(name, _ask(text), "error", says) for name, text, says in _PROMPTS),
    *(prompt(name, _ask(text), "result", right=_answers) for name, text in (("empty", ""), ("a space", " "))),
    *(prompt(name, _ask(text), "warning", says, _answers) for name, text, says in _WARNED),
    prompt("a steering", lambda s: mp.generate(s.model, s.picture, mp.Steering(s.cat, [3])), "error",
           "pass it as steering="),
    *(option(f"{given}", _with(**given), "error", says) for given, says in _OPTIONS),
    *(option(f"ids: {name}", _ids(ids), "error", says) for name, ids, says in _IDS),
    option("ids: a list", _ids([[1, 2]]), "result", right=lambda out: len(out) == 1),
    option("ids: a tensor", _ids(torch.tensor([[1, 2]])), "result", right=lambda out: len(out) == 1),
    option("10**9 new tokens", lambda s: [_with(max_new_tokens=n)(s) for n in (10**9, 60)], "result",
           right=lambda out: out[0] == out[1]),
    option("vectors as steering", lambda s: mp.generate(s.model, s.picture, steering=s.cat), "error",
           "steering: expected a Steering"),
    option("a list with text", lambda s: mp.generate(s.model, s.picture, steering=[mp.Steering(s.cat, [3]), "x"]),
           "error", "got str"),
    *(option(f"model: {n}", lambda s, m=m: mp.generate(m, s.picture), "error", _NO_MODEL)
      for n, m in {"None": None, "a name": "scenes-8l"}.items()),
    option("model: the Hugging Face one", lambda s: mp.generate(s.model.hf, s.picture), "error", _NO_MODEL),
    option("stream: model", lambda s: mp.stream(None, s.picture), "error", _NO_MODEL),
    option("stream: max_new_tokens", lambda s: mp.stream(s.model, s.picture, max_new_tokens=2.5), "error",
           "max_new_tokens: expected a whole number"),
    option("stream: beams", lambda s: mp.stream(s.model, s.picture, num_beams=3), "error", "num_beams"),
    option("steer: model", lambda s: mp.steer(None, None).__enter__(), "error", _NO_MODEL),
]  # fmt: skip
