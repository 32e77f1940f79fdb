"""Interchange interventions with plain hooks: one row, whole forwards, no cache; and pairs for families by hand."""

from types import SimpleNamespace

import numpy as np
import torch

from mllm_probe import schema
from mllm_probe.models.inputs import append_tokens
from mllm_probe.models.layout import family_of

WORDS = {"cat": [7, [8, 9, 10]]}


def stream_of(model, hidden):
    return hidden if model.layout.stream_index is None else hidden[model.layout.stream_index]


def hooked(model, encoded, change, layers, following=()):
    """Logits [1 + following, vocabulary] of a whole forward in which ``change(layer, hidden)`` edits in place."""
    tensors = dict(encoded.tensors)
    if len(following):
        kind = family_of(model.hf.config).continuation_type
        tensors = append_tokens(tensors, [list(following)], model.pad_token_id, kind)
    handles = []

    def after(layer):
        def hook(module, arguments, output):
            new = (output[0] if isinstance(output, tuple) else output).clone()
            change(layer, stream_of(model, new))
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return hook

    def before(module, arguments, named):
        name = next((n for n in ("hidden_states", "x", "inputs") if n in named), None)
        new = (arguments[0] if name is None else named[name]).clone()
        change(schema.INPUT, stream_of(model, new))
        return ((new, *arguments[1:]), named) if name is None else (arguments, {**named, name: new})

    for layer in layers:
        block = model.layout.blocks[max(layer, 0)]
        register = block.register_forward_hook if layer >= 0 else block.register_forward_pre_hook
        handles.append(register(after(layer)) if layer >= 0 else register(before, with_kwargs=True))
    try:
        with torch.no_grad():
            logits = model.hf(**tensors, use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return logits[encoded.prompt_length - 1 :].float()


def states_of(model, encoded):
    """Residual stream [tokens, width] at the input of block 0 and after every block."""
    found = {}
    hooked(model, encoded, lambda layer, hidden: found.update({layer: hidden[0].clone()}), [-1, *model.layers])
    return found


def group_of(encoded, name):
    """Columns of a token group, written down again from the definitions."""
    roles = np.array(schema.ROLES)[encoded.roles[0].numpy()]
    last = np.flatnonzero(roles != "padding")[-1]
    if name == "all":
        return np.flatnonzero(roles != "padding")
    if name == "last_prompt":
        return np.array([last])
    return np.array([c for c in np.flatnonzero(roles == name) if c != last])


def patched_logprob(model, encoded, donor, layers, columns, words=WORDS["cat"]):
    """Log-probability of the words in the patched run, each sub-token by a forward of its own; largest logit."""
    total = []

    def change(layer, hidden):
        if donor is not None:
            hidden[:, columns] = donor[layer][columns].to(hidden)

    for word in words:
        word = [word] if isinstance(word, int) else word
        logits = hooked(model, encoded, change, layers, word[:-1])
        scores = logits.log_softmax(-1)
        total.append(sum(scores[i, token] for i, token in enumerate(word)))
    scale = logits[logits.abs() < 1e30].abs().max()
    return torch.stack(total).logsumexp(0).item(), max(float(scale), 1.0)


def varied(inputs, factor):
    """The same sample with other pixels."""
    changed = {name: value.clone() for name, value in inputs.items()}
    for value in changed.values():
        if value.is_floating_point():
            value[..., 2:] *= factor  # the first two columns of a patch may be its place
    return changed


def library_of(inputs, pairs=2):
    """A concept of pairs of processed tensors, each other pixels."""
    positive = [varied(inputs, 1 + 0.3 * number) for number in range(pairs)]
    negative = [varied(inputs, -0.7 - 0.2 * number) for number in range(pairs)]
    return {"cat": pairs_of(positive, negative, WORDS["cat"])}


def pairs_of(positive, negative, words=("cat",), category="entity", paired=True):
    """A concept by hand."""
    return SimpleNamespace(positive=positive, negative=negative, words=words, category=category, paired=paired)
