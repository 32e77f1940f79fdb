"""A layer that appends in place equals one that concatenates, and its copies go on apart."""

import copy

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from mllm_probe.decoding.rows import GrowingLayer, select_layer


def states(tokens, seed, rows=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 2, tokens, 4, generator=generator), torch.randn(rows, 2, tokens, 5, generator=generator)


def feed(layers, tokens, seed, rows=3):
    return [[part.clone() for part in layer.update(*states(tokens, seed, rows))] for layer in layers]


def test_equals_concatenation_whatever_is_appended():
    layers = [GrowingLayer(), DynamicLayer()]
    for seed, tokens in enumerate([5, 1, 1, 40, 1, 3, 1]):
        mine, other = feed(layers, tokens, seed)
        assert all(map(torch.equal, mine, other))
    assert layers[0].get_seq_length() == layers[1].get_seq_length() == 52


def test_a_step_writes_into_room_that_is_there():
    layer = GrowingLayer(*states(600, 0))
    layer.update(*states(1, 1))
    place = layer.keys.data_ptr()
    for seed in range(2, 70):
        layer.update(*states(1, seed))
    assert layer.keys.data_ptr() == place and layer.get_seq_length() == 669


@pytest.mark.parametrize("fork", [copy.copy, copy.deepcopy, lambda layer: select_layer(layer, None)])
def test_copies_go_on_apart(fork):
    layers = [GrowingLayer(), DynamicLayer()]
    feed(layers, 4, 0)
    feed(layers, 1, 1)
    forks = [fork(layers[0]), copy.deepcopy(layers[1])]
    later = [fork(forks[0]), copy.deepcopy(forks[1])]
    for seed, pair in enumerate((layers, forks, later, layers, later, forks)):
        mine, other = feed(pair, 1 + seed % 2, 10 + seed)
        assert all(map(torch.equal, mine, other))
    for mine, other in (layers, forks, later):
        assert torch.equal(mine.keys, other.keys) and torch.equal(mine.values, other.values)


def test_exchanged_rows_go_on():
    layers = [GrowingLayer(), DynamicLayer()]
    feed(layers, 4, 0)
    feed(layers, 2, 1)
    chosen = [select_layer(layer, torch.tensor([2, 0])) for layer in layers]
    mine, other = feed(chosen, 1, 2, rows=2)
    assert all(map(torch.equal, mine, other))
    for layer in layers:
        layer.reorder_cache(torch.tensor([1, 1, 0]))
    mine, other = feed(layers, 1, 3)
    assert all(map(torch.equal, mine, other))
