"""How much of its decoder's language the emoji model keeps, and whether it knows about what it is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mllm_probe.emoji.emoji_scene import EmojiScene, sample
from mllm_probe.emoji.lexicon import ENTITIES, NOUNS, phrase
from mllm_probe.metrics.statistics import bootstrap_interval
from mllm_probe.metrics.text import named
from mllm_probe.scenes.sampling import choose
from mllm_probe.typing import HfModel
from training.emoji.emoji_recognition import drawn
from training.emoji.language_prompts.evaluation_prompts import closed_questions, facts, open_prompts
from training.emoji.seeing_decoder import ChatTokens
from training.evaluation.accuracy import Score, score
from training.evaluation.answerer import Answerer

LEAST_TOKENS, MOST_TOKENS = 32, 48
_SHORT, _SEED = 24, 31_000
_FUNCTION_WORDS = """
a an the it its this that these those i you he she we they is are was were be been am do does did can
could will would should may might must have has had and or but if of to in on at for with by as from so
well then there here my your our their his her not very also just
"""
"""Words that say nothing of a thing."""


@dataclass(frozen=True)
class Speaker:
    """A model that answers chats in text, greedily."""

    model: HfModel
    tokens: ChatTokens

    @torch.no_grad()
    def __call__(self, chats: Sequence[str], most: int, least: int = 0, batch_size: int = 64) -> list[list[int]]:
        """Return the token ids of the greedy answers, their end left out."""
        answers: list[list[int]] = []
        for start in range(0, len(chats), batch_size):
            rows = [self.tokens.chat(text) for text in chats[start : start + batch_size]]
            ids, mask = _padded(rows, self.tokens.end)
            out = self.model.generate(
                input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=most, min_new_tokens=least,
                pad_token_id=self.tokens.end, eos_token_id=self.tokens.end,
            )  # fmt: skip
            for row in out[:, ids.shape[1] :].tolist():
                answers.append(row[: row.index(self.tokens.end)] if self.tokens.end in row else row)
        return answers

    def text(self, answers: Sequence[Sequence[int]]) -> list[str]:
        """Return answers as text."""
        return [self.tokens.words.decode(ids, skip_special_tokens=True).strip() for ids in answers]


def _padded(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Left-padded ids and their mask."""
    widest = max(map(len, rows))
    ids = torch.tensor([[*[fill] * (widest - len(row)), *row] for row in rows])
    return ids, torch.tensor([[*[0] * (widest - len(row)), *[1] * len(row)] for row in rows])


def untouched(decoder: Path, words: PreTrainedTokenizerFast, dtype: torch.dtype) -> Speaker:
    """Return the cached decoder alone."""
    model = LlamaForCausalLM.from_pretrained(decoder, dtype=dtype, local_files_only=True).eval()
    return Speaker(model, ChatTokens(words))


def facts_kept(own: Speaker, decoder: Speaker, count: int | None = None) -> list[Score]:
    """Return how many facts the decoder alone answers right, and how many of these the model still does."""
    asked = facts()[:count]
    prompts = [fact.prompt for fact in asked]
    right = [
        [named(text, fact.answers) for text, fact in zip(one.text(one(prompts, _SHORT)), asked, strict=True)]
        for one in (decoder, own)
    ]
    still = [kept for before, kept in zip(*right, strict=True) if before]
    return [
        score("language: short factual questions, by the decoder alone", right[0]),
        score("language: of these, still right", still),
    ]


@torch.no_grad()
def divergences(own: Speaker, decoder: Speaker, count: int | None = None) -> np.ndarray:
    """Return the mean KL(decoder ‖ model) per token of each of the decoder's greedy answers, in nats, float64.

    Over the whole vocabulary, of answers of at least ``LEAST_TOKENS`` tokens.
    """
    prompts = open_prompts()[:count]
    answers = decoder(prompts, MOST_TOKENS, LEAST_TOKENS)
    each = []
    for prompt, answer in zip(prompts, answers, strict=True):
        row = torch.tensor([[*decoder.tokens.chat(prompt), *answer]])
        before, after = (
            one.model(input_ids=row).logits[0, -len(answer) - 1 : -1].float().log_softmax(-1) for one in (decoder, own)
        )
        # The model's vocabulary has one entry more, for images.
        each.append(float((before.exp() * (before - after[:, : before.shape[1]])).sum(1).mean()))
    return np.array(each)


def first_content_word(text: str) -> str:
    """Return the first word of an answer that is no function word, in lower case; empty if there is none."""
    words = re.findall(r"[a-z]+", text.lower())
    return next((word for word in words if word not in _FUNCTION_WORDS.split()), "")


def knowledge_scores(answer: Answerer, decoder: Speaker, count: int) -> list[Score]:
    """Return how often the model says about an image what its decoder says that is told the noun, or a wrong one.

    `answer`: the model. `decoder`: the decoder alone, told "I see a bear." before the question. `count`: images, each
    with a closed question.
    """
    g, questions = np.random.default_rng(_SEED), closed_questions()
    scenes: list[EmojiScene] = []
    wrong: list[str] = []
    while len(scenes) < count:
        scene = sample(g, "seen", "one")
        if scene.items[0].name in NOUNS:
            scenes.append(scene)
            wrong.append(choose(g, [name for name in ENTITIES if name != scene.items[0].name]))
    asked = [questions[i % len(questions)].prompt for i in range(count)]
    seen = answer([drawn(scene, None) for scene in scenes], asked, _SHORT)
    told = [
        decoder.text(
            decoder([f"I see {phrase(name)}. {text}" for name, text in zip(names, asked, strict=True)], _SHORT)
        )
        for names in ([scene.items[0].name for scene in scenes], wrong)
    ]
    labels = ("knowledge through the image: as told the noun", "knowledge through the image: as told a wrong noun")
    return [
        score(label, [first_content_word(a) == first_content_word(b) for a, b in zip(seen, texts, strict=True)])
        for label, texts in zip(labels, told, strict=True)
    ]


def language_lines(answer: Answerer, decoder_folder: Path, dtype: torch.dtype, count: int) -> tuple[list[Score], str]:
    """Return the scores of the language rows, and the divergence in words.

    `answer`: the model. `decoder_folder`: of its decoder in the cache. `count`: images of the rows about knowledge.
    """
    own = Speaker(answer.model, ChatTokens(answer.processor.tokenizer))
    decoder = untouched(decoder_folder, answer.processor.tokenizer, dtype)
    scores = [*facts_kept(own, decoder), *knowledge_scores(answer, decoder, count)]
    each = divergences(own, decoder)
    low, high = bootstrap_interval(each)
    line = (
        f"KL(decoder ‖ model) per token of the decoder's greedy answers: {each.mean():.3f} nats "
        f"(95 % interval {low:.3f} to {high:.3f}; {len(each)} prompts, {LEAST_TOKENS} to {MOST_TOKENS} tokens each)"
    )
    return scores, line
