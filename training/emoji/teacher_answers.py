"""Answers of the untouched decoder that its adapted self has to keep: written once, with its predictions, and cached.

Two kinds: chats without an image, and questions about what is seen, of which the decoder is told in words what the
adapted model is shown. Every answer comes with the likeliest next tokens at each of its places, so that the adapted
model is trained towards the decoder's distribution and not only its words (Hinton et al. 2015).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM

from mllm_probe.emoji.emoji_scene import sample
from mllm_probe.models.layout import cache_argument
from mllm_probe.scenes.sampling import choose
from mllm_probe.typing import JsonObject
from training.emoji.captions import open_question, premise
from training.emoji.language_prompts.training_prompts import about, chats, single_chats
from training.emoji.low_rank_adapters import without_adapters
from training.emoji.seeing_decoder import ChatTokens

log = logging.getLogger(__name__)
TOP = 32
"""Next tokens that are kept at every place."""
_FILL = -1
_PROMPT_SEED = 7
_KINDS, _ABOUT = ("one", "one", "one", "two", "relation", "arrangement"), 0.7


@dataclass(frozen=True)
class TeacherPlan:
    """What is asked of the untouched decoder.

    `chats`, `about`: number of chats without an image, and of questions about what is seen.
    `longest`: tokens of an answer.
    `sampled`: share of the answers that are drawn at random; the others are greedy.
    `temperature`: of those that are drawn, among the `TOP` likeliest tokens.
    `batch`: prompts that are answered together, and kept in one file.
    """

    chats: int = 1200
    about: int = 1800
    longest: int = 36
    sampled: float = 0.4
    temperature: float = 0.7
    batch: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Shown:
    """What is in the image that a question is about: nouns and feelings, and how they are arranged or related."""

    names: tuple[str, ...]
    arrangement: str | None
    relation: str | None


@dataclass(frozen=True)
class Asked:
    """One prompt: what the teacher is told in words, and what its adapted self is asked, about an image if any."""

    told: str
    question: str
    shown: Shown | None


@dataclass(frozen=True)
class Taught:
    """One answer: token ids [n], and the likeliest next tokens and their log-probabilities at each place [n, TOP]."""

    asked: Asked
    answer: np.ndarray
    likely: np.ndarray
    log_probabilities: np.ndarray


def prompts(plan: TeacherPlan) -> list[Asked]:
    """Return all prompts of a plan, in an order that mixes their kinds."""
    g = np.random.default_rng([plan.seed, _PROMPT_SEED])
    everything, single = chats(), len(single_chats())
    more = single + g.permutation(len(everything) - single)[: max(0, plan.chats - single)]
    asked = [Asked(everything[i], everything[i], None) for i in (*range(min(single, plan.chats)), *more)]
    for _ in range(plan.about):
        scene = sample(g, "seen", choose(g, _KINDS))
        question = open_question(scene, g).text
        if len(scene.items) == 1 and not scene.arrangement and g.random() < _ABOUT:
            question = choose(g, about())
        shown = Shown(tuple(item.name for item in scene.items), scene.arrangement, scene.relation)
        asked.append(Asked(f"{premise(scene)} {question}", question, shown))
    return [asked[i] for i in g.permutation(len(asked))]


def kept_prompts(plan: TeacherPlan, folder: Path) -> list[Asked]:
    """Return the prompts of a plan that a folder keeps; they are written there first, if it has none.

    So a training that was begun goes on with the same prompts, whatever becomes of captions and scenes in between.
    """
    path = folder / f"prompts-{_key(asdict(plan))}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(one) for one in prompts(plan)], indent=0) + "\n", encoding="utf-8")
        os.replace(partial, path)
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Asked(row["told"], row["question"], _shown(row["shown"])) for row in rows]


def _shown(row: JsonObject | None) -> Shown | None:
    return None if row is None else Shown(tuple(row["names"]), row["arrangement"], row["relation"])


@torch.no_grad()
def _answers(decoder: LlamaForCausalLM, tokens: ChatTokens, told: Sequence[str], plan: TeacherPlan,
             g: torch.Generator, sampled: Tensor) -> dict[str, Tensor]:  # fmt: skip
    """Answer prompts together; tensors [prompts, longest] of ids and [prompts, longest, TOP] of likely tokens."""
    device = decoder.device
    rows = [tokens.chat(text) for text in told]
    widest = max(map(len, rows))
    ids = torch.tensor([[*[tokens.end] * (widest - len(row)), *row] for row in rows], device=device)
    mask = torch.tensor([[*[0] * (widest - len(row)), *[1] * len(row)] for row in rows], device=device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    done = torch.zeros(len(rows), dtype=torch.bool, device=device)
    answer, likely, kept, cache = [], [], [], DynamicCache(config=decoder.config)
    for _ in range(plan.longest):
        out = decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            logits_to_keep=1,
            **cache_argument(decoder, cache),
        )
        chances = out.logits[:, -1].float().log_softmax(-1)
        best = chances.topk(TOP)
        drawn = torch.multinomial((best.values.cpu() / plan.temperature).softmax(-1), 1, generator=g).to(device)
        chosen = torch.where(sampled.to(device), best.indices.gather(1, drawn)[:, 0], best.indices[:, 0])
        answer.append(torch.where(done, _FILL, chosen).cpu())
        likely.append(best.indices.int().cpu())
        kept.append(best.values.half().cpu())
        done = done | (chosen == tokens.end)
        if bool(done.all()):
            break
        ids = torch.where(done, tokens.end, chosen)[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
        positions = positions[:, -1:] + 1
    return {
        "answer": torch.stack(answer, 1).int(),
        "likely": torch.stack(likely, 1),
        "log_probabilities": torch.stack(kept, 1),
    }


def _key(*content: object) -> str:
    """Hash of all that decides a file."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def teacher_answers(
    decoder: LlamaForCausalLM,
    tokens: ChatTokens,
    asked: Sequence[Asked],
    plan: TeacherPlan,
    folder: Path,
    decoder_name: str,
    paused: Callable[[], bool] = lambda: False,
) -> list[Taught]:
    """Answer prompts with the adapters switched off, or read the answers that are there already.

    `asked`: from `prompts` or `kept_prompts`.
    `folder`: for the answers, a safetensors file for each batch. A stopped run goes on after the last whole file; other
        prompts, or another plan, get files of their own.
    `decoder_name`: of the decoder in the cache.
    `paused`: asked after every batch whether to stop; KeyboardInterrupt then.

    Returns: in the order of `asked`.
    """
    key = _key(asdict(plan), decoder_name, TOP, [one.told for one in asked])
    folder.mkdir(parents=True, exist_ok=True)
    taught: list[Taught] = []
    count = -(-len(asked) // plan.batch)
    for number in range(count):
        some = asked[number * plan.batch : (number + 1) * plan.batch]
        path = folder / f"answers-{key}-{number:04d}.safetensors"
        if not path.exists():
            g = torch.Generator().manual_seed(plan.seed * 1_000_003 + number)
            sampled = torch.rand(len(some), generator=g) < plan.sampled
            with without_adapters(decoder):
                batch = _answers(decoder, tokens, [one.told for one in some], plan, g, sampled)
            save_file(batch, path.with_suffix(".partial"))
            os.replace(path.with_suffix(".partial"), path)
            log.info("teacher's answers: %d of %d", min((number + 1) * plan.batch, len(asked)), len(asked))
            if paused():
                raise KeyboardInterrupt
        taught += _read(path, some)
    return taught


def _read(path: Path, asked: Sequence[Asked]) -> list[Taught]:
    with safe_open(path, "np") as file:
        answer, likely, kept = (file.get_tensor(name) for name in ("answer", "likely", "log_probabilities"))
    lengths = (answer != _FILL).sum(1)
    return [
        Taught(one, answer[row, :n].astype(np.int64), likely[row, :n].astype(np.int64), kept[row, :n])
        for row, (one, n) in enumerate(zip(asked, lengths, strict=True))
    ]


def divergence(logits: Tensor, likely: Tensor, log_probabilities: Tensor) -> Tensor:
    """Return KL(teacher ‖ student) at each place, in nats, with all tokens beyond the likely ones taken together.

    `logits`: the student's, float32 [places, vocabulary]. `likely`: the teacher's likeliest tokens, int64 [places,
    TOP]. `log_probabilities`: theirs, float32 [places, TOP]. Returns: [places]. Tokens taken together make it a lower
    bound of the divergence over the whole vocabulary, with the same minimum.
    """
    student = logits.log_softmax(-1).gather(1, likely)
    kept, others = log_probabilities.exp(), 1e-6
    left = (1 - kept.sum(1)).clamp(min=others)
    left_student = (1 - student.exp().sum(1)).clamp(min=others)
    return (kept * (log_probabilities - student)).sum(1) + left * (left.log() - left_student.log())
