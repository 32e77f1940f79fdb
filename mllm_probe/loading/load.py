"""Models by name, folder or hub id, and models that the user has loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from mllm_probe.loading.model import Model
from mllm_probe.models import bundled, bundled_names

FACTS = "mllm_probe.json"


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    device_map: Any = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """Load a model that takes pictures and text.

    Parameters
    ----------
    name : str or Path
        A bundled name such as ``"scenes-8l"``; else a hub id ``"org/name"``. A folder starts with ``./``,
        ``../`` or ``/``, or is a Path.
    device : str or torch.device, optional
        CUDA when there is one, else CPU. Not together with ``device_map``.
    dtype : str or torch.dtype, optional
        ``"float32"``, ``"bfloat16"`` …; by default float32 on the CPU and the checkpoint's own type elsewhere.
    device_map : optional
        As for Transformers: shares the blocks out over several devices.
    revision : str, optional
        Branch, tag or commit on the hub.
    trust_remote_code : bool
        Run code that comes with the checkpoint. Weights are read from safetensors only.

    Returns
    -------
    Model
        In evaluation mode, checked by the quick form of ``verify``.

    Raises
    ------
    ValueError
        For an unknown name or device, or a checkpoint that is no image-text-to-text model.
    VerificationError
        If the parts that were found do not behave as decoder blocks do.
    """
    source, shown, local = _resolve(name)
    if device is not None and device_map is not None:
        raise ValueError("Expected device= or device_map=, not both: a device map places the model by itself.")
    where = _device(device)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code} | ({} if local else {"revision": revision})
    placing = {} if device_map is None else {"device_map": device_map}
    kind = _dtype(dtype, where if device_map is None else None)
    try:
        hf = AutoModelForImageTextToText.from_pretrained(source, dtype=kind, use_safetensors=True, **placing, **options)
        processor = AutoProcessor.from_pretrained(source, **options)
    except (ValueError, OSError, ImportError) as error:
        where_from = _origin(name, local)
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{where_from} could not be loaded as an image-text-to-text model: {reason}") from error
    if device_map is None:
        hf = hf.to(where)
    facts = _facts(Path(source)) if local else {}
    model = Model(hf, processor, name=shown, facts=facts)
    model.require_verified()
    return model


def wrap(
    hf_model: Any,
    processor: Any = None,
    blocks: str | Sequence[nn.Module] | None = None,
    *,
    name: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Model:
    """A model that the user has loaded already: quantised, sharded, custom.

    Parameters
    ----------
    hf_model : PreTrainedModel
        Stays the user's object; it is set to evaluation mode and its parameters need no gradients.
    processor : ProcessorMixin, optional
        Without one, pass processed tensors as ``inputs=`` and words as token ids.
    blocks : str, nn.ModuleList or sequence of nn.Module, optional
        The decoder blocks, or the path of their list, where the general rule does not find them.
    name : str, optional
        Shown in datasets.
    facts : mapping, optional
        ``default_prompt``, ``default_answer_prefix``, ``suggestions``.

    Returns
    -------
    Model
        Call ``verify()`` to see the parts checked.
    """
    return Model(hf_model, processor, name=name, blocks=blocks, facts=facts)


def _resolve(name: str | Path) -> tuple[str, str, bool]:
    """Where to load from, the name to show, and whether that is a folder of this machine."""
    text = str(name)
    if isinstance(name, Path) or text.startswith(("./", "../", "/", "~")) or text in (".", ".."):
        folder = Path(name).expanduser()
        if not (folder / "config.json").is_file():
            raise ValueError(f"Expected a folder with a model (config.json, *.safetensors) at {folder}; there is none.")
        return str(folder), folder.resolve().name, True
    packaged = bundled(text)
    if packaged is not None:
        return str(packaged), text, True
    if text.count("/") != 1 or not all(text.split("/")):
        known = ", ".join(f"'{n}'" for n in bundled_names()) or "none in this installation"
        raise ValueError(
            f"There is no bundled model '{text}' (bundled: {known}). A hub id reads 'org/name'; a folder starts with "
            f"./, ../ or /, for instance './{text}'."
        )
    return text, text, False


def _origin(name: str | Path, local: bool) -> str:
    return f"{name}" if local else f"{name} (taken for a hub id; a folder starts with ./, ../ or /)"


def _device(device: str | torch.device | None) -> torch.device:
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device='{device}' was asked for, but PyTorch sees no CUDA device here; leave device= out.")
    return where


def _dtype(dtype: str | torch.dtype | None, where: torch.device | None) -> torch.dtype | str:
    if dtype is None:
        return torch.float32 if where is not None and where.type == "cpu" else "auto"
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if isinstance(kind, torch.dtype):
        return kind
    if dtype == "auto":
        return "auto"
    raise ValueError(f"dtype: expected a torch dtype or its name ('float32', 'bfloat16', 'float16'); got {dtype!r}.")


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
