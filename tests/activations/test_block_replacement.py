"""Blocks are replaced for one thread, one ``with`` block long, and their hooks see what is put in their place."""

import threading

import pytest
import torch

from mllm_probe.activations.hooks import attached, replaced_blocks


def logits(model, pictures):
    encoded = model.encode(pictures[:1], "what?")
    with torch.no_grad():
        return model.hf(**encoded.tensors, use_cache=False).logits


def doubled(plain, *arguments, **named):
    return 2 * plain(*arguments, **named)


def test_hooks_see_the_replacement_and_the_model_goes_on_from_it(tiny, pictures):
    seen = {}
    with attached(tiny, seen.__setitem__):
        plain = logits(tiny, pictures)
        before = dict(seen)
        with replaced_blocks(tiny, {1: doubled}):
            changed = logits(tiny, pictures)
    torch.testing.assert_close(seen[0], before[0])
    torch.testing.assert_close(seen[1], 2 * before[1])
    assert not torch.allclose(plain, changed)
    torch.testing.assert_close(logits(tiny, pictures), plain)


def test_the_block_itself_need_not_run(tiny, pictures):
    kept, ran = {}, []
    with attached(tiny, kept.__setitem__):
        plain = logits(tiny, pictures)
    handle = tiny.layout.blocks[2].mlp.register_forward_hook(lambda *_: ran.append(1))
    try:
        with replaced_blocks(tiny, {2: lambda *_, **__: kept[2]}):
            torch.testing.assert_close(logits(tiny, pictures), plain)
    finally:
        handle.remove()
    assert not ran


def test_other_threads_run_the_block(tiny, pictures):
    plain, found = logits(tiny, pictures), []
    with replaced_blocks(tiny, {1: doubled}):
        thread = threading.Thread(target=lambda: found.append(logits(tiny, pictures)))
        thread.start()
        thread.join()
    torch.testing.assert_close(found[0], plain)


def test_everything_is_put_back_whatever_is_raised(tiny):
    block = tiny.layout.blocks[0]
    mine = block.forward
    block.forward = mine
    try:
        with pytest.raises(KeyError), replaced_blocks(tiny, {0: doubled, 1: doubled}):
            assert block.__dict__["forward"] is not mine
            raise KeyError
        assert block.__dict__["forward"] is mine
    finally:
        del block.forward
    with pytest.raises(IndexError), replaced_blocks(tiny, {0: doubled, 99: doubled}):
        pass
    assert not any("forward" in each.__dict__ for each in tiny.layout.blocks)


def test_a_compiled_block_is_refused(tiny):
    block = tiny.layout.blocks[1]
    block._compiled_call_impl = block._call_impl
    try:
        with (
            pytest.raises(NotImplementedError, match="block 1 of .* was compiled"),
            replaced_blocks(tiny, {1: doubled}),
        ):
            pass
    finally:
        block._compiled_call_impl = None
    assert not any("forward" in each.__dict__ for each in tiny.layout.blocks)
