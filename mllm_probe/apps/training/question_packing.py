"""Several questions about one picture in one row: the picture is encoded once and no question sees another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mllm_probe.apps.training.architecture import ASSISTANT, EOS, IMAGE_TOKENS, USER
from mllm_probe.scenes.problems import Question

PREFIX = 1 + IMAGE_TOKENS
"""Positions before the first question: the beginning token and the picture."""

_WEIGHTS = {"caption": 2.0, "list": 2.0, "where": 1.5, "relation": 1.5}


@dataclass(frozen=True)
class Placement:
    """Location of one question: its row, and its answer's first label and length (with the end token)."""

    row: int
    question: Question
    start: int
    length: int


@dataclass(frozen=True)
class Pack:
    """Token ids [n, room], positions [n, PREFIX + room], labels and weights [n, room], mask [n, 1, all, all]."""

    ids: Tensor
    positions: Tensor
    labels: Tensor
    weights: Tensor
    mask: Tensor
    placements: list[Placement]


def pack(by_picture: Sequence[Sequence[Question]], encode: Callable[[str], list[int]], room: int) -> Pack:
    """Pack the questions of each picture into one row.

    Parameters
    ----------
    by_picture : sequence of sequence of Question
        One sequence per picture; a question that no longer fits is left out.
    encode : callable
        From text to token ids.
    room : int
        Tokens for the questions of one picture.

    Returns
    -------
    Pack
    """
    rows = len(by_picture)
    ids = np.zeros((rows, room), np.int64)
    segment = np.full((rows, room), -1, np.int64)
    positions = np.full((rows, PREFIX + room), PREFIX, np.int64)
    positions[:, :PREFIX] = np.arange(PREFIX)
    labels = np.full((rows, room), -100, np.int64)
    weights = np.zeros((rows, room), np.float32)
    placements = []
    for row, questions in enumerate(by_picture):
        used = 0
        for number, question in enumerate(questions):
            prompt, answer = [USER, *encode(question.text), ASSISTANT], [*encode(question.answer), EOS]
            length = len(prompt) + len(answer)
            if used + length > room:
                continue
            span = slice(used, used + length)
            ids[row, span] = prompt + answer
            segment[row, span] = number
            positions[row, PREFIX + used : PREFIX + used + length] = PREFIX + np.arange(length)
            start = used + len(prompt) - 1
            labels[row, start : start + len(answer)] = answer
            weights[row, start : start + len(answer)] = _WEIGHTS.get(question.kind, 1.0) / len(answer)
            placements.append(Placement(row, question, start, len(answer)))
            used += length
    whole = PREFIX + room
    mask = torch.ones(whole, whole, dtype=torch.bool).tril()[None].repeat(rows, 1, 1)
    segments = torch.from_numpy(segment)
    mask[:, PREFIX:, PREFIX:] &= segments[:, :, None] == segments[:, None, :]
    packed = [torch.from_numpy(array) for array in (ids, positions, labels, weights)]
    return Pack(packed[0], packed[1], packed[2], packed[3], mask[:, None], placements)
