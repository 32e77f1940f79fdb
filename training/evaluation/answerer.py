"""Asking a model by the official path: chat template, processor, greedy generation, in batches."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from mllm_probe.loading.assembling import assemble
from mllm_probe.models.bundled import ASSEMBLY


class Answerer:
    """A model in a folder that answers questions about images.

    `folder`: as `from_pretrained` reads it, or with parts that are put on a cached decoder.
    """

    def __init__(self, folder: Path, batch_size: int = 64, dtype: torch.dtype = torch.float32) -> None:
        if (folder / ASSEMBLY).is_file():
            self.model, self.processor, _, _ = assemble(folder, dtype)
        else:
            self.processor = AutoProcessor.from_pretrained(folder)
            self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
        self.model.eval()
        self.batch_size = batch_size

    def _prompt(self, question: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image], questions: Sequence[str], most: int = 32) -> list[str]:
        """Return the greedy answer to each question about its image, at most `most` tokens long."""
        answers = []
        for start in range(0, len(images), self.batch_size):
            some = slice(start, start + self.batch_size)
            inputs = self.processor(
                images=[[image] for image in images[some]],
                text=[self._prompt(question) for question in questions[some]],
                return_tensors="pt",
                add_special_tokens=False,
                padding=True,
            ).to(self.model.dtype)  # images alone: token ids are no floating-point numbers
            generated = self.model.generate(**inputs, max_new_tokens=most, do_sample=False)
            new = generated[:, inputs["input_ids"].shape[1] :]
            answers += [text.strip() for text in self.processor.tokenizer.batch_decode(new, skip_special_tokens=True)]
        return answers
