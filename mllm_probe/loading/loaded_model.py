"""A loaded model that can verify itself."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mllm_probe.loading.verification import verify
from mllm_probe.loading.verification_report import VerificationReport
from mllm_probe.models import ProbeModel
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
        picture = _noise() if images is None else images
        encoded = self.encode(picture if inputs is None else None, prompt, inputs=inputs)
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
