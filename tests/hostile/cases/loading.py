"""Names, devices, checkpoints and modules that are no model, or not the model that they say they are."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig

import mllm_probe as mp
from tests.hostile.tries import Try
from tests.zoo import tiny_llava

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8))
WEIGHTS, INDEX, FACTS = "model.safetensors", "model.safetensors.index.json", "mllm_probe.json"

Edit = Callable[[Path], object]


@cache
def _saved() -> tempfile.TemporaryDirectory[str]:
    """A tiny checkpoint of four blocks, saved once."""
    kept, model = tempfile.TemporaryDirectory(), tiny_llava()
    model.hf.save_pretrained(kept.name)
    model.processor.save_pretrained(kept.name)
    return kept


def _load_edited(edit: Edit, setting: Any) -> Any:
    folder = setting.folder / "md"
    shutil.copytree(_saved().name, folder)
    edit(folder)
    model = mp.load(folder, device="cpu")
    mp.generate(model, PICTURE, max_new_tokens=2)
    return model


def _config(**changes: Any) -> Edit:
    """Change entries of config.json; a dict changes entries of a part."""

    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        for name, value in changes.items():
            config[name] = config.get(name, {}) | value if isinstance(value, dict) else value
        (folder / "config.json").write_text(json.dumps(config))

    return edit


def _write(name: str, text: str) -> Edit:
    return lambda folder: (folder / name).write_text(text)


def _cut(name: str, length: int) -> Edit:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:length])


def _remove(pattern: str) -> Edit:
    return lambda folder: [file.unlink() for file in folder.glob(pattern)]


def _tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Edit:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return edit


def _named(tensors: dict[str, torch.Tensor], *parts: str) -> str:
    return next(name for name in sorted(tensors) if all(part in name for part in parts))


def _outside(folder: Path) -> None:
    shutil.move(folder / WEIGHTS, folder.parent / "elsewhere.safetensors")
    names = load_file(folder.parent / "elsewhere.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../elsewhere.safetensors")}
    (folder / INDEX).write_text(json.dumps(index))


def _remote_code(folder: Path) -> None:
    classes = {"AutoConfig": "evil.C", "AutoModelForImageTextToText": "evil.M", "AutoProcessor": "evil.P"}
    _config(auto_map=classes, model_type="evil")(folder)
    (folder / "evil.py").write_text(f"open({str(folder.parent / 'ran_model')!r}, 'w')\n")


def _remote_processor(folder: Path) -> None:
    classes = {"AutoProcessor": "evil.P", "AutoTokenizer": ["evil.T", "evil.T"], "AutoImageProcessor": "evil.I"}
    for file in (folder / name for name in ("processor_config.json", "tokenizer_config.json")):
        if file.exists():
            file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": classes}))
    (folder / "evil.py").write_text(f"open({str(folder.parent / 'ran_processor')!r}, 'w')\n")


def _remote_code_of_a_known_type(folder: Path) -> None:
    _config(auto_map={"AutoConfig": "evil.C", "AutoModelForImageTextToText": "evil.M"})(folder)
    (folder / "evil.py").write_text(f"open({str(folder.parent / 'ran_model')!r}, 'w')\n")


def _verified(model: Any) -> bool:
    return model.verify(quick=True).passed and not list(Path().glob("ran_*"))


name = partial(Try, "load")
folder = partial(Try, "model folder")
wrap = partial(Try, "wrap")

_NAMES: dict[Any, str] = {
    "": "There is no bundled model ''", "../scenes-8l": "Expected a folder with a model",
    "/etc/passwd": "Expected a folder with a model", "x" * 5000: "There is no bundled model",
    "/" + "x" * 5000: "file name too long", "scenes-8l\0": "holds a NUL character",
    "~nouser/x": "there is no home folder of that user", "no-such-org-zz/none": "taken for a hub id",
}  # fmt: skip
_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"device": "meta"}, "device: expected 'cpu', 'cuda', 'cuda:1' or 'mps'"), ({"device": "cuda:99"}, "CUDA device"),
]  # fmt: skip
_KERNELS: dict[str, tuple[Edit, str]] = {
    "a kernel of the hub": (
        _config(attn_implementation="evil/kernel"),
        "config.json has attn_implementation = 'evil/kernel', code of the hub",
    ),
    "a kernel for a part": (
        _config(text_config={"attn_implementation": "evil/kernel@main:Kernel"}),
        "config.json has text_config › attn_implementation = 'evil/kernel@main:Kernel'",
    ),
    "a kernel by the name of a part": (
        _config(attn_implementation={"vision_config": "evil/kernel"}),
        "config.json has attn_implementation › vision_config = 'evil/kernel'",
    ),
    "a kernel of experts": (_config(experts_implementation="evil/kernel"), "take experts_implementation out"),
    "a kernel for generation": (
        _write("generation_config.json", json.dumps({"attn_implementation": "paged|evil/kernel"})),
        "generation_config.json has attn_implementation = 'paged|evil/kernel', code of the hub",
    ),
}  # fmt: skip
_BROKEN: dict[str, tuple[Edit, str]] = {
    **_KERNELS,
    "config a list": (_write("config.json", "[]"), "config.json"),
    "config latin-1": (lambda f: (f / "config.json").write_bytes(b'{"a": "\xe9"}'), "config.json"),
    "no weights": (_remove("*.safetensors"), "could not be loaded"), "weights cut": (_cut(WEIGHTS, 10_000), WEIGHTS),
    "facts text for a list": (_write(FACTS, '{"suggestions": "x"}'), "suggestions: expected a list of texts"),
    "unknown model_type": (_config(model_type="nonsense"), "could not be loaded"),
    "a million blocks": (_config(text_config={"num_hidden_layers": 10**6}), "num_hidden_layers = 1,000,000"),
    "NaN weights": (_tensors(lambda t: t[_named(t, "layers.2.", "mlp")].fill_(float("nan"))), "not what its parts"),
    "no processor": (_remove("*processor*"), "could not be loaded"),
    "weights of another folder": (_outside, "'../elsewhere.safetensors', outside of its folder"),
    "code in the model": (_remote_code, "could not be loaded"),
    "a template that reaches out": (
        _write("chat_template.jinja", "{{ cycler.__init__.__globals__.os.popen('touch ran_template').read() }}"),
        "chat template",
    ),
}  # fmt: skip


def _wrap(**given: Any) -> Callable[[Any], Any]:
    return lambda s: mp.wrap(s.model.hf, s.model.processor, **given)


_load_with_unread_kernel = partial(_load_edited, _config(_attn_implementation="evil/kernel"))
_UNREAD_KERNEL = (  # from 5.25 on Transformers ignores that entry; before, it fetched what it names
    folder("a kernel that may be ignored", _load_with_unread_kernel, "result", right=_verified)
    if PreTrainedConfig(_attn_implementation="evil/kernel")._attn_implementation != "evil/kernel"
    else folder("a kernel that may be ignored", _load_with_unread_kernel, "error", "has _attn_implementation")
)

TRIES = [
    *(name(repr(one)[:24], lambda s, one=one: mp.load(one), "error", says) for one, says in _NAMES.items()),
    *(name(f"{k}", lambda s, k=k: mp.load("scenes-4l", **k), "error", says) for k, says in _OPTIONS),
    name("float16", lambda s: mp.load("scenes-4l", dtype="float16"), "result", right=_verified),
    *(folder(n, partial(_load_edited, edit), "error", says) for n, (edit, says) in _BROKEN.items()),
    folder("tied weights", partial(_load_edited, lambda f: None), "result", right=_verified),
    _UNREAD_KERNEL,
    folder("code beside a known type", partial(_load_edited, _remote_code_of_a_known_type), "result", right=_verified),
    folder("code in the processor", partial(_load_edited, _remote_processor), "result", right=_verified),
    wrap("a class", lambda s: mp.wrap(torch.nn.Module), "error", "expected a Hugging Face model"),
    wrap("a wrapped one", lambda s: mp.wrap(s.model), "error", "is a loaded model already"),
    wrap("a path that leads nowhere", _wrap(blocks="a.b.c"), "error", "blocks='a.b.c'"),
    wrap("a path to no module", _wrap(blocks="__class__.__init__"), "error", "blocks='__class__.__init__'"),
    wrap("names as blocks", _wrap(blocks=["a"]), "error", "blocks= expects decoder blocks"),
    wrap("blocks of another model", lambda s: mp.wrap(s.model.hf, blocks=list(tiny_llava().layout.blocks)), "error",
         "decoder blocks of this very model"),
]  # fmt: skip
