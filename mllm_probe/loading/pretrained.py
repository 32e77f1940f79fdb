"""Loading of models by name, folder or hub id, checks of their checkpoints, and wrapping of loaded ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, PreTrainedConfig
from transformers.utils import cached_file
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from mllm_probe.loading.assembling import assemble
from mllm_probe.loading.loaded_model import Model
from mllm_probe.models import ProbeModel, bundled_folder
from mllm_probe.models.argument_checks import described, device_of
from mllm_probe.models.bundled import ASSEMBLY, FOLDER, source_of
from mllm_probe.typing import HfModel, JsonObject, Processor

MOST_BLOCKS = 1000
"""Blocks of one part of a model; the deepest published ones have about 200."""

HARMLESS = r"(^|\.)(inv_freq|position_ids|masked_bias|num_batches_tracked)$|vision_(tower|model)\.head\.|(^|\.)mtp\."
"""Names that may be missing or left over: buffers that are computed anew, the pooling head of a vision tower whose
patches are read, and heads that predict several tokens at once."""

_COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth", "encoder_layers", "decoder_layers")
_CONFIGS = ("config.json", "generation_config.json")
_KERNELS = ("attn_implementation", "experts_implementation", "_attn_implementation", "_experts_implementation")
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


def require_no_hub_kernels(source: str, revision: str | None = None) -> None:
    """Raise a ValueError if a configuration of a folder or hub id names code of the hub that is to compute attention.

    Transformers fetches ``"org/name"`` from the hub and runs it, whatever ``trust_remote_code`` says.
    """
    read = [name for name in _KERNELS if _is_read(name)]
    for file in _CONFIGS:
        found = cached_file(source, file, revision=revision, _raise_exceptions_for_missing_entries=False)
        try:
            config = json.loads(Path(found).read_text(encoding="utf-8")) if found else {}
        except ValueError:  # no JSON: those who load it say so
            continue
        for path, value in _texts(config, ()):
            if "/" in value and (key := next((name for name in path if name in read), None)) is not None:
                raise ValueError(
                    f"{file} has {' › '.join(path)} = '{value}', code of the hub that would be fetched and run. Write "
                    f"'sdpa' or 'eager' there, or take {key} out; if you trust that code, load with "
                    "trust_remote_code=True (on the command line --trust-remote-code)."
                )


def _is_read(name: str) -> bool:
    """Whether this Transformers takes an entry of a file as what is to compute; 5.25 skips those that begin with _."""
    config = PreTrainedConfig(**{name: "org/name"})
    return "org/name" in (config._attn_implementation, config._experts_implementation)


def _texts(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a JSON document, with the names that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        parts = value.items() if isinstance(value, dict) else ((f"[{place}]", part) for place, part in enumerate(value))
        for name, part in parts:
            yield from _texts(part, (*path, name))


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


FACTS = "mllm_probe.json"


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    device_map: str | Mapping[str, int | str | torch.device] | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """Load a model that takes images and text.

    Parameters
    ----------
    name : str or Path
        A bundled name such as ``"scenes-8l"``, else a hub id ``"org/name"``. A folder starts with ``./``, ``../`` or
        ``/``, or is a Path.
    device : str or torch.device, optional
        CUDA when there is one, else CPU. Not together with ``device_map``.
    dtype : str or torch.dtype, optional
        ``"float32"``, ``"bfloat16"`` …; by default float32 on the CPU and the checkpoint's own type elsewhere. A model
        that is put together on a fetched decoder stays in bfloat16 on a CPU that multiplies in it.
    device_map : optional
        As for Transformers: shares the blocks out over several devices.
    revision : str, optional
        Branch, tag or commit on the hub.
    trust_remote_code : bool
        Run code that comes with the checkpoint, or that its configuration takes from the hub
        (``"attn_implementation": "org/name"``). Weights are read from safetensors only.

    Returns
    -------
    Model
        In evaluation mode, checked by the quick form of ``verify``.

    Raises
    ------
    ValueError
        For an unknown name or device, a checkpoint that is no image-text-to-text model, or one that lacks weights of
        the model or holds others. Tied weights, buffers that are computed anew (``inv_freq``, ``position_ids``), a
        vision tower's pooling head, heads for several tokens at once and what the model's class in Transformers
        declares as unneeded may be missing or left over.
    FileNotFoundError
        If a model is put together on a decoder that is not in the user's cache; it says the command that brings it.
    VerificationError
        If the parts do not behave as decoder blocks do.
    """
    source, shown, local = source_of(name)
    if device is not None and device_map is not None:
        raise ValueError("Expected device= or device_map=, not both: a device map places the model by itself.")
    if not isinstance(device_map, (str, Mapping, type(None))):
        expected = "'auto', the name of a device such as 'cuda:0', or a mapping of modules to devices"
        raise ValueError(f"device_map: expected {expected}; got {described(device_map)}.")
    if local and revision is not None:
        raise ValueError(f"revision= is for models of the hub; '{shown}' is read from this machine: leave it out.")
    where = _device(device)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code} | ({} if local else {"revision": revision})
    placing = {} if device_map is None else {"device_map": device_map}
    assembled = local and (Path(source) / ASSEMBLY).is_file()
    kind = _dtype(dtype, where if device_map is None else None, assembled)
    origin = _origin(name, local)
    facts = _facts(Path(source)) if local else {}
    if local:
        require_readable(Path(source))
    if assembled:
        with _quiet(True):
            hf, processor, info, facts["weights_from"] = assemble(Path(source), kind, **placing)
    else:
        hf, processor, info = _pretrained(source, origin, kind, placing, options)
    require_all_weights(origin, info)
    if device_map is None:
        hf = hf.to(where)
    model = Model(hf, processor, name=shown, facts=facts)
    model.loaded_with = {"name": _named(source, shown)} | ({} if local else {"revision": revision})
    model.loaded_with["trust_remote_code"] = trust_remote_code
    model.require_verified()
    return model


def _pretrained(
    source: str, origin: str, kind: torch.dtype | str, placing: JsonObject, options: JsonObject
) -> tuple[HfModel, Processor, JsonObject]:
    """Model, processor and loading report of a folder or hub id, by Transformers' Auto classes."""
    if not options["trust_remote_code"]:
        with _explained(origin):
            require_no_hub_kernels(source, options.get("revision"))
    with _explained(origin, "config.json: "):
        config = AutoConfig.from_pretrained(source, **options)
    require_buildable(config.to_dict(), origin)
    with _explained(origin), _quiet(Path(source).parent == FOLDER):
        hf, info = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=kind,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused by the caller, with their names
            **placing,
            **options,
        )
        processor = AutoProcessor.from_pretrained(source, **options)
    return hf, processor, info


def wrap(
    hf_model: nn.Module,
    processor: Processor | None = None,
    blocks: str | Sequence[nn.Module] | None = None,
    *,
    name: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> Model:
    """Wrap a Hugging Face model that is loaded already: quantised, sharded, custom.

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

    Raises
    ------
    ValueError
        If it is no model of Transformers, or its decoder blocks are not found (``LayoutError``).
    """
    _require_hf_model(hf_model)
    if processor is not None and not (callable(processor) and hasattr(processor, "decode")):
        raise ValueError(
            f"processor: expected a processor or tokenizer of Transformers, or None; got {described(processor)}."
        )
    facts = checked_facts(facts or {}, "facts")
    return Model(hf_model, processor, name=name, blocks=blocks, facts=facts)


def _named(source: str, shown: str) -> str:
    """A name that leads to the same model from any folder."""
    return shown if source == shown or bundled_folder(shown) is not None else str(Path(source).resolve())


@contextmanager
def _explained(origin: str, part: str = "") -> Iterator[None]:
    """Raise errors of Transformers as one ValueError that names the checkpoint; out-of-memory errors pass."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # Transformers reads foreign files and raises whatever comes up
        reason = (str(error).strip().splitlines() or [""])[0]
        if not isinstance(error, (ValueError, OSError, ImportError)):
            reason = f"{type(error).__name__}: {reason}"
        raise ValueError(f"{origin} could not be loaded as an image-text-to-text model: {part}{reason}") from error


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Disable the progress bars of Transformers, for small models that load at once."""
    shown = is_progress_bar_enabled()
    if quiet:
        disable_progress_bar()
    try:
        yield
    finally:
        if quiet and shown:
            enable_progress_bar()


def _require_hf_model(hf_model: object) -> None:
    if isinstance(hf_model, ProbeModel):
        raise ValueError(
            f"'{hf_model.name}' is a loaded model already; wrap takes the Hugging Face model, here its .hf."
        )
    if not isinstance(hf_model, nn.Module) or not hasattr(hf_model, "config"):
        raise ValueError(
            "hf_model: expected a Hugging Face model (a torch.nn.Module with a config, such as "
            f"AutoModelForImageTextToText.from_pretrained gives); got {described(hf_model)}."
        )


def _origin(name: str | Path, local: bool) -> str:
    return f"{name}" if local else f"{name} (taken for a hub id; a folder starts with ./, ../ or /)"


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return device_of(device)


def _dtype(dtype: str | torch.dtype | None, where: torch.device | None, assembled: bool) -> torch.dtype | str:
    if dtype is None:
        keeps = where is None or where.type != "cpu" or (assembled and _multiplies_in_bfloat16())
        return "auto" if keeps else torch.float32
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if isinstance(kind, torch.dtype) and kind.is_floating_point:
        return kind
    if dtype == "auto":
        return "auto"
    raise ValueError(
        f"dtype: expected a floating-point torch dtype or its name ('float32', 'bfloat16', 'float16'); got {dtype!r}."
    )


def _multiplies_in_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; without them float32 is the faster of the two."""
    if not hasattr(torch.cpu, "get_capabilities"):  # older releases of torch do not tell
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _facts(folder: Path) -> JsonObject:
    """Facts about a model from its folder, checked."""
    path = folder / FACTS
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): correct it, or remove it to do without.") from error
    return checked_facts(content, str(path))


def checked_facts(facts: object, source: str) -> JsonObject:
    """Facts about a model, each of the right type.

    `facts`: ``default_prompt``, ``default_answer_prefix``, ``suggestions``, ``cpu_threads``, ``weights_from``; others
    are kept. `source`: named in errors. Raises ValueError: saying which fact was expected to be what.
    """
    if not isinstance(facts, Mapping):
        raise ValueError(f"{source}: expected a mapping of facts such as default_prompt; got {described(facts)}.")
    for name, (expected, fits) in _KNOWN_FACTS.items():
        if name in facts and not fits(facts[name]):
            raise ValueError(f"{source}: {name}: expected {expected}; got {described(facts[name])}.")
    return dict(facts)


def _are_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


_KNOWN_FACTS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "default_prompt": ("text", lambda value: isinstance(value, str)),
    "default_answer_prefix": ("text", lambda value: isinstance(value, str)),
    "suggestions": ("a list of texts", _are_texts),
    "weights_from": ("text", lambda value: isinstance(value, str)),
    "cpu_threads": ("a whole number, 1 or more", lambda value: isinstance(value, int) and value >= 1),
}
