"""Several questions about one picture in one row: the picture is encoded once and no question sees another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mllm_probe.scenes.language import Question
from training.scenes.architecture import ASSISTANT, EOS, IMAGE_TOKENS, USER

PREFIX = 1 + IMAGE_TOKENS
"""Positions before the first question: the beginning token and the picture."""

_WEIGHTS = {"caption": 2.0, "list": 2.0, "where": 1.5, "relation": 1.5}


@dataclass(frozen=True)
class Turn:
    """The tokens around a question and its answer, and what an answer counts.

    `prefix`: positions before the first question: what begins the prompt, and the picture.
    `before`, `between`: token ids before a question, and between it and its answer.
    `end`: token id that ends an answer.
    `weights`: of an answer by the kind of its question, 1 by default; shared by its tokens.
    `length_power`: an answer's tokens have its weight divided by its length to this power: 1 makes long answers count
        as much as short ones, 0 makes every token count the same.
    """

    prefix: int
    before: Sequence[int]
    between: Sequence[int]
    end: int
    weights: Mapping[str, float] = field(default_factory=dict)
    length_power: float = 1.0


SCENES = Turn(PREFIX, (USER,), (ASSISTANT,), EOS, _WEIGHTS)
"""Of the models of the drawn world."""


@dataclass(frozen=True)
class Placement:
    """Location of one question: its row, and its answer's first label and length (with the end token)."""

    row: int
    question: Question
    start: int
    length: int


@dataclass(frozen=True)
class Pack:
    """Token ids [n, room], positions [n, prefix + room], labels and weights [n, room], mask [n, 1, all, all]."""

    ids: Tensor
    positions: Tensor
    labels: Tensor
    weights: Tensor
    mask: Tensor
    placements: list[Placement]


def pack(
    by_picture: Sequence[Sequence[Question]], encode: Callable[[str], list[int]], room: int, turn: Turn = SCENES
) -> Pack:
    """Pack the questions of each picture into one row.

    `by_picture`: one sequence per picture; a question that no longer fits is left out.
    `encode`: from text to token ids.
    `room`: tokens for the questions of one picture.
    `turn`: the tokens around them.
    """
    rows = len(by_picture)
    ids = np.zeros((rows, room), np.int64)
    segment = np.full((rows, room), -1, np.int64)
    positions = np.full((rows, turn.prefix + room), turn.prefix, np.int64)
    positions[:, : turn.prefix] = np.arange(turn.prefix)
    labels = np.full((rows, room), -100, np.int64)
    weights = np.zeros((rows, room), np.float32)
    placements = []
    for row, questions in enumerate(by_picture):
        used = 0
        for number, question in enumerate(questions):
            prompt = [*turn.before, *encode(question.text), *turn.between]
            answer = [*encode(question.answer), turn.end]
            length = len(prompt) + len(answer)
            if used + length > room:
                continue
            span = slice(used, used + length)
            ids[row, span] = prompt + answer
            segment[row, span] = number
            positions[row, turn.prefix + used : turn.prefix + used + length] = turn.prefix + np.arange(length)
            start = used + len(prompt) - 1
            labels[row, start : start + len(answer)] = answer
            weight = turn.weights.get(question.kind, 1.0) / len(answer) ** turn.length_power
            weights[row, start : start + len(answer)] = weight
            placements.append(Placement(row, question, start, len(answer)))
            used += length
    whole = turn.prefix + room
    mask = torch.ones(whole, whole, dtype=torch.bool).tril()[None].repeat(rows, 1, 1)
    segments = torch.from_numpy(segment)
    mask[:, turn.prefix :, turn.prefix :] &= segments[:, :, None] == segments[:, None, :]
    packed = [torch.from_numpy(array) for array in (ids, positions, labels, weights)]
    return Pack(packed[0], packed[1], packed[2], packed[3], mask[:, None], placements)
