"""Attention over a shared prompt equals plain attention over everything."""

import pytest
import torch

from mllm_probe.decoding.attention import _refuse, _shared, attend, merge
from mllm_probe.decoding.rows import PrefixLayer


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def plainly(query, keys, values, hidden=None):
    scores = (query @ keys.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    if hidden is not None:
        scores = scores.masked_fill(hidden, -torch.inf)
    return scores.softmax(-1) @ values.float(), scores.logsumexp(-1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("width", "value_width"), [(16, 16), (12, 12), (24, 16)])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_every_kernel_gives_output_and_log_sum_exp(causal, width, value_width, dtype, error):
    query, keys = drawn(2, 3, 7, width, dtype=dtype), drawn(2, 3, 7, width, seed=1, dtype=dtype)
    values = drawn(2, 3, 7, value_width, seed=2, dtype=dtype)
    out, lse = attend(query, keys, values, scale=width**-0.5, causal=causal)
    hidden = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    expected, expected_lse = plainly(query, keys, values, hidden)
    torch.testing.assert_close(out.float(), expected, atol=error, rtol=error)
    torch.testing.assert_close(lse.float(), expected_lse, atol=error, rtol=error)


def test_causal_attention_needs_as_many_keys_as_queries():
    with pytest.raises(ValueError, match="as many keys as queries; got 5, 3"):
        attend(drawn(1, 1, 3, 8), drawn(1, 1, 5, 8), drawn(1, 1, 5, 8), scale=1.0, causal=True)


def test_two_parts_merge_exactly():
    query, keys, values = drawn(1, 2, 3, 8), drawn(1, 2, 9, 8, seed=1), drawn(1, 2, 9, 8, seed=2)
    parts = [attend(query, keys[:, :, s], values[:, :, s], scale=0.3) for s in (slice(0, 4), slice(4, 9))]
    whole = attend(query, keys, values, scale=0.3)[0]
    torch.testing.assert_close(merge(*parts[0], *parts[1]), whole, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("fed", [1, 2, 4])
@pytest.mark.parametrize("groups", [1, 3])
def test_rows_of_several_prompts_see_their_own_prompt_and_their_own_tokens(fed, groups):
    prompts = [(drawn(1, 2, 6, 8, seed=10 + i), drawn(1, 2, 6, 8, seed=20 + i)) for i in range(2)]
    owners = [0, 0, 1, 0]
    layer = PrefixLayer(prompts, owners)
    layer.update(drawn(4, 2, 4 - fed, 8, seed=3), drawn(4, 2, 4 - fed, 8, seed=4)) if fed < 4 else None
    keys, values = layer.update(drawn(4, 2, fed, 8, seed=5), drawn(4, 2, fed, 8, seed=6))
    query = drawn(4, 2 * groups, fed, 8, seed=7)
    out = _shared(query, keys, values, keys.prefixes, {})
    hidden = torch.ones(fed, 10, dtype=torch.bool).triu(1 + 10 - fed)
    for row, owner in enumerate(owners):
        own = [torch.cat([prompts[owner][i], part[row : row + 1]], 2) for i, part in enumerate((keys, values))]
        spread = [part.repeat_interleave(groups, 1) for part in own]
        expected = plainly(query[row : row + 1], *spread, hidden)[0]
        torch.testing.assert_close(out[row : row + 1].transpose(1, 2), expected, atol=1e-5, rtol=1e-5)


def test_selected_rows_keep_their_prompt_and_hold_it_once():
    prompts = [(drawn(1, 1, 3, 8, seed=i), drawn(1, 1, 3, 8, seed=i)) for i in range(2)]
    layer = PrefixLayer(prompts, [0, 0, 1])
    layer.update(drawn(3, 1, 2, 8), drawn(3, 1, 2, 8))
    chosen = layer.select(torch.tensor([2, 0]))
    assert [(r.start, r.stop) for r in chosen.runs] == [(0, 1), (1, 2)] and chosen.get_seq_length() == 5
    assert chosen.runs[0].keys.data_ptr() == prompts[1][0].data_ptr()
    torch.testing.assert_close(chosen.keys, layer.keys[[2, 0]])
    chosen.update(drawn(2, 1, 1, 8), drawn(2, 1, 1, 8))
    assert layer.get_seq_length() == 5 and chosen.get_seq_length() == 6


@pytest.mark.parametrize("named", [{"softcap": 30.0}, {"s_aux": torch.zeros(2)}, {"is_causal": False}])
def test_what_cannot_be_shared_is_refused(named):
    with pytest.raises(NotImplementedError, match="cannot share"):
        _refuse(torch.nn.Identity(), None, named, 2, 2)


def test_a_mask_over_the_prompt_is_refused():
    mask, block = torch.ones(1, 1, 2, 5, dtype=torch.bool).tril(3), torch.nn.Identity()
    _refuse(block, mask, {}, 2, 2)
    hidden = mask.clone()
    hidden[..., 0] = False
    with pytest.raises(NotImplementedError, match="hides parts of the prompt"):
        _refuse(torch.nn.Identity(), hidden, {}, 2, 2)
    with pytest.raises(NotImplementedError, match="hides parts of the prompt"):
        _refuse(block, torch.where(hidden, 0.0, -torch.inf)[..., :4], {}, 2, 2)


def test_a_mask_is_read_once_for_all_blocks_and_for_its_shape():
    blocks, read = [torch.nn.Identity() for _ in range(3)], []

    class Mask(torch.Tensor):
        def all(self, *arguments):
            read.append(1)
            return super().all(*arguments)

    for _ in range(2):
        mask = torch.ones(1, 1, 2, 5, dtype=torch.bool).as_subclass(Mask)
        for block in blocks:
            _refuse(block, mask, {}, 2, 2)
    assert len(read) == 1
    _refuse(blocks[0], torch.ones(1, 1, 2, 6, dtype=torch.bool).as_subclass(Mask), {}, 2, 2)
    assert len(read) == 2
