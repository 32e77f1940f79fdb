"""The model's eyes: EfficientNet-Lite0 of 128 pixels with 16 image tokens, and the projector to the decoder's width."""

from torch import Tensor, nn
from transformers import AutoModel, LlamaConfig, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from mllm_probe.loading.assembling import vision_config
from mllm_probe.loading.efficientnet_lite import WIDTHS
from training.emoji.lite0 import load_pretrained

FIRST_TRAINED = 5
"""Stem and blocks before this one keep their pretrained weights."""


class Eyes(nn.Module):
    """Vision tower and projector of the model, under the names that they have in it.

    `hidden`: width of the decoder.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        vision = vision_config()
        text = LlamaConfig(hidden_size=hidden, num_attention_heads=1, num_key_value_heads=1)
        config = LlavaConfig(vision_config=vision, text_config=text, projector_hidden_act="gelu")
        self.width = vision.hidden_size
        self.vision_tower = AutoModel.from_config(vision)
        self.multi_modal_projector = LlavaMultiModalProjector(config)
        self.train_from(FIRST_TRAINED)

    def begin_pretrained(self) -> None:
        """Give the tower the weights that it was published with."""
        load_pretrained(self.vision_tower)

    def train_from(self, block: int) -> None:
        """Train the tower's blocks from this one on; from ``len(WIDTHS)`` on the tower stays as it is."""
        self.first_trained = block
        for name, parameter in self.vision_tower.named_parameters():
            parts = name.split(".")
            number = {"stem": -1, "blocks": int(parts[1])}.get(parts[0], len(WIDTHS) - 1)
            parameter.requires_grad_(number >= block)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tower's output [n, 16, width] and the image tokens [n, 16, hidden] of pixels [n, 3, 128, 128]."""
        seen = self.vision_tower(pixels, first_trained=self.first_trained).last_hidden_state
        return seen, self.multi_modal_projector(seen)

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights as two groups of a checkpoint."""
        return {"tower": self.vision_tower.state_dict(), "projector": self.multi_modal_projector.state_dict()}

    def load_weights(self, groups: dict[str, dict[str, Tensor]]) -> None:
        """Restore what `weights` returned; other groups are ignored."""
        self.vision_tower.load_state_dict(groups["tower"])
        self.multi_modal_projector.load_state_dict(groups["projector"])
