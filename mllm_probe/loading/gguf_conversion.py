"""A GGUF as the folder of an ordinary ``LlamaForCausalLM``: safetensors in bfloat16, and its tokenizer."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_KEPT = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def convert(gguf: Path, out: Path) -> dict[str, int]:
    """Dequantise a GGUF and write it as a model's folder.

    `gguf`: of a Llama; read by Transformers with the package ``gguf``. `out`: an empty folder. Returns: names of the
    files and their sizes in bytes. Raises ImportError without ``gguf``. Raises ValueError if it holds no Llama with a
    tokenizer.
    """
    try:
        import gguf as _  # noqa: F401
    except ImportError as error:
        raise ImportError("Converting a GGUF needs the package gguf: pip install 'mllm-probe[lab]'") from error
    try:
        _convert(gguf, out)
    except (KeyError, ValueError, IndexError, RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{gguf} could not be converted to a Llama ({type(error).__name__}: {error}).") from error
    for file in sorted(out.iterdir()):
        if file.name not in _KEPT:
            file.unlink()
            continue
        with file.open("rb+") as written:
            os.fsync(written.fileno())  # before the folder gets its name: whole also after a power cut
        file.chmod(0o644)
    return {file.name: file.stat().st_size for file in sorted(out.iterdir())}


def _convert(gguf: Path, out: Path) -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**where, local_files_only=True)
    read = LlamaForCausalLM.from_pretrained(**where, local_files_only=True, dtype=torch.float32)
    # A model that was read from a GGUF counts as quantised and refuses to be saved: its weights go into a new one.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        plain = LlamaForCausalLM(config)
    state = {name: tensor.to(torch.bfloat16) for name, tensor in read.state_dict().items()}
    generation = read.generation_config
    del read
    plain.load_state_dict(state, strict=True, assign=True)
    plain.tie_weights()
    plain.generation_config = generation
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out)
