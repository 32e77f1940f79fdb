"""EfficientNet-Lite0 as a vision tower of Transformers: a picture becomes 4 by 4 image tokens from three depths.

Transformers has EfficientNet with squeeze-and-excitation and swish alone. The Lite variants drop the first and have
ReLU6 for the second (Tan and Le 2019; tensorflow/tpu, ``efficientnet/lite``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

STEM = 32
"""Channels of the stem."""
_EPSILON = 1e-3


@dataclass(frozen=True)
class _Stage:
    """Blocks of one width: how many, kernel, stride of the first, expansion, channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
"""The 16 blocks of Lite0."""
WIDTHS = tuple(stage.channels for stage in STAGES for _ in range(stage.blocks))
"""Channels of each block's output."""


class EfficientNetLiteConfig(PreTrainedConfig):
    """Configuration of the tower.

    Parameters
    ----------
    image_size : int
        Side of the pictures, in pixels.
    grid : int
        Image tokens in a row.
    read_blocks : list of int
        Blocks that the tokens are made of. Of every but the last one the spread within a token's area stands beside the
        mean: it tells line from fill.
    """

    model_type = "efficientnet_lite"

    def __init__(
        self, image_size: int = 128, grid: int = 4, read_blocks: tuple[int, ...] = (4, 10, 15), **more: Any
    ) -> None:
        self.image_size, self.grid, self.read_blocks = image_size, grid, list(read_blocks)
        more["hidden_size"] = sum(self.token_parts)
        super().__init__(**more)

    @property
    def token_parts(self) -> list[int]:
        """Width of each part of a token: mean and spread of every block that is read, of the last one the mean."""
        parts = [WIDTHS[block] for block in self.read_blocks for _ in range(2)]
        return parts[:-1]


class _Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow pads for ``SAME``: at even sizes more at the end than at the beginning."""

    def forward(self, hidden: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        ends = []
        for side in (hidden.shape[-1], hidden.shape[-2]):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            ends += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(hidden, ends) if any(ends) else hidden)


def _normed(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        _Convolution(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=_EPSILON),
    ]


class Block(nn.Module):
    """An inverted bottleneck: expand, convolve each channel, project; its input is added where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        parts = _normed(inputs, wide) + [nn.ReLU6()] if expansion > 1 else []
        parts += [*_normed(wide, wide, kernel, stride, groups=wide), nn.ReLU6(), *_normed(wide, outputs)]
        self.layers, self.added = nn.Sequential(*parts), stride == 1 and inputs == outputs

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [n, inputs, side, side] to [n, outputs, side / stride, side / stride]."""
        changed = self.layers(hidden)
        return hidden + changed if self.added else changed


class EfficientNetLite(PreTrainedModel):
    """Lite0 without its classifier; pictures [n, 3, side, side] from −1 to 1 become tokens [n, grid², hidden_size].

    Its batch norms keep the statistics that they were trained with, in training too.
    """

    config: EfficientNetLiteConfig
    config_class = EfficientNetLiteConfig
    base_model_prefix = "tower"
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.stem = nn.Sequential(*_normed(3, STEM, 3, 2), nn.ReLU6())
        blocks, width = [], STEM
        for stage in STAGES:
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(Block(width, stage.channels, stage.kernel, stride, stage.expansion))
                width = stage.channels
        self.blocks = nn.ModuleList(blocks)
        # Depths differ in scale by several times.
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in config.token_parts)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Set the mode; batch norms stay in evaluation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def maps(self, pixel_values: Tensor, first_trained: int = 0) -> list[Tensor]:
        """Return each block's output, [n, channels, side, side]; those before ``first_trained`` get no gradient."""
        found: list[Tensor] = []
        with torch.set_grad_enabled(torch.is_grad_enabled() and first_trained == 0):
            hidden = self.stem(pixel_values)
            for block in self.blocks[:first_trained]:
                hidden = block(hidden)
                found.append(hidden)
        for block in self.blocks[first_trained:]:
            hidden = block(hidden)
            found.append(hidden)
        return found

    def tokens(self, maps: list[Tensor]) -> Tensor:
        """Return image tokens [n, grid², hidden_size] of the blocks' outputs."""
        grid, parts = self.config.grid, []
        for number in self.config.read_blocks:
            mean = F.adaptive_avg_pool2d(maps[number], grid)
            parts.append(mean)
            if number != self.config.read_blocks[-1]:
                square = F.adaptive_avg_pool2d(maps[number].float().square(), grid)
                parts.append((square - mean.float().square()).clamp(min=1e-4).sqrt().to(mean.dtype))
        normed = [norm(part.permute(0, 2, 3, 1)) for norm, part in zip(self.norms, parts, strict=True)]
        return torch.cat(normed, -1).flatten(1, 2)

    def forward(self, pixel_values: Tensor, first_trained: int = 0, **_more: Any) -> BaseModelOutput:
        """Return the image tokens, as the last hidden state and the only one."""
        seen = self.tokens(self.maps(pixel_values, first_trained))
        return BaseModelOutput(last_hidden_state=seen, hidden_states=(seen,))


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLite)
