import threading
import types

import pytest
import torch
from torch import nn

from mllm_probe.activations.hooks import attached, before_block, resolve_layers
from tests.hooks import active_hooks


class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, hidden_states, extra=None):
        output = hidden_states + 1
        return {"tensor": output, "tuple": (output, "cache"), "list": [output]}[self.kind]


class Stack(nn.Module):
    def __init__(self, kinds=("tensor", "tuple", "list"), by_name=True):
        super().__init__()
        self.blocks, self.by_name, self.seen = nn.ModuleList(Block(kind) for kind in kinds), by_name, []

    def forward(self, input_ids, attention_mask=None, **rest):
        hidden = input_ids
        for block in self.blocks:
            hidden = block(hidden_states=hidden) if self.by_name else block(hidden)
            self.seen.append(hidden[1:])
            hidden = hidden if isinstance(hidden, torch.Tensor) else hidden[0]
        return hidden


def wrapped(hf, stream=None):
    layout = types.SimpleNamespace(blocks=tuple(hf.blocks), caller=hf, backbone=hf, stream_index=stream)
    return types.SimpleNamespace(hf=hf, layout=layout)


X = torch.zeros(2, 3, 4)


def test_outputs_are_read_and_replaced_whatever_their_container():
    model, read = wrapped(Stack()), {}
    with attached(model, lambda layer, h: h * 10):
        assert (model.hf(X) == 1110).all()
    assert model.hf.seen[1] == ("cache",)
    with attached(model, lambda layer, h: read.update({layer: h.mean().item()})):
        assert (model.hf(X) == 3).all()
    assert read == {0: 1, 1: 2, 2: 3}


def test_attachments_apply_in_the_order_of_entering():
    model, read = wrapped(Stack()), []
    first = attached(model, lambda layer, h: h + 100, layers=[1])
    second = attached(model, lambda layer, h: h * 2, layers=[1])
    with first, second, attached(model, lambda layer, h: read.append(h.mean().item()), layers=[1, -1]):
        model.hf(X)
    assert read == [204, 205]


@pytest.mark.parametrize("by_name", [True, False])
def test_inputs_are_read_and_replaced(by_name):
    model = wrapped(Stack(by_name=by_name))
    with before_block(model, lambda layer, h: torch.full_like(h, 50), layers=[2]):
        assert (model.hf(X) == 51).all()
    assert (model.hf(X) == 3).all()


def test_a_stream_among_several_is_read_and_edited_alone():
    model, shapes = wrapped(Stack(("tensor",)), stream=1), []
    streams = torch.zeros(4, 2, 3, 5)
    with attached(model, lambda layer, h: shapes.append(tuple(h.shape)) or h + 7):
        output = model.hf(streams)
    assert shapes == [(2, 3, 5)]
    assert (output[1] == 8).all() and (output[[0, 2, 3]] == 1).all()


def test_a_call_is_announced_with_its_arguments_by_name():
    model, calls = wrapped(Stack()), []
    with attached(model, on_call=calls.append):
        model.hf(X, torch.ones(2, 3), past_key_values="cache")
        model.hf(input_ids=X, use_cache=True)
    assert set(calls[0]) == {"input_ids", "attention_mask", "past_key_values"}
    assert calls[0]["past_key_values"] == "cache" and calls[1]["use_cache"] is True


def test_calls_of_other_threads_are_left_alone():
    model, results = wrapped(Stack()), {}
    with attached(model, lambda layer, h: h + 100, on_call=lambda call: call["input_ids"].add_(0)):
        thread = threading.Thread(target=lambda: results.update(other=model.hf(X).mean().item()))
        thread.start()
        thread.join()
        results["own"] = model.hf(X).mean().item()
    assert results == {"other": 3, "own": 303}


class Boom(BaseException):
    pass


@pytest.mark.parametrize("where", ["body", "on_block", "on_call", "block", "entering"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit, Boom])
def test_no_hook_survives_whatever_is_raised(where, error):
    model = wrapped(Stack())

    def fail(*_, **__):
        raise error("raised on purpose")

    if where == "block":
        model.hf.blocks[1].forward = fail
    callbacks = {
        "on_block": fail if where == "on_block" else lambda layer, h: None,
        "on_call": fail if where == "on_call" else lambda call: None,
    }
    with pytest.raises((error, ValueError)), attached(model, **callbacks), before_block(model, lambda layer, h: None):
        assert active_hooks(model) == 7
        with attached(model, callbacks["on_block"], layers=[5] if where == "entering" else [0]):
            if where == "body":
                fail()
            model.hf(X)
    assert active_hooks(model) == 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.hf.modules())


def test_an_abandoned_generator_leaves_no_hook():
    model = wrapped(Stack())

    def streaming():
        with attached(model, lambda layer, h: None):
            yield model.hf(X)

    stream = streaming()
    next(stream)
    assert active_hooks(model) == 3
    stream.close()
    assert active_hooks(model) == 0


def test_hooks_of_others_are_neither_counted_nor_removed():
    model = wrapped(Stack())
    handle = model.hf.blocks[0].register_forward_hook(lambda module, inputs, output: None)
    with attached(model, lambda layer, h: None):
        assert active_hooks(model) == 3
    assert active_hooks(model) == 0 and len(model.hf.blocks[0]._forward_hooks) == 1
    handle.remove()


def test_layers_are_resolved_or_refused():
    assert resolve_layers("all", 3) == resolve_layers(None, 3) == [0, 1, 2]
    assert resolve_layers(-1, 3) == [2] and resolve_layers([2, -3], 3) == [2, 0]
    with pytest.raises(ValueError, match=r"no layer 3: the model has 3 blocks, numbered 0 … 2 \(-1 is the last\)"):
        resolve_layers([0, 3], 3)
    with pytest.raises(ValueError, match="expected 'all', a number or a list of numbers .*; got 'last'"):
        resolve_layers("last", 3)
    with pytest.raises(ValueError, match="one or more different blocks"):
        resolve_layers([2, -1], 3)
    with pytest.raises(ValueError, match="one or more different blocks"):
        resolve_layers([], 3)


def test_blocks_that_share_one_module_are_refused():
    model = wrapped(Stack(("tensor", "tensor")))
    model.layout.blocks = (model.hf.blocks[0],) * 2
    with pytest.raises(ValueError, match="one module serves as several decoder blocks"), attached(model, print):
        pass


def test_traceable_hooks_answer_every_thread_and_take_no_arguments():
    model, found = wrapped(Stack()), []

    def run():
        found.append(model.hf(X).mean().item())

    for traceable in (False, True):
        with attached(model, lambda layer, h: h * 10, layers=[0], traceable=traceable):
            other = threading.Thread(target=run)
            other.start()
            other.join()
    assert found == [3, 12]
    both = attached(model, print, on_call=print, traceable=True)
    with pytest.raises(ValueError, match="on_call reads the arguments of a call, which cannot be traced"), both:
        pass
    assert active_hooks(model) == 0
