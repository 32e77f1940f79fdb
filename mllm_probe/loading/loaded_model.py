"""A loaded model that can verify itself, and the same with its weights shuffled."""

from __future__ import annotations

import copy

import numpy as np
import torch
from PIL import Image

from mllm_probe.loading.verification import VerificationReport, verify
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import whole_number
from mllm_probe.typing import Images, Inputs


class Model(ProbeModel):
    """A ``ProbeModel`` that can verify its parts; returned by ``load`` and ``wrap``."""

    def verify(
        self,
        images: Images = None,
        prompt: str | None = None,
        *,
        inputs: Inputs = None,
        quick: bool = False,
    ) -> VerificationReport:
        """Check on one sample that the model's parts behave as decoder blocks, head and image tokens do.

        Parameters
        ----------
        images : image, optional
            An image of noise by default.
        prompt : str, optional
            ``default_prompt`` by default.
        inputs : dict of Tensor, optional
            Processed tensors of one sample; needed when the model was wrapped without a processor.
        quick : bool
            Leave out what takes more than a few forwards.

        Returns
        -------
        VerificationReport
            Block outputs equal the model's own hidden states; an edit is exact where it is made, leaves the
            layers below and reaches the logits; image tokens are at the labelled positions; strength 0 changes nothing;
            cached decoding equals one full forward, unsteered and steered; a padded row equals the row alone;
            no hook is left.

        Raises
        ------
        ValueError
            If there is neither a processor nor ``inputs``.
        """
        if inputs is None and self.processor is None:
            raise ValueError(
                f"{self.name} was wrapped without a processor, so there is no sample to verify on: "
                "model.verify(inputs=…) takes processed tensors of one sample."
            )
        image = _noise() if images is None else images
        encoded = self.encode(image if inputs is None else None, prompt, inputs=inputs)
        if encoded.rows != 1:
            raise ValueError(f"Expected one sample to verify on; got {encoded.rows}.")
        return verify(self, encoded, quick)

    def require_verified(self) -> None:
        """Raise ``VerificationError`` unless the quick checks pass, ``ValueError`` when no sample can be made."""
        try:
            report = self.verify(quick=True)
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
            raise ValueError(
                f"{self.name} (family {self.family}) could not be verified, because its processor made no sample. "
                f"Tried: an image of noise with the prompt {self.default_prompt!r}; raised: {error}. "
                "Load model and processor with Transformers, make the tensors yourself, and use "
                "mp.wrap(hf_model, processor) with inputs=."
            ) from error
        report.require()


def _noise(side: int = 224) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


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
