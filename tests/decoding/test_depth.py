"""Blocks below the edits are computed once for rows that were fed the same tokens, and nothing changes by that."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from mllm_probe.decoding.depth import DepthPrefix, DepthRows, Groups
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.shared_prompt import SharedPrefixSpan
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.intervention import Steering
from tests.hooks import active_hooks
from tests.sweeps.helpers import random_vectors, wrapped_family


def sizes(groups):
    return [len(grouping.first) for grouping in groups.at]


def test_rows_with_one_history_are_alone_only_above_their_edit():
    groups = Groups(np.array([0, 1, 1, 3]), np.zeros(4, np.int64), 3)
    assert sizes(groups) == [1, 2, 4]
    assert groups.at[1].row_to_group.tolist().count(groups.at[1].row_to_group[1]) == 3 and groups.at[2].alone


def test_groups_split_where_other_tokens_are_fed_and_never_join_again():
    groups = Groups(np.full(4, 2), np.zeros(4, np.int64), 2)
    assert groups.fed(np.array([[5], [5], [5], [5]])) is groups
    split = groups.fed(np.array([[5], [6], [5], [6]]))
    assert sizes(split) == [2, 2]
    assert sizes(split.fed(np.array([[7], [7], [7], [7]]))) == [2, 2]
    assert sizes(split.fed(np.array([[7], [7], [8], [7]]))) == [3, 3]
    assert sizes(split.chosen(np.array([0, 2]))) == [1, 1] and sizes(split.chosen(np.array([0, 1]))) == [2, 2]


@pytest.fixture(scope="module")
def case(device):
    model, inputs = wrapped_family("llava", device)
    vectors = random_vectors(model, words={"cat": [7], "dog": [11]}, norm=2.0)
    own = vectors.sel(concept="cat")
    rows = [None, *[Steering(own, [layer], s) for layer in (0, 2, 2, 3) for s in (1.0, -1.0)], None]
    return model, model.encode(None, inputs=inputs), rows


@contextmanager
def counted(model):
    """Block and number of rows of every call of an attention."""
    seen = []

    def note(block):
        return lambda module, arguments, named: seen.append((block, named["hidden_states"].shape[0]))

    handles = [
        block.self_attn.register_forward_pre_hook(note(number), with_kwargs=True)
        for number, block in enumerate(model.layout.blocks)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def test_answers_equal_those_of_rows_that_share_the_prompt_alone(case):
    model, encoded, rows = case
    tokens = torch.tensor([[3, 4, 5]]).repeat(len(rows), 1)
    tokens[1::3, 1] = 9
    found = []
    for kind in (DepthPrefix, SharedPrefix):
        buffer = EditBuffer(model, len(rows), prompt=encoded)
        buffer.write(rows)
        with torch.no_grad():
            shared = kind(model, encoded)
        with torch.no_grad(), buffer.attached():
            started = shared.start(len(rows), buffer.unedited_part)
            logits = [started.logits, started.feed(tokens[:, :1])[:, 0]]
        with torch.no_grad(), buffer.attached("generated", rows=[4, 1, 1], counted=False):
            logits += [started.fork([4, 1, 1]).feed(tokens[[4, 1, 1], 1:]).flatten(0, 1)]
        assert isinstance(started, DepthRows) == (kind is DepthPrefix)
        found.append(torch.cat(logits))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)


def test_a_block_computes_each_group_once(case):
    model, encoded, rows = case
    total = len(model.layers)
    first = tuple(total if row is None else row.layers[0] for row in rows)
    with torch.no_grad():
        shared = DepthPrefix(model, encoded)
        with counted(model) as seen:
            started = shared.start(len(rows), SharedPrefixSpan(0, 0, first))
            begun, feed = len(seen), torch.full((len(rows), 1), 3)
            started.feed(feed)
            feed[0] = 4
            started.feed(feed)
    alone = [sum(layer < block for layer in first) for block in range(total)]
    assert [count for _, count in seen[:begun]] == [a + (a < len(rows)) for a in alone]
    assert seen[begun : 2 * begun] == seen[:begun]
    assert [count for _, count in seen[2 * begun :]] == [a + 2 for a in alone]
    assert active_hooks(model) == 0


def test_rows_whose_edits_are_not_known_share_the_prompt_alone(case):
    model, encoded, _ = case
    with torch.no_grad():
        assert not isinstance(DepthPrefix(model, encoded).start(3), DepthRows)


def test_the_last_block_of_a_prefill_gives_its_keys_and_no_more(case):
    model, encoded, _ = case
    seen = []
    handle = model.layout.blocks[-1].mlp.register_forward_pre_hook(lambda module, arguments: seen.append(1))
    try:
        with torch.no_grad():
            left = SharedPrefix(model, encoded)
            assert not seen
            whole = SharedPrefix(model, encoded, read_layers=[0])
            assert seen == [1]
    finally:
        handle.remove()
    for mine, other in zip(left.cache.layers, whole.cache.layers, strict=True):
        torch.testing.assert_close(mine.keys, other.keys, atol=0, rtol=0)
        torch.testing.assert_close(mine.values, other.values, atol=0, rtol=0)
        assert "update" not in vars(mine)
