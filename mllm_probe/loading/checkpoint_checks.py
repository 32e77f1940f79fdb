"""Checks of a checkpoint before and after loading: sizes, files and weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mllm_probe.typing import JsonObject

MOST_BLOCKS = 1000
"""Blocks of one part of a model; the deepest published ones have about 200."""

HARMLESS = r"(^|\.)(inv_freq|position_ids|masked_bias|num_batches_tracked)$|vision_(tower|model)\.head\.|(^|\.)mtp\."
"""Names that may be missing or left over: buffers that are computed anew, the pooling head of a vision tower whose
patches are read, and heads that predict several tokens at once."""

_COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth", "encoder_layers", "decoder_layers")
_INDEX = "model.safetensors.index.json"
_SHOWN = 4


def require_buildable(config: Mapping[str, object], origin: str) -> None:
    """Raise a ValueError if a part of the configuration (as a dict) has more than ``MOST_BLOCKS`` blocks."""
    for path, name, value in _entries(config, "config.json"):
        if name in _COUNTS and isinstance(value, int) and value > MOST_BLOCKS:
            raise ValueError(
                f"{origin}: {path} says {name} = {value:,}, but at most {MOST_BLOCKS:,} blocks are built. Correct the "
                "configuration, or get the checkpoint again."
            )


def require_readable(folder: Path) -> None:
    """Raise a ValueError unless the weights of a folder are whole safetensors files inside of it."""
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, "pt", device="cpu"):
                pass
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{file} cannot be read as safetensors ({error}): get the file again.") from error
    index = folder / _INDEX
    if index.is_file():
        for name in _files_of(index):
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(
                    f"{index} takes weights from '{name}', outside of its folder, which is not done: put the file "
                    "next to it and its plain name into the index."
                )


def require_all_weights(model: str, info: JsonObject) -> None:
    """Raise a ValueError unless checkpoint and model have the same weights.

    `model`: name for the message. `info`: ``output_loading_info`` of Transformers, which has left out tied weights and
    what the model's class declares as unneeded (``_keys_to_ignore_on_load_missing``,
    ``_keys_to_ignore_on_load_unexpected``); names that ``HARMLESS`` matches are left out here.
    """
    mismatched = [f"{name} {list(theirs)} for {list(ours)}" for name, theirs, ours in sorted(info["mismatched_keys"])]
    missing, unexpected = (
        sorted(name for name in info[kind] if not re.search(HARMLESS, name))
        for kind in ("missing_keys", "unexpected_keys")
    )
    wrong = [
        (missing, "weights of the model are missing, and would be random numbers"),
        (unexpected, "weights that the model has no place for"),
        (mismatched, "weights of another shape than the model's"),
    ]
    parts = [f"{len(names)} {what} ({_some(names)})" for names, what in wrong if names]
    if parts:
        raise ValueError(
            f"{model}: the checkpoint does not fit its configuration: {'; '.join(parts)}. Get the checkpoint again, or "
            "correct its config.json; a model that is meant to be so can be loaded with Transformers and passed to "
            "mp.wrap(hf_model, processor)."
        )


def _files_of(index: Path) -> list[str]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        files = dict.fromkeys(content["weight_map"].values())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{index} does not say which file holds which weights ({type(error).__name__}: {error})."
        ) from error
    return list(map(str, files))


def _entries(config: Mapping[str, object], path: str) -> Iterator[tuple[str, str, object]]:
    """Values of a configuration and its parts, with the path of the part."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _entries(value, f"{path}, {name}")
        else:
            yield path, name, value


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
