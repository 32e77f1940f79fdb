"""A model whose weights are shuffled: the same architecture and the same weights by their numbers, knowing nothing."""

from __future__ import annotations

import copy

import numpy as np
import torch

from mllm_probe.loading.loaded_model import Model
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import whole_number

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def randomised(model: ProbeModel, seed: int = 0) -> Model:
    """Return a copy of a model with the elements of every weight in random order.

    What is found in it is not about what the model has learnt: a method that finds concepts, layers or clear cells here
    finds them in its own workings.

    Parameters
    ----------
    model : ProbeModel
        Left as it is.
    seed : int
        Of the order; each tensor has its own.

    Returns
    -------
    Model
        On the same devices, in the same dtype; it takes as much memory again. Its name ends with ``randomised`` and the
        seed, and its fingerprint is its own. Buffers, such as rotary frequencies, are kept.

    Raises
    ------
    ValueError
        If a weight is quantised, so that its elements are no numbers by themselves.

    References
    ----------
    Adebayo and others, Sanity Checks for Saliency Maps, NeurIPS 2018.
    """
    require_model(model)
    seed = whole_number("seed", seed)
    for name, weight in model.hf.named_parameters():
        if not weight.is_floating_point():
            raise ValueError(
                f"{model.name} cannot be randomised: '{name}' is {str(weight.dtype).removeprefix('torch.')}, which is "
                "quantised. Load the model in a floating-point type."
            )
    shuffled = copy.deepcopy(model.hf)
    with torch.no_grad():
        for number, weight in enumerate(shuffled.parameters()):  # a weight that two modules share comes once
            # Shuffled as bits and in place, so that a large embedding needs no list of its places.
            bits = (
                weight.detach().to("cpu", copy=True).contiguous().view(_BITS[weight.element_size()]).numpy().reshape(-1)
            )
            np.random.default_rng([seed, number]).shuffle(bits)
            weight.copy_(torch.from_numpy(bits).view(weight.dtype).view(weight.shape))
    facts = {
        "default_prompt": model.default_prompt,
        "default_answer_prefix": model.default_answer_prefix,
        "suggestions": model.suggestions,
    }
    paths = {id(module): path for path, module in model.hf.named_modules()}
    blocks = [shuffled.get_submodule(paths[id(block)]) for block in model.layout.blocks]
    return Model(shuffled, model.processor, name=f"{model.name} randomised {seed}", blocks=blocks, facts=facts)
