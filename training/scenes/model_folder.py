"""Writing a model folder that the Auto classes of transformers read."""

import json
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from mllm_probe.scenes.language import DEFAULT_ANSWER_PREFIX, DEFAULT_PROMPT, suggestions
from training.scenes.architecture import build, processor

SETTINGS = "mllm_probe.json"
"""File in a model's folder with its default prompt, its threads and suggestions."""


def trained(folder: Path) -> LlavaForConditionalGeneration:
    """Return the model that `export` wrote into `folder`, in float32."""
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)


def export(blocks: int, weights: dict[str, Tensor], folder: Path) -> None:
    """Write weights in half precision, processor, tokenizer, chat template and settings into a folder.

    `blocks`: decoder blocks of the model. `weights`: its state. `folder`: created if need be; other files there stay.
    """
    model = build(blocks)
    model.load_state_dict({name: tensor.detach().float().cpu() for name, tensor in weights.items()})
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "default_prompt": DEFAULT_PROMPT,
        "default_answer_prefix": DEFAULT_ANSWER_PREFIX,
        "cpu_threads": 1,
        "suggestions": suggestions,
    }
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        model.to(torch.float16).save_pretrained(fresh)
        processor().save_pretrained(fresh)
        (Path(fresh) / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n")
        for file in Path(fresh).iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)
